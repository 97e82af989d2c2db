"""Loss systems without waiting room, G/D/n/n and G/G/n/n: bounds, approximation, and Erlang-B (paper D).

n servers, no queue: who finds all servers busy is lost. The demodulation paths of a gateway are such a system.
Everything here follows from one count: how many EARLIER arrivals would still be in service at an arrival if no server
were ever missing. With one service time tau that is A_k of (D.2), the number of arrivals within tau; with several
service times each earlier arrival counts only if its own is longer than its age.

Printed: (D.20) mixes the counts of the service classes by their share. A superposition adds its counts, so the mixture
is not what an arrival meets; computed here is the count that is really met, which is Poisson for Markovian arrivals.
Printed: the labels K_i = n and K_i = 0 in (D.8), (D.9) are swapped; the sums themselves are used as they stand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaln

from spectrum.errors import BadInput

Floats = NDArray[np.float64]
Ticks = NDArray[np.int64]

# Times are read to the nanosecond, so that ties (an arrival at the very end of a service) are exact and not a matter
# of rounding.
TICKS_PER_S: Final = 1_000_000_000

# Sums of gaps times counts, over all gaps walked back: some thirty milliseconds' work. Beyond it the caller simulates.
CELLS_LIMIT: Final = 1_000_000
# Servers times loads in one array of the approximation.
HELD_AT_ONCE: Final = 1 << 18


class TooLarge(BadInput):
    """An exact answer would need more states than are worth their time: simulate, or choose rounder gaps."""


@dataclass(frozen=True, slots=True)
class Service:
    """Service times in s, shape (m,), and the share of the arrivals that needs each, summing to 1."""

    times_s: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_positive("service time", self.times_s)
        shares = _distribution("shares of the service times", self.shares, len(self.times_s))
        object.__setattr__(self, "shares", shares)

    @property
    def mean_s(self) -> float:
        """Mean service time in s."""
        return math.fsum(t * q for t, q in zip(self.times_s, self.shares, strict=True))


@dataclass(frozen=True, slots=True)
class DegenerateArrivals:
    """Independent gaps in s, drawn from a finite set with probabilities (section 4.1 of paper D)."""

    gaps_s: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_positive("gap", self.gaps_s)
        probabilities = _distribution("probabilities of the gaps", self.probabilities, len(self.gaps_s))
        object.__setattr__(self, "probabilities", probabilities)

    @property
    def rate_per_s(self) -> float:
        """Mean arrivals per second: 1 / sum(p_x t_x). Printed: 1 / sum(p_x / t_x)^-1, the mean of another thing."""
        return 1.0 / math.fsum(t * p for t, p in zip(self.gaps_s, self.probabilities, strict=True))


@dataclass(frozen=True, slots=True)
class Bounds:
    """Blocking probabilities between 0 and 1; arrays where the load was one."""

    lower: Floats
    upper: Floats
    approximation: Floats


def erlang_b(servers: ArrayLike, load_erlang: ArrayLike) -> Floats:
    """Blocking of M/G/n/n, exact for any service time distribution of the same mean; arrays broadcast.

    servers: n >= 1, integers. load_erlang: arrival rate times mean service time. Recursion 1/B_n = 1 + n/(a B_(n-1)),
    B_0 = 1, which never cancels.
    """
    n, load = np.broadcast_arrays(np.asarray(servers, dtype=np.int64), np.asarray(load_erlang, dtype=np.float64))
    check_servers(n)
    check_load(load)
    if load.size == 1:
        return np.asarray(_one_erlang_b(int(n.ravel()[0]), float(load.ravel()[0]))).reshape(load.shape)
    inverse = np.ones(load.shape)
    with np.errstate(divide="ignore", over="ignore"):
        for k in range(1, int(n.max(initial=0)) + 1):
            inverse = np.where(k <= n, 1.0 + k * inverse / load, inverse)
    return np.asarray(1.0 / inverse, dtype=np.float64)


def _one_erlang_b(servers: int, load_erlang: float) -> float:
    """The same recursion for one case: ten thousand servers are no work for Python, and much for small arrays."""
    if load_erlang == 0.0:
        return 0.0
    inverse = 1.0
    for k in range(1, servers + 1):
        inverse = 1.0 + k * inverse / load_erlang
        if inverse == math.inf:
            return 0.0
    return 1.0 / inverse


def busy_servers_markov(servers: int, load_erlang: float) -> Floats:
    """Probabilities of 0..n busy servers of M/G/n/n, shape (n+1,): the Poisson law cut at n (q_y of D.16)."""
    check_servers(np.asarray(servers))
    check_load(np.asarray(load_erlang))
    counts = np.arange(servers + 1)
    if load_erlang == 0.0:
        return np.asarray(counts == 0, dtype=np.float64)
    logs = counts * math.log(load_erlang) - gammaln(counts + 1.0)
    weights = np.exp(logs - logs.max())
    cut: Floats = weights / weights.sum()
    return cut


def markov_bounds(servers: int, load_erlang: ArrayLike) -> Bounds:
    """Bounds and approximation of (D.8)-(D.13) for Poisson arrivals, any shape of loads; the sums in closed form.

    With m the load: sum_(k>n) A_k (k-n) = m P(K>=n) - n P(K>=n+1) and sum_(k>=n) A_k k = m P(K>=n-1).
    """
    check_servers(np.asarray(servers))
    load = np.asarray(load_erlang, dtype=np.float64)
    check_load(load)
    lower = _share(_poisson_excess(servers, load), servers)
    upper = _share(load * _poisson_at_least(servers - 1, load), servers)
    if servers == 1:  # the prior of (D.13) needs two servers; (D.9) is exact for one
        return Bounds(lower, upper, upper)
    blocked = load * _poisson_at_least(servers, load)
    step = max(1, HELD_AT_ONCE // max(load.size, 1))
    for begin in range(0, servers, step):
        held = np.arange(begin, min(begin + step, servers)).reshape(-1, *(1,) * load.ndim)
        weight = _poisson_at_least(held, load) - _poisson_at_least(held + 1, load)
        blocked = blocked + (weight * _poisson_excess(servers - held, load)).sum(axis=0)
    return Bounds(lower, upper, _share(blocked, servers))


def count_bounds(servers: int, counts: Floats) -> Bounds:
    """Bounds and approximation from the distribution of the count, shape (k_max+1,), as (D.8)-(D.13) have them.

    P_b = s / (s + n); lower: s = sum_(k>n) A_k (k-n); upper: s = sum_(k>=n) A_k k, exact for n = 1. Approximation:
    K^D = 0 and X = K_(i-1) + K^A with the prior (D.13), the count itself cut at n; for n = 1 it is the upper bound.
    """
    check_servers(np.asarray(servers))
    k = np.arange(len(counts))
    lower = _share(np.asarray(counts @ np.maximum(k - servers, 0)), servers)
    upper = _share(np.asarray(counts @ np.where(k >= servers, k, 0)), servers)
    if servers == 1:
        return Bounds(lower, upper, upper)
    prior = np.bincount(np.minimum(k, servers), weights=counts, minlength=servers + 1)
    present = np.convolve(prior, counts)
    blocked = present @ np.maximum(np.arange(len(present)) - servers, 0)
    return Bounds(lower, upper, _share(np.asarray(blocked), servers))


def degenerate_counts(
    arrivals: DegenerateArrivals, service: Service, *, outage: float = 0.0, tie: str = "open"
) -> Floats:
    """Distribution of the count at an arrival, shape (k_max+1,), for degenerate gaps: (D.21), thinned by `outage`.

    Walks back in time from an arrival, gap by gap: an earlier arrival counts when it was received and its service is
    longer than its age (or as long, with tie `closed`). TooLarge past CELLS_LIMIT.
    Printed: B_0 sums p_x over t_x >= tau; it is 1.
    """
    check_fraction("outage", outage)
    gaps, services = tick_times(arrivals, service, tie)
    received = 1.0 - outage
    ages, weights = np.zeros(1, dtype=np.int64), np.ones((1, 1))
    counts, cells = np.zeros(1), 0
    while len(ages):
        cells += weights.size * len(gaps)
        if cells > CELLS_LIMIT:
            raise TooLarge("the service time holds too many different sums of gaps: simulate, or use rounder gaps")
        ages, weights = _one_gap_back(ages, weights, gaps, np.asarray(arrivals.probabilities))
        alive = received * ((services > ages[:, None]) @ np.asarray(service.shares))
        padded = np.pad(weights, ((0, 0), (0, 1)))
        weights = padded * (1.0 - alive[:, None])
        weights[:, 1:] += padded[:, :-1] * alive[:, None]
        counts = np.pad(counts, (0, weights.shape[1] - len(counts)))
        over = ages >= services.max()
        counts += weights[over].sum(axis=0)
        ages, weights = ages[~over], weights[~over]
    return np.trim_zeros(counts, "b") if counts.any() else counts[:1]


def tick_times(arrivals: DegenerateArrivals, service: Service, tie: str) -> tuple[Ticks, Ticks]:
    """Gaps and service times as whole ticks; a server is busy while its residual life is above 0 ticks.

    tie: what an arrival finds exactly at the end of a service: `open` a free server, `closed` a busy one (half a
    nanosecond longer; both are then doubled to stay whole).
    """
    if tie not in ("open", "closed"):
        raise BadInput(f"tie must be open or closed, got {tie!r}")
    return 2 * ticks(arrivals.gaps_s), 2 * ticks(service.times_s) + (tie == "closed")


def ticks(times_s: ArrayLike) -> Ticks:
    """Times in s as whole nanoseconds, int64."""
    return np.rint(np.asarray(times_s, dtype=np.float64) * TICKS_PER_S).astype(np.int64)


def check_servers(servers: NDArray[np.int64]) -> None:
    """BadInput unless every number of servers is 1 or more."""
    if np.any(servers < 1):
        raise BadInput(f"the number of servers must be 1 or more, got {servers.min()}")


def check_load(load: Floats) -> None:
    """BadInput unless every load is a finite number, 0 or more."""
    if not np.all(np.isfinite(load) & (load >= 0.0)):
        raise BadInput(f"the load must be a finite number of erlang, 0 or more, got {load[()]}")


def check_fraction(name: str, value: float) -> None:
    """BadInput unless `value` lies in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise BadInput(f"{name} must be a probability between 0 and 1, got {value}")


