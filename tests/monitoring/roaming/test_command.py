"""The command: schema, errors of one line, files it leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from airshed import airshed
from monitoring.roaming.command import roam
from monitoring.roaming.network import parse_network
from monitoring.roaming.schema import NETWORK_EXAMPLE, TABLES
from terminal.command import run


def test_schema_names_every_column_for_people_and_machines() -> None:
    text = CliRunner().invoke(roam, ["schema"]).output
    described = json.loads(CliRunner().invoke(roam, ["schema", "--json"]).output)
    for table in TABLES.values():
        assert [column["name"] for column in described["tables"][table.name]["columns"]] == list(table.names)
        assert all(name in text for name in table.names)
        assert {column.kind for column in table.columns} <= set(described["kinds"])


def test_network_example_of_the_schema_is_a_network_table() -> None:
    import tomllib

    network = parse_network(tomllib.loads(NETWORK_EXAMPLE), "example")
    assert network.own == ("23410",)
    assert network.imsi_ranges[0].holds("234100000000001")


def test_classify_writes_the_six_columns_first(write_folder: Any, row: Any, tmp_path: Path) -> None:
    folder = write_folder(radio=[row.radio("a"), row.radio("b")])
    for kind in ("csv", "parquet"):
        result = CliRunner().invoke(roam, ["classify", str(folder), "--format", kind], catch_exceptions=False)
        assert "device count: 2" in result.output
    with (folder / "results" / "classes.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header[:6] == ["device", "label", "class", "vertical", "evidence", "confidence"]
    assert len(rows) == pq.read_table(folder / "results" / "classes.parquet").num_rows == 2


def test_synthesize_says_what_it_wrote(tmp_path: Path) -> None:
    arguments = ["synthesize", "--devices", "30", "--days", "2", "--seed", "1", "--out", str(tmp_path / "x"), "--json"]
    found = json.loads(CliRunner().invoke(roam, arguments, catch_exceptions=False).output)
    for name, rows in found["rows"].items():
        assert pq.read_metadata(tmp_path / "x" / f"{name}.parquet").num_rows == rows


def test_truth_in_the_folder_brings_scores(population: Path, roam_json: Any, tmp_path: Path) -> None:
    found = roam_json("classify", population, "--out", str(tmp_path), "--site-key", str(tmp_path / "key"))
    assert found["truth"]["devices"] == 6000
    assert found["truth"]["precision"]["m2m"] > 0.98
    assert found["truth"]["confusion"]["m2m"]["m2m-maybe"] > 100


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["roam", "classify", "/nowhere"], 2, "does not exist"),
        (["roam", "synthesize", "--devices", "0", "--out", "x"], 2, "0 is not in the range"),
        (["roam", "lorawan", "--own", "000013"], 2, "expected DevAddrs"),
        (["roam", "lorawan", "1", "--own", "13"], 2, "6 hexadecimal digits"),
    ],
)
def test_errors_are_one_line(arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(airshed, arguments) == status
    stderr = capsys.readouterr().err
    assert said in stderr
    assert stderr.count("\n") == 1


def test_a_damaged_parquet_is_one_line(write_folder: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder()
    (folder / "radio.parquet").write_bytes(b"PAR1 this is not parquet")
    assert run(airshed, ["roam", "classify", str(folder)]) == 2
    assert "radio.parquet: not readable" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "classify --memory-gb nan",
        "classify --memory-gb inf",
        "classify --memory-gb 0.05",
        "classify --buckets 0",
        "classify --buckets 100000",
        "classify --threads 0",
        "classify --threads 257",
        "catalog --threads 257",
        "report --threads 257",
        "platform --threads 257",
        "evaluate --threads 257",
        "export --threads 257",
        "classify --keywords missing.csv",
        "classify --network missing.toml",
        "classify --out /proc/nowhere",
        "platform --storm-per-day 0",
        "platform --return-window-s nan",
        "platform --permanent-share nan",
        "platform --permanent-share 1.5",
        "platform --top 0",
        "export --k 1",
        "evaluate --seed -1",
    ],
)
def test_strange_options_are_one_line(
    words: str, write_folder: Any, row: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *options = words.split()
    folder = write_folder(radio=[row.radio("a")])
    assert run(airshed, ["roam", command, str(folder), *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "content", [bytes(range(256)), b"own = [", b'own = ["abc"]\n', b'own = []\ncountry_mcc = ["1"]\n']
)
def test_a_strange_network_table_is_one_line(
    content: bytes, write_folder: Any, row: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(radio=[row.radio("a")])
    (folder / "network.toml").write_bytes(content)
    assert run(airshed, ["roam", "classify", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "network.toml" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["catalog", "report", "platform", "export", "evaluate", "purge"])
def test_help_teaches(command: str) -> None:
    output = CliRunner().invoke(roam, [command, "--help"]).output
    assert "FOLDER" in output
    assert "--json" in output
