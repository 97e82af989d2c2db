"""Policies: how the available subchannels are ordered, and from which part of the order the tries are drawn.

A policy is a row of POLICIES. Line 6 of Algorithm 1 orders the available subchannels, line 9 draws at random; the paper
does not say how the order enters the draw. Here each policy says it with `share`: tries are drawn from the best
`share` of the order, ties included; 1 is the plain uniform draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.status import ChannelStatus, posterior_busy

# How many live leases each subchannel carries.
Load = Mapping[Subchannel, int]


@dataclass(frozen=True, slots=True)
class Policy:
    """One row of the table.

    score: lower is better. share: part of the ordered available set that tries are drawn from. senses: whether the
    verdict of the sensors and of the database is asked at all (the standards' random access asks nobody). rotates:
    tries walk on from the last allocated subchannel instead of being drawn.
    """

    name: str
    score: Callable[[ChannelStatus, Load], float]
    share: float = 1.0
    senses: bool = True
    rotates: bool = False


def _no_preference(status: ChannelStatus, load: Load) -> float:
    return 0.0


def _printed_weight(status: ChannelStatus, load: Load) -> float:
    return status.weight


def _posterior(status: ChannelStatus, load: Load) -> float:
    return posterior_busy(status.pf, status.pm, status.occupancy)


def _live_leases(status: ChannelStatus, load: Load) -> float:
    return float(load.get(status.subchannel, 0))


POLICIES: Final = {
    policy.name: policy
    for policy in (
        Policy("algorithm1", _printed_weight),
        Policy("random", _no_preference, senses=False),
        Policy("posterior", _posterior, share=0.5),
        Policy("least-loaded", _live_leases, share=0.0),
        Policy("round-robin", _no_preference, rotates=True),
    )
}


def policy_named(name: str) -> Policy:
    """The row of the table with that name."""
    try:
        return POLICIES[name]
    except KeyError:
        raise BadInput(f"unknown policy {name!r}: expected one of {', '.join(POLICIES)}") from None


def available(statuses: Sequence[ChannelStatus]) -> tuple[ChannelStatus, ...]:
    """Lines 3 to 5 of Algorithm 1, per subchannel: those with E_c < E_th (the printed "for all c" is per c)."""
    return tuple(status for status in statuses if not status.busy)


def ranked(statuses: Sequence[ChannelStatus], policy: Policy, load: Load) -> tuple[tuple[ChannelStatus, float], ...]:
    """Line 6: (status, score), best first; equal scores in order of frequency."""
    scored = [(status, policy.score(status, load)) for status in statuses]
    return tuple(sorted(scored, key=lambda pair: (pair[1], pair[0].subchannel)))


def candidates(order: Sequence[tuple[ChannelStatus, float]], share: float) -> tuple[Subchannel, ...]:
    """The best `share` of the order (at least one), and all that tie with the last of them."""
    if not order:
        return ()
    last_score = order[max(1, math.ceil(share * len(order))) - 1][1]
    return tuple(status.subchannel for status, score in order if score <= last_score)
