"""Energies without IQ: cells of a scene drawn straight from their laws, to try detectors on hours of air in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensing.detector import Design, Detector
from spectrum.units import linear_from_db

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CellScene:
    """What a sensor with `columns` subchannels of 125 kHz hears, as energies.

    duty: share of the time that bursts of `burst_s` seconds on average are on the air, in each subchannel by itself;
    snr_db: their SNR, drawn anew for each burst between the two. rolloff_db: fall of the gain over the outer eighths
    of the band. drift_db, drift_period_s: the gain swings by +-drift_db. always_on: columns with a carrier.
    """

    duty: float = 0.0
    burst_s: float = 0.1
    snr_db: tuple[float, float] = (0.0, 25.0)
    rolloff_db: float = 0.0
    drift_db: float = 0.0
    drift_period_s: float = 20.0
    always_on: tuple[int, ...] = ()
    carrier_snr_db: float = 10.0
    columns: int = 19
    samples: float = 1146.8
    interval_s: float = 0.010

    @property
    def offset(self) -> Floats:
        """Offsets of the subchannels in halves of the captured band, shape (columns,)."""
        from_middle = np.arange(self.columns, dtype=np.float64) - (self.columns - 1) / 2
        return np.asarray(from_middle * 2.0 / (self.columns + 0.2))

    def gain(self, rows: int) -> Floats:
        """Power gain per row and column, shape (rows, columns)."""
        edge = np.clip((np.abs(self.offset) - 0.75) / 0.25, 0.0, 1.0)
        loss_db = self.rolloff_db * (1.0 - np.cos(np.pi * edge)) / 2.0
        phase = 2.0 * np.pi * np.arange(rows) * self.interval_s / self.drift_period_s
        swing_db = self.drift_db * np.sin(phase)
        return np.asarray(10.0 ** ((swing_db[:, None] - loss_db[None, :]) / 10.0))

    def draw(self, rows: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
        """Energies over a noise power of 1, and which cells hold no signal at all; shapes (rows, columns)."""
        snr = np.zeros((rows, self.columns))
        for column in range(self.columns):
            if self.duty > 0:
                snr[:, column] = self._bursts(rows, rng)
        for column in self.always_on:
            snr[:, column] += linear_from_db(self.carrier_snr_db)
        # A deterministic signal in complex noise: half a noncentral chi-square with 2M degrees of freedom.
        noncentrality = 2.0 * self.samples * snr
        energies = rng.noncentral_chisquare(2.0 * self.samples, noncentrality) / (2.0 * self.samples)
        return energies * self.gain(rows), snr == 0.0

    def _bursts(self, rows: int, rng: np.random.Generator) -> Floats:
        """Mean SNR in each interval of one subchannel: alternating exponential pauses and bursts."""
        pause_s = self.burst_s * (1.0 - self.duty) / self.duty
        total_s = rows * self.interval_s
        count = int(2.0 * total_s / (self.burst_s + pause_s)) + 50
        lengths = np.stack([rng.exponential(pause_s, count), rng.exponential(self.burst_s, count)], axis=1)
        ends = np.cumsum(lengths.ravel())
        levels = np.zeros(2 * count)
        levels[1::2] = 10.0 ** (rng.uniform(*self.snr_db, count) / 10.0)
        # Energy up to each instant is piecewise linear, so its differences are the means over intervals.
        energy = np.concatenate([[0.0], np.cumsum(lengths.ravel() * levels)])
        edges = np.arange(rows + 1) * self.interval_s
        return np.asarray(np.diff(np.interp(edges, np.concatenate([[0.0], ends]), energy)) / self.interval_s)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a detector did on a scene: share of quiet cells called busy, of cells with a signal called idle."""

    quiet_cells: int
    false_alarms: float
    missed: float


def try_detector(scene: CellScene, design: Design, seconds: float, rng: np.random.Generator) -> Trial:
    """Run a detector over `seconds` of a scene and hold it against the truth, column for column."""
    rows = round(seconds / scene.interval_s)
    energies, quiet = scene.draw(rows, rng)
    detector = Detector(
        design,
        scene.interval_s,
        np.full(scene.columns, scene.samples),
        np.full(scene.columns, 125e3),
        scene.offset,
    )
    busy = np.concatenate([decisions.busy for decisions in detector.feed(energies, last=True)])
    loud = ~quiet
    return Trial(
        int(np.count_nonzero(quiet)),
        float(busy[quiet].mean()) if quiet.any() else float("nan"),
        float(1.0 - busy[loud].mean()) if loud.any() else float("nan"),
    )
