"""The paper's methods, each against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.periodic.classification import KnownApplication, agreement, classify, periodic_likelihood
from monitoring.periodic.methods import by_known
from monitoring.periodic.naive import naive_outage, received_in_window
from monitoring.periodic.regression import nhm
from monitoring.periodic.spc import GreedyOnlineClustering, label, significant_period, spc


def test_nhm_divides_by_the_number_of_gaps_and_rounds() -> None:
    # slots 0, 1, 3, 4, 8 of 100 s: the floor of (E.8) would turn a gap of 199 s into one period
    times = np.array([0.0, 101.0, 300.0, 402.0, 799.0])
    found = nhm(times)
    assert found.orders.tolist() == [1, 2, 1, 4]
    assert found.period_s == pytest.approx(np.mean([101, 199 / 2, 102, 397 / 4]))
    assert found.transmitted == 9
    assert found.outage == pytest.approx(1 - 5 / 9)


def test_nhm_online_from_the_last_period_is_nhm() -> None:
    rng = np.random.default_rng(1)
    times = np.cumsum(60.0 * rng.geometric(0.7, 50)) + rng.exponential(0.6, 50)
    before = nhm(times[:-1])
    assert nhm(times, period_s=before.period_s).period_s == pytest.approx(nhm(times).period_s, rel=1e-9)


def test_nhm_refuses_a_stream_without_gaps() -> None:
    with pytest.raises(ValueError, match="two receptions"):
        nhm(np.array([5.0, 5.0]))


@given(st.floats(-1e6, 1e6), st.floats(1, 1e4), st.floats(-1e4, 1e4))
def test_the_periodic_likelihood_is_a_share_and_periodic(time_s: float, period_s: float, offset_s: float) -> None:
    value = float(periodic_likelihood(time_s, period_s, offset_s))
    assert 0 <= value <= 1
    assert float(periodic_likelihood(time_s + period_s, period_s, offset_s)) == pytest.approx(value, abs=1e-6)


def test_agreement_without_the_matrix_is_the_matrix_sum() -> None:
    times = np.sort(np.random.default_rng(2).uniform(0, 1e4, 60))
    matrix = periodic_likelihood(times[:, None] - times[None, :], 137.0)
    assert agreement(times, 137.0) == pytest.approx(matrix.sum(axis=1))


@pytest.mark.parametrize("with_offsets", [True, False])
def test_known_periods_classify_unlabelled_receptions(with_offsets: bool) -> None:
    rng = np.random.default_rng(3)
    first, second = np.arange(0, 6000, 100.0), np.arange(37, 6000, 330.0)
    times = np.concatenate([first, second]) + rng.exponential(0.5, first.size + second.size)
    truth = np.repeat([0, 1], [first.size, second.size])
    order = np.argsort(times)
    known = [
        KnownApplication(100.0, 0.0 if with_offsets else None),
        KnownApplication(330.0, 37.0 if with_offsets else None),
    ]
    owner = classify(times[order], known)
    assert np.mean(owner == truth[order]) > 0.9


def test_known_and_alone_is_counted_directly() -> None:
    estimate = by_known(np.array([0.0, 100.0, 305.0, 400.0]), [KnownApplication(100.0)])
    assert estimate.outage == pytest.approx(1 / 5)


def test_naive_windows_are_half_open_and_compared_with_the_fullest() -> None:
    times = np.array([0.0, 1.0, 2.0, 3.0, 20.0])
    assert received_in_window(times, np.array([3.0, 4.0]), 3.0).tolist() == [3, 2]
    assert naive_outage(times, 4.0, 3.0) == pytest.approx(1 / 3)
    assert naive_outage(times, 100.0, 3.0) == 1.0
    assert naive_outage(np.array([]), 0.0) == 0.0


def test_lomb_scargle_finds_the_period_and_refuses_noise() -> None:
    rng = np.random.default_rng(4)
    times = 150.0 * np.flatnonzero(rng.random(70) > 0.1) + rng.exponential(1.5, 1)
    period = significant_period(times)
    assert period is not None
    assert period == pytest.approx(150.0, rel=0.02)
    noise = [significant_period(np.cumsum(rng.exponential(150.0, 40))) for _ in range(20)]
    assert sum(one is not None for one in noise) <= 6


def test_of_two_colliding_receptions_the_better_fitting_stays() -> None:
    times = np.array([0.0, 100.0, 130.0, 200.0, 300.0, 400.0])
    assert label(times, 100.0).tolist() == [True, True, False, True, True, True]


def test_spc_needs_psi_receptions() -> None:
    times = 100.0 * np.arange(20.0)
    clusters, rest = spc(times, psi=25)
    assert clusters == []
    assert rest.size == 20


def test_goc_takes_what_fits_at_once_and_tells_when_it_is_silent() -> None:
    rng = np.random.default_rng(5)
    online = GreedyOnlineClustering(psi=10)
    times = 100.0 * np.arange(40) + rng.exponential(1.0, 40)
    for time_s in times:
        online.receive(float(time_s))
    (cluster,) = online.clusters
    assert cluster.period_s == pytest.approx(100.0, rel=0.01)
    assert cluster.times_s.size + len(online.rest_s) == 40
    assert not online.offline(float(times[-1]) + 150.0, k=3)
    assert online.offline(float(times[-1]) + 350.0, k=3)


def test_goc_refuses_what_comes_before_half_a_period() -> None:
    online = GreedyOnlineClustering(psi=10)
    for time_s in 100.0 * np.arange(12):
        online.receive(float(time_s))
    (before,) = online.clusters
    online.receive(1100.0 + 1.0)
    assert online.clusters[0].times_s.size == before.times_s.size
    assert online.rest_s == [1101.0]
