"""Deciding again: past decisions from the recorded event stream, to the same bytes.

The stream holds what a decision rested on: the site's subchannels, the snapshot of statuses, the request, and every
change of leases in order. Whoever doubts a decision can repeat it, and a change of the code that changes it shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from allocation.attempts import Try
from allocation.policies import policy_named
from channel_status import records
from channel_status.memory import MemoryDatabase, neighbours_of
from channel_status.protocol import LeaseOrder
from controller.decision import decide, inputs_of
from controller.snapshot import Snapshot
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.status import ChannelStatus


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that came out otherwise. line: of the stream, from 1."""

    line: int
    recorded: str
    repeated: str


@dataclass(slots=True)
class Replayed:
    """What a replay found. unknown: decisions whose snapshot the stream no longer holds."""

    decisions: int = 0
    unknown: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def same(self) -> int:
        """Decisions repeated byte for byte."""
        return self.decisions - self.unknown - len(self.differences)


@dataclass(slots=True)
class _Stage:
    """What the stream has told so far."""

    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    site: str = ""
    subchannels: dict[str, tuple[Subchannel, ...]] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)


def replay(lines: Iterable[bytes]) -> Replayed:
    """Repeat every decision of a stream (one JSON event a line); BadInput when a line is no event of Airshed's."""
    found, stage = Replayed(), _Stage()
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        try:
            event = records.decode(text)
            kind = event["event"]
            if kind in ("granted", "forced"):
                _repeat(number, text, event, stage, found)
            else:
                _apply(kind, event, stage)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(
                f"line {number} is no event of a recorded stream ({type(error).__name__}: {error}): "
                "expected lines as `airshed events` prints them"
            ) from None
    return found


def _repeat(number: int, text: bytes, event: dict[str, Any], stage: _Stage, found: Replayed) -> None:
    found.decisions += 1
    inputs = inputs_of(event["why"])
    snapshot = stage.snapshots.get(inputs.snapshot)
    if snapshot is None or not stage.subchannels:
        found.unknown += 1
        _adopt(event, stage)
        return
    every = stage.subchannels[inputs.ask.technology]
    allowed = tuple(cell for cell in every if records.subchannel_key(cell) not in inputs.excluded)
    policy = policy_named(inputs.policy)
    load = {records.subchannel_of(key): count for key, count in inputs.load}
    ranked = snapshot.ranking(allowed, policy, inputs.share, load if policy.name == "least-loaded" else None)
    neighbours = neighbours_of([cell for cells in stage.subchannels.values() for cell in cells])
    order = decide(inputs, ranked, neighbours)
    stage.database.allocate(inputs.site, [order], records.seconds(event["at_us"]))
    repeated = stage.database.decision(inputs.site, inputs.ask.device) or b""
    if repeated != text:
        found.differences.append(Difference(number, text.decode(), repeated.decode()))


def _adopt(event: dict[str, Any], stage: _Stage) -> None:
    """Take over a lease whose decision cannot be repeated: later ones meet it."""
    lease = records.lease_of(event["lease"])
    order = LeaseOrder(
        lease.lease_id, lease.device, lease.gateway, (Try(lease.subchannel, lease.start_s, lease.end_s),),
        {}, lease.forced,
    )  # fmt: skip
    stage.database.allocate(stage.site or event["why"]["inputs"]["site"], [order], records.seconds(event["at_us"]))


def _apply(kind: str, event: dict[str, Any], stage: _Stage) -> None:
    """What changed the state without being a decision; other events (gateways, alarms) change nothing here."""
    at_s = records.seconds(event["at_us"])
    if kind == "site":
        stage.site = event["site"]
        stage.subchannels = {
            technology: tuple(records.subchannel_of(key) for key in keys)
            for technology, keys in event["subchannels"].items()
        }
    elif kind == "snapshot":
        statuses = msgspec.convert(event["statuses"], list[ChannelStatus])
        cells = {status.subchannel: status for status in statuses}
        pinned = tuple(records.subchannel_of(key) for key in event.get("pinned", ()))
        stage.snapshots[event["snapshot"]] = Snapshot(event["taken_s"], event["sensing"], cells, pinned)
    elif kind == "confirmed":
        stage.database.confirm(stage.site, event["lease"]["lease_id"], at_s)
    elif kind == "renewed":
        lease = records.lease_of(event["lease"])
        order = LeaseOrder(lease.lease_id, lease.device, lease.gateway, ())
        stage.database.renew(stage.site, order, lease.end_s, at_s)
    elif kind == "restored":
        stage.database.restore(stage.site, records.lease_of(event["lease"]), {}, at_s, "")
    elif kind in ("released", "expired"):
        stage.database.release(stage.site, cast(str, event["lease"]["lease_id"]), at_s)
