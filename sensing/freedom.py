"""How many independent samples an energy really rests on (notes 1.2.3).

The cells of a sensing interval, frames x bins, are correlated: windows widen every bin over its neighbours and frames
overlap. Counting cells as samples promises a narrower spread of the energy than there is, and a design Pf of 0.2
becomes about 0.28 on the air.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cell_correlation(window: NDArray[np.floating], hop: int) -> NDArray[np.float64]:
    """|rho|^2 between a cell and one `d` frames later and `k` bins higher: float64, shape (overlapping frames, points).

    rho is the inner product of the two cells' unit-norm windowed exponentials; it depends on d and k alone.
    """
    points = window.size
    unit = window.astype(np.float64) / np.linalg.norm(window)
    rows = []
    for shift in range(0, points, hop):
        overlap = np.zeros(points)
        overlap[: points - shift] = unit[shift:] * unit[: points - shift]
        rows.append(np.abs(np.fft.fft(overlap)) ** 2)
    return np.array(rows)


def effective_samples(window: NDArray[np.floating], hop: int, frames: int, used: NDArray[np.bool_]) -> float:
    """M_eff = (frames x bins)^2 / sum of |rho|^2 over all pairs of cells: independent complex samples of the mean.

    used: the bins summed, bool, shape (points,), in ascending frequency; bins may be masked out in between.
    The noise is taken as flat over the bins used.
    """
    correlation = cell_correlation(window, hop)
    span = np.trim_zeros(used.astype(np.float64))
    pairs = np.correlate(span, span, "full")[span.size - 1 :]  # pairs[k]: pairs of used bins that lie k apart
    upwards = correlation[:, : span.size]
    downwards = np.roll(correlation[:, ::-1], 1, axis=1)[:, : span.size]
    per_frame_pair = upwards[:, 0] * pairs[0] + (upwards[:, 1:] + downwards[:, 1:]) @ pairs[1:]
    shifts = np.arange(len(correlation))
    frame_pairs = np.where(shifts == 0, 1.0, 2.0) * np.maximum(frames - shifts, 0)
    return float((frames * span.sum()) ** 2 / (frame_pairs @ per_frame_pair))
