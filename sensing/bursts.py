"""Bursts: busy cells of neighbouring subchannels and intervals, put together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sensing.laws import law_named
from spectrum.report import ChannelReport
from spectrum.units import db_from_linear

# A burst needs one cell this far above its own floor, and goes on as far as cells stand out of the noise at all. The
# design Pf, made for not missing anything, would strew false bursts over the list.
BURST_SNR_DB: Final = 6.0
EDGE_PF: Final = 1e-3
# Where the noise swings by itself, its law says little: 3 dB above the floor.
SWINGING_EDGE_SNR_DB: Final = 0.0
# Pauses up to this long stay inside a burst: keyed signals, and single cells that a fade took.
PAUSE_S: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Burst:
    """Something on the air from start_s to end_s between low_hz and high_hz; snr_db of its strongest cell.

    Known to within a sensing interval in time and a subchannel in frequency.
    """

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    snr_db: float

    def with_cells(self, cells: Burst) -> Burst:
        """Both together."""
        return Burst(
            min(self.start_s, cells.start_s),
            max(self.end_s, cells.end_s),
            min(self.low_hz, cells.low_hz),
            max(self.high_hz, cells.high_hz),
            max(self.snr_db, cells.snr_db),
        )


class BurstFinder:
    """Fed with reports in their order, answers with the bursts that have ended by then."""

    def __init__(self, least_snr_db: float = BURST_SNR_DB, pause_s: float = PAUSE_S) -> None:
        self._least_snr_db = least_snr_db
        self._pause_s = pause_s
        self._open: list[Burst] = []

    def feed(self, reports: Iterable[ChannelReport]) -> Iterator[Burst]:
        """Bursts that ended before these reports did. The reports of one interval come together."""
        strong: list[Burst] = []
        time_s = None
        for report in reports:
            if report.time_s != time_s:
                if time_s is not None:
                    yield from self._advance(time_s, strong)
                time_s, strong = report.time_s, []
            if _belongs(report):
                half_hz = report.bandwidth_hz / 2
                strong.append(
                    Burst(
                        report.time_s,
                        report.time_s + report.interval_s,
                        report.subchannel_hz - half_hz,
                        report.subchannel_hz + half_hz,
                        report.snr_db or 0.0,
                    )
                )
        if time_s is not None:
            yield from self._advance(time_s, strong)

    def flush(self) -> Iterator[Burst]:
        """Bursts still on the air at the end of the stream."""
        yield from self._strong_enough(sorted(self._open, key=lambda burst: burst.start_s))
        self._open = []

    def _strong_enough(self, bursts: list[Burst]) -> Iterator[Burst]:
        return (burst for burst in bursts if burst.snr_db >= self._least_snr_db)

    def _advance(self, time_s: float, strong: list[Burst]) -> Iterator[Burst]:
        """Join the cells of one interval to the open bursts that they touch, or open new ones."""
        going_on: list[Burst] = []
        for burst in self._open:
            if burst.end_s + self._pause_s < time_s - 1e-9:
                yield from self._strong_enough([burst])
            else:
                going_on.append(burst)
        for cell in strong:
            touching = [burst for burst in going_on if _touch(burst, cell)]
            merged = cell
            for burst in touching:
                merged = merged.with_cells(burst)
            going_on = [burst for burst in going_on if burst not in touching] + [merged]
        self._open = going_on


def _belongs(report: ChannelReport) -> bool:
    """Whether a cell may be part of a burst: above what noise does, and not what a stronger signal left in it."""
    if report.snr_db is None or "leakage" in report.flags:
        return False
    edge_db = _edge_snr_db(report.samples or 1.0)
    return report.snr_db >= (max(edge_db, SWINGING_EDGE_SNR_DB) if "nonstationary" in report.flags else edge_db)


@lru_cache(maxsize=64)
def _edge_snr_db(samples: float) -> float:
    """SNR that noise alone shows in one cell of 1/EDGE_PF."""
    return db_from_linear(float(law_named("exact").ratio_for_pf(EDGE_PF, samples)) - 1.0)


def _touch(burst: Burst, cell: Burst) -> bool:
    margin_hz = 1e-3 * (cell.high_hz - cell.low_hz)
    return burst.low_hz <= cell.high_hz + margin_hz and cell.low_hz <= burst.high_hz + margin_hz
