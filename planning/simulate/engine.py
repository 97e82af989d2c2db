"""Run a scenario: set up arrays, call the compiled stages, hand back tallies. No statistics here, no files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning.simulate import devices
from planning.simulate.scenario import Scenario
from planning.simulate.tallies import STREAM_WINDOW, Tallies, joined


def run(
    scenario: Scenario,
    runs: range | None = None,
    *,
    by_device: bool = False,
    advance: Callable[[float], object] = lambda runs_done: None,
    warm: bool = True,
) -> Tallies:
    """The runs with these numbers (all by default). `advance` is told how many runs, or parts of one, are done.

    A run's streams depend on the seed and its number alone, so runs can be shared out in any way. warm: compile or load
    the kernels first, so that kernel_s is the simulation's own.
    """
    runs = range(scenario.runs) if runs is None else runs
    if warm:
        run(_tiny(scenario), range(1), warm=False)
    if scenario.traffic != "window":
        from planning.simulate.timeline import run_timeline

        def part(seconds: float) -> None:
            advance(seconds / scenario.duration_s)

        return joined([run_timeline(scenario, number, part) for number in runs])
    if scenario.radio:
        tallies = joined([run_window_radio(scenario, number) for number in runs])
    else:
        tallies = run_window(scenario, runs, by_device=by_device)
    advance(len(runs))
    return tallies


def _tiny(scenario: Scenario) -> Scenario:
    """A scenario of a moment that passes through the same kernels."""
    longest_s = scenario.copies * max(scenario.airtimes_s) + (scenario.copies - 1) * scenario.copy_gap_s
    few = len(scenario.classes)
    return scenario.with_(devices=few, duration_s=longest_s, window_s=max(scenario.airtimes_s) * 4.0)


def window_arguments(scenario: Scenario) -> tuple[Any, ...]:
    """What the window kernels need to know of a scenario, in the order of their arguments from `classes` on."""
    from planning.simulate import window

    return (
        devices.device_classes(scenario),
        scenario.packet_law,
        np.array(scenario.packet_limits, np.int64),
        scenario.copies,
        window.new_air(scenario),
        scenario.window_s,
        devices.pool(scenario),
        np.array(scenario.occupancies),
        window.rules_of(scenario),
    )


def run_window(scenario: Scenario, runs: range, *, by_device: bool = False) -> Tallies:
    """Runs under the window traffic of section 5, where any overlap destroys."""
    from planning.simulate import window
    from planning.simulate.streams import root_key

    keys = np.array([root_key(scenario.seed, STREAM_WINDOW, number) for number in runs], np.uint64)
    counts = np.zeros((len(runs), len(scenario.classes), window.N_TALLIES))
    size = scenario.devices if by_device else 0
    sent, delivered = np.zeros(size, np.uint32), np.zeros(size, np.uint32)
    given = window_arguments(scenario)
    began_s = time.perf_counter()
    compiled: Any = window.window_runs
    compiled(keys, *given, counts, sent, delivered)
    _add_attempt_delay(scenario, counts)
    return Tallies(counts, time.perf_counter() - began_s, sent, delivered)


def _add_attempt_delay(scenario: Scenario, counts: NDArray[np.float64]) -> None:
    """Each attempt after the first costs a round trip, on top of how far it moves the start."""
    from planning.simulate import window

    repeated = counts[:, :, window.ATTEMPTS] - counts[:, :, window.SENT]
    counts[:, :, window.DELAY] += scenario.attempt_delay_s * repeated


def run_window_radio(scenario: Scenario, number: int) -> Tallies:
    """One run under window traffic with the radio model: placed by the same kernel, then received frame by frame.

    The receiver books by message where on a time line it books by device.
    """
    from planning.simulate import traffic, window
    from planning.simulate.places import received_mw
    from planning.simulate.radio import RadioReceiver
    from planning.simulate.streams import root_key

    given = window_arguments(scenario)
    classes = devices.device_classes(scenario)
    counts = np.zeros((1, len(scenario.classes), window.N_TALLIES))
    began_s = time.perf_counter()
    compiled: Any = window.place_one_run
    frames = compiled(root_key(scenario.seed, STREAM_WINDOW, number), *given, counts[0])
    message = frames.message.astype(np.int64)
    kind = classes[frames.device_of_message[message]].astype(np.int64)
    start_s = (frames.cell + frames.offset / window.OFFSETS) * np.array(scenario.airtimes_s)[kind]
    words = message | frames.subchannel.astype(np.int64) << traffic.SUBCHANNEL_SHIFT | kind << traffic.CLASS_SHIFT
    words |= frames.foreign * np.int64(traffic.FOREIGN) | traffic.COUNTED
    order = np.argsort(start_s, kind="stable")
    delivered, none = np.zeros(frames.device_of_message.size, np.uint32), np.zeros(0, np.uint32)
    power_mw = received_mw(scenario, number)[frames.device_of_message]
    receiver = RadioReceiver(scenario, number, power_mw, (delivered, none, none))
    receiver.take(start_s[order], words[order], words.size, math.inf)
    receiver.finish(counts[0])
    own_class = classes[frames.device_of_message]
    size = len(scenario.classes)
    sent = np.bincount(kind, minlength=size)
    counts[0, :, window.SENT] = sent
    counts[0, :, window.LOST] = sent - np.bincount(own_class, weights=delivered, minlength=size)
    counts[0, :, window.MESSAGES_OK] = np.bincount(own_class, weights=delivered > 0, minlength=size)
    _add_attempt_delay(scenario, counts)
    ended_s = time.perf_counter()
    sent_by = np.bincount(frames.device_of_message, minlength=scenario.devices) * scenario.copies
    delivered_by = np.bincount(frames.device_of_message, weights=delivered, minlength=scenario.devices)
    return Tallies(counts, ended_s - began_s, sent_by.astype(np.uint32), delivered_by.astype(np.uint32))
