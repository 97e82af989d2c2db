"""The question `airshed plan latency` answers, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from planning.models.airtimes import Floats
from planning.models.latency_jockeying import jockeying_use
from planning.models.latency_model import (
    DutyBand,
    band_use,
    capacity_per_s,
    check_rates,
    collision_probabilities,
    half_mmc_wait_s,
    pacing_s,
    ratio_limits,
    service_rates_per_s,
)
from planning.models.latency_waits import alike, exact_wait_s, mdc_wait, refined
from spectrum.errors import BadInput
from spectrum.lora import LoraModulation, airtime_s


@dataclass(frozen=True, slots=True)
class LatencyQuestion:
    """One device among `devices` alike ones on one gateway.

    payload_bytes: PHY payload. preamble_symbols: programmed, without the 4.25 of sync word and delimiter.
    aggregated_duty_cycle: fraction over all bands, 1 for none. receive_s: receive windows after a transmission, 0 for
    none. sf_shares: fraction of the devices per spreading factor; all on `spreading_factor` when empty.
    given_airtime_s: takes the place of the datasheet's airtime. The capacities quoted with figure A.4, 0.0146 and
    0.0219 packets/s, belong to 3.416064 s: 104.25 symbols, without DE, CRC and rounding up.
    """

    bands: Sequence[DutyBand]
    spreading_factor: int = 12
    payload_bytes: int = 63
    coding_rate: int = 4
    preamble_symbols: float = 8
    devices: int = 100
    aggregated_duty_cycle: float = 1.0
    receive_s: float = 0.0
    sf_shares: Mapping[int, float] = field(default_factory=dict)
    given_airtime_s: float | None = None

    def __post_init__(self) -> None:
        if self.given_airtime_s is not None and not 0.0 < self.given_airtime_s < np.inf:
            raise BadInput(f"the airtime must be above 0 s and finite, got {self.given_airtime_s:g}")
        if self.given_airtime_s is not None and set(self.sf_shares) - {self.spreading_factor}:
            raise BadInput("one airtime cannot stand for several spreading factors: leave one of the two out")

    def airtime_s(self, spreading_factor: int | None = None) -> float:
        """Airtime of a packet in seconds, on the device's spreading factor or another."""
        if self.given_airtime_s is not None:
            return self.given_airtime_s
        factor = self.spreading_factor if spreading_factor is None else spreading_factor
        modulation = LoraModulation(factor, coding_rate=self.coding_rate, preamble_symbols=self.preamble_symbols)
        return airtime_s(modulation, self.payload_bytes)

    @property
    def pacing_s(self) -> float:
        """Least seconds between two starts by receive windows and aggregated duty cycle; 0 without them."""
        return pacing_s(self.airtime_s(), self.aggregated_duty_cycle, self.receive_s)

    def capacity_per_s(self, spreading_factor: int | None = None) -> float:
        """Packets a second that one device can send."""
        airtime = self.airtime_s(spreading_factor)
        return capacity_per_s(self.bands, airtime, self.aggregated_duty_cycle, self.receive_s)


@dataclass(frozen=True, slots=True)
class LatencyAnswer:
    """What comes out; mappings by the bands' names. waits_s: the mean wait by every method that applies."""

    method: str
    airtime_s: float
    capacity_per_s: float
    service_rates_per_s: dict[str, float]
    rate_per_s: float
    wait_s: float
    service_ratio: dict[str, float]
    service_ratio_refined: dict[str, float]
    collision_probability: dict[str, float]
    collision_probability_per_sf: dict[int, dict[str, float]]
    waits_s: dict[str, float]
    limits: dict[str, dict[str, float]]

    @property
    def latency_s(self) -> float:
        """(A.2): airtime and wait."""
        return self.airtime_s + self.wait_s

    def as_json(self) -> dict[str, Any]:
        """Everything under the names the command publishes."""
        return {
            "airtime_s": self.airtime_s,
            "capacity_per_s": self.capacity_per_s,
            "wait_s": self.wait_s,
            "latency_s": self.latency_s,
            "service_ratio": self.service_ratio,
            "collision_probability": self.collision_probability,
            "method": self.method,
            "rate_per_s": self.rate_per_s,
            "load": self.rate_per_s / self.capacity_per_s,
            "service_rates_per_s": self.service_rates_per_s,
            "waits_s": self.waits_s,
            "service_ratio_refined": self.service_ratio_refined,
            "service_ratio_limits": self.limits,
            "collision_probability_per_sf": self.collision_probability_per_sf,
        }


def _jockeying_wait_s(bands: Sequence[DutyBand], airtime_s: float, rates_per_s: Floats) -> Floats:
    """(A.3), mended as in `half_mmc_wait_s`, with P(busy) of the jockeying chain."""
    total = float(service_rates_per_s(bands, airtime_s).sum())
    return np.array([jockeying_use(bands, airtime_s, rate).all_busy / (2.0 * (total - rate)) for rate in rates_per_s])


def _refined_wait_s(bands: Sequence[DutyBand], airtime_s: float, rates_per_s: Floats) -> Floats:
    return refined(bands, airtime_s, rates_per_s).wait_s


# name: mean wait by regulatory duty cycle, of (bands, airtime_s, rates) -> seconds
WAITS: Final[dict[str, Callable[[Sequence[DutyBand], float, Floats], Floats]]] = {
    "exact": exact_wait_s,
    "refined": _refined_wait_s,
    "half-mmc": half_mmc_wait_s,
    "jockeying": _jockeying_wait_s,
}


def best_method(bands: Sequence[DutyBand]) -> str:
    """`exact` where the bands are alike, else `refined`."""
    return "exact" if alike(bands) else "refined"


