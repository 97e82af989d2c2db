"""How many transmissions the common pool must carry: the law of R of the periodic resource pooling letter.

N devices report over an interval T_RI. The first transmission of a device's first report has a pre-allocated place;
every retransmission and every further report takes a place of the common pool. A report is sent at most L times, each
time lost with probability p. R_i = sum over the device's U_i reports of W, minus 1 (0 without a report), R their sum
over N devices. U_i is Poisson of mean a = lambda T_RI, or exactly a (deterministic arrivals).

Printed: (10) sums from j = 0; it must be 1. (11) and (12) hold at a = 1; computed here is the law for any a.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len
from scipy.optimize import brentq
from scipy.special import ndtr

from spectrum.errors import BadInput

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Integers = NDArray[np.int64]

ARRIVALS: Final = ("poisson", "deterministic")
TRANSMISSIONS_LIMIT: Final = 1000

# Half-width of the transform's window in standard deviations of the tilted law, and in longest jumps. Beyond it lies
# less than the rounding of the transform.
WINDOW_SIGMAS: Final = 11.0
WINDOW_JUMPS: Final = 20

# So far from the capacity that the law is tilted to, tails are read from one transform.
NEAR_SIGMAS: Final = 3.0

# About a second and 300 MB; the normal law is off by less than a transmission in a thousand long before.
WINDOW_LIMIT: Final = 1 << 22

# A tail bounded by e^-600 is zero.
LOG_NOTHING: Final = -600.0


@dataclass(frozen=True, slots=True)
class Reporting:
    """How one device reports. error_rate: p in [0, 1]; max_transmissions: L >= 1.

    reports_per_interval: a = lambda T_RI > 0; a whole number for deterministic arrivals.
    """

    error_rate: float
    max_transmissions: int
    reports_per_interval: float = 1.0
    arrivals: str = "poisson"

    def __post_init__(self) -> None:
        if not 0.0 <= self.error_rate <= 1.0:
            raise BadInput(f"the error rate must be a probability between 0 and 1, got {self.error_rate}")
        if not 1 <= self.max_transmissions <= TRANSMISSIONS_LIMIT:
            raise BadInput(f"a report is sent 1 to {TRANSMISSIONS_LIMIT} times at most, got {self.max_transmissions}")
        if not 0.0 < self.reports_per_interval <= 1e6:
            raise BadInput(f"the reports per interval must be above 0 and at most 1e6, got {self.reports_per_interval}")
        if self.arrivals not in ARRIVALS:
            raise BadInput(f"arrivals must be one of {', '.join(ARRIVALS)}, got {self.arrivals!r}")
        if self.arrivals == "deterministic" and self.reports_per_interval % 1:
            raise BadInput(
                f"deterministic arrivals need a whole number of reports per interval, got {self.reports_per_interval}"
            )

    @property
    def residual_failure(self) -> float:
        """p^L: what no capacity can prevent (13)."""
        return float(self.error_rate**self.max_transmissions)

    def transmission_pmf(self) -> Floats:
        """P[W = k] for k = 1..L, shape (L,): the truncated geometric law (4)."""
        p, most = self.error_rate, self.max_transmissions
        pmf = (1.0 - p) * p ** np.arange(most)
        pmf[-1] = p ** (most - 1)
        return np.asarray(pmf, dtype=np.float64)


class Tail(NamedTuple):
    """P[R > C] and E[(R - C)+], in transmissions."""

    probability: float
    excess: float


class TailCurve(NamedTuple):
    """P[R > C] and E[(R - C)+] for the capacities `first`, `first` + 1, ..., shapes (M,)."""

    first: int
    probability: Floats
    excess: Floats


# A device's law as generating function over its value at |z|: (reporting, z, log of that value).
Ratio: TypeAlias = Callable[[Reporting, Complexes, float], Complexes]


def transmission_moments(error_rate: ArrayLike, max_transmissions: ArrayLike) -> tuple[Floats, Floats]:
    """E[W] and E[W^2], arguments broadcast: sums of p^(k-1) and (2k-1) p^(k-1) over k = 1..L.

    The sums are the closed forms (1-p^L)/(1-p) and ((2L-1)p^(L+1) - (2L+1)p^L + p + 1)/(1-p)^2 of (11), (12), without
    their cancellation near p = 1.
    """
    p, most = np.broadcast_arrays(np.asarray(error_rate, dtype=np.float64), np.asarray(max_transmissions))
    mean, square, sent = np.zeros(p.shape), np.zeros(p.shape), np.ones(p.shape)
    for k in range(1, int(most.max(initial=0)) + 1):
        mean = mean + sent
        square = square + (2 * k - 1) * sent
        sent = np.where(k < most, sent * p, 0.0)
    return mean, square


def pool_mean_and_variance(
    devices: ArrayLike,
    error_rate: ArrayLike,
    max_transmissions: ArrayLike,
    reports_per_interval: ArrayLike = 1.0,
    arrivals: str = "poisson",
) -> tuple[Floats, Floats]:
    """Mean and variance of R in transmissions; all arguments broadcast, so a sweep is one call.

    Poisson: E[R_i] = a E[W] - (1-e^-a), Var[R_i] = a E[W^2] + e^-a (1-e^-a) - 2 a e^-a E[W] (the letter prints a = 1).
    Deterministic: R_i is the sum of a times W, minus 1.
    """
    count, a = np.asarray(devices, dtype=np.float64), np.asarray(reports_per_interval, dtype=np.float64)
    mean, square = transmission_moments(error_rate, max_transmissions)
    if arrivals == "deterministic":
        return count * (a * mean - 1.0), count * a * (square - mean**2)
    none = np.exp(-a)
    return count * (a * mean + np.expm1(-a)), count * (a * square - none * np.expm1(-a) - 2.0 * a * none * mean)


def pool_moments(reporting: Reporting, devices: int) -> tuple[float, float]:
    """Mean and variance of R for one case, see `pool_mean_and_variance`."""
    mean, variance = pool_mean_and_variance(
        devices,
        reporting.error_rate,
        reporting.max_transmissions,
        reporting.reports_per_interval,
        reporting.arrivals,
    )
    return float(mean), float(variance)


def normal_tail(reporting: Reporting, devices: int, capacity: float) -> Tail:
    """The tail of R as the central limit theorem has it (16), (17): too thin, since R is skewed to the right."""
    mean, variance = pool_moments(reporting, devices)
    if variance == 0.0:
        return Tail(float(mean > capacity), max(mean - capacity, 0.0))
    above = float(ndtr((mean - capacity) / variance**0.5))
    return Tail(above, float(normal_excess(np.asarray(mean), np.asarray(variance), capacity)))


def normal_excess(mean: Floats, variance: Floats, capacity: ArrayLike) -> Floats:
    """E[(R - C)+] in transmissions of a normal R; all broadcast, a variance of 0 included."""
    sigma, room = np.sqrt(variance), np.asarray(capacity, dtype=np.float64) - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        z = room / sigma
        spread = sigma * (np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) - z * ndtr(-z))
    return np.asarray(np.maximum(np.where(sigma > 0.0, spread, -room), 0.0), dtype=np.float64)


def exact_tail(reporting: Reporting, devices: int, capacity: int) -> Tail:
    """The exact tail of R, by a transform of the law tilted to sit on `capacity`.

    R is a sum of N equal laws, so its generating function is the N-th power of one; on a circle of radius e^theta it is
    that of the tilted law, whose mass lies at C, and its inverse transform has full relative precision there, however
    rare R > C is. The single law is written down directly (a compound Poisson sum has a closed generating function);
    Panjer's recursion, its slow form, is the truth in the tests.
    """
    return _tilted_tail(reporting, devices, capacity, _single_ratio)


def tail_curve(reporting: Reporting, devices: int, capacity: int, method: str) -> TailCurve:
    """The tail for all capacities near `capacity` by one transform: as `exact_tail`, or as `tagged_tail` (`rigorous`).

    Near is within NEAR_SIGMAS of the tilted law, where the transform keeps its relative precision.
    """
    own = _tagged_ratio if method == "rigorous" else _single_ratio
    law = _law_above(reporting, devices, capacity, own)
    if law is None:
        return TailCurve(capacity, np.zeros(1), np.zeros(1))
    loads, weights, sigma = law
    probability = np.cumsum(weights[::-1])[::-1]
    excess = np.cumsum(probability[::-1])[::-1]
    near = int(NEAR_SIGMAS * sigma) + 1
    first = max(capacity - near, 0)
    # P[R > C] is the mass from C + 1 on; below all loads it is 1, and E[(R - C)+] grows by 1 with each place less
    index = np.arange(first, min(capacity + near, int(loads[-1]) - 1) + 1) + 1 - int(loads[0])
    inside = np.maximum(index, 0)
    return TailCurve(first, probability[inside], excess[inside] + np.maximum(-index, 0) * probability[0])


def tagged_tail(reporting: Reporting, devices: int, capacity: int) -> float:
    """sum_{k=1..L} P[l = k, R > C] over the transmissions l that one report needs; failures after L are left out.

    The device of that report has 1 + Poisson(a) reports, so R_i = k-1 + (sum over Poisson(a) of W); printed: (15) drops
    the condition l = k.
    """
    return _tilted_tail(reporting, devices, capacity, _tagged_ratio).probability


def pool_pmf(reporting: Reporting, devices: int) -> tuple[Integers, Floats]:
    """Exact P[R = r] around the mean: r and its probability, shapes (M,), for figures; to 1e-15 absolute."""
    mean, variance = pool_moments(reporting, devices)
    size = _window(variance, reporting.max_transmissions)
    loads = max(0, round(mean) - size // 2) + np.arange(size)
    return loads, _tilted_law(reporting, devices, 0.0, size, _single_ratio)[loads % size]


def _tilted_tail(reporting: Reporting, devices: int, capacity: int, own: Ratio) -> Tail:
    """Tail of (own + N-1 single laws) above C, own being one device's law or that of a tagged report's device."""
    law = _law_above(reporting, devices, capacity, own)
    if law is None:
        return Tail(0.0, 0.0)
    loads, weights, _ = law
    over = np.maximum(loads - capacity, 0).astype(np.float64)
    return Tail(float(weights[loads > capacity].sum()), float(weights @ over))


@lru_cache(maxsize=2)  # bound and tight failure of one answer read the same law
def _law_above(reporting: Reporting, devices: int, capacity: int, own: Ratio) -> tuple[Integers, Floats, float] | None:
    """Loads around `capacity`, or around the mean below it, their probabilities, shapes (M,), and the standard
    deviation of the tilted law; None where nothing lies above the capacity.
    """
    mean, _ = pool_moments(reporting, devices)
    if capacity >= _largest(reporting, devices):
        return None
    theta = _tilt(reporting, capacity / devices) if capacity > mean else 0.0
    log_mass, _, variance = _cumulants(reporting, theta)
    if devices * log_mass - theta * capacity < LOG_NOTHING:  # Chernoff's bound
        return None
    size = _window(devices * variance, reporting.max_transmissions)
    center = max(capacity, round(mean))
    loads = np.arange(max(0, center - size // 2), center + size - size // 2)
    weights = _tilted_law(reporting, devices, theta, size, own)[loads % size]
    weights = weights * np.exp(np.minimum(devices * log_mass - theta * loads, 0.0))
    return loads, np.asarray(weights, dtype=np.float64), math.sqrt(devices * variance)


def _tilted_law(reporting: Reporting, devices: int, theta: float, size: int, own: Ratio) -> Floats:
    """Law of (own + N-1 single laws) tilted by theta, folded modulo `size`, shape (size,)."""
    # a real law: half of the circle says all
    z = np.exp(theta - 2j * np.pi * np.arange(size // 2 + 1) / size)
    log_mass, _, _ = _cumulants(reporting, theta)
    first = own(reporting, z, log_mass)
    single = first if own is _single_ratio else _single_ratio(reporting, z, log_mass)
    law = irfft(first * single ** (devices - 1), size)
    return np.asarray(np.maximum(law, 0.0), dtype=np.float64)


def _single_ratio(reporting: Reporting, z: Complexes, log_mass: float) -> Complexes:
    """Generating function of R_i at z over its value e^log_mass at |z|, so that it never overflows."""
    a, sent = reporting.reports_per_interval, _sent(reporting, z)
    if reporting.arrivals == "deterministic":
        return np.asarray(sent**a / z * np.exp(-log_mass), dtype=np.complex128)
    some = np.exp(a * (sent - 1.0) - log_mass) / z
    return np.asarray(some + np.exp(-a - log_mass) * (1.0 - 1.0 / z), dtype=np.complex128)


def _tagged_ratio(reporting: Reporting, z: Complexes, log_mass: float) -> Complexes:
    """The same for the device of a tagged report that needs k <= L transmissions: k-1 and all its other reports."""
    a, p = reporting.reports_per_interval, reporting.error_rate
    delivered, sent = (1.0 - p) * _powers(p * z, reporting.max_transmissions), _sent(reporting, z)
    if reporting.arrivals == "deterministic":
        return np.asarray(delivered * sent ** (a - 1.0) * np.exp(-log_mass), dtype=np.complex128)
    return np.asarray(delivered * np.exp(a * (sent - 1.0) - log_mass), dtype=np.complex128)


def _sent(reporting: Reporting, z: Complexes) -> Complexes:
    """Generating function of the transmissions W of one report: that of the truncated geometric law (4)."""
    p, most = reporting.error_rate, reporting.max_transmissions
    return np.asarray(z * ((1.0 - p) * _powers(p * z, most - 1) + (p * z) ** (most - 1)), dtype=np.complex128)


def _powers(x: Complexes, count: int) -> Complexes:
    """1 + x + ... + x^(count-1): by products, as (x^count - 1)/(x - 1) loses its digits where x is near 1."""
    total, power, done = np.zeros_like(x), np.ones_like(x), 0
    # read the count bit by bit: a sum of n terms becomes one of 2n, and then perhaps of 2n + 1
    for bit in bin(count)[2:]:
        total, power, done = total * (1.0 + power), power * power, 2 * done
        if bit == "1":
            total, power, done = total + power, power * x, done + 1
    return total


def _cumulants(reporting: Reporting, theta: float) -> tuple[float, float, float]:
    """Log moment generating function of R_i at theta, and its first and second derivative."""
    a, k = reporting.reports_per_interval, np.arange(1, reporting.max_transmissions + 1)
    with np.errstate(divide="ignore"):
        logs = np.log(reporting.transmission_pmf()) + theta * k
    largest = float(logs.max()) if reporting.arrivals == "deterministic" else 0.0
    weights = np.exp(logs - largest)
    w0, w1, w2 = (float(weights @ k**order) for order in (0, 1, 2))
    if reporting.arrivals == "deterministic":
        return a * (largest + math.log(w0)) - theta, a * w1 / w0 - 1.0, a * (w2 / w0 - (w1 / w0) ** 2)
    # e^-a + (e^(a(w0-1)) - e^-a) e^-theta, with its largest term taken out
    largest = a * (w0 - 1.0) - theta
    silent = math.exp(-a - largest)
    shifted = math.exp(-a - theta - largest)
    total = 1.0 + silent - shifted
    first = ((a * w1 - 1.0) + shifted) / total
    second = ((a * w1 - 1.0) ** 2 + a * w2 - shifted) / total
    return largest + math.log(total), first, second - first**2


def _tilt(reporting: Reporting, load_per_device: float) -> float:
    """The theta at which the tilted law of one device has the mean `load_per_device`."""

    def missing(theta: float) -> float:
        return _cumulants(reporting, theta)[1] - load_per_device

    high = 1e-3 / reporting.max_transmissions
    while missing(high) < 0.0:
        high *= 2.0
    return float(brentq(missing, 0.0, high))


def spreads_too_far(reporting: Reporting, devices: int) -> bool:
    """Whether the exact law would need a larger transform than is worth its time."""
    return _width(pool_moments(reporting, devices)[1], reporting.max_transmissions) > WINDOW_LIMIT


def _window(variance: float, longest_jump: int) -> int:
    """Points of the transform: enough to hold the tilted law without folding it onto itself."""
    width = _width(variance, longest_jump)
    if width > WINDOW_LIMIT:
        raise BadInput(
            f"the load spreads over more than {WINDOW_LIMIT} transmissions: method clt is exact enough there"
        )
    return int(next_fast_len(math.ceil(width), real=True))


def _width(variance: float, longest_jump: int) -> float:
    return 2.0 * (WINDOW_SIGMAS * math.sqrt(max(variance, 0.0)) + WINDOW_JUMPS * longest_jump)


def _largest(reporting: Reporting, devices: int) -> float:
    """The largest R there can be."""
    if reporting.arrivals == "poisson":
        return math.inf
    most = reporting.max_transmissions if reporting.error_rate else 1
    return devices * (reporting.reports_per_interval * most - 1.0)
