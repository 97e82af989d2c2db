"""HDA, the heuristic of Algorithm 2: newcomers join the lines of the moment before; smart removal makes room.

Mended: the best removal score and pair start anew every round; what is left at the end goes through Algorithm 1. Ties:
lowest device index, then lowest line number, then smallest shift, negative first. Devices that stay keep their shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from planning.grouping.arithmetic import Patterns, common_timeline, compiled, meet, patterns_of
from planning.grouping.assignment import NOWHERE, Assignment, Previous
from planning.grouping.initial import Supply, hia, lowest_offers, next_addition, take
from planning.grouping.kinds import Kinds, kinds_of
from planning.grouping.lines import Lines, empty_lines, fits, join, leave
from planning.grouping.numbering import number_lines
from planning.grouping.traffic import IntArray, Traffic

# For next_addition: hold newcomers against all devices of a line.
EVERYONE: Final = 2**62


@dataclass(frozen=True)
class Rules:
    """Readings of the two algorithms where the paper is open; the first of each is the default.

    clip: shifts may not wrap round the interval. whole_timeline: scores over the LCM of all devices, not the group's.
    fewest_first: smart removal prefers the fewest intersecting devices (the toy example), not the most (the text).
    unshifted_removal: it looks at newcomers unshifted, not at all their shifts. single_leftovers: what is left opens
    a line each, instead of going through Algorithm 1.
    """

    clip: bool = False
    whole_timeline: bool = False
    fewest_first: bool = False
    unshifted_removal: bool = False
    single_leftovers: bool = False


@dataclass(frozen=True)
class Standing:
    """The lines of the moment before, with the devices that are still there and still fit.

    numbers: line numbers, ascending; lines: their state, with room for every device; option: int64 (M,), of every
    device that stands on a line, -1 for the others.
    """

    numbers: tuple[int, ...]
    lines: Lines
    option: IntArray


def hda(
    traffic: Traffic, max_shift: int, previous: Previous, *, smart_removal: bool = True, rules: Rules | None = None
) -> Assignment:
    """Place newcomers by Algorithm 2; without smart_removal it is HDA_noSR."""
    rules = rules or Rules()
    kinds = kinds_of(traffic, max_shift, clip=rules.clip)
    patterns = patterns_of(kinds)
    base = min(kinds.timeline_slots, 2**62) if rules.whole_timeline else 1
    standing = stand(kinds, traffic, previous, base)
    lines, option = standing.lines, standing.option
    count = len(standing.numbers)
    _merge(waiting_supply(kinds, option), patterns, kinds.kind, lines, count, option)
    if smart_removal:
        scale = float(min(kinds.timeline_slots, 2**40))
        _remove(
            waiting_supply(kinds, option),
            patterns,
            kinds.kind,
            lines,
            count,
            option,
            scale,
            rules.fewest_first,
            rules.unshifted_removal,
        )
        _merge(waiting_supply(kinds, option), patterns, kinds.kind, lines, count, option)
    rest = np.flatnonzero(option < 0)
    shift = np.where(option < 0, 0, kinds.option_shift[option])
    group = lines.line.copy()
    if rest.size and rules.single_leftovers:
        group[rest] = count + np.arange(rest.size)
    elif rest.size:
        regrouped = hia(traffic.select(rest), max_shift, clip=rules.clip, whole_timeline=rules.whole_timeline)
        group[rest] = count + np.array(regrouped.line) - 1
        shift[rest] = regrouped.shift
    return Assignment(number_lines(group, standing.numbers, previous.line_of(traffic)), tuple(shift.tolist()))


def stand(kinds: Kinds, traffic: Traffic, previous: Previous, base_timeline: int = 1) -> Standing:
    """The lines of the moment before with everyone who is still there, keeps an admissible shift and meets nobody.

    Devices whose traffic changed so that they no longer fit count as waiting; the lowest index stays.
    """
    numbers = tuple(sorted({line for line in previous.line_of(traffic) if line != NOWHERE}))
    place = {number: row for row, number in enumerate(numbers)}
    lines = empty_lines(len(numbers), len(traffic), kinds.words.shape[1], base_timeline)
    option = np.full(len(traffic), -1, dtype=np.int64)
    patterns = patterns_of(kinds)
    for device, name in enumerate(traffic.names):
        if name not in previous.places:
            continue
        number, shift = previous.places[name]
        chosen = option_of(kinds, int(kinds.kind[device]), shift)
        if chosen >= 0 and fits(patterns, lines, place[number], kinds.option_pattern[chosen]):
            option[device] = chosen
            join(patterns, lines, place[number], device, kinds.option_pattern[chosen])
    return Standing(numbers, lines, option)


def option_of(kinds: Kinds, kind: int, shift: int) -> int:
    """Option of `kind` that shifts by `shift`, or leads to the same start; -1 when there is none."""
    begin, end = int(kinds.first_option[kind]), int(kinds.first_option[kind + 1])
    same = (kinds.option_shift[begin:end] - shift) % kinds.interval[kind] == 0
    found = np.flatnonzero(same)
    return begin + int(found[0]) if found.size else -1


def waiting_supply(kinds: Kinds, option: IntArray) -> Supply:
    """Devices that have no option yet, by kind, for the kernels."""
    waiting = kinds.device[option[kinds.device] < 0]
    per_kind = np.bincount(kinds.kind[waiting], minlength=kinds.interval.size)
    first = np.concatenate(([0], np.cumsum(per_kind))).astype(np.int64)
    return Supply(first, waiting, kinds.first_option, kinds.option_pattern, kinds.option_shift)


@compiled
def _merge(supply: Supply, patterns: Patterns, kind: IntArray, lines: Lines, count: int, option: IntArray) -> None:
    """Put the waiting device and line of highest addition score together, again and again (eq. 12).

    Every line remembers its best newcomer; that stays the best until the line changes or the newcomer is taken.
    """
    taken = np.zeros(supply.first_device.size - 1, dtype=np.int64)
    offers, lowest = lowest_offers(supply, patterns.interval.size)
    score = np.zeros((count, 3))
    wish = np.full((count, 3), -1, dtype=np.int64)  # device, option, pattern; device -1: nobody fits
    stale = np.ones(count, dtype=np.bool_)
    alive = np.empty(patterns.interval.size, dtype=np.int64)
    while True:
        best = -1
        for line in range(count):
            if lines.first[line] < 0:
                continue
            if stale[line]:
                alive[:] = np.arange(alive.size)
                pattern, _, reached = next_addition(patterns, lines, line, lowest, alive, alive.size, EVERYONE)
                wish[line, 0] = -1
                if pattern >= 0:
                    wish[line, 0], wish[line, 1], wish[line, 2] = lowest[pattern, 0], lowest[pattern, 1], pattern
                    score[line, 0], score[line, 1], score[line, 2] = reached
                stale[line] = False
            if wish[line, 0] < 0:
                continue
            mine = (score[line, 0], score[line, 1], score[line, 2])
            top = (score[best, 0], score[best, 1], score[best, 2])
            if best < 0 or mine > top or (mine == top and wish[line, 0] < wish[best, 0]):
                best = line
        if best < 0:
            return
        device, pattern = int(wish[best, 0]), int(wish[best, 2])
        option[device] = wish[best, 1]
        take(supply, offers, taken, lowest, kind[device])
        join(patterns, lines, best, device, pattern)
        stale[best] = True
        for line in range(count):
            if wish[line, 0] == device:
                stale[line] = True


@compiled
def _removal_score(patterns: Patterns, lines: Lines, line: int, pattern: int, scale: float) -> Any:
    """(C, -D, E) of `pattern` on `line`, the larger the better; C = 0 when it meets nobody.

    C: devices met; D, E: slots of the timeline of `scale` slots in which exactly both, exactly one, of the newcomer
    and the devices it meets send.
    """
    met, both, theirs = 0, 0.0, 0.0
    device = lines.first[line]
    while device >= 0:
        other = lines.pattern[device]
        common = meet(patterns, pattern, other)
        if common > 0:
            met += 1
            both += scale / common_timeline(patterns.interval[pattern], patterns.interval[other]) * common
            theirs += scale / patterns.interval[other] * patterns.duration[other]
        device = lines.following[device]
    own = scale / patterns.interval[pattern] * patterns.duration[pattern]
    return float(met), -both, own + theirs - 2.0 * both


@compiled
def _best_removal(
    patterns: Patterns, lines: Lines, line: int, lowest: IntArray, scale: float, fewest: bool, first_option: Any
) -> Any:
    """(score, device, option, pattern) of the newcomer whose way onto `line` is best cleared; device -1 for none.

    first_option: int64 (M,) of every device when only unshifted newcomers count, else empty.
    """
    top, device, option, chosen = (0.0, 0.0, 0.0), -1, -1, -1
    for pattern in range(lowest.shape[0]):
        if lowest[pattern, 0] < 0:
            continue
        if first_option.size and first_option[lowest[pattern, 0]] != lowest[pattern, 1]:
            continue
        met, minus_both, one = _removal_score(patterns, lines, line, pattern, scale)
        if met == 0.0:
            continue
        score = (-met if fewest else met, minus_both, one)
        lower = (lowest[pattern, 0], lowest[pattern, 1]) < (device, option)
        if device < 0 or score > top or (score == top and lower):
            top, device, option, chosen = score, lowest[pattern, 0], lowest[pattern, 1], pattern
    return top, device, option, chosen


@compiled
def _remove(
    supply: Supply,
    patterns: Patterns,
    kind: IntArray,
    lines: Lines,
    count: int,
    option: IntArray,
    scale: float,
    fewest: bool,
    unshifted: bool,
) -> None:
    """Smart removal: the newcomer and line of highest removal score lose, in turn, what they meet on that line.

    Devices taken off a line get option -1; every newcomer is considered once.
    """
    taken = np.zeros(supply.first_device.size - 1, dtype=np.int64)
    offers, lowest = lowest_offers(supply, patterns.interval.size)
    first_option = supply.first_option[kind] if unshifted else np.zeros(0, dtype=np.int64)
    score = np.zeros((count, 3))
    wish = np.full((count, 3), -1, dtype=np.int64)
    stale = np.ones(count, dtype=np.bool_)
    while True:
        best = -1
        for line in range(count):
            if lines.first[line] < 0:
                continue
            if stale[line]:
                found = _best_removal(patterns, lines, line, lowest, scale, fewest, first_option)
                score[line, 0], score[line, 1], score[line, 2] = found[0]
                wish[line, 0], wish[line, 1], wish[line, 2] = found[1], found[2], found[3]
                stale[line] = False
            if wish[line, 0] < 0:
                continue
            mine = (score[line, 0], score[line, 1], score[line, 2])
            top = (score[best, 0], score[best, 1], score[best, 2])
            if best < 0 or mine > top or (mine == top and wish[line, 0] < wish[best, 0]):
                best = line
        if best < 0:
            return
        newcomer, pattern = wish[best, 0], wish[best, 2]
        take(supply, offers, taken, lowest, kind[newcomer])
        # Leaving a line rebuilds its list, so the devices are looked up apart.
        for device in np.flatnonzero(lines.line == best):
            if meet(patterns, pattern, lines.pattern[device]) > 0:
                leave(patterns, lines, int(device))
                option[device] = -1
        stale[best] = True
        for line in range(count):
            if wish[line, 0] == newcomer:
                stale[line] = True
