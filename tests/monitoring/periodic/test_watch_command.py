"""`airshed watch` as its users run it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airshed import airshed
from terminal.command import run

KEYS = {"device", "applications", "outage", "offline", "offline_probability", "last_seen_s"}
APPLICATION_KEYS = {"period_s", "phase_s", "received", "missed", "outage"}

Watch = Callable[..., tuple[int, str, str]]


@pytest.fixture
def watch(capsys: pytest.CaptureFixture[str]) -> Watch:
    """watch(arguments...) -> exit status, stdout, stderr."""

    def _watch(*arguments: object) -> tuple[int, str, str]:
        status = run(airshed, ["watch", *map(str, arguments)])
        return status, *capsys.readouterr()

    return _watch


def objects(text: str) -> dict[str, Any]:
    """Devices by name from lines of JSON."""
    return {one["device"]: one for one in map(json.loads, text.splitlines())}


def truth_of(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Rows of a truth file by device and application."""
    with path.open(newline="") as stream:
        return {(row["device"], row.get("application", "")): row for row in csv.DictReader(stream)}


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_synthetic_trace_is_understood(tmp_path: Path, watch: Watch, name: str, labelled: bool) -> None:
    out = tmp_path / name
    label = "--labelled" if labelled else "--unlabelled"
    status, _, _ = watch("--synthetic", "--out", out, "--devices", 6, "--outage", 0.2, label, "--seed", 3)
    assert status == 0
    status, text, _ = watch(out, "--json")
    assert status == 0
    found = objects(text)
    truth = truth_of(tmp_path / "t.truth.csv")
    assert len(found) == 6
    for device, one in found.items():
        assert set(one) >= KEYS
        sent = sum(int(row["sent"]) for key, row in truth.items() if key[0] == device)
        received = sum(int(row["received"]) for key, row in truth.items() if key[0] == device)
        assert one["outage"] == pytest.approx(1 - received / sent, abs=0.02)
        periods = sorted(float(row["period_s"]) for key, row in truth.items() if key[0] == device)
        assert sorted(a["period_s"] for a in one["applications"]) == pytest.approx(periods, rel=2e-3)
        for application in one["applications"]:
            assert set(application) >= APPLICATION_KEYS
            assert 0 <= application["phase_s"] < application["period_s"]
            assert ("application" in application) == labelled


