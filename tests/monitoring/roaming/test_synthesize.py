"""The synthetic population: published marginals, reproducible, in the schema."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitoring.roaming import synthesize as synthesis
from monitoring.roaming.platform_traffic import platform_columns
from monitoring.roaming.synthesize import BLOCK_DEVICES, synthesize


def quiet(amount: float) -> None:
    return


@pytest.fixture(scope="module")
def figures(population: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    import json

    from click.testing import CliRunner

    from monitoring.roaming.command import roam

    out = tmp_path_factory.mktemp("report")
    arguments = ["report", str(population), "--json", "--out", str(out), "--site-key", str(out / "key")]
    found: dict[str, Any] = json.loads(CliRunner().invoke(roam, arguments, catch_exceptions=False).stdout)
    found["html"] = (out / "report.html").read_text()
    return found


def share(figure: dict[str, Any], first: str, second: str) -> float:
    return next((row[-1] for row in figure["rows"] if row[:2] == [first, second]), 0.0)


def test_marginals_of_the_paper(figures: dict[str, Any]) -> None:
    """Shares in percent, each within four standard errors of its sample plus a point for what the rules cannot see."""
    devices = figures["device_count"]
    tables = {figure["figure"]: figure for figure in figures["figures"]}
    classes = figures["classes"]
    inbound = figures["labels"]["I:H"]
    three = sum(row[2] for row in tables["6a"]["rows"] if row[0] in ("NL", "SE", "ES"))
    expected = [
        (100 * classes["smart"] / devices, 62, devices),
        (100 * classes["feat"] / devices, 8, devices),
        (100 * classes["m2m"] / devices, 26, devices),
        (100 * classes["m2m-maybe"] / devices, 5, devices),
        (share(tables["7a"], "m2m", "I:H"), 74.7, classes["m2m"]),
        (share(tables["7a"], "smart", "I:H"), 12.1, classes["smart"]),
        (share(tables["7a"], "feat", "I:H"), 6.4, classes["feat"]),
        (share(tables["7b"], "m2m", "I:H"), 71.1, inbound),
        (three, 64, inbound),
        (share(tables["10a"], "m2m", "2G"), 77.4, classes["m2m"]),
        (share(tables["10b"], "m2m", "none"), 24.5, classes["m2m"]),
        (share(tables["10b"], "feat", "none"), 56.8, classes["feat"]),
        (share(tables["10c"], "feat", "none"), 7.3, classes["feat"]),
    ]
    for found, printed, sample in expected:
        error = 100 * math.sqrt(printed / 100 * (1 - printed / 100) / sample)
        assert abs(found - printed) < 4 * error + 3, (found, printed)
    days = {row[0]: row[6 - 1] for row in tables["8a"]["rows"]}
    assert days["smart"] == 2
    assert 7 <= days["m2m"] <= 11
    meters = {row[0]: row for row in tables["12c"]["rows"]}
    assert meters["roaming"][4] == 100  # all on 2G only
    assert abs(meters["native"][5] - 66.7) < 25


def test_report_holds_every_figure_with_a_table(figures: dict[str, Any]) -> None:
    numbers = [figure["figure"] for figure in figures["figures"]]
    assert {number.rstrip("abcd") for number in numbers} == {str(n) for n in (3, 4, 6, 7, 8, 9, 10, 11, 12, 13)}
    html = figures["html"]
    assert html.count("<svg") == html.count("<details open>") == len(numbers)
    for figure in figures["figures"]:
        assert f"Figure {figure['figure']}. " in html
        assert figure["rows"], figure["title"]
    for outside in ("<script", "<link", 'src="http', "@import"):
        assert outside not in html


def test_same_seed_same_files_other_seed_others(tmp_path: Path) -> None:
    tables = {}
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        synthesize(tmp_path / name, 120, 4, seed, "parquet", quiet)
        tables[name] = pq.read_table(tmp_path / name / "radio.parquet")
    assert tables["a"].equals(tables["b"])
    assert not tables["a"].equals(tables["c"])


def test_csv_and_parquet_hold_the_same(tmp_path: Path, roam_json: Any) -> None:
    found = []
    for kind in ("csv", "parquet"):
        rows = synthesize(tmp_path / kind, 60, 3, 7, kind, quiet)
        assert set(rows) == {"tac", "sectors", "radio", "cdr", "truth", "platform"}
        (tmp_path / kind / "site.key").write_text("00" * 32)
        found.append((rows, roam_json("catalog", tmp_path / kind)["catalog"]))
    assert found[0] == found[1]


def test_every_device_is_in_the_truth_once_and_in_the_records(few: Path) -> None:
    truth = pq.read_table(few / "truth.parquet").column("user").to_pylist()
    seen = {
        user for name in ("radio", "cdr") for user in pq.read_table(few / f"{name}.parquet").column("user").to_pylist()
    }
    assert len(truth) == len(set(truth)) == 250
    assert seen == set(truth)


def test_blocks_do_not_repeat_one_another(tmp_path: Path) -> None:
    rows = synthesize(tmp_path, BLOCK_DEVICES + 50, 1, 8, "parquet", quiet)
    assert rows["truth"] == BLOCK_DEVICES + 50
    users = pq.read_table(tmp_path / "truth.parquet").column("user").to_pylist()
    assert len(set(users)) == len(users)


def test_platform_in_one_block_is_the_whole_draw_and_in_many_has_every_device_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {}
    for name, block in (("one", 50), ("many", 20), ("again", 20)):
        monkeypatch.setattr(synthesis, "PLATFORM_BLOCK_DEVICES", block)
        synthesize(tmp_path / name, 10, 1, 9, "parquet", quiet)
        tables[name] = pq.read_table(tmp_path / name / "platform.parquet")
    drawn = platform_columns(np.random.default_rng(np.random.SeedSequence(9).spawn(2)[-1]), 50)
    users = [drawn["devices"][number] for number in drawn["device"]]
    assert tables["one"].column("device").to_pylist() == users
    assert tables["many"].equals(tables["again"])
    names = tables["many"].column("device").unique().to_pylist()
    assert sorted(int(name[5:]) - 9_000_000_000 for name in names) == list(range(50))
    assert len(tables["many"]) / 50 > 20  # records, not only devices
