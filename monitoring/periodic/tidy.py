"""A trace in order: sorted per device, copies heard through several gateways merged into one reception."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitoring.periodic.trace import Floats, Ints, Receptions

# Copies through different gateways come within this time: radio delay is none, backhaul and gateway clocks differ.
MERGE_S: Final = 2.0
# Without gateway names only what is the same to a timestamp's rounding is a copy.
SAME_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Tidy:
    """Receptions by device and time, one row a transmission heard.

    start: where each device's rows begin, int64 (D + 1,). copies: rows merged per device. heard: for each row of the
    original trace in `order`, the reception it is a copy of; gateway: its gateway.
    """

    receptions: Receptions
    start: Ints
    copies: Ints
    heard: Ints
    gateway: Ints


def tidy(trace: Receptions, merge_s: float = MERGE_S) -> Tidy:
    """Sort by (device, time) and merge copies; the earliest copy stays. Notes count what was done."""
    out_of_order = _out_of_order(trace)
    order = np.lexsort((trace.time_s, trace.device))
    device, time_s, gateway = trace.device[order], trace.time_s[order], trace.gateway[order]
    kind = _kinds(trace)[order]
    earliest = _earliest_copies(device, time_s, gateway, kind, merge_s if trace.gateways else SAME_S)
    first = earliest == np.arange(earliest.size)
    heard = (np.cumsum(first) - 1)[earliest]
    kept = replace(
        trace,
        device=device[first],
        time_s=time_s[first],
        application=trace.application[order][first],
        gateway=gateway[first],
        size=None if trace.size is None else trace.size[order][first],
        notes=replace(trace.notes, out_of_order=out_of_order, duplicates=int((~first).sum())),
    )
    start = np.searchsorted(kept.device, np.arange(len(trace.devices) + 1))
    copies = np.bincount(device[~first], minlength=len(trace.devices))
    return Tidy(kept, start, copies, heard, gateway)


def _kinds(trace: Receptions) -> Ints:
    """A number for each pair of application and size: copies of one report agree in both."""
    if trace.size is None:
        return trace.application
    return trace.application * (int(trace.size.max(initial=0)) + 2) + trace.size


def _out_of_order(trace: Receptions) -> int:
    """Rows that stand after a later one of the same device."""
    order = np.argsort(trace.device, kind="stable")
    device, time_s = trace.device[order], trace.time_s[order]
    if time_s.size == 0:
        return 0
    # the running maximum per device: lift each device's times above those of the one before
    rise = float(time_s.max() - time_s.min()) + 1.0
    lifted = time_s - time_s.min() + device * rise
    return int((lifted < np.maximum.accumulate(lifted)).sum())


def _earliest_copies(device: Ints, time_s: Floats, gateway: Ints, kind: Ints, merge_s: float) -> Ints:
    """For each row (sorted by device and time) the row it is a copy of: itself, where it is no copy.

    A copy comes within `merge_s` of the first of its group, through a gateway that is not in the group yet and with
    the same application and size; through the same gateway only at the same instant.
    """
    if time_s.size == 0:
        return np.empty(0, dtype=np.int64)
    near = (np.diff(device) == 0) & (np.diff(time_s) <= merge_s)
    first = np.concatenate([[True], ~near])
    group = np.cumsum(first) - 1
    sizes = np.bincount(group)
    doubtful = _doubtful(group, sizes, time_s, gateway, kind, merge_s)
    starts = np.flatnonzero(first)
    earliest = starts[group]
    for index in np.flatnonzero(doubtful):
        begin = int(starts[index])
        rows = slice(begin, begin + int(sizes[index]))
        earliest[rows] = begin + _split(time_s[rows], gateway[rows], kind[rows], merge_s)
    return np.asarray(earliest)


def _doubtful(group: Ints, sizes: Ints, time_s: Floats, gateway: Ints, kind: Ints, merge_s: float) -> NDArray[np.bool_]:
    """Groups that are no plain set of copies: too long, a gateway twice, or two applications or sizes."""
    doubtful = np.zeros(sizes.size, dtype=bool)
    inside = np.flatnonzero(sizes[group] > 1)
    if inside.size == 0:
        return doubtful
    begin = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    doubtful[group[inside[time_s[inside] - time_s[begin[group[inside]]] > merge_s]]] = True
    order = inside[np.lexsort((gateway[inside], group[inside]))]
    twice = (np.diff(group[order]) == 0) & (np.diff(gateway[order]) == 0)
    doubtful[group[order[1:][twice]]] = True
    doubtful[group[inside[kind[inside] != kind[begin[group[inside]]]]]] = True
    return doubtful


def _split(time_s: Floats, gateway: Ints, kind: Ints, merge_s: float) -> Ints:
    """For each row of a group the row in it that it is a copy of, by the plain rule."""
    earliest = np.arange(time_s.size)
    begun: list[tuple[int, set[int]]] = []
    for row, heard_by in enumerate(gateway.tolist()):
        for of, gateways in begun:
            apart_s = time_s[row] - time_s[of]
            if kind[row] == kind[of] and apart_s <= merge_s and (heard_by not in gateways or apart_s <= SAME_S):
                gateways.add(heard_by)
                earliest[row] = of
                break
        else:
            begun.append((row, {heard_by}))
    return earliest
