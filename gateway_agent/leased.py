"""The leases behind one device's plan, and what becomes of them in the middle of their time. Pure.

A subchannel that turns bad, or whose lease was lost (its renewal was refused, an operator ended it), leaves the plan at
once if another one is left: the device is steered to what remains while a new lease is asked for in its place. With
nothing left the plan holds until there is an answer. All this happens a bounded number of times in a lease's time: a
site that has nothing better to give degrades, it does not flap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# So many subchannels of one device are replaced within the time of its leases; then it keeps what it has.
MOST_REPLACED: Final = 8

# A plan is judged by this many frames of its device, heard or missing by the counter, since it was obeyed.
JUDGED_FRAMES: Final = 10


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A subchannel that left the plan. lost: its lease is gone already and need not be given back."""

    lease_id: str
    center_hz: int
    reason: str
    lost: bool


@dataclass(slots=True)
class Leased:
    """Leases of one device: subchannels by lease, until when they are held.

    confirmed: the device has obeyed. tries: plans before this one that it refused whole. unfit: leases to be given up,
    each with its reason and whether it is lost. wanting: subchannels to be asked for in place of those given up.
    avoid: bad ones that are not taken back. replaced: how many were given up so far. in_peace: the device refuses
    whatever it is given, and nothing more is asked for until the time is over. missing: of the last JUDGED_FRAMES
    frames since it has obeyed, which are missing.
    """

    subchannels_hz: dict[str, int]
    ends_s: float
    tries: int = 0
    confirmed: bool = False
    unfit: dict[str, tuple[str, bool]] = field(default_factory=dict)
    wanting: int = 0
    avoid: set[int] = field(default_factory=set)
    replaced: int = 0
    in_peace: bool = False
    missing: deque[bool] = field(default_factory=lambda: deque(maxlen=JUDGED_FRAMES))

    def count(self, missed: int) -> None:
        """A frame was heard, and `missed` before it were not."""
        self.missing.extend([True] * min(missed, JUDGED_FRAMES))
        self.missing.append(False)

    def mark(self, lease_id: str, reason: str, *, lost: bool) -> bool:
        """Note that a lease is to be given up; whether that was news."""
        if lease_id not in self.subchannels_hz or lease_id in self.unfit:
            return False
        if not lost and self.replaced + len(self.unfit) >= MOST_REPLACED:
            return False
        self.unfit[lease_id] = (reason, lost)
        return True

    def give_up(self) -> tuple[GivenUp, ...]:
        """Take what is unfit out of the leases, to be replaced while the bound allows it."""
        given_up = []
        for lease_id, (reason, lost) in self.unfit.items():
            center_hz = self.subchannels_hz.pop(lease_id)
            given_up.append(GivenUp(lease_id, center_hz, reason, lost))
            if not lost:
                self.avoid.add(center_hz)
            self.wanting += self.replaced < MOST_REPLACED
            self.replaced += 1
        self.unfit.clear()
        return tuple(given_up)

    def asks_for(self, channels: int, now_s: float) -> int:
        """How many subchannels are to be asked for now; channels: of a whole plan."""
        if self.subchannels_hz:
            return self.wanting
        settled = self.in_peace or self.replaced > MOST_REPLACED
        return 0 if settled and self.ends_s > now_s else channels

    def merged(self, fresh: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
        """What new leases make of the old ones: (leases to hold, new ones that are of no use).

        Of no use: a subchannel the device has, and a bad one while a good one is left.
        """
        held, useless = dict(self.subchannels_hz), {}
        for lease_id, center_hz in fresh.items():
            if center_hz in held.values() or center_hz in self.avoid:
                useless[lease_id] = center_hz
            else:
                held[lease_id] = center_hz
        return (held, useless) if held else (dict(fresh), {})
