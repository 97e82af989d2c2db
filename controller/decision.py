"""One decision, from recorded inputs to what the database is to try. Pure: the same inputs give the same bytes.

The allocator decides with it, and `airshed replay` decides again with what the event stream kept.
"""

from __future__ import annotations

from typing import Any

import msgspec

from allocation.attempts import SlotGrid, draw_tries
from allocation.draws import NamedDraws
from allocation.policies import policy_named
from channel_status import records
from channel_status.protocol import LeaseOrder
from controller.requests import Ask
from controller.snapshot import Ranked, Sensing
from spectrum.eu868 import Subchannel

Neighbours = dict[Subchannel, tuple[Subchannel, ...]]


class Inputs(msgspec.Struct, frozen=True):
    """All that a decision rests on, beside the statuses behind its ranking.

    lease_id: names the draws. copy: which transmission of the packet. policy: `random` in silence, else the site's.
    snapshot: name of the snapshot event that holds the statuses. excluded: subchannels this request may not use (its
    earlier copies have them, or the duty cycle forbids them). load, last: what `least-loaded` and `round-robin` go by.
    """

    site: str
    lease_id: str
    ask: Ask
    copy: int
    policy: str
    attempts: int
    share: float | None
    sensing: Sensing
    snapshot: str
    grid: SlotGrid
    excluded: tuple[str, ...] = ()
    load: tuple[tuple[str, int], ...] = ()
    last: str | None = None


def decide(inputs: Inputs, ranked: Ranked, neighbours: Neighbours) -> LeaseOrder:
    """Line 9 of Algorithm 1 for one transmission: the N tries, with the explanation that is kept beside the lease."""
    ranking = ranked.ranking
    policy = policy_named(inputs.policy)
    tries = draw_tries(
        ranking,
        inputs.grid,
        inputs.attempts,
        NamedDraws(f"{inputs.site}/{inputs.lease_id}"),
        rotates=policy.rotates,
        last=None if inputs.last is None else records.subchannel_of(inputs.last),
    )
    blind = not policy.senses or not ranking.sensed
    why = {
        "inputs": inputs,
        "anything_idle": ranking.sensed,
        "subchannels": len(ranking.order),
        "drawn_from": len(ranking.pool),
        "best": ranked.best,
        "tries": [(records.subchannel_key(t.subchannel), round(t.start_s * 1e6), round(t.end_s * 1e6)) for t in tries],
    }
    ask = inputs.ask
    return LeaseOrder(inputs.lease_id, ask.device, ask.gateway, tries, neighbours, blind, records.encode(why).decode())


def inputs_of(why: dict[str, Any]) -> Inputs:
    """The inputs kept in an explanation; raises msgspec.ValidationError when they are none."""
    return msgspec.convert(why["inputs"], Inputs)
