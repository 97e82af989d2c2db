"""HDA, the heuristic of Algorithm 2: newcomers join the lines of the moment before; smart removal makes room.

Mended: the best removal score and pair start anew every round; what is left at the end goes through Algorithm 1. Ties:
lowest device index, then lowest line number, then smallest shift, negative first. Devices that stay keep their shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from planning.grouping.arithmetic import patterns_of
from planning.grouping.assignment import NOWHERE, Assignment, Previous
from planning.grouping.clearing import clear_the_way
from planning.grouping.initial import Supply, hia
from planning.grouping.kinds import Kinds, admissible, kinds_of, most_options_of, options_of
from planning.grouping.lines import Lines, empty_lines
from planning.grouping.numbering import number_lines
from planning.grouping.placing import merge, settle
from planning.grouping.traffic import IntArray, Traffic

# Slots that smart removal counts over, at most: beyond it doubles would no longer hold them exactly.
LONGEST_COUNTED: Final = 2**40


@dataclass(frozen=True)
class Rules:
    """Readings of the two algorithms where the paper is open; the first of each is the default.

    clip: shifts may not wrap round the interval. whole_timeline: scores over the LCM of all devices, not the group's.
    fewest_first: smart removal prefers the fewest intersecting devices (the toy example), not the most (the text).
    unshifted_removal: it looks at newcomers unshifted, not at all their shifts. single_leftovers: what is left opens
    a line each, instead of going through Algorithm 1.
    """

    clip: bool = False
    whole_timeline: bool = False
    fewest_first: bool = False
    unshifted_removal: bool = False
    single_leftovers: bool = False


@dataclass(frozen=True)
class Standing:
    """The lines of the moment before, with the devices that are still there and still fit.

    numbers: line numbers, ascending; lines: their state, with room for every device; option: int64 (M,), of every
    device that stands on a line, -1 for the others.
    """

    numbers: tuple[int, ...]
    lines: Lines
    option: IntArray


def hda(
    traffic: Traffic, max_shift: int, previous: Previous, *, smart_removal: bool = True, rules: Rules | None = None
) -> Assignment:
    """Place newcomers by Algorithm 2; without smart_removal it is HDA_noSR."""
    rules = rules or Rules()
    before, shift = places_before(traffic, previous)
    kept = admissible(traffic, shift, max_shift)
    most = most_options_of(traffic)
    kinds = kinds_of(traffic, max_shift, clip=rules.clip, most_options=most, keep=None if rules.clip else kept)
    patterns = patterns_of(kinds)
    base = min(kinds.timeline_slots, 2**62) if rules.whole_timeline else 1
    standing = stand(kinds, before, shift, base)
    lines, option, count = standing.lines, standing.option, len(standing.numbers)
    merge(waiting_supply(kinds, option), patterns, kinds.kind, lines, count, option)
    if smart_removal:
        waiting = waiting_supply(kinds, option, unshifted=rules.unshifted_removal)
        scale = float(min(kinds.timeline_slots, LONGEST_COUNTED))
        clear_the_way(waiting, patterns, kinds.kind, lines, count, option, scale, rules.fewest_first)
        merge(waiting_supply(kinds, option), patterns, kinds.kind, lines, count, option)
    rest = np.flatnonzero(option < 0)
    shift = np.where(option < 0, 0, kinds.option_shift[option])
    group = lines.line.copy()
    if rest.size and rules.single_leftovers:
        group[rest] = count + np.arange(rest.size)
    elif rest.size:
        regrouped = hia(traffic.select(rest), max_shift, clip=rules.clip, whole_timeline=rules.whole_timeline)
        group[rest] = count + np.array(regrouped.line) - 1
        shift[rest] = regrouped.shift
    return Assignment(number_lines(group, standing.numbers, before.tolist()), tuple(shift.tolist()))


def places_before(traffic: Traffic, previous: Previous) -> tuple[IntArray, IntArray]:
    """Line (NOWHERE for newcomers) and shift (0 for them) of every device the moment before, int64 (M,) each."""
    places = [previous.places.get(name, (NOWHERE, 0)) for name in traffic.names]
    line, shift = np.array(places, dtype=np.int64).reshape(-1, 2).T
    return line, shift


def stand(kinds: Kinds, before: IntArray, shift: IntArray, base_timeline: int = 1) -> Standing:
    """The lines of the moment before with everyone who is still there, keeps an admissible shift and meets nobody.

    before, shift: see places_before. Devices whose traffic changed so that they no longer fit count as waiting; the
    lowest index stays.
    """
    known = before != NOWHERE
    numbers, row = np.unique(before[known], return_inverse=True)
    place = np.full(before.size, -1, dtype=np.int64)
    place[known] = row
    lines = empty_lines(numbers.size, before.size, kinds.words.shape[1], base_timeline)
    wished = options_of(kinds, shift)
    option = np.full(before.size, -1, dtype=np.int64)
    settle(patterns_of(kinds), lines, place, wished, kinds.option_pattern, option)
    return Standing(tuple(numbers.tolist()), lines, option)


def waiting_supply(kinds: Kinds, option: IntArray, *, unshifted: bool = False) -> Supply:
    """Devices that have no option yet, by kind, for the kernels; unshifted: as if they could not be shifted."""
    waiting = kinds.device[option[kinds.device] < 0]
    per_kind = np.bincount(kinds.kind[waiting], minlength=kinds.interval.size)
    first = np.concatenate(([0], np.cumsum(per_kind))).astype(np.int64)
    if unshifted:
        alone = kinds.first_option[:-1]
        places = np.arange(alone.size + 1)
        return Supply(first, waiting, places, kinds.option_pattern[alone], kinds.option_shift[alone])
    return Supply(first, waiting, kinds.first_option, kinds.option_pattern, kinds.option_shift)
