"""ILP-IA and ILP-DA: the exact models of the paper on HiGHS, for small networks.

One binary a device, line and admissible start (eq. 3-6, one line for each device as the notes mend eq. 5); every line
carries at most one device in every slot. A line that had a number keeps it; another line is named by its device of
lowest index, which takes away the symmetry of M equal lines. Eq. (7) is mended to: fewest lines, then fewest changed
devices (or lines + price x changes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import highspy
import numpy as np

from planning.grouping.assignment import NOWHERE, Assignment, Previous
from planning.grouping.kinds import Kinds, kinds_of
from planning.grouping.numbering import number_lines
from planning.grouping.traffic import Traffic
from spectrum.errors import BadInput

# Entries of the constraint matrix beyond which the model does not fit a small machine.
LARGEST_MODEL: Final = 10_000_000


@dataclass(frozen=True)
class Exact:
    """The answer, whether it is proved optimal, and the proved lower bound on the objective's line count."""

    assignment: Assignment
    proved: bool
    bound: float


@dataclass(frozen=True)
class _Column:
    """Binary: `device` takes `option` on `line` (an index of numbered lines first, then of naming devices)."""

    device: int
    line: int
    option: int
    cost: float


def exact(
    traffic: Traffic,
    max_shift: int,
    seconds: float,
    *,
    previous: Previous | None = None,
    change_cost: float | None = None,
    lower_bound: int = 1,
    start: Assignment | None = None,
) -> Exact | None:
    """Solve ILP-IA, or with `previous` ILP-DA; None when no answer was found in `seconds`.

    change_cost: price of a changed device in lines; None: lines first, whatever the changes. lower_bound: a proved
    one, which shortens the proof. start: an answer to start from (for ILP-IA).
    """
    kinds = kinds_of(traffic, max_shift)
    before = [NOWHERE] * len(traffic) if previous is None else list(previous.line_of(traffic))
    numbers = tuple(sorted(set(before) - {NOWHERE}))
    price = 1.0 / (len(traffic) + 1) if change_cost is None else change_cost
    if not is_small_enough(kinds, len(numbers)):
        raise BadInput(
            f"expected a network the exact model can hold, {len(traffic)} devices on a timeline of "
            f"{kinds.timeline_slots} slots are too many; use --method best"
        )
    columns = _columns(kinds, before, numbers, price)
    solver = _model(kinds, columns, len(numbers), len(traffic), lower_bound)
    # Objectives are sums of whole lines and `price`s: a gap below the smallest step proves the optimum.
    solver.setOptionValue("mip_abs_gap", min(0.999, 0.999 * price if numbers and price > 0 else 0.999))
    solver.setOptionValue("time_limit", float(seconds))
    if start is not None and not numbers:
        _begin_with(solver, kinds, columns, start)
    solver.run()
    values = np.array(solver.getSolution().col_value)
    if solver.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return None
    chosen = [columns[place] for place in np.flatnonzero(values[: len(columns)] > 0.5)]
    group = np.full(len(traffic), -1, dtype=np.int64)
    shift = np.zeros(len(traffic), dtype=np.int64)
    for column in chosen:
        group[column.device], shift[column.device] = column.line, kinds.option_shift[column.option]
    proved = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    answer = Assignment(number_lines(group, numbers, before), tuple(shift.tolist()))
    return Exact(answer, proved, float(solver.getInfo().mip_dual_bound))


