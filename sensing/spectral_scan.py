"""The `SPECTRAL SCAN` lines of Semtech's SX1302 packet forwarder as a sensor: histograms of RSSI, one channel a line.

`SPECTRAL SCAN - 867100000 Hz: 0 0 ... 12 1988 0 `: 33 counts. Count i of 0..31 is of readings above offset - 4 i dBm
(and not above the level before), count 32 of those below offset - 124 dBm; the offset is the board's RSSI offset.
A scan takes a reading each 8.2 us through the SX1261's filter of 234.3 kHz. (sx1302_hal: thread_spectral_scan,
sx1261_spectral_scan_get_results, sx1261_set_rx_params.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detector import Design
from sensing.sweeps import EnergyRow, EnergySensor, EnergySensorConfig
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport

LEVELS: Final = 33
STEP_DB: Final = 4.0
READING_S: Final = 8.2e-6
FILTER_HZ: Final = 234.3e3

# The mean of a step's readings lies anywhere in its 4 dB; between histograms of noise it shifts far less.
COARSE_DB: Final = 1.0

# A scan pauses at least a second (pace_s) between channels; for lines without a time.
DEFAULT_PACE_S: Final = 1.0

_LINE: Final = re.compile(r"SPECTRAL SCAN\s*-\s*(\d+)\s*Hz:\s*([\d\s]*)$")
_TIME: Final = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))\s")


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One line. time_s: seconds since the epoch, None where the line carries none. counts: int, shape (33,)."""

    center_hz: float
    counts: NDArray[np.int64]
    time_s: float | None = None

    @property
    def duration_s(self) -> float:
        """How long the readings took."""
        return float(self.counts.sum()) * READING_S

    @property
    def energy(self) -> float:
        """Mean power of the readings, relative to the board's RSSI offset; each taken in the middle of its step."""
        middle_db = -STEP_DB * np.arange(LEVELS, dtype=np.float64) + STEP_DB / 2
        middle_db[0] = 0.0  # the uppermost step is open: its lower end
        middle_db[32] = -STEP_DB * 31 - STEP_DB / 2
        return float(self.counts @ 10.0 ** (middle_db / 10.0) / max(1, self.counts.sum()))


def parse_scan(line: str, place: str = "line") -> Scan | None:
    """The scan in a line of the forwarder's log, None for other lines; a time like journalctl's short-iso may precede.

    BadInput names `place` when the line is a scan but does not hold 33 counts.
    """
    found = _LINE.search(line.rstrip())
    if found is None:
        return None
    counts = np.array(found[2].split(), dtype=np.int64)
    if counts.size != LEVELS or counts.sum() == 0:
        raise BadInput(f"{place}: expected {LEVELS} counts, not all 0, got {counts.size} in {line.strip()[:60]!r}")
    stamp = _TIME.match(line)
    return Scan(float(found[1]), counts, datetime.fromisoformat(stamp[1]).timestamp() if stamp else None)


class SpectralScanSensor:
    """Lines in, reports out: one row for each round over all channels.

    rssi_offset_dbm: the board's (rssi_offset of its SX1261 in global_conf.json); None leaves levels without dBm.
    now: stamps lines that carry no time of their own, for a log that is followed; None counts `pace_s` a line.
    """

    def __init__(
        self,
        *,
        name: str = "sx1302",
        design: Design | None = None,
        rssi_offset_dbm: float | None = None,
        pace_s: float = DEFAULT_PACE_S,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._name = name
        self._design = design or Design(uncertainty_db=COARSE_DB)
        self._offset_dbm, self._pace_s, self._now = rssi_offset_dbm, pace_s, now
        self._sensor: EnergySensor | None = None
        self._channels: tuple[float, ...] = ()
        self._round: dict[float, tuple[float, Scan]] = {}

    def reports(self, lines: Iterable[str], place: str) -> Iterator[ChannelReport]:
        """Reports of all lines, in order; a round ends when its first channel comes again."""
        seen = 0
        for number, line in enumerate(lines, 1):
            scan = parse_scan(line, f"{place}, line {number}")
            if scan is None:
                continue
            if scan.center_hz in self._round:
                yield from self._end_round()
            end_s = scan.time_s if scan.time_s is not None else self._now() if self._now else seen * self._pace_s
            self._round[scan.center_hz] = (end_s, scan)
            seen += 1
        if not seen:
            raise BadInput(f"{place} holds no SPECTRAL SCAN line: set spectral_scan.enable in global_conf.json")
        yield from self._end_round()
        if self._sensor is not None:
            yield from self._sensor.flush()

    def _end_round(self) -> list[ChannelReport]:
        channels = tuple(sorted(self._round))
        scans = [self._round[center_hz] for center_hz in channels]
        self._round = {}
        if self._sensor is None:
            self._begin(channels, scans[0][1])
        if channels != self._channels:
            return []  # a round cut short: at the start or end of a log, or with a downlink in between
        assert self._sensor is not None
        end_s = max(end_s for end_s, _ in scans)
        duration_s = scans[0][1].duration_s
        energies = np.array([scan.energy for _, scan in scans])
        return self._sensor.feed([EnergyRow(end_s - duration_s, duration_s, energies)])

    def _begin(self, channels: tuple[float, ...], scan: Scan) -> None:
        flags = ["coarse_levels", "samples_assumed", "partial_time"]
        flags += ["relative_level"] if self._offset_dbm is None else ["maker_level"]
        subchannels = tuple(Subchannel(center_hz, FILTER_HZ) for center_hz in channels)
        samples = np.full(len(channels), FILTER_HZ * scan.duration_s)
        # Rounds, not scans, follow one another: the detector's windows and memory are in rounds.
        round_s = len(channels) * self._pace_s
        self._channels = channels
        self._sensor = EnergySensor(
            EnergySensorConfig(
                self._name, subchannels, round_s, samples, tuple(flags), self._design, dbm_of_unit=self._offset_dbm
            )
        )
