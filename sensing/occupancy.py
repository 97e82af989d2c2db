"""Pr(H1): the share of busy intervals, freed of what the detector's own errors add and take away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Two-sided 95 %.
NORMAL_95: Final = 1.959964
# A signal is taken as heard only when chance would show as much once in 30,000 looks: there are many looks.
CERTAIN: Final = 4.0
# A detector whose Pf and Pm add up to nearly one says nothing about the occupancy.
LEAST_POWER: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Occupancy:
    """Pr(H1) with its 95 % interval; arrays of one shape."""

    value: Floats
    low: Floats
    high: Floats


def rogan_gladen(busy_share: ArrayLike, pf: ArrayLike, pm: ArrayLike) -> Floats:
    """Pr(H1) = (busy share - Pf) / (1 - Pf - Pm), clipped to [0, 1] (Rogan and Gladen 1978)."""
    power = np.maximum(1.0 - np.asarray(pf) - np.asarray(pm), LEAST_POWER)
    return np.asarray(np.clip((np.asarray(busy_share) - np.asarray(pf)) / power, 0.0, 1.0))


def wilson(share: ArrayLike, trials: ArrayLike, z: float = NORMAL_95) -> tuple[Floats, Floats]:
    """Interval of z standard errors of a share seen in `trials` independent trials (Wilson 1927)."""
    p, n = np.asarray(share, dtype=np.float64), np.maximum(np.asarray(trials, dtype=np.float64), 1e-9)
    z2 = z * z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * np.sqrt(np.maximum(p * (1 - p) / n + z2 / (4 * n * n), 0.0)) / (1 + z2 / n)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


class OccupancyMemory:
    """Exponential memory of one detector's decisions: each interval weighs `decay` times the next.

    Bursts longer than an interval make decisions alike, so the number of independent ones behind the interval of
    confidence is reduced by their correlation from one interval to the next.
    """

    def __init__(self, columns: int, decay: float) -> None:
        self._decay = decay
        self._sums = np.zeros((3, columns))  # of busy, of busy twice in a row, of energy/noise - 1
        self._weight = 0.0  # sum of the weights
        self._square_weight = 0.0
        self._previous = np.zeros(columns)

    def update(self, busy: NDArray[np.bool_], excess: Floats, pf: Floats, pm: Floats) -> Occupancy:
        """Take in rows of decisions, shape (R, C), excess = energy/noise - 1; occupancy after each row."""
        rows = len(busy)
        ones = busy.astype(np.float64)
        before = np.concatenate([self._previous[None, :], ones[:-1]]) if rows else ones
        values = np.stack([ones, ones * before, excess], axis=1)
        sums = np.empty_like(values)
        weights = np.empty((rows, 2))
        decay = self._decay
        for row in range(rows):
            self._sums = self._sums * decay + values[row]
            self._weight = self._weight * decay + 1.0
            self._square_weight = self._square_weight * decay * decay + 1.0
            sums[row] = self._sums
            weights[row] = self._weight, self._square_weight
        if rows:
            self._previous = ones[-1]
        share = sums[:, 0] / weights[:, :1]
        trials = self._independent(share, sums[:, 1] / weights[:, :1], weights[:, :1] ** 2 / weights[:, 1:])
        low, high = wilson(share, trials)
        return Occupancy(rogan_gladen(share, pf, pm), rogan_gladen(low, pf, pm), rogan_gladen(high, pf, pm))

    def mean_snr(self, pf: Floats, pm: Floats) -> Floats:
        """Mean SNR (linear) of the signals heard, shape (C,): mean excess over Pr(H1); NaN where none is certain."""
        if self._weight == 0.0:
            return np.full(self._previous.size, math.nan)
        busy, twice, excess = self._sums / self._weight
        trials = self._independent(busy, twice, self._weight**2 / self._square_weight)
        low, _ = wilson(busy, trials, CERTAIN)
        certain = (rogan_gladen(low, pf, pm) > 0.0) & (excess > 0.0)
        return np.where(certain, excess / np.maximum(rogan_gladen(busy, pf, pm), 1e-9), math.nan)

    @staticmethod
    def _independent(share: Floats, twice: Floats, trials: Floats | float) -> Floats:
        variance = share * (1.0 - share)
        correlation = np.clip((twice - share**2) / np.maximum(variance, 1e-12), 0.0, 0.99)
        return np.asarray(trials * (1.0 - correlation) / (1.0 + correlation))
