"""Traffic to group, drawn and small by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from planning.grouping.assignment import Assignment
from planning.grouping.best import Clock
from planning.grouping.traffic import Traffic, generate


@pytest.fixture
def drawn() -> Callable[[int, str, int], Traffic]:
    """(count, load, seed) -> traffic of table III."""
    return lambda count, load, seed: generate(count, load, np.random.default_rng(seed))


@pytest.fixture
def unhurried() -> Clock:
    """A clock that stands still: searches end by patience or proof alone."""
    return Clock(lambda: 0.0, 1.0)


@pytest.fixture
def next_moment() -> Callable[[Traffic, int, int, str, int], Traffic]:
    """(traffic, leaving, joining, load, seed) -> the traffic after some left and others, with new ids, joined."""

    def change(traffic: Traffic, leaving: int, joining: int, load: str, seed: int) -> Traffic:
        rng = np.random.default_rng(seed)
        stay = traffic.select(np.sort(rng.choice(len(traffic), len(traffic) - leaving, replace=False)))
        new = generate(joining, load, rng, first_id=1_000_000 * (seed + 1))
        columns = [np.concatenate(pair) for pair in zip(_columns(stay), _columns(new), strict=True)]
        return Traffic(stay.names + new.names, *columns)

    return change


def _columns(traffic: Traffic) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return traffic.interval, traffic.duration, traffic.start


@pytest.fixture
def meets_slot_by_slot() -> Callable[[Traffic, Assignment], bool]:
    """Whether two devices of one line send in the same slot, by walking through the whole timeline."""

    def meets(traffic: Traffic, assignment: Assignment) -> bool:
        taken: set[tuple[int, int]] = set()
        for device, (line, shift) in enumerate(zip(assignment.line, assignment.shift, strict=True)):
            interval = int(traffic.interval[device])
            for slot in range(traffic.timeline_slots()):
                if (slot - int(traffic.start[device]) - shift) % interval < traffic.duration[device]:
                    if (line, slot) in taken:
                        return True
                    taken.add((line, slot))
        return False

    return meets
