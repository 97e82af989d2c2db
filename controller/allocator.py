"""The allocator: Algorithm 1 over a snapshot of the database, for many requests at once.

It decides with pure functions and lets the database carry out the tries atomically, so that any number of controllers
may serve one site. `now_s` is an argument of every call, and the draws of a request depend on nothing but its name:
what was decided can be decided again.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from allocation.attempts import SlotGrid, attempts_for
from allocation.policies import POLICIES, policy_named
from channel_status import records
from channel_status.memory import neighbours_of
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway, LeaseOrder
from controller.decision import Inputs, decide
from controller.operators import OperatorsWord, read_word
from controller.requests import Answer, Ask, Refusal, Technology
from controller.snapshot import LeaseLoad, Snapshot, SnapshotKeeper
from controller.transmitters import Transmitters, regulated_by
from spectrum.eu868 import Subchannel
from spectrum.sigfox import COPIES
from spectrum.site_file import Site
from spectrum.status import Lease

# One attempt costs an application about one sensing interval and its way to the database (for N = auto).
ATTEMPT_S: Final = 0.02

LONGEST_NAME: Final = 128

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    """A request on its way: what it has got so far; known: those of its leases that it got when it was asked before."""

    ask: Ask
    leases: list[Lease] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    refusal: Refusal | None = None


class Allocator:
    """Answers requests for one site. `answer` is for one thread: the controller's app owns it."""

    def __init__(self, site: Site, database: ChannelStatusDatabase) -> None:
        policy_named(site.controller.policy)
        self._configured = self._site = site
        self._database = database
        self._word = OperatorsWord()
        self._all_subchannels: dict[Technology, tuple[Subchannel, ...]] = {
            "lora": site.spectrum.lora,
            "sigfox": site.spectrum.sigfox,
        }
        self._subchannels = self._all_subchannels
        self._bands = {
            kind: tuple(dict.fromkeys(map(regulated_by, cells))) for kind, cells in self._subchannels.items()
        }
        self._every = (*site.spectrum.lora, *site.spectrum.sigfox)
        self._neighbours = neighbours_of(self._every)
        self._snapshots = SnapshotKeeper(site, database, self._every)
        self._load = LeaseLoad()
        self._last: dict[Technology, Subchannel] = {}
        self._told_snapshot = ""

    @property
    def site(self) -> Site:
        """The site as it is run now."""
        return self._site

    def begin(self, now_s: float) -> None:
        """Tell the event stream what is allocated from now on, so that decisions can be replayed."""
        cells = {
            kind: [records.subchannel_key(cell) for cell in cells] for kind, cells in self._all_subchannels.items()
        }
        at_us = str(records.microseconds(now_s))
        self.tell({"event": "site", "at_us": at_us, "site": self._site.name, "subchannels": cells})

    def tell(self, event: Mapping[str, object]) -> None:
        """Append to the event stream; raises DatabaseAway."""
        self._database.append(self._site.name, "events", [records.encode(event)])

    def answer(self, asks: Sequence[Ask], now_s: float) -> tuple[Answer, ...]:
        """One answer for each request, in order. Copies of a packet follow each other, all requests together."""
        pending = [_Pending(ask, refusal=self._malformed(ask)) for ask in asks]
        try:
            snapshot = self._snapshots.at(now_s)
            self._tell_snapshot(snapshot)
            for round_ in _rounds([p for p in pending if p.refusal is None]):
                self._allocate(round_, snapshot, now_s)
        except DatabaseAway as error:
            for p in pending:
                p.refusal = p.refusal or Refusal("database_away", str(error), now_s + 1.0)
        return tuple(Answer(p.ask.request_id, () if p.refusal else tuple(p.leases), p.refusal) for p in pending)

    def _allocate(self, pending: Sequence[_Pending], snapshot: Snapshot, now_s: float) -> None:
        """Answer requests of different devices."""
        transmitters = Transmitters(self._database, self._site.name, (p.ask.device for p in pending), now_s)
        for p in pending:
            p.refusal = transmitters.objection(
                p.ask.device, self._bands[p.ask.technology], p.ask.airtime_s * p.ask.copies
            )
            if p.refusal is not None:
                self._recall(p)
        for copy in range(max((p.ask.copies for p in pending if p.refusal is None), default=0)):
            wanting = [p for p in pending if p.refusal is None and len(p.leases) == copy < p.ask.copies]
            orders = [self._order(p, copy, snapshot, transmitters, now_s) for p in wanting]
            grants = self._database.allocate(self._site.name, orders, now_s)
            for p, grant in zip(wanting, grants, strict=True):
                p.leases.append(grant.lease)
                if grant.known:
                    p.known.add(grant.lease.lease_id)
                else:
                    self._last[p.ask.technology] = grant.lease.subchannel
                    self._load.add(grant.lease)
                    _log(grant.lease)
                self._count(p, grant.lease, transmitters)
        while contested := transmitters.keep():
            transmitters.load(sorted(contested))
            for p in pending:
                if p.refusal is None and p.ask.device in contested:
                    self._count_again(p, transmitters, now_s)

    def _recall(self, p: _Pending) -> None:
        """Let a request that is asked again have the leases it has: they are what fills its duty cycle."""
        leases = self._database.some_leases(self._site.name, [_lease_id(p.ask, copy) for copy in range(p.ask.copies)])
        if len(leases) == p.ask.copies:
            p.leases, p.refusal = list(leases), None

    @staticmethod
    def _count(p: _Pending, lease: Lease, transmitters: Transmitters, *, only_if_it_fits: bool = False) -> bool:
        """Count the airtime of a lease in its device's ledger, once however often it is asked for; False: no room."""
        device, airtime_s = p.ask.device, p.ask.airtime_s
        if lease.lease_id in p.known and transmitters.counted(device, lease.subchannel, lease.start_s, airtime_s):
            return True
        if only_if_it_fits and not transmitters.may_send(device, regulated_by(lease.subchannel), airtime_s):
            return False
        transmitters.record(device, lease.subchannel, lease.start_s, airtime_s)
        return True

    def _count_again(self, p: _Pending, transmitters: Transmitters, now_s: float) -> None:
        """Another controller has granted to this device since its ledger was read: what no longer fits is undone."""
        device, airtime_s = p.ask.device, p.ask.airtime_s
        if all(self._count(p, lease, transmitters, only_if_it_fits=True) for lease in p.leases):
            return
        transmitters.load([device])
        for lease in p.leases:
            self._database.release(self._site.name, lease.lease_id, now_s, "the duty cycle went to another request")
        objection = transmitters.objection(device, self._bands[p.ask.technology], airtime_s * p.ask.copies)
        p.refusal = objection or Refusal("duty_cycle", f"another request of {device} came first: ask again", now_s)

    def _tell_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the statuses that the coming decisions rest on, once."""
        if snapshot.name == self._told_snapshot:
            return
        event = {
            "event": "snapshot",
            "at_us": str(records.microseconds(snapshot.taken_s)),
            "snapshot": snapshot.name,
            "taken_s": snapshot.taken_s,
            "sensing": snapshot.sensing,
            "statuses": snapshot.statuses_json(),
            **({"pinned": snapshot.pinned_keys()} if snapshot.pinned else {}),
        }
        self._database.append(self._site.name, "events", [records.encode(event)])
        self._told_snapshot = snapshot.name

    def _malformed(self, ask: Ask) -> Refusal | None:
        """What is wrong with a request in itself, or None."""
        if not self._subchannels.get(ask.technology):
            return Refusal("invalid", f"this site allocates no subchannels to {ask.technology} devices")
        longest_s = self._site.controller.longest_lease_s
        if not (math.isfinite(ask.airtime_s) and 0 < ask.airtime_s <= longest_s):
            return Refusal(
                "invalid", f"the airtime must be above 0 and at most {longest_s:g} s, got {ask.airtime_s:g} s"
            )
        most = min(COPIES, len(self._subchannels[ask.technology]))
        if not 1 <= ask.copies <= most:
            return Refusal("invalid", f"a packet has 1 to {most} copies on different subchannels, got {ask.copies}")
        for what, name in (("device", ask.device), ("request id", ask.request_id)):
            if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
                return Refusal(
                    "invalid", f"the {what} must be 1 to {LONGEST_NAME} printable characters, got {name[:20]!r}"
                )
        return None

    def _order(
        self, p: _Pending, copy: int, snapshot: Snapshot, transmitters: Transmitters, now_s: float
    ) -> LeaseOrder:
        """Lines 2 to 9 of Algorithm 1 for one transmission."""
        ask, table = p.ask, self._site.controller
        allowed, excluded = self._allowed(p, transmitters)
        policy = POLICIES["random"] if snapshot.sensing == "silent" else policy_named(table.policy)
        share = None if snapshot.sensing == "silent" else table.share
        load = self._load.by_subchannel(now_s) if policy.name == "least-loaded" else None
        last = self._last.get(ask.technology) if policy.rotates else None
        ranked = snapshot.ranking(allowed, policy, share, load, (ask.technology, *excluded))
        grid = self._grid(ask, max([now_s, *(lease.end_s for lease in p.leases)]))
        inputs = Inputs(
            self._site.name,
            _lease_id(ask, copy),
            ask,
            copy,
            policy.name,
            self._attempts(ask, len(ranked.ranking.order), grid, now_s) if policy.senses else 1,
            share,
            snapshot.sensing,
            snapshot.name,
            grid,
            excluded,
            tuple((records.subchannel_key(cell), n) for cell, n in sorted(load.items())) if load else (),
            None if last is None else records.subchannel_key(last),
        )
        return decide(inputs, ranked, self._neighbours)

    def _allowed(self, p: _Pending, transmitters: Transmitters) -> tuple[tuple[Subchannel, ...], tuple[str, ...]]:
        """Subchannels a request may use, and those of its technology that it may not."""
        ask = p.ask
        used = {lease.subchannel for lease in p.leases}
        every, unbanned = self._all_subchannels[ask.technology], self._subchannels[ask.technology]
        full = [b for b in self._bands[ask.technology] if not transmitters.may_send(ask.device, b, ask.airtime_s)]
        if not used and not full and unbanned is every:
            return every, ()
        lawful = tuple(c for c in unbanned if regulated_by(c) not in full)
        allowed = tuple(c for c in lawful if c not in used) or lawful
        return allowed, tuple(records.subchannel_key(c) for c in every if c not in allowed)

    def _grid(self, ask: Ask, first_s: float) -> SlotGrid:
        """Slots up to the allowed delay for a device that keeps time; else one slot that starts at once."""
        slot_s = ask.airtime_s + self._site.controller.guard_s
        if not ask.keeps_time:
            return SlotGrid(first_s, slot_s)
        aligned_s = math.ceil(first_s / slot_s) * slot_s
        return SlotGrid(aligned_s, slot_s, max(1, math.floor(self._delay_s(ask) / slot_s)))

    def _delay_s(self, ask: Ask) -> float:
        return self._site.controller.horizon_s if ask.delay_s is None else ask.delay_s

    def _attempts(self, ask: Ask, subchannels: int, grid: SlotGrid, now_s: float) -> int:
        """N of line 1: the site's, or from competition and allowed delay."""
        configured = self._site.controller.attempts
        if configured != "auto":
            return configured
        return attempts_for(self._load.total(now_s), max(1, subchannels) * grid.count, self._delay_s(ask), ATTEMPT_S)

    def confirm(self, lease_id: str, now_s: float, holder: str = "") -> Lease | None:
        """The device has answered. Here and below, holder: the gateway whose lease it must be, empty for any."""
        return self._database.confirm(self._site.name, lease_id, now_s, holder=holder)

    def renew(self, lease_id: str, end_s: float, now_s: float, holder: str = "") -> Lease | None:
        """Hold a lease longer, within the site's longest lease and where nobody else comes."""
        end_s = records.whole(min(end_s, now_s + self._site.controller.longest_lease_s))
        order = LeaseOrder(lease_id, "", "", (), self._neighbours)
        return self._database.renew(self._site.name, order, end_s, now_s, holder=holder)

    def release(self, lease_id: str, reason: str, now_s: float, holder: str = "") -> Lease | None:
        """End a lease before its time."""
        return self._database.release(self._site.name, lease_id, now_s, reason or "released", holder=holder)

    def expire(self, now_s: float) -> tuple[Lease, ...]:
        """Sweep the leases that have ended."""
        return self._database.expire(self._site.name, now_s)

    def snapshot(self, now_s: float) -> Snapshot:
        """What is known of the subchannels, as decisions rest on it."""
        return self._snapshots.at(now_s)

    def status(self, now_s: float) -> tuple[Snapshot, tuple[Lease, ...]]:
        """The channel map as the allocator sees it, and the live leases."""
        return self._snapshots.at(now_s), self._database.leases(self._site.name, now_s)

    def sensing_age_s(self, now_s: float) -> float:
        """Age of the newest status; infinite when nothing is known."""
        statuses = self._snapshots.at(now_s).by_subchannel.values()
        return min((now_s - status.measured_s for status in statuses), default=math.inf)

    def lease_count(self) -> int:
        """How many leases live or are to come."""
        return self._database.lease_count(self._site.name)

    def explain(self, device: str) -> bytes | None:
        """The last decision about a device, as JSON."""
        return self._database.decision(self._site.name, device)

    def follow_operators(self) -> None:
        """Take over what operators have said since: policy, N, bans and pins; raises DatabaseAway."""
        word = read_word(self._database, self._site.name)
        if word == self._word:
            return
        self._word = word
        table = msgspec.structs.replace(
            self._configured.controller,
            policy=word.policy or self._configured.controller.policy,
            attempts=word.attempts or self._configured.controller.attempts,
        )
        self._site = msgspec.structs.replace(self._configured, controller=table)
        banned = set(word.banned)
        self._snapshots.pin(cell for cell in self._every if records.subchannel_key(cell) in word.pinned)
        self._subchannels = {
            kind: tuple(cell for cell in cells if records.subchannel_key(cell) not in banned) or cells
            for kind, cells in self._all_subchannels.items()
        }
        self._bands = {
            kind: tuple(dict.fromkeys(map(regulated_by, cells))) for kind, cells in self._subchannels.items()
        }

    def database_is_back(self, now_s: float) -> None:
        """Tell the event stream that the database was away; leases that were granted have held meanwhile."""
        event = {
            "event": "database",
            "at_us": str(records.microseconds(now_s)),
            "state": "back",
            "reason": "requests were refused while it was away; granted leases held",
        }
        self._database.append(self._site.name, "events", [records.encode(event)])


def _lease_id(ask: Ask, copy: int) -> str:
    """Named after the request: asked again, it is the same lease."""
    return f"{ask.request_id}.{copy}" if ask.copies > 1 else ask.request_id


def _rounds(pending: Sequence[_Pending]) -> list[list[_Pending]]:
    """The requests in rounds that hold each device once: its next request must meet a ledger that counts the last."""
    rounds: list[list[_Pending]] = []
    had: Counter[str] = Counter()
    for p in pending:
        if had[p.ask.device] == len(rounds):
            rounds.append([])
        rounds[had[p.ask.device]].append(p)
        had[p.ask.device] += 1
    return rounds


def _log(lease: Lease) -> None:
    """Every lease at level debug; those that were forced at info, since they may share the air."""
    level = logging.INFO if lease.forced else logging.DEBUG
    if log.isEnabledFor(level):
        fields = {"lease_id": lease.lease_id, "device": lease.device, "gateway": lease.gateway,
                  "subchannel_hz": lease.subchannel.center_hz, "attempt": lease.attempt}  # fmt: skip
        log.log(level, "lease forced" if lease.forced else "lease granted", extra=fields)
