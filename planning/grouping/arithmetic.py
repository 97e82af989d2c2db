"""Two periodic patterns on one timeline, by gcd arithmetic: exact for any intervals, whatever their LCM."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from planning.grouping.kinds import Kinds
from planning.grouping.traffic import IntArray

compiled = numba.njit(cache=True, nogil=True)


@compiled
def gcd(a: int, b: int) -> int:
    """Greatest common divisor of two positive integers."""
    while b:
        a, b = b, a % b
    return a


@compiled
def meet_slots_of(step: int, duration_a: int, start_a: int, duration_b: int, start_b: int) -> int:
    """meet_slots of two patterns whose intervals have the gcd `step`."""
    later = (start_b - start_a) % step
    turns_a, arc_a = duration_a // step, duration_a % step
    turns_b, arc_b = duration_b // step, duration_b % step
    common = max(0, min(arc_a, later + arc_b) - later) + max(0, min(arc_a, later + arc_b - step))
    return turns_a * turns_b * step + turns_a * arc_b + turns_b * arc_a + common


@compiled
def meet_slots(interval_a: int, duration_a: int, start_a: int, interval_b: int, duration_b: int, start_b: int) -> int:
    """Slots in which both patterns send, per least common multiple of their intervals; 0 when they can share.

    Slot x of one and y of the other coincide exactly once in the LCM when x = y modulo g, the gcd (Chinese
    remainders). So the answer is the product of how often each covers every residue, summed over the residues: a
    duration is some full turns of g and one arc.
    """
    return meet_slots_of(gcd(interval_a, interval_b), duration_a, start_a, duration_b, start_b)


@compiled
def apart(step: int, duration_a: int, start_a: int, duration_b: int, start_b: int) -> bool:
    """Whether two patterns can share a line; step: gcd of their intervals. The same as meet_slots(...) == 0."""
    later = (start_b - start_a) % step
    return later >= duration_a and step - later >= duration_b


@compiled
def conflicts(interval: IntArray, duration: IntArray, start: IntArray) -> Any:
    """Which patterns cannot share a line: bool, shape (P, P)."""
    count = interval.size
    table = np.zeros((count, count), dtype=np.bool_)
    for a in range(count):
        for b in range(a + 1):
            step = gcd(interval[a], interval[b])
            table[a, b] = table[b, a] = not apart(step, duration[a], start[a], duration[b], start[b])
    return table


def conflict_table(kinds: Kinds) -> NDArray[np.bool_]:
    """Which patterns of `kinds` cannot share a line: bool, shape (P, P)."""
    table: NDArray[np.bool_] = conflicts(kinds.pattern_interval, kinds.pattern_duration, kinds.pattern_start)
    return table


class Patterns(NamedTuple):
    """The patterns of Kinds as the kernels take them, see there."""

    interval: IntArray
    duration: IntArray
    start: IntArray
    head: IntArray
    tail: IntArray
    words: NDArray[np.uint64]


def patterns_of(kinds: Kinds) -> Patterns:
    """Patterns of `kinds` for the kernels."""
    return Patterns(
        kinds.pattern_interval, kinds.pattern_duration, kinds.pattern_start, kinds.head, kinds.tail, kinds.words
    )


@compiled
def meet(patterns: Patterns, a: int, b: int) -> int:
    """Slots, per LCM of the two intervals, in which patterns a and b both send."""
    p = patterns
    return meet_slots(p.interval[a], p.duration[a], p.start[a], p.interval[b], p.duration[b], p.start[b])


# Beyond this a line's own LCM is held fast, so that scores stay comparable in 64 bits. Overlap stays exact.
LONGEST_SCORED: Final = 2**62


@compiled
def common_timeline(timeline: int, interval: int) -> int:
    """LCM of a line's timeline and one more interval, at most LONGEST_SCORED."""
    if timeline % interval == 0:
        return timeline
    factor = interval // gcd(timeline, interval)
    return timeline * factor if timeline <= LONGEST_SCORED // factor else LONGEST_SCORED


@compiled
def addition_score(timeline: int, head: int, tail: int, used: float) -> tuple[float, float, float]:
    """Addition score of a line: (-A, U, -B), the larger the better, compared in this order.

    timeline: T_j, LCM of the line's intervals, slots; head, tail: free slots of T_j before the first and after the
    last slot in use; used: slots of T_j in use. A: active timeline; U: utilisation of it; B: border score,
    min(T - s, s) + min(T - e, e) with s = head, e = T - tail.
    """
    active = float(timeline) - head - tail
    border = min(timeline - head, head) + min(tail, timeline - tail)
    return -active, used / active, -float(border)
