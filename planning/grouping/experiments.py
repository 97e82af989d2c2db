"""The experiments behind figures 9-15: initial grouping, networks that change, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from planning.grouping.assignment import Assignment, Previous, changed_devices, previous_of
from planning.grouping.best import Clock, best
from planning.grouping.bounds import cheap_bound
from planning.grouping.dynamic import hda
from planning.grouping.exact import exact
from planning.grouping.initial import hia
from planning.grouping.kinds import kinds_of
from planning.grouping.regroup import best_regrouping
from planning.grouping.traffic import TABLE_III_INTERVALS, Traffic, generate

# Longest search, and longest proof, of one grouping, seconds.
PATIENCE_S: Final = 5.0


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
class Run:
    """One network through its moments; the first entry of every list is the initial network.

    devices, lines, changed: counts; seconds: of processor; proved: moments whose answer is proved optimal; worse:
    moments with more lines or more changed devices than HDA has from the same moment before (counted for "best").
    """

    devices: tuple[int, ...]
    lines: tuple[int, ...]
    changed: tuple[int, ...]
    seconds: tuple[float, ...]
    proved: int = 0
    worse: int = 0

    def saving_percent(self, moments: int) -> float:
        """Mean saving over the initial network and the first `moments` changes (eq. 16)."""
        pairs = zip(self.devices[: moments + 1], self.lines, strict=False)
        return float(np.mean([100.0 * (devices - lines) / devices for devices, lines in pairs]))

    def changed_percent(self, moments: int) -> float:
        """Mean share of devices whose line changed, over the first `moments` changes (eq. 17)."""
        pairs = zip(self.changed[1 : moments + 1], self.devices[1 : moments + 1], strict=True)
        return float(np.mean([100.0 * changed / devices for changed, devices in pairs])) if moments else 0.0

    def seconds_each(self, moments: int) -> float:
        """Mean processor seconds over the initial network and the first `moments` changes."""
        return float(np.mean(self.seconds[: moments + 1]))


@dataclass(frozen=True)
class Moment:
    """A network at one moment and its answer; before: where devices were the moment before, None at first."""

    traffic: Traffic
    assignment: Assignment
    before: Previous | None
    seconds: float
    proved: bool


# An assignment and whether it is proved optimal.
Found = tuple[Assignment, bool]
Regroup = Callable[[Traffic, int, Previous], Found]


def _patience() -> Clock:
    return Clock(time.process_time, time.process_time() + PATIENCE_S)


def _by_hia(traffic: Traffic, max_shift: int) -> Found:
    return hia(traffic, max_shift), False


def _by_best(traffic: Traffic, max_shift: int) -> Found:
    answer = best(traffic, max_shift, _patience())
    return answer.assignment, answer.assignment.lines == answer.lower_bound


def _by_exact(traffic: Traffic, max_shift: int) -> Found:
    """ILP-IA, by whichever of the configuration bound and HiGHS proves it."""
    answer = best(traffic, max_shift, _patience())
    if answer.assignment.lines == answer.lower_bound:
        return answer.assignment, True
    found = exact(traffic, max_shift, PATIENCE_S, lower_bound=answer.lower_bound, start=answer.assignment)
    return (answer.assignment, False) if found is None else (found.assignment, found.proved)


def _by_hda(traffic: Traffic, max_shift: int, previous: Previous) -> Found:
    return hda(traffic, max_shift, previous), False


def _without_removal(traffic: Traffic, max_shift: int, previous: Previous) -> Found:
    return hda(traffic, max_shift, previous, smart_removal=False), False


def _anew(traffic: Traffic, max_shift: int, previous: Previous) -> Found:
    return hia(traffic, max_shift), False


def _regrouped(traffic: Traffic, max_shift: int, previous: Previous) -> Found:
    # The configuration LP's bound would take a third of the time and is hardly ever reached.
    bound = cheap_bound(kinds_of(traffic, 0), max_shift, cliques=0)
    return best_regrouping(traffic, max_shift, previous, _patience(), bound=bound).assignment, False


def _priced(price: float) -> Regroup:
    def regroup(traffic: Traffic, max_shift: int, previous: Previous) -> Found:
        return best_regrouping(traffic, max_shift, previous, _patience(), change_cost=price).assignment, False

    return regroup


def _ilp_da(traffic: Traffic, max_shift: int, previous: Previous) -> Found:
    """ILP-DA; an answer at the configuration bound that changes nobody needs no solver to be proved."""
    answer = best_regrouping(traffic, max_shift, previous, _patience())
    unchanged = changed_devices(traffic, answer.assignment, previous) == 0
    if answer.assignment.lines == answer.lower_bound and unchanged:
        return answer.assignment, True
    found = exact(traffic, max_shift, PATIENCE_S, previous=previous, lower_bound=answer.lower_bound)
    return (answer.assignment, False) if found is None else (found.assignment, found.proved)


# method: (how a network is grouped at first, how after every change)
DYNAMIC: Final[dict[str, tuple[Callable[[Traffic, int], Found], Regroup]]] = {
    "hia": (_by_hia, _anew),
    "hda": (_by_hia, _by_hda),
    "hda-nosr": (_by_hia, _without_removal),
    "best": (_by_best, _regrouped),
    "best, change costs 1 line": (_by_best, _priced(1.0)),
    "exact": (_by_exact, _ilp_da),
}


def measured(setting: Setting, method: str, seed: int) -> Run:
    """Let one drawn network change for setting.moments moments, grouped by `method` (a key of DYNAMIC)."""
    shown = list(moments(setting, method, seed))
    worse = 0
    for moment in shown[1:] if method == "best" else ():
        assert moment.before is not None
        rival = hda(moment.traffic, setting.max_shift, moment.before)
        worse += moment.assignment.lines > rival.lines or _changed(moment) > changed_devices(
            moment.traffic, rival, moment.before
        )
    return Run(
        devices=tuple(len(moment.traffic) for moment in shown),
        lines=tuple(moment.assignment.lines for moment in shown),
        changed=tuple(_changed(moment) for moment in shown),
        seconds=tuple(round(moment.seconds, 6) for moment in shown),
        proved=sum(moment.proved for moment in shown),
        worse=worse,
    )


def _changed(moment: Moment) -> int:
    return changed_devices(moment.traffic, moment.assignment, moment.before)


def moments(setting: Setting, method: str, seed: int) -> Iterator[Moment]:
    """Every moment of one drawn network; all methods see the same devices, and fewer moments are the first of more."""
    first, regroup = DYNAMIC[method]
    rng = np.random.default_rng(seed)
    traffic = generate(setting.devices, setting.load, rng, intervals=setting.intervals)
    began = time.process_time()
    assignment, proved = first(traffic, setting.max_shift)
    yield Moment(traffic, assignment, None, time.process_time() - began, proved)
    known = setting.devices
    for _ in range(setting.moments):
        before = previous_of(traffic, assignment)
        traffic = changed_network(traffic, setting, rng, known + 1)
        known += setting.joining
        began = time.process_time()
        assignment, proved = regroup(traffic, setting.max_shift, before)
        yield Moment(traffic, assignment, before, time.process_time() - began, proved)


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
