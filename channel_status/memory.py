"""The in-memory twin of the Redis door: the same promises, in one process, written as plainly as possible."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from allocation.attempts import Try, settle
from channel_status import records
from channel_status.protocol import Entry, Grant, LeaseOrder, stream_length
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.status import Lease


@dataclass(slots=True)
class _Site:
    """All that is kept of one site."""

    reports: dict[str, ChannelReport] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    decisions: dict[str, bytes] = field(default_factory=dict)
    streams: dict[str, deque[Entry]] = field(default_factory=dict)
    kinds: dict[str, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))


class MemoryDatabase:
    """A ChannelStatusDatabase in this process; one lock makes every call atomic. clock: names the streams' entries."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sites: dict[str, _Site] = defaultdict(_Site)
        self._lock = threading.Lock()

    def publish(self, site: str, reports: Sequence[ChannelReport]) -> None:
        """See ChannelStatusDatabase.publish."""
        with self._lock:
            kept = self._sites[site]
            kept.reports.update({records.report_field(report): report for report in reports})
            self._append(kept, "reports", [records.encode(reports)])

    def reports(self, site: str) -> tuple[ChannelReport, ...]:
        """See ChannelStatusDatabase.reports."""
        with self._lock:
            return tuple(self._sites[site].reports.values())

    def allocate(self, site: str, orders: Sequence[LeaseOrder], now_s: float) -> tuple[Grant, ...]:
        """See ChannelStatusDatabase.allocate."""
        with self._lock:
            return tuple(self._execute(self._sites[site], order, now_s) for order in orders)

    def _execute(self, kept: _Site, order: LeaseOrder, now_s: float) -> Grant:
        if order.lease_id in kept.leases:
            return Grant(kept.leases[order.lease_id], (), known=True)
        blocked_by: list[str] = []

        def is_idle(drawn: Try) -> bool:
            blocker = None if order.blind else self._blocker(kept, order, drawn)
            if blocker is not None:
                blocked_by.append(blocker.lease_id)
            return blocker is None and not order.blind

        outcome = settle(order.tries, is_idle)
        taken = outcome.taken
        lease = Lease(
            order.lease_id, order.device, order.gateway,
            taken.subchannel, taken.start_s, taken.end_s, outcome.attempt, outcome.forced,
        )  # fmt: skip
        kept.leases[lease.lease_id] = lease
        decision = _decision(order, lease, blocked_by, now_s)
        kept.decisions[order.device] = decision
        self._append(kept, "events", [decision])
        return Grant(lease, tuple(blocked_by))

    @staticmethod
    def _blocker(kept: _Site, order: LeaseOrder, drawn: Try) -> Lease | None:
        """The lease in the way that the scripts would name: subchannel by subchannel, the latest unforced one first."""
        overlapping = [
            lease
            for lease in kept.leases.values()
            if lease.lease_id != order.lease_id and lease.overlaps(drawn.start_s, drawn.end_s)
        ]
        for watched in (drawn.subchannel, *order.neighbours.get(drawn.subchannel, ())):
            here = [lease for lease in overlapping if lease.subchannel == watched]
            unforced = [lease for lease in here if not lease.forced]
            if unforced:
                return max(unforced, key=lambda lease: lease.start_s)
            if here:
                return min(here, key=lambda lease: (lease.start_s, f"{lease.lease_id}|"))
        return None

    def confirm(self, site: str, lease_id: str, now_s: float, *, holder: str = "") -> Lease | None:
        """See ChannelStatusDatabase.confirm."""
        with self._lock:
            kept = self._sites[site]
            lease = _held(kept, lease_id, holder)
            if lease is None or lease.end_s <= now_s:
                return None
            return self._keep(kept, replace(lease, state="confirmed"), "confirmed", now_s)

    def renew(self, site: str, order: LeaseOrder, end_s: float, now_s: float, *, holder: str = "") -> Lease | None:
        """See ChannelStatusDatabase.renew."""
        with self._lock:
            kept = self._sites[site]
            lease = _held(kept, order.lease_id, holder)
            if lease is None or lease.end_s <= now_s or end_s <= lease.start_s:
                return None
            longer = Try(lease.subchannel, lease.start_s, end_s)
            if not lease.forced and end_s > lease.end_s:
                added = Try(lease.subchannel, lease.end_s, end_s)
                if self._blocker(kept, order, added) is not None:
                    return None
            return self._keep(kept, replace(lease, end_s=longer.end_s), "renewed", now_s)

    def release(
        self, site: str, lease_id: str, now_s: float, reason: str = "released", *, holder: str = ""
    ) -> Lease | None:
        """See ChannelStatusDatabase.release."""
        with self._lock:
            kept = self._sites[site]
            lease = _held(kept, lease_id, holder)
            if lease is not None:
                del kept.leases[lease_id]
                self._append(kept, "events", [records.lease_event("released", lease, now_s, reason)])
            return lease

    def expire(self, site: str, now_s: float) -> tuple[Lease, ...]:
        """See ChannelStatusDatabase.expire."""
        with self._lock:
            kept = self._sites[site]
            ended = tuple(
                sorted((x for x in kept.leases.values() if x.end_s <= now_s), key=lambda x: (x.end_s, x.lease_id))
            )
            for lease in ended:
                del kept.leases[lease.lease_id]
            self._append(kept, "events", [records.lease_event("expired", lease, now_s) for lease in ended])
            return ended

    def leases(self, site: str, now_s: float) -> tuple[Lease, ...]:
        """See ChannelStatusDatabase.leases."""
        with self._lock:
            live = [lease for lease in self._sites[site].leases.values() if lease.end_s > now_s]
        return tuple(sorted(live, key=lambda lease: (lease.start_s, lease.lease_id)))

    def some_leases(self, site: str, lease_ids: Sequence[str]) -> tuple[Lease, ...]:
        """See ChannelStatusDatabase.some_leases."""
        with self._lock:
            kept = self._sites[site].leases
            return tuple(kept[lease_id] for lease_id in lease_ids if lease_id in kept)

    def lease_count(self, site: str) -> int:
        """See ChannelStatusDatabase.lease_count."""
        with self._lock:
            return len(self._sites[site].leases)

    def decision(self, site: str, device: str) -> bytes | None:
        """See ChannelStatusDatabase.decision."""
        with self._lock:
            return self._sites[site].decisions.get(device)

    def restore(
        self,
        site: str,
        lease: Lease,
        neighbours: Mapping[Subchannel, tuple[Subchannel, ...]],
        now_s: float,
        reason: str,
    ) -> str | None:
        """See ChannelStatusDatabase.restore."""
        with self._lock:
            kept = self._sites[site]
            if lease.lease_id in kept.leases:
                return None
            order = LeaseOrder(lease.lease_id, lease.device, lease.gateway, (), neighbours)
            blocker = self._blocker(kept, order, Try(lease.subchannel, lease.start_s, lease.end_s))
            if blocker is not None:
                return blocker.lease_id
            kept.leases[lease.lease_id] = lease
            self._append(kept, "events", [records.lease_event("restored", lease, now_s, reason)])
            return None

    def append(self, site: str, stream: str, values: Sequence[bytes]) -> None:
        """See ChannelStatusDatabase.append."""
        with self._lock:
            self._append(self._sites[site], stream, values)

    def read(self, site: str, stream: str, after: str = "", count: int = 1000) -> tuple[Entry, ...]:
        """See ChannelStatusDatabase.read."""
        with self._lock:
            entries = self._sites[site].streams.get(stream, ())
            newer = [entry for entry in entries if not after or _order(entry.entry_id) > _order(after)]
        return tuple(newer[:count])

    def read_many(self, site: str, after: Mapping[str, str], count: int = 1000) -> dict[str, tuple[Entry, ...]]:
        """See ChannelStatusDatabase.read_many."""
        return {stream: self.read(site, stream, place, count) for stream, place in after.items()}

    def read_newest(self, site: str, stream: str, before: str = "", count: int = 1000) -> tuple[Entry, ...]:
        """See ChannelStatusDatabase.read_newest."""
        with self._lock:
            entries = self._sites[site].streams.get(stream, ())
            older = [entry for entry in reversed(entries) if not before or _order(entry.entry_id) < _order(before)]
        return tuple(older[:count])

    def put(self, site: str, kind: str, values: Mapping[str, bytes]) -> None:
        """See ChannelStatusDatabase.put."""
        with self._lock:
            self._sites[site].kinds[kind].update(values)

    def get(self, site: str, kind: str) -> dict[str, bytes]:
        """See ChannelStatusDatabase.get."""
        with self._lock:
            return dict(self._sites[site].kinds[kind])

    def get_some(self, site: str, kind: str, names: Sequence[str]) -> dict[str, bytes]:
        """See ChannelStatusDatabase.get_some."""
        with self._lock:
            kept = self._sites[site].kinds[kind]
            return {name: kept[name] for name in names if name in kept}

    def exchange(
        self,
        site: str,
        kind: str,
        values: Mapping[str, tuple[bytes | None, bytes]],
        tell: Mapping[str, bytes] | None = None,
    ) -> frozenset[str]:
        """See ChannelStatusDatabase.exchange."""
        with self._lock:
            kept = self._sites[site]
            records_of_kind = kept.kinds[kind]
            contested = {name for name, (read, _) in values.items() if records_of_kind.get(name) != read}
            records_of_kind.update({name: new for name, (_, new) in values.items() if name not in contested})
            if not contested:
                for stream, value in (tell or {}).items():
                    self._append(kept, stream, [value])
            return frozenset(contested)

    def delete(self, site: str, kind: str, names: Sequence[str]) -> None:
        """See ChannelStatusDatabase.delete."""
        with self._lock:
            for name in names:
                self._sites[site].kinds[kind].pop(name, None)

    def forget(self, site: str) -> None:
        """See ChannelStatusDatabase.forget."""
        with self._lock:
            self._sites.pop(site, None)

    def ping(self) -> None:
        """Always there."""

    def close(self) -> None:
        """Nothing to give back."""

    def _keep(self, kept: _Site, lease: Lease, event: str, now_s: float) -> Lease:
        kept.leases[lease.lease_id] = lease
        self._append(kept, "events", [records.lease_event(event, lease, now_s)])
        return lease

    def _append(self, kept: _Site, stream: str, values: Sequence[bytes]) -> None:
        entries = kept.streams.setdefault(stream, deque(maxlen=stream_length(stream)))
        for value in values:
            # As Redis names them: milliseconds, then a count within the same (or under a clock that was set back).
            now_ms = round(self._clock() * 1e3)
            last_ms, count = _order(entries[-1].entry_id) if entries else (0, 0)
            entry_id = f"{now_ms}-0" if now_ms > last_ms else f"{last_ms}-{count + 1}"
            entries.append(Entry(entry_id, value))


def _held(kept: _Site, lease_id: str, holder: str) -> Lease | None:
    lease = kept.leases.get(lease_id)
    return None if lease is None or (holder and lease.gateway != holder) else lease


def _order(entry_id: str) -> tuple[int, int]:
    major, minor = entry_id.split("-")
    return int(major), int(minor)


def _decision(order: LeaseOrder, lease: Lease, blocked_by: Sequence[str], now_s: float) -> bytes:
    decision = {
        "event": "forced" if lease.forced else "granted",
        "at_us": str(records.microseconds(now_s)),
        "lease": records.lease_fields(lease),
        "blocked_by": list(blocked_by),
        "why": msgspec.Raw(order.why.encode()),
    }
    return records.encode(decision)


def neighbours_of(subchannels: Sequence[Subchannel]) -> dict[Subchannel, tuple[Subchannel, ...]]:
    """For every subchannel those others of the site that share spectrum with it (868.1 MHz and SigFox's groups do)."""
    return {
        one: tuple(other for other in subchannels if other != one and other.overlap_hz(one) > 0.0)
        for one in subchannels
    }
