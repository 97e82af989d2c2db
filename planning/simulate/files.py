"""Scenario files in, tables out: the only place of this room that touches the disk."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spectrum.errors import BadInput, Failed


def read_scenario(path: Path, known: Sequence[str]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """(options, sweep axes) of a TOML file; keys are option names, with - or _. An unknown key is an error."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read the scenario {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}") from None
    sweep = content.pop("sweep", {})
    if not isinstance(sweep, dict):
        raise BadInput(f"[sweep] in {path} must be a table of lists, got {sweep!r}")
    axes = {key: value if isinstance(value, list) else [value] for key, value in _checked(sweep, path, known).items()}
    return _checked(content, path, known), axes


def _checked(table: Mapping[str, Any], path: Path, known: Sequence[str]) -> dict[str, Any]:
    named = {key.replace("-", "_"): value for key, value in table.items()}
    for key in named:
        if key not in known:
            raise BadInput(f"unknown key {key!r} in {path}: expected one of {', '.join(sorted(known))}")
    return named


def flat(report: Mapping[str, Any]) -> dict[str, Any]:
    """One row of a table: intervals become two columns, lists (one value per spreading factor) become text."""
    row: dict[str, Any] = {}
    for key, value in report.items():
        if key == "ci95":
            for name, (low, high) in value.items():
                row[f"{name}_low"], row[f"{name}_high"] = low, high
        elif key == "airtime_s" and isinstance(value, list):
            row[key] = max(value)
        elif key != "by_spreading_factor":
            row[key] = value
    return row


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """A table as CSV or Parquet, by the ending; written beside and moved into place, never half there."""
    if path.suffix not in (".csv", ".parquet"):
        raise BadInput(f"tables end in .csv or .parquet, got {path.name!r}")
    beside = path.with_name(f".{path.name}.part")
    try:
        if path.suffix == ".csv":
            with beside.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(zip(*columns.values(), strict=True))
        else:
            import pyarrow
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.table(dict(columns)), beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Failed(f"cannot write {path}: {error.strerror or error}") from None


def check_table_path(path: Path) -> None:
    """Refuse before a long simulation what could not be written after it."""
    if path.suffix not in (".csv", ".parquet"):
        raise BadInput(f"tables end in .csv or .parquet, got {path.name!r}")
    if not path.parent.is_dir():
        raise BadInput(f"the folder of {path} does not exist")


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns; a key that a row has not is left empty there."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}
