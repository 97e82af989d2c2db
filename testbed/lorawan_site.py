"""Class A devices behind one virtual packet forwarder, with an interferer: what arrives, and where they send.

Uplinks and downlinks travel over real UDP; only the air is virtual. Time on it runs ahead of the clock on the wall:
after each round of uplinks the site's clock jumps on, so that a receive window does not have to be waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from testbed.lorawan_device import LorawanDevice, Sent
from testbed.packet_forwarder import VirtualForwarder

# Uplinks of one round start this far apart, so that their receive windows do not meet.
SPACING_S: Final = 0.5


@dataclass(slots=True)
class SiteClock:
    """Seconds since the epoch on the site's air."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        """Now."""
        return time.time() + self.ahead_s


@dataclass(frozen=True, slots=True)
class Interferer:
    """Something that fills a subchannel: a frame there is lost with probability `share`."""

    center_hz: int
    share: float

    def destroys(self, center_hz: int, rng: Random) -> bool:
        """Whether a frame is lost; draws for every frame, so that two runs see the same air."""
        return rng.random() < self.share and center_hz == self.center_hz


@dataclass(slots=True)
class Round:
    """What became of the uplinks of some rounds."""

    sent: int = 0
    delivered: int = 0
    centers_hz: set[int] = field(default_factory=set)

    @property
    def delivery_ratio(self) -> float:
        """Delivered of sent."""
        return self.delivered / self.sent if self.sent else 0.0


@dataclass(slots=True)
class LorawanSite:
    """`serve` lets the agent work while we wait; it is called with the seconds to spend."""

    devices: Sequence[LorawanDevice]
    forwarder: VirtualForwarder
    clock: SiteClock
    interferer: Interferer
    rng: Random
    serve: Callable[[float], None]

    def join_all(self, rounds: int = 12) -> bool:
        """Let every device join; whether all have. A join that is lost is tried again with a new nonce."""
        for _ in range(rounds):
            waiting = [device for device in self.devices if not device.joined]
            if not waiting:
                return True
            self._round([(device, device.join()) for device in waiting], Round(), window_s=8.0)
        return all(device.joined for device in self.devices)

    def run(self, rounds: int) -> Round:
        """Every device sends once a round."""
        found = Round()
        for _ in range(rounds):
            self._round([(device, device.send(b"reading")) for device in self.devices], found, window_s=4.0)
        return found

    def _round(self, uplinks: Sequence[tuple[LorawanDevice, Sent]], found: Round, window_s: float) -> None:
        self.forwarder.pull()
        for _, sent in uplinks:
            found.sent += 1
            found.centers_hz.add(sent.center_hz)
            self.clock.ahead_s += SPACING_S
            if not self.interferer.destroys(sent.center_hz, self.rng):
                found.delivered += 1
                self.forwarder.push(sent.frame, sent.center_hz, sent.datr)
            self._exchange(0.06)
        self._exchange(0.1)
        self.clock.ahead_s += window_s

    def _exchange(self, seconds: float) -> None:
        """Let agent and gateway talk for a moment, then hand the downlinks to whom they concern."""
        self.serve(seconds)
        for transmit in self.forwarder.poll(0.0):
            for device in self.devices:
                if device.hear(transmit.frame):
                    break
