"""The experiments behind figures 9-15: initial grouping, networks that change, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from planning.grouping.assignment import Assignment, Previous, changed_percent, previous_of, saving_percent
from planning.grouping.best import Clock, best
from planning.grouping.bounds import cheap_bound
from planning.grouping.dynamic import hda
from planning.grouping.exact import exact
from planning.grouping.initial import hia
from planning.grouping.kinds import kinds_of
from planning.grouping.regroup import best_regrouping
from planning.grouping.traffic import TABLE_III_INTERVALS, Traffic, generate

# Longest search or proof of one grouping, seconds.
PATIENCE_S: Final = 20.0


@dataclass(frozen=True)
class Setting:
    """One point of a figure. leaving, joining: devices a moment; moments: transitions between moments."""

    load: str
    devices: int
    max_shift: int
    intervals: tuple[int, ...] = TABLE_III_INTERVALS
    leaving: int = 0
    joining: int = 0
    moments: int = 0


@dataclass(frozen=True)
class Outcome:
    """Means over the moments of one run: saving and changed devices in percent, seconds a moment; whether every
    answer was proved optimal."""

    saving_percent: float
    changed_percent: float
    seconds: float
    proved: bool = False


Regroup = Callable[[Traffic, int, Previous], Assignment]


def initial(setting: Setting, method: str, seed: int) -> Outcome:
    """Group one drawn network from scratch by "hia", "best" or "exact" (whichever of HiGHS and the bound proves it)."""
    traffic = generate(setting.devices, setting.load, np.random.default_rng(seed), intervals=setting.intervals)
    began = time.perf_counter()
    assignment, proved = _initial(traffic, setting.max_shift, method)
    seconds = time.perf_counter() - began
    return Outcome(saving_percent(traffic, assignment), 0.0, seconds, proved)


def _initial(traffic: Traffic, max_shift: int, method: str) -> tuple[Assignment, bool]:
    if method == "hia":
        return hia(traffic, max_shift), False
    answer = best(traffic, max_shift, Clock(time.monotonic, time.monotonic() + PATIENCE_S))
    if method == "best" or answer.assignment.lines == answer.lower_bound:
        return answer.assignment, answer.assignment.lines == answer.lower_bound
    found = exact(traffic, max_shift, PATIENCE_S, lower_bound=answer.lower_bound, start=answer.assignment)
    return (answer.assignment, False) if found is None else (found.assignment, found.proved)


def _by_hda(traffic: Traffic, max_shift: int, previous: Previous) -> Assignment:
    return hda(traffic, max_shift, previous)


def _without_removal(traffic: Traffic, max_shift: int, previous: Previous) -> Assignment:
    return hda(traffic, max_shift, previous, smart_removal=False)


def _anew(traffic: Traffic, max_shift: int, previous: Previous) -> Assignment:
    return hia(traffic, max_shift)


def _best(traffic: Traffic, max_shift: int, previous: Previous) -> Assignment:
    clock = Clock(time.monotonic, time.monotonic() + PATIENCE_S)
    # The configuration LP's bound would take a third of the time and is hardly ever reached.
    bound = cheap_bound(kinds_of(traffic, 0), max_shift, cliques=0)
    return best_regrouping(traffic, max_shift, previous, clock, bound=bound).assignment


def _ilp_da(traffic: Traffic, max_shift: int, previous: Previous) -> Assignment:
    found = exact(traffic, max_shift, PATIENCE_S, previous=previous)
    return _best(traffic, max_shift, previous) if found is None else found.assignment


# method: (how a network is grouped at first, how after every change)
DYNAMIC: Final[dict[str, tuple[str, Regroup]]] = {
    "hia": ("hia", _anew),
    "hda": ("hia", _by_hda),
    "hda-nosr": ("hia", _without_removal),
    "best": ("best", _best),
    "exact": ("exact", _ilp_da),
}


def dynamic(setting: Setting, method: str, seed: int) -> Outcome:
    """Let a network change for `moments` moments; changes are counted over the transitions, as (17) does."""
    savings, changed, seconds = [], [], []
    for traffic, assignment, before, took_s in moments(setting, method, seed):
        savings.append(saving_percent(traffic, assignment))
        seconds.append(took_s)
        if before is not None:
            changed.append(changed_percent(traffic, assignment, before))
    return Outcome(float(np.mean(savings)), float(np.mean(changed)) if changed else 0.0, float(np.mean(seconds)))


def moments(setting: Setting, method: str, seed: int) -> Iterator[tuple[Traffic, Assignment, Previous | None, float]]:
    """(traffic, assignment, moment before, seconds it took) of every moment; all methods see the same devices."""
    first, regroup = DYNAMIC[method]
    rng = np.random.default_rng(seed)
    traffic = generate(setting.devices, setting.load, rng, intervals=setting.intervals)
    began = time.perf_counter()
    assignment = _initial(traffic, setting.max_shift, first)[0]
    yield traffic, assignment, None, time.perf_counter() - began
    known = setting.devices
    for _ in range(setting.moments):
        before = previous_of(traffic, assignment)
        traffic = changed_network(traffic, setting, rng, known + 1)
        known += setting.joining
        began = time.perf_counter()
        assignment = regroup(traffic, setting.max_shift, before)
        yield traffic, assignment, before, time.perf_counter() - began


def changed_network(traffic: Traffic, setting: Setting, rng: np.random.Generator, first_id: int) -> Traffic:
    """`leaving` devices, drawn uniformly, leave; `joining` new ones join, with ids from first_id on."""
    stay = traffic.select(np.sort(rng.choice(len(traffic), len(traffic) - setting.leaving, replace=False)))
    new = generate(setting.joining, setting.load, rng, intervals=setting.intervals, first_id=first_id)
    return Traffic(
        stay.names + new.names,
        np.concatenate((stay.interval, new.interval)),
        np.concatenate((stay.duration, new.duration)),
        np.concatenate((stay.start, new.start)),
    )
