"""Overlap by gcd arithmetic and by masks, held against walking through every slot."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.grouping.arithmetic import apart, conflict_table, meet_slots
from planning.grouping.bounds import never_together
from planning.grouping.kinds import kinds_of, shifts_in_order
from planning.grouping.traffic import Traffic, traffic_of

patterns = st.integers(1, 24).flatmap(
    lambda interval: st.tuples(st.just(interval), st.integers(1, interval), st.integers(0, interval - 1))
)


def slots(interval: int, duration: int, start: int, timeline: int) -> set[int]:
    return {slot for slot in range(timeline) if (slot - start) % interval < duration}


@settings(deadline=None, max_examples=200)
@given(patterns, patterns)
def test_meeting_slots_are_those_of_the_whole_timeline(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    timeline = math.lcm(one[0], other[0])
    common = len(slots(*one, timeline) & slots(*other, timeline))
    assert meet_slots(*one, *other) == common
    assert apart(math.gcd(one[0], other[0]), one[1], one[2], other[1], other[2]) == (common == 0)


@settings(deadline=None, max_examples=100)
@given(patterns, patterns, st.integers(0, 5))
def test_never_together_is_every_pair_of_shifts_meeting(
    one: tuple[int, int, int], other: tuple[int, int, int], max_shift: int
) -> None:
    moved = range(-max_shift, max_shift + 1)
    ever = any(
        meet_slots(one[0], one[1], one[2] + a, other[0], other[1], other[2] + b) == 0 for a in moved for b in moved
    )
    columns = [np.array(column) for column in zip(one, other, strict=True)]
    assert never_together(*columns, max_shift)[0, 1] == (not ever)


def test_masks_and_table_agree(drawn) -> None:
    kinds = kinds_of(drawn(60, "medium", 3), 2)
    by_mask = (kinds.words[:, None, :] & kinds.words[None, :, :]).any(axis=2)
    assert np.array_equal(by_mask, conflict_table(kinds))


def test_every_device_has_all_its_shifts_smallest_first() -> None:
    assert shifts_in_order(2, 40) == [0, -1, 1, -2, 2]
    # A circle of 4 slots has 4 starts however far one may shift: duplicates are dropped.
    assert shifts_in_order(9, 4) == [0, -1, 1, -2]


def test_equal_devices_are_one_kind_and_options_lead_to_the_shifted_starts() -> None:
    traffic = traffic_of([("a", 10, 2, 9), ("b", 20, 3, 0), ("c", 10, 2, 9)])
    kinds = kinds_of(traffic, 1)
    assert kinds.interval.tolist() == [10, 20]
    assert kinds.count.tolist() == [2, 1]
    assert kinds.kind.tolist() == [0, 1, 0]
    starts = kinds.pattern_start[kinds.option_pattern]
    assert starts.tolist() == [9, 8, 0, 0, 19, 1]


def test_clipped_shifts_stay_within_the_interval() -> None:
    traffic = Traffic(("a",), np.array([10]), np.array([2]), np.array([7]))
    assert kinds_of(traffic, 3, clip=True).option_shift.tolist() == [0, -1, 1, -2, -3]
