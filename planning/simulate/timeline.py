"""Renewal and periodic traffic on a time line: slices of time go through the compiled stages one after another."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planning.simulate import allocation, devices, overlap, traffic, window
from planning.simulate.scenario import SLOT_GUARD, Scenario
from planning.simulate.streams import root_key
from planning.simulate.tallies import STREAM_POLICY, STREAM_TRAFFIC, Tallies

# Frames in a slice: enough that looking at every device is cheap beside them, few enough that sorting them stays near
# the second-level cache (measured: flat between 60 000 and 250 000).
FRAMES_PER_SLICE: Final = 131_072

Advance = Callable[[float], object]


def run_timeline(scenario: Scenario, run: int, advance: Advance = lambda seconds: None) -> Tallies:
    """One run; `advance` is told the simulated seconds that are done, `span_s` in all."""
    began_s = time.perf_counter()
    key = root_key(scenario.seed, STREAM_TRAFFIC, run)
    sources = sources_of(scenario)
    state = new_devices(scenario)
    from_s, until_s = measured_span(scenario)
    for source in sources:
        traffic.begin(key, source, from_s, state.ready_s, state.stream)
    counts = np.zeros((1, len(sources), window.N_TALLIES))
    apart = not asks(scenario) and not scenario.radio
    groups = [[source] for source in sources] if apart else [sources]
    for group in groups:
        chain = Chain(scenario, run, group, state, counts[0])
        for begin_s, end_s in slices(scenario, group, from_s, until_s):
            chain.pass_slice(begin_s, end_s)
            advance((end_s - begin_s) / len(groups) * scenario.span_s / (until_s - from_s))
        chain.finish()
    book(scenario, state, counts[0])
    return Tallies(counts, time.perf_counter() - began_s, state.sent, state.delivered)


def asks(scenario: Scenario) -> bool:
    """Whether frames pass the controller's desk (or strangers): else the subchannel is drawn with the frame."""
    return scenario.row.senses or scenario.row.rotates or any(p > 0.0 for p in scenario.occupancies)


def sources_of(scenario: Scenario) -> list[traffic.Source]:
    """One source per class."""
    bounds = devices.class_bounds(scenario)
    return [
        traffic.Source(
            kind,
            int(bounds[kind]),
            int(bounds[kind + 1]),
            airtime_s,
            scenario.interval_s,
            gap_s,
            scenario.traffic == "periodic",
            scenario.access == "slotted",
            scenario.copies,
            scenario.copy_gap_s,
        )
        for kind, (airtime_s, gap_s) in enumerate(zip(scenario.airtimes_s, scenario.least_gaps_s, strict=True))
    ]


def new_devices(scenario: Scenario) -> traffic.Devices:
    """State of all devices; what only copies need is left out without them."""
    count = scenario.devices
    extra = count if scenario.copies > 1 else 0
    words = [np.zeros(size, np.uint32) for size in (extra, count, count, extra, extra, extra)]
    return traffic.Devices(np.zeros(count), np.zeros(count, np.uint64), *words)


def message_s(scenario: Scenario) -> float:
    """Longest time from the start of a message to the end of its last copy."""
    return scenario.copies * max(scenario.airtimes_s) + (scenario.copies - 1) * scenario.copy_gap_s


def measured_span(scenario: Scenario) -> tuple[float, float]:
    """(begin, end) of what is simulated: frames of [0, duration) count, the rest is there to meet them."""
    guard_s = message_s(scenario) + max(scenario.airtimes_s)
    held_s = (scenario.attempts - 1) * (scenario.attempt_delay_s + max(scenario.airtimes_s))
    return -guard_s, scenario.duration_s + guard_s + (held_s if scenario.row.senses else 0.0)


def slices(
    scenario: Scenario, group: list[traffic.Source], from_s: float, until_s: float
) -> Iterator[tuple[float, float]]:
    """(begin, end) of the slices of time that the devices of a group are simulated in."""
    frames_per_s = sum(scenario.copies * (source.last - source.first) / cycle_s(scenario, source) for source in group)
    slice_s = FRAMES_PER_SLICE / frames_per_s
    if scenario.copies > 1:
        # The tally tells messages of a device apart by five bits. So many fit in a slice either never, or, at a tenth
        # of the mean time between messages, with a chance below 1e-12.
        shortest_s = min(scenario.copies * source.airtime_s + source.least_gap_s for source in group)
        mean_s = min(cycle_s(scenario, source) for source in group)
        slice_s = min(slice_s, max(traffic.MESSAGES_APART / 2 * shortest_s, 0.1 * mean_s))
    count = max(1, math.ceil((until_s - from_s) / slice_s))
    edges = np.linspace(from_s, until_s, count + 1)
    return zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)


def cycle_s(scenario: Scenario, source: traffic.Source) -> float:
    """Mean time from one message of a device to the next."""
    if source.periodic:
        return source.interval_s
    gap_s = source.least_gap_s + source.interval_s * math.exp(-source.least_gap_s / source.interval_s)
    return source.copies * source.airtime_s + (source.copies - 1) * source.copy_gap_s + gap_s


