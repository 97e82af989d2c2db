"""All devices together: groups of outliers, what each gateway covers, whom a new gateway would help."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from monitoring.periodic.kpi import wilson
from monitoring.periodic.model import DeviceKpi

# Periods within this factor of a neighbour are one population; one with this share of the fleet is no outlier.
SAME_POPULATION: Final = 1.1
POPULATION_SHARE: Final = 0.05
# Fewer devices make no fleet to stand out from.
LEAST_DEVICES: Final = 8
# Tukey's fence.
FENCE: Final = 1.5
# A device hears a new gateway well if it is among those within reach; assumed delivery through it.
NEW_LINK: Final = 0.9


def group_outliers(devices: Sequence[DeviceKpi]) -> dict[str, tuple[str, ...]]:
    """Names of the groups each device is in; devices in none are left out.

    no_period: enough receptions, no period. odd_period: its main period is in no population of the fleet. high_outage:
    even the lower end of its 95 % interval lies beyond Tukey's fence of the fleet's outages. offline, degraded.
    """
    odd = _odd_periods(devices)
    fence = outage_fence(devices)
    groups: dict[str, tuple[str, ...]] = {}
    for one in devices:
        names = [
            name
            for name, holds in (
                ("no_period", not one.applications),
                ("odd_period", one.device in odd),
                ("high_outage", bool(one.applications) and wilson(one.missed, one.received)[0] > fence),
                ("offline", one.offline),
                ("degraded", one.degraded),
            )
            if holds
        ]
        if names:
            groups[one.device] = tuple(names)
    return groups


def outage_fence(devices: Iterable[DeviceKpi]) -> float:
    """Upper fence of the fleet's outages, third quartile + 1.5 interquartile ranges; infinite for a small fleet."""
    outages = [one.outage for one in devices if one.outage is not None]
    if len(outages) < LEAST_DEVICES:
        return math.inf
    low, high = np.quantile(outages, (0.25, 0.75))
    return float(high + FENCE * (high - low))


def _odd_periods(devices: Sequence[DeviceKpi]) -> set[str]:
    main = [
        (max(one.applications, key=lambda a: a.received).period_s, one.device) for one in devices if one.applications
    ]
    if len(main) < LEAST_DEVICES:
        return set()
    main.sort()
    logs = np.log([period for period, _ in main])
    population = np.concatenate([[0], np.cumsum(np.diff(logs) > math.log(SAME_POPULATION))])
    sizes = np.bincount(population)
    small = sizes < POPULATION_SHARE * len(main)
    return {device for (_, device), group in zip(main, population.tolist(), strict=True) if small[group]}


@dataclass(frozen=True, slots=True)
class GatewaySummary:
    """One gateway over the fleet: devices it hears, and how well. alone: devices no other gateway hears."""

    gateway: str
    devices: int
    alone: int
    median_outage: float | None
    without_outage: int


def gateway_summaries(devices: Sequence[DeviceKpi]) -> list[GatewaySummary]:
    """Coverage of each gateway, by name."""
    names = sorted({name for one in devices for name in one.gateways})
    result = []
    for name in names:
        heard = [one for one in devices if name in one.gateways]
        outages = [one.gateways[name].outage for one in heard]
        known = [outage for outage in outages if outage is not None]
        result.append(
            GatewaySummary(
                gateway=name,
                devices=len(heard),
                alone=sum(len(one.gateways) == 1 for one in heard),
                median_outage=float(np.median(known)) if known else None,
                without_outage=sum(outage == 0 for outage in known),
            )
        )
    return result


@dataclass(frozen=True, slots=True)
class Help:
    """What one more gateway in reach would give a device: outage now, outage then, reports gained per day."""

    device: str
    outage: float
    outage_then: float
    reports_per_day: float
    best_gateway: str | None


def helped_by_gateway(devices: Iterable[DeviceKpi], link: float = NEW_LINK) -> list[Help]:
    """Devices by what a gateway in reach, delivering `link` of their reports, would add; the neediest first.

    Losses at different gateways are taken for independent. Without places the best gateway so far tells where a device
    roughly is: many needy ones behind one gateway call for a new one there, a single one for an antenna.
    """
    helped = []
    for one in devices:
        if one.outage is None or one.outage == 0 or one.offline:
            continue
        sent_per_day = sum(86400 / application.period_s for application in one.applications)
        best = max(one.gateways, key=lambda name: one.gateways[name].received, default=None)
        then = one.outage * (1 - link)
        helped.append(Help(one.device, one.outage, then, sent_per_day * (one.outage - then), best))
    return sorted(helped, key=lambda one: (-one.reports_per_day * one.outage, one.device))


@dataclass(frozen=True, slots=True)
class FleetKpi:
    """The fleet in numbers, for metrics and the summary."""

    devices: int
    with_period: int
    offline: int
    degraded: int
    receptions: int
    received: int
    missed: int
    unexplained: int
    repeats: int
    duplicates: int
    without_outage: int
    median_period_s: float | None

    @property
    def outage(self) -> float | None:
        """Missed over sent, all devices together."""
        sent = self.received + self.missed
        return self.missed / sent if sent else None

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"outage": self.outage}


def fleet_kpi(devices: Iterable[DeviceKpi]) -> FleetKpi:
    """Sum over devices in one pass."""
    totals = dict.fromkeys(FleetKpi.__dataclass_fields__, 0)
    periods: list[float] = []
    for one in devices:
        totals["devices"] += 1
        totals["with_period"] += bool(one.applications)
        totals["without_outage"] += one.outage == 0
        for name in ("offline", "degraded", "receptions", "received", "missed", "unexplained", "repeats", "duplicates"):
            totals[name] += int(getattr(one, name))
        periods += [application.period_s for application in one.applications]
    del totals["median_period_s"]
    return FleetKpi(**totals, median_period_s=float(np.median(periods)) if periods else None)
