"""Pricing for intervals that do not divide one another: greedy first, then HiGHS for the proof."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import highspy
import numpy as np
from numpy.typing import NDArray

from planning.grouping.arithmetic import Patterns, compiled, patterns_of
from planning.grouping.kinds import Kinds
from planning.grouping.lines import free_of
from planning.grouping.master import TOLERANCE, Line, Pricing, chain_pricing, new_solver
from planning.grouping.traffic import IntArray

# Random greedy lines a round, and the size of the integer programme that is still tried: patterns x slots.
GREEDY_LINES: Final = 60
LARGEST_PROGRAMME: Final = 4_000_000


def pricing_of(kinds: Kinds, seconds_left: Callable[[], float]) -> Pricing | None:
    """The pricing step for `kinds`: exact by nested intervals, by HiGHS on short timelines, or None."""
    chain = chain_pricing(kinds)
    if chain is not None:
        return chain
    if kinds.words.shape[1] == 0 or kinds.pattern_interval.size * kinds.timeline_slots > LARGEST_PROGRAMME:
        return None
    return _general_pricing(kinds, seconds_left)


def _general_pricing(kinds: Kinds, seconds_left: Callable[[], float]) -> Pricing:
    patterns = patterns_of(kinds)
    rng = np.random.default_rng(1)
    programme = _packing(kinds)

    def price_lines(price: NDArray[np.float64]) -> tuple[float, list[Line]]:
        value, owner = pattern_values(price, kinds.first_option, kinds.option_pattern, kinds.pattern_interval.size)
        order = rng.random((GREEDY_LINES, value.size)) + 0.5
        found = _greedy_lines(patterns, value, order, 1.0 + 100 * TOLERANCE)
        if found:
            return math.inf, [tuple(sorted(owner[line].tolist())) for line in found]
        bound, line = _dearest(programme, value, seconds_left())
        dear = value[line].sum() > 1.0 + 10 * TOLERANCE
        return bound, [tuple(sorted(owner[line].tolist()))] if dear else []

    return price_lines


@compiled
def pattern_values(price: NDArray[np.float64], first_option: IntArray, option_pattern: IntArray, patterns: int) -> Any:
    """(highest price among the kinds that offer a pattern, float64 (P,); the option of that kind, or -1)."""
    value, owner = np.zeros(patterns), np.full(patterns, -1, dtype=np.int64)
    for kind in range(price.size):
        for place in range(first_option[kind], first_option[kind + 1]):
            if price[kind] > value[option_pattern[place]]:
                value[option_pattern[place]], owner[option_pattern[place]] = price[kind], place
    return value, owner


@compiled
def _greedy_lines(patterns: Patterns, value: NDArray[np.float64], noise: NDArray[np.float64], worth_over: float) -> Any:
    """Lines dearer than `worth_over`: patterns by value a slot of time, times noise, taken while they fit."""
    density = value * patterns.interval / patterns.duration
    lines = []
    for row in range(noise.shape[0]):
        union = np.zeros(patterns.words.shape[1], dtype=np.uint64)
        chosen = np.empty(value.size, dtype=np.int64)
        size, total = 0, 0.0
        for pattern in np.argsort(-density * noise[row]):
            if value[pattern] > 0.0 and free_of(patterns.words, pattern, union):
                union |= patterns.words[pattern]
                chosen[size] = pattern
                size += 1
                total += value[pattern]
        if total > worth_over:
            lines.append(chosen[:size].copy())
    return lines


def _packing(kinds: Kinds) -> Any:
    """An integer programme: patterns to choose, at most one in every slot."""
    solver = new_solver()
    slots = kinds.timeline_slots
    empty = np.zeros(0, dtype=np.int32)
    solver.addRows(slots, np.full(slots, -highspy.kHighsInf), np.ones(slots), 0, empty, empty, np.zeros(0))
    used = (np.arange(slots) - kinds.pattern_start[:, None]) % kinds.pattern_interval[:, None]
    pattern, slot = np.nonzero(used < kinds.pattern_duration[:, None])
    count = kinds.pattern_interval.size
    starts = np.searchsorted(pattern, np.arange(count)).astype(np.int32)
    ones = np.ones(slot.size)
    solver.addCols(
        count, np.zeros(count), np.zeros(count), np.ones(count), slot.size, starts, slot.astype(np.int32), ones
    )
    columns = np.arange(count, dtype=np.int32)
    solver.changeColsIntegrality(count, columns, np.full(count, highspy.HighsVarType.kInteger))
    solver.changeObjectiveSense(highspy.ObjSense.kMaximize)
    return solver


def _dearest(solver: Any, value: NDArray[np.float64], seconds: float) -> tuple[float, IntArray]:
    """(proved upper bound on the value of a line, patterns of the dearest line found)."""
    columns = np.arange(value.size, dtype=np.int32)
    solver.changeColsCost(value.size, columns, value)
    solver.setOptionValue("time_limit", solver.getRunTime() + max(0.1, seconds))
    solver.clearSolver()
    solver.run()
    bound = float(solver.getInfo().mip_dual_bound)
    chosen = np.flatnonzero(np.array(solver.getSolution().col_value) > 0.5)
    return (bound if math.isfinite(bound) else math.inf), chosen[value[chosen] > 0.0]
