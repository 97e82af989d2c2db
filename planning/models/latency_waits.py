"""Waits with deterministic service, which a duty cycle is: exact for alike bands, very near it for unlike ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev
from scipy.special import gammainc

from planning.models.airtimes import Floats
from planning.models.latency_model import DutyBand, check_rates, half_mmc_wait_s, service_rates_per_s
from planning.models.latency_phases import PhaseSolution, phase_solution
from spectrum.errors import BadInput

# Terms of the series that are summed one by one; what follows is smooth enough for an integral.
_SUMMED_TERMS: Final = 64
_TAIL_NODES: Final = 48
# The integral ends where the terms have fallen by exp(-40).
_TAIL_DECAY: Final = 40.0

# Stages of service solved for, by number of bands: more stages lie nearer to the truth, their chains grow as k^bands.
_STAGES: Final = {1: (1, 2), 2: (1, 2, 3, 4), 3: (1, 2, 3)}
_STAGES_OF_MANY: Final = (1, 2)
_SOLVED_LOAD: Final = 0.999
_NODES: Final = 64  # of the polynomial that stands for many rates
_INTERPOLATED_FROM: Final = 2 * _NODES


def mdc_wait(load: npt.ArrayLike, servers: int) -> Floats:
    """Exact mean wait of M/D/c in service times, for loads rho = lambda D / c in (0, 1), shape (...).

    By Spitzer's identity for the walk of every c-th customer (the series of Pollaczek and Crommelin):
    W / D = sum over k >= 1 of P(N_k >= k c) - P(N_k >= k c + 1) / rho, with N_k Poisson of mean k c rho.
    For c = 1 it is rho / (2 (1 - rho)).
    """
    rho = np.asarray(load, dtype=float)
    if servers == 1:
        return np.asarray(rho / (2.0 * (1.0 - rho)))
    column = rho[..., np.newaxis]
    summed = _spitzer_term(np.arange(1.0, _SUMMED_TERMS + 1.0), column, servers).sum(axis=-1)
    # The rest as an integral over log k from the midpoint after the last summed term, corrected by f'/24 there.
    low = np.log(_SUMMED_TERMS + 0.5)
    rate = servers * (column - 1.0 - np.log(column))
    high = np.log(_SUMMED_TERMS + 0.5 + _TAIL_DECAY / rate)
    nodes, weights = _tail_nodes()
    k = np.exp(low + (high - low) * (nodes + 1.0) / 2.0)
    tail = (_spitzer_term(k, column, servers) * k * weights * (high - low) / 2.0).sum(axis=-1)
    ends = _spitzer_term(np.array([_SUMMED_TERMS, _SUMMED_TERMS + 1.0]), column, servers)
    return np.asarray(summed + tail + (ends[..., 1] - ends[..., 0]) / 24.0)


@cache
def _tail_nodes() -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss and Legendre on [-1, 1]; finding them takes longer than using them."""
    nodes, weights = np.polynomial.legendre.leggauss(_TAIL_NODES)
    return nodes, weights


def _spitzer_term(k: Floats, rho: Floats, servers: int) -> Floats:
    """P(N >= k c) - P(N >= k c + 1) / rho, N Poisson of mean k c rho, also for k between integers."""
    count = k * servers
    return np.asarray(gammainc(count, count * rho) - gammainc(count + 1.0, count * rho) / rho)


def alike(bands: Sequence[DutyBand]) -> bool:
    """Whether all bands serve at one rate, so that the wait is that of M/D/c whichever band is taken."""
    return len({band.duty_cycle for band in bands}) == 1


def exact_wait_s(bands: Sequence[DutyBand], airtime_s: float, rates_per_s: npt.ArrayLike) -> Floats:
    """Exact mean wait in seconds for alike bands (M/D/c), shape as the rates; many rates as in `refined`."""
    if not alike(bands):
        raise BadInput(
            f"M/D/c is exact for bands of one duty cycle, got {', '.join(f'{b.duty_cycle:g}' for b in bands)}: "
            "use the method refined"
        )
    rates = np.asarray(rates_per_s, dtype=float)
    total = float(service_rates_per_s(bands, airtime_s).sum())
    check_rates(rates, total, "the capacity of these sub-bands")

    def factor(loads: Floats) -> Floats:
        service_s = airtime_s / bands[0].duty_cycle
        return mdc_wait(loads, len(bands)) * service_s / half_mmc_wait_s(bands, airtime_s, loads * total)

    half_s = half_mmc_wait_s(bands, airtime_s, rates)
    return np.asarray(half_s * _of_many(factor, (rates / total).reshape(-1)).reshape(rates.shape))


def refined(bands: Sequence[DutyBand], airtime_s: float, rates_per_s: npt.ArrayLike) -> PhaseSolution:
    """Wait and service ratios for deterministic service and any bands; shapes (rates,) and (rates, bands).

    Better than half of M/M/c: the chain is solved exactly for Erlang services of 1, 2, ... stages, and the polynomial
    in 1/k through these answers is read at 1/k = 0, where a service has its length for certain. For one band two
    stages give M/D/1 exactly.

    Wait over half of M/M/c is a smooth function of the load, and so are the ratios: many rates are read from a
    polynomial, within 1e-6. Beyond 0.999 of the capacity, where the queue's equations lose their digits, that function
    is held; it tends to 1 there.
    """
    rates = np.asarray(rates_per_s, dtype=float).reshape(-1)
    total = float(service_rates_per_s(bands, airtime_s).sum())
    check_rates(rates, total, "the capacity of these sub-bands")
    loads = np.minimum(rates / total, _SOLVED_LOAD)
    values = _of_many(lambda at: _factor_and_ratios(bands, airtime_s, at), loads)
    return PhaseSolution(half_mmc_wait_s(bands, airtime_s, rates) * values[:, 0], values[:, 1:])


def _of_many(function: Callable[[Floats], Floats], loads: Floats) -> Floats:
    """function(loads), shape (loads, ...); of many loads by its Chebyshev polynomial in log(load)."""
    if loads.size <= _INTERPOLATED_FROM or loads.min() == loads.max():
        return function(loads)
    low, high = np.log(loads.min()), np.log(loads.max())
    nodes = chebyshev.chebpts1(_NODES)
    series = chebyshev.chebfit(nodes, function(np.exp(low + (high - low) * (nodes + 1.0) / 2.0)), _NODES - 1)
    return np.asarray(chebyshev.chebval(2.0 * (np.log(loads) - low) / (high - low) - 1.0, series).T)


def _factor_and_ratios(bands: Sequence[DutyBand], airtime_s: float, loads: Floats) -> Floats:
    """Wait with deterministic service over half of M/M/c, then the service ratios, shape (loads, 1 + bands)."""
    rates = loads * float(service_rates_per_s(bands, airtime_s).sum())
    stages = _STAGES.get(len(bands), _STAGES_OF_MANY)
    wait_s, ratios = np.zeros(1), np.zeros((1, len(bands)))
    for count in stages:
        # Lagrange: the weight at 0 of the node 1/k is the product over the others j of k / (k - j).
        weight = float(np.prod([count / (count - other) for other in stages if other != count]))
        solution = phase_solution(bands, airtime_s, rates, count)
        wait_s, ratios = wait_s + weight * solution.wait_s, ratios + weight * solution.ratios
    return np.column_stack([wait_s / half_mmc_wait_s(bands, airtime_s, rates), ratios])
