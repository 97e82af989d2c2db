"""A virtual SigFox endpoint that runs the test agent: it asks before each message and obeys, or sends at random."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from spectrum.eu868 import SIGFOX_UPLINK
from spectrum.sigfox import COPIES, MICRO_CHANNEL_HZ


@dataclass(frozen=True, slots=True)
class Copy:
    """One of the three transmissions of a message. obeyed: in the group and at the time it was given."""

    number: int
    copy: int
    center_hz: int
    start_us: int | None
    obeyed: bool


class SigfoxEndpoint:
    """One endpoint on a connected socket; `pump` lets the other side work while it waits for a line."""

    def __init__(self, peer: socket.socket, device: str, rng: Random, pump: Callable[[], None]) -> None:
        self._peer = peer
        self._rng = rng
        self._pump = pump
        self._buffer = b""
        self._number = 0
        peer.setblocking(False)
        self.say(f"HELLO 1 {device}")

    def say(self, line: str) -> None:
        """Write one line."""
        self._peer.sendall(line.encode() + b"\n")

    def line(self, most_turns: int = 2000) -> str:
        """The next line from the agent; TimeoutError when none comes in so many turns of the pump."""
        for _ in range(most_turns):
            if b"\n" in self._buffer:
                line, self._buffer = self._buffer.split(b"\n", 1)
                return line.decode()
            try:
                self._buffer += self._peer.recv(4096)
            except BlockingIOError:
                self._pump()
        raise TimeoutError("the agent said nothing")

    def message(self, payload_bytes: int) -> list[Copy]:
        """Send one message in three copies; none when the duty cycle forbids it."""
        self._number += 1
        self.say(f"REQUEST {self._number} {payload_bytes}")
        first = self.line().split()
        if first[0] == "REFUSED":
            return [] if first[2] == "duty-cycle" else [self._anywhere(copy) for copy in range(COPIES)]
        permissions = [first, *(self.line().split() for _ in range(COPIES - 1))]
        return [self._obey(words) for words in permissions]

    def _obey(self, words: list[str]) -> Copy:
        _, number, copy, low_hz, high_hz, start_us = words
        steps = (int(high_hz) - int(low_hz)) // round(MICRO_CHANNEL_HZ)
        center_hz = int(low_hz) + round(MICRO_CHANNEL_HZ) * self._rng.randint(0, steps)
        self.say(f"SENT {number} {copy} {center_hz}")
        return Copy(int(number), int(copy), center_hz, int(start_us), True)

    def _anywhere(self, copy: int) -> Copy:
        center_hz = round(self._rng.uniform(SIGFOX_UPLINK.low_hz + 50, SIGFOX_UPLINK.high_hz - 50))
        self.say(f"SENT {self._number} {copy} {center_hz}")
        return Copy(self._number, copy, center_hz, None, False)
