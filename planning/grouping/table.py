"""The CSV files of `airshed group`: columns of texts and whole numbers, whatever wrote them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from spectrum.errors import BadInput


def read_columns(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The named columns as stripped texts, one entry a row; other columns and blank rows are passed over.

    Titles may stand in any order and case; a byte-order mark and any line ends are taken.
    """
    wanted = ",".join(columns)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [(number, row) for number, row in enumerate(csv.reader(stream), start=1) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"expected a CSV file with columns {wanted}, cannot read {path}: {error}") from error
    header = [title.strip().lower() for title in rows[0][1]] if rows else []
    missing = [title for title in columns if title not in header]
    if missing:
        raise BadInput(
            f"expected a header with {wanted} in {path}, missing: {', '.join(missing)}; "
            "name the columns so, with commas between"
        )
    twice = [title for title in columns if header.count(title) > 1]
    if twice:
        raise BadInput(f"expected one column {twice[0]!r} in {path}, got {header.count(twice[0])}; keep one")
    places = [header.index(title) for title in columns]
    for number, row in rows[1:]:
        if len(row) <= max(places):
            raise BadInput(f"expected {len(header)} fields, row {number} of {path} has {len(row)}; complete it")
    return [tuple(row[place].strip() for _, row in rows[1:]) for place in places]


@contextmanager
def writable(path: Path) -> Iterator[TextIO]:
    """A text file opened for a CSV writer; BadInput where it cannot be written."""
    try:
        with path.open("w", newline="", encoding="utf-8") as stream:
            yield stream
    except OSError as error:
        raise BadInput(f"expected a file that can be written, got {path}: {error}; choose another place") from error


def whole(text: str) -> int:
    """A whole number, also when written as 10.0 or 1e1; ValueError for anything else."""
    try:
        if "_" not in text:
            return int(text)
    except ValueError:
        value = float(text)
        if math.isfinite(value) and value == int(value):
            return int(value)
    raise ValueError(f"{text!r} is no whole number")
