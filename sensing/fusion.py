"""Several sensors, one verdict: hard rules (OR, AND, K of N), soft combining, and the error probabilities of both.

All of it assumes that, given the truth, the sensors err independently of one another: true for their noise, not for a
signal that all of them hear through the same fading. Pure functions, no clock and no state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import gammaincc

from spectrum.errors import BadInput

Signal = Literal["deterministic", "gaussian"]

# Terms of the inversion: the last ones must be below TERM_LEAST; a sum with less freedom than one chi-square of two
# degrees decays too slowly for that within TERMS_MOST.
TERM_LEAST: Final = 1e-14
TERMS_MOST: Final = 1 << 20

# exp(-36) = 2e-16: what the tails hold beyond the range that the inversion covers.
TAIL_EXPONENT: Final = 36.0


@dataclass(frozen=True, slots=True)
class FusedErrors:
    """Error probabilities of a fused verdict: pf of declaring idle air busy, pm of declaring busy air idle."""

    pf: float
    pm: float


def poisson_binomial(probabilities: ArrayLike) -> NDArray[np.float64]:
    """P[exactly k of N independent events happen], k = 0..N, for N unequal probabilities: float64, shape (N+1,).

    By convolution, one event after another: every term is a sum of positive products, so small ones keep their digits.
    """
    pmf = np.ones(1)
    for probability in _probabilities(probabilities, "a probability"):
        pmf = np.convolve(pmf, [1.0 - probability, probability])
    return pmf


def _probabilities(values: ArrayLike, what: str) -> NDArray[np.float64]:
    array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if array.size == 0:
        raise BadInput("fusion needs at least one sensor, got none")
    if np.any(array < 0.0) or np.any(array > 1.0) or np.any(np.isnan(array)):
        raise BadInput(f"{what} is 0 to 1, got {array[(array < 0) | (array > 1) | np.isnan(array)][0]}")
    return array


# ---- hard decisions ----


def k_of_n(pf: ArrayLike, pm: ArrayLike, k: int) -> FusedErrors:
    """Errors of "busy when at least k of N sensors say so", exact for sensors of unequal pf and pm, shape (N,) each."""
    pf, pm = _probabilities(pf, "Pf"), _probabilities(pm, "Pm")
    if pf.size != pm.size:
        raise BadInput(f"every sensor has a Pf and a Pm: got {pf.size} and {pm.size}")
    if not 1 <= k <= pf.size:
        raise BadInput(f"K of N needs 1 <= K <= N, got K = {k} of N = {pf.size}")
    return FusedErrors(float(poisson_binomial(pf)[k:].sum()), float(poisson_binomial(1.0 - pm)[:k].sum()))


def either(pf: ArrayLike, pm: ArrayLike) -> FusedErrors:
    """OR: one sensor is enough. Protects the one who is on the air; Pf grows with every sensor."""
    return k_of_n(pf, pm, 1)


def every(pf: ArrayLike, pm: ArrayLike) -> FusedErrors:
    """AND: all sensors must agree. Protects the chance to send; Pm grows with every sensor."""
    return k_of_n(pf, pm, np.size(pf))


def majority(pf: ArrayLike, pm: ArrayLike) -> FusedErrors:
    """More than half of the sensors."""
    return k_of_n(pf, pm, np.size(pf) // 2 + 1)


HardRule = Callable[[ArrayLike, ArrayLike], FusedErrors]
HARD_RULES: Final[dict[str, HardRule]] = {"or": either, "and": every, "majority": majority}


def needed_votes(rule: str, sensors: int) -> int:
    """How many of `sensors` must say busy under `or`, `and`, `majority` or a number K (at most all of them)."""
    votes = {"or": 1, "and": sensors, "majority": sensors // 2 + 1}
    if rule in votes:
        return votes[rule]
    if rule.isdigit() and int(rule) >= 1:
        return min(int(rule), sensors)
    raise BadInput(f"expected a rule of or, and, majority, soft or a number K of sensors, got {rule!r}")


# ---- soft combining ----


def snr_weights(snr: ArrayLike, samples: ArrayLike = 1.0) -> NDArray[np.float64]:
    """Weights M_i g_i over their sum, of linear SNRs and samples, shape (N,); by M_i alone when no SNR is above 0.

    The best sum for weak signals: the log-likelihood ratio of the energies falls and rises with it. The SNRs must come
    from the past: weights made of the energies they weigh raise the false alarms.
    """
    g = np.maximum(np.asarray(snr, dtype=np.float64), 0.0)
    weights = np.asarray(samples, dtype=np.float64) * (g if g.sum() > 0.0 else np.ones_like(g))
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True, slots=True)
class SoftCombiner:
    """Busy when sum w_i E_i / sigma2_i >= threshold.

    weights: shape (N,), sum 1. samples: effective complex samples behind each energy (M), shape (N,), real numbers.
    """

    weights: NDArray[np.float64]
    samples: NDArray[np.float64]
    threshold: float

    def statistic(self, energy_over_noise: ArrayLike) -> NDArray[np.float64]:
        """Weighted sum of energies in units of each sensor's own noise: shape (..., N) to (...)."""
        combined: NDArray[np.float64] = np.asarray(energy_over_noise, dtype=np.float64) @ self.weights
        return combined

    def errors(self, snr: ArrayLike, signal: Signal = "deterministic") -> FusedErrors:
        """Pf, and Pm for a signal that has linear SNR g_i at sensor i."""
        return FusedErrors(
            weighted_sum_sf(self.threshold, self.weights, self.samples),
            1.0 - weighted_sum_sf(self.threshold, self.weights, self.samples, snr, signal),
        )