def answer_latency(question: LatencyQuestion, rate_per_s: float, method: str | None = None) -> LatencyAnswer:
    """Everything about one rate (packets/s of one device). method: a key of WAITS, or None for the best.

    The jockeying chain gives what `half-mmc` gives; it runs only when asked for.
    """
    bands = question.bands
    airtime = question.airtime_s()
    capacity = question.capacity_per_s()
    check_rates(np.array([rate_per_s]), capacity, "the capacity of one device")
    chosen = method or best_method(bands)
    names = {"half-mmc", "refined", chosen} | ({"exact"} if alike(bands) else set())
    waits_s = {name: float(waits_by(question, np.array([rate_per_s]), name)[0]) for name in WAITS if name in names}
    limits = {"idle": ratio_limits(bands)[0], "capacity": ratio_limits(bands)[1]}
    per_sf = _collisions_per_sf(question, rate_per_s)
    return LatencyAnswer(
        method=chosen,
        airtime_s=airtime,
        capacity_per_s=capacity,
        service_rates_per_s=_named(bands, service_rates_per_s(bands, airtime)),
        rate_per_s=rate_per_s,
        wait_s=waits_s[chosen],
        service_ratio=_named(bands, ratios_by(question, np.array([rate_per_s]))[0]),
        service_ratio_refined=_named(bands, refined(bands, airtime, rate_per_s).ratios[0]),
        collision_probability=per_sf[question.spreading_factor],
        collision_probability_per_sf=per_sf,
        waits_s=waits_s,
        limits={name: _named(bands, values) for name, values in limits.items()},
    )


def sweep_latency(
    question: LatencyQuestion, rates_per_s: Floats, devices: Floats, method: str | None = None
) -> tuple[str, dict[str, Floats]]:
    """`answer_latency` for many rates and numbers of devices at once, shapes (points,): the method and the columns."""
    airtime, bands = question.airtime_s(), question.bands
    check_rates(rates_per_s, question.capacity_per_s(), "the capacity of one device")
    chosen = method or best_method(bands)
    wait_s, ratios = waits_by(question, rates_per_s, chosen), ratios_by(question, rates_per_s)
    collided = collision_probabilities(bands, airtime, rates_per_s, ratios, devices)
    columns = {"wait_s": wait_s, "latency_s": airtime + wait_s}
    for index, band in enumerate(bands):
        columns[f"service_ratio_{band.name}"] = ratios[:, index]
        columns[f"collision_probability_{band.name}"] = collided[:, index]
    return chosen, columns


def waits_by(question: LatencyQuestion, rates_per_s: Floats, method: str) -> Floats:
    """Mean wait in seconds by one method, steps 1 and 2 of the scheduler included, shape (rates,).

    Steps 1 and 2 pace a device to one start every P seconds: an M/D/1 queue of service P, as in the paper, which
    leaves open how its wait and the wait for a band combine. In a chain of deterministic servers a packet waits for
    the slowest alone. So where one band recovers within P, or c alike bands within c P, the paced wait is all; with one
    band otherwise the band's wait is all. In between the two waits are added, which is right for rare waits and too
    much at high loads; docs/planning.md says by how much.
    """
    bands, airtime, pacing = question.bands, question.airtime_s(), question.pacing_s
    regulatory_s = WAITS[method](bands, airtime, rates_per_s)
    if pacing == 0.0:
        return regulatory_s
    paced_s = mdc_wait(rates_per_s * pacing, 1) * pacing
    shortest_hold_s = airtime / max(band.duty_cycle for band in bands)
    if pacing >= shortest_hold_s or (alike(bands) and len(bands) * pacing >= shortest_hold_s):
        return paced_s
    return regulatory_s if len(bands) == 1 else paced_s + regulatory_s


def ratios_by(question: LatencyQuestion, rates_per_s: Floats, spreading_factor: int | None = None) -> Floats:
    """Service ratios (A.4), shape (rates, bands); by channels alone when steps 1 and 2 let every band recover."""
    airtime = question.airtime_s(spreading_factor)
    pacing = pacing_s(airtime, question.aggregated_duty_cycle, question.receive_s)
    if pacing >= airtime / min(band.duty_cycle for band in question.bands):
        return np.broadcast_to(ratio_limits(question.bands)[0], (rates_per_s.size, len(question.bands)))
    return band_use(question.bands, airtime, rates_per_s).ratios


def _collisions_per_sf(question: LatencyQuestion, rate_per_s: float) -> dict[int, dict[str, float]]:
    """P(collision) by spreading factor and band; each factor has its own airtime, so its own service ratios."""
    shares = dict(question.sf_shares) or {question.spreading_factor: 1.0}
    if any(share < 0.0 for share in shares.values()) or abs(sum(shares.values()) - 1.0) > 1e-6:
        raise BadInput(f"the shares of the spreading factors must be 0 or more and sum to 1, got {shares}")
    shares.setdefault(question.spreading_factor, 0.0)
    result = {}
    for factor in sorted(shares):
        airtime = question.airtime_s(factor)
        check_rates(np.array([rate_per_s]), question.capacity_per_s(factor), f"the capacity of a device on SF{factor}")
        ratios = ratios_by(question, np.array([rate_per_s]), factor)[0]
        collided = collision_probabilities(
            question.bands, airtime, rate_per_s, ratios, question.devices, shares[factor]
        )
        result[factor] = _named(question.bands, collided)
    return result


def _named(bands: Sequence[DutyBand], values: Floats) -> dict[str, float]:
    return {band.name: float(value) for band, value in zip(bands, values, strict=True)}
