"""An assignment of devices to lines: the record, its file, its independent check and its measures."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from planning.grouping.table import read_columns, whole, writable
from planning.grouping.traffic import Traffic
from spectrum.errors import BadInput, Failed

COLUMNS: Final = ("device", "line", "shift")

# Line numbers and shifts of a file may be this large: differences of two must fit 64 bits.
LARGEST_NUMBER: Final = 2**62

# The line of a device that has none (yet).
NOWHERE: Final = -1


@dataclass(frozen=True)
class Assignment:
    """line[i] and shift[i] of device i, for M devices in the order of their Traffic.

    line: number of the shared line (a bearer's identity), at least 0. shift: slots by which the device sends later
    (negative: earlier) than its own start, modulo its interval.
    """

    line: tuple[int, ...]
    shift: tuple[int, ...]

    @property
    def lines(self) -> int:
        """Number of lines in use."""
        return len(set(self.line))


@dataclass(frozen=True)
class Previous:
    """Where devices were a moment ago: device id -> (line, shift)."""

    places: Mapping[str, tuple[int, int]]

    def line_of(self, traffic: Traffic) -> tuple[int, ...]:
        """Previous line of every device of `traffic`; NOWHERE for a newcomer."""
        return tuple(self.places[name][0] if name in self.places else NOWHERE for name in traffic.names)


def previous_of(traffic: Traffic, assignment: Assignment) -> Previous:
    """The record that the next moment starts from."""
    return Previous(dict(zip(traffic.names, zip(assignment.line, assignment.shift, strict=True), strict=True)))


def saving_percent(traffic: Traffic, assignment: Assignment) -> float:
    """Lines saved against one line a device, percent (eq. 16)."""
    return 100.0 * (len(traffic) - assignment.lines) / len(traffic)


def changed_devices(traffic: Traffic, assignment: Assignment, previous: Previous | None) -> int:
    """Devices present in both moments whose line changed."""
    if previous is None:
        return 0
    before = previous.line_of(traffic)
    return sum(1 for old, new in zip(before, assignment.line, strict=True) if old not in (NOWHERE, new))


def changed_percent(traffic: Traffic, assignment: Assignment, previous: Previous | None) -> float:
    """Changed devices in percent of all devices of the present moment (eq. 17, as printed)."""
    return 100.0 * changed_devices(traffic, assignment, previous) / len(traffic)


def check(traffic: Traffic, assignment: Assignment, max_shift: int) -> None:
    """Raise Failed unless every device has a line, keeps its shift bound, and never meets another on its line.

    Deliberately plain and apart from all methods: it takes their answers, not their arithmetic. Two devices of
    intervals a, b repeat against each other in steps of g = gcd(a, b): the second, d slots after the first on a
    circle of g, must begin after the first has ended and end before the first begins again.
    """
    if not len(assignment.line) == len(assignment.shift) == len(traffic):
        raise Failed(f"{len(traffic)} devices but {len(assignment.line)} lines and {len(assignment.shift)} shifts")
    on_line: dict[int, list[int]] = defaultdict(list)
    for device, (line, shift) in enumerate(zip(assignment.line, assignment.shift, strict=True)):
        if line <= NOWHERE:
            raise Failed(f"device {traffic.names[device]!r} has no line")
        if abs(shift) > max_shift:
            raise Failed(f"device {traffic.names[device]!r} is shifted by {shift}, more than {max_shift}")
        on_line[line].append(device)
    interval, duration = traffic.interval.tolist(), traffic.duration.tolist()
    start = [begin + shift for begin, shift in zip(traffic.start.tolist(), assignment.shift, strict=True)]
    for line, members in on_line.items():
        for place, one in enumerate(members):
            for other in members[place + 1 :]:
                step = math.gcd(interval[one], interval[other])
                later = (start[other] - start[one]) % step
                if later < duration[one] or step - later < duration[other]:
                    names = f"{traffic.names[one]!r} and {traffic.names[other]!r}"
                    raise Failed(f"devices {names} meet on line {line}: the answer is wrong and was not given out")


def read_previous(path: Path) -> Previous:
    """Read ASSIGNMENT.csv: device, line (at least 0), shift in slots."""
    places: dict[str, tuple[int, int]] = {}
    for name, *texts in zip(*read_columns(path, COLUMNS), strict=True):
        try:
            line, shift = map(whole, texts)
        except ValueError as error:
            raise BadInput(f"expected whole line and shift of device {name!r} in {path}, got {texts}") from error
        if not 0 <= line <= LARGEST_NUMBER or abs(shift) > LARGEST_NUMBER:
            raise BadInput(
                f"expected a line from 0 and a shift, both up to {LARGEST_NUMBER}, device {name!r} in {path} has "
                f"{line} and {shift}; number the lines anew"
            )
        if name in places:
            raise BadInput(f"device {name!r} is listed twice in {path}; keep one row")
        places[name] = (line, shift)
    return Previous(places)


def write_assignment(path: Path, names: Sequence[str], assignment: Assignment) -> None:
    """Write ASSIGNMENT.csv, which a later moment takes as --previous."""
    with writable(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(names, assignment.line, assignment.shift, strict=True))
