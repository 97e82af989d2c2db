"""Which device is in which class, and which subchannels a policy draws from: the set-up both engines share."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from allocation.policies import available, candidates, policy_named, ranked
from planning.simulate.scenario import Scenario
from spectrum.eu868 import Subchannel
from spectrum.status import ChannelStatus


def class_bounds(scenario: Scenario) -> NDArray[np.int64]:
    """First device of each class and one past the last, shape (F + 1,): equal shares, in order of class."""
    parts = len(scenario.classes)
    return np.array([scenario.devices * i // parts for i in range(parts + 1)], np.int64)


def device_classes(scenario: Scenario) -> NDArray[np.uint8]:
    """Class index of each device, shape (D,)."""
    return np.repeat(np.arange(len(scenario.classes), dtype=np.uint8), np.diff(class_bounds(scenario)))


@lru_cache(maxsize=256)
def _statuses(pf: float, pm: float, occupancies: tuple[float, ...]) -> tuple[ChannelStatus, ...]:
    return tuple(
        ChannelStatus(
            Subchannel(float(index), 1.0),
            measured_s=0.0,
            energy_dbfs=-1.0,
            noise_dbfs=-1.0,
            threshold_dbfs=0.0,
            pf=pf,
            pm=pm,
            occupancy=occupancy,
        )
        for index, occupancy in enumerate(occupancies)
    )


def statuses(scenario: Scenario) -> tuple[ChannelStatus, ...]:
    """The snapshot a controller would rank: one status per subchannel, in order of frequency, none busy right now.

    A subchannel's centre is its index, so that an answer tells which one it is.
    """
    return _statuses(scenario.pf, scenario.pm, scenario.occupancies)


@lru_cache(maxsize=256)
def _pool(policy: str, pf: float, pm: float, occupancies: tuple[float, ...]) -> tuple[int, ...]:
    row = policy_named(policy)
    snapshot = _statuses(pf, pm, occupancies)
    usable = available(snapshot) if row.senses else snapshot
    share = 1.0 if policy == "least-loaded" else row.share
    chosen = candidates(ranked(usable, row, {}), share)
    indices = [int(subchannel.center_hz) for subchannel in chosen]
    return tuple(sorted(indices) if row.rotates else indices)


def pool(scenario: Scenario) -> NDArray[np.int64]:
    """Indices of the subchannels that tries are drawn from, best first, by the controller's own table.

    A policy that rotates gets them in order of frequency. What depends on the load changes with every frame and stays
    in the kernels: `least-loaded` gets all of them.
    """
    return np.array(_pool(scenario.policy, scenario.pf, scenario.pm, scenario.occupancies), np.int64)