def soft_combiner(weights: ArrayLike, samples: ArrayLike, pf: float) -> SoftCombiner:
    """The combiner whose threshold gives exactly `pf` on noise (constant false alarm rate)."""
    if not 0.0 < pf < 1.0:
        raise BadInput(f"the fused Pf must lie between 0 and 1, got {pf}")
    w = np.atleast_1d(np.asarray(weights, dtype=np.float64))
    m = np.array(np.broadcast_to(np.asarray(samples, dtype=np.float64), w.shape))
    _check_components(w, m)
    mean, deviation = float(w.sum()), math.sqrt(float(np.sum(w**2 / m)))
    high = mean + deviation
    while weighted_sum_sf(high, w, m) > pf:
        high += deviation
    threshold = brentq(lambda t: weighted_sum_sf(t, w, m) - pf, 0.0, high, xtol=1e-13 * high)
    return SoftCombiner(w, m, float(threshold))


def _check_components(w: NDArray[np.float64], m: NDArray[np.float64]) -> None:
    if not np.any(w > 0) or np.any(w < 0) or np.any(m <= 0):
        raise BadInput(
            "soft combining needs weights of 0 or more, one above 0, and more than 0 samples for each sensor"
        )


def weighted_sum_sf(
    t: float, weights: ArrayLike, samples: ArrayLike, snr: ArrayLike = 0.0, signal: Signal = "deterministic"
) -> float:
    """P[sum w_i E_i/sigma2_i > t], E_i averaged over M_i complex samples with linear SNR g_i; numerically exact.

    2 M_i E_i/sigma2_i is chi-square with 2 M_i degrees of freedom: central on noise, noncentral with 2 M_i g_i for a
    deterministic signal, central and scaled by 1 + g_i for a Gaussian one (the notes' exact laws). The sum is inverted
    from its characteristic function by Davies' lattice (Applied Statistics AS 155, 1980): its error is what the
    distribution holds outside the lattice's range, which Laurent and Massart's bound (2000, lemma 1) makes 2e-16.
    """
    w = np.atleast_1d(np.asarray(weights, dtype=np.float64))
    m = np.broadcast_to(np.asarray(samples, dtype=np.float64), w.shape)
    g = np.broadcast_to(np.asarray(snr, dtype=np.float64), w.shape)
    _check_components(w, m)
    w, m, g = w[w > 0], m[w > 0], g[w > 0]
    if t <= 0.0:
        return 1.0
    scale = w / m * (1.0 + g if signal == "gaussian" else 1.0)
    shift = m * g if signal == "deterministic" else np.zeros_like(m)
    if np.all(scale == scale[0]) and not np.any(shift):
        return float(gammaincc(m.sum(), t / scale[0]))
    return _inverted(t, scale, m, shift)


def _inverted(t: float, scale: NDArray[np.float64], m: NDArray[np.float64], shift: NDArray[np.float64]) -> float:
    """P[sum scale_i X_i > t], X_i half a chi-square of 2 m_i degrees of freedom and noncentrality 2 shift_i."""
    mean = float(np.sum(scale * (m + shift)))
    variance = float(np.sum(scale**2 * (m + 2.0 * shift)))
    reach = math.sqrt(2.0 * variance * TAIL_EXPONENT) + float(scale.max()) * TAIL_EXPONENT
    step = 2.0 * math.pi / (abs(t - mean) + reach)
    total, size = 0.5, 4096
    for first in range(0, TERMS_MOST, size):
        k = np.arange(first, first + size) + 0.5
        v = 1j * step * k[:, None] * scale
        log_phi = np.sum(-m * np.log1p(-v) + shift * v / (1.0 - v), axis=1)
        terms = np.exp(log_phi - 1j * step * k * t).imag / (math.pi * k)
        total += float(terms.sum())
        if math.exp(log_phi[-1].real) / (math.pi * k[-1]) < TERM_LEAST:
            break
    return min(1.0, max(0.0, total))
