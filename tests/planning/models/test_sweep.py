"""A sweep says at each point what the command says of that point alone, and looks at each point once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Json = Callable[..., dict[str, Any]]
DEGENERATE = "queue --servers 2 --service-time 1.3 --arrivals degenerate --gaps 0.3,0.6,1.5"

# command without the swept option, the swept option, its values, keys of both answers
SWEPT = [
    ("latency --bands G,G2", "load", "0.05,0.4,0.93", ("wait_s", "latency_s")),
    ("latency --bands G,G1 --devices 7", "rate", "0.0001,0.002,0.004", ("wait_s", "latency_s")),
    ("latency --bands G,G1 --load 0.5", "devices", "1,50,900", ("wait_s",)),
    ("capture --allocation equal-load", "devices", "10,500,4000", ("coverage", "capture", "drop", "success")),
    ("capture --devices 900", "rate", "0.0001,0.001", ("success", "throughput_bytes_per_s")),
    ("queue --servers 8 --service-time 4.07", "rate", "0.1,1,9", ("blocking", "lower", "upper", "approximation")),
    ("queue --servers 8 --rate 2 --outage 0.1", "service-time", "0.1,1,9", ("blocking", "utilisation")),
    ("queue --servers 8 --rate 2 --service-time 3", "outage", "0,0.5,1", ("blocking", "utilisation")),
    (DEGENERATE, "outage", "0,0.2,0.7,1", ("blocking", "utilisation")),
    ("pool --max-transmissions 4", "devices", "5,1000,30000", ("capacity", "mean", "variance")),
    ("pool --devices 90 --arrivals deterministic", "error-rate", "0.01,0.2", ("capacity", "mean", "variance")),
    ("pool --devices 90", "target", "0.1,0.001", ("capacity",)),
]


@pytest.mark.parametrize(("command", "name", "values", "keys"), SWEPT)
def test_a_sweep_is_the_command_point_by_point(
    command: str, name: str, values: str, keys: tuple[str, ...], plan_json: Json
) -> None:
    swept = plan_json(*command.split(), "--sweep", f"{name}={values}")
    alone = [plan_json(*command.split(), f"--{name}", value) for value in values.split(",")]
    assert swept["points"] == len(alone)
    for key in keys:
        assert swept[key] == pytest.approx([answer[key] for answer in alone], rel=1e-9, abs=1e-12), key


def test_collisions_of_every_group_and_gateway_are_swept(plan_json: Json, tmp_path: Path) -> None:
    links = tmp_path / "links.csv"
    links.write_text("0.5,0.2,0.9\n0.1,1,0\n")
    for name, values in (("devices", "5,800"), ("rate", "0.0001,0.003")):
        swept = plan_json("collisions", "--links", str(links), "--sweep", f"{name}={values}")
        for place, value in enumerate(values.split(",")):
            alone = plan_json("collisions", "--links", str(links), f"--{name}", value)
            for kind in ("device", "gateway"):
                found = [swept[f"{kind}_outage_{one + 1}"][place] for one in range(len(alone[f"{kind}_outage"]))]
                assert found == pytest.approx(alone[f"{kind}_outage"], rel=1e-9)


def test_ten_thousand_points_are_a_line_each_in_csv(capsys: pytest.CaptureFixture[str]) -> None:
    from planning.models.command import plan
    from terminal.command import run

    assert run(plan, ["queue", "--servers", "8", "--service-time", "4", "--sweep", "rate=0.01:9:10000"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split(",")[:2] == ["rate", "blocking"]
    assert len(rows) == 10_000


@pytest.mark.parametrize(
    "words",
    [
        "queue --servers 2 --service-time 1 --sweep speed=1,2",
        "queue --servers 2 --service-time 1 --sweep rate",
        "queue --servers 2 --service-time 1 --sweep rate=1:2",
        "queue --servers 2 --service-time 1 --sweep rate=1:2:0",
        "queue --servers 2 --service-time 1 --sweep rate=1,nan",
        "queue --servers 2 --service-time 1 --sweep rate=1,-1",
        "queue --servers 2 --service-time 1 --rate 1 --sweep outage=0.5,2",
        f"{DEGENERATE} --sweep outage=-0.5,1",
        "latency --sweep load=0.5,1",
        "latency --sweep rate=0.001,1",
        "capture --sweep devices=0.5,3",
        "capture --allocation optimised --sweep devices=1,3",
        "pool --sweep devices=0,3",
        "pool --devices 9 --sweep error-rate=0.1,1.5",
        "pool --devices 9 --sweep target=0.1,1e-30",
    ],
)
def test_a_sweep_of_nonsense_is_one_line(words: str, plan_refuses: Callable[..., str]) -> None:
    assert plan_refuses(*words.split()).startswith("airshed: ")
