"""Cheap lower bounds on the number of lines, valid for any intervals: utilisation, the fullest slot, a clique.

The configuration LP (master.py) is at least as good as the first two wherever it can be solved; the clique also
speaks where the LCM explodes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from planning.grouping.arithmetic import compiled, gcd
from planning.grouping.kinds import LONGEST_MASK, Kinds
from planning.grouping.traffic import IntArray

# Kinds up to which pairs are compared, and cliques that are grown.
MOST_COMPARED: Final = 3000
CLIQUES: Final = 20


def cheap_bound(kinds: Kinds, max_shift: int, *, cliques: int = CLIQUES) -> int:
    """The best of the three bounds, at least 1; cliques: how many are grown."""
    weight = kinds.duration / kinds.interval
    filled = int(np.ceil((weight * kinds.count).sum() - 1e-9))
    return max(1, filled, fullest_slot(kinds, max_shift), clique(kinds, max_shift, cliques))


def fullest_slot(kinds: Kinds, max_shift: int) -> int:
    """Most devices that cannot but send in one and the same slot: a device sends in any case where its earliest and
    its latest transmission overlap. 0 when the timeline is too long to look at."""
    if kinds.timeline_slots > LONGEST_MASK:
        return 0
    surely = kinds.duration - 2 * max_shift
    slots = np.arange(kinds.timeline_slots)
    first = kinds.start + max_shift
    load = np.zeros(kinds.timeline_slots, dtype=np.int64)
    for kind in np.flatnonzero((surely > 0) & (2 * max_shift + 1 < kinds.interval)):
        load += kinds.count[kind] * ((slots - first[kind]) % kinds.interval[kind] < surely[kind])
    return int(load.max(initial=0))


def clique(kinds: Kinds, max_shift: int, cliques: int = CLIQUES) -> int:
    """Devices no two of which can ever share a line: a clique grown greedily from several beginnings."""
    if kinds.interval.size > MOST_COMPARED or cliques == 0:
        return 0
    never = never_together(kinds.interval, kinds.duration, kinds.start, max_shift)
    # Of a kind that cannot share with itself all devices count, of another one.
    worth = np.where(np.diag(never), kinds.count, 1)
    np.fill_diagonal(never, False)
    # Doubles multiply much faster than whole numbers and hold all of these exactly.
    meets, value = never.astype(np.float64), worth.astype(np.float64)
    promise = meets @ value + value
    best = 0
    for begin in np.argsort(promise, kind="stable")[::-1][:cliques]:
        total, open_kinds = int(worth[begin]), never[begin].copy()
        while open_kinds.any():
            candidates = np.flatnonzero(open_kinds)
            gain = meets[np.ix_(candidates, candidates)] @ value[candidates] + value[candidates]
            chosen = candidates[int(np.argmax(gain))]
            total += int(worth[chosen])
            open_kinds &= never[chosen]
        best = max(best, total)
    return best


@compiled
def never_together(interval: IntArray, duration: IntArray, start: IntArray, max_shift: int) -> NDArray[np.bool_]:
    """Pairs of kinds that meet at every pair of shifts, bool (K, K); the diagonal speaks of two equal devices.

    They are apart when the second begins at least duration[a] and at most g - duration[b] slots after the first on
    a circle of g = gcd of the intervals; shifts move that distance by up to 2 max_shift either way.
    """
    count = interval.size
    table = np.zeros((count, count), dtype=np.bool_)
    for a in range(count):
        for b in range(a, count):
            step = gcd(interval[a], interval[b])
            later = (start[b] - start[a]) % step
            low, high = duration[a], step - duration[b]
            apart = False
            if low <= high:
                apart = low <= later <= high
                apart |= later < low and (low - later <= 2 * max_shift or later + step - high <= 2 * max_shift)
                apart |= later > high and (later - high <= 2 * max_shift or low + step - later <= 2 * max_shift)
            table[a, b] = table[b, a] = not apart
    return table
