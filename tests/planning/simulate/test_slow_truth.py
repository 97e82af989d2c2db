"""The compiled engines against the plain event simulator: the same streams must end in the same frames and fates."""

from __future__ import annotations

from typing import Any

import pytest

from planning.simulate import engine, plain
from planning.simulate.scenario import Scenario

WINDOW: dict[str, dict[str, Any]] = {
    "random": {"policy": "random"},
    "random-slotted": {"policy": "random", "access": "slotted"},
    "n1": {"attempts": 1},
    "n5": {"attempts": 5},
    "n3-slotted": {"attempts": 3, "access": "slotted"},
    "fresh": {"attempts": 2, "fresh": True},
    "sensing-errors": {"attempts": 4, "pf": 0.2, "pm": 0.1},
    "sensing-errors-slotted": {"attempts": 4, "pf": 0.2, "pm": 0.1, "access": "slotted"},
    "status-age": {"attempts": 3, "status_age_s": 2.0},
    "attempt-delay": {"attempts": 3, "attempt_delay_s": 0.5},
    "round-robin": {"policy": "round-robin", "attempts": 3},
    "least-loaded": {"policy": "least-loaded", "attempts": 3, "access": "slotted"},
    "posterior": {"policy": "posterior", "attempts": 3, "pf": 0.2, "pm": 0.1, "occupancy": (0.1, 0.5, 0.02)},
    "strangers": {"attempts": 2, "occupancy": (0.3,)},
    "copies": {"technology": "sigfox", "copies": 3, "payload_bytes": 12, "window_s": 60.0, "attempts": 2},
    "classes": {"spreading_factors": (7, 9, 12), "attempts": 3, "payload_bytes": 20},
    "classes-slotted": {"spreading_factors": (7, 9), "attempts": 3, "access": "slotted"},
    "duty-limit": {"packets": (6, 9), "duty_cycle": 0.0001, "window_s": 10.0},
    "on-air": {"duty_reading": "on-air", "duty_cycle": 0.02},
    "accesses": {"duty_reading": "accesses", "duty_cycle": 0.009},
    "gateways": {"gateways": 3, "radius_m": 1500.0},
    "capture": {"capture": True, "gateways": 2, "shadowing_db": 6.0},
    "capture-all": {
        "capture": True, "inter_sf": True, "spreading_factors": (7, 8, 10), "fading": "rayleigh", "demodulators": 2,
        "sf_order": "distance",
    },
    "capture-over-noise": {
        "capture": True, "capture_rule": "sinr", "inter_sf": True, "spreading_factors": (7, 8), "gateways": 2,
    },
    "capture-slotted": {"capture": True, "access": "slotted", "attempts": 2, "radius_m": 300.0},
    "capture-copies": {"technology": "sigfox", "copies": 3, "capture": True, "window_s": 60.0, "radius_m": 30000.0},
}  # fmt: skip

TIME_LINE: dict[str, dict[str, Any]] = {
    "random": {"policy": "random"},
    "random-slotted": {"policy": "random", "access": "slotted"},
    "periodic": {"policy": "random", "traffic": "periodic"},
    "periodic-slotted": {"policy": "random", "traffic": "periodic", "access": "slotted", "copies": 2},
    "off-time": {"policy": "random", "duty_cycle": 0.01},
    "copies": {"policy": "random", "copies": 3, "copy_gap_s": 0.1},
    "classes": {"policy": "random", "spreading_factors": (7, 9, 10)},
    "strangers": {"policy": "random", "occupancy": (0.3,)},
    "n4": {"attempts": 4},
    "n3-slotted": {"attempts": 3, "access": "slotted"},
    "delay": {"attempts": 3, "attempt_delay_s": 0.03},
    "delay-slotted-classes": {
        "attempts": 3, "attempt_delay_s": 0.05, "access": "slotted", "spreading_factors": (7, 8), "duty_cycle": 0.1,
    },
    "fresh": {"attempts": 2, "fresh": True},
    "fresh-delay": {"attempts": 2, "fresh": True, "attempt_delay_s": 0.03},
    "sensing-errors": {"attempts": 3, "pf": 0.2, "pm": 0.1},
    "status-age": {"attempts": 3, "status_age_s": 0.1},
    "round-robin": {"policy": "round-robin", "attempts": 2},
    "least-loaded": {"policy": "least-loaded", "attempts": 2, "spreading_factors": (7, 9)},
    "posterior": {"policy": "posterior", "attempts": 3, "pf": 0.2, "pm": 0.1, "occupancy": (0.1, 0.5, 0.02)},
    "many-booked": {"policy": "random", "duration_s": 150.0},
    "many-draws": {"attempts": 4, "pf": 0.3, "pm": 0.1, "occupancy": (0.3,), "duration_s": 60.0},
    "gateways": {"policy": "random", "gateways": 3, "radius_m": 1500.0},
    "capture": {"policy": "random", "capture": True, "gateways": 2, "shadowing_db": 6.0},
    "capture-all": {
        "attempts": 2, "capture": True, "inter_sf": True, "spreading_factors": (7, 8, 10), "fading": "rayleigh",
        "demodulators": 2, "gateways": 2,
    },
    "capture-over-noise": {"policy": "random", "capture": True, "capture_rule": "sinr", "radius_m": 700.0},
    "inter-sf-only": {"policy": "random", "inter_sf": True, "spreading_factors": (7, 9)},
}  # fmt: skip


def assert_same(scenario: Scenario) -> None:
    for run in range(2):
        fast = engine.run(scenario, range(run, run + 1), by_device=True)
        slow = plain.simulate(scenario, run)
        total = dict(zip(names(), fast.counts[0].sum(axis=0), strict=True))
        assert slow.transmissions > 50
        for name in ("transmissions", "unsuccessful", "forced", "attempts", "messages", "messages_delivered"):
            assert total[name] == getattr(slow, name), name
        assert total["delay_s"] == pytest.approx(slow.delay_s, abs=1e-6)
        assert {d: n for d, n in enumerate(fast.delivered) if n} == {d: n for d, n in slow.delivered.items() if n}


def names() -> tuple[str, ...]:
    from planning.simulate.window import TALLIES

    return TALLIES


@pytest.mark.parametrize("name", WINDOW)
def test_window(name: str) -> None:
    base: dict[str, Any] = {"devices": 90, "subchannels": 3, "window_s": 10.0, "seed": 7}
    assert_same(Scenario(**{**base, **WINDOW[name]}))


@pytest.mark.parametrize("name", TIME_LINE)
def test_time_line(name: str) -> None:
    base: dict[str, Any] = {
        "devices": 30, "subchannels": 3, "traffic": "renewal", "interval_s": 2.0, "duration_s": 15.0, "seed": 5,
    }  # fmt: skip
    assert_same(Scenario(**{**base, **TIME_LINE[name]}))
