"""Counting collisions: transmissions that share time and spectrum with another one (section 5.2 of the RRM paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from spectrum.eu868 import Subchannel


@dataclass(frozen=True, slots=True)
class OnAir:
    """One transmission: [start_s, end_s) on a subchannel, by a device."""

    device: str
    subchannel: Subchannel
    start_s: float
    end_s: float


def collided(transmissions: Sequence[OnAir]) -> int:
    """How many of the transmissions meet at least one other: all that share a moment and any spectrum count.

    A sweep over starts: only those still on the air are compared, so N transmissions cost N times the number on the
    air at once.
    """
    order = sorted(range(len(transmissions)), key=lambda i: transmissions[i].start_s)
    hit: set[int] = set()
    on_air: list[int] = []
    for i in order:
        one = transmissions[i]
        on_air = [k for k in on_air if transmissions[k].end_s > one.start_s]
        for k in on_air:
            if transmissions[k].subchannel.overlap_hz(one.subchannel) > 0.0:
                hit.update((i, k))
        on_air.append(i)
    return len(hit)


def meeting(transmissions: Sequence[OnAir], occupied: Sequence[Subchannel]) -> int:
    """How many of the transmissions share spectrum with one of the `occupied` subchannels."""
    return sum(any(one.subchannel.overlap_hz(cell) > 0.0 for cell in occupied) for one in transmissions)


def random_access(
    packets: Sequence[Mapping[str, Any]], subchannels: Mapping[str, Sequence[Subchannel]], seed: int
) -> list[OnAir]:
    """The same packets as the standards send them: at once, each copy on a subchannel drawn uniformly.

    packets: `device`, `technology`, `ready_s`, `airtime_s`, `copies`, as the agent prints them.
    """
    rng = Random(seed)
    sent = []
    for packet in packets:
        for copy in range(packet["copies"]):
            start_s = packet["ready_s"] + copy * packet["airtime_s"]
            where = rng.choice(subchannels[packet["technology"]])
            sent.append(OnAir(packet["device"], where, start_s, start_s + packet["airtime_s"]))
    return sent
