"""From blocks of IQ to channel reports: the sensor as a value that is fed and answers.

No clock, no randomness and no sending in here: a replay gives the same reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sensing.detector import Decisions, Design, Detector
from sensing.floor import Floats
from sensing.impairments import Impairments, find_impairments, layout, tuning_flags
from sensing.laws import detection_error_weight
from sensing.power import BIN_HZ, EnergyMeter, Frames, Measured, plan_columns, plan_frames
from sensing.raster import band_raster, captured
from sensing.source import IqArray, IqBlock, IqSource, Tuning
from sensing.waterfall import Air, plan_bins
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport

if TYPE_CHECKING:
    from sensing.calibration import Calibration


@dataclass(frozen=True, slots=True)
class SensorConfig:
    """Everything a sensor needs to know.

    subchannels: what to report on; None for the raster that fills the captured band. interval_s: sensing interval.
    bin_hz: width of an FFT bin, narrower than the narrowest subchannel. design: what the detector promises.
    calibration: turns dBFS into dBm and mends the tuned frequency; None leaves both as they are.
    fft: `scipy`, `fftw` or `auto`. spectrum_bins: at most so many bins for people to look at, 0 for none.
    """

    tuning: Tuning
    name: str = "sensor"
    subchannels: tuple[Subchannel, ...] | None = None
    interval_s: float = 0.010
    bin_hz: float = BIN_HZ
    design: Design = field(default_factory=Design)
    calibration: Calibration | None = None
    fft: str = "auto"
    spectrum_bins: int = 0


class Sensor:
    """Fed with blocks in order, answers with the reports of every sensing interval that they complete.

    The floor is always estimated over the whole captured band, also where only few subchannels are reported on: what
    is always on in one of them stands out against the others.
    """

    def __init__(self, config: SensorConfig) -> None:
        self.config = config
        tuning = config.tuning
        ppm = 0.0 if config.calibration is None else config.calibration.ppm
        center_hz = tuning.center_hz * (1.0 + ppm * 1e-6)
        band = captured(band_raster(tuning.center_hz, tuning.rate_hz), center_hz, tuning.rate_hz)
        self.subchannels = band if config.subchannels is None else config.subchannels
        if not self.subchannels:
            raise BadInput(
                f"the captured band of {tuning.rate_hz / 1e3:g} kHz holds no subchannel: expected at least 125 kHz"
            )
        watched = self.subchannels + tuple(sub for sub in band if sub not in set(self.subchannels))
        self.frames: Frames = plan_frames(tuning.rate_hz, config.interval_s, config.bin_hz)
        columns = plan_columns(self.frames, Tuning(center_hz, tuning.rate_hz), watched)
        self.samples = columns.samples[: len(self.subchannels)]
        bins = plan_bins(self.frames, columns, config.spectrum_bins) if config.spectrum_bins else None
        self.spectrum_bins = 0 if bins is None else bins.first.size
        self._meter = EnergyMeter(self.frames, columns, config.fft, bins)
        # What the block fed last held besides its reports: for people to look at, without a verdict.
        self.air: Air | None = None
        centers_hz = np.array([sub.center_hz for sub in watched])
        widths_hz = np.array([sub.bandwidth_hz for sub in watched])
        self.detector = Detector(
            config.design,
            self.frames.interval_s,
            columns.samples,
            widths_hz,
            (centers_hz - center_hz) / (tuning.rate_hz / 2.0),
        )
        self._layout = layout(centers_hz - widths_hz / 2, centers_hz + widths_hz / 2, center_hz, self.frames.bin_hz)
        self._constant_flags = tuning_flags(tuning) + (() if self.detector.thresholds.feasible else ("infeasible",))
        self._offset_db = None if config.calibration is None else config.calibration.offset_db(tuning.gain_db)
        self._carry = _Carry(self.frames.interval_samples, tuning.rate_hz)
        self._unjudged = _Rows.none(len(watched))

    def feed(self, block: IqBlock) -> list[ChannelReport]:
        """Reports of the intervals that this block completes, by time then subchannel; often none, sometimes many."""
        samples, time_s, lost = self._carry.join(block)
        measured = self._meter.measure(samples)
        rows = len(measured.energies)
        if rows == 0:
            self._carry.lost |= lost
            self.air = None
            return []
        times_s = np.asarray(time_s + np.arange(rows) * self.frames.interval_s, dtype=np.float64)
        self.air = Air(times_s, self._meter.shown, measured.clipped) if self.spectrum_bins else None
        after_loss = np.zeros(rows, dtype=np.bool_)
        after_loss[0] = lost
        return self._judge(_Rows(measured, times_s, after_loss), block.samples.dtype == np.uint8, last=False)

    def flush(self) -> list[ChannelReport]:
        """At the end of a stream: reports of what was gathered and not yet answered. A part of an interval is lost."""
        nothing = _Rows.none(self._layout.low_hz.size)
        return self._judge(nothing, self._carry.u8, last=True)

    def _judge(self, rows: _Rows, u8: bool, *, last: bool) -> list[ChannelReport]:
        waiting = self._unjudged.then(rows)
        reports: list[ChannelReport] = []
        for decisions in self.detector.feed(rows.measured.energies, last=last):
            count = len(decisions.energy)
            now, waiting = waiting.split(count)
            flags = find_impairments(
                now.measured,
                decisions.noise,
                decisions.busy,
                self._layout,
                now.after_loss,
                least_samples=float(self.detector.samples.min()),
                u8=u8,
            )
            reports.extend(self._reports(now.times_s, decisions, flags))
        self._unjudged = waiting
        return reports

    def _reports(self, times_s: Floats, decisions: Decisions, impairments: Impairments) -> Iterator[ChannelReport]:
        config, count = self.config, len(self.subchannels)
        flags = _flag_tuples(decisions, impairments, self._constant_flags, count)
        columns = report_columns(decisions, count)
        offset_db = self._offset_db
        interval_s, gain_db = self.frames.interval_s, config.tuning.gain_db
        cells = zip(*columns, strict=True)
        for time_s in times_s.tolist():
            for subchannel, samples in zip(self.subchannels, self.samples.tolist(), strict=True):
                energy, noise, threshold, snr, pf, pm, busy, share, weight, low, high, quiet_pf, heard = next(cells)
                yield ChannelReport(
                    config.name,
                    time_s,
                    interval_s,
                    subchannel.center_hz,
                    subchannel.bandwidth_hz,
                    energy,
                    noise,
                    threshold,
                    None if snr == -math.inf else snr,
                    pf,
                    pm,
                    busy,
                    share,
                    weight,
                    low,
                    high,
                    None if math.isnan(quiet_pf) else quiet_pf,
                    None if offset_db is None else energy + offset_db,
                    next(flags),
                    heard,
                    samples,
                    gain_db,
                )


def sense(source: IqSource, config: SensorConfig) -> Iterator[ChannelReport]:
    """All reports of a source, from its first block to its end."""
    sensor = Sensor(config)
    for block in source.blocks():
        yield from sensor.feed(block)
    yield from sensor.flush()


def report_columns(decisions: Decisions, count: int) -> list[list[float]]:
    """The fields of the reports of R x count cells, each as a flat list in the order of time, then subchannel."""
    cut = np.s_[:, :count]
    energy, noise = decisions.energy[cut], decisions.noise[cut]
    occupancy, pf, pm = decisions.occupancy.value[cut], decisions.pf[cut], decisions.pm[cut]
    values = [
        decibels(energy),
        decibels(noise),
        decibels(decisions.threshold[cut]),
        decibels(energy / noise - 1.0),
        pf,
        pm,
        decisions.busy[cut],
        occupancy,
        detection_error_weight(pf, pm, occupancy),
        decisions.occupancy.low[cut],
        decisions.occupancy.high[cut],
        decisions.quiet_pf[cut],
        decibels(decisions.signal_snr[cut]),
    ]
    return [value.ravel().tolist() for value in values]


def decibels(ratio: Floats) -> Floats:
    """10 log10 of power ratios; minus infinity at and below 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(np.maximum(ratio, 0.0)))


