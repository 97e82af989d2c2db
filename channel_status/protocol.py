"""What the Channel Status Database promises, whichever door it is reached by.

Times are seconds since the epoch and always an argument. Every method that changes something is atomic for its site: it
happens whole or not at all, and two callers never see each other's halves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from allocation.attempts import Try
from spectrum.errors import Failed
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.status import Lease

# How many entries each stream keeps at least; older ones are dropped. Spectrum streams are one for each sensor and
# resolution (`spectrum-1s:roof`): the last minute, quarter of an hour and six hours.
STREAM_LENGTH: Final = {
    "events": 50_000,
    "reports": 600,
    "uplinks": 50_000,
    "audit": 10_000,
    "spectrum-100ms": 600,
    "spectrum-1s": 900,
    "spectrum-10s": 2_160,
}


def stream_length(stream: str) -> int:
    """How many entries a stream keeps; what comes after a colon in its name says whose it is."""
    return STREAM_LENGTH[stream.partition(":")[0]]


class DatabaseAway(Failed):
    """The database cannot be reached or died under the call; nothing is known to have happened."""


@dataclass(frozen=True, slots=True)
class LeaseOrder:
    """One request as the database executes it: the tries in order, the first idle one is taken, else the last forced.

    lease_id: chosen by the caller and unique; the same order again returns the same lease, so that a lost answer may be
    asked for again. neighbours: subchannels that share spectrum with a tried one and must be idle too. blind:
    nothing was declared idle, so the last draw is forced without looking. why: the explanation kept with the decision.
    """

    lease_id: str
    device: str
    gateway: str
    tries: tuple[Try, ...]
    neighbours: Mapping[Subchannel, tuple[Subchannel, ...]] = field(default_factory=dict)
    blind: bool = False
    why: str = "{}"


@dataclass(frozen=True, slots=True)
class Grant:
    """The lease, and for each failed try the lease that stood in its way (empty when forced blindly).

    known: the order had been carried out before; this is the lease it got then.
    """

    lease: Lease
    blocked_by: tuple[str, ...]
    known: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream: its identity (increasing) and its value (JSON)."""

    entry_id: str
    value: bytes


class ChannelStatusDatabase(Protocol):
    """The door. Sites are independent of each other: every key of a site lives on one shard."""

    def publish(self, site: str, reports: Sequence[ChannelReport]) -> None:
        """Keep the newest report per sensor and subchannel, and append all of them to the stream `reports`."""

    def reports(self, site: str) -> tuple[ChannelReport, ...]:
        """The newest report of every sensor for every subchannel."""

    def allocate(self, site: str, orders: Sequence[LeaseOrder], now_s: float) -> tuple[Grant, ...]:
        """Lines 8 to 14 of Algorithm 1, one atomic step for each order, in turn; see LeaseOrder.

        When DatabaseAway is raised, some of the orders may have been carried out: ask again with the same ones.
        """

    def confirm(self, site: str, lease_id: str, now_s: float, *, holder: str = "") -> Lease | None:
        """Mark a lease as confirmed by its device; None when there is no such live lease.

        Here and below, holder: when given, only a lease of that gateway is found.
        """

    def renew(self, site: str, order: LeaseOrder, end_s: float, now_s: float, *, holder: str = "") -> Lease | None:
        """Move the end of lease `order.lease_id`; None when it has gone or the time is another's.

        `order` names the neighbours to respect; its tries are not used. A forced lease is renewed without looking.
        """

    def release(
        self, site: str, lease_id: str, now_s: float, reason: str = "released", *, holder: str = ""
    ) -> Lease | None:
        """End a lease now and return it; None when there is no such lease."""

    def expire(self, site: str, now_s: float) -> tuple[Lease, ...]:
        """Remove and return the leases that have ended by now."""

    def leases(self, site: str, now_s: float) -> tuple[Lease, ...]:
        """Live and coming leases, in order of start."""

    def some_leases(self, site: str, lease_ids: Sequence[str]) -> tuple[Lease, ...]:
        """Those of the named leases that are kept."""

    def lease_count(self, site: str) -> int:
        """How many leases are kept, without reading them."""

    def decision(self, site: str, device: str) -> bytes | None:
        """The last decision about a device, with its reasons, as JSON."""

    def restore(
        self,
        site: str,
        lease: Lease,
        neighbours: Mapping[Subchannel, tuple[Subchannel, ...]],
        now_s: float,
        reason: str,
    ) -> str | None:
        """Let a lease that was ended before its time stand again, if its air (the neighbours' included) is still free.

        None when it stands, else the id of the lease in its way.
        """

    def append(self, site: str, stream: str, values: Sequence[bytes]) -> None:
        """Append to a stream of STREAM_LENGTH."""

    def read(self, site: str, stream: str, after: str = "", count: int = 1000) -> tuple[Entry, ...]:
        """Entries after the one called `after` (all kept ones when empty), oldest first.

        Identities begin with the milliseconds since the epoch at which an entry came in: `entry_id_at` of a time may
        stand here and below.
        """

    def read_many(self, site: str, after: Mapping[str, str], count: int = 1000) -> dict[str, tuple[Entry, ...]]:
        """`read` of several streams at once, each after its own place: one way to the database and back."""

    def read_newest(self, site: str, stream: str, before: str = "", count: int = 1000) -> tuple[Entry, ...]:
        """Entries before the one called `before` (from the end when empty), newest first."""

    def put(self, site: str, kind: str, values: Mapping[str, bytes]) -> None:
        """Keep small records of one kind (sessions, periods, policy) by name."""

    def get(self, site: str, kind: str) -> dict[str, bytes]:
        """All records of one kind."""

    def get_some(self, site: str, kind: str, names: Sequence[str]) -> dict[str, bytes]:
        """Those of the named records that exist."""

    def exchange(
        self,
        site: str,
        kind: str,
        values: Mapping[str, tuple[bytes | None, bytes]],
        tell: Mapping[str, bytes] | None = None,
    ) -> frozenset[str]:
        """Replace each record that still is what the caller has read (None: there was none) by a new one.

        values: (what was read, what is to be kept) by name. Returns the names that somebody else has changed meanwhile;
        those stay as they are. tell: one value for each of some streams, appended when nothing was contested. All of it
        is one atomic step.
        """

    def delete(self, site: str, kind: str, names: Sequence[str]) -> None:
        """Forget records; unknown names are no error."""

    def forget(self, site: str) -> None:
        """Forget everything about a site."""

    def ping(self) -> None:
        """Raise DatabaseAway when the database does not answer."""

    def close(self) -> None:
        """Give back connections; the object is not used afterwards."""
