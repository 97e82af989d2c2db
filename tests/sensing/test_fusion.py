"""Fused error probabilities against brute force, closed forms and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, gamma, ncx2

from sensing.fusion import (
    HARD_RULES,
    FusedErrors,
    k_of_n,
    needed_votes,
    poisson_binomial,
    snr_weights,
    soft_combiner,
    weighted_sum_sf,
)
from spectrum.errors import BadInput

PROBABILITIES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=7)


def all_verdicts(p: list[float]) -> list[float]:
    """P[k events] by adding up all 2^N outcomes."""
    pmf = [0.0] * (len(p) + 1)
    for outcome in itertools.product([0, 1], repeat=len(p)):
        pmf[sum(outcome)] += float(np.prod([q if happens else 1 - q for q, happens in zip(p, outcome, strict=True)]))
    return pmf


@given(PROBABILITIES)
def test_poisson_binomial_is_the_sum_over_all_outcomes(p: list[float]) -> None:
    assert poisson_binomial(p) == pytest.approx(all_verdicts(p), abs=1e-12)


def test_equal_sensors_are_binomial() -> None:
    fused = k_of_n([0.2] * 9, [0.1] * 9, 4)
    assert fused.pf == pytest.approx(binom.sf(3, 9, 0.2), rel=1e-12)
    assert fused.pm == pytest.approx(binom.cdf(3, 9, 0.9), rel=1e-9)


def test_the_named_rules() -> None:
    pf, pm = np.array([0.2, 0.1, 0.05]), np.array([0.1, 0.3, 0.2])
    assert HARD_RULES["or"](pf, pm).pf == pytest.approx(1 - np.prod(1 - pf))
    assert HARD_RULES["or"](pf, pm).pm == pytest.approx(np.prod(pm))
    assert HARD_RULES["and"](pf, pm).pf == pytest.approx(np.prod(pf))
    assert HARD_RULES["and"](pf, pm).pm == pytest.approx(1 - np.prod(1 - pm))
    assert HARD_RULES["majority"](pf, pm) == k_of_n(pf, pm, 2)
    assert [needed_votes(rule, 4) for rule in ("or", "and", "majority", "2", "9")] == [1, 4, 3, 2, 4]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_hard_rules_against_simulation(k: int) -> None:
    rng = np.random.default_rng(11)
    pf, pm = np.array([0.2, 0.1, 0.3, 0.05, 0.15]), np.array([0.1, 0.25, 0.05, 0.4, 0.2])
    cells = 200_000
    alarms = np.sum(rng.random((cells, 5)) < pf, axis=1) >= k
    misses = np.sum(rng.random((cells, 5)) >= pm, axis=1) < k
    fused = k_of_n(pf, pm, k)
    for counted, expected in ((alarms, fused.pf), (misses, fused.pm)):
        low, high = binom.ppf([1e-4, 1 - 1e-4], cells, expected)
        assert low <= np.count_nonzero(counted) <= high


@pytest.mark.parametrize("samples", [1, 3, 40, 1138])
@pytest.mark.parametrize("t", [0.7, 1.0, 1.1, 1.5])
def test_one_sensor_alone_has_the_laws_of_the_notes(samples: int, t: float) -> None:
    assert weighted_sum_sf(t, [1.0], samples) == pytest.approx(gamma.sf(t * samples, samples), rel=1e-9, abs=1e-13)
    if samples > 1:  # one chi-square of two degrees decays too slowly for the inversion's last digits
        detected = ncx2.sf(2 * samples * t, 2 * samples, 2 * samples * 0.3)
        assert weighted_sum_sf(t, [1.0], samples, 0.3) == pytest.approx(detected, rel=1e-7, abs=1e-9)
    scaled = gamma.sf(t * samples / 1.3, samples)
    assert weighted_sum_sf(t, [1.0], samples, 0.3, "gaussian") == pytest.approx(scaled, rel=1e-9, abs=1e-13)


def test_two_weights_against_the_convolution_integral() -> None:
    w, m, t = np.array([0.8, 0.2]), np.array([20.0, 35.0]), 1.25
    x = (np.arange(200_000) + 0.5) / 200_000 * t / w[0]
    inside = np.sum(gamma.pdf(x, m[0], scale=1 / m[0]) * gamma.sf((t - w[0] * x) / w[1], m[1], scale=1 / m[1]))
    expected = inside * t / w[0] / 200_000 + gamma.sf(t / w[0], m[0], scale=1 / m[0])
    assert weighted_sum_sf(t, w, m) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("pf", [0.2, 0.01, 1e-6])
def test_the_threshold_keeps_its_pf(pf: float) -> None:
    combiner = soft_combiner([0.5, 0.3, 0.2], [1138.0, 1138.0, 569.0], pf)
    assert combiner.errors(0.0).pf == pytest.approx(pf, rel=1e-8)
    assert combiner.errors(0.0).pm == pytest.approx(1 - pf, rel=1e-8)


@pytest.mark.parametrize("signal", ["deterministic", "gaussian"])
def test_soft_combining_against_simulation_from_samples(signal: str) -> None:
    """From complex samples on, not from the laws: noise of different power at each sensor, averaged energies."""
    rng = np.random.default_rng(5)
    snr, noise, samples, cells = np.array([0.5, 0.2, 0.05]), np.array([1.0, 4.0, 0.3]), 24, 40_000
    combiner = soft_combiner(snr_weights(snr), np.full(3, samples), 0.1)
    busy = []
    for g in (np.zeros(3), snr):
        shape = (cells, 3, samples)
        w = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * np.sqrt(noise / 2)[:, None]
        x = np.sqrt(g * noise)[:, None] * (
            np.exp(2j * np.pi * rng.random(shape))
            if signal == "deterministic"
            else (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
        )
        energy = np.mean(np.abs(w + x) ** 2, axis=2)
        busy.append(np.count_nonzero(combiner.statistic(energy / noise) >= combiner.threshold))
    errors = combiner.errors(snr, signal)  # type: ignore[arg-type]
    for count, probability in zip(busy, (errors.pf, 1 - errors.pm), strict=True):
        low, high = binom.ppf([1e-4, 1 - 1e-4], cells, probability)
        assert low <= count <= high


def test_weighting_by_snr_beats_equal_weights_and_every_hard_rule_where_sensors_differ() -> None:
    snr, samples = np.array([0.12, 0.03, 0.01]), np.full(3, 1138.0)
    by_snr = soft_combiner(snr_weights(snr), samples, 0.1).errors(snr)
    equal = soft_combiner(np.full(3, 1 / 3), samples, 0.1).errors(snr)
    assert by_snr.pm < equal.pm
    # AND at sensors set so that the fused Pf is 0.1 as well
    each = [soft_combiner([1.0], [1138.0], 0.1 ** (1 / 3)).errors([g]) for g in snr]
    assert by_snr.pm < k_of_n([e.pf for e in each], [e.pm for e in each], 3).pm


def test_longer_listening_weighs_more() -> None:
    snr, samples = np.array([0.05, 0.05]), np.array([1138.0, 114.0])
    told = soft_combiner(snr_weights(snr, samples), samples, 0.1).errors(snr).pm
    assert told < soft_combiner(snr_weights(snr), samples, 0.1).errors(snr).pm
    best = min(soft_combiner([w, 1 - w], samples, 0.1).errors(snr).pm for w in np.linspace(0.8, 0.99, 20))
    assert told == pytest.approx(best, rel=1e-3)


def test_no_snr_known_weighs_all_alike() -> None:
    assert snr_weights([0.0, -1.0]) == pytest.approx([0.5, 0.5])
    assert snr_weights([3.0, 1.0, 0.0]) == pytest.approx([0.75, 0.25, 0.0])
    # a sensor of weight 0 has no say
    assert weighted_sum_sf(1.1, [1.0, 0.0], [50, 7]) == weighted_sum_sf(1.1, [1.0], [50])
    assert soft_combiner([1.0, 0.0], [50, 7], 0.1).statistic([[1.5, 9.0], [0.5, 9.0]]) == pytest.approx([1.5, 0.5])


@pytest.mark.parametrize(
    "call",
    [
        lambda: k_of_n([], [], 1),
        lambda: k_of_n([0.1], [0.1, 0.2], 1),
        lambda: k_of_n([0.1], [0.1], 2),
        lambda: k_of_n([1.1], [0.1], 1),
        lambda: k_of_n([float("nan")], [0.1], 1),
        lambda: soft_combiner([0.0], [10], 0.1),
        lambda: soft_combiner([1.0], [0], 0.1),
        lambda: soft_combiner([1.0], [10], 0.0),
        lambda: needed_votes("most", 3),
    ],
)
def test_what_makes_no_sense_is_refused(call) -> None:
    with pytest.raises(BadInput):
        call()


def test_errors_are_plain_numbers() -> None:
    assert k_of_n([0.25], [0.5], 1) == FusedErrors(0.25, 0.5)
