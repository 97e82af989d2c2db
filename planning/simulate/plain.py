"""The slow truth: the same scenarios frame by frame in plain Python, with the same random streams.

Nothing here is clever. Every frame is an object, every pair of frames is compared, the policy is the controller's own
code. The compiled engines must give the same frames and the same fates, one by one; tests hold them to it.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass, field
from random import Random
from typing import Any

from allocation.attempts import SlotGrid, Try, plan_attempts, settle
from allocation.policies import available, candidates, ranked
from planning.simulate import devices
from planning.simulate.plain_reception import OFFSETS, Frame, receive_by_overlap, receive_by_radio
from planning.simulate.plain_streams import Stream, exponential, key_of, unit
from planning.simulate.scenario import SLOT_GUARD, Scenario
from planning.simulate.streams import root_key
from planning.simulate.tallies import STREAM_POLICY, STREAM_TRAFFIC, STREAM_WINDOW
from spectrum.eu868 import Subchannel


@dataclass(slots=True)
class Counts:
    """Totals of a run, named as in a report."""

    transmissions: int = 0
    unsuccessful: int = 0
    forced: int = 0
    attempts: int = 0
    delay_s: float = 0.0
    messages: int = 0
    messages_delivered: int = 0
    delivered: dict[int, int] = field(default_factory=dict)  # by device


def simulate(scenario: Scenario, run: int = 0) -> Counts:
    """One run of any scenario."""
    frames = window_frames(scenario, run) if scenario.traffic == "window" else time_line_frames(scenario, run)
    if scenario.radio:
        receive_by_radio(scenario, run, frames)
    else:
        receive_by_overlap(scenario, frames)
    counted = [frame for frame in frames if frame.counted]
    got_through = {(f.device, f.message) for f in frames if f.delivered and f.message_counted}
    totals = Counts(
        transmissions=len(counted),
        unsuccessful=sum(not frame.delivered for frame in counted),
        forced=sum(frame.forced for frame in counted),
        attempts=sum(frame.attempts for frame in counted),
        delay_s=sum(frame.delay_s for frame in counted),
        messages=len({(f.device, f.message) for f in frames if f.message_counted}),
        messages_delivered=len(got_through),
    )
    for frame in counted:
        totals.delivered[frame.device] = totals.delivered.get(frame.device, 0) + frame.delivered
    return totals


# --- the window of section 5


@dataclass(frozen=True, slots=True)
class AnyTime(SlotGrid):
    """A grid so fine that a start may be anywhere: index in units of airtime / 2^32."""

    def slot(self, index: int) -> tuple[float, float]:
        start_s = self.first_s + index * (self.slot_s / OFFSETS)
        return start_s, start_s + self.slot_s


class Replayed(Random):
    """Answers the allocator's questions from a frame's stream: subchannel, then slot, for one try after another."""

    def __init__(self, own: int, scenario: Scenario, airtime_s: float) -> None:
        self.own, self.asked, self.rotates = own, 0, scenario.row.rotates
        self.slotted, self.length = scenario.access == "slotted", scenario.window_s / airtime_s

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        attempt, question = (self.asked, 1) if self.rotates else divmod(self.asked, 2)
        self.asked += 1
        u = unit(key_of(self.own, 4 * attempt + question))
        if question == 0 or self.slotted:
            return int(u * start)
        position = u * (self.length - 1.0)
        return int(position) * OFFSETS + int((position - int(position)) * OFFSETS)


def window_frames(scenario: Scenario, run: int) -> list[Frame]:
    """Frames of a run, placed one after another in random order."""
    key = int(root_key(scenario.seed, STREAM_WINDOW, run))
    frames = shuffled(key, listed(key, scenario), scenario.devices)
    lag = math.ceil(min(1.0, scenario.status_age_s / scenario.window_s) * len(frames))
    last: Subchannel | None = None
    for i, frame in enumerate(frames):
        seen = frames[: max(0, i - lag)]
        last = place(scenario, key_of(key, i), frame, seen, last)
    return frames


def listed(key: int, scenario: Scenario) -> list[Frame]:
    """All frames of a run in order of device, message and copy."""
    least, most, mean = scenario.packet_law
    kinds = devices.device_classes(scenario)
    frames = []
    message = 0
    for device in range(scenario.devices):
        own = key_of(key, device)
        wanted = least + int(unit(key_of(own, 0)) * (most - least + 1)) if mean <= 0 else poisson(own, mean)
        for _ in range(min(wanted, scenario.packet_limits[kinds[device]])):
            frames += [Frame(device, int(kinds[device]), message, 0.0) for _ in range(scenario.copies)]
            message += 1
    return frames


def poisson(own: int, mean: float) -> int:
    """Uniforms multiplied until they fall below exp(-mean)."""
    count, product = 0, unit(key_of(own, 0))
    while product > math.exp(-mean):
        count += 1
        product *= unit(key_of(own, count))
    return count


def shuffled(key: int, frames: list[Frame], devices_count: int) -> list[Frame]:
    """Fisher and Yates, from the inside out."""
    shuffle = key_of(key, devices_count)
    mixed: list[Frame] = []
    for i, frame in enumerate(frames):
        j = int(unit(key_of(shuffle, i)) * (i + 1))
        mixed.append(frame)
        mixed[i], mixed[j] = mixed[j], mixed[i]
    return mixed


def place(scenario: Scenario, own: int, frame: Frame, seen: list[Frame], last: Subchannel | None) -> Subchannel:
    """Lines 2 to 14 of Algorithm 1 for one frame, by the controller's code; returns what was allocated."""
    airtime_s = scenario.airtimes_s[frame.kind]
    statuses = devices.statuses(scenario)
    slots = int(scenario.window_s / airtime_s + SLOT_GUARD)
    grid = SlotGrid(0.0, airtime_s, slots) if scenario.access == "slotted" else AnyTime(0.0, airtime_s)
    row = scenario.row
    load: dict[Subchannel, int] = {}
    for other in seen:
        subchannel = statuses[other.subchannel].subchannel
        load[subchannel] = load.get(subchannel, 0) + 1
    draws = (scenario.attempts if row.senses else 1) + (scenario.fresh and row.senses)
    plan = plan_attempts(
        statuses, grid, row, draws, Replayed(own, scenario, airtime_s), load=load, last=last,
    )  # fmt: skip
    at = {tried: number for number, tried in reversed(list(enumerate(plan.tries)))}

    def foreign(tried: Try) -> bool:
        occupancy = scenario.occupancies[int(tried.subchannel.center_hz)]
        return occupancy > 0.0 and unit(key_of(own, 4 * at[tried] + 3)) < occupancy

    def reported_idle(tried: Try) -> bool:
        number = at[tried]
        if not row.senses or number == scenario.attempts:  # random access, or the fresh draw that nobody checks
            return True
        met = foreign(tried) or any(overlaps(scenario, frame.kind, tried, other) for other in seen)
        u = unit(key_of(own, 4 * number + 2))
        return u < (scenario.pm if met else 1.0 - scenario.pf)

    outcome = settle(plan.tries, reported_idle)
    frame.subchannel = int(outcome.taken.subchannel.center_hz)
    frame.start_s = outcome.taken.start_s
    frame.units = round(outcome.taken.start_s / airtime_s * OFFSETS)
    frame.foreign = foreign(outcome.taken)
    frame.attempts = min(outcome.attempt, scenario.attempts if row.senses else 1)
    frame.forced = outcome.forced or outcome.attempt > scenario.attempts
    frame.delay_s = abs(outcome.taken.start_s - plan.tries[0].start_s)
    frame.delay_s += scenario.attempt_delay_s * (frame.attempts - 1)
    return outcome.taken.subchannel


