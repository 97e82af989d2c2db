"""One question to the periodic pool, one answer: capacity for devices, devices for capacity, or failure for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from planning.models.pool_design import (
    check_target,
    failure_bound,
    failure_tight,
    largest_devices,
    most_devices,
    smallest_capacity,
    smallest_tight_capacity,
)
from planning.models.pool_load import Reporting, pool_moments
from planning.models.pool_mapping import LtePool, SlotPool
from spectrum.errors import BadInput


@dataclass(frozen=True, slots=True)
class PoolQuestion:
    """Devices, or the capacity of the common pool in transmissions, or both, or neither with `places`.

    places: what a transmission takes on the air; max_fraction: share of it that the pool may take.
    """

    reporting: Reporting
    target: float
    method: str = "clt"
    devices: int | None = None
    capacity: int | None = None
    places: LtePool | SlotPool | None = None
    max_fraction: float = 1.0


@dataclass(frozen=True, slots=True)
class PoolAnswer:
    """What the pool holds and how often it fails; `occupancy` is empty without places on the air."""

    question: PoolQuestion
    devices: int
    capacity: int
    capacity_tight: int
    mean: float
    variance: float
    failure_bound: float
    failure_tight: float
    occupancy: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The answer under the names of the command's JSON."""
        return {
            "devices": self.devices,
            "capacity": self.capacity,
            "mean": self.mean,
            "variance": self.variance,
            "failure_bound": self.failure_bound,
            "failure_tight": self.failure_tight,
            "capacity_tight": self.capacity_tight,
            "target": self.question.target,
            "meets_target": self.failure_bound <= self.question.target,
            "residual_failure": self.question.reporting.residual_failure,
            "method": self.question.method,
            **self.occupancy,
        }


def answer_pool(question: PoolQuestion) -> PoolAnswer:
    """The answer; BadInput with the reason where the target or the load cannot be met."""
    if not 0.0 < question.max_fraction <= 1.0:
        raise BadInput(f"the largest fraction must be above 0 and at most 1, got {question.max_fraction}")
    check_target(question.reporting, question.target)
    devices, capacity = _devices_and_capacity(question)
    mean, variance = pool_moments(question.reporting, devices)
    if mean > capacity:
        raise BadInput(
            f"the load is over the capacity: {devices} devices bring {mean:.6g} transmissions an interval on average "
            f"to a common pool of {capacity}"
        )
    return PoolAnswer(
        question,
        devices,
        capacity,
        smallest_tight_capacity(question.reporting, devices, question.target),
        mean,
        variance,
        failure_bound(question.reporting, devices, capacity, question.method),
        failure_tight(question.reporting, devices, capacity),
        _occupancy(question, devices + capacity),
    )


def _devices_and_capacity(question: PoolQuestion) -> tuple[int, int]:
    """Both numbers, the missing one found."""
    reporting, target, method = question.reporting, question.target, question.method
    if question.devices is not None:
        if question.capacity is not None:
            return question.devices, question.capacity
        return question.devices, smallest_capacity(reporting, question.devices, target, method)
    if question.capacity is not None:
        return largest_devices(reporting, question.capacity, target, method), question.capacity
    if question.places is None:
        raise BadInput("give --devices or --capacity (or a reserve on the air, with --report-bytes)")
    room = int(question.max_fraction * question.places.room())

    def fits(devices: int, by: str) -> bool:
        if devices > room:
            return False
        return failure_bound(reporting, devices, room - devices, by) <= target

    devices = most_devices(fits, reporting, target, method)
    return devices, smallest_capacity(reporting, devices, target, method)


def _occupancy(question: PoolQuestion, transmissions: int) -> dict[str, Any]:
    if question.places is None:
        return {}
    taken = question.places.occupancy(transmissions)
    if taken["fraction"] > question.max_fraction:
        raise BadInput(
            f"the load is over the capacity: {transmissions} transmissions take {100 * taken['fraction']:.4g} % of "
            f"the system, {100 * question.max_fraction:g} % is allowed"
        )
    return taken
