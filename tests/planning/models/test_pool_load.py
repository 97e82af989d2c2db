"""The law of the common pool's load: moments, exact tail, dimensioning, against slow truths and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from planning.models.pool_design import (
    METHODS,
    failure_bound,
    failure_tight,
    largest_devices,
    normal_capacity,
    smallest_capacity,
    smallest_tight_capacity,
)
from planning.models.pool_load import (
    Reporting,
    exact_tail,
    normal_tail,
    pool_mean_and_variance,
    pool_moments,
    pool_pmf,
    tagged_tail,
    transmission_moments,
)
from planning.models.pool_simulation import SCHEDULERS, simulate_pool
from spectrum.errors import BadInput

PAPER = Reporting(0.1, 10)
CASES = (
    PAPER,
    Reporting(0.4, 10),
    Reporting(0.3, 3, 2.5),
    Reporting(0.2, 4, 2.0, "deterministic"),
    Reporting(0.5, 6, 1.0, "deterministic"),
    Reporting(0.1, 1, 0.3),
)


def panjer(reporting: Reporting, length: int = 300) -> np.ndarray:
    """Law of one device's load by Panjer's recursion (Poisson) or by convolution (deterministic)."""
    sent, a = reporting.transmission_pmf(), reporting.reports_per_interval
    if reporting.arrivals == "deterministic":
        total = np.array([1.0])
        for _ in range(int(a)):
            total = np.convolve(total, np.concatenate([[0.0], sent]))
        return total[1:]
    total = np.zeros(length)
    total[0] = math.exp(-a)
    for s in range(1, length):
        jumps = np.arange(1, min(s, len(sent)) + 1)
        total[s] = a / s * np.sum(jumps * sent[jumps - 1] * total[s - jumps])
    single = total[1:].copy()
    single[0] += total[0]
    return single


def slow_law(reporting: Reporting, devices: int) -> np.ndarray:
    """Law of R by convolving the single laws one by one."""
    law = np.array([1.0])
    for _ in range(devices):
        law = np.convolve(law, panjer(reporting))
    return law


def test_transmission_moments_are_the_printed_closed_forms() -> None:
    for p in (0.0, 0.1, 0.4, 0.9):
        for most in (1, 2, 10, 40):
            mean, square = transmission_moments(p, most)
            assert float(mean) == pytest.approx((1 - p**most) / (1 - p))
            printed = ((2 * most - 1) * p ** (most + 1) - (2 * most + 1) * p**most + p + 1) / (1 - p) ** 2
            assert float(square) == pytest.approx(printed)
    assert [float(x) for x in transmission_moments(1.0, 7)] == [7.0, 49.0]


def test_at_one_report_an_interval_the_moments_are_those_printed() -> None:
    """(11) and (12) of the letter."""
    p, most, e = 0.4, 10, math.exp(-1)
    sent = (1 - p**most) / (1 - p)
    square = ((2 * most - 1) * p ** (most + 1) - (2 * most + 1) * p**most + p + 1) / (1 - p) ** 2
    mean, variance = pool_mean_and_variance(100, p, most)
    assert float(mean) == pytest.approx(100 * (sent - (1 - e)))
    assert float(variance) == pytest.approx(100 * (square + e * (1 - 2 * sent - e)))


@pytest.mark.parametrize("reporting", CASES)
def test_moments_are_those_of_the_slow_law(reporting: Reporting) -> None:
    law = panjer(reporting)
    values = np.arange(len(law))
    mean = float(law @ values)
    assert pool_moments(reporting, 1) == pytest.approx((mean, float(law @ values**2) - mean**2))


def test_a_sweep_of_ten_thousand_points_is_one_call() -> None:
    rates = np.linspace(0.0, 0.9, 10_000)
    reports = np.linspace(0.1, 3.0, 10_000)
    means, variances = pool_mean_and_variance(500, rates, 10, reports)
    for k in (0, 1234, 9999):
        assert (means[k], variances[k]) == pytest.approx(pool_moments(Reporting(rates[k], 10, reports[k]), 500))


@pytest.mark.parametrize("reporting", CASES)
@pytest.mark.parametrize("devices", [1, 2, 7, 30])
def test_the_exact_tail_is_that_of_panjers_recursion_far_into_the_tail(reporting: Reporting, devices: int) -> None:
    law = slow_law(reporting, devices)
    loads = np.arange(len(law))
    mean, variance = pool_moments(reporting, devices)
    for sigmas in (-2, 0, 1, 3, 6, 10):
        capacity = max(0, int(mean + sigmas * math.sqrt(variance)))
        tail = exact_tail(reporting, devices, capacity)
        assert tail.probability == pytest.approx(law[loads > capacity].sum(), rel=1e-6, abs=1e-250)
        assert tail.excess == pytest.approx(law @ np.maximum(loads - capacity, 0), rel=1e-6, abs=1e-250)


@pytest.mark.parametrize("reporting", CASES)
def test_the_tagged_tail_is_the_mixture_over_what_the_report_needs(reporting: Reporting) -> None:
    p, a, devices = reporting.error_rate, reporting.reports_per_interval, 8
    others = slow_law(reporting, devices - 1)
    if reporting.arrivals == "poisson":
        beside = panjer(Reporting(p, reporting.max_transmissions, a))
        # undo the "minus one": law of the sum over Poisson(a) reports
        beside = np.concatenate([[math.exp(-a)], beside])
        beside[1] -= math.exp(-a)
    else:
        beside = np.array([1.0])
        for _ in range(int(a) - 1):
            beside = np.convolve(beside, np.concatenate([[0.0], reporting.transmission_pmf()]))
    rest = np.convolve(others, beside)
    loads = np.arange(len(rest))
    mean, variance = pool_moments(reporting, devices)
    for sigmas in (0, 2, 5):
        capacity = int(mean + sigmas * math.sqrt(variance))
        expected = sum(
            p ** (k - 1) * (1 - p) * rest[loads + k - 1 > capacity].sum()
            for k in range(1, reporting.max_transmissions + 1)
        )
        assert tagged_tail(reporting, devices, capacity) == pytest.approx(expected, rel=1e-6, abs=1e-250)


def test_the_law_sums_to_one_and_has_its_mean() -> None:
    loads, weights = pool_pmf(PAPER, 30_000)
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ loads == pytest.approx(pool_moments(PAPER, 30_000)[0])


def test_the_normal_law_is_too_thin_in_the_tail() -> None:
    for devices in (100, 1000, 30_000):
        mean, variance = pool_moments(PAPER, devices)
        far = math.ceil(mean + 5 * math.sqrt(variance))
        assert normal_tail(PAPER, devices, far).probability < exact_tail(PAPER, devices, far).probability


def test_ten_thousand_capacities_are_one_call() -> None:
    devices = np.arange(1, 10_001)
    rates = np.linspace(0.0, 0.6, 10_000)
    swept = normal_capacity(devices, rates, 10, 1e-3)
    for k in (0, 777, 4999):
        assert swept[k] == smallest_capacity(Reporting(rates[k], 10), int(devices[k]), 1e-3)
    assert np.array_equal(np.isinf(swept), rates**10 >= 1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reporting", CASES[:5])
def test_the_capacity_found_is_the_smallest_and_the_devices_the_most(reporting: Reporting, method: str) -> None:
    target = max(1e-3, 2 * reporting.residual_failure)
    capacity = smallest_capacity(reporting, 200, target, method)
    assert failure_bound(reporting, 200, capacity, method) <= target
    assert capacity == 0 or failure_bound(reporting, 200, capacity - 1, method) > target
    most = largest_devices(reporting, capacity, target, method)
    assert most >= 200
    assert failure_bound(reporting, most, capacity, method) <= target
    assert failure_bound(reporting, most + 1, capacity, method) > target
    tight = smallest_tight_capacity(reporting, 200, target)
    assert tight <= capacity
    assert failure_tight(reporting, 200, tight) <= target
    assert tight == 0 or failure_tight(reporting, 200, tight - 1) > target


def test_the_dropped_condition_errs_to_both_sides() -> None:
    """(15) forgets l = k: a random report's device sends more than others, a delivered single report less."""
    for reporting in CASES[:5]:
        mean, variance = pool_moments(reporting, 100)
        capacity = int(mean + 2 * math.sqrt(variance))
        rigorous, exact = (failure_bound(reporting, 100, capacity, method) for method in ("rigorous", "exact"))
        single = reporting.arrivals == "deterministic"
        assert (rigorous < exact) if single else (rigorous > exact)


