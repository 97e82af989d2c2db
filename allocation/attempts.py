"""Lines 8 to 14 of Algorithm 1: up to N random (slot, subchannel) tries, and what happens when all fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from allocation.draws import Draws
from allocation.policies import Load, Policy, available, candidates, ranked
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.status import ChannelStatus

# With `auto`, no more than this share of requests should end in a forced allocation ...
AUTO_FORCED_SHARE: Final = 0.01
# ... and no request makes more tries than this, however crowded the site is.
AUTO_MOST_ATTEMPTS: Final = 32


class Try(NamedTuple):
    """One draw: a subchannel for [start_s, end_s). A tuple, since every request makes N of them."""

    subchannel: Subchannel
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SlotGrid:
    """Where a transmission may start: `count` slots of `slot_s` from `first_s`. One slot: start at once."""

    first_s: float
    slot_s: float
    count: int = 1

    def __post_init__(self) -> None:
        if self.slot_s <= 0 or self.count < 1:
            raise BadInput(f"slots need a length above 0 s and a count of 1 or more, got {self.slot_s} s, {self.count}")

    def slot(self, index: int) -> tuple[float, float]:
        """[start, end) of slot `index` in seconds, on whole microseconds: what is tried is what a database can keep."""
        start_s = self.first_s + index * self.slot_s
        return round(start_s * 1e6) / 1e6, round((start_s + self.slot_s) * 1e6) / 1e6


@dataclass(frozen=True, slots=True)
class Ranking:
    """Lines 2 to 6: what a request may draw from, and why; the same for all requests over one snapshot.

    order: the available subchannels with their scores, best first. pool: those the tries are drawn from. sensed: False
    when nothing was available and the draws are blind.
    """

    order: tuple[tuple[Subchannel, float], ...]
    pool: tuple[Subchannel, ...]
    sensed: bool


@dataclass(frozen=True, slots=True)
class AttemptPlan:
    """What one request will try, in order; the last try stands when all are taken."""

    ranking: Ranking
    tries: tuple[Try, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Which try was taken: attempt 1..N, or forced on the last draw."""

    taken: Try
    attempt: int
    forced: bool


def rank(
    statuses: Sequence[ChannelStatus], policy: Policy, *, load: Load | None = None, share: float | None = None
) -> Ranking:
    """Lines 2 to 6 of Algorithm 1 over the subchannels that a device can use.

    When none is available the draws are made from all of them and `sensed` is False: the paper then forces a random
    subchannel "which may or may not be in idle state" (section 4). share: None for the policy's own.
    """
    if not statuses:
        raise BadInput("a request needs at least one subchannel that the device can use, got none")
    usable = available(statuses) if policy.senses else tuple(statuses)
    order = ranked(usable or statuses, policy, load or {})
    pool = candidates(order, policy.share if share is None else share)
    return Ranking(tuple((status.subchannel, score) for status, score in order), pool, bool(usable))


def draw_tries(
    ranking: Ranking,
    grid: SlotGrid,
    attempts: int,
    rng: Draws,
    *,
    rotates: bool = False,
    last: Subchannel | None = None,
) -> tuple[Try, ...]:
    """Line 9, N times: a random slot and subchannel (or, for a policy that rotates, the next after `last`)."""
    if attempts < 1:
        raise BadInput(f"the number of attempts must be 1 or more, got {attempts}")
    pool = ranking.pool
    if rotates:
        draw = _rotation(pool, last)
        return tuple([Try(draw(i), *grid.slot(rng.randrange(grid.count))) for i in range(attempts)])
    size, randrange = len(pool), rng.randrange
    return tuple([Try(pool[randrange(size)], *grid.slot(randrange(grid.count))) for _ in range(attempts)])


def plan_attempts(
    statuses: Sequence[ChannelStatus],
    grid: SlotGrid,
    policy: Policy,
    attempts: int,
    rng: Draws,
    *,
    load: Load | None = None,
    last: Subchannel | None = None,
    share: float | None = None,
) -> AttemptPlan:
    """Lines 2 to 9 of Algorithm 1 over a snapshot: the ranking and the N draws of one request."""
    ranking = rank(statuses, policy, load=load, share=share)
    return AttemptPlan(ranking, draw_tries(ranking, grid, attempts, rng, rotates=policy.rotates, last=last))


def _rotation(pool: Sequence[Subchannel], last: Subchannel | None) -> Callable[[int], Subchannel]:
    ordered = sorted(pool)
    first = next((i for i, subchannel in enumerate(ordered) if last is None or subchannel > last), 0)
    return lambda i: ordered[(first + i) % len(ordered)]


def settle(tries: Sequence[Try], is_idle: Callable[[Try], bool]) -> Outcome:
    """Lines 10 to 14: the first idle try, else the last draw, forced. The slow truth of the database's script."""
    for number, drawn in enumerate(tries, start=1):
        if is_idle(drawn):
            return Outcome(drawn, number, forced=False)
    return Outcome(tries[-1], len(tries), forced=True)


def attempts_for(devices: int, cells: int, delay_s: float, attempt_s: float) -> int:
    """N for `auto`: few enough for the delay an application allows, enough that forced allocations stay rare.

    With `devices` competing for `cells` (slots x subchannels), a draw meets a taken cell with probability q of at most
    min(1, devices / cells), so N draws all fail with at most q^N; N is the smallest with q^N <= 1 %.
    delay_s / attempt_s bounds it ("a very important trade-off", section 4 of the RRM paper).
    """
    if devices < 0 or cells < 1 or delay_s < 0 or attempt_s <= 0:
        raise BadInput(
            f"auto needs devices >= 0, cells >= 1, delay >= 0 s and an attempt above 0 s, "
            f"got {devices}, {cells}, {delay_s} s, {attempt_s} s"
        )
    affordable = max(1, min(AUTO_MOST_ATTEMPTS, math.floor(delay_s / attempt_s)))
    taken = min(1.0, devices / cells)
    if taken <= AUTO_FORCED_SHARE:
        return 1
    if taken >= 1.0:
        return affordable
    return max(1, min(affordable, math.ceil(math.log(AUTO_FORCED_SHARE) / math.log(taken))))
