"""Is a device still there? From its applications and the time since they were last heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from monitoring.periodic.kpi import misses_for_alarm, offline_probability, silent_chance
from monitoring.periodic.model import ApplicationKpi

# Terms of the offline posterior: beyond this many misses nothing changes.
MOST_MISSES: Final = 200
# Receptions without a period from which a typical gap may be inferred.
LEAST_RECEPTIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Silence:
    """chance: probability that a device that is online is as silent as this; offline: chance <= false alarm."""

    chance: float
    offline: bool
    offline_probability: float


def device_silence(applications: Sequence[ApplicationKpi], false_alarm: float) -> Silence:
    """A device is offline when the reports overdue over all its applications (eq. E.3) have no other explanation.

    The threshold on the chance replaces the fixed k of the paper: k follows from each application's own outage.
    """
    overdue = [one.overdue for one in applications]
    total = sum(overdue)
    if total == 0:
        return Silence(1.0, False, 0.0)
    steps = min(total, MOST_MISSES)
    chances = []
    for step in range(steps + 1):
        chance = 1.0
        for one in applications:
            misses = one.overdue * step // steps
            chance *= silent_chance(misses, one.received, one.missed, one.persistence)
        chances.append(chance)
    return Silence(chances[-1], chances[-1] <= false_alarm, offline_probability(chances))


def judged(applications: Sequence[ApplicationKpi], false_alarm: float) -> tuple[ApplicationKpi, ...]:
    """The applications, each told whether it alone is offline, and how probably."""
    return tuple(
        replace(one, offline=alone.offline, offline_probability=alone.offline_probability)
        for one, alone in ((one, device_silence((one,), false_alarm)) for one in applications)
    )


def aperiodic_silence(receptions: int, first_s: float, last_s: float, now_s: float, false_alarm: float) -> Silence:
    """The same for a device without a known period: receptions at random, at an unknown rate.

    The chance of no reception for tau after M in a span S is (S/(S + tau))^(M - 1), the predictive law of a Poisson
    stream whose rate has a Gamma posterior.
    """
    span, silent = last_s - first_s, now_s - last_s
    if receptions < LEAST_RECEPTIONS or span <= 0 or silent <= 0:
        return Silence(1.0, False, 0.0)
    chance = (span / (span + silent)) ** (receptions - 1)
    # so many typical gaps have passed; the hazard of stopping runs over those
    gaps = min(max(1, int(silent * (receptions - 1) / span)), MOST_MISSES)
    chances = [(span / (span + silent * j / gaps)) ** (receptions - 1) for j in range(gaps + 1)]
    return Silence(chance, chance <= false_alarm, offline_probability(chances))


def alarm_time_s(applications: Sequence[ApplicationKpi], slot_s: Sequence[float], false_alarm: float) -> float:
    """When to look at these applications; slot_s: instants of their last receptions.

    One application is found offline when its k-th miss is due, no earlier. Several are judged together, so any miss of
    one may decide: look at the first.
    """
    if len(applications) == 1:
        (one,) = applications
        k = misses_for_alarm(one.received, one.missed, false_alarm, one.persistence)
        return slot_s[0] + (k + 0.5) * one.period_s
    return min(slot + 1.5 * one.period_s for one, slot in zip(applications, slot_s, strict=True))
