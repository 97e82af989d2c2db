"""`--sweep NAME=START:STOP:COUNT` of the plan commands: many values of one option, answered at once."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from spectrum.errors import BadInput
from terminal.command import emit_json

if TYPE_CHECKING:
    from planning.models.airtimes import Floats

MOST_POINTS: Final = 1_000_000


def sweep_option(*names: str) -> Callable[[Any], Any]:
    """The option, for a command that sweeps these of its options."""
    said = f"Answer for many values at once: NAME=START:STOP:COUNT or NAME=V1,V2,..; NAME is {' or '.join(names)}."
    return click.option("--sweep", metavar="NAME=VALUES", help=f"{said} Prints CSV, or one JSON object of arrays.")


def read_sweep(text: str, names: Sequence[str]) -> tuple[str, Floats]:
    """Name and values of a sweep, shape (points,); BadInput for what is none."""
    import numpy as np

    name, _, values = text.partition("=")
    if name not in names:
        raise BadInput(f"expected a sweep of {' or '.join(names)}, such as {names[0]}=0.1:0.9:100, got {text!r}")
    try:
        if ":" in values:
            start, stop, count = values.split(":")
            if not 1 <= int(count) <= MOST_POINTS:
                raise BadInput(f"a sweep has 1 to {MOST_POINTS} points, got {count}")
            found = np.linspace(float(start), float(stop), int(count))
        else:
            found = np.array([float(value) for value in values.split(",")])
    except ValueError:
        raise BadInput(f"expected {name}=START:STOP:COUNT or {name}=V1,V2,.., got {text!r}") from None
    if not all(map(math.isfinite, found.tolist())):
        raise BadInput(f"the values of a sweep must be finite, got {text!r}")
    return name, found


def whole(name: str, values: Floats) -> Floats:
    """The values, which count things: BadInput unless whole and 1 or more."""
    if (values < 1.0).any() or (values % 1.0).any():
        raise BadInput(f"{name} must be whole numbers, 1 or more: choose START, STOP and COUNT so, or list them")
    return values


def print_sweep(name: str, values: Floats, columns: Mapping[str, Floats], method: str, *, as_json: bool) -> None:
    """One JSON object of arrays, or CSV with a column for each; shapes (points,)."""
    if as_json:
        emit_json({"sweep": name, "points": len(values), "method": method, name: values, **columns})
        return
    rows = zip(values.tolist(), *(column.tolist() for column in columns.values()), strict=True)
    csv.writer(sys.stdout).writerows([[name, *columns], *rows])
