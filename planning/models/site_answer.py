"""What a site carries: outage, latency, headroom, what limits it, and what would help."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from planning.models.airtimes import Floats
from planning.models.latency_answer import LatencyQuestion, best_method, waits_by
from planning.models.latency_model import DutyBand
from planning.models.site_model import BORDER_SCALES, PLANS, Group, SiteModel
from planning.models.site_pool import ROUNDED_OFF, PoolDemand, SitePool, pool_demand
from planning.models.site_reception import ALL, MECHANISMS, Reception, reception

# Traffic is searched between these multiples of today's.
LEAST_LOAD: Final = 1e-3
MOST_LOAD: Final = 1e4
# Takes the place of an excess without end, and of an outage of 0.
FAR: Final = 50.0
NO_OUTAGE: Final = 1e-20

# Places tried for one more gateway: a grid of so many a side; nearer than this to another it would only add antennas.
GRID_SIDE: Final = 5
APART_M: Final = 100.0

# Alternatives are judged in full up to so many sums of interference; beyond, SCREENED_LEFT of them after a first look
# on SCREENED_POINTS points in all.
SCREENED_ABOVE: Final = 1.5e7
SCREENED_POINTS: Final = 72
SCREENED_LEFT: Final = 2

# How far a site is over its target at a multiple of today's traffic: at most 0 where it is met.
Excess = Callable[[float], float]


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
    def pool_demand(self) -> PoolDemand:
        """What the scheduled groups ask for at any load."""
        return pool_demand(self.reception)

    @cached_property
    def pool(self) -> SitePool:
        """Reservations of the scheduled groups."""
        return self.pool_demand.at(self.target)

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
            Mechanism(name, self._relief(name), self._duty_headroom if excess is None else largest_load(excess))
            for name, excess in self._excesses.items()
        ]
        return tuple(sorted(found, key=lambda mechanism: (mechanism.headroom, -mechanism.relief)))

    @cached_property
    def limiting(self) -> str:
        """The mechanism that is reached first as traffic grows, or that breaks the target most today.

        The first of `mechanisms`, found without the headroom of those that still meet the target where another does
        not any more.
        """
        rooms = {"duty_cycle": self._duty_headroom}
        for name, excess in self._excesses.items():
            least = min(rooms.values())
            if excess is not None and not (0.0 < least < math.inf and excess(least) < 0.0):
                rooms[name] = largest_load(excess)
        least = min(rooms.values())
        first = [name for name, room in rooms.items() if room == least]
        return first[0] if len(first) == 1 else min(first, key=lambda name: -self._relief(name))

    @cached_property
    def headroom(self) -> float:
        """How far the traffic of all groups may grow before a target, a duty cycle or the pool is broken; below 1 when
        one is broken today, 0 when one is at any traffic.
        """
        return min(self._duty_headroom, largest_load(self._excess_of_all))

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
        return np.where(self._random, lost, 0.0)

    @cached_property
    def _random(self) -> npt.NDArray[np.bool_]:
        return np.array([group.access == "random" for group in self.model.groups])

    def _relief(self, name: str) -> float:
        """How far the worst group's outage falls without a mechanism."""
        if name == "duty_cycle":
            return 0.0
        if name == "pool":
            without = self._random_outage(1.0, ALL, len(self.model.channels))
        else:
            without = self._outage(1.0, ALL - {name})
        return self.worst_outage - float(without.max())

    def _mean(self, per_group: Floats) -> float:
        rates = np.array([group.devices / group.period_s for group in self.model.groups])
        return float(rates @ per_group / rates.sum())

    @cached_property
    def _excesses(self) -> dict[str, Excess | None]:
        """By mechanism: how far it alone is over the target at a load; None for the duty cycle, whose headroom is a
        ratio.
        """
        found: dict[str, Excess | None] = {name: self._excess_alone(name) for name in MECHANISMS}
        found["duty_cycle"] = None
        if not self._random.all():
            found["pool"] = lambda load: self._excess_of_pool(self.pool_demand.at(self.target, load))
        return found

    def _excess_alone(self, name: str) -> Excess:
        left, only = len(self.model.channels) - self.pool.reserved, frozenset({name})
        return lambda load: self._excess_of(self._random_outage(load, only, left))

    def _excess_of(self, outage: Floats) -> float:
        """log(worst outage / target): above 0 where the target is broken, nearly straight over log(load)."""
        return math.log(max(float(outage.max()), NO_OUTAGE) / self.target)

    def _excess_of_all(self, load: float) -> float:
        pool = self.pool_demand.at(self.target, load)
        over = self._excess_of_pool(pool)
        return over if over >= FAR else max(over, self._excess_of(self._outage(load, ALL, pool)))

    def _excess_of_pool(self, needed: SitePool) -> float:
        """log of the subchannels the pool reserves over those it may have; FAR where no number is enough."""
        most = len(self.model.channels) - int(self._random.any())
        if needed.infeasible or (most < 1 and needed.reserved):
            return FAR
        return math.log(max(needed.subchannels - ROUNDED_OFF, NO_OUTAGE) / most) if most else -FAR

    @cached_property
    def _duty_headroom(self) -> float:
        """Least ratio of what a device may send to what it sends, over groups and the SFs they use."""
        ratios = [
            device_capacity_per_s(question.bands, group.payload_bytes, group.coding_rate, question.spreading_factor)
            * group.period_s
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
    best = _best_of([replace(model, plan="distance", border_scale=scale) for scale in BORDER_SCALES], target)
    detail = f"borders of the distance rule times {best.model.border_scale:g}"
    found.append(Change("plan fitted", detail, best))
    return tuple(found)


def _best_of(models: Sequence[SiteModel], target: float) -> SiteAnswer:
    """The site with the least outage in the worst group, and then on average.

    Large sites are first judged on fewer points a group; the best few of those are then judged in full, so what is said
    of the one chosen is as exact as ever.
    """

    def rank(answer: SiteAnswer) -> tuple[float, float]:
        return answer.worst_outage, answer.outage

    if len(models) * models[0].size > SCREENED_ABOVE:
        rough = [SiteAnswer(model.coarser(SCREENED_POINTS), target) for model in models]
        order = sorted(range(len(models)), key=lambda index: rank(rough[index]))
        models = [models[index] for index in order[:SCREENED_LEFT]]
    return min((SiteAnswer(model, target) for model in models), key=rank)


def _one_more_gateway(answer: SiteAnswer) -> Change:
    """Tried on a grid over the devices and in the middle of what is lost, not beside a gateway that stands already."""
    model = answer.model
    points = np.concatenate([group.points_m for group in model.groups])
    lost = 1.0 - answer.reception.point_success()
    low, high = np.quantile(points, 0.05, axis=0), np.quantile(points, 0.95, axis=0)
    sides = np.linspace(low, high, GRID_SIDE)
    places = np.stack(np.meshgrid(sides[:, 0], sides[:, 1]), axis=-1).reshape(-1, 2)
    places = np.vstack([places, np.average(points, axis=0, weights=lost + 1e-12)])
    standing = np.array([gateway.position_m for gateway in model.gateways])
    far = np.hypot(*(places[:, None] - standing).transpose(2, 0, 1)).min(axis=1) >= APART_M
    candidates = places[far] if far.any() else places
    best = _best_of([model.with_gateway((float(x), float(y))) for x, y in candidates], answer.target)
    x, y = best.model.gateways[-1].position_m
    return Change("one more gateway", f"at [{x:.0f}, {y:.0f}] m, 8 paths", best)


def largest_load(excess: Excess) -> float:
    """Largest load up to which `excess`, which grows with the load, is at most 0: within a millionth; 0 or infinite
    where it lies outside LEAST_LOAD to MOST_LOAD.
    """
    low, high = math.log(LEAST_LOAD), math.log(MOST_LOAD)
    if excess(LEAST_LOAD) > 0.0:
        return 0.0
    if excess(MOST_LOAD) <= 0.0:
        return math.inf
    return math.exp(brentq(lambda at: excess(math.exp(at)), low, high, xtol=1e-6))


@lru_cache(maxsize=1024)
def device_capacity_per_s(
    bands: tuple[DutyBand, ...], payload_bytes: int, coding_rate: int, spreading_factor: int
) -> float:
    """Frames a second that one device may send; the same few frames are asked for by every change."""
    return LatencyQuestion(bands, spreading_factor, payload_bytes, coding_rate).capacity_per_s()


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
