"""Regression for labelled streams: Normalised Harmonics Mean, paper E of the thesis, algorithm 1 with its errata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Relative change of the period below which the iteration has converged; and the most rounds it may take.
CONVERGED: Final = 1e-10
MAX_ROUNDS: Final = 200

Start = Literal["min", "mean"]


@dataclass(frozen=True, slots=True)
class Regression:
    """Outcome of NHM: the period and, for each gap, how many periods it spans."""

    period_s: float
    orders: NDArray[np.int64]

    @property
    def transmitted(self) -> int:
        """n = 1 + sum of eta: reports sent from the first reception to the last."""
        return 1 + int(self.orders.sum())

    @property
    def outage(self) -> float:
        """p* = (n - M)/n with M = number of gaps + 1."""
        return 1.0 - (self.orders.size + 1) / self.transmitted


def nhm(times_s: NDArray[np.float64], start: Start = "min", period_s: float | None = None) -> Regression:
    """Normalised Harmonics Mean of one application's reception times (ascending, seconds, at least two).

    Repeats eta = max(1, nearest integer(dT/alpha)) (eq. E.8, rounding instead of floor) and alpha = mean(dT/eta) over
    the M-1 gaps (eq. E.9). `start`: from the smallest gap (default) or, as printed, from the mean gap, which settles on
    a multiple of the period when outage is high. `period_s`: start there instead, which is the online form.
    """
    import numpy as np

    gaps = np.diff(times_s)
    gaps = gaps[gaps > 0]
    if gaps.size == 0:
        raise ValueError("expected at least two receptions at different times")
    alpha = period_s or float(gaps.min() if start == "min" else gaps.mean())
    orders = _orders(gaps, alpha)
    for _ in range(MAX_ROUNDS):
        renewed = float(np.mean(gaps / orders))
        orders = _orders(gaps, renewed)
        if abs(renewed - alpha) <= CONVERGED * alpha:
            break
        alpha = renewed
    return Regression(renewed, orders)


def _orders(gaps_s: NDArray[np.float64], period_s: float) -> NDArray[np.int64]:
    import numpy as np

    return np.maximum(1, np.rint(gaps_s / period_s)).astype(np.int64)