def is_small_enough(kinds: Kinds, numbered: int = 0) -> bool:
    """Whether the model of these devices, beside `numbered` lines, can be built at all."""
    if kinds.words.shape[1] == 0:
        return False
    slots = kinds.pattern_duration * (kinds.timeline_slots // kinds.pattern_interval)
    entries = np.bincount(np.repeat(np.arange(kinds.interval.size), np.diff(kinds.first_option)),
                          weights=slots[kinds.option_pattern])  # fmt: skip
    return float(entries[kinds.kind].sum()) * (numbered + kinds.kind.size / 2) <= LARGEST_MODEL


def _columns(kinds: Kinds, before: Sequence[int], numbers: Sequence[int], price: float) -> list[_Column]:
    """All binaries; the naming device's own come with the price of its line."""
    columns = []
    for device, kind in enumerate(kinds.kind.tolist()):
        options = range(int(kinds.first_option[kind]), int(kinds.first_option[kind + 1]))
        for option in options:
            for line, number in enumerate(numbers):
                moved = before[device] not in (NOWHERE, number)
                columns.append(_Column(device, line, option, price if moved else 0.0))
            moved = before[device] != NOWHERE
            for leader in range(device + 1):
                opens = 1.0 if leader == device else 0.0
                columns.append(_Column(device, len(numbers) + leader, option, opens + (price if moved else 0.0)))
    return columns


def _model(kinds: Kinds, columns: list[_Column], numbered: int, devices: int, lower_bound: int) -> Any:
    """Binaries, then one 0..1 variable for each numbered line in use."""
    solver = highspy.Highs()
    for option, setting in (("output_flag", False), ("threads", 1), ("random_seed", 1), ("mip_rel_gap", 0.0)):
        solver.setOptionValue(option, setting)
    total = len(columns) + numbered
    cost = np.array([column.cost for column in columns] + [1.0] * numbered)
    solver.addVars(total, np.zeros(total), np.ones(total))
    every = np.arange(total, dtype=np.int32)
    solver.changeColsCost(total, every, cost)
    solver.changeColsIntegrality(total, every, np.full(total, highspy.HighsVarType.kInteger))
    lines = numbered + devices
    opening: list[list[int]] = [[len(columns) + line] if line < numbered else [] for line in range(lines)]
    of_device: list[list[int]] = [[] for _ in range(devices)]
    in_slot: list[dict[int, list[int]]] = [{} for _ in range(lines)]
    slots = _slots(kinds)
    for place, column in enumerate(columns):
        of_device[column.device].append(place)
        if column.line - numbered == column.device:
            opening[column.line].append(place)
            continue
        for slot in slots[kinds.option_pattern[column.option]]:
            in_slot[column.line].setdefault(slot, []).append(place)
    for places in of_device:
        _row(solver, 1.0, 1.0, places, [1.0] * len(places))
    _fill_slots(solver, kinds, columns, numbered, opening, in_slot, slots)
    opened = [place for places in opening for place in places]
    _row(solver, float(lower_bound), highspy.kHighsInf, opened, [1.0] * len(opened))
    return solver


def _fill_slots(
    solver: Any, kinds: Kinds, columns: list[_Column], numbered: int, opening: list[list[int]],
    in_slot: list[dict[int, list[int]]], slots: list[list[int]],
) -> None:
    """In every slot of every open line at most one device (eq. 4); the naming device takes its own slots too."""
    for line, taken in enumerate(in_slot):
        seen = set()
        own: dict[int, set[int]] = {}
        for place in opening[line]:
            if line >= numbered:
                for slot in slots[kinds.option_pattern[columns[place].option]]:
                    own.setdefault(slot, set()).add(place)
        for slot, places in taken.items():
            # The namer's own slots are full; elsewhere there is room for one while the line is open.
            room = [place for place in opening[line] if place not in own.get(slot, ())]
            key = (tuple(places), tuple(room))
            if key not in seen:
                seen.add(key)
                _row(solver, -highspy.kHighsInf, 0.0, places + room, [1.0] * len(places) + [-1.0] * len(room))


def _row(solver: Any, low: float, high: float, places: list[int], values: list[float]) -> None:
    solver.addRow(low, high, len(places), np.array(places, dtype=np.int32), np.array(values))


def _slots(kinds: Kinds) -> list[list[int]]:
    """Slots of every pattern on the whole timeline."""
    slots = np.arange(kinds.timeline_slots)
    used = (slots - kinds.pattern_start[:, None]) % kinds.pattern_interval[:, None] < kinds.pattern_duration[:, None]
    return [np.flatnonzero(row).tolist() for row in used]


def _begin_with(solver: Any, kinds: Kinds, columns: list[_Column], start: Assignment) -> None:
    """Hand the solver an answer to start from."""
    leader = {line: start.line.index(line) for line in set(start.line)}
    solution = highspy.HighsSolution()
    solution.col_value = [
        float(
            column.line == leader[start.line[column.device]]
            and kinds.option_shift[column.option] == start.shift[column.device]
        )
        for column in columns
    ]
    solver.setSolution(solution)
