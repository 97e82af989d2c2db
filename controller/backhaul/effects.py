"""What the backhaul decides to have done, as values; the app does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controller.backhaul.difference import Change

State = Literal[
    "switch connected", "switch lost", "switch returned", "unknown switch",
    "port down", "port up", "queue missing",
    "gateway admitted", "gateway moved", "admission ended",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Send:
    """Bring a switch up to date."""

    dpid: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """An event for the allocator's stream."""

    state: State
    switch: str
    reason: str
    port: int = 0
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """A gateway cannot be reached: its leases are held, and ended when it stays away."""

    gateway: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mended:
    """A gateway whose stream is up can be reached again."""

    gateway: str
    reason: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """A gateway has turned up elsewhere: end its stream, so that it registers from there."""

    gateway: str


Effect = Send | Tell | Cut | Mended | HangUp
