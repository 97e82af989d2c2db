"""Key performance indicators against simulation and against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitoring.periodic.fleet import fleet_kpi, group_outliers, helped_by_gateway, outage_fence
from monitoring.periodic.kpi import (
    Degradation,
    alarm_level,
    misses_due,
    misses_for_alarm,
    offline_probability,
    silence_limit,
    silent_chance,
    wilson,
)
from monitoring.periodic.model import ApplicationKpi, DeviceKpi, GatewayCoverage
from monitoring.periodic.silence import aperiodic_silence, device_silence, judged


def device(name: str, period_s: float = 600.0, received: int = 95, missed: int = 5, **more: object) -> DeviceKpi:
    """A device of one application."""
    application = ApplicationKpi(period_s, 0.0, received, missed)
    return DeviceKpi(name, (application,), received, 0.0, **more)  # type: ignore[arg-type]


def test_a_report_is_overdue_half_a_period_after_its_instant() -> None:
    assert [misses_due(now, 1000.0, 100.0) for now in (1000, 1149, 1151, 1249, 1251)] == [0, 0, 1, 1, 2]


def test_the_chance_of_silence_is_that_of_independent_losses_when_outage_is_known() -> None:
    assert silent_chance(3, 70_000, 30_000) == pytest.approx(0.3**3, rel=1e-3)
    assert silent_chance(0, 1, 1) == 1.0


def test_the_chance_of_silence_allows_for_an_outage_that_is_not_known(rng: np.random.Generator) -> None:
    # predictive probability over the Beta posterior, by simulation
    p = rng.beta(0.5, 10.5, 400_000)
    assert silent_chance(3, 10, 0) == pytest.approx(float(np.mean(p**3)), rel=0.05)


def test_bursts_make_a_silence_likelier() -> None:
    assert silent_chance(5, 90, 10, persistence=0.8) > 10 * silent_chance(5, 90, 10)


@pytest.mark.parametrize("false_alarm", [0.1, 1e-3, 1e-6])
def test_k_is_the_first_number_of_misses_below_the_false_alarm_rate(false_alarm: float) -> None:
    k = misses_for_alarm(70, 30, false_alarm)
    assert silent_chance(k, 70, 30) <= false_alarm < silent_chance(k - 1, 70, 30)


def test_offline_probability_is_the_posterior_of_a_simulated_failure(rng: np.random.Generator) -> None:
    hazard, outage, misses = 0.02, 0.3, 4
    stops = rng.geometric(hazard, 400_000) - 1  # reports before the device stops
    lost = rng.random((400_000, misses)) < outage
    silent = np.all(lost | (np.arange(misses) >= stops[:, None]), axis=1)
    chances = [outage**j for j in range(misses + 1)]
    expected = float(np.mean(stops[silent] < misses))
    assert offline_probability(chances, hazard) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("outage", [0.05, 0.3])
def test_the_false_alarm_rate_per_test_is_what_was_chosen(rng: np.random.Generator, outage: float) -> None:
    # every slot of a healthy device is a test; the outage is learned from 200 slots before
    alarms, tests = 0, 0
    for _ in range(60):
        heard = rng.random(2200) >= outage
        received = int(heard[:200].sum())
        k = misses_for_alarm(received, 200 - received, 0.01)
        run = 0
        for slot in heard[200:].tolist():
            run = 0 if slot else run + 1
            alarms += run >= k
            tests += 1
    # runs go on after the alarm, so the rate is at most 0.01/(1 - outage)
    assert alarms / tests <= 0.01 / (1 - outage) * 1.15


def test_a_device_is_judged_on_all_its_applications() -> None:
    regular = ApplicationKpi(600.0, 0.0, 200, 2, overdue=1)
    loud = ApplicationKpi(60.0, 0.0, 100, 100, overdue=3)
    both = device_silence((regular, loud), 0.001)
    assert both.chance == pytest.approx(silent_chance(1, 200, 2) * silent_chance(3, 100, 100))
    assert device_silence((regular,), 0.001).chance > both.chance
    assert device_silence((), 0.001).offline is False


def test_each_application_is_judged_too() -> None:
    lively, stopped = ApplicationKpi(600.0, 0.0, 200, 2), ApplicationKpi(60.0, 0.0, 100, 5, overdue=9)
    one, other = judged((lively, stopped), 0.001)
    assert (one.offline, one.offline_probability) == (False, 0.0)
    assert other.offline
    assert other.offline_probability > 0.99
    low, high = other.outage_ci95
    assert low < other.outage < high


def test_without_a_period_silence_is_judged_by_the_mean_gap() -> None:
    assert not aperiodic_silence(50, 0.0, 5000.0, 5300.0, 0.001).offline
    found = aperiodic_silence(50, 0.0, 5000.0, 7000.0, 0.001)
    assert found.offline
    assert found.offline_probability > 0.9
    assert not aperiodic_silence(2, 0.0, 1.0, 1e9, 0.001).offline


def test_a_leap_in_the_runs_is_a_silence_and_a_tail_is_not() -> None:
    assert silence_limit([1, 1, 2, 1, 84, 1, 84]) == 84
    assert silence_limit([1, 2, 1, 3, 5, 4, 9, 14, 7, 2, 6]) == math.inf
    assert silence_limit([]) == math.inf
    # an hourly device that sleeps for twelve hours every night and loses nothing by day
    assert silence_limit([12] * 7) == 12
    assert silence_limit([12]) == math.inf


@pytest.mark.parametrize("persistence", [0.1, 0.3, 0.5, 0.8, 0.9])
def test_losses_are_seldom_taken_for_silences(rng: np.random.Generator, persistence: float) -> None:
    found = [silence_limit(rng.geometric(1 - persistence, 30).tolist()) < math.inf for _ in range(1000)]
    assert sum(found) <= 5


def test_degradation_is_seldom_false_and_soon_found(rng: np.random.Generator) -> None:
    level = alarm_level(0.001)

    def alarm_after(outages: list[float]) -> int | None:
        trend = Degradation()
        for slot, p in enumerate(outages):
            lost = bool(rng.random() < p)
            if trend.update(int(lost), int(not lost)) >= level:
                return slot
        return None

    assert sum(alarm_after([0.1] * 500) is not None for _ in range(100)) <= 2
    found = [alarm_after([0.1] * 300 + [0.5] * 200) for _ in range(40)]
    assert sum(slot is not None and slot >= 300 for slot in found) >= 38
    assert np.median([slot - 300 for slot in found if slot is not None]) < 60


def test_wilson_covers(rng: np.random.Generator) -> None:
    missed = rng.binomial(50, 0.2, 2000)
    covered = [low <= 0.2 <= high for low, high in (wilson(int(m), 50 - int(m)) for m in missed)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_outliers_are_grouped() -> None:
    fleet = [device(f"d{i}", missed=i % 4) for i in range(40)]
    fleet += [device("lossy", missed=60), device("odd", period_s=250.0), DeviceKpi("none", (), 30, 0.0)]
    fleet += [device("gone", offline=True)]
    groups = group_outliers(fleet)
    assert groups == {"lossy": ("high_outage",), "odd": ("odd_period",), "none": ("no_period",), "gone": ("offline",)}
    assert outage_fence(fleet[:5]) == math.inf


def test_whom_a_gateway_would_help() -> None:
    heard = {"north": GatewayCoverage(60, 0.4)}
    needy = device("needy", received=60, missed=40, gateways=heard)
    helped = helped_by_gateway([device("fine", received=100, missed=0), needy, device("gone", offline=True)])
    assert [one.device for one in helped] == ["needy"]
    assert helped[0].best_gateway == "north"
    assert helped[0].reports_per_day == pytest.approx(144 * 0.4 * 0.9)


def test_the_fleet_adds_up() -> None:
    fleet = fleet_kpi([device("a"), device("b", missed=0, received=10), DeviceKpi("c", (), 2, 0.0, unexplained=2)])
    assert (fleet.devices, fleet.with_period, fleet.received, fleet.missed, fleet.without_outage) == (3, 2, 105, 5, 1)
    assert fleet.outage == pytest.approx(5 / 110)
