"""From lines to the air: a line becomes a subchannel, and a device that keeps time sends in its own slots there.

What it is worth is counted on the machinery of `airshed simulate`: the same frames of the same devices once by the
timetable, once on a subchannel drawn at random for every frame, once allocated by Algorithm 1 with its sensing errors.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planning.grouping.assignment import Assignment
from planning.grouping.table import writable
from planning.grouping.traffic import IntArray, Traffic
from planning.simulate.scenario import Scenario
from spectrum.errors import BadInput

COLUMNS: Final = ("device", "subchannel", "interval", "duration", "start", "shift")
# Sent frames a run beyond which memory would not bear it.
MOST_FRAMES: Final = 5_000_000


@dataclass(frozen=True)
class Timetable:
    """subchannel: int64 (M,), from 0, -1 for a device that found no room and stays on random access; shift: slots."""

    traffic: Traffic
    subchannel: IntArray
    shift: IntArray

    @property
    def placed(self) -> int:
        """Devices with slots of their own."""
        return int(np.count_nonzero(self.subchannel >= 0))


def timetable_of(traffic: Traffic, assignment: Assignment, subchannels: int) -> Timetable:
    """The lines with most devices become subchannels 0, 1, ...; devices of the others get no slots."""
    crowded = [line for line, _ in sorted(Counter(assignment.line).items(), key=lambda row: (-row[1], row[0]))]
    place = {line: number for number, line in enumerate(crowded[:subchannels])}
    subchannel = np.array([place.get(line, -1) for line in assignment.line], dtype=np.int64)
    return Timetable(traffic, subchannel, np.where(subchannel >= 0, np.array(assignment.shift), 0))


def write_timetable(path: Path, timetable: Timetable) -> None:
    """Write the devices that have slots: start is where they now send in their interval, shift is included."""
    traffic = timetable.traffic
    start = (traffic.start + timetable.shift) % traffic.interval
    columns = (timetable.subchannel, traffic.interval, traffic.duration, start, timetable.shift)
    with writable(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, subchannel, *rest in zip(traffic.names, *(column.tolist() for column in columns), strict=True):
            if subchannel >= 0:
                writer.writerow((name, subchannel, *rest))


def lost_percent(timetable: Timetable, scenario: Scenario, slot_s: float, run: int) -> dict[str, float]:
    """Frames lost by overlap, percent, under "timetable", "random" and "algorithm1".

    scenario: one class of devices, its duration, subchannels, attempts, pf, pm and seed; slot_s: length of a slot.
    Every device sends one frame an interval, at a moment drawn anew, uniform over the slots it has reserved (its
    jitter); all three ways see the same draws, the timetable at its shifted starts. Devices without slots draw a
    subchannel for every frame, there too.
    """
    traffic = timetable.traffic
    room_s = traffic.duration * slot_s - scenario.airtimes_s[0]
    if room_s.min() < 0:
        tightest = int(np.argmin(room_s))
        raise BadInput(
            f"expected a frame of {scenario.airtimes_s[0]:.3f} s to fit the reserved slots, those of device "
            f"{traffic.names[tightest]!r} last {traffic.duration[tightest] * slot_s:.3f} s; "
            "choose longer slots or a shorter frame"
        )
    rng = np.random.default_rng([scenario.seed, run])
    device, cycle = _cycles(traffic, scenario.duration_s, slot_s)
    jitter_s = rng.random(device.size) * room_s[device]
    drawn = rng.integers(scenario.subchannels, size=device.size)
    own_s = (traffic.start[device] + cycle * traffic.interval[device]) * slot_s + jitter_s
    kept = timetable.subchannel[device]
    planned_s = own_s + timetable.shift[device] * slot_s
    random = scenario.with_(policy="random")
    lost = {
        "timetable": _lost(random, run, device, planned_s, np.where(kept >= 0, kept, drawn)),
        "random": _lost(random, run, device, own_s, drawn),
        "algorithm1": _lost(scenario.with_(policy="algorithm1"), run, device, own_s, drawn),
    }
    return {way: 100.0 * count / device.size for way, count in lost.items()}


def _cycles(traffic: Traffic, duration_s: float, slot_s: float) -> tuple[IntArray, IntArray]:
    """(device, number of the interval) of every frame of `duration_s` seconds."""
    count = np.maximum(1, (duration_s / slot_s) // traffic.interval).astype(np.int64)
    if count.sum() > MOST_FRAMES:
        raise BadInput(f"expected at most {MOST_FRAMES} frames, {int(count.sum())} would be sent; shorten --hours")
    device = np.repeat(np.arange(len(traffic), dtype=np.int64), count)
    first = np.concatenate(([0], np.cumsum(count)[:-1]))
    return device, np.arange(device.size) - first[device]


def _lost(
    scenario: Scenario, run: int, device: IntArray, start_s: NDArray[np.float64], subchannel: NDArray[Any]
) -> int:
    """Frames that met another on their subchannel; Algorithm 1 chooses its own, else `subchannel` is taken."""
    from planning.simulate import allocation, devices, timeline, traffic, window
    from planning.simulate.streams import root_key
    from planning.simulate.tallies import STREAM_POLICY

    order = np.argsort(start_s, kind="stable")
    starts = start_s[order]
    words = device[order] | subchannel[order].astype(np.int64) << traffic.SUBCHANNEL_SHIFT | traffic.COUNTED
    airtimes_s = np.array(scenario.airtimes_s)
    state = timeline.new_devices(scenario)
    receiver = timeline.new_receiver(scenario, run, airtimes_s, state)
    count = starts.size
    if timeline.asks(scenario):
        desk = allocation.new_desk(root_key(scenario.seed, STREAM_POLICY, run), scenario)
        out_starts, out_words = timeline.new_frames(count)
        count, _, _ = allocation.allocate(
            starts, words, count, np.inf, allocation.new_queue(1), allocation.new_queue(1), desk, airtimes_s,
            airtimes_s, scenario.attempt_delay_s, scenario.status_age_s, devices.pool(scenario),
            np.array(scenario.occupancies), window.rules_of(scenario), np.zeros((1, allocation.N_ASKED)), out_starts,
            out_words,
        )  # fmt: skip
        starts, words = out_starts, out_words
    receiver.take(starts, words, count, np.inf)
    return int(device.size - state.delivered.sum())