class Chain:
    """The stages one group of classes goes through: traffic, order, the controller's desk, reception."""

    def __init__(
        self,
        scenario: Scenario,
        run: int,
        group: list[traffic.Source],
        state: traffic.Devices,
        counts: NDArray[np.float64],
    ) -> None:
        self.scenario, self.group, self.state, self.counts = scenario, group, state, counts
        self.pool = devices.pool(scenario)
        self.airtimes_s = np.array(scenario.airtimes_s)
        guard = SLOT_GUARD if scenario.access == "slotted" else 0.0
        self.reach_s = self.airtimes_s * (1.0 - guard)
        self.starts, self.words = new_frames(2 * FRAMES_PER_SLICE)
        self.sorted_starts, self.sorted_words = new_frames(2 * FRAMES_PER_SLICE)
        self.heads = np.zeros(FRAMES_PER_SLICE, np.int32)
        self.asks = asks(scenario)
        if self.asks:
            self.rules = window.rules_of(scenario)
            self.desk = allocation.new_desk(root_key(scenario.seed, STREAM_POLICY, run), scenario)
            self.waiting = allocation.new_queue(len(self.airtimes_s))
            self.on_air = allocation.new_queue(len(self.airtimes_s))
            self.occupancies = np.array(scenario.occupancies)
            self.asked = np.zeros((len(self.airtimes_s), allocation.N_ASKED))
        self.receiver: Any = new_receiver(scenario, run, self.reach_s, state)

    def pass_slice(self, begin_s: float, end_s: float) -> None:
        """All frames ready in [begin_s, end_s)."""
        count = self._generate(end_s)
        self._make_room(count)
        traffic.sort_by_start(
            self.starts, self.words, count, begin_s, end_s, self.heads, self.sorted_starts, self.sorted_words
        )
        self._hand_on(count, end_s)

    def finish(self) -> None:
        """Send what still waits, settle what is still open, book what the desk has counted."""
        self._hand_on(0, math.inf)
        self.receiver.finish(self.counts)
        if self.asks:
            self.counts[:, window.FORCED] += self.asked[:, allocation.FORCED]
            self.counts[:, window.ATTEMPTS] += self.asked[:, allocation.ATTEMPTS]
            self.counts[:, window.DELAY] += self.asked[:, allocation.DELAY]

    def _generate(self, end_s: float) -> int:
        count = 0
        for source in self.group:
            device = source.first
            while True:
                count, device = traffic.generate(
                    source, self.state, device, end_s, 0.0, self.scenario.duration_s, self.pool,
                    self.starts, self.words, count,
                )  # fmt: skip
                if device >= source.last:
                    break
                self.starts = np.concatenate([self.starts, np.empty_like(self.starts)])
                self.words = np.concatenate([self.words, np.empty_like(self.words)])
        return count

    def _make_room(self, count: int) -> None:
        if self.sorted_starts.size < count:
            self.sorted_starts, self.sorted_words = new_frames(self.starts.size)

    def _hand_on(self, count: int, until_s: float) -> None:
        if not self.asks:
            self.receiver.take(self.sorted_starts, self.sorted_words, count, until_s)
            return
        waiting = int((self.waiting.tail - self.waiting.head).sum())
        starts, words = new_frames(count + waiting)
        out, self.waiting, self.on_air = allocation.allocate(
            self.sorted_starts, self.sorted_words, count, until_s, self.waiting, self.on_air, self.desk, self.reach_s,
            self.airtimes_s, self.scenario.attempt_delay_s, self.scenario.status_age_s, self.pool, self.occupancies,
            self.rules, self.asked, starts, words,
        )  # fmt: skip
        self.receiver.take(starts, words, out, until_s)


def new_frames(size: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Room for the starts and words of frames."""
    return np.empty(size), np.empty(size, np.int64)


class OverlapReceiver:
    """One gateway that hears everything; whatever overlaps is lost."""

    def __init__(self, scenario: Scenario, reach_s: NDArray[np.float64], booked: tuple[Any, Any, Any]) -> None:
        self.reach_s, self.booked = reach_s, booked
        self.latest = overlap.new_latest(scenario.subchannels, len(scenario.classes))

    def take(self, starts: NDArray[np.float64], words: NDArray[np.int64], count: int, until_s: float) -> None:
        """Frames in order of start, all that start before until_s."""
        overlap.receive(starts, words, count, self.reach_s, self.latest, *self.booked)
        overlap.settle(until_s, self.reach_s, self.latest, *self.booked)

    def finish(self, counts: NDArray[np.float64]) -> None:
        """Nothing comes any more."""
        counts[:, window.CLUSTERS] += self.latest.clusters


def new_receiver(scenario: Scenario, run: int, reach_s: NDArray[np.float64], state: traffic.Devices) -> Any:
    """The reception that the scenario asks for."""
    booked = (state.delivered, state.messages_delivered, state.arrived)
    if not scenario.radio:
        return OverlapReceiver(scenario, reach_s, booked)
    from planning.simulate.places import received_mw
    from planning.simulate.radio import RadioReceiver

    return RadioReceiver(scenario, run, received_mw(scenario, run), booked)


def book(scenario: Scenario, state: traffic.Devices, counts: NDArray[np.float64]) -> None:
    """Sum what the devices have counted into the tally of each class."""
    begins = devices.class_bounds(scenario)[:-1]

    def per_class(values: NDArray[np.uint32]) -> NDArray[np.int64]:
        return np.add.reduceat(values, begins, dtype=np.int64)

    sent, delivered = per_class(state.sent), per_class(state.delivered)
    counts[:, window.SENT] += sent
    counts[:, window.LOST] += sent - delivered
    if not asks(scenario):
        counts[:, window.ATTEMPTS] += sent
    counts[:, window.MESSAGES] += per_class(state.messages_sent) if scenario.copies > 1 else sent
    counts[:, window.MESSAGES_OK] += per_class(state.messages_delivered) if scenario.copies > 1 else delivered
