"""One request, one checked result: chooses the method, checks the answer apart from it, and measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from planning.grouping import assignment as measures
from planning.grouping.assignment import Assignment, Previous
from planning.grouping.best import Answer, Clock, best, lower_bound
from planning.grouping.dynamic import Rules, hda
from planning.grouping.initial import hia
from planning.grouping.kinds import kinds_of
from planning.grouping.numbering import keep_numbers
from planning.grouping.regroup import best_regrouping
from planning.grouping.repair import repair, search_of
from planning.grouping.traffic import Traffic, generate


@dataclass(frozen=True)
class Request:
    """What is asked. max_shift, guard: slots; change_cost: lines a changed device may cost, None: lines first;
    rules: names of Rules' fields with hyphens; patient: search until the deadline unless proved."""

    max_shift: int
    method: str = "best"
    guard: int = 0
    previous: Previous | None = None
    change_cost: float | None = None
    seed: int = 1
    rules: frozenset[str] = frozenset()
    patient: bool = False


@dataclass(frozen=True)
class Result:
    """A checked answer and its measures; notes: what a person should know about it."""

    assignment: Assignment
    lower_bound: int
    saving_percent: float
    changed: int
    changed_percent: float
    previous_given: bool
    notes: tuple[str, ...]

    @property
    def lines(self) -> int:
        """Lines in use."""
        return self.assignment.lines

    @property
    def gap(self) -> int:
        """Lines above the proved lower bound."""
        return self.lines - self.lower_bound

    def record(self, traffic: Traffic) -> dict[str, Any]:
        """The JSON object of the command."""
        rows = zip(traffic.names, self.assignment.line, self.assignment.shift, strict=True)
        return {
            "lines": self.lines,
            "saving_percent": self.saving_percent,
            "changed_percent": self.changed_percent,
            "lower_bound": self.lower_bound,
            "gap": self.gap,
            "assignments": [{"device": name, "line": line, "shift": shift} for name, line, shift in rows],
        }


def solve(traffic: Traffic, request: Request, now: Callable[[], float], deadline: float) -> Result:
    """Group `traffic`, with its guard, and check the answer; `now` and `deadline` in seconds of one clock."""
    guarded = traffic.with_guard(request.guard)
    answer, notes = _answer(guarded, request, Clock(now, deadline))
    measures.check(guarded, answer.assignment, request.max_shift)
    return Result(
        assignment=answer.assignment,
        lower_bound=answer.lower_bound,
        saving_percent=measures.saving_percent(traffic, answer.assignment),
        changed=measures.changed_devices(traffic, answer.assignment, request.previous),
        changed_percent=measures.changed_percent(traffic, answer.assignment, request.previous),
        previous_given=request.previous is not None,
        notes=notes,
    )


def warm_up(request: Request) -> None:
    """Load (the first time: compile) what the request needs, so that a time limit is spent on searching.

    A dozen devices go through the same method, and through the local search, which they would not need.
    """
    rng = np.random.default_rng(1)
    traffic = generate(12, "high", rng)
    few = Request(1, request.method, previous=request.previous and Previous(dict.fromkeys(traffic.names, (1, 0))))
    solve(traffic, few, lambda: 0.0, 1.0)
    if request.method == "best":
        kinds = kinds_of(traffic, 1)
        line = np.full(len(traffic), -1, dtype=np.int64)
        repair(search_of(kinds, traffic.duration / traffic.interval, 2), line, line.copy(), 2, 3, rng)


def _answer(traffic: Traffic, request: Request, clock: Clock) -> tuple[Answer, tuple[str, ...]]:
    rules = Rules(**{name.replace("-", "_"): True for name in request.rules})
    tau, previous = request.max_shift, request.previous
    if request.method == "hia":
        found = hia(traffic, tau, clip=rules.clip, whole_timeline=rules.whole_timeline)
        if previous is not None:
            found = keep_numbers(found, np.array(previous.line_of(traffic)))
        return Answer(found, lower_bound(traffic, tau, clock)), ()
    if request.method in ("hda", "hda-nosr"):
        smart = request.method == "hda"
        found = hda(traffic, tau, previous or Previous({}), smart_removal=smart, rules=rules)
        return Answer(found, lower_bound(traffic, tau, clock)), ()
    if request.method == "exact":
        return _exact(traffic, request, clock)
    if previous is not None:
        return (
            best_regrouping(traffic, tau, previous, clock, change_cost=request.change_cost, seed=request.seed),
            (),
        )
    return best(traffic, tau, clock, seed=request.seed, patient=request.patient), ()


def _exact(traffic: Traffic, request: Request, clock: Clock) -> tuple[Answer, tuple[str, ...]]:
    """The exact model, started from the heuristics and helped by the proved bound."""
    from planning.grouping.exact import exact

    tau, previous = request.max_shift, request.previous
    bound = lower_bound(traffic, tau, clock)
    start = hia(traffic, tau)
    found = exact(
        traffic, tau, max(0.1, clock.left()), previous=previous, change_cost=request.change_cost, lower_bound=bound,
        start=start,
    )  # fmt: skip
    if found is None:
        fallback = start if previous is None else hda(traffic, tau, previous)
        return Answer(fallback, bound), ("time is up before the exact model had an answer; this is the heuristic's",)
    if previous is None and found.assignment.lines > start.lines:
        return Answer(start, bound), (
            "the solver ended above the heuristic's answer, which is given; report this case",
        )
    if not found.proved:
        return Answer(found.assignment, bound), ("time is up before the optimum was proved; the best answer so far",)
    fewest = previous is None or request.change_cost is None
    return Answer(found.assignment, found.assignment.lines if fewest else bound), ()