@pytest.mark.parametrize(
    "make",
    [
        lambda: smallest_capacity(Reporting(0.5, 3), 100, 0.125),
        lambda: smallest_capacity(PAPER, 100, 0.0),
        lambda: smallest_capacity(PAPER, 0, 1e-3),
        lambda: smallest_capacity(PAPER, 100, 1e-3, "guess"),
        lambda: largest_devices(PAPER, 0, 1e-3),
        lambda: Reporting(1.5, 10),
        lambda: Reporting(0.1, 0),
        lambda: Reporting(0.1, 10, 1.5, "deterministic"),
        lambda: Reporting(0.1, 10, -1.0),
        lambda: Reporting(0.1, 10, 1.0, "sometimes"),
    ],
)
def test_bad_input_is_refused(make: object) -> None:
    with pytest.raises(BadInput):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_simulated_failures_stay_below_the_bounds_and_overload_is_exact(scheduler: str) -> None:
    """Over a grid: overload within its interval of the exact law; failures below both bounds for every scheduler."""
    rng = np.random.default_rng(30)
    outside = []
    for reporting in (PAPER, Reporting(0.4, 4), Reporting(0.3, 3, 2.0), Reporting(0.5, 6, 1.0, "deterministic")):
        for devices in (20, 200):
            mean, variance = pool_moments(reporting, devices)
            for sigmas in (0.5, 1.5):
                capacity = int(mean + sigmas * math.sqrt(variance))
                drawn = simulate_pool(reporting, devices, capacity, 2000, rng, scheduler)
                exact = exact_tail(reporting, devices, capacity).probability
                if not drawn.overload.holds(exact):
                    outside.append((reporting, devices, sigmas))
                assert drawn.failure.low <= failure_bound(reporting, devices, capacity, "rigorous")
                assert drawn.failure.low <= failure_tight(reporting, devices, capacity)
    # 16 cells of 99 % intervals
    assert len(outside) <= 1, outside


def test_the_tight_bound_is_nearly_reached_by_a_scheduler_that_finishes_reports() -> None:
    """Requests of one transmission each: every refusal is a failed report, and the bound is an equality."""
    reporting, rng = Reporting(0.0, 1, 1.5), np.random.default_rng(31)
    mean, _ = pool_moments(reporting, 50)
    drawn = simulate_pool(reporting, 50, int(mean), 20_000, rng)
    assert drawn.failure.holds(failure_tight(reporting, 50, int(mean)))


def test_a_pool_without_limit_fails_as_p_to_the_l() -> None:
    drawn = simulate_pool(Reporting(0.5, 3), 200, 10**6, 2000, np.random.default_rng(32))
    assert drawn.failure.holds(0.125)
    assert drawn.overload.mean == 0.0
    assert 0.0 < drawn.overload.high < 0.01
