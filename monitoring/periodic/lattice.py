"""A periodic application as a lattice of scheduled instants, and how well lattices explain receptions.

Model (eq. E.2 of the thesis): reception m of application i comes at beta + alpha n + jitter. An application sends in
every slot n, each report is received with probability 1 - p; jitter has a Laplace density, which a one-sided
exponential delay fits better than a Gaussian. Receptions of no application are Poisson. The score is the logarithm of
that likelihood less the cost of the parameters (two-part code), so that half the period (twice the slots), a double
period (half the receptions) and one application too many all lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A jitter scale is learned from few receptions; this many pretended ones at PRIOR_JITTER of the period steady it.
PRIOR_WEIGHT: Final = 3.0
PRIOR_JITTER: Final = 0.01
# No schedule is taken for more exact than this share of its period (and of a timestamp's resolution).
LEAST_JITTER: Final = 5e-4
# Share of an application's receptions that may come anywhere within a quarter period (eq. E.7's condition; nearly half
# of it where there is no other application), once all are known: no reception is a stray merely for a long delay,
# unless strays are common.
LATE_SHARE: Final = 0.01
FEW_STRAYS: Final = 0.05
LATE_REACH: Final = 0.25
LATE_REACH_ALONE: Final = 0.48
UNOWNED: Final = -1


@dataclass(frozen=True, slots=True)
class Lattice:
    """Scheduled instants anchor_s + n period_s, from from_s until until_s (a rhythm may change).

    jitter_s: Laplace scale; outage: share of slots not received.
    """

    period_s: float
    anchor_s: float
    jitter_s: float
    outage: float = 0.3
    from_s: float = -np.inf
    until_s: float = np.inf

    def slots(self, times_s: Floats) -> Ints:
        """Index of the nearest scheduled instant of each time."""
        return np.rint((times_s - self.anchor_s) / self.period_s).astype(np.int64)

    def residuals_s(self, times_s: Floats) -> Floats:
        """Signed distance of each time to its nearest scheduled instant."""
        offset = times_s - self.anchor_s
        return np.asarray(offset - self.period_s * np.rint(offset / self.period_s))


@dataclass(frozen=True, slots=True)
class Explanation:
    """Lattices and, for each reception, which one owns it (UNOWNED for none) and in which slot."""

    lattices: tuple[Lattice, ...]
    owner: Ints
    slot: Ints
    score: float

    def members(self, index: int) -> NDArray[np.bool_]:
        """Mask of the receptions that lattice `index` owns."""
        return np.asarray(self.owner == index)

    @property
    def unowned(self) -> NDArray[np.bool_]:
        """Mask of the receptions of no application."""
        return np.asarray(self.owner == UNOWNED)


def fit(times_s: Floats, slots: Ints, resolution_s: float = 0.0) -> Lattice | None:
    """Least-squares line through (slot, time), with the Laplace scale of what remains; None without two slots."""
    count = times_s.size
    first = int(slots.min())
    n = slots - first
    spread = n - n.sum() / count
    power = float(spread @ spread)
    if power == 0:
        return None
    period = float(spread @ times_s) / power
    if period <= 0:
        return None
    anchor = float(times_s.sum() - period * n.sum()) / count - first * period
    remainder = times_s - anchor - period * slots
    middle = float(np.sort(remainder)[count // 2])
    scale = (float(np.abs(remainder - middle).sum()) + PRIOR_WEIGHT * PRIOR_JITTER * period) / (count + PRIOR_WEIGHT)
    scale = max(scale, LEAST_JITTER * period, resolution_s / 4)
    span = int(slots.max()) - first + 1
    return Lattice(period, anchor + middle, scale, (max(span - count, 0) + 0.5) / (span + 1))


def assign(
    times_s: Floats, lattices: Sequence[Lattice], noise_per_s: float, late_share: float = 0.0
) -> tuple[Ints, Ints]:
    """Owner and slot of each reception: the likeliest lattice, or none; a slot takes one reception, the best fitting.

    A reception in lattice i gains log f_i(r) + log((1-p_i)/p_i) - the slot counts as received - against the rate of
    stray receptions. Colliding receptions (paper, eq. E.14) lose to the best fitting and try their next best lattice.
    """
    gain = np.empty((len(lattices), times_s.size))
    slots = np.empty((len(lattices), times_s.size), dtype=np.int64)
    for row, lattice in enumerate(lattices):
        slots[row] = lattice.slots(times_s)
        apart = np.abs(times_s - lattice.anchor_s - lattice.period_s * slots[row])
        odds = np.log((1 - lattice.outage) / lattice.outage)
        gain[row] = odds - np.log(2 * lattice.jitter_s) - apart / lattice.jitter_s
        if late_share:
            reach = (LATE_REACH_ALONE if len(lattices) == 1 else LATE_REACH) * lattice.period_s
            late = np.where(apart < reach, odds + np.log(late_share / (2 * reach)), -np.inf)
            np.maximum(gain[row], late, out=gain[row])
        gain[row, (times_s < lattice.from_s) | (times_s >= lattice.until_s)] = -np.inf
    floor = np.log(noise_per_s)
    columns = np.arange(times_s.size)
    for _ in range(4):
        owner = gain.argmax(axis=0)
        best = gain[owner, columns]
        owner[best < floor] = UNOWNED
        slot = slots[owner, columns]
        losers = _colliding(owner, slot, best)
        if losers.size == 0:
            break
        gain[owner[losers], losers] = -np.inf
        owner[losers] = UNOWNED
    return owner.astype(np.int64), slot


def _colliding(owner: Ints, slot: Ints, gain: Floats) -> Ints:
    """Indices of owned receptions whose slot a better fitting one already has."""
    order = np.lexsort((-gain, slot, owner))
    same = (np.diff(owner[order]) == 0) & (np.diff(slot[order]) == 0) & (owner[order][1:] != UNOWNED)
    return np.asarray(order[1:][same], dtype=np.int64)


def explain(times_s: Floats, lattices: Sequence[Lattice], rounds: int = 4, resolution_s: float = 0.0) -> Explanation:
    """Assign and refit in turn until nothing moves; lattices left with fewer than two slots drop out."""
    span = max(float(times_s[-1] - times_s[0]), 1e-9)
    noise = max(times_s.size * 0.1, 0.5) / span
    current = list(lattices)
    owner = np.full(times_s.size, UNOWNED, dtype=np.int64)
    slot = np.zeros(times_s.size, dtype=np.int64)
    for _ in range(rounds):
        before = owner
        if not current:
            owner = np.full(times_s.size, UNOWNED, dtype=np.int64)
            break
        owner, slot = assign(times_s, current, noise)
        fitted = [_refit(times_s, owner == i, slot, one, resolution_s) for i, one in enumerate(current)]
        noise = max(float((owner == UNOWNED).sum()), 0.5) / span
        current = [one for one in fitted if one is not None]
        if len(current) == len(fitted) and np.array_equal(owner, before):
            break
    if current:
        owner, slot = assign(times_s, current, noise)
    return Explanation(tuple(current), owner, slot, score(times_s, current, owner, slot))


def _refit(
    times_s: Floats, mine: NDArray[np.bool_], slot: Ints, before: Lattice, resolution_s: float
) -> Lattice | None:
    if not mine.any():
        return None
    fitted = fit(times_s[mine], slot[mine], resolution_s)
    return None if fitted is None else replace(fitted, from_s=before.from_s, until_s=before.until_s)


def settled(times_s: Floats, found: Explanation) -> Explanation:
    """The last assignment: very late receptions go to their application unless strays are as common."""
    if not found.lattices:
        return found
    span = max(float(times_s[-1] - times_s[0]), 1e-9)
    strays = int(found.unowned.sum())
    noise = (strays if strays > max(3, FEW_STRAYS * times_s.size) else 0.5) / span
    owner, slot = assign(times_s, found.lattices, noise, LATE_SHARE)
    return Explanation(found.lattices, owner, slot, found.score)


def score(times_s: Floats, lattices: Sequence[Lattice], owner: Ints, slot: Ints) -> float:
    """Log-likelihood less parameter cost, in nats; comparable between explanations of the same receptions."""
    span = max(float(times_s[-1] - times_s[0]), 1e-9)
    fastest_hz = 8 * times_s.size / span
    total = 0.0
    for index, lattice in enumerate(lattices):
        mine = owner == index
        count = int(mine.sum())
        if count < 2:
            return -np.inf
        slots = slot[mine]
        sent = int(slots.max() - slots.min()) + 1
        lost = sent - count
        p = (lost + 0.5) / (sent + 1)
        apart = np.abs(times_s[mine] - lattice.anchor_s - lattice.period_s * slots)
        total -= float(apart.sum()) / lattice.jitter_s + count * np.log(2 * lattice.jitter_s)
        total += count * np.log(1 - p) + lost * np.log(p)
        total -= _cost(lattice, count, sent, fastest_hz)
    stray = int((owner == UNOWNED).sum())
    rate = max(stray, 0.5) / span
    return total + stray * float(np.log(rate)) - rate * span


def _cost(lattice: Lattice, count: int, sent: int, fastest_hz: float) -> float:
    """Nats to write down phase, period and scale as finely as `count` receptions tell them (Laplace approximation)."""
    phase = np.log(lattice.period_s * np.sqrt(count) / (2.5 * lattice.jitter_s))
    step_hz = lattice.jitter_s * np.sqrt(12) / (np.sqrt(count) * max(sent - 1, 1)) / lattice.period_s**2
    period = np.log(fastest_hz / (2.5 * step_hz))
    return float(max(phase, 0.0) + max(period, 0.0) + 1.0)
