"""Which number a line bears: a number is an identity that devices hold, so as many as possible keep theirs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from planning.grouping.assignment import NOWHERE, Assignment
from planning.grouping.traffic import IntArray


def number_lines(group: IntArray, numbers: Sequence[int], before: Sequence[int]) -> tuple[int, ...]:
    """Line number of every device from its group.

    Groups below len(numbers) keep numbers[group]; a number that is free goes to the new group that keeps most
    members by it, other groups take the lowest unused numbers from 1. before: previous line of every device.
    """
    filled = set(group.tolist())
    label = {row: number for row, number in enumerate(numbers) if row in filled}
    fresh: dict[int, Counter[int]] = defaultdict(Counter)
    for row, number in zip(group.tolist(), before, strict=True):
        if row not in label:
            fresh[row][number] += 1
    free = set(before) - set(label.values()) - {NOWHERE}
    wishes = sorted((-kept, row, number) for row, kept_by in fresh.items() for number, kept in kept_by.items())
    for _, row, number in wishes:
        if number in free and row not in label:
            label[row] = number
            free.discard(number)
    used, unused = set(label.values()), 1
    for row in sorted(fresh):
        if row not in label:
            while unused in used:
                unused += 1
            label[row] = unused
            used.add(unused)
    return tuple(label[row] for row in group.tolist())


def keep_numbers(assignment: Assignment, before: IntArray) -> Assignment:
    """The same groups, numbered so that most devices keep their number (an assignment problem, solved exactly)."""
    from scipy.optimize import linear_sum_assignment

    group = np.unique(np.array(assignment.line), return_inverse=True)[1]
    numbers, place = np.unique(before, return_inverse=True)
    kept = np.zeros((group.max() + 1, numbers.size))
    np.add.at(kept, (group, place), 1.0)
    kept[:, numbers == NOWHERE] = 0.0
    rows, columns = linear_sum_assignment(-kept)
    label = {int(row): int(numbers[column]) for row, column in zip(rows, columns, strict=True) if kept[row, column] > 0}
    unused = (number for number in range(1, 2 * len(assignment.line) + 2) if number not in set(numbers.tolist()))
    for row in range(group.max() + 1):
        if row not in label:
            label[row] = next(unused)
    return Assignment(tuple(label[row] for row in group.tolist()), assignment.shift)
