"""From blocks of IQ to channel reports: the sensor as a value that is fed and answers.

No clock, no randomness and no sending in here: a replay gives the same reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from sensing.power import bin_ranges, interval_energies, plan_frames
from sensing.raster import band_raster
from sensing.source import IqArray, IqBlock, IqSource, Tuning
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.units import db_from_linear


@dataclass(frozen=True, slots=True)
class SensorConfig:
    """Everything a sensor needs to know.

    subchannels: what to report on; None for the raster that fills the captured band. interval_s: sensing interval.
    pf, pm: the largest tolerated error probabilities (design pair). warmup_s: what is gathered before the first
    report, so that the first reports rest on a floor too; reports then follow for everything gathered.
    """

    tuning: Tuning
    name: str = "sensor"
    subchannels: tuple[Subchannel, ...] | None = None
    interval_s: float = 0.010
    pf: float = 0.2
    pm: float = 0.1
    warmup_s: float = 0.5


class Sensor:
    """Fed with blocks in order, answers with the reports of every sensing interval that they complete."""

    def __init__(self, config: SensorConfig) -> None:
        self.config = config
        self.subchannels = (
            band_raster(config.tuning.center_hz, config.tuning.rate_hz)
            if config.subchannels is None
            else config.subchannels
        )
        if not self.subchannels:
            raise BadInput("no subchannel fits into the captured band")
        self.frames = plan_frames(config.tuning.rate_hz, config.interval_s)
        self._bins = bin_ranges(self.frames, config.tuning, self.subchannels)
        self._carry = _Carry()
        self._energies: list[tuple[float, NDArray[np.float64]]] = []
        self._floor: NDArray[np.float64] | None = None

    def feed(self, block: IqBlock) -> list[ChannelReport]:
        """Reports of the intervals that this block completes, by time then subchannel; often none, sometimes many."""
        samples, time_s = self._carry.join(block, self.frames.interval_samples, self.config.tuning.rate_hz)
        energies = interval_energies(samples, self.frames, self._bins)
        times_s = time_s + np.arange(len(energies)) * self.frames.interval_s
        self._energies.extend(zip(times_s.tolist(), energies, strict=True))
        if self._floor is None and len(self._energies) * self.frames.interval_s < self.config.warmup_s:
            return []
        return self.flush()

    def flush(self) -> list[ChannelReport]:
        """At the end of a stream: reports of what was gathered and not yet answered. A part of an interval is lost."""
        waiting, self._energies = self._energies, []
        if not waiting:
            return []
        if self._floor is None:
            self._floor = np.median([energies for _, energies in waiting], axis=0)
        return [report for time_s, energies in waiting for report in self._reports(time_s, energies)]

    def _reports(self, time_s: float, energies: NDArray[np.float64]) -> Iterator[ChannelReport]:
        assert self._floor is not None
        config = self.config
        for subchannel, energy, noise in zip(self.subchannels, energies, self._floor, strict=True):
            samples = 0.91 * subchannel.bandwidth_hz * self.frames.interval_s
            threshold = noise * (1.0 + float(norm.isf(config.pf)) / math.sqrt(samples))
            yield ChannelReport(
                sensor=config.name,
                time_s=time_s,
                interval_s=self.frames.interval_s,
                subchannel_hz=subchannel.center_hz,
                bandwidth_hz=subchannel.bandwidth_hz,
                energy_dbfs=db_from_linear(energy),
                noise_dbfs=db_from_linear(noise),
                threshold_dbfs=db_from_linear(threshold),
                snr_db=db_from_linear(energy / noise - 1.0) if energy > noise else None,
                pf=config.pf,
                pm=config.pm,
                busy=bool(energy >= threshold),
                occupancy=0.5,
                weight=0.5 * (config.pf + config.pm),
            )


class _Carry:
    """Samples after the last whole interval, kept until the next block; dropped where samples are missing between."""

    def __init__(self) -> None:
        self._samples: IqArray | None = None
        self._next_sample = 0

    def join(self, block: IqBlock, interval_samples: int, rate_hz: float) -> tuple[IqArray, float]:
        """Carried samples and the block's in one array, and the time of its first sample."""
        samples, time_s = block.samples, block.time_s
        per_sample = 2 if samples.dtype == np.uint8 else 1
        if self._samples is not None and block.first_sample == self._next_sample:
            time_s -= self._samples.size / per_sample / rate_hz
            samples = np.concatenate([self._samples, samples])
        whole = samples.size // (interval_samples * per_sample) * interval_samples * per_sample
        self._samples = samples[whole:].copy()
        self._next_sample = block.first_sample + block.count
        return samples[:whole], time_s


def sense(source: IqSource, config: SensorConfig) -> Iterator[ChannelReport]:
    """All reports of a source, from its first block to its end."""
    sensor = Sensor(config)
    for block in source.blocks():
        yield from sensor.feed(block)
    yield from sensor.flush()