def overlaps(scenario: Scenario, kind: int, tried: Try, other: Frame) -> bool:
    """Whether a try of a class shares the air with a placed frame of any class."""
    if int(tried.subchannel.center_hz) != other.subchannel:
        return False
    own_s, others_s = scenario.airtimes_s[kind], scenario.airtimes_s[other.kind]
    if kind == other.kind:
        return abs(round(tried.start_s / own_s * OFFSETS) - other.units) < OFFSETS
    guard = SLOT_GUARD * others_s
    return tried.start_s - others_s + guard < other.start_s < tried.start_s + own_s - guard


# --- renewal and periodic traffic on a time line


def time_line_frames(scenario: Scenario, run: int) -> list[Frame]:
    """All frames of a run as the air sees them, in order of start."""
    key = int(root_key(scenario.seed, STREAM_TRAFFIC, run))
    kinds = devices.device_classes(scenario)
    pool = devices.pool(scenario)
    ready = [
        f for d in range(scenario.devices) for f in device_frames(scenario, key_of(key, d), d, int(kinds[d]), pool)
    ]
    ready.sort(key=lambda frame: (frame.start_s, frame.device))
    if scenario.row.senses or scenario.row.rotates or any(p > 0.0 for p in scenario.occupancies):
        return asked_for(scenario, run, ready)
    return ready


