"""Devices that no chain of shared lines can join are grouped apart: each part has a short timeline of its own.

Two devices of intervals a, b and durations d, e repeat against each other in steps of g = gcd(a, b) and can only be
apart when d + e <= g, wherever they start. So 7, 11 and 13 minutes, whose common timeline is long, are three networks
of one interval each as soon as no two durations fit into their gcd; and the lines of the parts, and proved bounds on
them, add up.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from planning.grouping.traffic import IntArray, Traffic

# Different pairs of interval and duration that are compared; with more, the traffic stays one part.
MOST_COMPARED: Final = 3000


def components(traffic: Traffic) -> list[IntArray]:
    """Devices of every part, ascending, int64 each; parts in the order of their first device."""
    shapes, shape = np.unique(np.stack((traffic.interval, traffic.duration)), axis=1, return_inverse=True)
    interval, duration = shapes
    if interval.size > MOST_COMPARED:
        return [np.arange(len(traffic))]
    can_share = duration[:, None] + duration[None, :] <= np.gcd.outer(interval, interval)
    part = connected_components(csr_array(can_share), directed=False)[1][shape]
    first = np.unique(part, return_index=True)[1]
    return [np.flatnonzero(part == part[device]) for device in np.sort(first)]
