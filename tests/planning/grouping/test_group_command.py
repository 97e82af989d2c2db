"""`airshed group` as a user runs it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from airshed import airshed
from planning.grouping.assignment import Assignment, check, previous_of, write_assignment
from planning.grouping.initial import hia
from planning.grouping.traffic import read_devices, traffic_of, write_devices
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
        (["d.csv", "--change-cost", "nan"], "no finite number"),
        (["d.csv", "--slot-s", "inf"], "no finite number"),
        (["d.csv", "--slot-s", "1", "--drift-ppm", "1e300", "--resync-s", "1e300"], "passes all bounds"),
        (["d.csv", "--out", "nowhere/now.csv"], "can be written"),
        (["d.csv", "--previous", "d.csv"], "missing: line, shift"),
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


def random_rows(rng: random.Random) -> list[tuple[str, int, int, int]]:
    pool = rng.choice([(10, 20, 40), (6, 10, 15), (7, 11, 13), (12, 18, 8), (1, 2, 3), (60, 90, 24)])
    rows = []
    for number in range(rng.choice([1, 2, 5, 12, 20])):
        interval = rng.choice(pool)
        rows.append((f"d{number}", interval, rng.randint(1, max(1, interval // 2)), rng.randint(0, 2 * interval)))
    return rows


@pytest.mark.parametrize("seed", range(30))
def test_any_request_gets_an_answer_that_holds(capsys, tmp_path, meets_slot_by_slot, seed: int) -> None:
    rng = random.Random(seed)
    rows, max_shift, guard = random_rows(rng), rng.choice([0, 1, 3, 50, 10**25]), rng.choice([0, 0, 1, 40])
    path, before = tmp_path / "d.csv", tmp_path / "before.csv"
    path.write_text("device,interval,duration,start\n" + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in rows))
    # Of the moment before some are gone, some are new, some stood where they cannot stand.
    old = {f"d{n}": (rng.choice([0, 1, 2, 10**9]), rng.choice([0, 1, -2, -(10**6)])) for n in range(25) if n % 3}
    before.write_text("device,line,shift\n" + "".join(f"{a},{b},{c}\n" for a, (b, c) in old.items()))
    words = ["--max-shift", max_shift, "--guard", guard, "--time-limit", rng.choice([1e-9, 0.05]), "--json"]
    method = ("best", "hia", "hda", "hda-nosr")[seed % 4]
    record = asked(capsys, path, *words, "--previous", before, "--method", method)
    answer = Assignment(
        tuple(r["line"] for r in record["assignments"]), tuple(r["shift"] for r in record["assignments"])
    )
    assert not meets_slot_by_slot(traffic_of(rows).with_guard(guard), answer)
    assert max(map(abs, answer.shift)) <= max_shift
    assert record["lines"] == answer.lines == record["lower_bound"] + record["gap"]
    moved = sum(r["device"] in old and old[r["device"]][0] != r["line"] for r in record["assignments"])
    assert record["changed_percent"] == pytest.approx(100 * moved / len(rows))
    assert record["gap"] >= 0


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
