"""Compiled loops of the capture simulation. Imported only when a simulation runs: numba takes its time to load."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from planning.models.airtimes import Floats

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# A receiver locks on after four clean preamble symbols in a row (section 3.2 of the paper).
DETECTION_SYMBOLS = 4
PREAMBLE_SYMBOLS = 12
# Sums of symbol lengths carry rounding of this many symbols.
TINY = 1e-9


@njit(cache=True)
def judge_channel(
    start: Floats,
    spreading: Integers,
    snr: Floats,
    airtime: Floats,
    symbol: Floats,
    coverage: Floats,
    inter_sf: Floats,
    co_sf: float,
) -> tuple[Flags, Floats]:
    """Captured, and the time of detection (inf: never), for the frames of one channel in order of their start.

    start, spreading (0..5), snr: shape (frames,). airtime, symbol, coverage, inter_sf: by spreading factor, shape (6,).
    """
    captured = np.zeros(start.size, dtype=np.bool_)
    detected = np.full(start.size, np.inf)
    for i in range(start.size):
        m = spreading[i]
        if snr[i] <= coverage[m]:
            continue
        begin, end = start[i], start[i] + airtime[m]
        first, last = _overlapping(start, begin - airtime.max(), end, i)
        borders = _borders(start, spreading, airtime, first, last, i, begin, end, symbol[m])
        captured[i] = True
        clean_since = begin
        for piece in range(borders.size - 1):
            low, high = borders[piece], borders[piece + 1]
            if high <= low:
                continue
            if not _clean(start, spreading, snr, airtime, first, last, i, low, high, inter_sf[m], co_sf):
                captured[i] = False
                # Symbols count again from the first border after the damage.
                clean_since = begin + np.ceil((high - begin) / symbol[m] - TINY) * symbol[m]
            elif detected[i] == np.inf:
                lock = clean_since + DETECTION_SYMBOLS * symbol[m]
                preamble_end = begin + PREAMBLE_SYMBOLS * symbol[m]
                if lock <= min(high, preamble_end) + TINY * symbol[m]:
                    detected[i] = lock
    return captured, detected


@njit(cache=True)
def _overlapping(start: Floats, earliest: float, end: float, i: int) -> tuple[int, int]:
    """[first, last): the frames near frame i in time that may overlap it, itself included."""
    first, last = i, i + 1
    while first > 0 and start[first - 1] > earliest:
        first -= 1
    while last < start.size and start[last] < end:
        last += 1
    return first, last


@njit(cache=True)
def _borders(
    start: Floats,
    spreading: Integers,
    airtime: Floats,
    first: int,
    last: int,
    i: int,
    begin: float,
    end: float,
    symbol: float,
) -> Floats:
    """Instants inside frame i at which its interferers change, and its preamble's symbol borders, in order."""
    instants = np.empty(2 * (last - first) + PREAMBLE_SYMBOLS + 2)
    used = 0
    for j in range(first, last):
        finish = start[j] + airtime[spreading[j]]
        if j != i and finish > begin:
            instants[used] = max(start[j], begin)
            instants[used + 1] = min(finish, end)
            used += 2
    for step in range(PREAMBLE_SYMBOLS + 1):
        instants[used] = begin + step * symbol
        used += 1
    instants[used] = end
    return np.sort(instants[: used + 1])


@njit(cache=True)
def _clean(
    start: Floats,
    spreading: Integers,
    snr: Floats,
    airtime: Floats,
    first: int,
    last: int,
    i: int,
    low: float,
    high: float,
    inter_sf: float,
    co_sf: float,
) -> bool:
    """Whether frame i stands against what is on the air in (low, high), where nothing starts or ends."""
    co, inter = 0.0, 0.0
    for j in range(first, last):
        if j != i and start[j] < high and start[j] + airtime[spreading[j]] > low:
            if spreading[j] == spreading[i]:
                co += snr[j]
            else:
                inter += snr[j]
    if co > 0.0:
        return bool(snr[i] > co_sf * (1.0 + co + inter))
    return bool(inter == 0.0 or snr[i] > inter_sf * (1.0 + inter))
