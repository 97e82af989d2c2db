"""The configuration LP: fewest lines that cover all devices, each line a set of patterns that never meet.

Solved by column generation: HiGHS holds the LP over the lines known so far, a pricing step finds the lines whose
devices are worth more than one line at the LP's prices. When the dearest line is worth w, prices / max(1, w) are
feasible for the dual of the whole LP, so sum(price x count) / max(1, w) is a proved lower bound at every round.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import highspy
import numpy as np
from numpy.typing import NDArray

from planning.grouping.kinds import Kinds
from planning.grouping.traffic import IntArray

# Lines of value up to this are no improvement; also what is taken off a bound before it is rounded up.
TOLERANCE: Final = 1e-7

Line = tuple[int, ...]  # options (see Kinds) that share a line


def new_solver() -> Any:
    """HiGHS, silent, on one core, always with the same seed; gaps are the caller's to set."""
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    for option, value in (("output_flag", False), ("threads", 1), ("random_seed", 1), ("mip_rel_gap", 0.0)):
        solver.setOptionValue(option, value)
    return solver


class Pricing(Protocol):
    """Finds dear lines for prices of the kinds."""

    def __call__(self, price: NDArray[np.float64]) -> tuple[float, list[Line]]:
        """(upper bound on the value of any line, lines worth more than 1)."""


@dataclass(frozen=True)
class Relaxed:
    """An LP optimum: objective, lines; the bound it proves (at most the objective); the share of each known line."""

    objective: float
    bound: float
    share: NDArray[np.float64]


class Master:
    """The LP over known lines; lines are only added, counts of devices still to cover may change."""

    def __init__(self, kinds: Kinds, pricing: Pricing) -> None:
        self.kinds = kinds
        self.pricing = pricing
        self.option_kind = np.repeat(np.arange(kinds.interval.size), np.diff(kinds.first_option))
        self._kind_of: list[int] = self.option_kind.tolist()
        self.lines: list[Line] = []
        # (kind, devices of it) on every line
        self.needs: list[list[tuple[int, int]]] = []
        self._known: set[Line] = set()
        self._count = kinds.count.astype(np.float64)
        self._lp: Any = new_solver()
        rows = kinds.interval.size
        empty = np.zeros(0, dtype=np.int32)
        self._lp.addRows(rows, self._count, np.full(rows, highspy.kHighsInf), 0, empty, empty, np.zeros(0))
        self.add([(int(option),) for option in kinds.first_option[:-1]])

    def add(self, lines: list[Line]) -> int:
        """Make lines known; returns how many were new."""
        fresh = [line for line in lines if line not in self._known]
        self._known.update(fresh)
        if not fresh:
            return 0
        self.lines += fresh
        starts: list[int] = []
        rows: list[int] = []
        values: list[int] = []
        for line in fresh:
            need = sorted(Counter(self._kind_of[option] for option in line).items())
            self.needs.append(need)
            starts.append(len(rows))
            rows += [kind for kind, _ in need]
            values += [times for _, times in need]
        ones = np.ones(len(fresh))
        self._lp.addCols(
            len(fresh),
            ones,
            np.zeros(len(fresh)),
            np.full(len(fresh), highspy.kHighsInf),
            len(rows),
            np.array(starts, dtype=np.int32),
            np.array(rows, dtype=np.int32),
            np.array(values, dtype=np.float64),
        )
        return len(fresh)

    def cover(self, count: IntArray) -> None:
        """From now on cover count[k] devices of kind k."""
        self._count = count.astype(np.float64)
        rows = np.arange(count.size, dtype=np.int32)
        self._lp.changeRowsBounds(count.size, rows, self._count, np.full(count.size, highspy.kHighsInf))

    def solve(self, out_of_time: Callable[[], bool], *, rounds: int | None = None) -> Relaxed:
        """Generate lines until none is dear (or time or `rounds` are over)."""
        bound, done = 0.0, 0
        while True:
            self._lp.run()
            solution = self._lp.getSolution()
            objective = float(self._lp.getInfo().objective_function_value)
            share = np.array(solution.col_value)
            price = np.maximum(np.array(solution.row_dual), 0.0)
            dearest, lines = self.pricing(price)
            bound = max(bound, float(price @ self._count) / max(1.0, dearest))
            done += 1
            if not self.add(lines) or done == rounds or out_of_time():
                return Relaxed(objective, bound, share)


def whole_lines(bound: float) -> int:
    """The least whole number of lines that a bound on their number allows."""
    return max(1, math.ceil(bound - 1e-5))


def chain_pricing(kinds: Kinds, most: int = 40) -> Pricing | None:
    """Exact pricing for intervals that divide one another; None for others."""
    from planning.grouping.chain import chain_of, dear_lines

    chain = chain_of(kinds)
    if chain is None:
        return None

    def price_lines(price: NDArray[np.float64]) -> tuple[float, list[Line]]:
        found: tuple[float, Any] = dear_lines(
            chain, price, kinds.first_option, kinds.option_pattern, most, 1.0 + TOLERANCE
        )
        return found[0], [tuple(sorted(option for option in row if option >= 0)) for row in found[1].tolist()]

    return price_lines
