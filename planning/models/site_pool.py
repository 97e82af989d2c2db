"""The pool of a site: how many subchannels its scheduled reporters must have to themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from planning.models.airtimes import Floats
from planning.models.pool_design import smallest_capacity
from planning.models.pool_load import Reporting, normal_tail
from planning.models.site_model import Group
from planning.models.site_reception import Reception
from spectrum.errors import BadInput

MAX_TRANSMISSIONS: Final = 8
GUARD_S: Final = 0.02

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
        return math.ceil(self.subchannels - 1e-9)


def site_pool(reception: Reception, target: float, load: float = 1.0) -> SitePool:
    """Pools of all groups with access `pool`, devices times `load`: one report a period, repeated until received.

    A slot holds one frame of each SF, as they are orthogonal here; groups share subchannels one after the other.
    """
    model = reception.model
    count = len(model.groups)
    outage, latency = np.full(count, np.nan), np.full(count, np.nan)
    busy, slots, infeasible = np.zeros(6), {}, ""
    heard = reception.success(1e-12, ALONE)
    for index, group in enumerate(model.groups):
        if group.access != "pool":
            continue
        shares = reception.shares[index]
        lost = np.zeros(6)
        slots[group.name] = 0
        longest_s = 0.0
        for m in np.flatnonzero(shares.sum(axis=0)):
            error_rate = 1.0 - float(shares[:, m] @ heard[index][:, m] / shares[:, m].sum())
            devices = max(1, round(load * group.devices * float(shares[:, m].mean())))
            needed, lost[m] = _slots(error_rate, devices, target)
            if not needed:
                infeasible = f"{group.name} at SF{m + 7}: {100 * error_rate:.3g} % of single frames are lost"
                needed = devices
            slots[group.name] += needed
            pool_s = needed * (float(group.airtimes_s[m]) + GUARD_S)
            busy[m] += pool_s / group.period_s
            longest_s = max(longest_s, pool_s)
        outage[index] = float(lost @ shares.mean(axis=0))
        latency[index] = _mean_latency_s(group, longest_s)
    return SitePool(float(busy.max()), outage, latency, slots, infeasible)


def _slots(error_rate: float, devices: int, target: float) -> tuple[int, float]:
    """Slots of one SF, pre-allocated and common, and failure per report by the normal law; 0 slots: never enough."""
    reporting = Reporting(min(max(error_rate, 0.0), 1.0), MAX_TRANSMISSIONS, 1.0, "deterministic")
    try:
        capacity = smallest_capacity(reporting, devices, target)
    except BadInput:  # p^L alone exceeds the target
        return 0, reporting.residual_failure
    refused = normal_tail(reporting, devices, capacity).excess / devices
    return devices + capacity, reporting.residual_failure + refused


def _mean_latency_s(group: Group, pool_s: float) -> float:
    """A report waits half a period for its pool and is served in the middle of it."""
    return group.period_s / 2.0 + pool_s / 2.0
