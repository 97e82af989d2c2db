"""From the receptions of one stream to its applications, ready to be followed.

The usual case first: one application, whose gaps are whole multiples of one period (NHM from the smallest gap). What
does not fit that goes through the search for several lattices; then lattices that succeed each other become one
application whose period or phase changed, and lattices that follow another at a short constant distance are its
retransmissions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitoring.periodic.kpi import SilenceRule, alarm_level, silence_limit
from monitoring.periodic.lattice import Explanation, Floats, Ints, Lattice, fit, settled
from monitoring.periodic.model import FALSE_ALARM
from monitoring.periodic.regression import nhm
from monitoring.periodic.search import CHANGE_COST, MULTIPLES, best_lattice, find_applications
from monitoring.periodic.tracker import MEMORY_SLOTS, Track

# Fewest receptions that can show a period: two gaps.
LEAST_RECEPTIONS: Final = 3
# One application: at most this share of gaps may lie further from a multiple of the period than NEAR periods.
ODD_GAPS: Final = 0.02
NEAR: Final = 0.2
# Above these outages a stream is searched before it is believed to be one application: the more receptions, the more
# surely another structure would show in their slots.
PLAUSIBLE_OUTAGE: Final = ((64, 0.75), (16, 0.6), (0, 0.45))
PLAUSIBLE_OUTAGE_LABELLED: Final = 0.75
# A slower lattice beside another that misses so much more is no application of its own.
ECHO_OUTAGE: Final = 0.2
# Signs of hidden structure: share of gaps that are multiples of m; chi-squared beyond its m - 1 degrees of freedom.
MOSTLY: Final = 0.75
UNEVEN: Final = 20.0
# Few receptions fit many periods: below this many, gaps must fit twice as well.
SURE_RECEPTIONS: Final = 8
# Retransmissions follow within this share of the period.
REPEAT_SHARE: Final = 0.05
# Receptions come in bursts when this share of gaps is below REPEAT_SHARE of the long ones, and the longest of them is
# this much shorter than the shortest other.
BURST_SHARE: Final = 0.15
BURST_VOID: Final = 0.3
# A period that differs less is the same one, drifting.
SAME_PERIOD: Final = 0.005


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to an application: period_changed, phase_jump, silence, ..., with its numbers."""

    kind: str
    time_s: float
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Learned:
    """Applications found, receptions that belong to none (ascending), retransmissions counted, changes seen."""

    tracks: tuple[Track, ...]
    rest_s: Floats
    repeats: int = 0
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One application's receptions (ascending) with their slots."""

    lattice: Lattice
    times_s: Floats
    slots: Ints


def learn(
    times_s: Floats,
    labelled: bool = False,
    false_alarm: float = FALSE_ALARM,
    resolution_s: float = 0.0,
    least_receptions: int = LEAST_RECEPTIONS,
) -> Learned:
    """The applications of one stream of receptions (ascending, shape (M,)).

    labelled: all receptions are of one application; then the best single period is taken, significant or not.
    """
    if times_s.size < max(least_receptions, LEAST_RECEPTIONS) or times_s[-1] <= times_s[0]:
        return Learned((), times_s)
    first = first_of_bursts(times_s)
    if not first.all():
        learned = learn(times_s[first], labelled, false_alarm, resolution_s, least_receptions)
        return replace(learned, repeats=learned.repeats + int((~first).sum()))
    alone = one_application(times_s, labelled, resolution_s)
    if alone is not None:
        return Learned((track_of(alone, false_alarm),), times_s[:0], changes=tuple(_silences(alone)))
    found = _labelled(times_s, resolution_s) if labelled else find_applications(times_s, resolution_s=resolution_s)
    enough = [i for i in range(len(found.lattices)) if found.members(i).sum() >= least_receptions]
    masks = [found.members(i) for i in enough]
    members = [
        Member(found.lattices[i], times_s[mask], found.slot[mask]) for i, mask in zip(enough, masks, strict=True)
    ]
    members, echoes = _without_echoes(members)
    rest, repeats = _without_repeats(times_s[~np.isin(found.owner, enough)], members)
    tracks, changes = _in_succession([track_of(one, false_alarm) for one in members])
    changes += [change for one in members for change in _silences(one)]
    return Learned(tuple(tracks), rest, echoes + repeats, tuple(changes))


def first_of_bursts(times_s: Floats) -> NDArray[np.bool_]:
    """Which receptions begin a burst of retransmissions; all, where receptions do not come in bursts.

    They do when a good part of the gaps is tiny and no gap is between tiny and long.
    """
    gaps = np.diff(times_s)
    tiny = gaps < REPEAT_SHARE * float(np.quantile(gaps, 0.9))
    bursts = tiny.mean() >= BURST_SHARE and not tiny.all() and gaps[tiny].max() < BURST_VOID * gaps[~tiny].min()
    return np.concatenate([[True], ~tiny]) if bursts else np.ones(times_s.size, dtype=bool)


