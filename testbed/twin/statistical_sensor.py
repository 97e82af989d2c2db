"""A sensor without waveforms: energies drawn from the law of the energy detector, judged by the detector itself.

What a subchannel's energy would be in an interval follows from the air by the same link budget that gateways have; its
scatter is chi-square with the effective samples of the real sensor, noncentral by the signal's SNR. Floor, threshold,
Pf, Pm and occupancy come from `sensing.detector`. What it leaves out: correlation between cells that overlap, and the
dongle's impairments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensing.detector import Decisions, Design, Detector
from sensing.power import BIN_HZ, plan_columns, plan_frames
from sensing.raster import band_raster, captured
from sensing.source import Tuning
from sensing.stream import report_columns
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.units import linear_from_db, mw_from_dbm
from testbed.twin.air import Transmission, noise_dbm, received_power_dbm
from testbed.twin.scene import Scene, Sensor

Floats = NDArray[np.float64]


class StatisticalSensor:
    """One sensor of a scene. `sense` must be called with ever later times.

    share: of the time that is sensed at all; the memory of the occupancy then spans as many seconds as it should.
    """

    def __init__(self, scene: Scene, sensor: Sensor, share: float = 1.0) -> None:
        self.sensor, self._scene = sensor, scene
        tuning = Tuning(sensor.center_hz, sensor.rate_hz)
        wanted = tuple(sorted((*scene.spectrum.lora, *scene.spectrum.sigfox)))
        band = captured(band_raster(*_pair(tuning)), *_pair(tuning))
        self.subchannels = captured(wanted, *_pair(tuning)) or band
        self._watched = self.subchannels + tuple(cell for cell in band if cell not in set(self.subchannels))
        frames = plan_frames(sensor.rate_hz, sensor.interval_s, BIN_HZ)
        self.interval_s = frames.interval_s
        self.samples = plan_columns(frames, tuning, self._watched).samples
        figure_db = sensor.noise_figure_db
        self._figure_db = scene.propagation.noise_figure_db if figure_db is None else figure_db
        widths_hz = np.array([cell.bandwidth_hz for cell in self._watched])
        offsets = np.array([cell.center_hz - sensor.center_hz for cell in self._watched]) / (sensor.rate_hz / 2.0)
        self._noise_mw = np.array([mw_from_dbm(noise_dbm(width_hz, self._figure_db)) for width_hz in widths_hz])
        self.detector = Detector(
            Design(pf=sensor.pf, pm=sensor.pm, memory_s=share * sensor.memory_s),
            self.interval_s,
            self.samples,
            widths_hz,
            offsets,
        )
        self._rng = np.random.default_rng([scene.seed, sum(sensor.name.encode())])
        self._times_s: list[float] = []

    def signal_mw(self, transmissions: Sequence[Transmission], starts_s: NDArray[np.floating]) -> Floats:
        """Mean signal power, shape (rows, cells): what of each transmission falls into the interval and the cell."""
        power = np.zeros((starts_s.size, len(self._watched)))
        for one in transmissions:
            shared_s = np.minimum(starts_s + self.interval_s, one.end_s) - np.maximum(starts_s, one.start_s)
            shares = np.array([cell.overlap_hz(one.subchannel) for cell in self._watched]) / one.bandwidth_hz
            if shares.any():
                mw = mw_from_dbm(received_power_dbm(self._scene, one, self.sensor))
                power += mw * np.outer(np.clip(shared_s / self.interval_s, 0.0, 1.0), np.minimum(shares, 1.0))
        return power

    def sense(
        self, transmissions: Sequence[Transmission], from_s: float, rows: int, epoch_s: float = 0.0
    ) -> list[ChannelReport]:
        """Reports of `rows` intervals from `from_s` on; none while the detector gathers its first floor.

        epoch_s: when the scene began, for the times of the reports.
        """
        starts_s = from_s + self.interval_s * np.arange(rows)
        snr = self.signal_mw(transmissions, starts_s) / self._noise_mw
        degrees = 2.0 * np.broadcast_to(self.samples, snr.shape)
        # E / sigma^2 with M complex samples: chi-square of 2 M degrees over 2 M, noncentral by 2 M g (notes 1.1)
        energies_mw = self._noise_mw * self._rng.noncentral_chisquare(degrees, degrees * snr) / degrees
        full_scale_mw = linear_from_db(self.sensor.full_scale_dbm)
        self._times_s.extend((starts_s + epoch_s).tolist())
        reports = []
        for decisions in self.detector.feed(energies_mw / full_scale_mw):
            count = len(decisions.energy)
            times_s, self._times_s = self._times_s[:count], self._times_s[count:]
            reports.extend(self._reports(times_s, decisions))
        return reports

    def _reports(self, times_s: Sequence[float], decisions: Decisions) -> list[ChannelReport]:
        cells = zip(*report_columns(decisions, len(self.subchannels)), strict=True)
        return [
            self._report(time_s, subchannel, float(samples), *next(cells))
            for time_s in times_s
            for subchannel, samples in zip(self.subchannels, self.samples, strict=False)
        ]

    def _report(
        self, time_s: float, subchannel: Subchannel, samples: float, energy: float, noise: float, threshold: float,
        snr: float, pf: float, pm: float, busy: float, share: float, weight: float, low: float, high: float,
        quiet_pf: float, heard: float,
    ) -> ChannelReport:  # fmt: skip
        return ChannelReport(
            sensor=self.sensor.name, time_s=time_s, interval_s=self.interval_s,
            subchannel_hz=subchannel.center_hz, bandwidth_hz=subchannel.bandwidth_hz,
            energy_dbfs=energy, noise_dbfs=noise, threshold_dbfs=threshold,
            snr_db=snr if np.isfinite(snr) else None, pf=pf, pm=pm, busy=bool(busy),
            occupancy=share, weight=weight, occupancy_low=low, occupancy_high=high,
            pf_measured=quiet_pf if np.isfinite(quiet_pf) else None,
            energy_dbm=energy + self.sensor.full_scale_dbm, flags=("statistical",),
            signal_snr_db=heard, samples=samples, gain_db=self.sensor.gain_db,
        )  # fmt: skip


def _pair(tuning: Tuning) -> tuple[float, float]:
    return tuning.center_hz, tuning.rate_hz
