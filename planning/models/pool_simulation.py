"""Simulation of the common pool under real schedulers: the truth beside its bounds, and the counts behind figure 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planning.models.intervals import Estimate, of_share
from planning.models.pool_design import check_devices
from planning.models.pool_load import Floats, Integers, Reporting
from spectrum.errors import BadInput

# Who gets the next place of the common pool; each leaves none empty while a request waits.
# random: any waiting request. finish: one report until it is done. spread: all waiting requests in turn.
SCHEDULERS: Final = ("random", "finish", "spread")

# Replications are gathered into this many groups, so that even rare failures have a spread to take an interval from.
GROUPS: Final = 25


@dataclass(frozen=True, slots=True)
class SimulatedPool:
    """failure: share of the reports that fail; overload: share of the intervals with R > C; loads: R, shape (runs,)."""

    failure: Estimate
    overload: Estimate
    loads: Integers


def simulate_pool(
    reporting: Reporting,
    devices: int,
    capacity: int,
    runs: int,
    rng: np.random.Generator,
    scheduler: str = "random",
) -> SimulatedPool:
    """`runs` independent reporting intervals of N devices with a common pool of `capacity` transmissions."""
    check_devices(devices)
    if scheduler not in SCHEDULERS:
        raise BadInput(f"the scheduler must be one of {', '.join(SCHEDULERS)}, got {scheduler!r}")
    if runs < 2 * GROUPS:
        raise BadInput(f"a simulation needs {2 * GROUPS} intervals at least, got {runs}")
    reports, failed, loads = _intervals(
        reporting.error_rate,
        reporting.max_transmissions,
        reporting.reports_per_interval,
        reporting.arrivals == "poisson",
        devices,
        capacity,
        runs,
        SCHEDULERS.index(scheduler),
        rng,
    )
    groups = [slice(k, None, GROUPS) for k in range(GROUPS)]
    shares = [failed[group].sum() / max(reports[group].sum(), 1) for group in groups]
    overloads = [np.mean(loads[group] > capacity) for group in groups]
    # The reports of one interval fail together, so an interval is one trial.
    return SimulatedPool(of_share(shares, runs), of_share(overloads, runs), loads)


@njit(cache=True)
def _intervals(
    error_rate: float,
    most: int,
    mean_reports: float,
    poisson: bool,
    devices: int,
    capacity: int,
    runs: int,
    scheduler: int,
    rng: np.random.Generator,
) -> tuple[Integers, Integers, Integers]:
    """Reports, failed reports and load R of each interval, shapes (runs,)."""
    reports = np.zeros(runs, dtype=np.int64)
    failed = np.zeros(runs, dtype=np.int64)
    loads = np.zeros(runs, dtype=np.int64)
    waiting = np.zeros(4 * devices + 64, dtype=np.int64)
    lost = np.zeros(4 * devices + 64, dtype=np.bool_)
    for run in range(runs):
        count = 0
        for _ in range(devices):
            arrived = rng.poisson(mean_reports) if poisson else int(mean_reports)
            for report in range(arrived):
                sent, delivered = 1, rng.random() >= error_rate
                while not delivered and sent < most:
                    sent += 1
                    delivered = rng.random() >= error_rate
                reports[run] += 1
                needed = sent - 1 if report == 0 else sent
                loads[run] += needed
                if needed == 0:
                    failed[run] += not delivered
                    continue
                if count == len(waiting):
                    waiting = np.concatenate((waiting, np.zeros_like(waiting)))
                    lost = np.concatenate((lost, np.zeros_like(lost)))
                waiting[count] = needed
                lost[count] = not delivered
                count += 1
        failed[run] += _serve(waiting[:count], lost[:count], capacity, scheduler, rng)
    return reports, failed, loads


@njit(cache=True)
def _serve(waiting: Integers, lost: NDArray[np.bool_], capacity: int, scheduler: int, rng: np.random.Generator) -> int:
    """Reports that fail when `capacity` places go to requests that need `waiting` more transmissions each."""
    count, failures, place, turn, chosen = len(waiting), 0, 0, 0, 0
    while count > 0 and place < capacity:
        if scheduler == 0:
            chosen = int(rng.integers(0, count))
        elif scheduler == 1:
            chosen = count - 1
        else:
            chosen = turn % count
        waiting[chosen] -= 1
        place += 1
        if waiting[chosen] > 0:
            turn += 1
            continue
        failures += lost[chosen]
        count -= 1
        waiting[chosen], waiting[count] = waiting[count], waiting[chosen]
        lost[chosen], lost[count] = lost[count], lost[chosen]
    return failures + count


def load_histogram(loads: Integers) -> tuple[Integers, Floats]:
    """Values of R and the share of intervals with each, shapes (values,)."""
    values, counts = np.unique(loads, return_counts=True)
    return values, counts / len(loads)
