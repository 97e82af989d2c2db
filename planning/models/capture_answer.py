"""The question `airshed plan capture` answers, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from planning.models.airtimes import Floats, airtimes_s, application_bytes
from planning.models.capture_cell import (
    Allocation,
    Population,
    allocation_of,
    population_of,
    printed_distance_allocation,
)
from planning.models.capture_model import CHANNELS, DEFAULT_READINGS, PATHS, Capture, Readings, Traffic, capture
from planning.models.capture_optimised import optimised_allocation
from spectrum.errors import BadInput
from spectrum.lora import SPREADING_FACTORS

LARGEST_RADIUS_M: Final = 100_000.0  # far beyond any coverage at a path-loss exponent of 4


@dataclass(frozen=True, slots=True)
class CaptureQuestion:
    """devices: N. rate_per_s: packets/s of one device. payload_bytes: PHY payload, 13 of them LoRaWAN overhead.

    population: `disc`, `concentrated`, or None for what the thesis supposes: devices uniform over the disc for the
    uniform and the distance allocation, concentrated near the gateway for equal-load. The optimised allocation is
    laid over the concentrated population too, so that it shares its devices with the best of the three.
    printed_shares: table B.2's rounded shares for `distance`.
    """

    devices: float
    allocation: str = "distance"
    payload_bytes: int = 63
    coding_rate: int = 4
    rate_per_s: float = 1.0 / 600.0
    population: str | None = None
    radius_m: float = 1000.0
    channels: int = CHANNELS
    paths: int = PATHS
    readings: Readings = DEFAULT_READINGS
    printed_shares: bool = False

    @property
    def airtimes_s(self) -> Floats:
        """Airtime of SF7..SF12 with a preamble of 8 + 4.25 symbols, shape (6,)."""
        return airtimes_s(self.payload_bytes, self.coding_rate)

    @property
    def traffic(self) -> Traffic:
        """N devices at their rate."""
        return Traffic(self.devices, self.rate_per_s, self.airtimes_s, self.channels)

    @property
    def population_name(self) -> str:
        """Where the devices are supposed to be."""
        if self.population is not None:
            return self.population
        return "concentrated" if self.allocation in ("equal-load", "optimised") else "disc"

    def positions(self) -> Population:
        """The devices' places."""
        return population_of(self.population_name, self.airtimes_s, self.radius_m)


@dataclass(frozen=True, slots=True)
class CaptureAnswer:
    """An answer with the allocation it is about. border_m: where each SF ends, None if not in annuli."""

    question: CaptureQuestion
    allocation: Allocation
    result: Capture
    border_m: list[float] | None

    def as_json(self) -> dict[str, Any]:
        """Everything under the names the command publishes; an SF without devices has null values."""
        result, useful_bytes = self.result, application_bytes(self.question.payload_bytes)
        used = result.sf_shares > 0.0
        columns = {
            "share": result.sf_shares,
            "coverage": np.where(used, result.coverage_per_sf, np.nan),
            "capture": np.where(used, result.capture_per_sf, np.nan),
            "drop": np.where(used, result.drop, np.nan),  # a path is any frame's: one probability for all
            "success": np.where(used, result.success_per_sf, np.nan),
            "throughput_bytes_per_s": result.throughput_per_sf_bytes_per_s(useful_bytes),
            "path_load_share": result.path_load_shares,
            # Of one device: what the regulator limits, 0.01 in most sub-bands.
            "duty_cycle": self.question.rate_per_s * self.question.airtimes_s,
        }
        if self.border_m is not None:
            columns["border_m"] = np.array(self.border_m)
        return {
            "coverage": float(result.coverage),
            "capture": float(result.capture),
            "drop": float(result.drop),
            "success": float(result.success),
            "throughput_bytes_per_s": float(result.throughput_bytes_per_s(useful_bytes)),
            "per_sf": {
                str(factor): {name: float(values[index]) for name, values in columns.items()}
                for index, factor in enumerate(SPREADING_FACTORS)
            },
            "method": "model",
            "allocation": self.question.allocation,
            "population": self.question.population_name,
            "devices": self.question.devices,
            "rate_per_s": self.question.rate_per_s,
            "drop_erlang_b": float(result.drop_erlang_b),
            "outage": 1.0 - float(result.success),
        }


def allocation_for(question: CaptureQuestion) -> Allocation:
    """Who uses which spreading factor."""
    if not 0.0 < question.radius_m <= LARGEST_RADIUS_M:
        raise BadInput(
            f"the radius of the cell must be above 0 and at most {LARGEST_RADIUS_M:g} m, got {question.radius_m:g}"
        )
    if question.printed_shares:
        if question.allocation != "distance":
            raise BadInput(f"printed shares belong to the distance allocation, got {question.allocation}")
        return printed_distance_allocation(question.radius_m)
    population = question.positions()
    if question.allocation == "optimised":
        return optimised_allocation(
            population,
            question.traffic,
            radius_m=question.radius_m,
            readings=question.readings,
            paths=question.paths,
        )
    return allocation_of(question.allocation, population, question.airtimes_s, question.radius_m)


def answer_capture(question: CaptureQuestion) -> CaptureAnswer:
    """The model's answer for one number of devices."""
    traffic = question.traffic
    if not traffic.total_per_s() > 0.0:
        raise BadInput(f"give at least one device, got {question.devices:g}")
    allocation = allocation_for(question)
    result = capture(allocation, traffic, radius_m=question.radius_m, readings=question.readings, paths=question.paths)
    border_m = None
    if question.allocation != "uniform" and not question.printed_shares:
        x = question.positions().border_of(np.cumsum(allocation.sf_shares))
        border_m = [float(radius) for radius in np.sqrt(x) * question.radius_m]
    return CaptureAnswer(question, allocation, result, border_m)
