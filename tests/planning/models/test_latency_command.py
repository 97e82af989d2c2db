"""`airshed plan latency`: keys, refusals, plots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PlanJson = Callable[..., dict[str, Any]]


def test_keys_and_numbers(plan_json: PlanJson) -> None:
    answer = plan_json("latency", "--bands", "G,G1", "--load", "0.5", "--payload", "63", "--coding-rate", "4")
    assert answer["airtime_s"] == pytest.approx(4.071424)
    assert answer["capacity_per_s"] == pytest.approx(0.02 / 4.071424)
    assert answer["latency_s"] == pytest.approx(answer["airtime_s"] + answer["wait_s"])
    assert set(answer["service_ratio"]) == set(answer["collision_probability"]) == {"G", "G1"}
    assert sum(answer["service_ratio"].values()) == pytest.approx(1.0)
    same = plan_json("latency", "--bands", "L,M", "--rate", str(answer["rate_per_s"]))
    assert same["wait_s"] == pytest.approx(answer["wait_s"])


def test_the_quoted_capacity_with_its_own_airtime(plan_json: PlanJson) -> None:
    arguments = ("--bands", "G,G4", "--aggregated-duty-cycle", "0.05", "--airtime-s", "3.416064", "--load", "0.5")
    answer = plan_json("latency", *arguments)
    assert answer["capacity_per_s"] == pytest.approx(0.0146, abs=5e-5)
    assert answer["service_rates_per_s"]["G4"] == pytest.approx(1 / 3.416064)


def test_the_simulation_holds_the_model(plan_json: PlanJson) -> None:
    answer = plan_json("latency", "--bands", "G,G2", "--load", "0.5", "--method", "simulation", "--seed", "4")
    low, high = answer["wait_interval_s"]
    assert low <= answer["waits_s"]["refined"] <= high
    for name, (low, high) in answer["collision_probability_interval"].items():
        assert low - 0.01 <= answer["collision_probability_per_sf"]["12"][name] <= high + 0.01
    assert answer == plan_json("latency", "--bands", "G,G2", "--load", "0.5", "--method", "simulation", "--seed", "4")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--bands", "G9", "--load", "0.5"), "unknown sub-band 'G9'"),
        (("--bands", "G,L", "--load", "0.5"), "once"),
        (("--bands", "G4,G4*", "--load", "0.5"), "same frequencies"),
        (("--bands", "K", "--load", "0.5"), "--channels"),
        (("--load", "1.0"), "below 1"),
        (("--load", "-0.1"), "above 0"),
        (("--rate", "-1"), "above 0"),
        (("--rate", "1"), "capacity"),
        (("--rate", "0.001", "--load", "0.5"), "either"),
        ((), "either"),
        (("--load", "0.5", "--aggregated-duty-cycle", "1.5"), "aggregated"),
        (("--load", "0.5", "--sf-shares", "7=2"), "sum to 1"),
        (("--load", "0.5", "--sf-shares", "seven"), "7=0.5"),
        (("--load", "0.5", "--bands", "G,G2", "--method", "exact"), "refined"),
        (("--load", "0.5", "--plot", "x.txt"), ".png"),
        (("--load", "0.5", "--airtime-s", "0"), "airtime"),
        (("--load", "0.5", "--receive-windows", "-1"), "receive"),
        (("--load", "0.5", "--receive-windows", "nan"), "receive"),
        (("--load", "0.5", "--airtime-s", "inf"), "airtime"),
        (("--load", "nan"), "below 1"),
        (("--load", "0.5", "--devices", "0"), "--devices"),
    ],
)
def test_bad_input_is_one_line(plan_refuses: Callable[..., str], arguments: tuple[str, ...], said: str) -> None:
    assert said in plan_refuses("latency", *arguments)


def test_plot(plan_json: PlanJson, tmp_path: Path) -> None:
    path = tmp_path / "latency.svg"
    plan_json("latency", "--load", "0.5", "--plot", str(path))
    assert path.read_text().lstrip().startswith("<?xml")
