"""rtl_power's CSV as a sensor: one line a hop and interval, powers per bin, summed into subchannels.

A line is `date, time, low Hz, high Hz, step Hz, samples, dB, dB, ...` (rtl_power.c, csv_dbm). Read from its source:
date and time are local, without a zone, and those of the end of the interval; bins are centred on low, low + step, ...;
the last value is written twice; `samples` counts FFTs (times the downsampling, when less than 1 MHz is swept); a value
is 10 log10 of the bin's mean power over the sample rate, in the tool's own units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detector import Design
from sensing.sweeps import UNCERTAINTY_DB, EnergyRow, EnergySensor, EnergySensorConfig
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport

FIELDS: Final = 6
# Where rtl_power switches to downsampling, and what it divides (frequency_range in rtl_power.c).
LEAST_RATE_HZ: Final = 1_000_000
MOST_RATE_HZ: Final = 2_800_000
# rtl_power's own interval unless told otherwise (-i).
DEFAULT_INTERVAL_S: Final = 10.0
# Sweeps that are looked at to learn interval, bins and samples before the first is judged.
FIRST_SWEEPS: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Hop:
    """One line. end_s: seconds since the epoch. power: linear, shape (bins,), bin i centred on low_hz + i step_hz.

    ffts: how many spectra were averaged; rectangular windows without overlap, so each is 1/step_hz of listening.
    """

    end_s: float
    low_hz: float
    step_hz: float
    ffts: float
    power: NDArray[np.float64]


def parse_line(line: str, place: str, zone: tzinfo | None = None) -> Hop:
    """The hop of one line; times are in `zone`, or in this machine's. BadInput names `place`."""
    parts = [part.strip() for part in line.strip().rstrip(",").split(",")]
    try:
        if len(parts) <= FIELDS:
            raise ValueError(f"{len(parts)} fields")
        end_s = datetime.strptime(f"{parts[0]} {parts[1]}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone).timestamp()
        low_hz, high_hz, step_hz, samples = (float(part) for part in parts[2:FIELDS])
        decibels = np.array([float(part) for part in parts[FIELDS:]])
        bins = round((high_hz - low_hz) / step_hz)
        if not step_hz > 0 or not samples > 0 or bins < 1 or len(decibels) < bins:
            raise ValueError(f"{len(decibels)} values for {bins} bins")
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise BadInput(
            f"{place}: expected a line of rtl_power, `date, time, low Hz, high Hz, step Hz, samples, dB, ...`, "
            f"got {line.strip()[:60]!r} ({error})"
        ) from None
    # A bin into which nothing at all fell is written as -inf or nan.
    power = np.power(10.0, np.nan_to_num(decibels[:bins], nan=-300.0, neginf=-300.0) / 10.0)
    span_hz = high_hz - low_hz
    downsampling = int(MOST_RATE_HZ // span_hz) if span_hz < LEAST_RATE_HZ else 1
    return Hop(end_s, low_hz, step_hz, samples / downsampling, power)


def sweeps(lines: Iterable[str], place: str, zone: tzinfo | None = None) -> Iterator[list[Hop]]:
    """Hops of one interval together: those that carry the same time, each frequency once."""
    gathered: list[Hop] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        hop = parse_line(line, f"{place}, line {number}", zone)
        if gathered and (hop.end_s != gathered[0].end_s or hop.low_hz == gathered[0].low_hz):
            yield gathered
            gathered = []
        gathered.append(hop)
    if gathered:
        yield gathered


def shares(hops: list[Hop], subchannels: tuple[Subchannel, ...]) -> list[NDArray[np.float64]]:
    """For each hop the share of each bin in each subchannel, 0..1: shapes (C, bins of the hop)."""
    rows = []
    for hop in hops:
        low_hz = hop.low_hz + (np.arange(hop.power.size) - 0.5) * hop.step_hz
        edges = np.array([[sub.low_hz, sub.high_hz] for sub in subchannels])
        overlap = np.minimum(low_hz + hop.step_hz, edges[:, 1:]) - np.maximum(low_hz, edges[:, :1])
        rows.append(np.clip(overlap / hop.step_hz, 0.0, 1.0))
    return rows


def covered(hops: list[Hop], subchannels: tuple[Subchannel, ...]) -> tuple[Subchannel, ...]:
    """Those subchannels that the hops cover whole."""
    width_hz = sum(
        (share * hop.step_hz).sum(axis=1) for share, hop in zip(shares(hops, subchannels), hops, strict=True)
    )
    return tuple(sub for sub, found_hz in zip(subchannels, width_hz, strict=True) if found_hz >= sub.bandwidth_hz - 1.0)


class RtlPowerSensor:
    """Lines in, reports out. Interval, bins and samples are learnt from the first two sweeps."""

    def __init__(
        self,
        subchannels: tuple[Subchannel, ...],
        *,
        name: str = "rtl_power",
        design: Design | None = None,
        zone: tzinfo | None = None,
    ) -> None:
        self._wanted, self._name, self._zone = subchannels, name, zone
        self._design = design or Design(uncertainty_db=UNCERTAINTY_DB)
        self._sensor: EnergySensor | None = None

    def reports(self, lines: Iterable[str], place: str) -> Iterator[ChannelReport]:
        """Reports of all lines, in order."""
        first: list[list[Hop]] = []
        for hops in sweeps(lines, place, self._zone):
            if self._sensor is None:
                first.append(hops)
                if len(first) < FIRST_SWEEPS:
                    continue
                self._begin(first, place)
                for early in first:
                    yield from self._feed(early)
                continue
            yield from self._feed(hops)
        if self._sensor is None:
            if not first:
                raise BadInput(f"{place} holds no line of rtl_power")
            self._begin(first, place)
            yield from self._feed(first[0])
        assert self._sensor is not None
        yield from self._sensor.flush()

    def _begin(self, first: list[list[Hop]], place: str) -> None:
        hops = first[0]
        subchannels = covered(hops, self._wanted)
        if not subchannels:
            low_hz, high_hz = hops[0].low_hz, hops[-1].low_hz + hops[-1].step_hz * hops[-1].power.size
            raise BadInput(
                f"{place} covers {low_hz / 1e6:g} to {high_hz / 1e6:g} MHz, and no subchannel lies whole in that: "
                "sweep e.g. rtl_power -f 867M:869M:1250 -i 1"
            )
        ends_s = [sweep[0].end_s for sweep in first]
        gap_s = median(b - a for a, b in pairwise(ends_s)) if len(ends_s) > 1 else 0.0
        self._interval_s = gap_s if gap_s > 0 else DEFAULT_INTERVAL_S
        share = shares(hops, subchannels)
        bins = sum(s.sum(axis=1) for s in share)
        ffts = sum((s * hop.ffts).sum(axis=1) for s, hop in zip(share, hops, strict=True)) / bins
        listened_s = float(np.min(ffts)) / hops[0].step_hz
        flags = ["relative_level", "averaged", "samples_assumed"]
        flags += ["partial_time"] if listened_s < 0.8 * self._interval_s else []
        flags += [] if gap_s > 0 else ["interval_assumed"]
        samples = np.maximum(bins * ffts, 1.0)
        self._shares = share
        self._hops = [(hop.low_hz, hop.step_hz, hop.power.size) for hop in hops]
        self._sensor = EnergySensor(
            EnergySensorConfig(self._name, subchannels, self._interval_s, samples, tuple(flags), self._design)
        )

    def _feed(self, hops: list[Hop]) -> list[ChannelReport]:
        assert self._sensor is not None
        if [(hop.low_hz, hop.step_hz, hop.power.size) for hop in hops] != self._hops:
            return []  # a sweep cut short, as at the end of a file still being written
        energies = sum(share @ hop.power for share, hop in zip(self._shares, hops, strict=True))
        start_s = hops[0].end_s - self._interval_s
        return self._sensor.feed([EnergyRow(start_s, self._interval_s, np.asarray(energies))])
