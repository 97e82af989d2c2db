"""Paper C: several gateways, held against frames drawn and judged symbol by symbol."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.models.airtimes import Floats
from planning.models.collisions_answer import answer_collisions
from planning.models.collisions_model import (
    Frame,
    Network,
    correlated_outage,
    gateways,
    group_rates,
    independent_outage,
    outage_by_gateways,
)
from planning.models.collisions_simulation import simulate_collisions
from spectrum.errors import BadInput

# (C.1)
LINKS = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.0], [0.5, 0.0, 0.0]])
RATE = 1 / 600


def only_one_sf(factor: int = 12) -> Floats:
    return np.eye(6)[factor - 7]


def test_a_frame_has_whole_symbols_without_the_sync_word() -> None:
    frame = Frame()
    # 8 + 8 + ceil((400 - 48 + 44) / 40) x 8 = 96 symbols on SF12.
    assert frame.symbols(5) == 96
    assert frame.airtimes_s[5] == pytest.approx(96 * 2**12 / 125e3)
    assert [frame.interfering_symbols(m, m) for m in range(6)] == [frame.symbols(m) for m in range(6)]


def test_one_gateway_one_sf_is_pure_aloha() -> None:
    network = Network(np.array([[1.0]]), sf_shares=only_one_sf(), paths=10_000)
    rates = np.array([0.4])
    expected = 1 - np.exp(-2 * 0.4 * network.frame.airtimes_s[5] / 8)
    at = gateways(network, rates)
    assert float(at.outage[0]) == pytest.approx(expected)
    assert float(correlated_outage(network, at, rates)[0]) == pytest.approx(expected)


@pytest.mark.parametrize("devices", [100, 500, 1500])
def test_model_against_the_simulation(devices: int) -> None:
    """At whole frames, as the model counts: within the intervals but for what blocking adds at 1500 devices."""
    network, rates = Network(LINKS), np.full(3, devices * RATE)
    truth = simulate_collisions(network, rates, np.random.default_rng(12), whole_frame=True)
    at = gateways(network, rates)
    for estimate, value in zip(truth.gateway_outage, at.outage, strict=True):
        assert estimate.holds(float(value), slack=0.001 if devices < 1000 else 0.008)
    for estimate, value in zip(truth.device_outage, correlated_outage(network, at, rates), strict=True):
        assert estimate.holds(float(value), slack=0.001 if devices < 1000 else 0.006)


def test_a_frame_survives_damage_to_its_first_preamble_symbols() -> None:
    """The paper's rule, four clean symbols in a row: outages lie below the model's, by two hundredths at most."""
    network, rates = Network(LINKS), np.full(3, 1000 * RATE)
    by_rule = simulate_collisions(network, rates, np.random.default_rng(4))
    at = gateways(network, rates)
    for estimate, value in zip(by_rule.gateway_outage, at.outage, strict=True):
        assert estimate.high > float(value) - 0.02
        assert estimate.low < float(value) + 0.001


def test_correlation_is_seen_in_the_simulation_and_independence_is_not() -> None:
    """Every gateway hears the same dense crowd: failing together, they help less than independence promises."""
    network = Network(np.full((1, 3), 0.9), sf_shares=only_one_sf(9), paths=1000)
    rates = np.array([15.0])
    truth = simulate_collisions(network, rates, np.random.default_rng(6), whole_frame=True).device_outage[0]
    at = gateways(network, rates)
    exact, independent = correlated_outage(network, at, rates)[0], independent_outage(network, at)[0]
    assert truth.holds(float(exact))
    assert float(independent) < truth.low - 0.1


def test_inclusion_and_exclusion_equals_enumeration() -> None:
    """P(out) by listing which gateways hear a frame, and which of those each interferer leaves clean."""
    links = np.array([[0.6, 0.3], [0.2, 0.9]])
    network = Network(links, sf_shares=only_one_sf(10), paths=10_000)
    rates = np.array([0.5, 0.8])
    mu = 2 * network.frame.airtimes_s[3] * rates / 8
    expected = []
    for group in range(2):
        total = 0.0
        for heard in itertools.product((0, 1), repeat=2):
            p_heard = np.prod([links[group, j] if heard[j] else 1 - links[group, j] for j in range(2)])
            sets = [j for j in range(2) if heard[j]]
            clean = 0.0
            for size in range(1, len(sets) + 1):
                for chosen in itertools.combinations(sets, size):
                    silent = np.prod([1 - links[:, j] for j in chosen], axis=0)
                    clean += (-1) ** (size + 1) * np.exp(-(mu * (1 - silent)).sum())
            total += p_heard * (1 - clean)
        expected.append(total)
    found = correlated_outage(network, gateways(network, rates), rates)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_first_gateways_are_the_network_without_the_others() -> None:
    network, rates = Network(LINKS), np.array([1.0, 2.0, 3.0])
    by_gateways = outage_by_gateways(network, gateways(network, rates), rates)
    for count in (1, 2, 3):
        part = Network(LINKS[:, :count])
        alone = correlated_outage(part, gateways(part, rates), rates)
        np.testing.assert_allclose(by_gateways[count - 1], alone, rtol=1e-12)


@given(
    links=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(st.floats(0, 1), min_size=width, max_size=width), min_size=1, max_size=3)
    ),
    rate=st.floats(1e-6, 50.0),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_links_at_any_rate(links: list[list[float]], rate: float) -> None:
    """Sharing interferers never helps, another gateway never hurts, no outage is below what the links alone cost."""
    network = Network(np.array(links))
    rates = np.full(len(links), rate)
    at = gateways(network, rates)
    by_gateways = outage_by_gateways(network, at, rates)
    assert np.all(np.diff(by_gateways, axis=0) < 1e-9)
    assert np.all(by_gateways[-1] > independent_outage(network, at) - 1e-9)
    assert np.all(by_gateways[-1] > np.prod(1 - network.links, axis=1) - 1e-9)


def test_gateways_that_share_no_interferer_are_independent() -> None:
    """Each gateway hears its own group and both hear a silent-but-one group of a single device."""
    links = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, 0.4]])
    network = Network(links, paths=10_000)
    rates = np.array([1.0, 2.0, 1e-12])
    at = gateways(network, rates)
    independent = independent_outage(network, at)[2]
    assert float(correlated_outage(network, at, rates)[2]) == pytest.approx(float(independent), rel=1e-4)


def test_the_printed_device_outage_is_not_what_is_simulated() -> None:
    """(C.14) as printed, prod_j (1 - p_ij G_out_j), puts the gateway's outage where its success belongs."""
    network, rates = Network(LINKS), np.full(3, 500 * RATE)
    at = gateways(network, rates)
    truth = simulate_collisions(network, rates, np.random.default_rng(21), replications=4, whole_frame=True)
    printed = np.prod(1.0 - LINKS * at.outage, axis=1)
    for estimate, value, wrong in zip(truth.device_outage, independent_outage(network, at), printed, strict=True):
        assert abs(estimate.mean - value) < 0.01
        assert wrong > estimate.high + 0.3