def _share(blocked: Floats, servers: int) -> Floats:
    """(D.6): blocked of blocked plus n served."""
    return np.asarray(blocked / (blocked + servers), dtype=np.float64)


def _poisson_at_least(count: ArrayLike, mean: Floats) -> Floats:
    """P(K >= count) of a Poisson count; arrays broadcast."""
    at_least = np.asarray(count, dtype=np.float64)
    return np.asarray(np.where(at_least <= 0.0, 1.0, gammainc(np.maximum(at_least, 1.0), mean)), dtype=np.float64)


def _poisson_excess(count: ArrayLike, mean: Floats) -> Floats:
    """E[(K - count)+] of a Poisson count; the two terms differ by a factor of count+1 at least, so little cancels."""
    at_least = np.asarray(count)
    return np.asarray(
        mean * _poisson_at_least(at_least, mean) - at_least * _poisson_at_least(at_least + 1, mean), dtype=np.float64
    )


def _one_gap_back(ages: Ticks, weights: Floats, gaps: Ticks, probabilities: Floats) -> tuple[Ticks, Floats]:
    """Every age plus every gap, equal sums merged. weights: shape (ages, counts)."""
    sums = (ages[:, None] + gaps).ravel()
    order = np.argsort(sums, kind="stable")
    ordered = sums[order]
    first = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    weighted = (weights[:, None, :] * probabilities[:, None]).reshape(-1, weights.shape[1])
    return ordered[first], np.add.reduceat(weighted[order], first, axis=0)


def _check_positive(name: str, values: tuple[float, ...]) -> None:
    if not values:
        raise BadInput(f"at least one {name} is needed, got none")
    for value in values:
        if not (math.isfinite(value) and value * TICKS_PER_S >= 1.0):
            raise BadInput(f"every {name} must be a finite number of seconds, a nanosecond or more, got {value}")
    if max(values) > 1e8:
        raise BadInput(f"every {name} must be at most 1e8 s, got {max(values)}")


def _distribution(name: str, values: tuple[float, ...], length: int) -> tuple[float, ...]:
    """The values, which must sum to 1 within a millionth, scaled to sum to 1 as exactly as floats can."""
    if len(values) != length:
        raise BadInput(f"the {name} must be as many as the values they belong to: expected {length}, got {len(values)}")
    for value in values:
        check_fraction(f"each of the {name}", value)
    total = math.fsum(values)
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise BadInput(f"the {name} must sum to 1, got {total:.6g}")
    return tuple(value / total for value in values)
