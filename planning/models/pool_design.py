"""Dimensioning of the common pool: failure for a capacity, smallest capacity for a target, most devices for a capacity.

Three bounds on the probability that a report fails, all of the form P[R > C] (delivered share) + p^L:
clt       (17) of the letter, with the normal law of R
exact     (17) with the exact law of R
rigorous  with the law of R given what the report itself needs, which (15) of the letter drops
and one that holds for any scheduler that leaves no place empty while a request waits: what is refused is at most
(R - C)+, shared by a N reports, so failure_tight = p^L + E[(R-C)+] / (a N).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from planning.models.pool_load import (
    Floats,
    Reporting,
    TailCurve,
    exact_tail,
    normal_tail,
    pool_mean_and_variance,
    pool_moments,
    spreads_too_far,
    tagged_tail,
    tail_curve,
)
from spectrum.errors import BadInput

METHODS: Final = ("clt", "exact", "rigorous")
DEVICES_LIMIT: Final = 10_000_000


def failure_bound(reporting: Reporting, devices: int, capacity: int, method: str = "clt") -> float:
    """Failure of a report when any loss fails all: (17), by the law that `method` names."""
    check_devices(devices)
    check_method(method)
    check_capacity(capacity)
    lost = reporting.residual_failure
    if method == "rigorous":
        return min(tagged_tail(reporting, devices, capacity) + lost, 1.0)
    tail = normal_tail if method == "clt" else exact_tail
    return min(tail(reporting, devices, capacity).probability * (1.0 - lost) + lost, 1.0)


def failure_tight(reporting: Reporting, devices: int, capacity: int) -> float:
    """Failure per report under any work-conserving scheduler, by the exact law (the normal one is below it).

    Where the load spreads too far for the transform the normal law is as good.
    """
    check_devices(devices)
    check_capacity(capacity)
    tail = normal_tail if spreads_too_far(reporting, devices) else exact_tail
    refused = tail(reporting, devices, capacity).excess
    return min(reporting.residual_failure + refused / (reporting.reports_per_interval * devices), 1.0)


def smallest_capacity(reporting: Reporting, devices: int, target: float, method: str = "clt") -> int:
    """Least capacity whose failure bound is at most `target`; BadInput for a target that no capacity meets."""
    check_devices(devices)
    check_method(method)
    check_target(reporting, target)
    guess = int(
        normal_capacity(
            devices,
            reporting.error_rate,
            reporting.max_transmissions,
            target,
            reporting.reports_per_interval,
            reporting.arrivals,
        )
    )
    if method == "clt":
        return guess
    lost = reporting.residual_failure
    share = 1.0 if method == "rigorous" else 1.0 - lost
    return _least_on_curves(
        reporting, devices, guess, method, lambda curve: np.minimum(curve.probability * share + lost, 1.0) <= target
    )


def _least_on_curves(
    reporting: Reporting, devices: int, guess: int, method: str, holds: Callable[[TailCurve], NDArray[np.bool_]]
) -> int:
    """Least capacity at which a condition on the tail that stays true holds; from curve to curve, mostly one."""
    low, high = 0, None
    while True:
        curve = tail_curve(reporting, devices, guess, method)
        held = holds(curve)
        last = curve.first + len(held) - 1
        if not held[-1]:
            low = last + 1
            guess = last + 1 if high is None else min(last + 1 + len(held) // 2, high)
        elif held[0] and curve.first > low:
            high = curve.first
            guess = max(low, curve.first - 1)
        else:
            return curve.first + int(np.argmax(held))


def normal_capacity(
    devices: ArrayLike,
    error_rate: ArrayLike,
    max_transmissions: ArrayLike,
    target: ArrayLike,
    reports_per_interval: ArrayLike = 1.0,
    arrivals: str = "poisson",
) -> Floats:
    """Method clt for whole sweeps: C = ceil(mu + sigma Qinv((target - p^L)/(1 - p^L))), not below 0; all broadcast.

    Infinite where p^L >= target, since no capacity is enough there.
    """
    mean, variance = pool_mean_and_variance(devices, error_rate, max_transmissions, reports_per_interval, arrivals)
    lost = np.asarray(error_rate, dtype=np.float64) ** np.asarray(max_transmissions)
    return capacity_of_moments(mean, variance, lost, target)


def capacity_of_moments(mean: Floats, variance: Floats, lost: ArrayLike, target: ArrayLike) -> Floats:
    """`normal_capacity` from mean and variance of R and p^L; all broadcast."""
    lost = np.asarray(lost, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigmas = -ndtri((np.asarray(target) - lost) / (1.0 - lost))
        capacity = np.maximum(np.ceil(mean + np.sqrt(variance) * sigmas), 0.0)
    return np.asarray(np.where(lost < target, capacity, np.inf), dtype=np.float64)


def smallest_tight_capacity(reporting: Reporting, devices: int, target: float) -> int:
    """Least capacity whose failure_tight is at most `target`: enough for every work-conserving scheduler."""
    check_devices(devices)
    check_target(reporting, target)
    spare = (target - reporting.residual_failure) * reporting.reports_per_interval * devices
    mean, variance = pool_moments(reporting, devices)
    high = math.ceil(mean + 40.0 * math.sqrt(variance))
    guess = _least(lambda capacity: normal_tail(reporting, devices, capacity).excess <= spare, min(high, round(mean)))
    if spreads_too_far(reporting, devices):
        return guess
    return _least_on_curves(reporting, devices, guess, "exact", lambda curve: curve.excess <= spare)


def largest_devices(reporting: Reporting, capacity: int, target: float, method: str = "clt") -> int:
    """Most devices whose failure bound is at most `target` with `capacity`; BadInput when not even one fits."""
    check_capacity(capacity)
    return most_devices(
        lambda count, by: failure_bound(reporting, count, capacity, by) <= target, reporting, target, method
    )


def most_devices(fits: Callable[[int, str], bool], reporting: Reporting, target: float, method: str = "clt") -> int:
    """Most devices for which `fits` (of devices and method) holds, given that it holds up to some number only."""
    check_target(reporting, target)
    guess = _most_devices(lambda count: fits(count, "clt"), 2) if method != "clt" and fits(1, "clt") else 2
    return _most_devices(lambda count: fits(count, method), max(guess, 2))


def _most_devices(fits: Callable[[int], bool], guess: int) -> int:
    if not fits(1):
        raise BadInput("not even one device fits this capacity at this target: ask for more capacity")
    if fits(DEVICES_LIMIT):
        raise BadInput(f"more than {DEVICES_LIMIT} devices fit: this capacity does not limit them")
    return _least(lambda count: not fits(count), guess, low=1) - 1


def check_target(reporting: Reporting, target: float) -> None:
    """BadInput with the reason for a target outside (0, 1) or below what retransmissions alone leave lost."""
    if not 0.0 < target < 1.0:
        raise BadInput(f"the target must be a probability above 0 and below 1, got {target}")
    lost = reporting.residual_failure
    if lost >= target:
        raise BadInput(
            f"the target {target:g} cannot be met by any capacity: a report sent at most "
            f"{reporting.max_transmissions} times fails with p^L = {lost:.3g}; allow more transmissions or lower "
            "the error rate"
        )


def check_devices(devices: int) -> None:
    """BadInput unless the number of devices is 1 or more."""
    if not 1 <= devices <= DEVICES_LIMIT:
        raise BadInput(f"the number of devices must be 1 to {DEVICES_LIMIT}, got {devices}")


def check_capacity(capacity: int) -> None:
    """BadInput for a negative capacity."""
    if capacity < 0:
        raise BadInput(f"the capacity must be 0 transmissions or more, got {capacity}")


def check_method(method: str) -> None:
    """BadInput for a method that is not in METHODS."""
    if method not in METHODS:
        raise BadInput(f"the method must be one of {', '.join(METHODS)}, got {method!r}")


def _least(holds: Callable[[int], bool], guess: int, low: int = 0) -> int:
    """Least integer >= low at which a predicate that stays true holds, searched outwards from `guess`."""
    step, high = 1, max(guess, low)
    while not holds(high):
        low, high, step = high + 1, high + step, 2 * step
    bottom = low
    step, probe = 1, high - 1
    while probe >= bottom and holds(probe):
        high, probe, step = probe, probe - step, 2 * step
    low = max(bottom, probe + 1) if probe >= bottom else bottom
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return high
