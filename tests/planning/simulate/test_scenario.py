"""What follows from a scenario: airtimes, energies, duty cycles, link budget, and the behaviours anyone would check."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from planning.simulate import engine, places, plain, radio, sweep
from planning.simulate.results import mean_and_interval, per_run
from planning.simulate.scenario import Scenario


def lost(scenario: Scenario) -> float:
    """Mean number of unsuccessful transmissions."""
    return float(per_run(scenario, engine.run(scenario))["unsuccessful"].mean())


def test_airtime_is_the_datasheets_and_sigfoxs() -> None:
    assert Scenario().airtimes_s[0] == pytest.approx(0.066048)
    assert Scenario(crc=False).airtimes_s[0] == pytest.approx(0.055808)
    assert Scenario(technology="sigfox", payload_bytes=6).airtimes_s == (1.76,)
    assert Scenario(duty_cycle=0.009, duty_reading="airtime").airtimes_s == (0.009,)


def test_the_literal_duty_cycle_never_binds_one_or_two_packets() -> None:
    """So figures 6 and 7 coincide under it (notes 1.4)."""
    high, low = (Scenario(duty_cycle=d, runs=10) for d in (0.02, 0.009))
    assert lost(high) == lost(low)


def test_accesses_scale_with_the_duty_cycle() -> None:
    scenario = Scenario(devices=2000, duty_cycle=0.009, duty_reading="accesses", runs=20)
    mean, (low, high) = mean_and_interval(per_run(scenario, engine.run(scenario))["transmissions"])
    assert low - 30 < 2000 * 1.5 * 0.45 < high + 30
    assert mean != 3000


@pytest.mark.parametrize("traffic", ["renewal", "periodic"])
def test_off_time_holds_after_every_frame_even_with_held_back_ones(traffic: str) -> None:
    scenario = Scenario(
        devices=12, subchannels=1, traffic=traffic, interval_s=2.0, duration_s=60.0, duty_cycle=0.05, attempts=3,
        attempt_delay_s=0.1,
    )  # fmt: skip
    frames = plain.time_line_frames(scenario, 0)
    assert any(frame.delay_s > 0.0 for frame in frames)
    for device in range(scenario.devices):
        starts_s = sorted(frame.start_s for frame in frames if frame.device == device)
        assert all(later - early > 0.066048 / 0.05 - 1e-9 for early, later in pairwise(starts_s))


def test_more_attempts_lose_less_and_errors_lose_more() -> None:
    perfect = [lost(Scenario(attempts=n, runs=20)) for n in (1, 2, 5)]
    assert perfect[0] > perfect[1] > perfect[2]
    assert lost(Scenario(attempts=5, pf=0.2, pm=0.1, runs=20)) > perfect[2]
    assert perfect[0] >= lost(Scenario(attempts=5, status_age_s=30.0, runs=20)) > perfect[2]


def test_a_picture_as_old_as_the_window_is_random_access() -> None:
    aged, blind = Scenario(attempts=4, status_age_s=60.0, runs=40), Scenario(policy="random", runs=40)
    assert lost(aged) == pytest.approx(lost(blind), rel=0.05)


def test_link_budget_of_the_thesis() -> None:
    """c = 106.26 dB with distances in metres (notes 3.B.1)."""
    loss_db = float(places.path_loss_db(np.array(1.0), 4.0))
    noise_dbm = 10.0 * math.log10(radio.noise_mw(Scenario()))
    assert 14.0 - loss_db - noise_dbm == pytest.approx(106.26, abs=0.01)


def test_more_gateways_and_capture_lose_less() -> None:
    base = Scenario(devices=400, subchannels=1, radius_m=1500.0, spreading_factors=(9,), policy="random", runs=4)
    alone = lost(base.with_(shadowing_db=1e-9))
    several = lost(base.with_(gateways=4))
    captured = lost(base.with_(gateways=4, capture=True))
    assert alone > several > captured


def test_the_preamble_rule_spares_frames() -> None:
    base = Scenario(devices=800, subchannels=1, capture=True, radius_m=200.0, preamble_symbols=30.0, runs=4)
    assert lost(base.with_(lock_symbols=4.0)) < lost(base.with_(lock_symbols=30.0))


def test_inter_sf_interference_and_few_paths_lose_more() -> None:
    base = Scenario(devices=900, subchannels=2, capture=True, radius_m=400.0, spreading_factors=(7, 8, 9, 10), runs=4)
    plain_loss = lost(base)
    assert lost(base.with_(inter_sf=True)) > plain_loss
    assert lost(base.with_(demodulators=2)) > plain_loss


def test_intervals_are_students() -> None:
    mean, (low, high) = mean_and_interval(np.array([101.0, 102.0, 103.0]))
    assert (mean, (high - low) / 2) == (102.0, pytest.approx(4.302653 / math.sqrt(3.0), rel=1e-6))
    assert math.isnan(mean_and_interval(np.array([1.0]))[1][0])


def test_energy_per_bit_counts_a_message_once() -> None:
    scenario = Scenario(technology="sigfox", copies=3, devices=1, packets=(1, 1), payload_bytes=12, energy_mj=100.0)
    found = per_run(scenario, engine.run(scenario))
    assert found["bits_per_joule"][0] == pytest.approx(96 / 0.3)


def test_one_attempt_is_random_access_unless_a_policy_is_named() -> None:
    chosen = sweep.grid({"policy": None}, {"attempts": [1, 2]})
    assert [scenario.policy for scenario in chosen] == ["random", "algorithm1"]
    assert lost(chosen[0]) == lost(chosen[0].with_(policy="algorithm1"))
