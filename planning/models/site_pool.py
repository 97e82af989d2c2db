"""The pool of a site: how many subchannels its scheduled reporters must have to themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planning.models.airtimes import Floats
from planning.models.pool_design import DEVICES_LIMIT, capacity_of_moments
from planning.models.pool_load import normal_excess, pool_mean_and_variance
from planning.models.site_model import SiteModel
from planning.models.site_reception import Reception

MAX_TRANSMISSIONS: Final = 8
GUARD_S: Final = 0.02
# A pool that takes so little more than a whole subchannel takes that one.
ROUNDED_OFF: Final = 1e-9

# Alone in its slot a frame only meets noise and others.
ALONE: Final = frozenset({"capture", "occupancy"})


@dataclass(frozen=True, slots=True)
class SitePool:
    """subchannels: reserved, a fraction before rounding up. outage, latency_s: of each group, NaN without a pool.

    infeasible: why some group cannot meet the target however large its pool, or empty.
    """

    subchannels: float
    outage: Floats
    latency_s: Floats
    slots: dict[str, int]
    infeasible: str

    @property
    def reserved(self) -> int:
        """Whole subchannels."""
        return math.ceil(self.subchannels - ROUNDED_OFF)


@dataclass(frozen=True, slots=True)
class PoolDemand:
    """What the scheduled groups of a site ask for, apart from the load: each of their (group, SF), shapes (n,).

    error_rate: a single frame is lost. devices: today. slot_s: airtime and guard. mean, variance: of the
    repetitions that one device asks the common pool for in a period.
    """

    model: SiteModel
    group: NDArray[np.intp]
    factor: NDArray[np.intp]
    share: Floats
    error_rate: Floats
    devices: Floats
    slot_s: Floats
    period_s: Floats
    mean: Floats
    variance: Floats

    def at(self, target: float, load: float = 1.0) -> SitePool:
        """Pools of all groups, devices times `load`: one report a period, repeated until received.

        A slot holds one frame of each SF, as they are orthogonal here; groups share subchannels one after the other.
        """
        devices = np.maximum(1.0, np.rint(load * self.devices))
        residual = self.error_rate**MAX_TRANSMISSIONS
        mean, variance = devices * self.mean, devices * self.variance
        never = (residual >= target) | (devices > DEVICES_LIMIT)
        capacity = np.where(never, 0.0, capacity_of_moments(mean, variance, residual, target))
        needed = devices + capacity
        refused = np.where(never, 0.0, normal_excess(mean, variance, capacity) / devices)
        pool_s = needed * self.slot_s
        count = len(self.model.groups)
        outage, latency_s = np.full(count, np.nan), np.full(count, np.nan)
        slots = np.bincount(self.group, needed, count)
        lost = np.bincount(self.group, (residual + refused) * self.share, count)
        scheduled = np.unique(self.group)
        outage[scheduled] = lost[scheduled]
        for group in scheduled:
            # A report waits half a period for its pool and is served in the middle of it.
            latency_s[group] = self.model.groups[group].period_s / 2.0 + pool_s[self.group == group].max() / 2.0
        busy = np.bincount(self.factor, pool_s / self.period_s, 6)
        names = {self.model.groups[group].name: round(slots[group]) for group in scheduled}
        return SitePool(float(busy.max()), outage, latency_s, names, self._why(never))

    def _why(self, never: NDArray[np.bool_]) -> str:
        if not never.any():
            return ""
        last = int(np.flatnonzero(never)[-1])
        name = self.model.groups[self.group[last]].name
        return f"{name} at SF{self.factor[last] + 7}: {100 * self.error_rate[last]:.3g} % of single frames are lost"


def pool_demand(reception: Reception) -> PoolDemand:
    """The demand of all groups with access `pool`."""
    model = reception.model
    heard = reception.factor_success(1e-12, ALONE)
    scheduled = np.array([group.access == "pool" for group in model.groups])[:, np.newaxis]
    group, factor = np.nonzero(~np.isnan(heard) & scheduled)
    share = np.array([shares.mean(axis=0) for shares in reception.shares])[group, factor]
    error_rate = np.clip(1.0 - heard[group, factor], 0.0, 1.0)
    return PoolDemand(
        model,
        group,
        factor,
        share,
        error_rate,
        np.array([one.devices for one in model.groups])[group] * share,
        np.array([one.airtimes_s for one in model.groups])[group, factor] + GUARD_S,
        np.array([one.period_s for one in model.groups])[group],
        *pool_mean_and_variance(1.0, error_rate, MAX_TRANSMISSIONS, 1.0, "deterministic"),
    )
