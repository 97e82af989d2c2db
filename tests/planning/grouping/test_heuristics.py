"""HIA and HDA: the fast versions against the paper word for word, and the slips that were mended."""

from __future__ import annotations

import numpy as np
import pytest

from planning.grouping.assignment import Previous, changed_percent, check, previous_of, saving_percent
from planning.grouping.clearing import SHORTLIST
from planning.grouping.dynamic import Rules, hda
from planning.grouping.experiments import Setting, changed_network
from planning.grouping.initial import hia
from planning.grouping.kinds import kinds_of
from planning.grouping.numbering import keep_numbers, number_lines
from planning.grouping.plain import plain_hda, plain_hia
from planning.grouping.traffic import generate, traffic_of

LOADS = ("low", "medium", "high")


def groups(assignment) -> list[list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {}
    for device, (line, shift) in enumerate(zip(assignment.line, assignment.shift, strict=True)):
        found.setdefault(line, []).append((device, shift))
    return sorted(found.values())


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("max_shift", [0, 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_hia_is_algorithm_1(drawn, load: str, max_shift: int, seed: int) -> None:
    traffic = drawn(12, load, seed)
    assert hia(traffic, max_shift) == plain_hia(traffic, max_shift)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("max_shift", [0, 2])
@pytest.mark.parametrize("smart_removal", [True, False])
def test_hda_is_algorithm_2(drawn, next_moment, load: str, max_shift: int, smart_removal: bool) -> None:
    traffic = drawn(12, load, 5)
    answer = hia(traffic, max_shift)
    for moment in range(3):
        before = previous_of(traffic, answer)
        traffic = next_moment(traffic, 4, 4, load, moment)
        answer = hda(traffic, max_shift, before, smart_removal=smart_removal)
        check(traffic, answer, max_shift)
        plain = plain_hda(traffic, max_shift, before, smart_removal=smart_removal)
        assert groups(answer) == sorted(sorted(line.items()) for line in plain if line)


@pytest.mark.parametrize(("load", "max_shift"), [("high", 1), ("medium", 1)])
@pytest.mark.parametrize("intervals", [(10, 20, 40), (6, 10, 15)])
def test_hda_is_algorithm_2_with_more_newcomers_than_a_shortlist_holds(load, max_shift, intervals) -> None:
    setting = Setting(load, 60, max_shift, intervals, leaving=30, joining=30)
    rng = np.random.default_rng(9)
    traffic = generate(60, load, rng, intervals=intervals)
    before = previous_of(traffic, hia(traffic, max_shift))
    now = changed_network(traffic, setting, rng, 61)
    assert kinds_of(now, max_shift).pattern_interval.size > SHORTLIST
    plain = plain_hda(now, max_shift, before)
    assert groups(hda(now, max_shift, before)) == sorted(sorted(line.items()) for line in plain if line)


def test_hia_handles_intervals_without_a_short_common_timeline() -> None:
    # Masks end at 4096 slots; 16 * 27 * 25 slots are compared by gcd arithmetic, and the answer must be the same.
    rows = [("a", 16, 2, 0), ("b", 48, 3, 5), ("c", 27, 4, 1), ("d", 54, 2, 7), ("e", 25, 3, 3), ("f", 32, 4, 9)]
    traffic = traffic_of(rows)
    assert traffic.timeline_slots() > 4096
    assert hia(traffic, 1) == plain_hia(traffic, 1)


def test_the_maximiser_is_added_and_leaves_both_sets() -> None:
    # Algorithm 1, lines 25-26, adds the last device looked at and never takes it out of G.
    traffic = traffic_of([("a", 10, 2, 0), ("b", 10, 2, 2), ("c", 10, 2, 4), ("d", 10, 2, 6)])
    answer = hia(traffic, 0)
    assert answer.lines == 1
    assert len(answer.line) == 4


def test_a_full_line_has_active_score_0_and_is_still_found() -> None:
    # A score may be the extreme one and yet be a pair: "none found" is a flag, not a score of 0.
    traffic = traffic_of([("a", 2, 1, 0), ("b", 2, 1, 1), ("c", 2, 2, 0)])
    assert hia(traffic, 0).line == (1, 1, 2)


def test_root_pairs_prefer_short_then_full_then_border() -> None:
    # a+b are active 4 slots, a+c 6: A decides, though c fills more.
    traffic = traffic_of([("a", 20, 2, 4), ("b", 20, 2, 6), ("c", 20, 4, 6)])
    assert hia(traffic, 0).line == (1, 1, 2)


def test_ties_go_to_the_lowest_device() -> None:
    traffic = traffic_of([("a", 10, 5, 0), ("b", 10, 5, 5), ("c", 10, 5, 0), ("d", 10, 5, 5)])
    assert hia(traffic, 0).line == (1, 1, 2, 2)


def test_newcomers_join_and_nobody_else_moves_without_smart_removal(drawn, next_moment) -> None:
    traffic = drawn(80, "high", 7)
    before = previous_of(traffic, hia(traffic, 3))
    now = next_moment(traffic, 8, 8, "high", 1)
    answer = hda(now, 3, before, smart_removal=False)
    check(now, answer, 3)
    assert changed_percent(now, answer, before) == 0.0
    for name, line, shift in zip(now.names, answer.line, answer.shift, strict=True):
        assert before.places.get(name, (line, shift)) == (line, shift)


def test_updated_identities_at_high_load_are_those_of_the_paper(drawn, next_moment) -> None:
    # 5.4 % with M = 500, 10 % dynamicity, shifting; here 12 moments, so a wide band.
    traffic = drawn(500, "high", 11)
    answer, changed = hia(traffic, 3), []
    for moment in range(12):
        before = previous_of(traffic, answer)
        traffic = next_moment(traffic, 50, 50, "high", moment)
        answer = hda(traffic, 3, before)
        changed.append(changed_percent(traffic, answer, before))
    assert 3.5 < np.mean(changed) < 7.5


def test_without_a_moment_before_hda_is_hia(drawn) -> None:
    traffic = drawn(40, "medium", 2)
    assert hda(traffic, 2, Previous({})) == hia(traffic, 2)


def test_a_device_whose_traffic_changed_is_placed_again() -> None:
    # b's new phase meets a, who stays; b counts as changed because its line does.
    before = Previous({"a": (3, 0), "b": (3, 0)})
    traffic = traffic_of([("a", 10, 4, 0), ("b", 10, 4, 2)])
    answer = hda(traffic, 0, before)
    assert answer.line[0] == 3
    assert answer.line[1] != 3
    check(traffic, answer, 0)
    assert changed_percent(traffic, answer, before) == 50.0


@pytest.mark.parametrize(
    "rules",
    [Rules(clip=True), Rules(whole_timeline=True), Rules(fewest_first=True), Rules(unshifted_removal=True),
     Rules(single_leftovers=True)],
)  # fmt: skip
def test_other_readings_give_valid_answers_too(drawn, next_moment, rules: Rules) -> None:
    traffic = drawn(60, "high", 4)
    before = previous_of(traffic, hia(traffic, 2, clip=rules.clip, whole_timeline=rules.whole_timeline))
    now = next_moment(traffic, 20, 20, "high", 3)
    check(now, hda(now, 2, before, rules=rules), 2)


def test_single_leftovers_need_no_fewer_lines(drawn, next_moment) -> None:
    traffic = drawn(200, "high", 9)
    before = previous_of(traffic, hia(traffic, 0))
    now = next_moment(traffic, 60, 60, "high", 2)
    single = hda(now, 0, before, smart_removal=False, rules=Rules(single_leftovers=True))
    regrouped = hda(now, 0, before, smart_removal=False)
    assert saving_percent(now, single) < saving_percent(now, regrouped)


def test_a_freed_number_goes_to_the_group_that_keeps_most_members() -> None:
    group = np.array([2, 2, 2, 3, 3, 0])
    before = [7, 7, -1, 7, 9, 5]
    # Line 5 stays; 7 has lost its group to the two new ones: the first holds two of its members, the second one.
    assert number_lines(group, (5, 7), before) == (7, 7, 7, 9, 9, 5)


def test_numbers_are_kept_by_most_devices() -> None:
    traffic = traffic_of([(name, 10, 1, slot) for slot, name in enumerate("abcd")])
    fresh = hia(traffic, 0)
    assert keep_numbers(fresh, np.array([4, 4, 8, 4])).line == (4, 4, 4, 4)
