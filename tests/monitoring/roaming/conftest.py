"""Folders of network records for the tests, written by hand or synthetic."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from monitoring.roaming import pipeline
from monitoring.roaming.command import roam
from monitoring.roaming.engine import Engine
from monitoring.roaming.network import read_network
from monitoring.roaming.privacy import SiteKey
from monitoring.roaming.schema import TABLES
from monitoring.roaming.synthesize import synthesize

NETWORK = 'own = ["23410"]\nmvno = ["23426"]\ncountry_mcc = ["234", "235"]\n'
NOON = "2019-04-05T12:00:00Z"

Rows = Sequence[dict[str, Any]]
RowMaker = Callable[..., dict[str, Any]]
FolderWriter = Callable[..., Path]


def radio_row(user: str, sim: str = "23410", **more: Any) -> dict[str, Any]:
    row = {"user": user, "sim_mcc": sim[:3], "sim_mnc": sim[3:], "tac": "35000001", "sector": "s1", "time": NOON}
    return {**row, "type": "attach", "result": "OK", "rat": "2G", "interface": "Gb", **more}


def cdr_row(user: str, sim: str = "23410", visited: str = "23410", **more: Any) -> dict[str, Any]:
    row = {"user": user, "sim_mcc": sim[:3], "sim_mnc": sim[3:], "visited_mcc": visited[:3], "visited_mnc": visited[3:]}
    return {**row, "time": NOON, "duration_s": 60, "bytes": "", "apn": "", **more}


def tac_row(tac: str, vendor: str, model: str, os: str = "", kind: str = "module") -> dict[str, Any]:
    return {"tac": tac, "vendor": vendor, "model": model, "os": os, "type": kind, "bands": "2G"}


@dataclass(frozen=True)
class RowMakers:
    """Rows of the tables with everything unsaid filled in."""

    radio: RowMaker
    cdr: RowMaker
    tac: RowMaker


@pytest.fixture
def row() -> RowMakers:
    return RowMakers(radio_row, cdr_row, tac_row)


@pytest.fixture
def write_folder(tmp_path: Path) -> FolderWriter:
    """Write tables given as rows (CSV) and a network table; return the folder."""

    def write(network: str = NETWORK, **tables: Rows) -> Path:
        folder = tmp_path / "records"
        folder.mkdir(exist_ok=True)
        (folder / "network.toml").write_text(network)
        for name, rows in tables.items():
            needed = [column.name for column in TABLES[name].columns if not column.optional_column]
            header = list(dict.fromkeys([*needed, *(key for row in rows for key in row)]))
            with (folder / f"{name}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, header)
                writer.writeheader()
                writer.writerows(rows)
        return folder

    return write


@pytest.fixture
def roam_json() -> Callable[..., dict[str, Any]]:
    """Run a subcommand with --json, keeping identifiers, and return what it printed."""

    def run(command: str, folder: Path, *more: str) -> dict[str, Any]:
        arguments = [command, str(folder), "--json", "--keep-identifiers", "--threads", "1", *more]
        result = CliRunner().invoke(roam, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        printed: dict[str, Any] = json.loads(result.stdout)
        return printed

    return run


@pytest.fixture
def open_run(tmp_path: Path) -> Callable[..., Any]:
    """Context manager of an engine in which a folder has been read and classified."""
    import contextlib

    @contextlib.contextmanager
    def open_(folder: Path, kind: str = "duckdb", **options: Any) -> Iterator[tuple[Engine, Any]]:
        out = tmp_path / f"out-{kind}"
        network = read_network(folder / "network.toml")
        run = pipeline.Run(folder, out, network, SiteKey(b"k" * 32), **options)
        with pipeline.open_engine(kind, out, threads=1) as engine:
            intaker = pipeline.build_devices(run, engine, lambda amount: None)
            pipeline.classify(run, engine)
            yield engine, intaker

    return open_


@pytest.fixture(scope="session")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6,000 synthetic devices over 22 days."""
    folder = tmp_path_factory.mktemp("population")
    synthesize(folder, 6000, 22, 3, "parquet", lambda amount: None)
    return folder


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """250 synthetic devices over 5 days, small enough for plain Python."""
    folder = tmp_path_factory.mktemp("few")
    synthesize(folder, 250, 5, 4, "parquet", lambda amount: None)
    return folder
