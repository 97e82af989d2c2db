"""The slow truth of reception: every pair of frames compared, every sum taken over all frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from planning.simulate import radio
from planning.simulate.places import received_mw
from planning.simulate.plain_streams import GAMMA, MASK, Stream, exponential, mix
from planning.simulate.scenario import SLOT_GUARD, Scenario
from planning.simulate.streams import root_key
from planning.simulate.tallies import STREAM_FADING
from spectrum.units import linear_from_db

# A window counts starts in units of airtime / 2^32.
OFFSETS: Final = 2**32


@dataclass(slots=True)
class Frame:
    """One frame on the air, and what it took to get there."""

    device: int
    kind: int
    message: int  # number of the message: of the run in a window, of the device on a time line
    start_s: float
    subchannel: int = -1
    foreign: bool = False
    attempts: int = 1
    forced: bool = False
    delay_s: float = 0.0
    counted: bool = True
    message_counted: bool = True
    units: int = 0  # start in units of T / 2^32 (window)
    delivered: bool = False


def receive_by_overlap(scenario: Scenario, frames: list[Frame]) -> None:
    """A frame gets through when no other of its class and subchannel shares the air with it."""
    groups: dict[tuple[int, int], list[Frame]] = {}
    for frame in frames:
        frame.delivered = not frame.foreign
        groups.setdefault((frame.subchannel, frame.kind), []).append(frame)
    guard = SLOT_GUARD if scenario.access == "slotted" else 0.0
    for (_, kind), group in groups.items():
        reach_s = scenario.airtimes_s[kind] * (1.0 - guard)
        for i, one in enumerate(group):
            for other in group[:i]:
                if scenario.traffic == "window":
                    meets = abs(one.units - other.units) < OFFSETS
                else:
                    early_s, late_s = sorted((one.start_s, other.start_s))
                    meets = late_s < early_s + reach_s
                if meets:
                    one.delivered = other.delivered = False


def receive_by_radio(scenario: Scenario, run: int, frames: list[Frame]) -> None:
    """The radio model of `radio`, gateway by gateway, with sums over all frames instead of running ones."""
    limits = radio.thresholds(scenario)
    noise = radio.noise_mw(scenario)
    mean_mw = received_mw(scenario, run)
    fading_key = int(root_key(scenario.seed, STREAM_FADING, run))
    frames.sort(key=lambda frame: frame.start_s)
    power = [powers_mw(scenario, fading_key, mean_mw, frame) for frame in frames]
    for g in range(scenario.gateways):
        ends_s: list[float] = []
        for i, frame in enumerate(frames):
            if power[i][g] < limits.snr[frame.kind] * noise:
                continue
            ends_s = [end_s for end_s in ends_s if end_s > frame.start_s]
            if scenario.demodulators and len(ends_s) == scenario.demodulators:
                continue
            ends_s.append(frame.start_s + float(limits.airtime_s[frame.kind]))
            if not frame.foreign and survives(scenario, frames, power, i, g, limits, noise):
                frame.delivered = True


def powers_mw(scenario: Scenario, fading_key: int, mean_mw: Any, frame: Frame) -> list[float]:
    """Power of a frame at every gateway."""
    # In a window the receiver books, and fades, by message.
    number = frame.message if scenario.traffic == "window" else frame.device
    state = mix(fading_key + number * GAMMA & MASK) + int(frame.start_s * 1048576.0) * GAMMA & MASK
    stream = Stream(state)
    means = [float(np.float64(value)) for value in mean_mw[frame.device]]
    return [mean * exponential(stream.bits()) if scenario.fading == "rayleigh" else mean for mean in means]


def survives(
    scenario: Scenario, frames: list[Frame], power: list[list[float]], i: int, g: int, limits: Any, noise: float
) -> bool:
    """Whether frame i, heard and demodulated at gateway g, is stronger than what disturbs it there by enough."""
    own = frames[i]
    same, across, heard, others = 0.0, 0.0, 0, 0
    for k, other in enumerate(frames):
        ends_s = other.start_s + limits.reach_s[other.kind]
        if k == i or other.subchannel != own.subchannel or ends_s <= own.start_s + limits.critical_s[own.kind]:
            continue
        if other.start_s >= own.start_s + limits.reach_s[own.kind]:
            continue
        if other.kind == own.kind:
            is_heard = power[k][g] >= limits.snr[other.kind] * noise
            heard += is_heard
            same += power[k][g] if is_heard or scenario.capture_rule == "sinr" else 0.0
        elif scenario.inter_sf:
            across += power[k][g]
            others += 1
    if others and power[i][g] < limits.sir[own.kind] * (across + noise):
        return False
    if not scenario.capture:
        return heard == 0
    if scenario.capture_rule == "sinr" and same > 0.0:
        same += across + noise
    return power[i][g] >= linear_from_db(radio.CAPTURE_DB) * same
