"""Parts of a network that can share no line are grouped apart, and lose nothing by it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from planning.grouping.assignment import check
from planning.grouping.best import best, lower_bound
from planning.grouping.bounds import cheap_bound
from planning.grouping.components import components
from planning.grouping.exact import exact
from planning.grouping.kinds import kinds_of
from planning.grouping.traffic import generate, traffic_of


@pytest.mark.parametrize("intervals", [(7, 11, 13), (10, 15, 21), (10, 20, 40)])
def test_devices_of_different_parts_meet_wherever_they_start(intervals: tuple[int, ...]) -> None:
    traffic = generate(30, "high", np.random.default_rng(1), intervals=intervals)
    parts = components(traffic)
    assert sorted(np.concatenate(parts).tolist()) == list(range(30))
    part_of = {int(device): number for number, part in enumerate(parts) for device in part}
    rows = list(zip(traffic.interval.tolist(), traffic.duration.tolist(), strict=True))
    for one in range(30):
        for other in range(one):
            if part_of[one] == part_of[other]:
                continue
            (a, d), (b, e) = rows[one], rows[other]
            for later in range(math.gcd(a, b)):
                mine = {slot % math.gcd(a, b) for slot in range(d)}
                assert mine & {(later + slot) % math.gcd(a, b) for slot in range(e)}


def test_table_iii_is_one_part_and_coprime_intervals_are_not(drawn) -> None:
    assert len(components(drawn(100, "low", 1))) == 1
    assert len(components(generate(50, "low", np.random.default_rng(1), intervals=(7, 11, 13)))) == 3
    assert len(components(traffic_of([("a", 10, 6, 0), ("b", 10, 6, 0)]))) == 1


@pytest.mark.parametrize("intervals", [(7, 11, 13), (5, 6, 10), (4, 6, 9)])
@pytest.mark.parametrize("max_shift", [0, 2])
def test_the_parts_together_are_the_optimum(unhurried, intervals, max_shift) -> None:
    traffic = generate(11, "medium", np.random.default_rng(7), intervals=intervals)
    found = exact(traffic, max_shift, 60.0)
    assert found is not None
    assert found.proved
    answer = best(traffic, max_shift, unhurried)
    check(traffic, answer.assignment, max_shift)
    assert lower_bound(traffic, max_shift, unhurried) <= answer.lower_bound <= found.assignment.lines
    assert answer.assignment.lines == found.assignment.lines


def test_minutes_whose_common_timeline_is_long_are_proved(unhurried) -> None:
    traffic = generate(100, "high", np.random.default_rng(3), intervals=(420, 660, 780))
    assert traffic.timeline_slots() > 60_000
    answer = best(traffic, 30, unhurried)
    check(traffic, answer.assignment, 30)
    assert answer.assignment.lines == answer.lower_bound > cheap_bound(kinds_of(traffic, 0), 30)
