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
# Weights are whole ten-thousandths of a line, so that adding and taking away leaves no rounding behind, and a line's
# sum fits 32 bits.
WEIGHT_UNIT: Final = 10_000


class Search(NamedTuple):
    """What a search needs to know, all int64 unless said otherwise.

    conflict: bool (P, P), empty when it would be too large; then step, the gcd of every two intervals, and number,
    (P,), the place of a pattern's interval there. kind, weight: (M,). home: (M,), the line a device would
    rather have, -1 for no wish; home_price: (M,), what another line costs, in the unit of the weights. scratch: int32,
    room to work in, kept from one search to the next: new memory costs more than a short search.
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
    scratch: NDArray[np.int32]


def search_of(kinds: Kinds, weight: NDArray[np.float64], lines: int) -> Search:
    """A search for at most `lines` lines over all devices of `kinds`, worth `weight`, float64 (M,), without a wish."""
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
        np.empty(lines * (kinds.pattern_interval.size + 2 * kinds.kind.size), dtype=np.int32),
    )


# The functions below take single arrays, not the whole Search: handing that on costs more than their work.


@compiled
def _count_in(
    conflict: NDArray[np.bool_], duration: IntArray, start: IntArray, step: IntArray, number: IntArray,
    met: NDArray[np.int32], pattern: int, weight: int,
) -> None:  # fmt: skip
    """Add `weight` to what every pattern that meets `pattern` would push off a line; met: int32 (P,), of that line."""
    if conflict.size:
        row, some, none = conflict[pattern], np.int32(weight), np.int32(0)
        for other in range(met.size):
            met[other] += some if row[other] else none
        return
    steps = step[number[pattern]]
    mine, begin = duration[pattern], start[pattern]
    for other in range(met.size):
        if not apart(steps[number[other]], mine, begin, duration[other], start[other]):
            met[other] += weight


@compiled
def _count_costs(
    option_pattern: IntArray, first: int, past: int, home: int, home_price: int, met: NDArray[np.int32],
    cost: NDArray[np.int32], begin: int, end: int,
) -> None:  # fmt: skip
    """What a device pushes off at least on the lines begin .. end - 1, and asks for being away from home.

    first, past: its options; met: int32 (lines, P); cost: int32 (lines,), filled in.
    """
    for line in range(begin, end):
        least = met[line, option_pattern[first]]
        for option in range(first + 1, past):
            least = min(least, met[line, option_pattern[option]])
        cost[line] = least + (home_price if home >= 0 and home != line else 0)


@compiled
def _cheapest(
    cost: NDArray[np.int32], until: NDArray[np.int32], weight: IntArray, home: IntArray, home_price: IntArray,
    waiting: IntArray, left: int, step: int, rng: np.random.Generator,
) -> tuple[int, int]:  # fmt: skip
    """(place in waiting, line) of the cheapest move, ties at random; -1 when all are forbidden.

    A move costs `cost` (int32 (M, lines), of waiting devices) less what the device is worth; one that pushes nobody
    off is never forbidden.
    """
    best, ties, chosen = np.int64(2**62), 0, (-1, -1)
    for place in range(left):
        device = waiting[place]
        row, worth = cost[device], weight[device]
        for line in range(row.size):
            reached = row[line] - worth
            if reached > best:
                continue
            asked = home_price[device] if home[device] >= 0 and home[device] != line else 0
            if row[line] > asked and until[device, line] > step:
                continue
            ties = ties + 1 if reached == best else 1
            if reached < best or rng.random() * ties < 1.0:
                best, chosen = reached, (place, line)
    return chosen


@compiled
def _least_option(
    option_pattern: IntArray, first: int, past: int, met: NDArray[np.int32], rng: np.random.Generator
) -> int:
    """The option of first .. past - 1 that pushes least off the line of which `met` speaks, ties at random."""
    least, ties, chosen = np.int64(2**62), 0, -1
    for option in range(first, past):
        pushed = met[option_pattern[option]]
        if pushed > least:
            continue
        ties = ties + 1 if pushed == least else 1
        if pushed < least or rng.random() * ties < 1.0:
            least, chosen = pushed, option
    return chosen


@compiled
def _whom_it_meets(
    patterns: Patterns, option_pattern: IntArray, line: IntArray, option: IntArray, target: int, pattern: int
) -> list[int]:
    """Devices of the line `target` that `pattern` meets."""
    p, listed = patterns, []
    for other in range(line.size):
        if line[other] == target:
            standing = option_pattern[option[other]]
            step = gcd(p.interval[pattern], p.interval[standing])
            if not apart(step, p.duration[pattern], p.start[pattern], p.duration[standing], p.start[standing]):
                listed.append(other)
    return listed


@compiled
def repair(search: Search, line: IntArray, option: IntArray, lines: int, steps: int, rng: np.random.Generator) -> int:
    """Search up to `steps` moves; returns the devices still without a line (0: found).

    line, option: of every device, int64 (M,), line -1 for a device without one; changed in place.
    """
    conflict, patterns, gcds, number = search.conflict, search.patterns, search.step, search.number
    first_option, option_pattern, kind = search.supply.first_option, search.supply.option_pattern, search.kind
    duration, start = patterns.duration, patterns.start
    weight, home, home_price = search.weight, search.home, search.home_price
    waiting, left = np.empty(line.size, dtype=np.int64), 0
    ends = np.cumsum(lines * np.array([patterns.interval.size, line.size, line.size]))
    met = search.scratch[: ends[0]].reshape((lines, patterns.interval.size))
    until = search.scratch[ends[0] : ends[1]].reshape((line.size, lines))
    cost = search.scratch[ends[1] : ends[2]].reshape((line.size, lines))
    met[:], until[:] = 0, 0
    for device in range(line.size):
        if line[device] < 0:
            waiting[left] = device
            left += 1
        else:
            _count_in(
                conflict,
                duration,
                start,
                gcds,
                number,
                met[line[device]],
                option_pattern[option[device]],
                weight[device],
            )
    stayed, target = 0, 0
    for step in range(steps):
        # Costs of the newly waiting on every line, of the others on the line that changed.
        for place in range(left):
            device = waiting[place]
            begin, end = (target, target + 1) if place < stayed else (0, lines)
            first, past = first_option[kind[device]], first_option[kind[device] + 1]
            _count_costs(option_pattern, first, past, home[device], home_price[device], met, cost[device], begin, end)
        if left == 0:
            break
        place, target = _cheapest(cost, until, weight, home, home_price, waiting, left, step, rng)
        stayed = left
        if place < 0:
            target = 0
            continue
        device = waiting[place]
        chosen = _least_option(
            option_pattern, first_option[kind[device]], first_option[kind[device] + 1], met[target], rng
        )
        pattern = option_pattern[chosen]
        left -= 1
        waiting[place] = waiting[left]
        stayed = left
        if met[target, pattern] > 0:
            tenure = TENURE + int(rng.random() * TENURE_RANDOM) + int(TENURE_PER_LEFT * left)
            for other in _whom_it_meets(patterns, option_pattern, line, option, target, pattern):
                standing = option_pattern[option[other]]
                _count_in(conflict, duration, start, gcds, number, met[target], standing, -weight[other])
                line[other] = -1
                waiting[left] = other
                left += 1
                until[other, target] = step + tenure
        line[device], option[device] = target, chosen
        _count_in(conflict, duration, start, gcds, number, met[target], pattern, weight[device])
    return left