def test_the_phase_is_that_of_the_schedule(tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("device,time_s\n" + "".join(f"a,{1_700_000_000 + 37 + 600 * k}\n" for k in range(30)))
    application = objects(watch(path, "--json")[1])["a"]["applications"][0]
    assert application["period_s"] == pytest.approx(600, abs=1e-3)
    turns = (1_700_000_037 + 600 * 29 - application["phase_s"]) / application["period_s"]
    assert abs(turns - round(turns)) * application["period_s"] < 1
    assert application["next_s"] == pytest.approx(1_700_000_037 + 600 * 30, abs=1)


def test_silence_coverage_and_summary(tmp_path: Path, watch: Watch) -> None:
    path, summary = tmp_path / "t.csv", tmp_path / "s.json"
    rows = ["device,time_s,gateway"]
    rows += [f"alive,{600 * k},north" for k in range(100)] + [f"alive,{600 * k + 0.4},south" for k in range(0, 100, 2)]
    rows += [f"gone,{600 * k + 100},north" for k in range(60)] + ["once,5,north"]
    path.write_text("\n".join(rows) + "\n")
    status, text, said = watch(path, "--json", "--summary", summary)
    assert status == 0
    assert "50 copies" in said
    found = objects(text)
    assert not found["alive"]["offline"]
    assert found["gone"]["offline"]
    assert found["gone"]["offline_probability"] > 0.99
    assert found["gone"]["last_seen_s"] == 600 * 59 + 100
    assert found["alive"]["gateways"]["south"] == {"received": 50, "outage": 0.5}
    assert (found["once"]["applications"], found["once"]["outage"]) == ([], None)
    totals = json.loads(summary.read_text())
    assert totals["fleet"]["offline"] == 1
    assert totals["groups"]["few_receptions"] == ["once"]
    assert [one["gateway"] for one in totals["gateways"]] == ["north", "south"]
    assert not objects(watch(path, "--json", "--now", 600 * 60)[1])["gone"]["offline"]


def test_a_timetable_for_airshed_group(tmp_path: Path, watch: Watch) -> None:
    path, table = tmp_path / "t.csv", tmp_path / "timetable.csv"
    path.write_text("device,time_s\n" + "".join(f"a,{600 * k + 120}\nb,{900 * k + 30}\n" for k in range(40)) + "c,7\n")
    status, _, said = watch(path, "--timetable", table, "--slot-s", 60)
    assert status == 0
    with table.open(newline="") as stream:
        rows = {row["device"]: row for row in csv.DictReader(stream)}
    assert list(rows["b"]) == ["device", "interval", "duration", "start"]
    assert rows["b"]["interval"] == "15"
    assert "left out" in said
    start, duration = int(rows["b"]["start"]), int(rows["b"]["duration"])
    assert 0 <= start <= 15 - duration
    assert start * 60 <= 30 <= (start + duration) * 60 or duration > 0


def test_known_applications_are_counted_without_learning(tmp_path: Path, watch: Watch) -> None:
    path, known = tmp_path / "t.csv", tmp_path / "known.csv"
    path.write_text("device,time_s\n" + "".join(f"a,{t}\n" for t in sorted([0, 100, 300, 400, 37, 367, 1027])))
    known.write_text("application,period_s,offset_s\nfast,100,0\nslow,330,37\n")
    found = objects(watch(path, "--json", "--known", known)[1])["a"]
    counts = {one["application"]: (one["received"], one["missed"]) for one in found["applications"]}
    assert counts == {"fast": (4, 1), "slow": (3, 1)}


@pytest.mark.parametrize("method", ["nhm", "nhm-mean", "spc", "goc", "naive"])
def test_the_papers_methods_run_on_a_file(tmp_path: Path, watch: Watch, method: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("device,time_s\n" + "".join(f"a,{600 * k}\n" for k in range(60)))
    status, text, _ = watch(path, "--json", "--method", method)
    assert status == 0
    one = objects(text)["a"]
    assert one["outage"] == pytest.approx(0, abs=0.01) or method == "spc"
    assert method == "naive" or one["applications"][0]["period_s"] == pytest.approx(600, rel=0.01)


def test_an_empty_trace_is_said_and_no_failure(tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("")
    assert watch(path, "--json") == (0, "", "airshed watch: the trace holds no receptions\n")
    assert watch(path)[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("none.csv",),
        ("none.csv", "--evaluate"),
        ("--synthetic", "meters"),
        ("--evaluate", "--runs", "1"),
        ("none.csv", "--timezone", "Mars/Olympus"),
        ("none.csv", "--false-alarm", "0"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(watch: Watch, arguments: tuple[str, ...]) -> None:
    status, text, said = watch(*arguments)
    assert (status, text, said.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("method", ["lattice", "nhm", "spc", "goc", "naive"])
def test_no_trace_makes_it_fail(tmp_path: Path, watch: Watch, method: str) -> None:
    rng = np.random.default_rng(11)
    path = tmp_path / "t.csv"
    for _ in range(4):
        count = int(rng.integers(1, 30))
        scenes = (
            rng.integers(0, 5, count).astype(float),
            rng.uniform(-1e9, 1e9, count),
            np.cumsum(rng.exponential(1, count)),
            np.repeat(rng.uniform(0, 1e4, count), 3),
            1.7e9 + np.round(600 * np.arange(count) + rng.normal(0, 200, count)),
            np.array([1e300, -1e300, 0.0, 1e-9]),
        )
        for times in scenes:
            path.write_text("device,time_s\n" + "".join(f"d{rng.integers(0, 3)},{time}\n" for time in times.tolist()))
            status, text, said = watch(path, "--json", "--method", method)
            assert status == 0, said
            for one in objects(text).values():
                assert one["outage"] is None or 0 <= one["outage"] <= 1
                assert 0 <= one["offline_probability"] <= 1


def test_the_same_seed_makes_the_same_trace(tmp_path: Path, watch: Watch) -> None:
    for name in ("one", "two"):
        assert watch("--synthetic", "fleet", "--devices", 20, "--out", tmp_path / f"{name}.csv", "--seed", 5)[0] == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_a_fleet_is_understood_and_plotted(tmp_path: Path, watch: Watch) -> None:
    out = tmp_path / "fleet.parquet"
    watch("--synthetic", "fleet", "--devices", 60, "--out", out)
    status, text, _ = watch(out, "--json", "--plot", tmp_path / "plots")
    assert status == 0
    assert {path.suffix for path in (tmp_path / "plots").iterdir()} == {".png", ".svg"}
    truth = truth_of(tmp_path / "fleet.truth.csv")
    found = objects(text)
    error = [
        abs(one["outage"] - float(truth[device, ""]["outage"]))
        for device, one in found.items()
        if one["outage"] is not None
    ]
    assert len(error) >= 55
    assert np.mean(error) < 1e-3


def test_the_command_imports_nothing_heavy_for_its_help() -> None:
    program = (
        "import sys, airshed; from terminal.command import run; run(airshed.airshed, ['watch', '--help']);"
        "heavy = {'numpy', 'scipy', 'astropy', 'pyarrow', 'matplotlib', 'rich'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--evaluate" in done.stdout
