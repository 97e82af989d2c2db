"""How the demo looks while it runs: a live channel map on a terminal, a line a second otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from spectrum.report import ChannelReport
from testbed.demo import View
from testbed.live_view import shown


def watching(quiet: bool) -> AbstractContextManager[Callable[[View], None]]:
    """Gives the function that shows a view: nothing when `quiet`, rich on a terminal, plain lines elsewhere."""
    return shown(quiet, _table, _plain_lines)


def _plain_lines() -> Callable[[View], None]:
    shown = -1

    def show(view: View) -> None:
        nonlocal shown
        if int(view.elapsed_s) > shown:
            shown = int(view.elapsed_s)
            sys.stdout.write(f"{shown:4d} s  {progress_line(view)}\n")
            sys.stdout.flush()

    return show


def progress_line(view: View) -> str:
    """Where the demo is, in one line."""
    busy = sum(report.busy for report in view.reports)
    granted = sum(1 for o in view.outcomes if o.get("attempt") and not o["forced"])
    forced = sum(1 for o in view.outcomes if o.get("attempt") and o["forced"])
    return f"{busy} of {len(view.reports)} subchannels busy, {granted} leases granted, {forced} forced"


def _table(view: View) -> Any:
    from rich.console import Group
    from rich.table import Table

    table = report_table(view.reports, f"airshed demo: {view.elapsed_s:4.0f} of {view.options.seconds:.0f} s")
    allocations = Table(title="last allocations", title_justify="left")
    for name in ("device", "technology", "MHz", "attempt", "ms"):
        allocations.add_column(name, justify="right")
    for outcome in [o for o in view.outcomes if "dropped" not in o][-8:]:
        attempt = f"forced after {outcome['attempt']}" if outcome["forced"] else str(outcome["attempt"])
        took = "" if outcome["grant_ms"] is None else f"{outcome['grant_ms']:.1f}"
        where = f"{outcome['subchannel_hz'] / 1e6:.4f}"
        allocations.add_row(outcome["device"], outcome["technology"], where, attempt, took)
    return Group(table, allocations, progress_line(view))


def report_table(reports: Sequence[ChannelReport], title: str) -> Any:
    """The channel map as a table: one row for each report."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in ("MHz", "kHz", "energy", "floor", "SNR", "Pf", "Pm", "Pr(H1)", "state"):
        table.add_column(name, justify="right")
    for report in sorted(reports, key=lambda r: (-r.bandwidth_hz, r.subchannel_hz, r.sensor)):
        table.add_row(*_cells(report), style="red" if report.busy else None)
    return table


def _cells(report: ChannelReport) -> tuple[str, ...]:
    return (
        f"{report.subchannel_hz / 1e6:.4f}",
        f"{report.bandwidth_hz / 1e3:g}",
        f"{report.energy_dbfs:.1f} dBFS",
        f"{report.noise_dbfs:.1f} dBFS",
        "" if report.snr_db is None else f"{report.snr_db:.1f} dB",
        f"{report.pf:.3f}",
        f"{report.pm:.3f}",
        f"{report.occupancy:.2f}",
        "busy" if report.busy else "idle",
    )
