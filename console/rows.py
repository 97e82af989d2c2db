"""The rows that sensors keep (sensing.waterfall), as the console reads them, and which resolution serves a question."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from channel_status import records
from channel_status.protocol import STREAM_LENGTH, ChannelStatusDatabase
from sensing.waterfall import DIGEST, KEPT, LIVE
from spectrum.errors import BadInput
from spectrum.report import ChannelReport

# Rows of one sensor that one question reads: all that is kept of one resolution.
MOST_ROWS: Final = 2_500
PAGE: Final = 500
# A row comes into its stream after its time, with the reports that belong to it.
LATE_S: Final = 15.0


class Row(msgspec.Struct, frozen=True):
    """One row; the levels stay as they are until they are needed. cells: see sensing.waterfall.DIGEST."""

    sensor: str
    time_s: float
    interval_s: float
    levels: str | None = None
    center_hz: float | None = None
    span_hz: float | None = None
    floor_dbfs: float | None = None
    step_db: float | None = None
    bins: int | None = None
    flags: list[str] = []
    gain_db: float | None = None
    clipping: float | None = None
    cells: list[tuple[Any, ...]] = []

    @property
    def end_s(self) -> float:
        """End of its time."""
        return self.time_s + self.interval_s

    def cell(self, values: Sequence[Any]) -> dict[str, Any]:
        """One subchannel's digest by name."""
        return dict(zip(DIGEST, values, strict=True))

    def as_reports(self) -> list[ChannelReport]:
        """The digest as if it were one long interval: mean energy against the threshold."""
        return [_report(self, self.cell(values)) for values in self.cells]


_decoder: Final = msgspec.json.Decoder(Row)


@dataclass(frozen=True, slots=True)
class Resolution:
    """One of the kept lengths of rows. stream: its name before the colon; reach_s: how far it goes back when full."""

    stream: str
    interval_s: float

    @property
    def reach_s(self) -> float:
        """How long its rows are kept at least."""
        return STREAM_LENGTH[self.stream] * self.interval_s


RESOLUTIONS: Final = tuple(Resolution(stream, length_s) for stream, length_s in (LIVE, *KEPT))
HISTORY_S: Final = max(resolution.reach_s for resolution in RESOLUTIONS)


def span(from_s: float | None, to_s: float | None, now_s: float, default_s: float) -> tuple[float, float]:
    """The time a question is about, inside what is kept; BadInput when it ends before it starts."""
    to_s = now_s if to_s is None else min(to_s, now_s)
    from_s = to_s - default_s if from_s is None else from_s
    if not from_s < to_s:
        raise BadInput(f"from_s must be before to_s and before now, got {from_s:g} and {to_s:g}")
    return max(from_s, now_s - 2.0 * HISTORY_S, 0.0), to_s


def resolution_for(from_s: float, to_s: float, now_s: float, among: Sequence[Resolution], most: int) -> Resolution:
    """The finest that still reaches back to from_s and does not take more than `most` rows."""
    for resolution in among:
        if now_s - from_s <= resolution.reach_s and (to_s - from_s) / resolution.interval_s <= most:
            return resolution
    return among[-1]


def rows_between(
    database: ChannelStatusDatabase, site: str, sensor: str, resolution: Resolution, from_s: float, to_s: float
) -> Iterator[Row]:
    """Rows of one sensor that overlap [from_s, to_s), oldest first; no more than MOST_ROWS."""
    stream, place = f"{resolution.stream}:{sensor}", records.entry_id_at(from_s)
    read = 0
    while read < MOST_ROWS:
        page = database.read(site, stream, place, PAGE)
        for entry in page:
            row = row_of(entry.value)
            if row is None or row.end_s <= from_s:
                continue
            if row.time_s >= to_s:
                return
            yield row
        read += len(page)
        if len(page) < PAGE:
            return
        place = page[-1].entry_id


def row_at(database: ChannelStatusDatabase, site: str, sensor: str, at_s: float, longest_s: float) -> Row | None:
    """The finest digest that was complete at `at_s` and not older than longest_s; None when nothing is kept."""
    best: Row | None = None
    for stream, interval_s in KEPT:
        before = records.entry_id_at(at_s + LATE_S)
        count = int((LATE_S + longest_s) / interval_s) + 2
        for entry in database.read_newest(site, f"{stream}:{sensor}", before, count):
            row = row_of(entry.value)
            if row is not None and row.end_s <= at_s + 1e-6:
                if at_s - row.end_s <= longest_s and (best is None or row.end_s > best.end_s):
                    best = row
                break
    return best


def lately_of(rows: Iterable[Row], now_s: float) -> dict[str, tuple[float, float]]:
    """Peak and share of busy intervals by subchannel, the strongest of the rows that are not older than LATE_S."""
    found: dict[str, tuple[float, float]] = {}
    for row in rows:
        for values in row.cells if now_s - row.end_s <= LATE_S else ():
            cell = row.cell(values)
            peak, share = found.get(cell["key"], (-math.inf, 0.0))
            found[cell["key"]] = max(peak, cell["peak_dbfs"]), max(share, cell["busy_share"])
    return found


def row_of(value: bytes) -> Row | None:
    """The row in a stream's entry; None for what is none."""
    try:
        return _decoder.decode(value)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


def held(rows: Sequence[Row], most: int) -> list[dict[str, Any]]:
    """Rows with levels for a page, at most `most`: neighbours are merged to the strongest of each bin."""
    shown = [row for row in rows if row.levels is not None]
    group = -(-len(shown) // most) if shown else 1
    merged = []
    for start in range(0, len(shown), group):
        part = [row for row in shown[start : start + group] if row.bins == shown[start].bins]
        first = part[0]
        levels = np.max([np.frombuffer(base64.b64decode(row.levels or ""), np.uint8) for row in part], axis=0)
        merged.append(
            {
                "sensor": first.sensor, "time_s": first.time_s, "interval_s": round(part[-1].end_s - first.time_s, 3),
                "center_hz": first.center_hz, "span_hz": first.span_hz, "floor_dbfs": first.floor_dbfs,
                "step_db": first.step_db, "bins": first.bins, "levels": base64.b64encode(levels.tobytes()).decode(),
            }
        )  # fmt: skip
    return merged


def _report(row: Row, cell: dict[str, Any]) -> ChannelReport:
    subchannel = records.subchannel_of(cell["key"])
    noise, threshold = (-200.0 if cell[name] is None else cell[name] for name in ("noise_dbfs", "threshold_dbfs"))
    return ChannelReport(
        row.sensor, row.time_s, row.interval_s, subchannel.center_hz, subchannel.bandwidth_hz, cell["mean_dbfs"],
        noise, threshold, None, cell["pf"], cell["pm"], cell["mean_dbfs"] >= threshold, cell["occupancy"],
        cell["pm"] * cell["occupancy"] + cell["pf"] * (1.0 - cell["occupancy"]), cell["occupancy_low"],
        cell["occupancy_high"], cell["pf_measured"], None, tuple(row.flags), gain_db=row.gain_db,
    )  # fmt: skip
