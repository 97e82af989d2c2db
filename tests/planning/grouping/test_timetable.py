"""Slots and subchannels for devices that keep time, and their collisions beside random access and Algorithm 1."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from airshed import airshed
from planning.grouping.assignment import Assignment
from planning.grouping.best import best
from planning.grouping.timetable import lost_percent, timetable_of, write_timetable
from planning.grouping.traffic import Traffic, traffic_of, write_devices
from planning.simulate.scenario import Scenario
from spectrum.errors import BadInput
from terminal.command import run


@pytest.fixture
def meters() -> Traffic:
    rng = np.random.default_rng(4)
    interval = rng.choice([60, 120, 240], size=120)
    return traffic_of(
        (f"m{i}", int(every), 2, int(rng.integers(0, every - 2))) for i, every in enumerate(interval.tolist())
    )


def scenario(traffic: Traffic, subchannels: int, **changes: object) -> Scenario:
    settings = {"attempts": 3, "pf": 0.2, "pm": 0.1, "payload_bytes": 20, "spreading_factors": (9,), **changes}
    return Scenario(devices=len(traffic), subchannels=subchannels, traffic="periodic", duration_s=7200.0, **settings)  # type: ignore[arg-type]


def test_devices_with_slots_never_collide_and_the_others_do(meters: Traffic, unhurried) -> None:
    answer = best(meters, 5, unhurried)
    assert answer.assignment.lines <= 8
    plan = timetable_of(meters, answer.assignment, 8)
    assert plan.placed == 120
    lost = lost_percent(plan, scenario(meters, 8), 1.0, 0)
    assert lost["timetable"] == 0.0
    # Sensing helps, slots help more.
    assert 0.0 < lost["algorithm1"] < lost["random"]


def test_random_access_loses_what_its_load_says(meters: Traffic) -> None:
    # Each frame meets one of another device on its subchannel when they start within an airtime of one another:
    # 1 - exp(-2 G) with G the load of a subchannel, a little less as a device never meets itself.
    plan = timetable_of(meters, Assignment(tuple(range(1, 121)), (0,) * 120), 4)
    settings = scenario(meters, 4)
    rate = float((1.0 / meters.interval).sum())
    expected = 100.0 * (1.0 - np.exp(-2.0 * rate * settings.airtimes_s[0] / 4))
    measured = np.mean([lost_percent(plan, settings, 1.0, run)["random"] for run in range(10)])
    assert measured == pytest.approx(expected, rel=0.15)


def test_lines_beyond_the_subchannels_stay_on_random_access() -> None:
    traffic = traffic_of([("a", 10, 2, 0), ("b", 10, 2, 5), ("c", 10, 2, 0)])
    plan = timetable_of(traffic, Assignment((1, 1, 2), (0, 0, 0)), 1)
    assert plan.subchannel.tolist() == [0, 0, -1]
    assert plan.placed == 2


def test_the_written_start_holds_the_shift(tmp_path: Path) -> None:
    traffic = traffic_of([("a", 10, 2, 1)])
    path = tmp_path / "t.csv"
    write_timetable(path, timetable_of(traffic, Assignment((1,), (-3,)), 1))
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [{"device": "a", "subchannel": "0", "interval": "10", "duration": "2", "start": "8", "shift": "-3"}]


def test_a_frame_longer_than_its_slots_is_refused(meters: Traffic) -> None:
    plan = timetable_of(meters, Assignment((1,) * 120, (0,) * 120), 1)
    with pytest.raises(BadInput, match="longer slots"):
        lost_percent(plan, scenario(meters, 1, spreading_factors=(12,)), 0.5, 0)


def test_the_command_counts_and_writes(capsys, tmp_path: Path, meters: Traffic) -> None:
    source, out = tmp_path / "d.csv", tmp_path / "t.csv"
    write_devices(source, meters)
    words = ["group", "timetable", str(source), "--max-shift", "5", "--runs", "2", "--hours", "1", "--out", str(out)]
    assert run(airshed, [*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["placed"] == record["devices"] == 120
    assert record["collisions"]["timetable"]["lost_percent"] == 0.0
    assert len(out.read_text().splitlines()) == 121
