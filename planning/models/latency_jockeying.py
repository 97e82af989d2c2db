"""The thesis' jockeying queue, state by state: a queue per band, packets move to the shorter queue (paper A, 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from planning.models.airtimes import Floats
from planning.models.latency_model import BandUse, DutyBand, check_rates, service_rates_per_s
from planning.models.latency_phases import growth_matrix

State = tuple[int, ...]  # packets at each band, the one in service included


def jockeying_use(bands: Sequence[DutyBand], airtime_s: float, rate_per_s: float) -> BandUse:
    """P(all bands busy) and service ratios of the jockeying M/M/c queue, by its balance equations.

    Queues differ by one packet at most: a packet joins a shortest queue, by channel weight among them, and when a
    service leaves a queue two shorter than another, a packet of the longest moves over. The thesis cuts the queues at
    1000; here the levels (length of the shortest queue) go on without end, as x_(n+1) = x_n R from the first on.

    With all bands busy the total queue is the same birth and death process as with one common queue, so this gives the
    same P(busy), wait and ratios as `band_use`: the thesis' "lower" and "upper" curves cannot differ by the model.
    """
    mu = service_rates_per_s(bands, airtime_s)
    check_rates(np.array([rate_per_s]), float(mu.sum()), "the capacity of these sub-bands")
    # Time in units of 1 / sum(mu): the rates of a device can be as small as one packet a year.
    load, shares = rate_per_s / float(mu.sum()), [float(value) for value in mu / mu.sum()]
    blocks = {
        (low, high): _block(low, high, shares, bands, load)
        for low, high in ((0, 0), (0, 1), (1, 0), (2, 1), (2, 2), (2, 3))
    }
    growth = growth_matrix(blocks[2, 3], blocks[2, 2], blocks[2, 1])
    resolvent = np.linalg.inv(np.eye(len(growth)) - growth)
    size = len(growth)
    system = np.block([[blocks[0, 0], blocks[0, 1]], [blocks[1, 0], blocks[2, 2] + growth @ blocks[2, 1]]]).T
    system[0] = np.concatenate([np.ones(size), resolvent.sum(axis=1)])
    right = np.zeros(2 * size)
    right[0] = 1.0
    solution = np.linalg.solve(system, right)
    all_busy = float((solution[size:] @ resolvent).sum())
    serving = np.array(_level(0, len(bands)), dtype=float)
    busy = solution[:size] @ serving + all_busy
    return BandUse(np.asarray(all_busy), busy * np.array(shares) / load)


def _level(shortest: int, count: int) -> list[State]:
    """The states whose shortest queue has `shortest` packets: some queues, not all, are one longer."""
    return [tuple(shortest + more for more in extra) for extra in product((0, 1), repeat=count) if not all(extra)]


def _block(low: int, high: int, mu: Sequence[float], bands: Sequence[DutyBand], rate: float) -> Floats:
    """Rates from the states of one level to those of another, the negative sums included when they are the same."""
    place = {state: index for index, state in enumerate(_level(high, len(bands)))}
    block = np.zeros((len(place), len(place)))
    for row, state in enumerate(_level(low, len(bands))):
        for target, flow in _moves(state, mu, bands, rate):
            if target in place:
                block[row, place[target]] += flow
            if low == high:
                block[row, row] -= flow
    return block


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
