"""How a live site looks while it runs: a channel map on a terminal, a line every two seconds elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from testbed.demo_view import report_table
from testbed.live_view import shown
from testbed.twin.demo import TwinView

EVERY_S: Final = 2.0


def watching(quiet: bool) -> AbstractContextManager[Callable[[TwinView], None]]:
    """Gives the function that shows a view: nothing when `quiet`, rich on a terminal, plain lines elsewhere."""
    return shown(quiet, _table, _plain_lines)


def _plain_lines() -> Callable[[TwinView], None]:
    shown_s = -EVERY_S

    def show(view: TwinView) -> None:
        nonlocal shown_s
        if view.elapsed_s >= max(0.0, shown_s + EVERY_S):
            shown_s = view.elapsed_s // EVERY_S * EVERY_S
            sys.stdout.write(f"{shown_s:4.0f} s  {progress_line(view)}\n")
            sys.stdout.flush()

    return show


def progress_line(view: TwinView) -> str:
    """Where the site is, in one line: phase, what was delivered in it, what the sensors say."""
    busy: dict[float, list[float]] = {}
    for report in view.reports:
        if report.occupancy_low > 0.3 and report.bandwidth_hz >= 125e3:
            busy.setdefault(report.subchannel_hz, []).append(report.occupancy)
    seen = ", ".join(f"{hz / 1e6:.1f} MHz occupied {max(shares):.2f}" for hz, shares in sorted(busy.items()))
    share = view.tally.share(view.phase) if view.phase else None
    delivered = f"{view.phase}: {share.delivered} of {share.sent} delivered" if share else "warming up"
    there = f"; on the air: {', '.join(view.interferers)}" if view.interferers else ""
    return f"{delivered}; sensed: {seen or 'nothing that stays'}{there}"


def _table(view: TwinView) -> Any:
    from rich.console import Group

    title = f"scene at {max(0.0, view.elapsed_s):4.0f} of {view.seconds:.0f} s"
    return Group(report_table(view.reports, title), progress_line(view))
