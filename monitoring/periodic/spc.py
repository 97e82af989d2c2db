"""Clustering as in paper E, section 4: Successive Periodicity Clustering (SPC) and Greedy Online Clustering (GOC).

Kept as printed, with the errata applied, to be compared with; `search` is what the command uses by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitoring.periodic.classification import FITS, agreement, periodic_likelihood
from monitoring.periodic.regression import nhm

Floats = NDArray[np.float64]

# Section 4.1: oversampling n0 of the frequency grid and L of eq. E.11; sigma of the Baluev test is not printed.
OVERSAMPLING: Final = 8
SPEED_LIMIT: Final = 2.0
FALSE_ALARM: Final = 0.01
# Section 5: psi = min(smallest sample size, 25).
LARGEST_PSI: Final = 25


@dataclass(frozen=True, slots=True)
class Cluster:
    """One application found: its period, its receptions and how many reports were sent between them."""

    period_s: float
    times_s: Floats
    transmitted: int

    @property
    def offset_s(self) -> float:
        """beta: the first reception, as good as any without a regression."""
        return float(self.times_s[0])


def clustered_outage(clusters: Sequence[Cluster]) -> float:
    """p* over all applications (eq. E.4); 0 when none was found."""
    sent = sum(one.transmitted for one in clusters)
    return 1 - sum(one.times_s.size for one in clusters) / sent if sent else 0.0


def significant_period(times_s: Floats, false_alarm: float = FALSE_ALARM) -> float | None:
    """Period of the highest Lomb-Scargle peak, None when Baluev's false-alarm probability is not below `false_alarm`.

    The series is 1 at each reception and 0 in the middle of each gap longer than half the mean gap.
    """
    from astropy.timeseries import LombScargle

    gaps = np.diff(times_s)
    span = float(times_s[-1] - times_s[0])
    if span <= 0:
        return None
    mean = float(gaps.mean())
    wide = gaps > mean / 2
    zeros = (times_s[:-1] + gaps / 2)[wide]
    when = np.concatenate([times_s, zeros])
    value = np.concatenate([np.ones(times_s.size), np.zeros(zeros.size)])
    order = np.argsort(when)
    lowest, step, highest = 1 / span, 1 / (OVERSAMPLING * span), SPEED_LIMIT / mean
    frequency = lowest + step * np.arange(int((highest - lowest) / step) + 1)
    periodogram = LombScargle(when[order], value[order])
    with np.errstate(divide="ignore", invalid="ignore"):
        power = periodogram.power(frequency, method="fast", assume_regular_frequency=True)
    power = np.nan_to_num(power, nan=0.0, posinf=0.0, neginf=0.0)
    peak = int(np.argmax(power))
    # the fast method approximates: a perfect fit can come out a little above 1
    chance = periodogram.false_alarm_probability(
        min(float(power[peak]), 1 - 1e-12), method="baluev", minimum_frequency=lowest, maximum_frequency=highest
    )
    return float(1 / frequency[peak]) if chance < false_alarm else None


def label(times_s: Floats, period_s: float) -> NDArray[np.bool_]:
    """Receptions that fit the period: phi above half its mean, then of two closer than half a period the better."""
    phi = agreement(times_s, period_s)
    kept = np.flatnonzero(phi > phi.mean() / 2)
    while kept.size > 1:
        close = np.flatnonzero(np.diff(times_s[kept]) < period_s / 2)
        if close.size == 0:
            break
        left = int(close[0])
        kept = np.delete(kept, left + 1 if phi[kept[left]] >= phi[kept[left + 1]] else left)
    marked = np.zeros(times_s.size, dtype=bool)
    marked[kept] = True
    return marked


def spc(times_s: Floats, psi: int = LARGEST_PSI, false_alarm: float = FALSE_ALARM) -> tuple[list[Cluster], Floats]:
    """Algorithm 2: applications in the order found, and the receptions left over. `psi`: least receptions of one."""
    clusters: list[Cluster] = []
    rest = times_s
    while rest.size >= max(psi, 3):
        period = significant_period(rest, false_alarm)
        if period is None:
            break
        marked = label(rest, period)
        if marked.sum() < max(psi, 3):
            break
        mine = rest[marked]
        clusters.append(_cluster(mine, period))
        rest = rest[~marked]
    return clusters, rest


def _cluster(times_s: Floats, period_s: float) -> Cluster:
    refined = nhm(times_s, period_s=period_s)
    return Cluster(refined.period_s, times_s, refined.transmitted)


@dataclass(slots=True)
class _Growing:
    """A known application in GOC. Sums make the update of the period O(1): alpha = mean of gap/eta (eq. E.9)."""

    period_s: float
    last_s: float
    transmitted: int
    times_s: list[float]
    ratio_sum_s: float

    def take(self, time_s: float) -> None:
        gap = time_s - self.last_s
        order = max(1, round(gap / self.period_s))
        self.ratio_sum_s += gap / order
        self.times_s.append(time_s)
        self.transmitted += order
        self.last_s = time_s
        self.period_s = self.ratio_sum_s / (len(self.times_s) - 1)


@dataclass(slots=True)
class GreedyOnlineClustering:
    """Algorithm 3, one reception at a time. Fit means a positive cosine, and not before alpha/2 after the last."""

    psi: int = LARGEST_PSI
    false_alarm: float = FALSE_ALARM
    known: list[_Growing] = field(default_factory=list)
    rest_s: list[float] = field(default_factory=list)

    def receive(self, time_s: float) -> None:
        """Give one reception to the best fitting application, or keep it and search all that is kept."""
        best, likeliest = None, FITS
        for one in self.known:
            gap = time_s - one.last_s
            if gap < one.period_s / 2:
                continue
            fit = float(periodic_likelihood(gap, one.period_s))
            if fit > likeliest:
                best, likeliest = one, fit
        if best is not None:
            best.take(time_s)
            return
        self.rest_s.append(time_s)
        if len(self.rest_s) >= max(self.psi, 3):
            self._search()

    def _search(self) -> None:
        found, rest = spc(np.array(self.rest_s), self.psi, self.false_alarm)
        for one in found:
            times = [float(t) for t in one.times_s]
            sums = one.period_s * (len(times) - 1)
            self.known.append(_Growing(one.period_s, times[-1], one.transmitted, times, sums))
        self.rest_s = [float(t) for t in rest]

    @property
    def clusters(self) -> list[Cluster]:
        """The applications known so far."""
        return [Cluster(one.period_s, np.array(one.times_s), one.transmitted) for one in self.known]

    def missed(self, now_s: float) -> int:
        """Sum over applications of floor((t - T_last)/alpha) (eq. E.3)."""
        return sum(max(0, int((now_s - one.last_s) // one.period_s)) for one in self.known)

    def offline(self, now_s: float, k: int) -> bool:
        """At least k reports in a row missed; test it half a period after a scheduled instant."""
        return bool(self.known) and self.missed(now_s) >= k


def goc(times_s: Floats, psi: int = LARGEST_PSI, false_alarm: float = FALSE_ALARM) -> GreedyOnlineClustering:
    """Run GOC over a whole stream (ascending seconds)."""
    online = GreedyOnlineClustering(psi, false_alarm)
    for time in times_s:
        online.receive(float(time))
    return online
