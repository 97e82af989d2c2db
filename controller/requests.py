"""What the controller is asked, and what it answers, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from spectrum.status import Lease

Technology = Literal["lora", "sigfox"]
RefusalReason = Literal["invalid", "duty_cycle", "overloaded", "database_away"]


class Ask(msgspec.Struct, frozen=True):
    """A device wants to send one packet.

    request_id: unique; asked again it gets the same leases. airtime_s: of one transmission. copies: transmissions of
    the packet, each on a subchannel of its own (SigFox: 3). keeps_time: the device can start at a given time; else its
    lease starts at once. delay_s: what the application allows, None for the site's horizon.
    """

    request_id: str
    device: str
    gateway: str
    technology: Technology
    airtime_s: float
    copies: int = 1
    keeps_time: bool = False
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no lease. retry_at_s: when asking again can succeed, None when it never will."""

    reason: RefusalReason
    message: str
    retry_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One lease for each copy, or a refusal."""

    request_id: str
    leases: tuple[Lease, ...] = ()
    refusal: Refusal | None = None
