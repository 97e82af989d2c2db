"""Kernel of Algorithm 2's smart removal: devices leave a line where a newcomer would meet the most of them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.grouping.arithmetic import Patterns, common_timeline, compiled, gcd, meet, meet_slots_of
from planning.grouping.initial import Supply, lowest_offers, take
from planning.grouping.lines import Lines, leave
from planning.grouping.traffic import IntArray
from planning.grouping.wishes import Wishes, no_wishes, pop, wish

# Patterns up to which meetings are looked up in a table instead of computed.
MOST_TABLED: Final = 2000
# Newcomers' patterns that a line keeps in mind between two looks at all of them.
SHORTLIST: Final = 24


@compiled
def _meeting_table(patterns: Patterns, scale: float) -> NDArray[np.float64]:
    """Slots of a timeline of `scale` slots in which two patterns both send, float64 (P, P); empty when too large."""
    count = patterns.interval.size
    if count > MOST_TABLED:
        return np.zeros((0, 0))
    table = np.empty((count, count))
    interval, duration, start = patterns.interval, patterns.duration, patterns.start
    for a in range(count):
        step, rounds = 0, 0.0
        for b in range(a + 1):
            # Patterns are sorted by interval: gcd and LCM stay the same for many in a row.
            if b == 0 or interval[b] != interval[b - 1]:
                step = gcd(interval[a], interval[b])
                rounds = scale / common_timeline(interval[a], interval[b])
            common = meet_slots_of(step, duration[a], start[a], duration[b], start[b])
            table[a, b] = table[b, a] = rounds * common
    return table


@compiled
def _meeting(patterns: Patterns, table: NDArray[np.float64], a: int, b: int, scale: float) -> float:
    """Slots of the timeline in which patterns a and b both send; looked up where there is a table."""
    if table.size:
        return float(table[a, b])
    common = meet(patterns, a, b)
    return scale / common_timeline(patterns.interval[a], patterns.interval[b]) * common


class Shortlists(NamedTuple):
    """The newcomers' patterns of highest removal score on every line, best first.

    pattern: int64 (G, K), -1 beyond the end; score: float64 (G, K, 3); floor: int64 (G, 2), device and option that
    offered the last of a full list when it was made: what was left out then came after that, and can only fall. -1:
    nothing was left out.
    """

    pattern: IntArray
    score: NDArray[np.float64]
    floor: IntArray


@compiled
def _removal_score(
    patterns: Patterns, table: NDArray[np.float64], lines: Lines, line: int, pattern: int, scale: float
) -> tuple[float, float, float]:
    """(C, -D, E) of `pattern` on `line`, the larger the better; C = 0 when it meets nobody.

    C: devices met; D, E: slots of the timeline in which exactly both, exactly one, of the newcomer and the devices it
    meets send.
    """
    met, both, theirs = 0, 0.0, 0.0
    device = lines.first[line]
    while device >= 0:
        other = lines.pattern[device]
        common = _meeting(patterns, table, pattern, other, scale)
        if common > 0.0:
            met += 1
            both += common
            theirs += scale / patterns.interval[other] * patterns.duration[other]
        device = lines.following[device]
    own = scale / patterns.interval[pattern] * patterns.duration[pattern]
    return float(met), -both, own + theirs - 2.0 * both


@compiled
def _list_anew(
    lists: Shortlists, patterns: Patterns, table: NDArray[np.float64], lines: Lines, line: int, lowest: IntArray,
    scale: float, fewest: bool,
) -> None:  # fmt: skip
    """Make the shortlist of `line` from all newcomers."""
    longest, size, crowded = lists.pattern.shape[1], 0, False
    listed, scores = lists.pattern[line], lists.score[line]
    for pattern in range(lowest.shape[0]):
        if lowest[pattern, 0] < 0:
            continue
        met, minus_both, one = _removal_score(patterns, table, lines, line, pattern, scale)
        if met == 0.0:
            continue
        score = (-met if fewest else met, minus_both, one)
        place = size
        while place > 0:
            other = listed[place - 1]
            reached = (scores[place - 1, 0], scores[place - 1, 1], scores[place - 1, 2])
            if score < reached or (score == reached and not _offered_before(lowest, pattern, other)):
                break
            place -= 1
        crowded |= size == longest
        if place == longest:
            continue
        size = min(size + 1, longest)
        for row in range(size - 1, place, -1):
            listed[row] = listed[row - 1]
            scores[row] = scores[row - 1]
        listed[place] = pattern
        scores[place, 0], scores[place, 1], scores[place, 2] = score
    listed[size:] = -1
    lists.floor[line] = -1
    if crowded:
        lists.floor[line] = lowest[listed[size - 1]]


@compiled
def _offered_before(lowest: IntArray, pattern: int, other: int) -> bool:
    """Whether `pattern` is offered by a lower device, or by the same with a lower option, than `other`."""
    return (lowest[pattern, 0], lowest[pattern, 1]) < (lowest[other, 0], lowest[other, 1])


@compiled
def _same(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return bool(a[0] == b[0] and a[1] == b[1] and a[2] == b[2])


@compiled
def _top_of_list(lists: Shortlists, line: int, lowest: IntArray) -> int:
    """Place on its shortlist of the best newcomer still there, -1 for none, -2 when one left out may be better."""
    listed, scores, floor, top = lists.pattern[line], lists.score[line], lists.floor[line], -1
    for place in range(listed.size):
        if listed[place] < 0 or (top >= 0 and not _same(scores[place], scores[top])):
            break
        there = lowest[listed[place], 0] >= 0
        if there and (top < 0 or _offered_before(lowest, listed[place], listed[top])):
            top = place
    if floor[0] < 0:
        return top
    if top < 0:
        return -2
    offered = (lowest[listed[top], 0], lowest[listed[top], 1])
    return -2 if _same(scores[top], scores[-1]) and offered > (floor[0], floor[1]) else top


@compiled
def _look_to_clear(wishes: Wishes, lists: Shortlists, lines: Lines, line: int, lowest: IntArray) -> bool:
    """Wish for the best newcomer on the shortlist of `line`; False when the list must be made anew."""
    top = _top_of_list(lists, line, lowest)
    if top >= 0:
        pattern, score = lists.pattern[line, top], lists.score[line, top]
        wish(wishes, line, (score[0], score[1], score[2]), (lowest[pattern, 0], lowest[pattern, 1], pattern))
    return top > -2


@compiled
def _met(patterns: Patterns, lines: Lines, line: int, pattern: int) -> list[int]:
    """Devices of `line` that `pattern` meets."""
    listed = []
    device = lines.first[line]
    while device >= 0:
        if meet(patterns, pattern, lines.pattern[device]) > 0:
            listed.append(device)
        device = lines.following[device]
    return listed


@compiled
def clear_the_way(
    supply: Supply, patterns: Patterns, kind: IntArray, lines: Lines, count: int, option: IntArray, scale: float,
    fewest: bool,
) -> None:  # fmt: skip
    """Smart removal: the newcomer and line of highest removal score lose, in turn, what they meet on that line.

    Every newcomer is considered once. scale: slots of the timeline that D and E count. Devices taken off a line get
    option -1 and wait, as the newcomers still do.
    """
    considered = np.zeros(option.size, dtype=np.bool_)
    taken = np.zeros(supply.first_device.size - 1, dtype=np.int64)
    offers, lowest = lowest_offers(supply, patterns.interval.size)
    table = _meeting_table(patterns, scale)
    wishes = no_wishes(count)
    lists = Shortlists(
        np.full((count, SHORTLIST), -1, dtype=np.int64),
        np.zeros((count, SHORTLIST, 3)),
        np.full((count, 2), -1, dtype=np.int64),
    )
    for line in range(count):
        _list_anew(lists, patterns, table, lines, line, lowest, scale, fewest)
        _look_to_clear(wishes, lists, lines, line, lowest)
    while True:
        line = pop(wishes)
        if line < 0:
            return
        newcomer, pattern = wishes.device[line], wishes.pattern[line]
        if not considered[newcomer]:
            considered[newcomer] = True
            take(supply, offers, taken, lowest, kind[newcomer])
            for device in _met(patterns, lines, line, pattern):
                leave(patterns, lines, device)
                option[device] = -1
            _list_anew(lists, patterns, table, lines, line, lowest, scale, fewest)
        if not _look_to_clear(wishes, lists, lines, line, lowest):
            _list_anew(lists, patterns, table, lines, line, lowest, scale, fewest)
            _look_to_clear(wishes, lists, lines, line, lowest)
