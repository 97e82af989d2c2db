"""What a person wants to see of many reports: one row a subchannel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport

if TYPE_CHECKING:
    from rich.table import Table

    from sensing.bursts import Burst

# Bursts beyond this many are counted, not listed, in the table for people.
LISTED_BURSTS = 20


@dataclass(slots=True)
class Row:
    """One subchannel so far."""

    last: ChannelReport
    intervals: int = 0
    busy: int = 0
    strongest: ChannelReport | None = None
    flags: Counter[str] = field(default_factory=Counter)

    def add(self, report: ChannelReport) -> None:
        """Count one more report."""
        self.last = report
        self.intervals += 1
        self.busy += report.busy
        if self.strongest is None or report.energy_dbfs > self.strongest.energy_dbfs:
            self.strongest = report
        self.flags.update(report.flags)


class Summary:
    """Reports of any number of subchannels, summed up."""

    def __init__(self) -> None:
        self.rows: dict[Subchannel, Row] = {}

    def add(self, reports: Iterable[ChannelReport]) -> None:
        """Count reports."""
        for report in reports:
            row = self.rows.get(report.subchannel)
            if row is None:
                row = self.rows[report.subchannel] = Row(report)
            row.add(report)

    def table(self, title: str) -> Table:
        """The table for a terminal."""
        from rich import box
        from rich.table import Table

        calibrated = any(row.last.energy_dbm is not None for row in self.rows.values())
        unit = "dBm" if calibrated else "dBFS"
        table = Table(title=title, box=box.SIMPLE, title_justify="left")
        for heading in ("MHz", "kHz", f"floor {unit}", f"max {unit}", "intervals", "busy", "Pr(H1)", "95 %"):
            table.add_column(heading, justify="right")
        for heading in ("Pf", "measured", "Pm", "weight"):
            table.add_column(heading, justify="right")
        table.add_column("flags")
        for subchannel, row in sorted(self.rows.items()):
            table.add_row(*_cells(subchannel, row))
        return table


def _cells(subchannel: Subchannel, row: Row) -> list[str]:
    last = row.last
    offset_db = 0.0 if last.energy_dbm is None else last.energy_dbm - last.energy_dbfs
    strongest = last if row.strongest is None else row.strongest
    flags = [
        name if count == row.intervals else f"{name} {count / row.intervals:.0%}"
        for name, count in row.flags.most_common()
    ]
    return [
        f"{subchannel.center_hz / 1e6:.4f}",
        f"{subchannel.bandwidth_hz / 1e3:g}",
        f"{last.noise_dbfs + offset_db:.1f}",
        f"{strongest.energy_dbfs + offset_db:.1f}",
        str(row.intervals),
        f"{row.busy / row.intervals:.1%}",
        f"{last.occupancy:.2f}",
        f"{last.occupancy_low:.2f}-{last.occupancy_high:.2f}",
        f"{last.pf:.3f}",
        "" if last.pf_measured is None else f"{last.pf_measured:.3f}",
        f"{last.pm:.3f}",
        f"{last.weight:.3f}",
        ", ".join(flags),
    ]


def burst_lines(bursts: list[Burst]) -> list[str]:
    """Bursts as lines of text, the first LISTED_BURSTS of them."""
    lines = [
        f"{burst.start_s * 1e3:10.1f} - {burst.end_s * 1e3:.1f} ms  "
        f"{burst.low_hz / 1e6:.4f} - {burst.high_hz / 1e6:.4f} MHz  {burst.snr_db:.0f} dB"
        for burst in bursts[:LISTED_BURSTS]
    ]
    hidden = len(bursts) - len(lines)
    return [*lines, f"           and {hidden} more (--bursts --json lists all)"] if hidden > 0 else lines
