"""The default method: configuration LP, dive, and local search, with a proved lower bound beside the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planning.grouping.assignment import Assignment
from planning.grouping.bounds import CLIQUES, cheap_bound
from planning.grouping.chain import chain_of
from planning.grouping.components import components
from planning.grouping.dive import ROUNDS, dive, place_devices
from planning.grouping.initial import hia
from planning.grouping.kinds import LONGEST_MASK, Kinds, kinds_of, most_options_of, options_of
from planning.grouping.master import Line, Master, whole_lines
from planning.grouping.pricing import pricing_of
from planning.grouping.repair import repair, search_of
from planning.grouping.traffic import IntArray, Traffic

# Local search looks at this many devices at a time, on the lines with most room.
MOST_REPAIRED: Final = 700
# Patterns of a local search, and patterns x lines; with more, devices keep fewer, evenly spaced shifts.
MOST_PATTERNS: Final = 20_000
MOST_CELLS: Final = 6_000_000
# Moves between two looks at the clock, and after which the search for one line less is given up.
CHUNK: Final = 500
PATIENCE_LARGE, PATIENCE = 1_500, 60_000
# Dives with a search after each, as long as one line is missing, and as long as more are.
ATTEMPTS_LAST, ATTEMPTS = 4, 150
# Up to this many devices the exact model is asked to close a gap, for this long, seconds.
SMALL: Final = 40
PROOF_S: Final = 5.0
# Chunks after which a search begins again, and the most lines that it then takes apart.
RESTART: Final = 20
MOST_APART: Final = 12
# Above this many devices a line more or less is below 0.02 points of saving: one quick dive, one short search.
LARGE: Final = 5000


@dataclass(frozen=True)
class Clock:
    """Seconds left until the time limit; `now` and the deadline are of one clock, in seconds."""

    now: Callable[[], float]
    deadline: float

    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.deadline - self.now())

    def over(self) -> bool:
        """Whether the time is up."""
        return self.now() >= self.deadline


@dataclass(frozen=True)
class Answer:
    """An assignment and the proved lower bound on the number of lines."""

    assignment: Assignment
    lower_bound: int


def lower_bound(traffic: Traffic, max_shift: int, clock: Clock) -> int:
    """Proved lower bound on the lines of `traffic`, the configuration LP where it can be solved in time."""
    parts = components(traffic)
    if len(parts) == 1:
        return _bound_of_part(traffic, max_shift, clock)
    return sum(_bound_of_part(traffic.select(part), max_shift, clock) for part in parts)


def _bound_of_part(traffic: Traffic, max_shift: int, clock: Clock) -> int:
    cheap, master = _prepared(traffic, max_shift, clock)
    if master is None:
        return cheap
    if len(traffic) <= LARGE:
        first = hia(traffic, max_shift)
        master.add(lines_of(master.kinds, np.array(first.line), np.array(first.shift)))
    return max(cheap, whole_lines(master.solve(clock.over).bound))


def _prepared(traffic: Traffic, max_shift: int, clock: Clock) -> tuple[int, Master | None]:
    """A cheap bound, and the configuration LP where it can be solved.

    The LP proves at least what cliques do. So they are left out where it is certain to be solved: nested intervals.
    """
    kinds = priceable_kinds(traffic, max_shift)
    pricing = None if kinds is None else pricing_of(kinds, clock.left)
    nested = kinds is not None and chain_of(kinds) is not None
    cheap = cheap_bound(kinds_of(traffic, 0), max_shift, cliques=0 if nested else CLIQUES)
    return cheap, None if kinds is None or pricing is None else Master(kinds, pricing)


def priceable_kinds(traffic: Traffic, max_shift: int) -> Kinds | None:
    """Kinds with all their patterns; None where timeline or shifts are too long for a configuration LP."""
    if traffic.timeline_slots() > LONGEST_MASK:
        return None
    kinds = kinds_of(traffic, max_shift, most_options=most_options_of(traffic))
    every = np.minimum(2 * max_shift + 1, kinds.interval)
    return kinds if np.array_equal(np.diff(kinds.first_option), every) else None


def best(
    traffic: Traffic,
    max_shift: int,
    clock: Clock,
    *,
    seed: int = 1,
    patient: bool = False,
    progress: Callable[[int, int], None] = lambda lines, bound: None,
) -> Answer:
    """Fewest lines found until they are proved fewest, patience ends (unless `patient`), or the time is up.

    progress: called with (lines, lower bound) whenever a better answer is found.
    """
    parts = components(traffic)
    if len(parts) == 1:
        return _best_of_part(traffic, max_shift, clock, seed, patient, progress)
    line, shift = np.zeros(len(traffic), dtype=np.int64), np.zeros(len(traffic), dtype=np.int64)
    lines, bound, to_do = 0, 0, len(traffic)
    for part in parts:
        # Every part may use its share of the time left.
        until = Clock(clock.now, clock.now() + clock.left() * part.size / to_do)
        to_do -= part.size
        answer = _best_of_part(traffic.select(part), max_shift, until, seed, patient, lambda fewer, proved: None)
        line[part], shift[part] = np.array(answer.assignment.line) + lines, answer.assignment.shift
        lines, bound = lines + answer.assignment.lines, bound + answer.lower_bound
        progress(lines, bound)
    return Answer(Assignment(tuple(line.tolist()), tuple(shift.tolist())), bound)


def _best_of_part(
    traffic: Traffic, max_shift: int, clock: Clock, seed: int, patient: bool, progress: Callable[[int, int], None]
) -> Answer:
    first = hia(traffic, max_shift)
    bound, master = _prepared(traffic, max_shift, clock)
    line, shift = np.array(first.line) - 1, np.array(first.shift)
    progress(first.lines, bound)
    rng = np.random.default_rng(seed)
    relaxed = None if master is None or bound == first.lines or clock.over() else master.solve(clock.over)
    bound = bound if relaxed is None else max(bound, whole_lines(relaxed.bound))
    attempts = 2**62 if patient else 1 if len(traffic) > LARGE else ATTEMPTS
    for attempt in range(attempts):
        if master is not None and relaxed is not None and bound < int(line.max()) + 1 and not clock.over():
            rounds = 1 if len(traffic) > LARGE else ROUNDS
            whole = dive(master, relaxed, clock.over, rounds=rounds, rng=rng if attempt else None)
            dived, option = place_devices(master.kinds, master.option_kind, whole)
            # At equal number the dive's lines are the fuller ones, from which the search gets further.
            if dived.max() <= line.max():
                line, shift = dived, master.kinds.option_shift[option]
                progress(int(line.max()) + 1, bound)
        line, shift = _improve(traffic, max_shift, line, shift, bound, clock, rng, progress)
        missing = int(line.max()) + 1 - bound
        if clock.over() or missing == 0 or (missing == 1 and attempt + 1 >= ATTEMPTS_LAST and not patient):
            break
    answer = Answer(Assignment(tuple((line + 1).tolist()), tuple(shift.tolist())), bound)
    return _proved(traffic, max_shift, answer, clock) if len(traffic) <= SMALL else answer


def _proved(traffic: Traffic, max_shift: int, answer: Answer, clock: Clock) -> Answer:
    """On small networks the exact model closes what gap is left, if it can within PROOF_S."""
    kinds = priceable_kinds(traffic, max_shift)
    if answer.assignment.lines == answer.lower_bound or clock.over() or kinds is None:
        return answer
    from planning.grouping.exact import exact, is_small_enough

    if not is_small_enough(kinds):
        return answer
    found = exact(
        traffic, max_shift, min(PROOF_S, clock.left()), lower_bound=answer.lower_bound, start=answer.assignment
    )
    if found is None:
        return answer
    fewer = found.assignment if found.assignment.lines < answer.assignment.lines else answer.assignment
    return Answer(fewer, fewer.lines if found.proved else answer.lower_bound)


def _improve(
    traffic: Traffic,
    max_shift: int,
    line: IntArray,
    shift: IntArray,
    bound: int,
    clock: Clock,
    rng: np.random.Generator,
    progress: Callable[[int, int], None],
) -> tuple[IntArray, IntArray]:
    """Take away one line after the other as long as local search finds room for its devices elsewhere."""
    while int(line.max()) + 1 > bound and not clock.over():
        count = int(line.max()) + 1
        steps = PATIENCE_LARGE if len(traffic) > LARGE else PATIENCE
        devices = _roomiest(traffic, line, rng)
        found = _one_line_less(traffic.select(devices), max_shift, line[devices], shift[devices], clock, steps, rng)
        if found is None:
            break
        keep, line_of = np.unique(line[devices]), line.copy()
        line_of[devices] = keep[found[0]]
        shift = shift.copy()
        shift[devices] = found[1]
        line = np.unique(line_of, return_inverse=True)[1]
        progress(count - 1, bound)
    return line, shift


def _roomiest(traffic: Traffic, line: IntArray, rng: np.random.Generator) -> IntArray:
    """Devices of the lines with most room, up to MOST_REPAIRED devices; all when there are no more."""
    if len(traffic) <= MOST_REPAIRED:
        return np.arange(len(traffic))
    filled = np.bincount(line, weights=traffic.duration / traffic.interval)
    order = np.argsort(filled + 0.02 * rng.random(filled.size), kind="stable")
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size)
    by_rank = np.argsort(rank[line], kind="stable")
    return np.sort(by_rank[: np.searchsorted(rank[line][by_rank], rank[line][by_rank[MOST_REPAIRED]])])


def _one_line_less(
    traffic: Traffic,
    max_shift: int,
    line: IntArray,
    shift: IntArray,
    clock: Clock,
    steps: int,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray] | None:
    """Line (from 0, gaps allowed) and shift with one line less, or None when the search found none in time."""
    room = min(MOST_PATTERNS, MOST_CELLS // max(1, int(np.unique(line).size)))
    kinds = kinds_of(traffic, max_shift, most_options=max(1, room // len(traffic)), keep=shift)
    weight = traffic.duration / traffic.interval
    compact = np.unique(line, return_inverse=True)[1]
    filled = np.bincount(compact, weights=weight).astype(np.float64)
    first_option = options_of(kinds, shift)
    lines, search = filled.size - 1, search_of(kinds, weight, filled.size - 1)
    line, option = _emptied(compact, filled, 0, rng), first_option.copy()
    for chunk in range(1, 1 + steps // CHUNK):
        if repair(search, line, option, lines, CHUNK, rng) == 0:
            return line, kinds.option_shift[option]
        if clock.over():
            break
        if chunk % RESTART == 0:
            # What a search finds it finds soon: begin again elsewhere, with more and more lines taken apart.
            line, option = _emptied(compact, filled, chunk // RESTART, rng), first_option.copy()
    return None


def _emptied(line: IntArray, filled: NDArray[np.float64], attempt: int, rng: np.random.Generator) -> IntArray:
    """One line less: its devices, and those of some more lines the more often one has tried, have line -1.

    The emptied line is the least filled one at first, later one of those with most room. filled: float64 (lines,).
    """
    emptied = int(np.argmin(filled + (0.1 * rng.random(filled.size) if attempt else 0.0)))
    apart = rng.choice(filled.size, min(filled.size, attempt % MOST_APART), replace=False)
    return np.where((line == emptied) | np.isin(line, apart), -1, line - (line > emptied))


def lines_of(kinds: Kinds, line: IntArray, shift: IntArray) -> list[Line]:
    """The lines of an assignment as the configuration LP knows them."""
    order = np.argsort(line, kind="stable")
    option = options_of(kinds, shift)[order]
    cuts = np.flatnonzero(np.diff(line[order])) + 1
    return list({tuple(sorted(part.tolist())): None for part in np.split(option, cuts)})