def device_frames(scenario: Scenario, own: int, device: int, kind: int, pool: Any) -> list[Frame]:
    """What one device sends, from before the measured time until after it."""
    from planning.simulate.timeline import measured_span

    from_s, until_s = measured_span(scenario)
    airtime_s, least_s, mean_s = scenario.airtimes_s[kind], scenario.least_gaps_s[kind], scenario.interval_s
    between_s = airtime_s + scenario.copy_gap_s
    stream = Stream(own)
    u, gap_s = unit(stream.bits()), mean_s * exponential(stream.bits())
    ready_s = from_s + first_wait_s(scenario, airtime_s, least_s, u, gap_s)
    frames: list[Frame] = []
    message = 0
    while True:
        message_counted = False
        for copy in range(scenario.copies):
            start_s = slot_after(scenario, ready_s, airtime_s)
            if start_s >= until_s:
                return frames
            counted = 0.0 <= start_s < scenario.duration_s
            message_counted = counted if copy == 0 else message_counted
            subchannel = int(pool[int(unit(stream.bits()) * len(pool))])
            frames.append(
                Frame(device, kind, message, start_s, subchannel, counted=counted, message_counted=message_counted)
            )
            if copy + 1 < scenario.copies:
                ready_s += between_s
        message += 1
        if scenario.traffic == "periodic":
            ready_s += scenario.interval_s - (scenario.copies - 1) * between_s
        else:
            ready_s = start_s + airtime_s + max(mean_s * exponential(stream.bits()), least_s)


def first_wait_s(scenario: Scenario, airtime_s: float, least_s: float, u: float, gap_s: float) -> float:
    """Time until a device is ready first, in the steady state."""
    message_s = scenario.copies * airtime_s + (scenario.copies - 1) * scenario.copy_gap_s
    left_s = u * (message_s + least_s + scenario.interval_s * math.exp(-least_s / scenario.interval_s))
    if scenario.traffic == "periodic":
        return u * scenario.interval_s
    if left_s < message_s:
        return left_s + max(gap_s, least_s)
    if left_s < message_s + least_s:
        return left_s - message_s + max(gap_s - least_s, 0.0)
    return gap_s


def slot_after(scenario: Scenario, time_s: float, airtime_s: float) -> float:
    """The time itself, or the next slot."""
    return math.ceil(time_s / airtime_s - 1e-9) * airtime_s if scenario.access == "slotted" else time_s


def asked_for(scenario: Scenario, run: int, ready: list[Frame]) -> list[Frame]:
    """Frames after the controller's answers: an event queue of attempts, and a list of all that was on the air."""
    stream = Stream(int(root_key(scenario.seed, STREAM_POLICY, run)))
    row = scenario.row
    statuses = devices.statuses(scenario)
    guard = SLOT_GUARD if scenario.access == "slotted" else 0.0
    events: list[tuple[float, int, int, int, Frame, float, int]] = [
        (frame.start_s, 0, frame.device, i, frame, frame.start_s, 0) for i, frame in enumerate(ready)
    ]
    heapq.heapify(events)
    serial = itertools.count(len(ready))
    on_air: list[tuple[float, float, int]] = []  # start, end, subchannel
    sent: list[Frame] = []
    last = -1
    attempts = scenario.attempts if row.senses else 1
    while events:
        time_s, _, _, _, frame, asked_s, behind = heapq.heappop(events)
        airtime_s = scenario.airtimes_s[frame.kind]
        on_air = [entry for entry in on_air if entry[1] > time_s - scenario.status_age_s - 1.0]
        load: dict[Subchannel, int] = {}
        for start_s, end_s, c in on_air:
            if start_s <= time_s < end_s:
                load[statuses[c].subchannel] = load.get(statuses[c].subchannel, 0) + 1
        usable = available(statuses) if row.senses else statuses
        pool = [int(s.center_hz) for s in candidates(ranked(usable, row, load), row.share)]
        pool = sorted(pool) if row.rotates else pool
        while True:
            if row.rotates:
                first = next((i for i, c in enumerate(pool) if c > last), 0)
                c = pool[(first + behind) % len(pool)]
            else:
                c = pool[int(unit(stream.bits()) * len(pool))]
            occupancy = scenario.occupancies[c]
            foreign = occupancy > 0.0 and unit(stream.bits()) < occupancy
            seen_s = time_s - scenario.status_age_s
            met = foreign or any(s <= seen_s < e for s, e, other in on_air if other == c)
            chance = scenario.pm if met else 1.0 - scenario.pf
            idle = unit(stream.bits()) < chance if 0.0 < chance < 1.0 else chance >= 1.0
            behind += 1
            tries = attempts + scenario.fresh
            waits = scenario.attempt_delay_s > 0.0 and behind < attempts
            if idle or not row.senses or behind >= tries or waits:
                break
        if not idle and behind < attempts:
            due_s = slot_after(scenario, time_s + scenario.attempt_delay_s, airtime_s)
            heapq.heappush(events, (due_s, 1, frame.kind, next(serial), frame, asked_s, behind))
            continue
        last = c
        on_air.append((time_s, time_s + airtime_s * (1.0 - guard), c))
        frame.start_s, frame.subchannel, frame.foreign = time_s, c, foreign
        frame.attempts = min(behind, attempts)
        frame.forced = row.senses and (behind > attempts or not idle)
        frame.delay_s = time_s - asked_s
        sent.append(frame)
    return sent
