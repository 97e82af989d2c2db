"""Kernels of Algorithm 2: who stays where, and newcomers join the line of highest addition score."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from planning.grouping.arithmetic import Patterns, compiled
from planning.grouping.initial import Supply, lowest_offers, next_addition, take
from planning.grouping.lines import Lines, fits, join
from planning.grouping.traffic import IntArray
from planning.grouping.wishes import Wishes, no_wishes, pop, wish

# For next_addition: hold newcomers against all devices of a line.
EVERYONE: Final = 2**62


@compiled
def settle(
    patterns: Patterns, lines: Lines, place: IntArray, wished: IntArray, option_pattern: IntArray, option: IntArray
) -> None:
    """Put every device, in order, on its line (`place`) with its option (`wished`), -1 for none, if it fits there.

    option: int64 (M,); those of the devices that stand are filled in.
    """
    for device in range(place.size):
        if place[device] < 0 or wished[device] < 0:
            continue
        pattern = option_pattern[wished[device]]
        if fits(patterns, lines, place[device], pattern):
            option[device] = wished[device]
            join(patterns, lines, place[device], device, pattern)


@compiled
def _look_to_add(wishes: Wishes, patterns: Patterns, lines: Lines, line: int, lowest: IntArray, alive: IntArray) -> Any:
    """Find the newcomer of highest addition score for `line`; alive: scratch, int64 (P,)."""
    if lines.first[line] < 0:
        return
    for place in range(alive.size):
        alive[place] = place
    pattern, _, score = next_addition(patterns, lines, line, lowest, alive, alive.size, EVERYONE)
    if pattern >= 0:
        wish(wishes, line, score, (lowest[pattern, 0], lowest[pattern, 1], pattern))


@compiled
def merge(supply: Supply, patterns: Patterns, kind: IntArray, lines: Lines, count: int, option: IntArray) -> None:
    """Put the waiting device and line of highest addition score together, again and again (eq. 12).

    kind: of every device. Only the first `count` lines, where somebody stands, are joined. option: int64 (M,), of
    every device; those of the placed ones are filled in.
    """
    taken = np.zeros(supply.first_device.size - 1, dtype=np.int64)
    offers, lowest = lowest_offers(supply, patterns.interval.size)
    wishes = no_wishes(count)
    alive = np.empty(patterns.interval.size, dtype=np.int64)
    for line in range(count):
        _look_to_add(wishes, patterns, lines, line, lowest, alive)
    while True:
        line = pop(wishes)
        if line < 0:
            return
        device = wishes.device[line]
        if option[device] < 0:
            option[device] = wishes.option[line]
            take(supply, offers, taken, lowest, kind[device])
            join(patterns, lines, line, device, wishes.pattern[line])
        _look_to_add(wishes, patterns, lines, line, lowest, alive)
