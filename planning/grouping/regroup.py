"""The default method when there is a moment before: fewer lines than HDA and fewer changed devices.

Starts from HDA's answer and from the lines found from scratch, then takes lines away and sends devices home by local
search. Without a price the answer has at most HDA's lines and at most HDA's changed devices, and within that fewest
lines, then fewest changes. With a price it minimises lines + price x changed devices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from planning.grouping.assignment import NOWHERE, Assignment, Previous
from planning.grouping.best import Answer, Clock, best, lower_bound
from planning.grouping.dynamic import hda
from planning.grouping.kinds import Kinds, kinds_of, most_options_of, options_of
from planning.grouping.numbering import keep_numbers
from planning.grouping.repair import WEIGHT_UNIT, Search, repair, search_of
from planning.grouping.traffic import IntArray, Traffic

# Moves of one attempt to take a line away, and how many attempts may fail in a row.
LINE_STEPS: Final = 3000
LINE_ATTEMPTS: Final = 8
# Moves of one attempt to send a device home, and rounds over all changed devices without success.
HOME_STEPS: Final = 150
HOME_ROUNDS: Final = 2
# What leaving home weighs in the search beside a device's share of a line: dear at first, cheaper as attempts fail.
HOME_WEIGHTS: Final = (0.3, 0.1, 0.03, 0.01)
HOME_WEIGHT: Final = HOME_WEIGHTS[0]
# Above this many devices HDA's answer is only polished where it is cheap.
MOST_SEARCHED: Final = 3000


@dataclass(frozen=True)
class Draft:
    """An answer in the making: line 0 .. lines - 1 and option of every device, int64 (M,); numbers of the lines."""

    line: IntArray
    option: IntArray
    numbers: tuple[int, ...]

    @property
    def lines(self) -> int:
        """Lines in use."""
        return int(np.unique(self.line).size)


def best_regrouping(
    traffic: Traffic,
    max_shift: int,
    previous: Previous,
    clock: Clock,
    *,
    change_cost: float | None = None,
    bound: int | None = None,
    seed: int = 1,
    progress: Callable[[int, int], None] = lambda lines, bound: None,
) -> Answer:
    """Regroup after devices left and joined; see the module for what is minimised.

    change_cost: lines that one changed device may cost; None: HDA's changes are the limit. bound: a proved lower
    bound on the lines, where one is known; else the configuration LP's.
    """
    before = np.array(previous.line_of(traffic))
    rival = hda(traffic, max_shift, previous)
    scratch = None
    if change_cost is not None:
        fresh = best(traffic, max_shift, clock, seed=seed, progress=progress)
        bound, scratch = fresh.lower_bound, keep_numbers(fresh.assignment, before)
    elif bound is None:
        bound = lower_bound(traffic, max_shift, clock)
    answers = [rival] if scratch is None else [rival, scratch]
    shifts = np.array([answer.shift for answer in answers])
    kinds = kinds_of(traffic, max_shift, most_options=most_options_of(traffic), keep=shifts)
    start = _draft(kinds, rival)
    limit = changes(start, before)

    def worth(draft: Draft) -> tuple[float, float]:
        changed = changes(draft, before)
        if change_cost is None:
            return (float(draft.lines) if changed <= limit else np.inf), float(changed)
        return draft.lines + change_cost * changed, float(changed)

    drafts = [start] if scratch is None else [start, _draft(kinds, scratch)]
    if len(traffic) <= MOST_SEARCHED:
        rng = np.random.default_rng(seed)
        drafts = [_search(kinds, traffic, draft, before, worth, bound, clock, rng, progress) for draft in drafts]
    chosen = min([start, *drafts], key=worth)
    shift = kinds.option_shift[chosen.option]
    numbers = tuple(chosen.numbers[row] for row in chosen.line.tolist())
    return Answer(Assignment(numbers, tuple(shift.tolist())), bound)


def changes(draft: Draft, before: IntArray) -> int:
    """Devices that had a line and now have another."""
    now = np.array(draft.numbers)[draft.line]
    return int(np.count_nonzero((before != NOWHERE) & (now != before)))


def _draft(kinds: Kinds, assignment: Assignment) -> Draft:
    numbers, line = np.unique(np.array(assignment.line), return_inverse=True)
    return Draft(line.astype(np.int64), options_of(kinds, np.array(assignment.shift)), tuple(numbers.tolist()))


def _search(
    kinds: Kinds,
    traffic: Traffic,
    draft: Draft,
    before: IntArray,
    worth: Callable[[Draft], tuple[float, float]],
    bound: int,
    clock: Clock,
    rng: np.random.Generator,
    progress: Callable[[int, int], None],
) -> Draft:
    """Send devices home, then take lines away as long as that is worth more."""
    share = traffic.duration / traffic.interval
    most = len(draft.numbers)
    searches = [search_of(kinds, np.where(before == NOWHERE, share, share + weight), most) for weight in HOME_WEIGHTS]
    search = searches[0]
    draft = _send_home(search, draft, before, clock, rng)
    failed = 0
    while draft.lines > bound and failed < LINE_ATTEMPTS and not clock.over():
        turn = failed % len(HOME_WEIGHTS)
        tried = _take_line(searches[turn], draft, before, rng, HOME_WEIGHTS[turn])
        if tried is not None and worth(tried) >= worth(draft):
            tried = _send_home(search, tried, before, clock, rng)
        if tried is None or worth(tried) >= worth(draft):
            failed += 1
            continue
        draft, failed = _send_home(search, tried, before, clock, rng), 0
        progress(draft.lines, bound)
    return draft


def _at_home(search: Search, draft: Draft, before: IntArray, weight: float = HOME_WEIGHT) -> Search:
    """The search with every device wishing for its line of before, where that line is in use."""
    row = {number: place for place, number in enumerate(draft.numbers)}
    home = np.array([row.get(number, -1) for number in before.tolist()], dtype=np.int64)
    return search._replace(home=home, home_price=np.full(home.size, int(weight * WEIGHT_UNIT), dtype=np.int64))


def _take_line(search: Search, draft: Draft, before: IntArray, rng: np.random.Generator, weight: float) -> Draft | None:
    """One line less: one of those that keep fewest devices at home is emptied; None when they find no room."""
    numbers = np.array(draft.numbers)
    at_home = np.bincount(draft.line, weights=numbers[draft.line] == before, minlength=numbers.size)
    load = np.bincount(draft.line, weights=search.weight / WEIGHT_UNIT, minlength=numbers.size)
    emptied = int(np.argmin(at_home + load + rng.random(numbers.size)))
    line, option = draft.line.copy(), draft.option.copy()
    line[draft.line == emptied] = -1
    line -= draft.line > emptied
    fewer = replace(draft, numbers=tuple(np.delete(numbers, emptied).tolist()))
    left = repair(_at_home(search, fewer, before, weight), line, option, numbers.size - 1, LINE_STEPS, rng)
    return None if left else Draft(line, option, fewer.numbers)


def _send_home(search: Search, draft: Draft, before: IntArray, clock: Clock, rng: np.random.Generator) -> Draft:
    """Put changed devices back on their lines, one after the other, and find room for whom they push out."""
    row = {number: place for place, number in enumerate(draft.numbers)}
    homed = _at_home(search, draft, before)
    line, option = draft.line, draft.option
    rounds = 0
    while rounds < HOME_ROUNDS and not clock.over():
        rounds += 1
        away = [
            device for device, number in enumerate(before.tolist()) if row.get(number, line[device]) != line[device]
        ]
        rng.shuffle(away)
        for device in away:
            tried_line, tried_option = line.copy(), option.copy()
            if row[int(before[device])] == tried_line[device]:
                continue
            tried_line[device] = -1
            eager = homed.home_price.copy()
            eager[device] = 100 * WEIGHT_UNIT
            left = repair(homed._replace(home_price=eager), tried_line, tried_option, len(row), HOME_STEPS, rng)
            if left == 0 and _away(tried_line, homed.home) < _away(line, homed.home):
                line, option, rounds = tried_line, tried_option, 0
            if clock.over():
                break
    return Draft(line, option, draft.numbers)


def _away(line: IntArray, home: IntArray) -> int:
    return int(np.count_nonzero((home >= 0) & (line != home)))
