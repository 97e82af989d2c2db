"""Rows of a waterfall and digests of reports: what a sensor keeps of its spectrum for people, at three resolutions.

Rows hold the strongest level of each bin within their time, one byte a bin; digests hold for each subchannel the peak
and mean energy, the share of busy intervals, and the newest word on noise, threshold, errors and occupancy. Pure: fed
with what was measured, answers with what is to be appended to which stream.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from channel_status import records
from sensing.power import Columns, Frames
from sensing.source import Tuning
from spectrum.report import ChannelReport
from spectrum.units import linear_from_db

Floats = NDArray[np.float64]

# One byte a bin: from far below the noise of a bin of a dongle (-50 dBFS at 5 kHz) to a little above full scale.
FLOOR_DBFS: Final = -120.0
STEP_DB: Final = 0.5
# Below the floor: what a bin without any energy is taken for.
SILENT: Final = 1e-13

# Stream and length of its rows in seconds.
LIVE: Final = ("spectrum-100ms", 0.1)
KEPT: Final = (("spectrum-1s", 1.0), ("spectrum-10s", 10.0))

# Rows that may wait for the reports of their time; older ones go without.
MOST_OPEN: Final = 8

Told = list[tuple[str, bytes]]


def plan_bins(frames: Frames, columns: Columns, most: int) -> Columns:
    """At most `most` bins of about the same width over the whole capture, as columns for the meter.

    Masked DC bins are made up for; a bin that holds nothing else is as strong as the one below it.
    """
    count = min(most, frames.points // -(-frames.points // most))
    edges = np.round(np.linspace(0, frames.points, count + 1)).astype(np.int64)
    first, last = edges[:-1].copy(), edges[1:].copy()
    used = np.add.reduceat(columns.kept.astype(np.int64), first)
    for empty in np.flatnonzero(used == 0):
        first[empty], last[empty], used[empty] = first[empty - 1], last[empty - 1], used[empty - 1]
    # To the nominal width, so that bins of three and of four FFT bins are alike under flat noise.
    scale = frames.points / count / used
    return Columns(first, last, columns.kept, scale, np.ones(count))


@dataclass(frozen=True, slots=True, eq=False)
class Air:
    """What some intervals held besides reports. times_s: shape (T,); bins: power, shape (T, B); clipped: shape (T,)."""

    times_s: Floats
    bins: Floats
    clipped: Floats


@dataclass(slots=True)
class _Cell:
    """One subchannel within one row's time."""

    last: ChannelReport
    peak_dbfs: float = -400.0
    power: float = 0.0
    busy: int = 0
    intervals: int = 0

    def add(self, report: ChannelReport) -> None:
        self.last = report
        self.peak_dbfs = max(self.peak_dbfs, report.energy_dbfs)
        self.power += linear_from_db(report.energy_dbfs)
        self.busy += report.busy
        self.intervals += 1

    def as_json(self) -> list[Any]:
        """As DIGEST names it."""
        last = self.last
        mean_dbfs = 10.0 * np.log10(max(self.power / self.intervals, 1e-40))
        return [
            records.subchannel_key(last.subchannel), round(self.peak_dbfs, 2), round(float(mean_dbfs), 2),
            _rounded(last.noise_dbfs, 2), _rounded(last.threshold_dbfs, 2), round(self.busy / self.intervals, 4),
            round(last.occupancy, 5), round(last.occupancy_low, 5), round(last.occupancy_high, 5),
            round(last.pf, 5), round(last.pm, 5), None if last.pf_measured is None else round(last.pf_measured, 5),
        ]  # fmt: skip


DIGEST: Final = (
    "key", "peak_dbfs", "mean_dbfs", "noise_dbfs", "threshold_dbfs", "busy_share", "occupancy", "occupancy_low",
    "occupancy_high", "pf", "pm", "pf_measured",
)  # fmt: skip


@dataclass(slots=True)
class _Slot:
    """One row's time while it fills: [number * length_s, ...)."""

    number: int
    bins: Floats | None = None
    clipped: float = 0.0
    cells: dict[float, _Cell] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)


