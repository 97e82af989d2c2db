"""The largest number of interferers in any symbol: exact programmes, approximation, drawing, and what was printed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from planning.models.symbol_collisions import (
    approximate_cdf,
    exact_cdf,
    first_symbol_cdf,
    next_symbol_cdf,
    simulated_largest,
    whole_frame_cdf,
)
from spectrum.errors import BadInput

# (starts per symbol, n_int, n_ref): equal frames, a long and a short reference frame.
CASES = [(0.1, 30, 30), (0.01, 100, 100), (0.1, 8, 40), (0.03, 60, 20), (0.05, 5, 90)]


@pytest.mark.parametrize(("rate", "n_int", "n_ref"), CASES)
def test_exact_within_the_interval_of_drawing(rate: float, n_int: int, n_ref: int) -> None:
    trials = 20_000
    drawn = simulated_largest(rate, n_int, n_ref, np.random.default_rng(8), trials)
    for x in range(5):
        value = exact_cdf(rate, n_int, n_ref, x)
        error = 4.0 * np.sqrt(max(value * (1 - value), 1.0 / trials) / trials)
        assert abs(float((drawn <= x).mean()) - value) < error


@pytest.mark.parametrize(("rate", "n_int", "n_ref"), CASES)
def test_bounds_and_the_point_where_all_agree(rate: float, n_int: int, n_ref: int) -> None:
    assert exact_cdf(rate, n_int, n_ref, 0) == pytest.approx(np.exp(-rate * (n_int + n_ref)))
    assert float(approximate_cdf(rate, n_int, n_ref, 0)) == pytest.approx(np.exp(-rate * (n_int + n_ref)))
    assert exact_cdf(rate, n_int, n_ref, -1) == 0.0
    for x in range(5):
        value = exact_cdf(rate, n_int, n_ref, x)
        assert float(whole_frame_cdf(rate, n_int, n_ref, x)) <= value + 1e-12
        assert value <= float(first_symbol_cdf(rate, n_int, x)) + 1e-12
        # Successive symbols are taken for a chain: the approximation is pessimistic, and nearer than the whole frame.
        approximation = float(approximate_cdf(rate, n_int, n_ref, x))
        assert float(whole_frame_cdf(rate, n_int, n_ref, x)) - 1e-9 <= approximation <= value + 1e-9


def test_the_two_exact_programmes_agree_where_both_apply() -> None:
    from planning.models.symbol_collisions import _cdf_by_ages, _cdf_of_short_reference

    for n_ref in (3, 8, 10):
        for x in (0, 1, 3):
            by_ages = _cdf_by_ages(0.2, 8, n_ref, x)
            assert _cdf_of_short_reference(0.2, 8, n_ref, x) == pytest.approx(by_ages, abs=1e-12)


def test_the_approximation_is_good_at_low_and_poor_at_high_load() -> None:
    def largest_error(rate: float) -> float:
        return max(abs(float(approximate_cdf(rate, 60, 60, x)) - exact_cdf(rate, 60, 60, x)) for x in range(14))

    assert largest_error(0.001) < 0.001
    assert largest_error(0.01) < 0.02
    assert largest_error(0.1) > 0.08


def test_whole_frame_count_is_fine_far_below_one_and_worse_above() -> None:
    far_below = max(abs(float(whole_frame_cdf(1e-4, 60, 60, x)) - exact_cdf(1e-4, 60, 60, x)) for x in range(3))
    above = max(abs(float(whole_frame_cdf(0.1, 60, 60, x)) - exact_cdf(0.1, 60, 60, x)) for x in range(14))
    approximated = max(abs(float(approximate_cdf(0.1, 60, 60, x)) - exact_cdf(0.1, 60, 60, x)) for x in range(14))
    assert far_below < 1e-4
    assert above > 2 * approximated


def test_next_symbol_by_the_mended_sum_equals_the_ratio_in_use() -> None:
    """Averaged over S_1 <= x, the mended (C.5) is P(S_2 <= x | S_1 <= x)."""
    rate, n_int, x = 0.2, 7, 4
    weights = poisson.pmf(np.arange(x + 1), rate * (n_int + 1))
    averaged = sum(weights[s] * next_symbol_cdf(rate, n_int, s, x) for s in range(x + 1)) / weights.sum()
    first = float(first_symbol_cdf(rate, n_int, x))
    chained = float(approximate_cdf(rate, n_int, 2, x)) / first
    assert averaged == pytest.approx(chained, rel=1e-9)


def test_the_printed_step_leaves_out_a_symbol() -> None:
    """(C.3) sums n_int + 1 symbols, so a frame leaves after n_int + 1 steps, not after n_int."""
    starts = np.random.default_rng(2).poisson(0.5, 60)
    n_int = 6
    windows = np.array([starts[i : i + n_int + 1].sum() for i in range(40)])
    for i in range(39):
        assert windows[i + 1] == windows[i] - starts[i] + starts[i + n_int + 1]
    assert any(windows[i + 1] != windows[i] - starts[i] + starts[i + n_int] for i in range(39))


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_the_printed_heuristics_are_no_distributions(rate: float) -> None:
    n_int = n_ref = 60
    share = n_ref / (n_int + 1)
    small, large = 0.0, 0.0
    for x in range(40):
        now = float(poisson.pmf(x, rate * (n_int + 1)))
        staying = next_symbol_cdf(rate, n_int, x, x)
        small += now * staying**n_ref
        large += float(first_symbol_cdf(rate, n_int, x)) ** share * now * staying ** (n_ref - share)
    assert small < 0.75
    assert large < 0.75


def test_many_rates_at_once_and_large_tolerances() -> None:
    rates = np.linspace(1e-6, 0.05, 10_000)
    values = approximate_cdf(rates, 90, 100, 6)
    assert values.shape == (10_000,)
    assert float(values[7000]) == pytest.approx(float(approximate_cdf(rates[7000], 90, 100, 6)))
    assert np.all(np.diff(values) <= 1e-12)
    assert float(approximate_cdf(0.01, 4, 100, 316)) == 1.0


def test_too_many_states_are_refused_with_a_way_out() -> None:
    with pytest.raises(BadInput, match="simulate"):
        exact_cdf(0.1, 60, 200, 9)
