"""Classification of unlabelled receptions when the periods are known: the periodic likelihood of paper E, eq. E.10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The printed test is "likelihood > 0", which always holds for a value in [0, 1]: what is meant is a positive cosine.
FITS: Final = 0.5


@dataclass(frozen=True, slots=True)
class KnownApplication:
    """An application whose period is known; offset_s may be (an instant of its schedule) or not (None)."""

    period_s: float
    offset_s: float | None = None


def periodic_likelihood(
    times_s: Floats | float, period_s: Floats | float, offset_s: Floats | float = 0.0
) -> NDArray[np.float64]:
    """g = (cos(2 pi (T - beta)/alpha) + 1)/2, in [0, 1] (eq. E.10); arguments broadcast."""
    turn = (np.asarray(times_s) - offset_s) / period_s
    return np.asarray((np.cos(2 * np.pi * turn) + 1) / 2)


def classify(times_s: Floats, applications: Sequence[KnownApplication]) -> NDArray[np.int64]:
    """Application of each reception (ascending times, shape (M,)), -1 where no likelihood exceeds one half.

    With a known offset an application is judged by it; without, by the distance to the last reception it got (section
    3.2), and its first reception is the one that most other receptions agree with. A reception nearer than half a
    period to the last one of an application cannot be that application's next.
    """
    last = [_first_offset(times_s, one) for one in applications]
    owner = np.full(times_s.size, -1, dtype=np.int64)
    latest = [-np.inf] * len(applications)
    for index, time in enumerate(times_s):
        fits = [
            float(periodic_likelihood(time, one.period_s, anchor)) if time - before >= one.period_s / 2 else -1.0
            for one, anchor, before in zip(applications, last, latest, strict=True)
        ]
        best = int(np.argmax(fits)) if fits else -1
        if best < 0 or fits[best] <= FITS:
            continue
        owner[index] = best
        latest[best] = float(time)
        if applications[best].offset_s is None:
            last[best] = float(time)
    return owner


def agreement(times_s: Floats, period_s: float) -> Floats:
    """phi of each reception: sum of g over its distances to all receptions (eq. E.13), in O(M).

    sum_n (cos(2 pi (t_m - t_n)/alpha) + 1)/2 needs no matrix: it is half of M plus the projection of each phasor on
    the sum of all.
    """
    phasor = np.exp(2j * np.pi * (times_s - times_s[0]) / period_s)
    return np.asarray((times_s.size + (phasor * phasor.sum().conjugate()).real) / 2)


def _first_offset(times_s: Floats, application: KnownApplication) -> float:
    if application.offset_s is not None:
        return application.offset_s
    if times_s.size == 0:
        return 0.0
    return float(times_s[int(agreement(times_s, application.period_s).argmax())])
