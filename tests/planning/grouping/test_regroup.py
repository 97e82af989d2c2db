"""Regrouping against HDA and against ILP-DA."""

from __future__ import annotations

import pytest

from planning.grouping.assignment import changed_devices, check, previous_of
from planning.grouping.dynamic import hda
from planning.grouping.exact import exact
from planning.grouping.initial import hia
from planning.grouping.regroup import best_regrouping


@pytest.mark.parametrize("load", ["low", "medium", "high"])
@pytest.mark.parametrize("max_shift", [0, 3])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_never_worse_than_hda_in_lines_or_in_changes(drawn, next_moment, unhurried, load, max_shift, share) -> None:
    traffic = drawn(120, load, 13)
    answer, churn = hia(traffic, max_shift), int(share * 120)
    for moment in range(3):
        before = previous_of(traffic, answer)
        traffic = next_moment(traffic, churn, churn, load, moment)
        found = best_regrouping(traffic, max_shift, before, unhurried)
        answer = found.assignment
        check(traffic, answer, max_shift)
        rival = hda(traffic, max_shift, before)
        assert found.lower_bound <= answer.lines <= rival.lines
        assert changed_devices(traffic, answer, before) <= changed_devices(traffic, rival, before)


def test_a_price_bounds_what_is_paid_for_a_line(drawn, next_moment, unhurried) -> None:
    traffic = drawn(150, "high", 17)
    before = previous_of(traffic, hia(traffic, 3))
    now = next_moment(traffic, 15, 15, "high", 5)
    rival = hda(now, 3, before)
    paid = {}
    for price in (0.0, 0.1, 10.0):
        answer = best_regrouping(now, 3, before, unhurried, change_cost=price).assignment
        check(now, answer, 3)
        changed = changed_devices(now, answer, before)
        assert answer.lines + price * changed <= rival.lines + price * changed_devices(now, rival, before) + 1e-9
        paid[price] = (answer.lines, changed)
    assert paid[0.0][0] <= paid[0.1][0] <= paid[10.0][0]
    assert paid[10.0][1] < min(paid[0.1][1], paid[0.0][1])


def test_never_better_than_ilp_da(drawn, next_moment, unhurried) -> None:
    traffic = drawn(9, "medium", 2)
    before = previous_of(traffic, hia(traffic, 1))
    now = next_moment(traffic, 3, 3, "medium", 4)
    for price in (0.05, 0.5):
        found = exact(now, 1, 60.0, previous=before, change_cost=price)
        assert found is not None
        assert found.proved
        answer = best_regrouping(now, 1, before, unhurried, change_cost=price).assignment
        least = found.assignment.lines + price * changed_devices(now, found.assignment, before)
        assert answer.lines + price * changed_devices(now, answer, before) >= least - 1e-9
