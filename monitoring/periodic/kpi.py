"""Key performance indicators from counted slots: outage, silences, offline, degradation. Pure functions.

A run is a number of reports missed one after the other between two receptions. Outage counts missed reports of an
application that is online (paper, section 2.3); a run too long for the losses around it is a silence - asleep, switched
off - and is told apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

# Losses come in bursts even on good links: runs are never judged with a continuation probability below this, and
# before any run was seen as if PRIOR_MISSES misses had been followed by another with PRIOR_PERSISTENCE.
LEAST_PERSISTENCE: Final = 0.3
PRIOR_MISSES: Final = 5
PRIOR_PERSISTENCE: Final = 0.6
# A silence is told from losses with this chance of error; it is longer than any loss by this factor, and no loss of
# LEAST_LOSS reports or fewer is unusual.
SILENCE_CHANCE: Final = 1e-5
SILENCE_LEAP: Final = 3
LEAST_LOSS: Final = 3
# Prior of the outage of an application, Beta(1/2, 1/2): Jeffreys.
PRIOR: Final = 0.5
# Chance per scheduled report that a device stops for good, for offline_probability: about once in 1000 reports.
FAILURE_HAZARD: Final = 1e-3
# Two-sided 95 % of a normal.
WILSON_Z: Final = 1.96
# Slots before which losses teach the baseline of a link and raise no alarm.
BASELINE_SLOTS: Final = 30


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """When a run of missed reports is too long to be outage: sums over the runs taken for losses so far."""

    runs: int = 0
    missed: int = 0

    @property
    def persistence(self) -> float:
        """Chance that a miss is followed by a miss."""
        followed = self.missed - self.runs + PRIOR_MISSES * PRIOR_PERSISTENCE
        return max(LEAST_PERSISTENCE, followed / (self.missed + PRIOR_MISSES))

    def limit(self, chances: int) -> float:
        """Shortest run that is a silence, when `chances` runs are judged and SILENCE_CHANCE of such sets may err."""
        return 1 + math.log(SILENCE_CHANCE / max(chances, 10)) / math.log(min(self.persistence, 0.999))

    def log_chance(self, length: int, count: int, chances: int) -> float:
        """Log of about the chance that `count` of `chances` runs last `length` or longer (Poisson, first term)."""
        expected = math.log(max(chances, 10)) + (length - 1) * math.log(min(self.persistence, 0.999))
        return count * expected - math.lgamma(count + 1)

    def with_run(self, length: int) -> SilenceRule:
        """The rule after one more run of losses."""
        return SilenceRule(self.runs + 1, self.missed + length)


def silence_limit(runs: Iterable[int]) -> float:
    """Shortest run among `runs` that the shorter ones do not explain; infinite when they explain all.

    Runs are gone through in ascending order, so a tail that grows step by step (bursty losses) is outage. Silences leap
    - SILENCE_LEAP times the longest loss or more - and are too many, or too long, for the losses below them.
    """
    ordered = sorted(length for length in runs if length > 0)
    rule, longest = SilenceRule(), LEAST_LOSS
    for index, length in enumerate(ordered):
        leaps = length >= SILENCE_LEAP * longest
        if leaps and rule.log_chance(length, len(ordered) - index, len(ordered)) < math.log(SILENCE_CHANCE):
            return float(length)
        rule, longest = rule.with_run(length), max(longest, length)
    return math.inf


def silent_chance(misses: int, received: int, missed: int, persistence: float = 0.0) -> float:
    """Probability that an application that is online has its next `misses` reports lost.

    The larger of the Beta posterior's prediction (independent losses, outage uncertain) and a burst that goes on with
    `persistence`.
    """
    if misses <= 0:
        return 1.0
    a, b = missed + PRIOR, received + PRIOR
    log_independent = math.lgamma(a + misses) - math.lgamma(a) + math.lgamma(a + b) - math.lgamma(a + b + misses)
    burst = a / (a + b) * persistence ** (misses - 1)
    return min(1.0, max(math.exp(log_independent), burst))


def misses_due(now_s: float, last_slot_s: float, period_s: float) -> int:
    """Reports overdue at `now_s`: one counts half a period after its scheduled instant."""
    return max(0, math.floor((now_s - last_slot_s) / period_s - 0.5))


def misses_for_alarm(received: int, missed: int, false_alarm: float, persistence: float = 0.0) -> int:
    """k of eq. E.3: the smallest number of misses in a row whose chance is at most `false_alarm`."""
    low, high = 0, 1
    while silent_chance(high, received, missed, persistence) > false_alarm:
        low, high = high, 2 * high
        if high > 1 << 20:
            return high
    while high - low > 1:
        middle = (low + high) // 2
        if silent_chance(middle, received, missed, persistence) > false_alarm:
            low = middle
        else:
            high = middle
    return high


def offline_probability(chances: Sequence[float], hazard: float = FAILURE_HAZARD) -> float:
    """Posterior that a device has stopped, given chances[j] = Pr(this silence up to miss j | online), j = 0..k.

    It may have stopped before any of the k reports, each time with `hazard`; chances[0] is 1.
    """
    misses = len(chances) - 1
    stopped = sum(hazard * (1 - hazard) ** j * chances[j] for j in range(misses))
    alive = (1 - hazard) ** misses * chances[misses]
    return stopped / (stopped + alive) if stopped + alive > 0 else 0.0


@dataclass(slots=True)
class Degradation:
    """Is a link getting worse? Page's cumulative sum of log-likelihood ratios over slots, received or missed.

    Baseline outage p (one standard error above what was seen) against worse_outage(p). Slots since the sum was last
    zero wait, and join the baseline when it is zero again; so a decline does not teach the baseline.
    """

    received: int = 0
    missed: int = 0
    level: float = 0.0
    waiting_received: int = 0
    waiting_missed: int = 0

    def update(self, missed: int, received: int = 1) -> float:
        """Count `missed` losses, then `received` receptions; returns the highest level on the way."""
        known = self.received + self.missed
        peak = 0.0
        if known >= BASELINE_SLOTS:
            mean = (self.missed + 1) / (known + 2)
            p = min(mean + math.sqrt(mean * (1 - mean) / known), 0.95)
            worse = worse_outage(p)
            peak = self.level + missed * math.log(worse / p)
            self.level = max(0.0, peak + received * math.log((1 - worse) / (1 - p)))
        self.waiting_received += received
        self.waiting_missed += missed
        if self.level == 0.0:
            self.received += self.waiting_received
            self.missed += self.waiting_missed
            self.waiting_received = self.waiting_missed = 0
        return peak


def worse_outage(outage: float) -> float:
    """The outage that a link is tested for: a fifth more losses, or a third of the way to losing everything."""
    return min(outage + max(0.2, 0.35 * (1 - outage)), 0.99)


def alarm_level(false_alarm: float, slots: int = 1000) -> float:
    """Level of the cumulative sum that healthy links reach at most once in slots/false_alarm slots (Lorden's bound)."""
    return math.log(slots / false_alarm)


def wilson(missed: int, received: int, z: float = WILSON_Z) -> tuple[float, float]:
    """Wilson's interval for the outage."""
    n = missed + received
    if n == 0:
        return 0.0, 1.0
    p = missed / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)
