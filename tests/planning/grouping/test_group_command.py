"""`airshed group` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airshed import airshed
from planning.grouping.assignment import Assignment, check, previous_of, write_assignment
from planning.grouping.initial import hia
from planning.grouping.traffic import read_devices, write_devices
from terminal.command import run

KEYS = ["lines", "saving_percent", "changed_percent", "lower_bound", "gap", "assignments"]


@pytest.fixture
def devices(tmp_path: Path, drawn) -> Path:
    path = tmp_path / "devices.csv"
    write_devices(path, drawn(15, "medium", 3))
    return path


def asked(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert run(airshed, ["group", *map(str, words)]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("method", ["hia", "hda", "hda-nosr", "exact", "best"])
def test_every_method_answers_with_the_same_keys(capsys, devices: Path, method: str) -> None:
    record = asked(capsys, devices, "--max-shift", 2, "--method", method, "--json")
    assert list(record) == KEYS
    traffic = read_devices(devices)
    rows = record["assignments"]
    assert [row["device"] for row in rows] == list(traffic.names)
    assert list(rows[0]) == ["device", "line", "shift"]
    check(traffic, Assignment(tuple(r["line"] for r in rows), tuple(r["shift"] for r in rows)), 2)
    assert record["lines"] == len({row["line"] for row in rows}) == record["lower_bound"] + record["gap"]
    assert record["saving_percent"] == pytest.approx(100 * (15 - record["lines"]) / 15)
    assert record["changed_percent"] == 0.0


@pytest.mark.parametrize("method", ["hia", "hda", "hda-nosr", "exact", "best"])
def test_a_moment_before_is_taken_into_account(capsys, tmp_path, devices, drawn, next_moment, method) -> None:
    traffic = read_devices(devices)
    before = tmp_path / "before.csv"
    answer = hia(traffic, 1)
    write_assignment(before, traffic.names, answer)
    now = next_moment(traffic, 2, 2, "medium", 1)
    write_devices(devices, now)
    record = asked(
        capsys, devices, "--max-shift", 1, "--previous", before, "--method", method, "--time-limit", 30, "--json"
    )
    old = previous_of(traffic, answer).places
    moved = [row for row in record["assignments"] if row["device"] in old and old[row["device"]][0] != row["line"]]
    assert record["changed_percent"] == pytest.approx(100 * len(moved) / 15)


def test_options_may_stand_before_the_file(capsys, devices: Path) -> None:
    assert asked(capsys, "--max-shift", 1, "--json", devices) == asked(capsys, devices, "--max-shift", 1, "--json")


def test_people_get_text_a_picture_and_a_file(capsys, tmp_path: Path, devices: Path) -> None:
    picture, out = tmp_path / "lines.svg", tmp_path / "now.csv"
    words = ["group", str(devices), "--guard", "1", "--plot", str(picture), "--out", str(out)]
    assert run(airshed, words) == 0
    assert "15 devices on" in capsys.readouterr().out
    assert picture.read_text().count("<path") > 15
    record = asked(capsys, devices, "--guard", 1, "--previous", out, "--json")
    assert record["changed_percent"] == 0.0


def test_guard_and_drift_cost_lines(capsys, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("device,interval,duration,start\na,60,10,0\nb,60,10,10\n")
    assert asked(capsys, path, "--json")["lines"] == 1
    assert asked(capsys, path, "--guard", 1, "--json")["lines"] == 2
    assert asked(capsys, path, "--slot-s", 1, "--json")["lines"] == 1
    # 50 ppm over 3 hours is 0.54 s a device: two clocks may close a gap of 1.08 s.
    drifting = asked(capsys, path, "--slot-s", 1, "--drift-ppm", 50, "--resync-s", 10800, "--json")
    assert drifting["lines"] == 2
    assert (
        asked(capsys, path, "--slot-s", 1, "--drift-ppm", 50, "--resync-s", 10800, "--max-shift", 2, "--json")["lines"]
        == 1
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.csv"], "cannot read nowhere.csv"),
        ([], "DEVICES.csv"),
        (["d.csv", "--drift-ppm", "5"], "--resync-s"),
        (["d.csv", "--method", "magic"], "magic"),
        (["d.csv", "--max-shift", "-1"], "max-shift"),
        (["generate", "--intervals", "10,x", "-o", "d.csv"], "10,20,40"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(capsys, tmp_path, monkeypatch, words, said) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.csv").write_text("device,interval,duration,start\na,60,10,0\n")
    assert run(airshed, ["group", *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_help_teaches_both_uses(capsys) -> None:
    assert run(airshed, ["group", "--help"]) == 0
    told = capsys.readouterr().out
    for word in ("DEVICES.csv", "--max-shift", "--change-cost", "generate"):
        assert word in told


def test_generated_traffic_can_be_grouped(capsys, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    assert run(airshed, ["group", "generate", "--devices", "30", "--load", "low", "-o", str(path)]) == 0
    capsys.readouterr()
    assert len(asked(capsys, path, "--max-shift", 3, "--json")["assignments"]) == 30
