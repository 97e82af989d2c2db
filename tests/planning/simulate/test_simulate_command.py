"""The command as people and scripts call it: keys, files, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from airshed import airshed
from planning.simulate import closed_forms
from terminal.command import run

KEYS = {
    "transmissions", "unsuccessful", "delivery_ratio", "forced", "attempts_mean", "energy_j", "bits_per_joule", "ci95",
    "collisions", "forced_share", "delay_s_mean", "battery_life_days", "kernel_s", "transmissions_per_s",
}  # fmt: skip


@pytest.fixture
def simulate(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `airshed simulate ...`; returns (exit status, stdout, stderr)."""

    def call(*words: str) -> tuple[int, str, str]:
        status = run(airshed, ["simulate", *words])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.mark.parametrize("technology", ["lora", "sigfox"])
def test_json_has_the_promised_keys(simulate: Any, technology: str) -> None:
    status, out, _ = simulate(
        technology, "--devices", "200", "--attempts", "2", "--policy", "algorithm1", "--duty-cycle", "0.02",
        "--subchannels", "8", "--window", "60", "--payload", "6", "--runs", "5", "--seed", "3", "--json",
    )  # fmt: skip
    report = json.loads(out)
    assert status == 0
    assert set(report) >= KEYS
    low, high = report["ci95"]["unsuccessful"]
    assert low <= report["unsuccessful"] <= high


def test_the_same_seed_gives_the_same_report_whatever_the_workers(simulate: Any) -> None:
    words = ("lora", "--devices", "300", "--attempts", "2", "--runs", "9", "--json")
    reports = [json.loads(simulate(*words, "--jobs", jobs)[1]) for jobs in ("1", "2")]
    for report in reports:
        del report["kernel_s"], report["transmissions_per_s"]
    assert reports[0] == reports[1]
    other = json.loads(simulate(*words, "--seed", "2")[1])
    assert other["unsuccessful"] != reports[0]["unsuccessful"]


def test_table_2_of_the_paper_is_the_default(simulate: Any) -> None:
    report = json.loads(simulate("lora", "--policy", "random", "--packets", "2", "--runs", "60", "--json")[1])
    assert report["airtime_s"] == pytest.approx(0.066048)
    assert report["transmissions"] == 2000
    expected = closed_forms.pure_unsuccessful(2000, 0.066048, 60.0, 16)
    low, high = report["ci95"]["unsuccessful"]
    assert low - (high - low) < expected < high + (high - low)


def test_sigfox_sends_three_copies_and_counts_each(simulate: Any) -> None:
    report = json.loads(simulate("sigfox", "--devices", "50", "--packets", "1", "--json")[1])
    assert report["transmissions"] == 150
    assert report["messages"] == 50
    assert report["airtime_s"] == pytest.approx(2.08)


def test_time_line_with_every_spreading_factor(simulate: Any) -> None:
    status, out, _ = simulate(
        "lora", "--traffic", "renewal", "--interval", "20", "--duration", "100", "--devices", "600",
        "--spreading-factor", "7,8,9,10,11,12", "--coding-rate", "4", "--preamble", "8", "--gateways", "2", "--capture",
        "--json",
    )  # fmt: skip
    report = json.loads(out)
    assert status == 0
    assert [row["spreading_factor"] for row in report["by_spreading_factor"]] == [7, 8, 9, 10, 11, 12]
    assert sum(row["transmissions"] for row in report["by_spreading_factor"]) == report["transmissions"]


def test_energy_as_a_constant_and_from_the_radio(simulate: Any) -> None:
    words = ("lora", "--devices", "100", "--packets", "1", "--policy", "random", "--json")
    constant = json.loads(simulate(*words, "--energy-mj", "48.68")[1])
    assert constant["energy_j"] == pytest.approx(100 * 48.68e-3)
    assert constant["bits_per_joule"] == pytest.approx(48 / 48.68e-3 * constant["delivery_ratio"])
    strong, weak = (json.loads(simulate(*words, "--power", power)[1]) for power in ("14", "10"))
    assert strong["unsuccessful"] == weak["unsuccessful"]
    assert strong["energy_j"] > weak["energy_j"]


