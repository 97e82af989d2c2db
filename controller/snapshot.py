"""What the allocator knows at a moment: fresh status, the last good one while sensing is silent, or nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Final, Literal

import msgspec

from allocation.attempts import Ranking, rank
from allocation.policies import Load, Policy
from channel_status import records
from channel_status.fusion import channel_statuses
from channel_status.protocol import ChannelStatusDatabase
from spectrum.eu868 import Subchannel
from spectrum.site_file import Site
from spectrum.status import ChannelStatus, Lease

# A snapshot serves all asks of this time: a few sensing intervals.
SNAPSHOT_S: Final = 0.05

Sensing = Literal["fresh", "held", "silent"]


# An explanation keeps this many of the best subchannels; a site may have a thousand.
EXPLAINED: Final = 16


@dataclass(frozen=True, slots=True)
class Ranked:
    """A ranking with its best subchannels and their scores as JSON, written once for all decisions that share it."""

    ranking: Ranking
    best: msgspec.Raw


def explained(ranking: Ranking) -> Ranked:
    """The ranking with its JSON."""
    best = [(records.subchannel_key(subchannel), score) for subchannel, score in ranking.order[:EXPLAINED]]
    return Ranked(ranking, msgspec.Raw(records.encode(best)))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Statuses of a site at `taken_s`.

    sensing: `fresh`; `held` when sensing is silent and the last good status still stands; `silent` when that is too old
    and requests fall back to the standard's random access. pinned: subchannels that operators want used whatever
    sensing says of them.
    """

    taken_s: float
    sensing: Sensing
    by_subchannel: dict[Subchannel, ChannelStatus]
    pinned: tuple[Subchannel, ...] = ()
    _rankings: dict[tuple[object, ...], Ranked] = field(default_factory=dict, compare=False, repr=False)
    _name: list[str] = field(default_factory=list, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Named after its statuses: the same statuses have the same name, wherever they were read."""
        if not self._name:
            said = records.encode(self.pinned_keys()) if self.pinned else b""
            self._name.append(blake2b(records.encode(self.statuses_json()) + said, digest_size=8).hexdigest())
        return self._name[0]

    def statuses_json(self) -> list[ChannelStatus]:
        """The statuses in order of frequency, as they are kept in the event stream."""
        return [status for _, status in sorted(self.by_subchannel.items())]

    def pinned_keys(self) -> list[str]:
        """The pinned subchannels as they are kept in the event stream."""
        return [records.subchannel_key(subchannel) for subchannel in self.pinned]

    def statuses(self, subchannels: Iterable[Subchannel]) -> tuple[ChannelStatus, ...]:
        """Statuses of those subchannels that are sensed; of all of them, as unknown, when none is."""
        wanted = tuple(subchannels)
        known = tuple(self.by_subchannel[s] for s in wanted if s in self.by_subchannel)
        if self.pinned and self.sensing != "silent":
            pinned = tuple(
                _idle(self.by_subchannel.get(s) or _unknown(s, self.taken_s)) for s in wanted if s in self.pinned
            )
            known = (*(status for status in known if status.subchannel not in self.pinned), *pinned)
        return known or tuple(_unknown(subchannel, self.taken_s) for subchannel in wanted)

    def ranking(
        self,
        subchannels: Sequence[Subchannel],
        policy: Policy,
        share: float | None,
        load: Load | None,
        kept_as: tuple[str, ...] = (),
    ) -> Ranked:
        """Lines 2 to 6 of Algorithm 1 over some of the subchannels.

        kept_as: a name for these subchannels, under which the ranking is kept for the next request; not kept when load
        matters or without a name.
        """
        key = (kept_as, policy.name, share)
        found = self._rankings.get(key) if load is None and kept_as else None
        if found is None:
            found = explained(rank(self.statuses(subchannels), policy, load=load, share=share))
            if load is None and kept_as:
                self._rankings[key] = found
        return found


def _idle(status: ChannelStatus) -> ChannelStatus:
    """The same, declared idle; what else is known of it still orders it among the others."""
    return replace(status, threshold_dbfs=math.inf)


def _unknown(subchannel: Subchannel, now_s: float) -> ChannelStatus:
    """Nothing is known: as likely busy as not, and every detection is missed."""
    return ChannelStatus(subchannel, now_s, -200.0, -200.0, 0.0, 0.0, 1.0, 0.5)


class SnapshotKeeper:
    """Reads the database at most every SNAPSHOT_S, remembers the last good statuses, and tells when sensing changes."""

    def __init__(self, site: Site, database: ChannelStatusDatabase, subchannels: Sequence[Subchannel]) -> None:
        self._site = site
        self._database = database
        self._subchannels = subchannels
        self._latest: Snapshot | None = None
        self._good: Snapshot | None = None
        self._told: Sensing = "fresh"
        self._pinned: tuple[Subchannel, ...] = ()

    def pin(self, subchannels: Iterable[Subchannel]) -> None:
        """From the next snapshot on, these may be given whatever sensing says."""
        self._pinned = tuple(sorted(subchannels))
        self._latest = None

    def at(self, now_s: float) -> Snapshot:
        """The snapshot for `now_s`; raises DatabaseAway."""
        if self._latest is not None and 0.0 <= now_s - self._latest.taken_s < SNAPSHOT_S:
            return self._latest
        self._latest = self._read(now_s)
        if self._latest.sensing == "fresh":
            self._good = self._latest
        if self._latest.sensing != self._told:
            self._told = self._latest.sensing
            self._database.append(self._site.name, "events", [self._sensing_event(now_s)])
        return self._latest

    def _read(self, now_s: float) -> Snapshot:
        table = self._site.controller
        reports = self._database.reports(self._site.name)
        statuses = channel_statuses(reports, self._subchannels, now_s, table.status_max_age_s)
        if statuses:
            return Snapshot(now_s, "fresh", {status.subchannel: status for status in statuses}, self._pinned)
        if self._good is not None and now_s - self._good.taken_s <= table.hold_s:
            return Snapshot(now_s, "held", self._good.by_subchannel, self._pinned)
        return Snapshot(now_s, "silent", {}, self._pinned)

    def _sensing_event(self, now_s: float) -> bytes:
        table = self._site.controller
        reason = {
            "fresh": "sensors report again",
            "held": f"no report is younger than {table.status_max_age_s:g} s: the last good status is held",
            "silent": f"no report for {table.hold_s:g} s: requests fall back to random access",
        }[self._told]
        event = {"event": "sensing", "at_us": str(records.microseconds(now_s)), "state": self._told, "reason": reason}
        return records.encode(event)


class LeaseLoad:
    """Leases given by this controller that have not ended: how many compete, and where."""

    def __init__(self) -> None:
        self._ends: list[tuple[float, Subchannel]] = []
        self._count: Counter[Subchannel] = Counter()

    def add(self, lease: Lease) -> None:
        """Count a lease until it ends."""
        heappush(self._ends, (lease.end_s, lease.subchannel))
        self._count[lease.subchannel] += 1

    def by_subchannel(self, now_s: float) -> Counter[Subchannel]:
        """Leases that have not ended, by subchannel."""
        while self._ends and self._ends[0][0] <= now_s:
            self._count[heappop(self._ends)[1]] -= 1
        return self._count

    def total(self, now_s: float) -> int:
        """How many leases compete."""
        self.by_subchannel(now_s)
        return len(self._ends)
