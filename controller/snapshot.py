"""What the allocator knows at a moment: fresh status, the last good one while sensing is silent, or nothing."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from channel_status.fusion import channel_statuses
from channel_status.protocol import ChannelStatusDatabase
from spectrum.eu868 import Subchannel
from spectrum.site_file import Site
from spectrum.status import ChannelStatus, Lease

# A snapshot serves all asks of this time: a few sensing intervals.
SNAPSHOT_S: Final = 0.05

Sensing = Literal["fresh", "held", "silent"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Statuses of a site at `taken_s`.

    sensing: `fresh`; `held` when sensing is silent and the last good status still stands; `silent` when that is too old
    and requests fall back to the standard's random access.
    """

    taken_s: float
    sensing: Sensing
    by_subchannel: dict[Subchannel, ChannelStatus]

    def statuses(self, subchannels: Sequence[Subchannel]) -> tuple[ChannelStatus, ...]:
        """Statuses of those subchannels that are sensed; of all of them, as unknown, when none is."""
        known = tuple(self.by_subchannel[s] for s in subchannels if s in self.by_subchannel)
        return known or tuple(_unknown(subchannel, self.taken_s) for subchannel in subchannels)


def _unknown(subchannel: Subchannel, now_s: float) -> ChannelStatus:
    """Nothing is known: as likely busy as not, and every detection is missed."""
    return ChannelStatus(subchannel, now_s, -200.0, -200.0, 0.0, 0.0, 1.0, 0.5)


class SnapshotKeeper:
    """Reads the database at most every SNAPSHOT_S and remembers the last good statuses."""

    def __init__(self, site: Site, database: ChannelStatusDatabase, subchannels: Sequence[Subchannel]) -> None:
        self._site = site
        self._database = database
        self._subchannels = subchannels
        self._latest: Snapshot | None = None
        self._good: Snapshot | None = None

    def at(self, now_s: float) -> Snapshot:
        """The snapshot for `now_s`; raises DatabaseAway."""
        if self._latest is not None and 0.0 <= now_s - self._latest.taken_s < SNAPSHOT_S:
            return self._latest
        table = self._site.controller
        reports = self._database.reports(self._site.name)
        statuses = channel_statuses(reports, self._subchannels, now_s, table.status_max_age_s)
        if statuses:
            self._good = self._latest = Snapshot(now_s, "fresh", {status.subchannel: status for status in statuses})
        elif self._good is not None and now_s - self._good.taken_s <= table.hold_s:
            self._latest = Snapshot(now_s, "held", self._good.by_subchannel)
        else:
            self._latest = Snapshot(now_s, "silent", {})
        return self._latest


class Load:
    """Leases given by this controller that have not ended: how many devices compete, and where."""

    def __init__(self) -> None:
        self._leases: deque[Lease] = deque()
        self._count: Counter[Subchannel] = Counter()

    def add(self, lease: Lease) -> None:
        """Count a lease until it ends."""
        self._leases.append(lease)
        self._count[lease.subchannel] += 1

    def by_subchannel(self, now_s: float) -> Counter[Subchannel]:
        """Leases that have not ended, by subchannel; those that ended behind a longer one count until it goes."""
        while self._leases and self._leases[0].end_s <= now_s:
            self._count[self._leases.popleft().subchannel] -= 1
        return self._count

    def devices(self, now_s: float) -> int:
        """How many leases compete."""
        return self.by_subchannel(now_s).total()
