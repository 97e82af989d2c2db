"""What a site carries: outage, latency, headroom, what limits it, and what would help."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from planning.models.airtimes import Floats
from planning.models.latency_answer import LatencyQuestion, best_method, waits_by
from planning.models.site_model import BORDER_SCALES, PLANS, Group, SiteModel
from planning.models.site_pool import SitePool, site_pool
from planning.models.site_reception import ALL, MECHANISMS, Reception, reception

# Traffic is searched between these multiples of today's.
LEAST_LOAD: Final = 1e-3
MOST_LOAD: Final = 1e4
BISECTIONS: Final = 22

# Places tried for one more gateway: a grid of so many a side; nearer than this to another it would only add antennas.
GRID_SIDE: Final = 5
APART_M: Final = 100.0


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One way to lose frames. relief: how far the worst group's outage falls without it (for the pool: if it reserved
    nothing and lost nothing). headroom: how far traffic may grow until this one alone breaks the target; 0 when it does
    so at any traffic, infinite when at none.
    """

    name: str
    relief: float
    headroom: float


@dataclass
class SiteAnswer:
    """Everything about one site at one target; parts are worked out when asked for.

    target: highest outage of any group. Random access has the channels that the pool leaves.
    """

    model: SiteModel
    target: float

    @cached_property
    def reception(self) -> Reception:
        """Who hears whom."""
        return reception(self.model)

    @cached_property
    def pool(self) -> SitePool:
        """Reservations of the scheduled groups."""
        return site_pool(self.reception, self.target)

    @cached_property
    def outage_per_group(self) -> Floats:
        """Share of the reports that never arrive, shape (groups,)."""
        return self._outage(1.0, ALL)

    @property
    def outage(self) -> float:
        """Mean over the reports of all groups."""
        return self._mean(self.outage_per_group)

    @property
    def worst_outage(self) -> float:
        """That of the worst group, which the target is for."""
        return float(self.outage_per_group.max())

    @cached_property
    def latency_per_group_s(self) -> Floats:
        """Mean seconds from a report to its end on the air, shape (groups,); infinite beyond the duty cycle."""
        return np.array(
            [
                self.pool.latency_s[index] if group.access == "pool" else self._random_latency_s(index)
                for index, group in enumerate(self.model.groups)
            ]
        )

    @cached_property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """All mechanisms, the most limiting first."""
        found = [
            Mechanism(name, self._relief(self._outage(1.0, ALL - {name})), self._search(self._alone(name)))
            for name in MECHANISMS
        ]
        found.append(Mechanism("duty_cycle", 0.0, self._duty_headroom()))
        if any(group.access == "pool" for group in self.model.groups):
            unreserved = self._random_outage(1.0, ALL, len(self.model.channels))
            found.append(Mechanism("pool", self._relief(unreserved), self._search(self._pool_fits)))
        return tuple(sorted(found, key=lambda mechanism: (mechanism.headroom, -mechanism.relief)))

    @property
    def limiting(self) -> str:
        """The mechanism that is reached first as traffic grows, or that breaks the target most today."""
        return self.mechanisms[0].name

    @cached_property
    def headroom(self) -> float:
        """How far the traffic of all groups may grow before a target, a duty cycle or the pool is broken; below 1 when
        one is broken today, 0 when one is at any traffic.
        """
        return min(self._duty_headroom(), self._search(self._all_fits))

    def _outage(self, load: float, mechanisms: frozenset[str], pool: SitePool | None = None) -> Floats:
        """Outage of each group with traffic times `load`; random access has what `pool` (today's) leaves, if any."""
        reserved = pool or self.pool
        channels = len(self.model.channels) - reserved.reserved
        lost = self._random_outage(load, mechanisms, channels)
        if channels < 1:
            lost = np.ones_like(lost)
        return np.where(np.isnan(reserved.outage), lost, reserved.outage)

    def _random_outage(self, load: float, mechanisms: frozenset[str], channels: int) -> Floats:
        """Outage of each group on `channels` (at least one), 0 for the groups of the pool."""
        lost = 1.0 - self.reception.group_success(load, mechanisms, max(1, channels))
        return np.where([group.access == "random" for group in self.model.groups], lost, 0.0)

    def _relief(self, without: Floats) -> float:
        """How far the worst group's outage falls to that of `without`."""
        return self.worst_outage - float(without.max())

    def _mean(self, per_group: Floats) -> float:
        rates = np.array([group.devices / group.period_s for group in self.model.groups])
        return float(rates @ per_group / rates.sum())

    def _alone(self, name: str) -> Callable[[float], bool]:
        """Whether random access meets the target at a load when only this mechanism costs frames."""
        left = len(self.model.channels) - self.pool.reserved
        return lambda load: float(self._random_outage(load, frozenset({name}), left).max()) <= self.target

    def _all_fits(self, load: float) -> bool:
        pool = site_pool(self.reception, self.target, load)
        return self._fits(pool) and float(self._outage(load, ALL, pool).max()) <= self.target

    def _pool_fits(self, load: float) -> bool:
        return self._fits(site_pool(self.reception, self.target, load))

    def _fits(self, needed: SitePool) -> bool:
        others = any(group.access == "random" for group in self.model.groups)
        return not needed.infeasible and needed.reserved + others <= len(self.model.channels)

    def _search(self, fits: Callable[[float], bool]) -> float:
        """Largest load that fits, given that all smaller ones do."""
        if not fits(LEAST_LOAD):
            return 0.0
        if fits(MOST_LOAD):
            return math.inf
        low, high = math.log(LEAST_LOAD), math.log(MOST_LOAD)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2.0
            low, high = (middle, high) if fits(math.exp(middle)) else (low, middle)
        return math.exp(low)

    def _duty_headroom(self) -> float:
        """Least ratio of what a device may send to what it sends, over groups and the SFs they use."""
        ratios = [
            question.capacity_per_s() * group.period_s
            for index, group in enumerate(self.model.groups)
            if group.access == "random"
            for question, _ in self._questions(index, group)
        ]
        return min(ratios, default=math.inf)

    def _random_latency_s(self, index: int) -> float:
        """Airtime and wait for the duty cycle (paper A), mean over the group's SFs."""
        group, mean_s = self.model.groups[index], 0.0
        rate = 1.0 / group.period_s
        for question, share in self._questions(index, group):
            if rate >= question.capacity_per_s():
                return math.inf
            wait_s = float(waits_by(question, np.array([rate]), best_method(question.bands))[0])
            mean_s += share * (question.airtime_s() + wait_s)
        return mean_s

    def _questions(self, index: int, group: Group) -> list[tuple[LatencyQuestion, float]]:
        """Paper A's question for each SF the group uses, and the share of its devices there."""
        bands = self.model.duty_bands()
        shares = self.reception.shares[index].mean(axis=0)
        return [
            (LatencyQuestion(bands, int(m) + 7, group.payload_bytes, group.coding_rate, devices=group.devices), share)
            for m, share in enumerate(shares.tolist())
            if share > 0.0
        ]

    def as_json(self) -> dict[str, Any]:
        """The answer under the names of the command's JSON."""
        names = [group.name for group in self.model.groups]
        return {
            "site": self.model.name,
            "outage": self.outage,
            "worst_outage": self.worst_outage,
            "latency_s": self._mean(self.latency_per_group_s),
            "headroom": self.headroom,
            "limiting": self.limiting,
            "target": self.target,
            "meets_target": self.worst_outage <= self.target,
            "mechanisms": {m.name: {"relief": m.relief, "headroom": m.headroom} for m in self.mechanisms},
            "groups": {
                name: {
                    "outage": outage,
                    "latency_s": latency,
                    "devices": group.devices,
                    "access": group.access,
                    "sf_shares": shares.mean(axis=0),
                }
                for name, outage, latency, group, shares in zip(
                    names,
                    self.outage_per_group.tolist(),
                    self.latency_per_group_s.tolist(),
                    self.model.groups,
                    self.reception.shares,
                    strict=True,
                )
            },
            "gateways": {
                gateway.name: {"path_load_erlang": load, "drop": drop, "paths": gateway.paths}
                for gateway, load, drop in zip(
                    self.model.gateways,
                    self.reception.path_loads.tolist(),
                    self.reception.drops().tolist(),
                    strict=True,
                )
            },
            "occupancy": {c.name: q for c, q in zip(self.model.channels, self.model.occupancy.tolist(), strict=True)},
            "pool": {
                "subchannels": self.pool.reserved,
                "subchannels_exact": self.pool.subchannels,
                "slots": self.pool.slots,
                "infeasible": self.pool.infeasible,
            },
            "plan": self.model.plan,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that could be bought or changed, and the site after it."""

    name: str
    detail: str
    after: SiteAnswer

    def as_json(self, before: SiteAnswer) -> dict[str, Any]:
        """What it gains."""
        return {
            "detail": self.detail,
            "outage": self.after.outage,
            "worst_outage": self.after.worst_outage,
            "outage_gain": before.outage - self.after.outage,
            "headroom": self.after.headroom,
            "limiting": self.after.limiting,
        }


def changes(answer: SiteAnswer) -> tuple[Change, ...]:
    """One more gateway where it helps most, one more subchannel, and each other way to give spreading factors."""
    model, target = answer.model, answer.target
    found = [_one_more_gateway(answer), _one_more_subchannel(answer)]
    for plan in PLANS:
        if plan != model.plan:
            found.append(Change(f"plan {plan}", "spreading factors", SiteAnswer(replace(model, plan=plan), target)))
    scaled = [SiteAnswer(replace(model, plan="distance", border_scale=s), target) for s in BORDER_SCALES]
    best = min(scaled, key=lambda one: (one.worst_outage, one.outage))
    detail = f"borders of the distance rule times {best.model.border_scale:g}"
    found.append(Change("plan fitted", detail, best))
    return tuple(found)


def _one_more_gateway(answer: SiteAnswer) -> Change:
    """Tried on a grid over the devices and in the middle of what is lost, not beside a gateway that stands already."""
    model = answer.model
    points = np.concatenate([group.points_m for group in model.groups])
    lost = np.concatenate(
        [
            1.0 - (success * shares).sum(axis=1)
            for success, shares in zip(answer.reception.success(), answer.reception.shares, strict=True)
        ]
    )
    low, high = np.quantile(points, 0.05, axis=0), np.quantile(points, 0.95, axis=0)
    sides = np.linspace(low, high, GRID_SIDE)
    places = np.stack(np.meshgrid(sides[:, 0], sides[:, 1]), axis=-1).reshape(-1, 2)
    places = np.vstack([places, np.average(points, axis=0, weights=lost + 1e-12)])
    standing = np.array([gateway.position_m for gateway in model.gateways])
    far = np.hypot(*(places[:, None] - standing).transpose(2, 0, 1)).min(axis=1) >= APART_M
    candidates = places[far] if far.any() else places
    tried = [SiteAnswer(model.with_gateway((float(x), float(y))), answer.target) for x, y in candidates]
    best = min(tried, key=lambda one: (one.worst_outage, one.outage))
    x, y = best.model.gateways[-1].position_m
    return Change("one more gateway", f"at [{x:.0f}, {y:.0f}] m, 8 paths", best)


def _one_more_subchannel(answer: SiteAnswer) -> Change:
    """A channel as busy with others as the mean of those there are."""
    model = answer.model
    wider = replace(
        model,
        channels=(*model.channels, model.channels[-1]),
        occupancy=np.append(model.occupancy, model.occupancy.mean()),
    )
    return Change(
        "one more subchannel", f"{len(wider.channels)} in all, in the same sub-band", SiteAnswer(wider, answer.target)
    )
