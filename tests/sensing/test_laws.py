"""The laws of the detector, held against simulation, against each other and against their inverses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from sensing.laws import (
    LAWS,
    RULES,
    Infeasible,
    detection_error_weight,
    law_named,
    minimum_snr,
    posterior_busy,
    required_samples,
    snr_wall,
    threshold_bounds,
)
from spectrum.errors import BadInput

TRIALS = 40_000


def within_binomial(found, expected, trials, deviations=4.0):
    return abs(found - expected) <= deviations * math.sqrt(expected * (1 - expected) / trials) + 1e-9


def energies(samples, snr, signal, rng):
    """Mean |y|^2 of complex noise of power 1 with a signal, one energy a row."""
    noise = rng.standard_normal((TRIALS, samples)) + 1j * rng.standard_normal((TRIALS, samples))
    if signal == "deterministic":
        phase = np.exp(2j * np.pi * rng.random(samples))
        envelope = np.linspace(0.2, 1.8, samples)  # any envelope of mean power 1
        wave = phase * envelope / math.sqrt(np.mean(envelope**2))
    else:
        wave = (rng.standard_normal((TRIALS, samples)) + 1j * rng.standard_normal((TRIALS, samples))) / math.sqrt(2)
    return np.mean(np.abs(noise / math.sqrt(2) + math.sqrt(snr) * wave) ** 2, axis=1)


@pytest.mark.parametrize(("law", "signal"), [("exact", "deterministic"), ("exact-noiselike", "noiselike")])
@pytest.mark.parametrize("samples", [5, 40])
def test_exact_laws_agree_with_simulated_energies(law, signal, samples):
    rng = np.random.default_rng(7)
    ratio, snr = 1.3, 0.8
    false_alarms = np.mean(energies(samples, 0.0, signal, rng) >= ratio)
    missed = np.mean(energies(samples, snr, signal, rng) < ratio)
    assert within_binomial(false_alarms, float(LAWS[law].pf(ratio, samples)), TRIALS)
    assert within_binomial(missed, float(LAWS[law].pm(ratio, samples, snr)), TRIALS)


def test_pm_is_a_probability_of_missing_and_not_the_printed_detection_probability():
    ratio, samples, snr = 1.1, 400, 0.3
    printed = norm.sf((ratio - snr - 1) * math.sqrt(samples / (2 * snr + 1)))
    found = float(LAWS["gaussian"].pm(ratio, samples, snr))
    assert found == pytest.approx(1 - printed)
    assert found < 0.01 < 0.99 < printed
    assert float(LAWS["gaussian"].pf(ratio, samples)) == pytest.approx(norm.sf(0.1 * 20))


@pytest.mark.parametrize("law", LAWS)
def test_a_stronger_signal_is_missed_less_and_a_higher_threshold_misses_more(law):
    snr = np.array([0.01, 0.1, 0.5, 2.0, 50.0])
    missed = LAWS[law].pm(1.05, 500, snr)
    assert np.all(np.diff(missed) < 0)
    assert np.all(np.diff(LAWS[law].pm(np.array([0.9, 1.0, 1.2]), 500, 0.1)) > 0)
    assert np.all(np.diff(LAWS[law].pf(np.array([0.9, 1.0, 1.2]), 500)) < 0)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("samples", [3, 97.7, 1146.8])
def test_thresholds_invert_the_laws(law, samples):
    chosen = LAWS[law]
    assert float(chosen.pf(chosen.ratio_for_pf(0.2, samples), samples)) == pytest.approx(0.2, rel=1e-9)
    assert float(chosen.pm(chosen.ratio_for_pm(0.1, samples, 0.7), samples, 0.7)) == pytest.approx(0.1, rel=1e-6)


def test_the_approximation_is_visibly_off_for_few_samples_and_close_for_many():
    def difference(samples):
        ratio = LAWS["gaussian"].ratio_for_pf(0.01, samples)
        return abs(float(LAWS["exact"].pf(ratio, samples)) / 0.01 - 1)

    assert difference(50) > 0.3
    assert difference(100_000) < 0.02


@pytest.mark.parametrize("snr", [0.003, 0.05, 1.0, 10.0])
@pytest.mark.parametrize(("pf", "pm"), [(0.2, 0.1), (0.1, 0.1), (0.01, 0.05)])
def test_the_search_for_samples_meets_the_closed_form(snr, pf, pm):
    closed = math.ceil(((norm.isf(pf) + norm.isf(pm) * math.sqrt(1 + 2 * snr)) / snr) ** 2)
    assert required_samples(snr, pf, pm, law="gaussian") == closed


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("uncertainty_db", [0.0, 0.2])
def test_required_samples_are_the_fewest(law, uncertainty_db):
    options = {"law": law, "uncertainty_db": uncertainty_db}
    samples = required_samples(0.2, 0.2, 0.1, **options)
    assert threshold_bounds(samples, 0.2, 0.2, 0.1, **options).feasible
    assert not threshold_bounds(samples - 1, 0.2, 0.2, 0.1, **options).feasible
    assert minimum_snr(samples, 0.2, 0.1, **options) <= 0.2 < minimum_snr(samples - 1, 0.2, 0.1, **options)


def test_no_number_of_samples_helps_below_the_wall():
    rho = 10 ** (0.1)
    assert snr_wall(1.0) == pytest.approx(rho - 1 / rho)
    assert snr_wall(1.0, one_sided=True) == pytest.approx(rho - 1)
    with pytest.raises(Infeasible, match="SNR wall"):
        required_samples(snr_wall(1.0) * 0.999, 0.2, 0.1, uncertainty_db=1.0)
    above = required_samples(snr_wall(1.0) * 1.01, 0.2, 0.1, uncertainty_db=1.0, law="gaussian")
    assert above > 1000 * required_samples(snr_wall(1.0) * 1.01, 0.2, 0.1, law="gaussian")
    assert minimum_snr(1e9, 0.2, 0.1, uncertainty_db=1.0, law="gaussian") > snr_wall(1.0)


def test_rules_keep_what_their_names_say():
    bounds = threshold_bounds(2000, 0.1, 0.2, 0.1)
    law = LAWS["exact"]
    assert bounds.feasible
    assert float(law.pf(RULES["constant-pf"](bounds), 2000)) == pytest.approx(0.2)
    assert float(law.pm(RULES["constant-pd"](bounds), 2000, 0.1)) == pytest.approx(0.1)
    middle = RULES["midpoint"](bounds)
    assert float(law.pf(middle, 2000)) < 0.2
    assert float(law.pm(middle, 2000, 0.1)) < 0.1


@settings(max_examples=30, deadline=None)
@given(st.floats(0.001, 0.4), st.floats(0.001, 0.4), st.floats(10, 1e5))
def test_at_the_minimum_snr_the_two_bounds_meet(pf, pm, samples):
    snr = minimum_snr(samples, pf, pm, law="gaussian")
    bounds = threshold_bounds(samples, snr, pf, pm, law="gaussian")
    assert bounds.low == pytest.approx(bounds.high, rel=1e-6)


def test_the_printed_weight_ranks_a_busier_channel_better_and_the_posterior_does_not():
    idle, used = 0.1, 0.6
    assert detection_error_weight(0.2, 0.05, used) < detection_error_weight(0.2, 0.05, idle)
    assert posterior_busy(0.2, 0.05, used) > posterior_busy(0.2, 0.05, idle)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: law_named("guess"), "unknown law"),
        (lambda: required_samples(-1.0, 0.2, 0.1), "SNR must be above 0"),
        (lambda: required_samples(1.0, 0.0, 0.1), "Pf must lie between"),
        (lambda: threshold_bounds(10, 1.0, 0.2, 1.5), "Pm must lie between"),
        (lambda: snr_wall(-1.0), "noise uncertainty"),
    ],
)
def test_wrong_numbers_are_named(call, says):
    with pytest.raises(BadInput, match=says):
        call()