def _flag_tuples(
    decisions: Decisions, impairments: Impairments, constant: tuple[str, ...], count: int
) -> Iterator[tuple[str, ...]]:
    """Flags of each cell in the order of time, then subchannel; the usual case of none costs next to nothing."""
    special = {
        "nonstationary": decisions.nonstationary,
        "always_on": decisions.borrowed,
        **impairments.subchannel,
    }
    receiver = {"floor_held": decisions.held, "few_intervals": decisions.few, **impairments.receiver}
    any_subchannel = np.logical_or.reduce([raised[:, :count] for raised in special.values()])
    any_receiver = np.logical_or.reduce(list(receiver.values()))
    raised_at = (any_subchannel | any_receiver[:, None]).tolist()
    for row, line in enumerate(raised_at):
        of_receiver = constant + tuple(name for name, raised in receiver.items() if raised[row])
        for column, is_raised in enumerate(line):
            if is_raised:
                yield of_receiver + tuple(name for name, raised in special.items() if raised[row, column])
            else:
                yield of_receiver


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Measured intervals with their start times, and whether samples were lost before each."""

    measured: Measured
    times_s: Floats
    after_loss: NDArray[np.bool_]

    @classmethod
    def none(cls, columns: int) -> _Rows:
        empty, complex_empty = np.empty(0), np.empty(0, dtype=np.complex128)
        return cls(
            Measured(np.empty((0, columns)), empty, complex_empty, complex_empty, empty),
            empty,
            np.empty(0, dtype=np.bool_),
        )

    def then(self, more: _Rows) -> _Rows:
        if not len(self.times_s):
            return more
        return _Rows(
            self.measured.then(more.measured),
            np.concatenate([self.times_s, more.times_s]),
            np.concatenate([self.after_loss, more.after_loss]),
        )

    def split(self, count: int) -> tuple[_Rows, _Rows]:
        first, rest = np.s_[:count], np.s_[count:]
        return (
            _Rows(self.measured.rows(first), self.times_s[first], self.after_loss[first]),
            _Rows(self.measured.rows(rest), self.times_s[rest], self.after_loss[rest]),
        )


class _Carry:
    """Samples after the last whole interval, kept until the next block; dropped where samples are missing between."""

    def __init__(self, interval_samples: int, rate_hz: float) -> None:
        self._interval_samples = interval_samples
        self._rate_hz = rate_hz
        self._samples: IqArray | None = None
        self._next_sample: int | None = None
        self._lost_samples = 0
        self.lost = False
        self.u8 = True

    def join(self, block: IqBlock) -> tuple[IqArray, float, bool]:
        """Whole intervals of carried samples and the block's, the time of the first, and whether samples were lost."""
        samples, time_s = block.samples, block.time_s
        self.u8 = samples.dtype == np.uint8
        per_sample = 2 if self.u8 else 1
        gap = self._next_sample is not None and block.first_sample != self._next_sample
        lost = gap or block.lost_samples > self._lost_samples or self.lost
        if self._samples is not None and self._samples.size and not gap:
            time_s -= self._samples.size / per_sample / self._rate_hz
            samples = np.concatenate([self._samples, samples])
        whole = samples.size // (self._interval_samples * per_sample) * self._interval_samples * per_sample
        self._samples = samples[whole:].copy()
        self._next_sample = block.first_sample + block.count
        self._lost_samples = block.lost_samples
        self.lost = False
        return samples[:whole], time_s, lost