def one_application(times_s: Floats, labelled: bool = False, resolution_s: float = 0.0) -> Member | None:
    """The stream as one application, if all its gaps are multiples of NHM's period; else None."""
    gaps = np.diff(times_s)
    if gaps.min(initial=np.inf) <= 0:
        return None
    regression = nhm(times_s)
    fraction = gaps / regression.period_s
    near = NEAR if times_s.size >= SURE_RECEPTIONS else NEAR / 2
    odd = int((np.abs(fraction - np.rint(fraction)) > near).sum())
    unlabelled = next(outage for least, outage in PLAUSIBLE_OUTAGE if times_s.size >= least)
    plausible = PLAUSIBLE_OUTAGE_LABELLED if labelled else unlabelled
    if odd > ODD_GAPS * gaps.size or (np.rint(fraction) < 1).any() or regression.outage > plausible:
        return None
    slots = np.concatenate([[0], np.cumsum(regression.orders)])
    if irregular(slots):
        return None
    lattice = fit(times_s, slots, resolution_s)
    return None if lattice is None else Member(lattice, times_s, slots)


def irregular(slots: Ints) -> bool:
    """Whether these slots (ascending) hide another structure than losses: several applications, or a changed rhythm.

    Losses leave all residues of the slot number modulo m equally likely, and gaps of m periods rare. Looked for: gaps
    that mostly are multiples of m; residues that are not uniform (chi-squared); a beginning or an end where all gaps
    are multiples of m.
    """
    orders = np.diff(slots)
    if orders.size < SURE_RECEPTIONS:
        return False
    for m in MULTIPLES:
        multiple = orders % m == 0
        if multiple.mean() > MOSTLY:
            return True
        counts = np.bincount(slots % m, minlength=m)
        expected = slots.size / m
        if float(((counts - expected) ** 2).sum()) / expected > UNEVEN + m:
            return True
        if _one_sided(multiple) or _one_sided(multiple[::-1]):
            return True
    return False


def _one_sided(multiple: NDArray[np.bool_]) -> bool:
    others = np.flatnonzero(~multiple)
    tail = multiple.size - 1 - int(others[-1]) if others.size else 0
    if tail < LEAST_RECEPTIONS:
        return False
    before = multiple[: multiple.size - tail]
    chance = (float(before.sum()) + 1) / (before.size + 2)
    return bool(-tail * np.log(chance) > CHANGE_COST + np.log(multiple.size))


def _labelled(times_s: Floats, resolution_s: float) -> Explanation:
    """One lattice for a stream that is known to be one application, bursts and strays included."""
    several = find_applications(times_s, resolution_s=resolution_s)
    if several.lattices:
        return several
    best = best_lattice(times_s, resolution_s)
    if best is not None:
        return settled(times_s, best)
    regression = nhm(times_s)
    gaps = np.diff(times_s)
    slots = np.concatenate([[0], np.cumsum(np.maximum(1, np.rint(gaps / regression.period_s)))]).astype(np.int64)
    lattice = fit(times_s, slots, resolution_s)
    lattices = () if lattice is None else (lattice,)
    return Explanation(lattices, np.full(times_s.size, len(lattices) - 1), slots, 0.0)


def track_of(member: Member, false_alarm: float) -> Track:
    """An application with what its receptions so far say of it."""
    runs = np.diff(member.slots) - 1
    limit = silence_limit(runs[runs > 0].tolist())
    lost = runs[(runs > 0) & (runs < limit)]
    silent = runs[runs >= limit]
    lattice = member.lattice
    ago = member.slots[-1] - member.slots
    seen = 0
    for slots_back in ago[ago < MEMORY_SLOTS].tolist():
        seen |= 1 << slots_back
    track = Track(
        period_s=lattice.period_s,
        slot_s=_latest_instant(member),
        jitter_s=lattice.jitter_s,
        first_s=float(member.times_s[0]),
        last_s=float(member.times_s[-1]),
        received=int(member.times_s.size),
        missed=int(lost.sum()),
        silent_s=float(silent.sum()) * lattice.period_s,
        seen=seen,
        losses=SilenceRule(int(lost.size), int(lost.sum())),
    )
    _judge_history(track, runs, limit, alarm_level(false_alarm))
    return track


def _silences(member: Member) -> list[Change]:
    """The silences within an application's receptions, each told when it ended."""
    runs = np.diff(member.slots) - 1
    limit = silence_limit(runs[runs > 0].tolist())
    return [
        Change("silence", float(member.times_s[i + 1]), {"from_s": float(member.times_s[i]), "missed": float(runs[i])})
        for i in np.flatnonzero(runs >= limit).tolist()
    ]


