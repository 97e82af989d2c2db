"""From the configuration LP to whole lines: fix what the LP is sure of, solve the rest again, until all is fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planning.grouping.kinds import Kinds
from planning.grouping.master import Line, Master, Relaxed
from planning.grouping.traffic import IntArray

Shares = NDArray[np.float64]

# Rounds of column generation after each fixing; with one a dive takes a third of the time and ends some lines higher.
ROUNDS: Final = 6
# Share of the lines still missing that one fixing may round up, at least one line.
STRIDE: Final = 0.08
# Standard deviation of the random change of a share, as a part of it.
NOISE: Final = 0.2


def dive(
    master: Master,
    relaxed: Relaxed,
    out_of_time: Callable[[], bool],
    *,
    rounds: int = ROUNDS,
    rng: np.random.Generator | None = None,
) -> list[Line]:
    """Whole lines that cover every device; a kind may stand on more lines than it has devices.

    Whole parts of the LP's shares are fixed at once; when there are none, the largest shares are rounded up. With
    `rng` these are the largest after a random change, so that another dive leads elsewhere. rounds: of column
    generation after each fixing; the bound no longer needs proof there.
    """
    left = master.kinds.count.copy()
    fixed: list[Line] = []
    share = relaxed.share
    while True:
        for line, times in _whole_parts(master, share, left) or _largest(master, _changed(share, rng), left):
            fixed += [line] * times
        if not left.any():
            return fixed
        master.cover(left)
        share = master.solve(out_of_time, rounds=1 if out_of_time() else rounds).share


def _changed(share: Shares, rng: np.random.Generator | None) -> Shares:
    return share if rng is None else share * np.maximum(0.1, 1.0 + NOISE * rng.standard_normal(share.size))


def _whole_parts(master: Master, share: Shares, left: IntArray) -> list[tuple[Line, int]]:
    """Lines with a share of at least 1 and the whole times they fit the devices left, which are taken off.

    A kind of which nobody is left does not count: on such a line its place stays empty.
    """
    chosen = []
    for column in np.flatnonzero(share >= 1.0 - 1e-6):
        need = [(kind, number) for kind, number in master.needs[column] if left[kind] > 0]
        times = min((int(left[kind]) // number for kind, number in need), default=0)
        times = min(times, int(share[column] + 1e-6))
        if times > 0:
            chosen.append((master.lines[column], times))
            for kind, number in need:
                left[kind] -= times * number
    return chosen


def _largest(master: Master, share: Shares, left: IntArray) -> list[tuple[Line, int]]:
    """The largest shares, rounded up to one line each, while each line finds all its devices; at least one line."""
    most = max(1, int(STRIDE * share.sum()))
    chosen: list[tuple[Line, int]] = []
    for column in np.argsort(-share, kind="stable"):
        if share[column] <= 1e-9 or len(chosen) == most or (chosen and share[column] < 0.5):
            break
        need = master.needs[column]
        if chosen and any(left[kind] < number for kind, number in need):
            continue
        chosen.append((master.lines[column], 1))
        for kind, number in need:
            left[kind] = max(0, left[kind] - number)
    return chosen


def place_devices(kinds: Kinds, option_kind: IntArray, lines: list[Line]) -> tuple[IntArray, IntArray]:
    """Line and option of every device, int64 (M,) each, from whole lines that cover all devices."""
    line = np.full(kinds.kind.size, -1, dtype=np.int64)
    option = np.full(kinds.kind.size, -1, dtype=np.int64)
    taken = np.zeros(kinds.interval.size, dtype=np.int64)
    count, used = kinds.count, 0
    for options in lines:
        before = taken.sum()
        for place in options:
            kind = option_kind[place]
            if taken[kind] < count[kind]:
                device = kinds.device[kinds.first_device[kind] + taken[kind]]
                taken[kind] += 1
                line[device], option[device] = used, place
        used += int(taken.sum() > before)
    return line, option
