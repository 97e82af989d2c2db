"""Algorithms 1 and 2 word for word, slot by slot: the slow truth that the fast versions are held against.

A pattern is the set of slots it takes on the whole timeline T. Mended where docs/grouping.md says so; ties go to the
lowest device, then the lowest line, then the smallest shift, negative first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from planning.grouping.assignment import NOWHERE, Assignment, Previous
from planning.grouping.kinds import shifts_in_order
from planning.grouping.traffic import Traffic

Score = tuple[Fraction, ...]
Line = dict[int, int]  # device -> shift


class Slots:
    """Which slots every device takes at every shift; small cases only."""

    def __init__(self, traffic: Traffic, max_shift: int) -> None:
        self.interval = traffic.interval.tolist()
        self.duration = traffic.duration.tolist()
        self.start = traffic.start.tolist()
        self.timeline = traffic.timeline_slots()
        self.shifts = [shifts_in_order(max_shift, interval) for interval in self.interval]

    def of(self, device: int, shift: int, timeline: int | None = None) -> frozenset[int]:
        """Slots of `device` at `shift` on a timeline (the whole one unless given)."""
        begin = self.start[device] + shift
        rounds = (timeline or self.timeline) // self.interval[device]
        one = [(begin + d) % self.interval[device] for d in range(self.duration[device])]
        return frozenset(r * self.interval[device] + slot for r in range(rounds) for slot in one)

    def on(self, line: Line, timeline: int | None = None) -> frozenset[int]:
        """Slots taken on a line."""
        return frozenset().union(*(self.of(device, shift, timeline) for device, shift in line.items()))

    def mergeable(self, line: Line, device: int, shift: int) -> bool:
        """Whether the device meets nobody on the line."""
        return not self.on(line) & self.of(device, shift)

    def addition_score(self, line: Line) -> Score:
        """(-A, U, -B) over the LCM of the line's intervals."""
        timeline = math.lcm(*(self.interval[device] for device in line))
        taken = self.on(line, timeline)
        first, past = min(taken), max(taken) + 1
        border = min(timeline - first, first) + min(timeline - past, past)
        return Fraction(first - past), Fraction(len(taken), past - first), Fraction(-border)

    def removal_score(self, line: Line, device: int, shift: int) -> Score:
        """(C, -D, E) over the whole timeline; C = 0 when nobody is met."""
        mine = self.of(device, shift)
        met = [self.of(other, moved) for other, moved in line.items() if self.of(other, moved) & mine]
        theirs = frozenset().union(*met)
        return Fraction(len(met)), Fraction(-len(mine & theirs)), Fraction(len(mine ^ theirs))


def plain_hia(traffic: Traffic, max_shift: int) -> Assignment:
    """Algorithm 1."""
    return _numbered(len(traffic), algorithm_1(Slots(traffic, max_shift), range(len(traffic))))


def algorithm_1(slots: Slots, devices: Iterable[int]) -> list[Line]:
    """Lines of Algorithm 1 for some devices."""
    left = sorted(devices)
    lines: list[Line] = []
    while left:
        pairs = (
            (slots.addition_score({x: dx, y: dy}), (-x, -y, -i, -j), {x: dx, y: dy})
            for place, x in enumerate(left)
            for y in left[place + 1 :]
            for i, dx in enumerate(slots.shifts[x])
            for j, dy in enumerate(slots.shifts[y])
            if slots.mergeable({x: dx}, y, dy)
        )
        root = max(pairs, key=lambda pair: pair[:2], default=None)
        if root is None:
            return [*lines, *({device: 0} for device in left)]
        line = root[2]
        while added := _best_addition(slots, [line], [z for z in left if z not in line]):
            line[added[1]] = added[2]
        lines.append(line)
        left = [device for device in left if device not in line]
    return lines


def _best_addition(slots: Slots, lines: list[Line], waiting: Iterable[int]) -> tuple[int, int, int] | None:
    """(line, device, shift) of the highest addition score (eq. 12)."""
    options = (
        (slots.addition_score({**line, z: shift}), (-z, -number, -i), (number, z, shift))
        for number, line in enumerate(lines)
        if line
        for z in waiting
        for i, shift in enumerate(slots.shifts[z])
        if slots.mergeable(line, z, shift)
    )
    best = max(options, key=lambda option: option[:2], default=None)
    return None if best is None else best[2]


def plain_hda(traffic: Traffic, max_shift: int, previous: Previous, *, smart_removal: bool = True) -> list[Line]:
    """Algorithm 2 (or HDA_noSR): the lines of before, in order of their numbers (emptied ones too), then new ones."""
    slots = Slots(traffic, max_shift)
    before = previous.line_of(traffic)
    numbers = sorted(set(before) - {NOWHERE})
    lines: list[Line] = [{} for _ in numbers]
    for device, number in enumerate(before):
        if number != NOWHERE:
            lines[numbers.index(number)][device] = previous.places[traffic.names[device]][1]
    waiting = [device for device, number in enumerate(before) if number == NOWHERE]
    _merge(slots, lines, waiting)
    if smart_removal:
        waiting = _smart_removal(slots, lines, waiting)
        _merge(slots, lines, waiting)
    return lines + algorithm_1(slots, waiting)


def _merge(slots: Slots, lines: list[Line], waiting: list[int]) -> None:
    while added := _best_addition(slots, lines, waiting):
        lines[added[0]][added[1]] = added[2]
        waiting.remove(added[1])


def _smart_removal(slots: Slots, lines: list[Line], waiting: list[int]) -> list[int]:
    """Clear the way for one newcomer after another; returns everyone without a line."""
    homeless: list[int] = []
    newcomers = list(waiting)
    while newcomers:
        options = (
            (slots.removal_score(line, new, shift), (-new, -number, -i), (number, new, shift))
            for number, line in enumerate(lines)
            for new in newcomers
            for i, shift in enumerate(slots.shifts[new])
            if line and slots.removal_score(line, new, shift)[0] > 0
        )
        best = max(options, key=lambda option: option[:2], default=None)
        if best is None:
            break
        number, new, shift = best[2]
        taken = slots.of(new, shift)
        met = [device for device, moved in lines[number].items() if slots.of(device, moved) & taken]
        for device in met:
            del lines[number][device]
        homeless += [*met, new]
        newcomers.remove(new)
    return sorted(homeless + newcomers)


def _numbered(count: int, lines: list[Line]) -> Assignment:
    line, shift = [0] * count, [0] * count
    for number, members in enumerate(lines, start=1):
        for device, moved in members.items():
            line[device], shift[device] = number, moved
    return Assignment(tuple(line), tuple(shift))
