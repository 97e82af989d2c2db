"""The spreading-factor allocation that most frames survive, for a population and a load."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.optimize import minimize

from planning.models.airtimes import Floats
from planning.models.capture_cell import Allocation, Population, allocation_of, ordered_allocation
from planning.models.capture_model import DEFAULT_READINGS, PATHS, Readings, Traffic, capture

_LARGEST_LOGIT: Final = 30.0
_STEPS: Final = 60
_DIFFERENCE: Final = 1e-5  # of the logits, for the slope
_PRECISION: Final = 1e-8  # relative gain in success below which the search ends


def optimised_allocation(
    population: Population,
    traffic: Traffic,
    *,
    radius_m: float = 1000.0,
    readings: Readings = DEFAULT_READINGS,
    paths: int = PATHS,
) -> Allocation:
    """Annuli whose borders maximise the network-wide success, higher spreading factors farther out.

    The search starts at the distance and the equal-load allocation of the same population, and at everyone on one SF,
    whichever is best, and never leaves with less. It moves no device: compare allocations on one population only.
    """

    def successes(logits: Floats) -> Floats:
        allocation = ordered_allocation(population, _shares(logits))
        return capture(allocation, traffic, radius_m=radius_m, readings=readings, paths=paths).success

    def loss_and_slope(logits: Floats) -> tuple[float, Floats]:
        values = successes(logits + np.vstack([np.zeros(6), _DIFFERENCE * np.eye(6)]))
        return -float(values[0]), (values[0] - values[1:]) / _DIFFERENCE

    starts = [
        allocation_of(name, population, traffic.airtimes_s, radius_m).sf_shares for name in ("distance", "equal-load")
    ]
    starts += [np.where(np.arange(6) == m, 0.9, 0.02) for m in range(6)]
    first = _logits(np.array(starts))
    first = first[np.argmax(successes(first))]
    found = minimize(
        loss_and_slope, first, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "ftol": _PRECISION}
    )
    candidates = np.vstack([first, found.x])
    return ordered_allocation(population, _shares(candidates[np.argmax(successes(candidates))]))


def _shares(logits: Floats) -> Floats:
    weights = np.exp(np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _logits(shares: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(shares, 1e-6)))
