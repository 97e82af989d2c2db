"""Local search over a fixed number of lines: devices without a line push others out until everyone has one.

A partial-colouring tabu search. Each step takes the cheapest of all moves (device without a line, line, shift): the
device goes there, whatever it meets there loses its line, at the price of its weight, and may not return to that line
for a while. Found when no device is left over.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.grouping.arithmetic import Patterns, apart, compiled, conflict_table, gcd, patterns_of
from planning.grouping.initial import Supply, supply_of
from planning.grouping.kinds import Kinds
from planning.grouping.traffic import IntArray

# Steps that a displaced device keeps off its line: a constant, a random part, and a share of the devices left over.
TENURE: Final = 5
TENURE_RANDOM: Final = 10
TENURE_PER_LEFT: Final = 0.6
# Patterns up to which conflicts are looked up in a table instead of computed.
MOST_TABLED: Final = 3000
# Weights are whole millionths, so that adding and taking away leaves no rounding behind.
WEIGHT_UNIT: Final = 1_000_000


class Search(NamedTuple):
    """What a search needs to know, all int64 unless said otherwise.

    conflict: bool (P, P), empty when it would be too large; then step, the gcd of every two intervals, and number,
    (P,), the place of a pattern's interval there. kind, weight: (M,). home: (M,), the line a device would
    rather have, -1 for no wish; home_price: (M,), what another line costs, in the unit of the weights.
    """

    supply: Supply
    patterns: Patterns
    conflict: NDArray[np.bool_]
    step: IntArray
    number: IntArray
    kind: IntArray
    weight: IntArray
    home: IntArray
    home_price: IntArray


def search_of(kinds: Kinds, weight: NDArray[np.float64]) -> Search:
    """A search over all devices of `kinds` that are worth `weight`, float64 (M,), and have no wish."""
    intervals, number = np.unique(kinds.pattern_interval, return_inverse=True)
    tabled = kinds.pattern_interval.size <= MOST_TABLED
    return Search(
        supply_of(kinds),
        patterns_of(kinds),
        conflict_table(kinds) if tabled else np.zeros((0, 0), dtype=np.bool_),
        np.gcd.outer(intervals, intervals),
        number.astype(np.int64),
        kinds.kind,
        np.maximum(1, np.rint(weight * WEIGHT_UNIT)).astype(np.int64),
        np.full(kinds.kind.size, -1, dtype=np.int64),
        np.zeros(kinds.kind.size, dtype=np.int64),
    )


@compiled
def _count_in(search: Search, met: IntArray, line: int, pattern: int, weight: int) -> None:
    """Add `weight` to what every pattern that meets `pattern` would push off `line`; met: int64 (P, lines)."""
    if search.conflict.size:
        row = search.conflict[pattern]
        for other in range(met.shape[0]):
            if row[other]:
                met[other, line] += weight
        return
    p = search.patterns
    duration, start, number, steps = p.duration, p.start, search.number, search.step[search.number[pattern]]
    mine, begin = duration[pattern], start[pattern]
    for other in range(met.shape[0]):
        if not apart(steps[number[other]], mine, begin, duration[other], start[other]):
            met[other, line] += weight


@compiled
def _cheapest(
    first_option: IntArray,
    option_pattern: IntArray,
    kind: IntArray,
    weight: IntArray,
    home: IntArray,
    home_price: IntArray,
    met: IntArray,
    until: IntArray,
    waiting: IntArray,
    left: int,
    step: int,
    rng: np.random.Generator,
) -> tuple[int, int, int]:
    """(place in waiting, line, option) of the cheapest move, ties at random; -1 when all are forbidden.

    A move costs what it pushes out and what the device asks for being away from home, less what the device is worth.
    """
    best, ties, chosen = np.int64(2**62), 0, (-1, -1, -1)
    for place in range(left):
        device = waiting[place]
        for option in range(first_option[kind[device]], first_option[kind[device] + 1]):
            pushed = met[option_pattern[option]]
            for line in range(pushed.size):
                cost = pushed[line] - weight[device]
                if home[device] >= 0 and home[device] != line:
                    cost += home_price[device]
                if cost > best or (until[device, line] > step and pushed[line] > 0):
                    continue
                ties = ties + 1 if cost == best else 1
                if cost < best or rng.random() * ties < 1.0:
                    best, chosen = cost, (place, line, option)
    return chosen


@compiled
def repair(search: Search, line: IntArray, option: IntArray, lines: int, steps: int, rng: np.random.Generator) -> int:
    """Search up to `steps` moves; returns the devices still without a line (0: found).

    line, option: of every device, int64 (M,), line -1 for a device without one; changed in place.
    """
    s = search
    waiting, left = np.empty(line.size, dtype=np.int64), 0
    met = np.zeros((s.patterns.interval.size, lines), dtype=np.int64)
    for device in range(line.size):
        if line[device] < 0:
            waiting[left] = device
            left += 1
        else:
            _count_in(s, met, line[device], s.supply.option_pattern[option[device]], s.weight[device])
    until = np.zeros((line.size, lines), dtype=np.int64)
    for step in range(steps):
        if left == 0:
            break
        place, target, chosen = _cheapest(
            s.supply.first_option, s.supply.option_pattern, s.kind, s.weight, s.home, s.home_price, met, until, waiting,
            left, step, rng,
        )  # fmt: skip
        if place < 0:
            continue
        device, pattern = waiting[place], s.supply.option_pattern[chosen]
        left -= 1
        waiting[place] = waiting[left]
        if met[pattern, target] > 0:
            tenure = TENURE + int(rng.random() * TENURE_RANDOM) + int(TENURE_PER_LEFT * left)
            for other in range(line.size):
                if line[other] != target:
                    continue
                standing = s.supply.option_pattern[option[other]]
                p = s.patterns
                gap = gcd(p.interval[pattern], p.interval[standing])
                if apart(gap, p.duration[pattern], p.start[pattern], p.duration[standing], p.start[standing]):
                    continue
                _count_in(s, met, target, standing, -s.weight[other])
                line[other] = -1
                waiting[left] = other
                left += 1
                until[other, target] = step + tenure
        line[device], option[device] = target, chosen
        _count_in(s, met, target, pattern, s.weight[device])
    return left
