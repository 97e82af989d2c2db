"""From any thread to the backhaul's app: what happened on gRPC goes in, a pipe wakes whoever waits.

A pipe, because the one who waits may be a greenlet, which no lock of a real thread can wake.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Registered:
    """An agent has registered from an address."""

    gateway: str
    ip: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream of an agent has ended."""

    gateway: str


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing more comes."""


Item = Registered | Ended | Closed


class Post:
    """The pipe, and what the rest of the controller may know of the backhaul.

    hang_up: ends the streams of a gateway, set by the gRPC door. names: gateways by number, kept by the app.
    """

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        self.hang_up: Callable[[str], object] = lambda gateway: None
        self.names: Mapping[int, str] = {}

    def put(self, item: Item) -> None:
        """Hand over; from any thread."""
        self._items.append(item)
        with suppress(BlockingIOError):  # the pipe is full of wake-ups already
            os.write(self._write_fd, b".")

    def take(self) -> list[Item]:
        """Everything that came; for the one who saw `fd` readable, or looked by the clock."""
        with suppress(BlockingIOError):
            while len(os.read(self.fd, 4096)) == 4096:
                pass
        items = []
        while self._items:
            items.append(self._items.popleft())
        return items


def ip_of(peer: str) -> str:
    """The IPv4 address in gRPC's name of a peer, `ipv4:10.0.0.2:4711`; empty for anything else."""
    kind, _, rest = peer.partition(":")
    return rest.rpartition(":")[0] if kind == "ipv4" else ""
