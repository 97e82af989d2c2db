"""The naive method of paper E, section 2.4: what everything else is compared with."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Values of figures E.4 and E.5.
WINDOW_S: Final = 1500.0
OFFLINE_ABOVE: Final = 0.25


def received_in_window(times_s: NDArray[np.float64], at_s: NDArray[np.float64], window_s: float) -> NDArray[np.int64]:
    """Receptions in (t - window, t] for each t of `at_s`; `times_s` ascending."""
    upto = np.searchsorted(times_s, at_s, side="right")
    return np.asarray(upto - np.searchsorted(times_s, at_s - window_s, side="right"), dtype=np.int64)


def naive_outage(times_s: NDArray[np.float64], now_s: float, window_s: float = WINDOW_S) -> float:
    """(m_max - m_obs)/m_max (eq. E.5): receptions in the last window against the fullest window before.

    The fullest window ends at a reception, so only those are looked at. 0 when nothing was received.
    """
    if times_s.size == 0:
        return 0.0
    fullest = int(received_in_window(times_s, times_s[times_s <= now_s], window_s).max(initial=0))
    if fullest == 0:
        return 0.0
    observed = int(received_in_window(times_s, np.array([now_s]), window_s)[0])
    return max(fullest - observed, 0) / fullest


def naive_mean_outage(times_s: NDArray[np.float64], window_s: float = WINDOW_S) -> float:
    """The naive estimate averaged over all receptions that have a whole window behind them (all, when none has)."""
    if times_s.size == 0:
        return 0.0
    counts = received_in_window(times_s, times_s, window_s)
    settled = times_s >= times_s[0] + window_s
    fullest = np.maximum.accumulate(counts)
    estimate = (fullest - counts) / fullest
    return float(estimate[settled].mean() if settled.any() else estimate.mean())


def naive_offline(
    times_s: NDArray[np.float64], now_s: float, window_s: float = WINDOW_S, above: float = OFFLINE_ABOVE
) -> bool:
    """Offline when the naive outage at `now_s` exceeds `above`."""
    return naive_outage(times_s, now_s, window_s) > above