def _latest_instant(member: Member) -> float:
    """Scheduled instant of the last slot. Where recent receptions left the straight line (drift), they decide."""
    lattice = member.lattice
    on_line = lattice.anchor_s + lattice.period_s * float(member.slots[-1])
    recent = member.times_s[-5:] - (lattice.anchor_s + lattice.period_s * member.slots[-5:])
    away = float(np.median(recent))
    return on_line + away if abs(away) > 3 * lattice.jitter_s and recent.size == 5 else on_line


def _judge_history(track: Track, runs: Ints, limit: float, alarm: float) -> None:
    """Feed the trend of losses: each run of misses with the receptions up to the next run."""
    where = np.flatnonzero(runs > 0)
    ends = np.append(where[1:], runs.size)[: where.size]
    track.judge(0, int(where[0]) + 1 if where.size else runs.size + 1, alarm)
    for index, end in zip(where.tolist(), ends.tolist(), strict=True):
        missed = int(runs[index])
        track.judge(missed if missed < limit else 0, end - index, alarm)


def _without_echoes(members: list[Member]) -> tuple[list[Member], int]:
    """Join lattices of one period at a short constant distance: the later is the earlier's retransmission."""
    joined: list[Member] = []
    echoes = 0
    for member in sorted(members, key=lambda one: -one.times_s.size):
        for index, other in enumerate(joined):
            if _echo(other.lattice, member):
                united, extra = _united(other, member)
                joined[index] = united
                echoes += extra
                break
        else:
            joined.append(member)
    return joined, echoes


def _echo(lattice: Lattice, member: Member) -> bool:
    """Whether all of `member` lies closely beside slots of `lattice`, and has no regularity of its own."""
    if float(np.abs(lattice.residuals_s(member.times_s)).max()) > REPEAT_SHARE * lattice.period_s:
        return False
    alike = member.lattice.period_s < 1.5 * lattice.period_s
    return alike or member.lattice.outage > lattice.outage + ECHO_OUTAGE


def _united(first: Member, second: Member) -> tuple[Member, int]:
    times = np.concatenate([first.times_s, second.times_s])
    slots = np.concatenate([first.slots, first.lattice.slots(second.times_s)])
    order = np.lexsort((times, slots))
    times, slots = times[order], slots[order]
    fresh = np.concatenate([[True], np.diff(slots) > 0])
    lattice = fit(times[fresh], slots[fresh]) or first.lattice
    return replace(first, lattice=lattice, times_s=times[fresh], slots=slots[fresh]), int((~fresh).sum())


def _without_repeats(rest_s: Floats, members: list[Member]) -> tuple[Floats, int]:
    """Take out receptions that follow an application's report closely."""
    repeat: NDArray[np.bool_] = np.zeros(rest_s.size, dtype=bool)
    for member in members:
        before = np.searchsorted(member.times_s, rest_s, side="right") - 1
        gap = rest_s - member.times_s[np.maximum(before, 0)]
        repeat |= (before >= 0) & (gap < REPEAT_SHARE * member.lattice.period_s)
    return rest_s[~repeat], int(repeat.sum())


def _in_succession(tracks: list[Track]) -> tuple[list[Track], list[Change]]:
    """Where one application ends before another begins, it is one whose rhythm changed."""
    result: list[Track] = []
    changes: list[Change] = []
    for track in sorted(tracks, key=lambda one: one.first_s):
        ended = [one for one in result if one.last_s <= track.first_s]
        if not ended:
            result.append(track)
            continue
        before = min(ended, key=lambda one: abs(np.log(one.period_s / track.period_s)))
        result.remove(before)
        changes += succeed(before, track)
        result.append(track)
    return result, changes


def succeed(before: Track, after: Track) -> list[Change]:
    """Let `after` carry on the counts of `before`; returns what changed between them."""
    began_s = after.first_s
    run = max(0, round((began_s - before.last_s) / after.period_s) - 1)
    silent = run >= before.losses.limit(before.received)
    _, shift_s = before.locate(began_s)
    kind = None
    if abs(after.period_s - before.period_s) > SAME_PERIOD * before.period_s:
        kind = "period_changed"
    elif abs(shift_s) > before.gate_s:
        kind = "phase_jump"
    after.received += before.received
    after.missed += before.missed + (0 if silent else run)
    after.silent_s += before.silent_s + (run * after.period_s if silent else 0.0)
    after.first_s = before.first_s
    after.losses = SilenceRule(after.losses.runs + before.losses.runs, after.losses.missed + before.losses.missed)
    after.application = before.application
    if kind is None:
        return []
    values = {"period_before_s": before.period_s, "period_s": after.period_s, "shift_s": shift_s}
    return [Change(kind, began_s, values)]
