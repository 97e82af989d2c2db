"""Transmissions on their way from the site to the processes of its sensors' ears: lines of JSON through a pipe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from testbed.twin.air import Air, Transmission
from testbed.twin.scene import Scene

# An ear hears the air this long after it was: by then the site has told it of everything.
HEARD_BEHIND_S: Final = 0.25

# JSON knows no infinity; an interferer without an end lasts this long.
ENDLESS_S: Final = 1e9

# What ended so long ago is let go of.
FORGET_AFTER_S: Final = 5.0


def scene_line(scene: Scene) -> str:
    """A scene on one line."""
    return msgspec.json.encode(scene).decode()


def read_scene_line(line: str) -> Scene:
    """The scene of `scene_line`."""
    return msgspec.json.decode(line, type=Scene)


def transmission_line(one: Transmission, epoch_s: float) -> str:
    """A transmission on one line, its start in seconds since the epoch."""
    moved = msgspec.structs.replace(one, start_s=one.start_s + epoch_s, airtime_s=min(one.airtime_s, ENDLESS_S))
    return msgspec.json.encode(moved).decode()


class EarFeed:
    """Tells ears of what is put on the air of a site, from the moment that its zero is known. say: writes a line."""

    def __init__(self, air: Air, say: Callable[[str], None]) -> None:
        self._say = say
        self._epoch_s: float | None = None
        self._waiting: list[Transmission] = air.transmissions_between(float("-inf"), float("inf"))
        self._lock = threading.Lock()
        air.watch(self._hear)

    def begin(self, epoch_s: float) -> None:
        """The scene began at `epoch_s`: what waited is told, and all that comes at once."""
        with self._lock:
            self._epoch_s = epoch_s
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                self._say(transmission_line(one, epoch_s))

    def _hear(self, one: Transmission) -> None:
        with self._lock:
            if self._epoch_s is None:
                self._waiting.append(one)
            else:
                self._say(transmission_line(one, self._epoch_s))


class FedAir:
    """The air as an ear's process knows it; times in seconds since `began_s`, itself in seconds since the epoch."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._air = Air()
        self.transmissions_between = self._air.transmissions_between

    def follow(self, lines: Iterable[str], stop: threading.Event) -> None:
        """Take transmissions until the lines end, then set `stop`: the site has gone."""
        decoder = msgspec.json.Decoder(Transmission)
        for line in lines:
            one = decoder.decode(line)
            here = msgspec.structs.replace(one, start_s=one.start_s - self._began_s)
            self._air.put(here)
            self._air.forget_before(here.start_s - FORGET_AFTER_S)
        stop.set()
