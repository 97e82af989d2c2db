"""What the backhaul is made of, as frozen values: places, registrations, flows and meters.

A cookie is 64 bits: the site (a hash of its name) in the upper 32, the kind of flow in the next 8, and in the lower 24
the number of the gateway, or the port for what belongs to a port. A controller that finds its site in a cookie knows
the flow as its own, and what for: that is how a restart adopts a switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from typing import Final

# Fields of a match in the names of OpenFlow 1.3 (section 7.2.3.7), sorted by name.
Match = tuple[tuple[str, int | str], ...]

TO_CONTROLLER: Final = 0xFFFFFFFD  # OFPP_CONTROLLER
IPV4: Final = 0x0800
ARP: Final = 0x0806
TCP: Final = 6
UDP: Final = 17


class Kind(IntEnum):
    """What a flow is for, as its cookie says."""

    UPLINK = 1
    CONTROL = 2
    USER = 3
    ADDRESS = 4
    GUARD = 5
    DIAL = 6
    UNKNOWN = 7
    DOWN = 8
    STRAY = 9


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a source sends from: switch (datapath id), port, and its addresses."""

    dpid: int
    port: int
    mac: str
    ip: str


@dataclass(frozen=True, slots=True, order=True)
class Registration:
    """A gateway whose agent registered from `place`, or a host that the site file puts there (`fixed`).

    number: names it in cookies and meters. gateway: its name, empty while a restarted controller knows it only from the
    switch. attached: its agent's stream is up (or it is fixed), so nobody else may use its address.
    """

    number: int
    gateway: str
    place: Place
    attached: bool = True
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch as it is now: its port towards the controller, and its other ports that are up."""

    dpid: int
    uplink: int
    access: frozenset[int]


@dataclass(frozen=True, slots=True)
class Policy:
    """What passes: the controller's address and its ports, the rates in kbit/s, and the queues, None for none."""

    site: str
    address: str
    grpc_port: int
    control_tcp: tuple[int, ...]
    control_udp: tuple[int, ...]
    control_kbit_s: int
    user_kbit_s: int
    dial_kbit_s: int
    control_queue: int | None = None
    user_queue: int | None = None

    @property
    def queues(self) -> frozenset[int]:
        """The queues that an uplink should have."""
        return frozenset(queue for queue in (self.control_queue, self.user_queue) if queue is not None)


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow entry. meter: 0 for none. outputs: ports it leaves by; neither outputs nor goto: it is dropped.

    queue: the queue of those ports, None for their default.
    """

    table: int
    priority: int
    match: Match
    cookie: int
    meter: int = 0
    outputs: tuple[int, ...] = ()
    goto: int | None = None
    queue: int | None = None

    @property
    def key(self) -> tuple[int, int, Match]:
        """What a switch tells entries apart by."""
        return self.table, self.priority, self.match


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter that drops what comes faster than its rate; burst_kbit may pass at once."""

    meter_id: int
    kbit_s: int
    burst_kbit: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a switch should hold, or does."""

    flows: frozenset[Flow] = frozenset()
    meters: frozenset[Meter] = frozenset()


def matching(**fields: int | str) -> Match:
    """A match from its fields."""
    return tuple(sorted(fields.items()))


def site_bits(site: str) -> int:
    """The upper half of the site's cookies, in place."""
    return int.from_bytes(blake2b(site.encode(), digest_size=4).digest()) << 32


def cookie(site: str, kind: Kind, number: int = 0) -> int:
    """The cookie of a flow; see the module."""
    return site_bits(site) | kind << 24 | number


def read_cookie(value: int, site: str) -> tuple[Kind, int] | None:
    """Kind and number of a cookie; None when it is not of this site."""
    if value >> 32 != site_bits(site) >> 32:
        return None
    try:
        return Kind(value >> 24 & 0xFF), value & 0xFFFFFF
    except ValueError:
        return None
