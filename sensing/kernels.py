"""The three loops that touch every sample, compiled. Imported only when IQ is really measured (numba is heavy)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at the first call, and kept on disk for later runs where there is a folder to write to."""
    try:
        made: Callable[..., Any] = njit(cache=True, fastmath=True, nogil=True)(function)
    except RuntimeError:  # numba finds no folder for its cache, as in a service without a home
        made = njit(fastmath=True, nogil=True)(function)
    return made


@compiled
def cut_frames(values: Any, center: Any, window: Any, per_interval: Any, step: Any, cut: Any) -> None:
    """Half-overlapping frames of every interval of `step` values, less `center`, times `window`, into the rows of cut.

    values: I and Q interleaved, uint8 or float32; window: float32, shape (2 points,); cut: float32,
    shape (rows, 2 points), rows beyond the last interval untouched.
    """
    width = window.size
    for interval in range(values.size // step):
        for frame in range(per_interval):
            start = interval * step + frame * (width // 2)
            source = values[start : start + width]
            row = cut[interval * per_interval + frame]
            for i in range(width):
                row[i] = (np.float32(source[i]) - center) * window[i]


@compiled
def sum_bins(spectra: Any, per_interval: Any, kept: Any, first: Any, last: Any, scale: Any, energies: Any) -> None:
    """Mean power over the frames of an interval, summed over the kept bins [first, last) of each column.

    spectra: float32, shape (rows, 2 points), re and im interleaved; energies: float64, shape (intervals, columns).
    """
    width = spectra.shape[1]
    power = np.empty(width, dtype=np.float32)
    below = np.zeros(width // 2 + 1, dtype=np.float64)
    for interval in range(energies.shape[0]):
        power[:] = 0.0
        for frame in range(per_interval):
            row = spectra[interval * per_interval + frame]
            for i in range(width):
                power[i] += row[i] * row[i]
        total = 0.0
        for k in range(width // 2):
            if kept[k]:
                total += np.float64(power[2 * k] + power[2 * k + 1])
            below[k + 1] = total
        for c in range(first.size):
            energies[interval, c] = (below[last[c]] - below[first[c]]) * scale[c] / per_interval


@compiled
def moments(values: Any, step: Any, center: Any, rail: Any, out: Any) -> None:
    """Sums over each interval: I, Q, I^2, Q^2, I Q, and how many values lie at or beyond +-rail.

    out: float64, shape (intervals, 6). Summed in short runs so that float32 stays exact enough.
    """
    run = 512
    for interval in range(out.shape[0]):
        part = values[interval * step : (interval + 1) * step]
        out[interval, :] = 0.0
        for start in range(0, step, run):
            i_sum, q_sum = np.float32(0), np.float32(0)
            ii_sum, qq_sum, iq_sum = np.float32(0), np.float32(0), np.float32(0)
            clipped = 0
            for n in range(start // 2, min(start + run, step) // 2):
                i_value = np.float32(part[2 * n]) - center
                q_value = np.float32(part[2 * n + 1]) - center
                i_sum += i_value
                q_sum += q_value
                ii_sum += i_value * i_value
                qq_sum += q_value * q_value
                iq_sum += i_value * q_value
                clipped += (abs(i_value) >= rail) + (abs(q_value) >= rail)
            out[interval, 0] += i_sum
            out[interval, 1] += q_sum
            out[interval, 2] += ii_sum
            out[interval, 3] += qq_sum
            out[interval, 4] += iq_sum
            out[interval, 5] += clipped
