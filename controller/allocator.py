"""The allocator: Algorithm 1 over a snapshot of the database, asked for many devices at once.

It decides with the pure functions of `allocation` and lets the database carry out the tries atomically, so that any
number of controllers may serve one site. `now_s` is an argument of every call, and the draws of a request depend on
nothing but its identity: what was decided can be decided again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from allocation.attempts import AttemptPlan, SlotGrid, attempts_for, plan_attempts
from allocation.policies import Policy, policy_named
from channel_status import records
from channel_status.memory import neighbours_of
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway, LeaseOrder
from controller.requests import Answer, Ask, Refusal, Technology
from controller.snapshot import Load, Snapshot, SnapshotKeeper
from controller.transmitters import Transmitters
from spectrum.eu868 import Subchannel
from spectrum.sigfox import COPIES
from spectrum.site_file import Site
from spectrum.status import Lease

# One attempt costs an application about one sensing interval and its way to the database (for N = auto).
ATTEMPT_S: Final = 0.02

# The explanation keeps this many of the best subchannels; a site may have a thousand.
EXPLAINED: Final = 16


@dataclass(slots=True)
class _Pending:
    """An ask on its way: what it has got so far."""

    ask: Ask
    leases: list[Lease] = field(default_factory=list)
    refusal: Refusal | None = None


class Allocator:
    """Answers asks for one site. Not for several threads at once: the controller's app owns it."""

    def __init__(self, site: Site, database: ChannelStatusDatabase) -> None:
        self._site = site
        self._database = database
        self._policy: Policy = policy_named(site.controller.policy)
        self._subchannels: dict[Technology, tuple[Subchannel, ...]] = {
            "lora": site.spectrum.lora,
            "sigfox": site.spectrum.sigfox,
        }
        every = (*site.spectrum.lora, *site.spectrum.sigfox)
        self._neighbours = neighbours_of(every)
        self._snapshots = SnapshotKeeper(site, database, every)
        self._transmitters = Transmitters()
        self._load = Load()
        self._last: dict[Technology, Subchannel] = {}

    def answer(self, asks: Sequence[Ask], now_s: float) -> tuple[Answer, ...]:
        """One answer for each ask, in order. Copies of a packet follow each other, all asks together."""
        try:
            snapshot = self._snapshots.at(now_s)
        except DatabaseAway as error:
            return tuple(self._away(ask, error, now_s) for ask in asks)
        pending = [_Pending(ask, refusal=self._objection(ask, now_s)) for ask in asks]
        for copy in range(max((ask.copies for ask in asks), default=0)):
            wanting = [p for p in pending if p.refusal is None and copy < p.ask.copies]
            try:
                self._allocate_copy(copy, wanting, snapshot, now_s)
            except DatabaseAway as error:
                for waiting in wanting:
                    waiting.refusal = self._away(waiting.ask, error, now_s).refusal
        return tuple(Answer(p.ask.request_id, () if p.refusal else tuple(p.leases), p.refusal) for p in pending)

    def _allocate_copy(self, copy: int, wanting: Sequence[_Pending], snapshot: Snapshot, now_s: float) -> None:
        orders = [self._order(waiting, copy, snapshot, now_s) for waiting in wanting]
        grants = self._database.allocate(self._site.name, orders, now_s) if orders else ()
        for waiting, grant in zip(wanting, grants, strict=True):
            lease = grant.lease
            waiting.leases.append(lease)
            self._last[waiting.ask.technology] = lease.subchannel
            self._load.add(lease)
            self._transmitters.record(lease.device, lease.subchannel, lease.start_s, waiting.ask.airtime_s)

    def _objection(self, ask: Ask, now_s: float) -> Refusal | None:
        """Why an ask cannot be served at all, or None."""
        if not self._subchannels.get(ask.technology):
            return Refusal("invalid", f"this site allocates no subchannels to {ask.technology} devices")
        if not (math.isfinite(ask.airtime_s) and 0 < ask.airtime_s <= self._site.controller.longest_lease_s):
            longest_s = self._site.controller.longest_lease_s
            return Refusal(
                "invalid", f"the airtime must be above 0 and at most {longest_s:g} s, got {ask.airtime_s:g} s"
            )
        if not 1 <= ask.copies <= min(COPIES, len(self._subchannels[ask.technology])):
            return Refusal("invalid", f"a packet has 1 to {COPIES} copies on different subchannels, got {ask.copies}")
        if not ask.device or not ask.request_id:
            return Refusal("invalid", "a request needs a device and a request id, one of them came empty")
        return self._transmitters.objection(
            ask.device, self._subchannels[ask.technology], ask.airtime_s * ask.copies, now_s
        )

    def _order(self, waiting: _Pending, copy: int, snapshot: Snapshot, now_s: float) -> LeaseOrder:
        """Lines 2 to 9 of Algorithm 1 for one copy: what the database is to try, and why."""
        ask = waiting.ask
        used = {lease.subchannel for lease in waiting.leases}
        allowed = [
            subchannel
            for subchannel in self._subchannels[ask.technology]
            if subchannel not in used and self._transmitters.may_send(ask.device, subchannel, ask.airtime_s, now_s)
        ]
        statuses = snapshot.statuses(allowed)
        policy = policy_named("random") if snapshot.sensing == "silent" else self._policy
        grid = self._grid(ask, max([now_s, *(lease.end_s for lease in waiting.leases)]))
        attempts = self._attempts(ask, len(statuses), grid, now_s)
        lease_id = f"{ask.request_id}.{copy}" if ask.copies > 1 else ask.request_id
        plan = plan_attempts(
            statuses,
            grid,
            policy,
            attempts,
            Random(f"{self._site.name}/{lease_id}"),
            load=self._load.by_subchannel(now_s),
            last=self._last.get(ask.technology),
            share=None if snapshot.sensing == "silent" else self._site.controller.share,
        )
        blind = not policy.senses or not plan.sensed
        why = _why(plan, policy, snapshot, attempts)
        return LeaseOrder(lease_id, ask.device, ask.gateway, plan.tries, self._neighbours, blind, why)

    def _grid(self, ask: Ask, first_s: float) -> SlotGrid:
        """Slots up to the allowed delay for a device that keeps time; else one slot that starts at once."""
        slot_s = ask.airtime_s + self._site.controller.guard_s
        if not ask.keeps_time:
            return SlotGrid(first_s, slot_s)
        delay_s = self._site.controller.horizon_s if ask.delay_s is None else ask.delay_s
        aligned_s = math.ceil(first_s / slot_s) * slot_s
        return SlotGrid(aligned_s, slot_s, max(1, math.floor(delay_s / slot_s)))

    def _attempts(self, ask: Ask, subchannels: int, grid: SlotGrid, now_s: float) -> int:
        """N of line 1: the site's, or from competition and allowed delay."""
        configured = self._site.controller.attempts
        if configured != "auto":
            return configured
        delay_s = self._site.controller.horizon_s if ask.delay_s is None else ask.delay_s
        return attempts_for(self._load.devices(now_s), max(1, subchannels) * grid.count, delay_s, ATTEMPT_S)

    def _away(self, ask: Ask, error: DatabaseAway, now_s: float) -> Answer:
        return Answer(ask.request_id, (), Refusal("database_away", str(error), now_s + 1.0))

    def confirm(self, lease_id: str, now_s: float) -> Lease | None:
        """The device has answered."""
        return self._database.confirm(self._site.name, lease_id, now_s)

    def renew(self, lease_id: str, end_s: float, now_s: float) -> Lease | None:
        """Hold a lease longer, within the site's longest lease and where nobody else comes."""
        end_s = min(end_s, now_s + self._site.controller.longest_lease_s)
        order = LeaseOrder(lease_id, "", "", (), self._neighbours)
        return self._database.renew(self._site.name, order, end_s, now_s)

    def release(self, lease_id: str, reason: str, now_s: float) -> Lease | None:
        """End a lease before its time."""
        return self._database.release(self._site.name, lease_id, now_s, reason or "released")

    def expire(self, now_s: float) -> tuple[Lease, ...]:
        """Sweep the leases that have ended."""
        return self._database.expire(self._site.name, now_s)

    def status(self, now_s: float) -> tuple[Snapshot, tuple[Lease, ...]]:
        """The channel map as the allocator sees it, and the live leases."""
        return self._snapshots.at(now_s), self._database.leases(self._site.name, now_s)

    def explain(self, device: str) -> bytes | None:
        """The last decision about a device, as JSON."""
        return self._database.decision(self._site.name, device)

    def with_policy(self, name: str, attempts: int | str) -> None:
        """Change policy and N from the next ask on; BadInput for an unknown policy."""
        policy = policy_named(name)
        changed = replace_controller(self._site, policy=name, attempts=attempts)
        self._policy, self._site = policy, changed


def replace_controller(site: Site, **changes: Any) -> Site:
    """The site with other values in its `[controller]` table."""
    import msgspec

    return msgspec.structs.replace(site, controller=msgspec.structs.replace(site.controller, **changes))


def _why(plan: AttemptPlan, policy: Policy, snapshot: Snapshot, attempts: int) -> str:
    """The explanation kept with a decision: the order with its scores, the draws, and on what knowledge."""
    reasons = {
        "policy": policy.name,
        "attempts": attempts,
        "sensing": snapshot.sensing,
        "snapshot_us": str(records.microseconds(snapshot.taken_s)),
        "anything_idle": plan.sensed,
        "subchannels": len(plan.order),
        "best": [(records.subchannel_key(subchannel), score) for subchannel, score in plan.order[:EXPLAINED]],
        "drawn_from": len(plan.drawn_from),
        "tries": [
            (
                records.subchannel_key(t.subchannel),
                str(records.microseconds(t.start_s)),
                str(records.microseconds(t.end_s)),
            )
            for t in plan.tries
        ],
    }
    return records.encode(reasons).decode()
