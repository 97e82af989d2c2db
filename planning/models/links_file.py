"""The links file: one row a device group, one column a gateway, probabilities that a frame is heard, no header."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from planning.models.airtimes import Floats
from spectrum.errors import BadInput


def read_links(path: Path) -> Floats:
    """Link probabilities of a CSV file, shape (groups, gateways); BadInput names file, line and value."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"cannot read the links file {path}: {getattr(error, 'strerror', None) or error}") from None
    if not rows:
        raise BadInput(f"{path} is empty: expected one row of probabilities a device group, one column a gateway")
    width = len(rows[0][1])
    return np.array([_probabilities(path, number, row, width) for number, row in rows])


def _probabilities(path: Path, number: int, row: list[str], width: int) -> list[float]:
    if len(row) != width:
        raise BadInput(f"{path}, line {number}: expected {width} columns as in the first row, got {len(row)}")
    values = []
    for text in row:
        try:
            value = float(text)
        except ValueError:
            raise BadInput(
                f"{path}, line {number}: expected a probability such as 0.5, got {text.strip()!r} (no header line)"
            ) from None
        if not 0.0 <= value <= 1.0:
            raise BadInput(f"{path}, line {number}: a link probability is 0 to 1, got {text.strip()}")
        values.append(value)
    return values
