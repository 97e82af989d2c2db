"""Learned rhythms as rows that `airshed group` reads: device,interval,duration,start in slots."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monitoring.periodic.model import DeviceKpi

COLUMNS: Final = ("device", "interval", "duration", "start")
# Jitter scales around an instant that are reserved for it: a Laplace delay stays within 5 with 99.3 %.
GUARD_JITTERS: Final = 5.0


@dataclass(frozen=True, slots=True)
class TimetableRow:
    """One application in whole slots: it transmits `duration` slots from `start`, every `interval`."""

    device: str
    interval: int
    duration: int
    start: int


def timetable(
    devices: Iterable[DeviceKpi], slot_s: float, origin_s: float = 0.0
) -> tuple[list[TimetableRow], list[str]]:
    """Rows for `airshed group`, and the devices left out because they keep no time that slots could hold.

    slot_s: length of a slot in seconds; slot 0 starts at origin_s. duration covers the jitter on both sides and at
    least one slot; start is in 0..interval-duration, wrapped where a transmission would straddle the interval. A
    device with several applications gets a row each, named device/1, device/2, ... The interval is rounded to whole
    slots: a timetable holds for about slot_s/(2 |period - interval slot_s|) periods before it must be written anew.
    """
    if slot_s <= 0:
        raise ValueError(f"expected a slot longer than 0 s, got {slot_s}")
    rows: list[TimetableRow] = []
    left_out: list[str] = []
    for one in devices:
        many = len(one.applications) > 1
        fitted = []
        for number, application in enumerate(one.applications, 1):
            interval = round(application.period_s / slot_s)
            width_s = 2 * GUARD_JITTERS * application.jitter_s
            duration = max(1, math.ceil(width_s / slot_s))
            if interval < 1 or duration >= max(interval, 2):
                continue
            begin_s = application.next_s - origin_s - width_s / 2
            start = math.floor(begin_s / slot_s) % interval
            fitted.append(
                TimetableRow(
                    f"{one.device}/{number}" if many else one.device,
                    interval,
                    duration,
                    min(start, interval - duration),
                )
            )
        if not fitted or one.offline:
            left_out.append(one.device)
        else:
            rows += fitted
    return rows, left_out


def write_timetable(rows: Iterable[TimetableRow], path: Path) -> None:
    """Write the rows as CSV, whole or not at all."""
    partial = path.with_name(path.name + ".part")
    with partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((row.device, row.interval, row.duration, row.start) for row in rows)
    partial.replace(path)
