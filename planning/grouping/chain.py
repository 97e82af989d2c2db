"""The dearest line, exactly and fast, when the intervals divide one another: a nested interval programme.

Intervals l_1 | l_2 | ... | l_m. A device of interval l_j takes the same slots in every one of the l_k / l_j rows of a
longer circle l_k, so what is free between two of its neighbours falls apart into that many independent stretches,
to be filled by longer intervals. Hence, from the longest interval down, with V_j(a, n) the best value of the n free
slots from slot a of circle l_j, filled by intervals l_j and longer:

    G_j(a, n) = sum over rows r of V_(j+1)(a + r l_j, n)                      nothing of interval l_j in it
    H_j(a, x) = max over patterns ending at a + x of V_j(a, x - duration) + value
    V_j(a, n) = max(G_j(a, n), max over 0 < x <= n of H_j(a, x) + G_j(a + x, n - x))

and a line whose shortest interval is l_j is one pattern of it and the rest of the circle. The work is the sum of
l_j^3 / 6, whatever the number of devices.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.grouping.arithmetic import compiled
from planning.grouping.kinds import Kinds
from planning.grouping.traffic import IntArray

# Slots of the longest interval, and of the next longest, up to which the programme is worth its work and memory.
LONGEST_CHAIN: Final = 2048
LONGEST_INNER: Final = 1024


class Chain(NamedTuple):
    """m nested circles and the P patterns on them.

    circle: int64 (m,), slots, ascending, each dividing the next. level: int64 (P,). Patterns of level j that end at
    slot e of their circle: at_end[first_end[offset[j] + e] : first_end[offset[j] + e + 1]]. offset: int64 (m + 1,),
    offset[j + 1] - offset[j] = circle[j]. duration, end: int64 (P,), slots; table: int64 (m + 1,), where the values
    V_j(a, n) begin, at table[j] + a * (circle[j] + 1) + n.
    """

    circle: IntArray
    offset: IntArray
    table: IntArray
    first_end: IntArray
    at_end: IntArray
    level: IntArray
    duration: IntArray
    end: IntArray


def chain_of(kinds: Kinds) -> Chain | None:
    """The nested circles of `kinds`; None when the intervals do not divide one another, or are too long."""
    circle = np.unique(kinds.pattern_interval)
    inner = circle[-2] if circle.size > 1 else 1
    if np.any(circle[1:] % circle[:-1]) or circle[-1] > LONGEST_CHAIN or inner > LONGEST_INNER:
        return None
    level = np.searchsorted(circle, kinds.pattern_interval)
    end = (kinds.pattern_start + kinds.pattern_duration) % kinds.pattern_interval
    offset = np.concatenate(([0], np.cumsum(circle)))
    place = offset[level] + end
    return Chain(
        circle=circle,
        offset=offset,
        table=np.concatenate(([0], np.cumsum(circle * (circle + 1)))),
        first_end=np.concatenate(([0], np.cumsum(np.bincount(place, minlength=offset[-1])))).astype(np.int64),
        at_end=np.argsort(place, kind="stable").astype(np.int64),
        level=level.astype(np.int64),
        duration=kinds.pattern_duration,
        end=end,
    )


@compiled
def _fill_tables(chain: Chain, value: NDArray[np.float64], best: Any, split: Any, last: Any) -> None:
    """Fill V_j(a, n) for all circles. split: x of the maximum, 0 for nothing of this circle; last: pattern of H_j."""
    circle, offset, first_end, at_end, duration = (
        chain.circle,
        chain.offset,
        chain.first_end,
        chain.at_end,
        chain.duration,
    )
    levels = circle.size
    for level in range(levels - 1, -1, -1):
        size, base = circle[level], chain.table[level]
        deepest = level == levels - 1
        rows = 1 if deepest else circle[level + 1] // size
        deeper_size = size if deepest else circle[level + 1]
        deeper = base if deepest else chain.table[level + 1]
        unfilled = np.zeros((size, size + 1))
        if not deepest:
            for a in range(size):
                for row in range(rows):
                    begin = deeper + (a + row * size) * (deeper_size + 1)
                    for n in range(size + 1):
                        unfilled[a, n] += best[begin + n]
        ending, useful = np.empty(size + 1), np.empty(size + 1, dtype=np.int64)
        for a in range(size):
            begin = base + a * (size + 1)
            best[begin], split[begin], last[begin], ends = 0.0, 0, -1, 0
            for n in range(1, size + 1):
                top, chosen = -1.0, -1
                place = offset[level] + (a + n) % size
                for row in range(first_end[place], first_end[place + 1]):
                    pattern = at_end[row]
                    if duration[pattern] <= n and value[pattern] > 0.0:
                        reached = best[begin + n - duration[pattern]] + value[pattern]
                        if reached > top:
                            top, chosen = reached, pattern
                ending[n], last[begin + n] = top, chosen
                if deepest:
                    best[begin + n], split[begin + n] = best[begin + n - 1], split[begin + n - 1]
                    if top > best[begin + n]:
                        best[begin + n], split[begin + n] = top, n
                    continue
                # An end at n is of use only if it is worth more than any filling of one slot less.
                if top > best[begin + n - 1]:
                    useful[ends] = n
                    ends += 1
                top, chosen = unfilled[a, n], 0
                for x in useful[:ends]:
                    reached = ending[x] + unfilled[(a + x) % size, n - x]
                    if reached > top:
                        top, chosen = reached, x
                best[begin + n], split[begin + n] = top, chosen


@compiled
def _trace(chain: Chain, split: Any, last: Any, pattern: int, line: IntArray) -> int:
    """Write the patterns of the best line through `pattern` into `line`; returns how many."""
    circle = chain.circle
    stack = np.empty((4 * circle[-1] + 8, 3), dtype=np.int64)
    line[0], found = pattern, 1
    level = chain.level[pattern]
    stack[0, 0], stack[0, 1] = level, chain.end[pattern]
    stack[0, 2] = circle[level] - chain.duration[pattern]
    depth = 1
    while depth:
        depth -= 1
        level, a, n = stack[depth, 0], stack[depth, 1], stack[depth, 2]
        if n <= 0:
            continue
        begin = chain.table[level] + a * (circle[level] + 1)
        x = split[begin + n]
        if x > 0:
            chosen = last[begin + x]
            line[found] = chosen
            found += 1
            stack[depth, 0], stack[depth, 1], stack[depth, 2] = level, a, x - chain.duration[chosen]
            depth += 1
        if level + 1 < circle.size:
            for row in range(circle[level + 1] // circle[level]):
                stack[depth, 0], stack[depth, 1] = level + 1, (a + x) % circle[level] + row * circle[level]
                stack[depth, 2] = n - x
                depth += 1
    return found


@compiled
def _through(chain: Chain, value: Any, best: Any) -> Any:
    """Value of the best line whose shortest interval is that of the pattern, through every pattern: float64 (P,)."""
    worth = np.zeros(value.size)
    for pattern in range(value.size):
        if value[pattern] > 0.0:
            level = chain.level[pattern]
            rest = chain.circle[level] - chain.duration[pattern]
            worth[pattern] = (
                value[pattern] + best[chain.table[level] + chain.end[pattern] * (chain.circle[level] + 1) + rest]
            )
    return worth


@compiled
def dear_lines(
    chain: Chain,
    price: NDArray[np.float64],
    first_option: IntArray,
    option_pattern: IntArray,
    most: int,
    worth_over: float,
) -> Any:
    """(value of the dearest line, lines dearer than `worth_over`) for prices of the kinds, float64 (K,).

    The first line is a true maximum over all lines that may repeat a kind. The others, at most `most` in all, are
    those that are left when the kinds of the earlier ones are free of price. lines: int64 (n, slots), the options of
    a line, see Kinds, -1 beyond its end.
    """
    length = chain.circle[-1]
    lines = np.full((most, length), -1, dtype=np.int64)
    patterns = chain.duration.size
    best = np.zeros(chain.table[-1])
    split, last = np.zeros(chain.table[-1], dtype=np.int64), np.zeros(chain.table[-1], dtype=np.int64)
    left, line = price.copy(), np.empty(length + 1, dtype=np.int64)
    value, owner = np.empty(patterns), np.empty(patterns, dtype=np.int64)
    kind_of = np.empty(option_pattern.size, dtype=np.int64)
    dearest, found = 0.0, 0
    for turn in range(most):
        value[:] = 0.0
        owner[:] = -1
        for kind in range(left.size):
            for place in range(first_option[kind], first_option[kind + 1]):
                if left[kind] > value[option_pattern[place]]:
                    value[option_pattern[place]], owner[option_pattern[place]] = left[kind], place
                    kind_of[place] = kind
        _fill_tables(chain, value, best, split, last)
        worth = _through(chain, value, best)
        top = np.argmax(worth)
        if turn == 0:
            dearest = worth[top]
        if worth[top] <= worth_over:
            break
        size = _trace(chain, split, last, int(top), line)
        for place in range(size):
            lines[found, place] = owner[line[place]]
        for place in range(size):
            left[kind_of[lines[found, place]]] = 0.0
        found += 1
    return dearest, lines[:found]