class Waterfall:
    """Gathers one sensor's rows. Levels may run ahead of the reports of the same time by a second or two.

    tuning: None for a sensor that reports without samples; its rows are digests alone.
    """

    def __init__(self, sensor: str, tuning: Tuning | None, bins: int) -> None:
        self._named = {"sensor": sensor}
        self._gain_db = None if tuning is None else tuning.gain_db
        self._tuned: dict[str, Any] = {} if tuning is None else {
            "center_hz": tuning.center_hz, "span_hz": tuning.rate_hz, "floor_dbfs": FLOOR_DBFS, "step_db": STEP_DB,
            "bins": bins,
        }  # fmt: skip
        self._live: _Slot | None = None
        self._kept: list[dict[int, _Slot]] = [{} for _ in KEPT]

    def see(self, air: Air) -> Told:
        """Take in what some intervals held; answers with the live rows that are complete."""
        told: Told = []
        stream, length_s = LIVE
        # A hair more than its start, so that an interval at the very edge falls where it belongs.
        numbers = np.floor(air.times_s / length_s + 1e-6).astype(np.int64)
        for number in np.unique(numbers).tolist():
            these = numbers == number
            strongest, clipped = air.bins[these].max(axis=0), float(air.clipped[these].max())
            if self._live is not None and self._live.number != number:
                told.append((stream, self._row(self._live, length_s, with_cells=False)))
                self._live = None
            if self._live is None:
                self._live = _Slot(number)
            _hold(self._live, strongest, clipped)
            for slots, (_, kept_s) in zip(self._kept, KEPT, strict=True):
                kept = int(number * length_s / kept_s + 1e-6)
                _hold(slots.setdefault(kept, _Slot(kept)), strongest, clipped)
        return told

    def judge(self, reports: Sequence[ChannelReport]) -> Told:
        """Take in reports, oldest first; answers with the rows whose time they have passed."""
        told: Told = []
        for slots, (stream, length_s) in zip(self._kept, KEPT, strict=True):
            for report in reports:
                number = int(report.time_s / length_s + 1e-6)
                slot = slots.get(number)
                if slot is None:
                    slot = slots[number] = _Slot(number)
                cell = slot.cells.get(report.subchannel_hz)
                if cell is None:
                    cell = slot.cells[report.subchannel_hz] = _Cell(report)
                cell.add(report)
                if report.flags:
                    slot.flags.update(report.flags)
            newest = int(reports[-1].time_s / length_s + 1e-6) if reports else 0
            passed = sorted(slots)[:-MOST_OPEN] + [number for number in sorted(slots)[-MOST_OPEN:] if number < newest]
            told += [(stream, self._row(slots.pop(number), length_s, with_cells=True)) for number in passed]
        return told

    def _row(self, slot: _Slot, length_s: float, *, with_cells: bool) -> bytes:
        row: dict[str, Any] = self._named | {"time_s": round(slot.number * length_s, 3), "interval_s": length_s}
        if slot.bins is not None:
            row |= self._tuned | {"levels": base64.b64encode(levels_of(slot.bins)).decode()}
        if with_cells:
            row |= {
                "flags": sorted(slot.flags), "gain_db": self._gain_db, "clipping": round(slot.clipped, 6),
                "cells": [cell.as_json() for _, cell in sorted(slot.cells.items())],
            }  # fmt: skip
        return records.encode(row)


def levels_of(power: Floats) -> bytes:
    """Powers as one byte a bin: (level - FLOOR_DBFS) / STEP_DB, held within 0 to 255."""
    levels = (10.0 * np.log10(np.maximum(power, SILENT)) - FLOOR_DBFS) / STEP_DB
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8).tobytes()


def _hold(slot: _Slot, strongest: Floats, clipped: float) -> None:
    slot.bins = strongest if slot.bins is None else np.maximum(slot.bins, strongest)
    slot.clipped = max(slot.clipped, clipped)


def _rounded(level_dbfs: float, digits: int) -> float | None:
    return round(level_dbfs, digits) if np.isfinite(level_dbfs) else None
