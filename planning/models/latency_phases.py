"""Unlike bands with nearly deterministic service: Erlang-k service, solved exactly, carried on to k = infinity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from planning.models.airtimes import Floats
from planning.models.latency_model import DutyBand, check_rates, service_rates_per_s

# Elements of the systems solved at a time, so that they fit in memory: 2^24 doubles are 128 MiB.
_BLOCK_ELEMENTS: Final = 2**24
_REDUCTIONS: Final = 60
_PRECISION: Final = 1e-13


@dataclass(frozen=True, slots=True)
class PhaseSolution:
    """wait_s: mean wait, shape (rates,). ratios: share of packets per band, shape (rates, bands)."""

    wait_s: Floats
    ratios: Floats


@dataclass(frozen=True, slots=True)
class _Moves:
    """Transitions between phase vectors. 0 is idle, j in 1..k is the j-th of k stages of a band's service.

    arrivals: per packet/s of arrivals, into an idle band. stages: stage ends and departures of an empty queue.
    queued: a departure that takes the next packet from the queue; stages_full: stage ends with every band busy.
    Matrices of the first two are (states, states), of the others (full, full) over the states with all bands busy.
    """

    states: npt.NDArray[np.int64]
    full: npt.NDArray[np.int64]
    arrivals: Floats
    stages: Floats
    queued: Floats
    stages_full: Floats


def phase_solution(
    bands: Sequence[DutyBand], airtime_s: float, rates_per_s: npt.ArrayLike, stages: int
) -> PhaseSolution:
    """Exact wait and service ratios when every service is Erlang with `stages` stages and mean T / delta_i.

    One stage is the exponential chain of `latency_model.band_use`. With every band busy the queue is a
    quasi-birth-death process; its levels follow x_(q+1) = x_q R.
    """
    rates = np.asarray(rates_per_s, dtype=float).reshape(-1)
    mu = service_rates_per_s(bands, airtime_s)
    check_rates(rates, float(mu.sum()), "the capacity of these sub-bands")
    moves = _moves(tuple(float(rate) for rate in mu / mu.sum()), tuple(band.channels for band in bands), stages)
    loads = rates / mu.sum()
    block = max(1, _BLOCK_ELEMENTS // len(moves.states) ** 2)
    parts = [_solve(moves, loads[i : i + block]) for i in range(0, loads.size, block)]
    queue = np.concatenate([part[0] for part in parts])
    busy = np.concatenate([part[1] for part in parts])
    return PhaseSolution(queue / rates, busy * mu / rates[:, np.newaxis])


@lru_cache(maxsize=32)
def _moves(mu: tuple[float, ...], channels: tuple[int, ...], stages: int) -> _Moves:
    states = np.array(list(product(range(stages + 1), repeat=len(mu))), dtype=np.int64)
    place = (stages + 1) ** np.arange(len(mu))[::-1]
    full = np.flatnonzero((states > 0).all(axis=1))
    arrivals, ends = np.zeros((len(states), len(states))), np.zeros((len(states), len(states)))
    queued = np.zeros_like(ends)
    for index, state in enumerate(states):
        idle = state == 0
        weights = np.array(channels) * idle
        for band in range(len(mu)):
            rate = stages * mu[band]
            if idle[band]:
                arrivals[index, index + place[band]] = weights[band] / weights.sum()
            elif state[band] < stages:
                ends[index, index + place[band]] = rate
            else:
                ends[index, index - stages * place[band]] = rate
                queued[index, index - (stages - 1) * place[band]] += rate
    inside = np.ix_(full, full)
    return _Moves(states, full, arrivals, ends, queued[inside], ends[inside])


def _solve(moves: _Moves, loads: Floats) -> tuple[Floats, Floats]:
    """Mean queue, shape (loads,), and P(band busy), shape (loads, bands); time in units of 1 / sum(mu)."""
    rate = loads[:, np.newaxis, np.newaxis]
    size, full = len(moves.states), moves.full
    identity = np.eye(full.size)
    leaving = (moves.stages_full + moves.queued).sum(axis=1)
    growth = growth_matrix(rate * identity, moves.stages_full - np.diag(leaving) - rate * identity, moves.queued)
    generator = rate * (moves.arrivals - np.diag(moves.arrivals.sum(axis=1)))
    generator = generator + moves.stages - np.diag(moves.stages.sum(axis=1))
    # With all bands busy an arrival leaves for level 1 and a departure from level 1 comes back.
    generator[:, full[:, np.newaxis], full] += growth @ moves.queued - rate * identity
    resolvent = np.linalg.inv(identity - growth)
    totals = np.ones((loads.size, size))
    totals[:, full] = resolvent.sum(axis=2)
    system = np.swapaxes(generator, 1, 2).copy()
    system[:, 0, :] = totals
    right = np.zeros((loads.size, size, 1))
    right[:, 0] = 1.0
    solution = np.linalg.solve(system, right)[..., 0]
    at_full = solution[:, np.newaxis, full]
    queue = (at_full @ growth @ resolvent @ resolvent).sum(axis=(1, 2))
    solution[:, full] = (at_full @ resolvent)[:, 0]
    return queue, solution @ (moves.states > 0).astype(float)


def growth_matrix(up: Floats, local: Floats, down: Floats) -> Floats:
    """R of a quasi-birth-death process, x_(level + 1) = x_level R, by logarithmic reduction (Latouche, Ramaswami).

    up, local, down: transition rates between the states of one level and those of the next, the same and the previous
    one, shape (..., states, states); local carries the negative sums on its diagonal.
    """
    identity = np.eye(local.shape[-1])
    inverse = np.linalg.inv(-local)
    rise, fall = inverse @ up, inverse @ down
    first, rises = fall.copy(), rise.copy()
    for _ in range(_REDUCTIONS):
        middle = np.linalg.inv(identity - rise @ fall - fall @ rise)
        rise, fall = middle @ rise @ rise, middle @ fall @ fall
        step = rises @ fall
        first += step
        rises = rises @ rise
        if np.abs(step).max() < _PRECISION:
            break
    return np.asarray(up @ np.linalg.inv(-(local + up @ first)))
