"""Periodic traffic: what a device sends, read from a file, checked, or drawn as in table III."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planning.grouping.table import read_columns, whole, writable
from spectrum.errors import BadInput

IntArray = NDArray[np.int64]

COLUMNS: Final = ("device", "interval", "duration", "start")

# The product of two intervals must fit a signed 64-bit integer.
LONGEST_INTERVAL: Final = 2**31 - 1

# Table III: share of the interval that is sent in, percent, both ends included.
LOADS: Final = {"low": (10, 15), "medium": (15, 25), "high": (25, 50)}
TABLE_III_INTERVALS: Final = (10, 20, 40)

# How far a time in seconds may lie from a whole number of slots before it is refused, in slots.
WHOLE_SLOT_TOLERANCE: Final = 1e-6


@dataclass(frozen=True)
class Traffic:
    """M devices; device i sends in slots start[i] .. start[i] + duration[i] - 1 of every interval[i] slots.

    names: M ids, all different. interval, duration, start: int64, shape (M,), slots, with
    1 <= duration <= interval and 0 <= start < interval. A transmission that passes the end of the interval goes on
    at its beginning (the timeline is cyclic).
    """

    names: tuple[str, ...]
    interval: IntArray
    duration: IntArray
    start: IntArray

    def __len__(self) -> int:
        return len(self.names)

    def timeline_slots(self) -> int:
        """Least common multiple of all intervals: after this many slots everything repeats."""
        return math.lcm(*(int(value) for value in np.unique(self.interval)))

    def utilisation(self) -> float:
        """Sum of duration / interval: how many lines the traffic would fill if it could be cut at will."""
        return float((self.duration / self.interval).sum())

    def select(self, indices: Sequence[int] | IntArray) -> Traffic:
        """The devices at `indices`, in that order."""
        rows = np.asarray(indices, dtype=np.int64)
        return Traffic(
            tuple(self.names[i] for i in rows.tolist()), self.interval[rows], self.duration[rows], self.start[rows]
        )

    def with_guard(self, guard_slots: int) -> Traffic:
        """Every transmission followed by `guard_slots` silent slots (a device that would fill its interval fills it).

        Two transmissions on one line are then at least the guard apart, in either order.
        """
        if guard_slots == 0:
            return self
        return Traffic(self.names, self.interval, np.minimum(self.duration + guard_slots, self.interval), self.start)


def traffic_of(rows: Iterable[tuple[str, int, int, int]]) -> Traffic:
    """Traffic from (device, interval, duration, start) in slots; BadInput names the first row that cannot be."""
    listed = list(rows)
    names = tuple(row[0] for row in listed)
    values = np.array([row[1:] for row in listed], dtype=object).reshape(len(listed), 3)
    _refuse_duplicates(names)
    return _checked(names, values[:, 0], values[:, 1], values[:, 2])


def read_devices(path: Path, slot_s: float | None = None) -> Traffic:
    """Read DEVICES.csv (columns device, interval, duration, start; others are ignored).

    slot_s: None when the columns are in slots; else they are seconds, and slots are this long. An interval must then
    be a whole number of slots; a transmission takes every slot it touches.
    """
    names, *columns = read_columns(path, COLUMNS)
    if not names:
        raise BadInput(f"expected at least one device in {path}, found none; add a row")
    _refuse_duplicates(names)
    numbers = [_numbers(path, names, column, texts, slot_s) for column, texts in zip(COLUMNS[1:], columns, strict=True)]
    if slot_s is not None:
        numbers = _to_slots(names, numbers, slot_s)
    return _checked(names, *numbers)


def _refuse_duplicates(names: Sequence[str]) -> None:
    if not names:
        raise BadInput("expected at least one device, got none")
    if len(set(names)) == len(names) and "" not in names:
        return
    seen: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name:
            raise BadInput(f"expected a device id in data row {row + 1}, found none; give every device a name")
        if name in seen:
            raise BadInput(
                f"device {name!r} is listed twice (data rows {seen[name] + 1} and {row + 1}); "
                "ids must differ, give each stream of one device its own"
            )
        seen[name] = row


def _numbers(path: Path, names: Sequence[str], column: str, texts: Sequence[str], slot_s: float | None) -> NDArray[Any]:
    kind: Any = whole if slot_s is None else float
    try:
        return np.array([kind(text) for text in texts], dtype=object if slot_s is None else np.float64)
    except ValueError:
        pass
    for name, text in zip(names, texts, strict=True):
        try:
            kind(text)
        except ValueError as error:
            what = "a whole number of slots (or give --slot-s for seconds)" if slot_s is None else "seconds"
            raise BadInput(f"expected {column} of device {name!r} in {path} to be {what}, got {text!r}") from error
    raise AssertionError("one of the texts was no number")


def _to_slots(names: Sequence[str], seconds: Sequence[NDArray[Any]], slot_s: float) -> list[NDArray[Any]]:
    """Seconds to whole slots: a transmission is widened to the slots it touches, an interval must be whole."""
    interval_s, duration_s, start_s = seconds
    begin, end = start_s / slot_s, (start_s + duration_s) / slot_s
    interval = interval_s / slot_s
    for name, *values in zip(names, interval, begin, end, strict=True):
        if not all(math.isfinite(value) for value in values):
            raise BadInput(f"expected finite numbers of slots for device {name!r}; mend its row or --slot-s")
    odd = np.flatnonzero(np.abs(interval - np.rint(interval)) > WHOLE_SLOT_TOLERANCE * np.maximum(1, interval))
    if odd.size:
        first = int(odd[0])
        raise BadInput(
            f"expected whole slots, interval {interval_s[first]:g} s of device {names[first]!r} is "
            f"{interval[first]:g} slots of {slot_s:g} s; choose a --slot-s that divides it"
        )
    none = np.flatnonzero(~(duration_s > 0))
    if none.size:
        _refuse_duration(names[int(none[0])], duration_s[int(none[0])])
    first_slot = np.floor(begin + WHOLE_SLOT_TOLERANCE)
    past_slot = np.ceil(end - WHOLE_SLOT_TOLERANCE)
    return [np.rint(interval), np.maximum(past_slot - first_slot, 1), first_slot]


def _refuse_duration(name: str, duration: object) -> None:
    raise BadInput(f"expected a duration above 0, device {name!r} has {duration}: it never sends, remove its row")


def _checked(names: tuple[str, ...], interval: NDArray[Any], duration: NDArray[Any], start: NDArray[Any]) -> Traffic:
    """Refuse what no line could carry; wrap starts into their interval."""
    bad = np.flatnonzero((interval < 1) | (interval > LONGEST_INTERVAL))
    if bad.size:
        raise BadInput(
            f"expected an interval of 1 to {LONGEST_INTERVAL} slots, device {names[int(bad[0])]!r} has "
            f"{interval[int(bad[0])]}; use longer slots"
        )
    bad = np.flatnonzero(duration < 1)
    if bad.size:
        _refuse_duration(names[int(bad[0])], duration[int(bad[0])])
    bad = np.flatnonzero(duration > interval)
    if bad.size:
        first = int(bad[0])
        raise BadInput(
            f"expected a duration within the interval, device {names[first]!r} sends {duration[first]} of every "
            f"{interval[first]} slots; shorten it or lengthen the interval"
        )
    bad = np.flatnonzero(start < 0)
    if bad.size:
        raise BadInput(
            f"expected a start of at least 0, device {names[int(bad[0])]!r} has {start[int(bad[0])]}; "
            "count its slots from the beginning of its interval"
        )
    whole = [np.array(column, dtype=np.int64) for column in (interval, duration, start % interval)]
    return Traffic(names, *whole)


def duration_range(load: str, interval: int) -> tuple[int, int]:
    """Smallest and largest whole duration inside the percentage range of table III, at least 1 slot."""
    low, high = LOADS[load]
    first, last = -(-low * interval // 100), high * interval // 100
    return (first, last) if first <= last else (max(1, last), max(1, last))


def generate(
    count: int,
    load: str,
    rng: np.random.Generator,
    *,
    intervals: Sequence[int] = TABLE_III_INTERVALS,
    first_id: int = 1,
) -> Traffic:
    """Draw `count` devices as in table III: interval uniform on the array, duration uniform over the whole slots in
    the load's range, start uniform on 0 .. interval - duration. Ids are d<first_id>, d<first_id + 1>, ...
    """
    interval = rng.choice(np.asarray(intervals, dtype=np.int64), size=count)
    low = np.empty(count, dtype=np.int64)
    high = np.empty(count, dtype=np.int64)
    for value in sorted(set(intervals)):
        low[interval == value], high[interval == value] = duration_range(load, value)
    duration = rng.integers(low, high + 1)
    start = rng.integers(0, interval - duration + 1)
    return Traffic(tuple(f"d{first_id + i}" for i in range(count)), interval, duration, start)


def write_devices(path: Path, traffic: Traffic) -> None:
    """Write DEVICES.csv in slots."""
    with writable(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        columns = (traffic.interval.tolist(), traffic.duration.tolist(), traffic.start.tolist())
        writer.writerows(zip(traffic.names, *columns, strict=True))
