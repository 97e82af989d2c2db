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
    first = _first_copies(device, time_s, gateway, kind, merge_s if trace.gateways else SAME_S)
    heard = np.cumsum(first) - 1
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


def _first_copies(device: Ints, time_s: Floats, gateway: Ints, kind: Ints, merge_s: float) -> NDArray[np.bool_]:
    """Which rows (sorted by device and time) are no copy of an earlier one.

    A copy comes within `merge_s` of the first of its group, through a gateway that is not in the group yet and with
    the same application and size; through the same gateway only at the same instant.
    """
    if time_s.size == 0:
        return np.ones(0, dtype=bool)
    near = (np.diff(device) == 0) & (np.diff(time_s) <= merge_s)
    first = np.concatenate([[True], ~near])
    group = np.cumsum(first) - 1
    sizes = np.bincount(group)
    doubtful = _doubtful(group, sizes, time_s, gateway, kind, merge_s)
    starts = np.flatnonzero(first)
    for index in np.flatnonzero(doubtful):
        begin = int(starts[index])
        rows = slice(begin, begin + int(sizes[index]))
        first[rows] = _split(time_s[rows], gateway[rows], kind[rows], merge_s)
    return first


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


def _split(time_s: Floats, gateway: Ints, kind: Ints, merge_s: float) -> NDArray[np.bool_]:
    first = np.zeros(time_s.size, dtype=bool)
    open_groups: list[tuple[float, int, set[int]]] = []
    for row, (time, heard_by, label) in enumerate(zip(time_s.tolist(), gateway.tolist(), kind.tolist(), strict=True)):
        for begun, of, gateways in open_groups:
            fresh = heard_by not in gateways or time - begun <= SAME_S
            if label == of and time - begun <= merge_s and fresh:
                gateways.add(heard_by)
                break
        else:
            first[row] = True
            open_groups.append((time, label, {heard_by}))
    return first
