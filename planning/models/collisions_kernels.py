"""Compiled loop of the multi-gateway simulation. Imported only when a simulation runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from planning.models.airtimes import Floats

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DETECTION_SYMBOLS = 4  # clean preamble symbols in a row (section 2 of the paper)


@njit(cache=True)
def judge_gateway(
    start: Floats,
    spreading: Integers,
    channel: Integers,
    airtime: Floats,
    symbol: Floats,
    symbols: Integers,
    preamble: int,
    tolerated: Integers,
) -> tuple[Flags, Flags, Floats]:
    """(whole frame clean, payload clean, time of detection) of the frames one gateway hears, in order of start.

    start, spreading (0..5), channel: shape (frames,). airtime, symbol, symbols: by spreading factor, shape (6,).
    tolerated: table C.1. A frame that touches a symbol counts over all of it. Time of detection: inf for never.
    """
    frame_clean = np.zeros(start.size, dtype=np.bool_)
    payload_clean = np.zeros(start.size, dtype=np.bool_)
    detected = np.full(start.size, np.inf)
    longest = airtime.max()
    for i in range(start.size):
        m = spreading[i]
        bad = _bad_symbols(start, spreading, channel, airtime, i, longest, symbol[m], symbols[m], tolerated[m])
        frame_clean[i] = not bad.any()
        payload_clean[i] = not bad[preamble:].any()
        run = 0
        for position in range(preamble):
            run = 0 if bad[position] else run + 1
            if run == DETECTION_SYMBOLS:
                detected[i] = start[i] + (position + 1) * symbol[m]
                break
    return frame_clean, payload_clean, detected


@njit(cache=True)
def _bad_symbols(
    start: Floats,
    spreading: Integers,
    channel: Integers,
    airtime: Floats,
    i: int,
    longest: float,
    symbol: float,
    symbols: int,
    tolerated: Integers,
) -> Flags:
    """Symbols of frame i in which more frames of some spreading factor are on the air than it tolerates."""
    begin, end = start[i], start[i] + airtime[spreading[i]]
    changes = np.zeros((6, symbols + 1), dtype=np.int64)
    j = i - 1
    while j >= 0 and start[j] > begin - longest:
        finish = start[j] + airtime[spreading[j]]
        if channel[j] == channel[i] and finish > begin:
            changes[spreading[j], 0] += 1
            changes[spreading[j], min(int(np.ceil((finish - begin) / symbol)), symbols)] -= 1
        j -= 1
    j = i + 1
    while j < start.size and start[j] < end:
        if channel[j] == channel[i]:
            finish = start[j] + airtime[spreading[j]]
            changes[spreading[j], min(int((start[j] - begin) / symbol), symbols)] += 1
            changes[spreading[j], min(int(np.ceil((finish - begin) / symbol)), symbols)] -= 1
        j += 1
    bad = np.zeros(symbols, dtype=np.bool_)
    for factor in range(6):
        on_air = 0
        for position in range(symbols):
            on_air += changes[factor, position]
            if on_air > tolerated[factor]:
                bad[position] = True
    return bad
