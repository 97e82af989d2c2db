"""The thesis' jockeying queue, state by state: a queue per band, packets move to the shorter queue (paper A, 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

import numpy as np

from planning.models.latency_model import BandUse, DutyBand, check_rates, service_rates_per_s

State = tuple[int, ...]  # packets at each band, the one in service included

# The thesis cuts the queues at 1000; levels beyond this probability are cut here.
CUT_PROBABILITY: Final = 1e-13
LONGEST_QUEUE: Final = 1000


def jockeying_use(bands: Sequence[DutyBand], airtime_s: float, rate_per_s: float) -> BandUse:
    """P(all bands busy) and service ratios of the jockeying M/M/c queue, by its sparse balance equations.

    Queues differ by one packet at most: a packet joins a shortest queue, by channel weight among them, and when a
    service leaves a queue two shorter than another, a packet of the longest moves over. The queues are cut at 1000 as
    in the thesis, or where less than 1e-13 is left. With all bands busy the total queue is the same birth and death
    process as with one common queue, so this gives the same P(busy), wait and ratios as `band_use`: the thesis'
    "lower" and "upper" curves cannot differ by the model.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    mu = service_rates_per_s(bands, airtime_s)
    check_rates(np.array([rate_per_s]), float(mu.sum()), "the capacity of these sub-bands")
    load = rate_per_s / float(mu.sum())
    longest = min(LONGEST_QUEUE, 2 + int(np.log(CUT_PROBABILITY) / np.log(load) / len(bands)))
    states = list(_states(len(bands), longest))
    place = {state: index for index, state in enumerate(states)}
    rows, columns, rates = [], [], []
    for state in states:
        for target, rate in _moves(state, [float(value) for value in mu], bands, rate_per_s):
            if target in place:
                rows += [place[target], place[state]]
                columns += [place[state], place[state]]
                rates += [rate, -rate]
    size = len(states)
    system = coo_matrix((np.array(rates), (np.array(rows), np.array(columns))), shape=(size, size)).tolil()
    system[0, :] = 1.0
    right = np.zeros(size)
    right[0] = 1.0
    share = spsolve(system.tocsc(), right)
    busy = np.array(states) > 0
    return BandUse(np.asarray(share[busy.all(axis=1)].sum()), (share @ busy) * mu / rate_per_s)


def _states(count: int, longest: int) -> Iterator[State]:
    """All states whose queues differ by one packet at most."""
    yield (0,) * count
    for shortest in range(longest):
        for extra in product((0, 1), repeat=count):
            if any(extra):
                yield tuple(shortest + more for more in extra)


def _moves(
    state: State, mu: Sequence[float], bands: Sequence[DutyBand], rate_per_s: float
) -> Iterator[tuple[State, float]]:
    """Where a state goes, at which rate."""
    shortest = min(state)
    channels = [band.channels * (queue == shortest) for band, queue in zip(bands, state, strict=True)]
    for band, weight in enumerate(channels):
        if weight:
            yield _changed(state, {band: 1}), rate_per_s * weight / sum(channels)
    for band, queue in enumerate(state):
        longest = [other for other, length in enumerate(state) if length > queue]
        if queue and longest:
            for other in longest:
                yield _changed(state, {other: -1}), mu[band] / len(longest)
        elif queue:
            yield _changed(state, {band: -1}), mu[band]


def _changed(state: State, change: dict[int, int]) -> State:
    return tuple(queue + change.get(band, 0) for band, queue in enumerate(state))
