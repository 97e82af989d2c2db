"""`airshed plan capture`: keys, refusals, plots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PlanJson = Callable[..., dict[str, Any]]
KEYS = {"coverage", "capture", "drop", "success", "throughput_bytes_per_s", "per_sf"}


@pytest.mark.parametrize("allocation", ["uniform", "distance", "equal-load", "optimised"])
def test_network_wide_numbers_are_means_of_per_sf(plan_json: PlanJson, allocation: str) -> None:
    answer = plan_json("capture", "--devices", "900", "--allocation", allocation, "--rate", "0.002")
    assert set(answer) >= KEYS
    rows = answer["per_sf"].values()
    for name in ("coverage", "capture", "success"):
        assert sum(row["share"] * row[name] for row in rows) == pytest.approx(answer[name])
    assert answer["success"] == pytest.approx(answer["capture"] * (1 - answer["drop"]))
    assert answer["throughput_bytes_per_s"] == pytest.approx(answer["success"] * 900 * 0.002 * 50)
    assert sum(row["throughput_bytes_per_s"] for row in rows) == pytest.approx(answer["throughput_bytes_per_s"])


def test_simulation_stands_in_front_of_the_model(plan_json: PlanJson) -> None:
    answer = plan_json("capture", "--devices", "1200", "--method", "simulation", "--seed", "2")
    assert set(answer) >= KEYS | {"model", "intervals"}
    for row in answer["per_sf"].values():
        assert row["success"] <= row["capture"] <= row["coverage"] <= 1
        assert 0 <= row["drop"] < 0.01
    low, high = answer["intervals"]["coverage"]
    assert low <= answer["model"]["coverage"] <= high
    assert answer["capture"] > answer["model"]["capture"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--devices", "0"), "--devices"),
        (("--rate", "-1"), "above 0"),
        (("--rate", "2"), "below"),
        (("--rate", "nan"), "above 0"),
        (("--allocation", "best"), "optimised"),
        (("--payload", "5"), "--payload"),
        (("--radius-m", "-3"), "radius"),
        (("--radius-m", "inf"), "radius"),
        (("--radius-m", "nan"), "radius"),
        (("--allocation", "uniform", "--printed-shares"), "distance"),
        (("--plot", "capture"), ".png"),
        (("--devices", "1000000", "--method", "simulation"), "too many to simulate"),
    ],
)
def test_bad_input_is_one_line(plan_refuses: Callable[..., str], arguments: tuple[str, ...], said: str) -> None:
    assert said in plan_refuses("capture", *arguments)


def test_plot(plan_json: PlanJson, tmp_path: Path) -> None:
    path = tmp_path / "capture.png"
    plan_json("capture", "--devices", "500", "--allocation", "equal-load", "--plot", str(path))
    assert path.read_bytes().startswith(b"\x89PNG")
