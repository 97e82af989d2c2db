"""Exact blocking of D/D/n/n and its thinned and mixed forms: the Markov chain of residual lives (notes, section 3.D).

Seen right after each arrival, the future of a loss system with independent gaps hangs on one thing: how long each busy
server still works. Gaps and service times from finite sets make these residual lives a finite set of tuples, sorted,
0 for a free server. The chain over them is exact, whatever the gaps; its size is the only limit (`STATES_LIMIT`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from planning.models.loss_queue import (
    DegenerateArrivals,
    Floats,
    Service,
    Ticks,
    TooLarge,
    check_fraction,
    check_servers,
    tick_times,
)
from spectrum.errors import Failed

# So many states are solved in less than 100 ms; the caller simulates beyond and says so, or asks for more: 200,000 take
# a second or two and 200 MB.
STATES_LIMIT: Final = 25_000
CELLS_LIMIT: Final = 4_000_000

# A sparse factorisation of so many states takes some ten milliseconds; larger chains are iterated.
DIRECT_LIMIT: Final = 1_500
ITERATIONS_LIMIT: Final = 50_000
TOLERANCE: Final = 1e-13

# Share of the steps in which the iterated chain stays: any share above 0 takes away its period, a small one is fast.
STAYING: Final = 0.1


@dataclass(frozen=True, slots=True)
class ChainResult:
    """blocking: share of received arrivals lost. busy: probability of 0..n busy servers over time, shape (n+1,)."""

    blocking: float
    busy: Floats
    states: int


@dataclass(frozen=True, slots=True)
class _Branch:
    """One way a step can go: where each state leads, shape (states, n), and how likely."""

    probability: float
    gap: int
    states: Ticks


def exact_blocking(
    servers: int,
    arrivals: DegenerateArrivals,
    service: Service,
    *,
    outage: float = 0.0,
    tie: str = "open",
    states_limit: int = STATES_LIMIT,
) -> ChainResult:
    """Long-run blocking from an empty start, exact up to the solver's 1e-13. TooLarge past the limits."""
    check_fraction("outage", outage)
    check_servers(np.asarray(servers))
    steps = _Steps(arrivals, service, outage, tie)
    usable = min(servers, steps.most_busy + 1)  # more are never busy at once, so one of these is always free
    states = _reachable(usable, steps, min(states_limit, CELLS_LIMIT // usable))
    empty = int(np.flatnonzero(~states.any(axis=1))[0])
    weights = _long_run(_transitions(states, steps), empty)
    blocking, mean_gap, at_least = 0.0, 0.0, np.zeros(usable)
    for gap, probability in zip(steps.gaps, steps.gap_probabilities, strict=True):
        blocking += float(probability * (weights @ (states[:, -1] > gap)))
        at_least += probability * (weights @ np.minimum(states, gap))
        mean_gap += float(probability * gap)
    at_least = np.concatenate([[1.0], at_least / mean_gap, np.zeros(servers - usable + 1)])
    return ChainResult(blocking, at_least[:-1] - at_least[1:], len(states))


def exact_over_outages(
    servers: int,
    arrivals: DegenerateArrivals,
    service: Service,
    outages: Floats,
    *,
    tie: str = "open",
    states_limit: int = STATES_LIMIT,
) -> Floats:
    """`exact_blocking`'s blocking for many outages in [0, 1], shape (points,): the states are those of any outage, and
    the step is (1 - outage) times that of a received arrival and outage times that of a lost one.
    """
    check_servers(np.asarray(servers))
    received = _Steps(arrivals, service, 0.0, tie)
    lost = _Steps(arrivals, service, 1.0, tie)
    usable = min(servers, received.most_busy + 1)
    states = _reachable(usable, _Steps(arrivals, service, 0.5, tie), min(states_limit, CELLS_LIMIT // usable))
    taken, passed = (_transitions(states, steps).T.tocsr() for steps in (received, lost))
    full = sum(
        probability * (states[:, -1] > gap)
        for gap, probability in zip(received.gaps, received.gap_probabilities, strict=True)
    )
    blocking = np.empty(len(outages))
    together = max(1, CELLS_LIMIT // len(states))
    for begin in range(0, len(outages), together):
        outage = outages[begin : begin + together]
        weights = np.zeros((len(states), len(outage)))
        weights[np.flatnonzero(~states.any(axis=1))[0]] = 1.0
        for _ in range(ITERATIONS_LIMIT):
            step = (1.0 - outage) * (taken @ weights) + outage * (passed @ weights)
            following = STAYING * weights + (1.0 - STAYING) * step
            moved = float(np.abs(following - weights).sum(axis=0).max())
            weights = following
            if moved < TOLERANCE:
                break
        else:
            raise Failed("the exact chain did not settle: simulate instead")
        blocking[begin : begin + together] = full @ weights / weights.sum(axis=0)
    return blocking


class _Steps:
    """From one arrival to the next: a gap passes, the arrival is received or not, and takes a free server or none."""

    def __init__(self, arrivals: DegenerateArrivals, service: Service, outage: float, tie: str) -> None:
        gaps, services = tick_times(arrivals, service, tie)
        divisor = np.gcd.reduce(np.concatenate([gaps, services]))
        self.gaps, self.services = gaps // divisor, services // divisor
        self.gap_probabilities = np.asarray(arrivals.probabilities)
        self.shares = np.asarray(service.shares)
        self.received = 1.0 - outage
        self.most_busy = int(-(-self.services.max() // self.gaps.min()))

    def branches(self, states: Ticks) -> Iterator[_Branch]:
        """All steps from `states`, shape (m, n), residual lives sorted from the longest down."""
        for gap, probability in zip(self.gaps, self.gap_probabilities, strict=True):
            if probability == 0.0:
                continue
            aged = np.maximum(states - gap, 0)
            if self.received < 1.0:
                yield _Branch(probability * (1.0 - self.received), int(gap), aged)
            for time, share in zip(self.services, self.shares, strict=True):
                if self.received * share > 0.0:
                    yield _Branch(probability * self.received * share, int(gap), _insert(aged, int(time)))


def _insert(aged: Ticks, service: int) -> Ticks:
    """A new service where the last place is free; a full row stays as it is (the arrival is blocked)."""
    free = aged[:, -1] == 0
    if np.all(aged[:, 0] <= service):  # it outlasts all others, as with a single service time: no need to sort
        ahead = np.concatenate([np.full((len(aged), 1), service), aged[:, :-1]], axis=1)
        return np.where(free[:, None], ahead, aged)
    taken = aged.copy()
    taken[free, -1] = service
    return np.ascontiguousarray(np.sort(taken, axis=1)[:, ::-1])


def _hashes(states: Ticks) -> NDArray[np.uint64]:
    """A 64-bit hash of each row; `_transitions` compares the rows themselves and so would notice a collision."""
    factors = np.random.default_rng(0x51C7).integers(1, 2**63, size=states.shape[1], dtype=np.uint64) | np.uint64(1)
    with np.errstate(over="ignore"):
        mixed = states.astype(np.uint64) * factors
        return np.asarray((mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64))


def _reachable(servers: int, steps: _Steps, limit: int) -> Ticks:
    """All states reached from the empty one, ordered by their hash, shape (states, n)."""
    frontier = np.zeros((1, servers), dtype=np.int64)
    known, found = _hashes(frontier), [frontier]
    while len(frontier):
        nexts = np.concatenate([branch.states for branch in steps.branches(frontier)])
        hashes, first = np.unique(_hashes(nexts), return_index=True)
        place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        new = known[place] != hashes
        frontier = nexts[first[new]]
        known = np.sort(np.concatenate([known, hashes[new]]))
        found.append(frontier)
        if len(known) > limit:
            raise TooLarge(
                f"the exact chain has more than {limit} states: simulate, or use fewer servers or rounder gaps"
            )
    states = np.concatenate(found)
    return np.asarray(states[np.argsort(_hashes(states))], dtype=np.int64)


def _transitions(states: Ticks, steps: _Steps) -> sparse.csr_array:
    """Transition matrix, shape (states, states), from the rows of `states` ordered by hash."""
    hashes, rows = _hashes(states), np.arange(len(states))
    sources, targets, weights = [], [], []
    for branch in steps.branches(states):
        target = np.searchsorted(hashes, _hashes(branch.states))
        if not np.array_equal(states[np.minimum(target, len(states) - 1)], branch.states):
            raise Failed("two states of the queue share a hash: change a gap by a nanosecond")
        sources.append(rows)
        targets.append(target)
        weights.append(np.full(len(states), branch.probability))
    triples = (np.concatenate(weights), (np.concatenate(sources), np.concatenate(targets)))
    matrix = sparse.csr_array(triples, shape=(len(states), len(states)))
    matrix.sum_duplicates()
    return matrix


def _long_run(matrix: sparse.csr_array, start: int) -> Floats:
    """Share of steps spent in each state, shape (states,), in the long run from state `start`.

    A small chain with one closed class (the rule) is solved directly. Otherwise the lazy chain, in which some
    steps stay, is iterated from the start: it has the same long run, no period, and finds its own closed class.
    """
    if matrix.shape[0] > DIRECT_LIMIT:
        return _iterated(matrix, start)
    count, label = connected_components(matrix, connection="strong")
    source, target = matrix.nonzero()
    leaving = label[source[label[source] != label[target]]]
    closed = np.setdiff1d(np.arange(count), leaving)
    inside = np.flatnonzero(label == closed[0])
    if len(closed) == 1:
        weights = np.zeros(len(label))
        weights[inside] = _solved(matrix[inside][:, inside])
        return weights
    return _iterated(matrix, start)


def _solved(matrix: sparse.csr_array) -> Floats:
    """Stationary distribution of an irreducible chain, shape (states,), by sparse LU; one equation is the sum."""
    size = matrix.shape[0]
    system = (sparse.eye_array(size) - matrix.T).tolil()
    system[0] = 1.0
    right = np.zeros(size)
    right[0] = 1.0
    weights = np.maximum(splu(system.tocsc()).solve(right), 0.0)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _iterated(matrix: sparse.csr_array, start: int) -> Floats:
    """Long run of the lazy chain from `start`, shape (states,), until a step moves less than 1e-13 of the weight."""
    step = matrix.T.tocsr()
    weights = np.zeros(matrix.shape[0])
    weights[start] = 1.0
    for _ in range(ITERATIONS_LIMIT):
        following = STAYING * weights + (1.0 - STAYING) * (step @ weights)
        if np.abs(following - weights).sum() < TOLERANCE:
            return np.asarray(following / following.sum(), dtype=np.float64)
        weights = following
    raise Failed("the exact chain did not settle: simulate instead")
