"""HIA, the heuristic of Algorithm 1, by kinds: as printed where it holds, mended where it slips.

Mended: the device added is the maximiser and leaves both sets; "none found" is a flag, not a score of 0. Ties: lowest
device index, then smallest shift, negative first. A root pair shifts both devices, later only the newcomer shifts.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.grouping.arithmetic import (
    Patterns,
    addition_score,
    apart,
    common_timeline,
    compiled,
    gcd,
    patterns_of,
)
from planning.grouping.assignment import Assignment
from planning.grouping.kinds import Kinds, kinds_of, most_options_of
from planning.grouping.lines import Lines, empty_lines, fits, free_of, join, score_added
from planning.grouping.traffic import IntArray, Traffic

# Above this many kinds the table of root pairs would not fit; devices are then grouped in blocks.
MOST_KINDS: Final = 5000
# Pairs of options of all pairs of kinds that are compared; with more, every kind keeps fewer, evenly spaced shifts.
MOST_PAIRS: Final = 400_000_000


class Supply(NamedTuple):
    """Kinds as the kernels take them: devices and options by kind, see Kinds."""

    first_device: IntArray
    device: IntArray
    first_option: IntArray
    option_pattern: IntArray
    option_shift: IntArray


def supply_of(kinds: Kinds) -> Supply:
    """Devices and options of `kinds` for the kernels."""
    return Supply(kinds.first_device, kinds.device, kinds.first_option, kinds.option_pattern, kinds.option_shift)


def hia(traffic: Traffic, max_shift: int, *, clip: bool = False, whole_timeline: bool = False) -> Assignment:
    """Group devices by Algorithm 1; lines are numbered from 1 in the order they are opened.

    clip: shifts do not wrap round the interval. whole_timeline: scores over the LCM of all devices instead of the
    group's. More than MOST_KINDS kinds are grouped in blocks of devices, in order.
    """
    line = np.zeros(len(traffic), dtype=np.int64)
    shift = np.zeros(len(traffic), dtype=np.int64)
    opened = 0
    for block in _blocks(traffic, max_shift, clip):
        part = traffic if block.size == len(traffic) else traffic.select(block)
        kinds = kinds_of(part, max_shift, clip=clip, most_options=_affordable(part))
        base = min(kinds.timeline_slots, 2**62) if whole_timeline else 1
        line[block], shift[block] = group_kinds(kinds, base)
        line[block] += opened + 1
        opened = int(line[block].max())
    return Assignment(tuple(line.tolist()), tuple(shift.tolist()))


def _affordable(traffic: Traffic) -> int:
    """Options of a kind that keep the work within MOST_PAIRS and MOST_OPTIONS, at least 1."""
    kinds = kinds_of(traffic, 0).interval.size
    return max(1, min(math.isqrt(2 * MOST_PAIRS) // kinds, most_options_of(traffic)))


def _blocks(traffic: Traffic, max_shift: int, clip: bool) -> list[IntArray]:
    everyone = np.arange(len(traffic), dtype=np.int64)
    if len(traffic) <= MOST_KINDS or kinds_of(traffic, 0, clip=clip).interval.size <= MOST_KINDS:
        return [everyone]
    return np.array_split(everyone, -(-len(traffic) // MOST_KINDS))


def group_kinds(kinds: Kinds, base_timeline: int = 1) -> tuple[IntArray, IntArray]:
    """Line (from 0) and shift of every device by Algorithm 1, int64 (M,) each."""
    supply, patterns = supply_of(kinds), patterns_of(kinds)
    pairs, scores = _root_pairs(supply, patterns, base_timeline)
    order = np.lexsort((-scores[:, 2], -scores[:, 1], -scores[:, 0]))
    pairs, scores = pairs[order], scores[order]
    new_class = np.any(scores[1:] != scores[:-1], axis=1)
    bounds = np.concatenate(([0], np.flatnonzero(new_class) + 1, [len(pairs)])).astype(np.int64)
    lines = empty_lines(kinds.kind.size, kinds.kind.size, kinds.words.shape[1], base_timeline)
    option = _group(supply, patterns, kinds.kind, lines, pairs, bounds)
    alone = np.flatnonzero(option < 0)
    option[alone] = kinds.first_option[kinds.kind[alone]]
    lines.line[alone] = np.arange(alone.size) + lines.line.max() + 1
    return lines.line, kinds.option_shift[option]


@compiled
def _best_of_pair(
    supply: Supply, patterns: Patterns, a: int, b: int, base: int
) -> tuple[float, float, float, int, int]:
    """Best addition score over the shifts of kinds a and b, and the options that first reach it; -1 when none fits.

    Interval and duration are the kinds' own, so that only the active timeline and the border depend on the shifts.
    """
    p, q = supply.option_pattern[supply.first_option[a]], supply.option_pattern[supply.first_option[b]]
    step = gcd(patterns.interval[p], patterns.interval[q])
    timeline = common_timeline(common_timeline(base, patterns.interval[p]), patterns.interval[q])
    used = float(patterns.duration[p]) * (timeline // patterns.interval[p])
    used += float(patterns.duration[q]) * (timeline // patterns.interval[q])
    best, first, second = (-np.inf, 0.0, 0.0), -1, -1
    least_active = np.int64(2**62)
    for i in range(supply.first_option[a], supply.first_option[a + 1]):
        p = supply.option_pattern[i]
        for j in range(supply.first_option[b], supply.first_option[b + 1]):
            q = supply.option_pattern[j]
            head, tail = min(patterns.head[p], patterns.head[q]), min(patterns.tail[p], patterns.tail[q])
            if timeline - head - tail > least_active:
                continue
            if not apart(step, patterns.duration[p], patterns.start[p], patterns.duration[q], patterns.start[q]):
                continue
            score = addition_score(timeline, head, tail, used)
            if score > best:
                best, first, second, least_active = score, i, j, timeline - head - tail
    return best[0], best[1], best[2], first, second


@compiled
def _root_pairs(supply: Supply, patterns: Patterns, base: int) -> tuple[IntArray, NDArray[np.float64]]:
    """Pairs of kinds (a <= b) that can share a line, int64 (n, 2), and their best score over shifts, (n, 3)."""
    count = supply.first_device.size - 1
    pairs = np.empty((count * (count + 1) // 2, 2), dtype=np.int64)
    scores = np.empty((count * (count + 1) // 2, 3))
    found = 0
    for a in range(count):
        for b in range(a, count):
            if a == b and supply.first_device[a + 1] - supply.first_device[a] < 2:
                continue
            minus_active, utilisation, minus_border, first, _ = _best_of_pair(supply, patterns, a, b, base)
            if first >= 0:
                pairs[found, 0], pairs[found, 1] = a, b
                scores[found, 0], scores[found, 1], scores[found, 2] = minus_active, utilisation, minus_border
                found += 1
    return pairs[:found], scores[:found]


@compiled
def _partners(pairs: IntArray, kinds: int) -> tuple[IntArray, IntArray, IntArray]:
    """Adjacency of pairs: (first, partner, kinds that have one), partners of kind k at first[k]:first[k + 1]."""
    first = np.zeros(kinds + 1, dtype=np.int64)
    for a, b in pairs:
        first[a + 1] += 1
        first[b + 1] += a != b
    first = np.cumsum(first)
    filled = first[:-1].copy()
    partner = np.empty(first[-1], dtype=np.int64)
    for a, b in pairs:
        partner[filled[a]] = b
        filled[a] += 1
        if a != b:
            partner[filled[b]] = a
            filled[b] += 1
    return first, partner, np.flatnonzero(first[1:] > first[:-1])


@compiled
def _lowest_pair(supply: Supply, taken: IntArray, partners: tuple[IntArray, IntArray, IntArray]) -> Any:
    """Lowest device left that has a partner left, and its lowest partner; (-1, -1) when there is none."""
    first, partner, kinds = partners
    x, y = np.int64(-1), np.int64(-1)
    for a in kinds:
        place = supply.first_device[a] + taken[a]
        if place >= supply.first_device[a + 1] or (x >= 0 and supply.device[place] > x):
            continue
        lowest = np.int64(-1)
        for b in partner[first[a] : first[a + 1]]:
            other = supply.first_device[b] + taken[b] + (a == b)
            if other < supply.first_device[b + 1] and (lowest < 0 or supply.device[other] < lowest):
                lowest = supply.device[other]
        if lowest >= 0:
            x, y = supply.device[place], lowest
    return x, y


@compiled
def _offers(supply: Supply, patterns: int) -> tuple[IntArray, IntArray, IntArray]:
    """Which kinds offer a pattern: (first, kind, option), those of pattern p at first[p]:first[p + 1]."""
    first = np.zeros(patterns + 1, dtype=np.int64)
    for pattern in supply.option_pattern:
        first[pattern + 1] += 1
    first = np.cumsum(first)
    filled = first[:-1].copy()
    kind, option = np.empty_like(supply.option_pattern), np.empty_like(supply.option_pattern)
    for k in range(supply.first_device.size - 1):
        for place in range(supply.first_option[k], supply.first_option[k + 1]):
            row = filled[supply.option_pattern[place]]
            kind[row], option[row] = k, place
            filled[supply.option_pattern[place]] += 1
    return first, kind, option


@compiled
def take(
    supply: Supply, offers: tuple[IntArray, IntArray, IntArray], taken: IntArray, lowest: IntArray, kind: int
) -> None:
    """Count one device of `kind` as taken; lowest: int64 (P, 2), lowest device left that offers a pattern, and its
    option, (-1, -1) when there is none; brought up to date."""
    first, offered_kind, offered_option = offers
    taken[kind] += 1
    for place in range(supply.first_option[kind], supply.first_option[kind + 1]):
        pattern = supply.option_pattern[place]
        lowest[pattern] = -1
        for row in range(first[pattern], first[pattern + 1]):
            other = offered_kind[row]
            device_place = supply.first_device[other] + taken[other]
            if device_place < supply.first_device[other + 1]:
                device = supply.device[device_place]
                if lowest[pattern, 0] < 0 or device < lowest[pattern, 0]:
                    lowest[pattern, 0], lowest[pattern, 1] = device, offered_option[row]


@compiled
def lowest_offers(supply: Supply, patterns: int) -> tuple[tuple[IntArray, IntArray, IntArray], IntArray]:
    """(offers, lowest) as `take` keeps them, before any device is taken."""
    offers = _offers(supply, patterns)
    lowest = np.full((patterns, 2), -1, dtype=np.int64)
    taken = np.full(supply.first_device.size - 1, 0, dtype=np.int64)
    for kind in range(taken.size):
        taken[kind] -= 1
        take(supply, offers, taken, lowest, kind)
    return offers, lowest


@compiled
def next_addition(
    patterns: Patterns, lines: Lines, line: int, lowest: IntArray, alive: IntArray, left: int, newest: int
) -> Any:
    """(best pattern or -1, patterns still alive, its score); alive[:left] might still fit, compacted in place.

    newest: see `fits`.
    """
    kept, best, best_score = 0, -1, (0.0, 0.0, 0.0)
    # Taken out of their tuples here: handing whole tuples on costs more than the work on one pattern.
    words, union, masked = patterns.words, lines.union[line], lines.union.shape[1] > 0
    interval, duration, head, tail = patterns.interval, patterns.duration, patterns.head, patterns.tail
    now = (lines.timeline[line], lines.head[line], lines.tail[line], lines.used[line])
    for row in range(left):
        pattern = alive[row]
        if lowest[pattern, 0] < 0:
            continue
        if masked:
            if not free_of(words, pattern, union):
                continue
        elif not fits(patterns, lines, line, pattern, newest):
            continue
        alive[kept] = pattern
        kept += 1
        score = score_added(now, interval[pattern], duration[pattern], head[pattern], tail[pattern])
        if best >= 0 and score < best_score:
            continue
        first = best < 0 or score > best_score or lowest[pattern, 0] < lowest[best, 0]
        if first or (lowest[pattern, 0] == lowest[best, 0] and lowest[pattern, 1] < lowest[best, 1]):
            best, best_score = pattern, score
    return best, kept, best_score


@compiled
def _group(supply: Supply, patterns: Patterns, kind: IntArray, lines: Lines, pairs: IntArray, bounds: IntArray) -> Any:
    """Open a line with the best pair left and let it grow, until no pair is left.

    kind: of every device. pairs: best first, of one score between bounds[c] and bounds[c + 1]. Returns the option of
    every device, int64 (M,), -1 for one that found no partner; lines is filled.
    """
    taken = np.zeros(supply.first_device.size - 1, dtype=np.int64)
    option = np.full(supply.device.size, -1, dtype=np.int64)
    offers, lowest = lowest_offers(supply, patterns.interval.size)
    alive = np.empty(patterns.interval.size, dtype=np.int64)
    line = 0
    for rank in range(bounds.size - 1):
        partners = _partners(pairs[bounds[rank] : bounds[rank + 1]], taken.size)
        while True:
            x, y = _lowest_pair(supply, taken, partners)
            if x < 0:
                break
            found = _best_of_pair(supply, patterns, kind[x], kind[y], lines.base[0])
            for device, chosen in ((x, found[3]), (y, found[4])):
                option[device] = chosen
                take(supply, offers, taken, lowest, kind[device])
                join(patterns, lines, line, device, supply.option_pattern[chosen])
            left = alive.size
            alive[:] = np.arange(left)
            newest = 2
            while True:
                best, left, _ = next_addition(patterns, lines, line, lowest, alive, left, newest)
                if best < 0:
                    break
                device = lowest[best, 0]
                option[device] = lowest[best, 1]
                take(supply, offers, taken, lowest, kind[device])
                join(patterns, lines, line, device, best)
                newest = 1
            line += 1
    return option