def test_scenario_file_sweep_and_tables(simulate: Any, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    scenario = tmp_path / "site.toml"
    scenario.write_text(
        'runs = 3\nspreading-factor = [7, 8]\n[sweep]\ndevices = [20, 40]\npolicy = ["random", "algorithm1"]\n'
    )
    for ending in ("csv", "parquet"):
        status, _, err = simulate("lora", "--scenario", str(scenario), "--out", str(tmp_path / f"t.{ending}"))
        assert (status, err) == (0, "")
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["devices"], row["policy"]) for row in rows] == [
        ("20", "random"), ("20", "algorithm1"), ("40", "random"), ("40", "algorithm1"),
    ]  # fmt: skip
    table = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert [row["unsuccessful"] for row in table] == [float(row["unsuccessful"]) for row in rows]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.toml", "t.csv", "t.parquet"]


def test_options_go_before_the_file(simulate: Any, tmp_path: Path) -> None:
    scenario = tmp_path / "site.toml"
    scenario.write_text("devices = 20\nattempts = 3\n")
    report = json.loads(simulate("lora", "--scenario", str(scenario), "--devices", "30", "--json")[1])
    assert (report["devices"], report["attempts"]) == (30, 3)


def test_results_of_each_device(simulate: Any, tmp_path: Path) -> None:
    path = tmp_path / "devices.csv"
    report = json.loads(simulate("lora", "--devices", "40", "--runs", "4", "--devices-out", str(path), "--json")[1])
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert sum(int(row["sent"]) for row in rows) == 4 * report["transmissions"]
    lost = sum(int(row["sent"]) - int(row["delivered"]) for row in rows)
    assert lost == 4 * report["unsuccessful"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lora --devices 0", "--devices must be 1"),
        ("lora --devices -3", "--devices must be 1"),
        ("lora --subchannels 0", "--subchannels must be 1"),
        ("lora --attempts 0", "--attempts must be 1"),
        ("lora --payload 256", "at most 255 bytes"),
        ("lora --payload -1", "0 bytes or more"),
        ("sigfox --payload 13", "0 to 12 bytes"),
        ("lora --duty-cycle 0", "fraction above 0"),
        ("lora --duty-cycle 2", "fraction above 0"),
        ("lora --duty-cycle nan", "fraction above 0"),
        ("lora --pf 1.5", "probability from 0 to 1"),
        ("lora --window 0", "--window must be above 0 s"),
        ("lora --window 0.05", "does not fit in a window"),
        ("lora --packets 2-1", "--packets must be"),
        ("lora --packets some", "a range such as 1-2"),
        ("lora --spreading-factor 6", "7 to 12"),
        ("lora --spreading-factor 7,7", "each one once"),
        ("lora --coding-rate 5", "1 to 4"),
        ("lora --occupancy 0.1,0.2", "one value or 16"),
        ("lora --power 11", "dBm"),
        ("lora --traffic renewal --window 30", "no meaning"),
        ("lora --interval 30", "no meaning"),
        ("lora --traffic periodic --interval 0.01", "--interval must be"),
        ("lora --policy best", "not one of"),
        ("lora --sweep devicez=1", "NAME=V"),
        ("lora --sweep devices=1,x", "--sweep devices"),
        ("lora --out table.xls", ".csv or .parquet"),
        ("lora --scenario nowhere.toml", "cannot read"),
        ("sigfox --inter-sf", "no spreading factors"),
        ("lora --subchannels 60000 --window 86400", "cells"),
    ],
)
def test_bad_input_is_one_line_and_status_2(simulate: Any, words: str, said: str) -> None:
    status, out, err = simulate(*words.split())
    assert status == 2
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_an_unknown_key_names_key_and_file(simulate: Any, tmp_path: Path) -> None:
    scenario = tmp_path / "site.toml"
    scenario.write_text("devizes = 20\n")
    status, _, err = simulate("lora", "--scenario", str(scenario))
    assert status == 2
    assert "devizes" in err
    assert "site.toml" in err