def test_the_printed_blocking_is_not_erlang_b() -> None:
    """(C.9) sums from x = 1: one path would then be busy for certain, (a / 1!) / (a / 1!), whatever the load a."""
    network = Network(np.array([[1.0]]), paths=1)
    at = gateways(network, np.array([0.01]))
    offered = float(0.01 * (at.preamble[0] @ (network.alpha * network.frame.airtimes_s)))
    assert 1 - float(at.demodulated[0]) == pytest.approx(offered / (1 + offered))
    truth = simulate_collisions(network, np.array([0.01]), np.random.default_rng(2), replications=4)
    assert truth.blocked[0].holds(1 - float(at.demodulated[0]))
    assert truth.blocked[0].high < 0.1


def test_blocking_is_negligible_at_the_reference_and_overstated_at_load() -> None:
    """Erlang-B is an upper bound: a path is never busy with two frames of one SF and channel, for they collide.

    The thesis blames longer gaps between detections; they are there (less spread than exponential ones), but slight.
    """
    answer = answer_collisions(Network(LINKS), [500], RATE)
    assert float(np.max(1 - answer.at.demodulated)) < 1e-4
    network, rates = Network(LINKS), np.full(3, 2000 * RATE)
    truth = simulate_collisions(network, rates, np.random.default_rng(14), replications=6)
    assert truth.blocked[0].high < float(1 - gateways(network, rates).demodulated[0])
    assert 0.95 < truth.gaps_s.std() / truth.gaps_s.mean() < 0.995


def test_diversity_pays_less_with_each_gateway_and_with_more_devices() -> None:
    gains = []
    for rate in (0.2, 3.0):
        network, rates = Network(np.full((1, 6), 0.5)), np.array([rate])
        outage = outage_by_gateways(network, gateways(network, rates), rates)[:, 0]
        assert np.all(np.diff(outage) < 0)
        ratios = outage[:-1] / outage[1:]
        assert np.all(np.diff(ratios) < 0)
        gains.append(outage[0] / outage[-1])
    assert gains[0] > gains[1]


def test_ten_thousand_loads_at_once() -> None:
    network = Network(LINKS)
    rates = group_rates(np.linspace(1, 2000, 10_000)[:, np.newaxis] * np.ones(3), RATE)
    at = gateways(network, rates)
    outage = correlated_outage(network, at, rates)
    assert outage.shape == (10_000, 3)
    assert np.all(np.diff(outage, axis=0) > 0)
    one = gateways(network, rates[777])
    np.testing.assert_allclose(correlated_outage(network, one, rates[777]), outage[777])


def test_unlinked_groups_and_gateways() -> None:
    answer = answer_collisions(Network(np.array([[0.0, 0.0], [1.0, 0.0]])), [50], RATE)
    assert answer.device_outage[0] == pytest.approx(1.0)
    assert answer.device_outage[1] < 0.1
    assert answer.at.outage[1] == 0.0


@pytest.mark.parametrize(
    ("links", "devices", "rate"),
    [
        (np.array([[1.5]]), [10], RATE),
        (np.array([[-0.1]]), [10], RATE),
        (np.zeros((0, 2)), [10], RATE),
        (LINKS, [10, 20], RATE),
        (LINKS, [0], RATE),
        (LINKS, [10], -1.0),
        (LINKS, [10], 1.0),
        (np.full((1, 17), 0.5), [10], RATE),
    ],
)
def test_bad_questions_are_refused(links: Floats, devices: list[float], rate: float) -> None:
    with pytest.raises(BadInput):
        answer_collisions(Network(links), devices, rate)
