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
from planning.grouping.master import new_solver
from planning.grouping.numbering import number_lines
from planning.grouping.traffic import Traffic
from spectrum.errors import BadInput

# Entries of the constraint matrix beyond which the model does not fit a small machine.
LARGEST_MODEL: Final = 3_000_000


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
    if solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        # One line a device always works, so presolve erred, as it did on other forms of this model.
        solver.setOptionValue("presolve", "off")
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
    """All binaries of devices, with what they cost in changes."""
    columns = []
    for device, kind in enumerate(kinds.kind.tolist()):
        options = range(int(kinds.first_option[kind]), int(kinds.first_option[kind + 1]))
        for option in options:
            for line, number in enumerate(numbers):
                moved = before[device] not in (NOWHERE, number)
                columns.append(_Column(device, line, option, price if moved else 0.0))
            moved = before[device] != NOWHERE
            for leader in range(device + 1):
                columns.append(_Column(device, len(numbers) + leader, option, price if moved else 0.0))
    return columns


def _model(kinds: Kinds, columns: list[_Column], numbered: int, devices: int, lower_bound: int) -> Any:
    """Binaries of the columns, then one for each line in use."""
    solver = new_solver()
    lines = numbered + devices
    total = len(columns) + lines
    solver.addVars(total, np.zeros(total), np.ones(total))
    every = np.arange(total, dtype=np.int32)
    solver.changeColsCost(total, every, np.array([column.cost for column in columns] + [1.0] * lines))
    solver.changeColsIntegrality(total, every, np.full(total, highspy.HighsVarType.kInteger))
    of_device: list[list[int]] = [[] for _ in range(devices)]
    in_slot: list[dict[int, list[int]]] = [{} for _ in range(lines)]
    naming: list[list[int]] = [[] for _ in range(lines)]
    slots = _slots(kinds)
    for place, column in enumerate(columns):
        of_device[column.device].append(place)
        if column.line == numbered + column.device:
            naming[column.line].append(place)
        for slot in slots[kinds.option_pattern[column.option]]:
            in_slot[column.line].setdefault(slot, []).append(place)
    for places in of_device:
        _row(solver, 1.0, 1.0, places, [1.0] * len(places))
    for line in range(lines):
        used = len(columns) + line
        if line >= numbered:
            _row(solver, 0.0, 0.0, [*naming[line], used], [1.0] * len(naming[line]) + [-1.0])
        # At most one device in every slot (eq. 4), and none on a line that is not in use.
        for together in {tuple(places) for places in in_slot[line].values()}:
            _row(solver, -highspy.kHighsInf, 0.0, [*together, used], [1.0] * len(together) + [-1.0])
    in_use = list(range(len(columns), total))
    _row(solver, float(lower_bound), highspy.kHighsInf, in_use, [1.0] * lines)
    return solver


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
    ] + [float(line in leader.values()) for line in range(len(start.line))]
    solver.setSolution(solution)
