"""`airshed plan collisions`: keys, links files good and bad, plots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planning.models.collisions_command import DRAWN_GATEWAYS
from planning.models.collisions_model import MOST_GATEWAYS

PlanJson = Callable[..., dict[str, Any]]


@pytest.fixture
def links(tmp_path: Path) -> str:
    path = tmp_path / "links.csv"
    path.write_text("0.5,0.5,0.5\n0.5,0.5,0\n0.5,0,0\n")
    return str(path)


def test_one_number_a_group_and_a_gateway(plan_json: PlanJson, links: str) -> None:
    answer = plan_json("collisions", "--links", links, "--devices", "500", "--rate", "0.001", "--payload", "50")
    assert len(answer["device_outage"]) == len(answer["gateway_outage"]) == 3
    assert answer["device_outage"][0] < answer["device_outage"][1] < answer["device_outage"][2]
    assert answer["diversity_gain"][0] == 1.0
    same = plan_json("collisions", "--links", links, "--devices", "500,500,500", "--rate", "0.001")
    assert same["device_outage"] == answer["device_outage"]


def test_simulation_holds_the_model(plan_json: PlanJson, links: str) -> None:
    answer = plan_json("collisions", "--links", links, "--method", "simulation", "--seed", "3")
    for (low, high), value in zip(answer["device_outage_interval"], answer["model"]["device_outage"], strict=True):
        assert low - 0.005 < value < high + 0.005


def test_distribution_of_the_largest_number(plan_json: PlanJson, links: str) -> None:
    found = plan_json("collisions", "--links", links, "--distribution", "12,12")["largest_interferers"]
    assert found["method"] == "exact"
    assert found["cdf"] == sorted(found["cdf"])
    assert found["cdf"][0] == pytest.approx(found["approximation"][0])
    dense = plan_json("collisions", "--links", links, "--devices", "30000", "--distribution", "12,9")
    assert dense["largest_interferers"]["method"] == "simulation"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("0.5,0.5\n0.5\n", "line 2"),
        ("G1,G2\n0.5,0.5\n", "no header"),
        ("0.5,1.2\n", "0 to 1"),
        ("0.5,nan\n", "0 to 1"),
        ("0.5,-0.1\n", "0 to 1"),
        ("0.5,\n", "line 1"),
    ],
)
def test_bad_links_files_are_one_line(plan_refuses: Callable[..., str], tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert said in plan_refuses("collisions", "--links", str(path))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--devices", "many"), "500,200,100"),
        (("--devices", "-5"), "0 or more"),
        (("--devices", "1,2"), "3 groups"),
        (("--rate", "-1"), "above 0"),
        (("--rate", "5"), "below"),
        (("--distribution", "12"), "12,12"),
        (("--distribution", "12,13"), "7 to 12"),
        (("--channels", "0"), "--channels"),
        (("--devices", "1000000", "--method", "simulation"), "too many to simulate"),
        (("--plot", "x.jpeg2"), ".png"),
    ],
)
def test_bad_options_are_one_line(
    plan_refuses: Callable[..., str], links: str, arguments: tuple[str, ...], said: str
) -> None:
    assert said in plan_refuses("collisions", "--links", links, *arguments)


def test_missing_links(plan_refuses: Callable[..., str], tmp_path: Path) -> None:
    assert "--links" in plan_refuses("collisions")
    assert "No such file" in plan_refuses("collisions", "--links", str(tmp_path / "none.csv"))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    assert "cannot read" in plan_refuses("collisions", "--links", str(tmp_path / "binary.csv"))


def test_more_gateways_than_the_model_takes(
    plan_json: PlanJson, plan_refuses: Callable[..., str], tmp_path: Path
) -> None:
    assert DRAWN_GATEWAYS == MOST_GATEWAYS
    path = tmp_path / "wide.csv"
    path.write_text(",".join(["0.3"] * 17) + "\n")
    assert "--method simulation" in plan_refuses("collisions", "--links", str(path))
    assert "--plot" in plan_refuses("collisions", "--links", str(path), "--plot", "x.png", "--method", "simulation")
    answer = plan_json("collisions", "--links", str(path), "--devices", "50", "--method", "simulation")
    assert len(answer["gateway_outage"]) == 17
    assert "model" not in answer


def test_plot(plan_json: PlanJson, links: str, tmp_path: Path) -> None:
    path = tmp_path / "collisions.pdf"
    plan_json("collisions", "--links", links, "--plot", str(path))
    assert path.read_bytes().startswith(b"%PDF")
