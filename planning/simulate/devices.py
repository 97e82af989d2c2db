"""Which device is in which class, and which subchannels a policy draws from: the set-up both engines share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocation.policies import available, candidates, ranked
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


def statuses(scenario: Scenario) -> tuple[ChannelStatus, ...]:
    """The snapshot a controller would rank: one status per subchannel, in order of frequency, none busy right now."""
    return tuple(
        ChannelStatus(
            Subchannel(float(index), 1.0),
            measured_s=0.0,
            energy_dbfs=-1.0,
            noise_dbfs=-1.0,
            threshold_dbfs=0.0,
            pf=scenario.pf,
            pm=scenario.pm,
            occupancy=occupancy,
        )
        for index, occupancy in enumerate(scenario.occupancies)
    )


def pool(scenario: Scenario) -> NDArray[np.int64]:
    """Indices of the subchannels that tries are drawn from, best first, by the controller's own table.

    A policy that rotates gets them in order of frequency. What depends on the load changes with every frame and stays
    in the kernels: `least-loaded` gets all of them.
    """
    row = scenario.row
    snapshot = statuses(scenario)
    usable = available(snapshot) if row.senses else snapshot
    share = 1.0 if scenario.policy == "least-loaded" else row.share
    chosen = candidates(ranked(usable, row, {}), share)
    indices = [int(subchannel.center_hz) for subchannel in chosen]
    return np.array(sorted(indices) if row.rotates else indices, np.int64)
