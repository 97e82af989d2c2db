"""The question `airshed plan collisions` answers, and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from planning.models.airtimes import Floats
from planning.models.collisions_model import (
    SYMBOL_S,
    Gateways,
    Network,
    gateways,
    group_rates,
    independent_outage,
    outage_by_gateways,
)
from planning.models.symbol_collisions import approximate_cdf, exact_cdf, simulated_largest, whole_frame_cdf
from spectrum.errors import BadInput
from spectrum.lora import SPREADING_FACTORS

# The distribution of the largest number is listed up to this probability.
LISTED: Final = 0.9999


@dataclass(frozen=True, slots=True)
class CollisionsAnswer:
    """device_outage*: by group. at: what each gateway receives. by_gateways: mean
    outage, groups weighted by their traffic, with the first 1, 2, ... gateways.
    """

    network: Network
    rates_per_s: Floats
    at: Gateways
    device_outage: Floats
    device_outage_independent: Floats
    by_gateways: Floats

    def as_json(self) -> dict[str, Any]:
        """Everything under the names the command publishes."""
        alpha = self.network.alpha
        return {
            "device_outage": self.device_outage.tolist(),
            "gateway_outage": self.at.outage.tolist(),
            "method": "model",
            "device_outage_independent": self.device_outage_independent.tolist(),
            "gateways": [
                {
                    "preamble_failure": float(1.0 - self.at.preamble[gateway] @ alpha),
                    "blocking": float(1.0 - self.at.demodulated[gateway]),
                    "payload_failure": float(1.0 - self.at.payload[gateway] @ alpha),
                }
                for gateway in range(self.network.links.shape[1])
            ],
            "mean_outage_by_gateways": self.by_gateways.tolist(),
            "diversity_gain": (self.by_gateways[0] / np.maximum(self.by_gateways, 1e-300)).tolist(),
            "group_rates_per_s": self.rates_per_s.tolist(),
        }


def traffic_of(network: Network, devices: Sequence[float], rate_per_s: float) -> Floats:
    """Frames/s by group. devices: one number for every group, or one each."""
    groups = network.links.shape[0]
    if len(devices) not in (1, groups):
        raise BadInput(f"expected devices for 1 or {groups} groups, got {len(devices)} numbers")
    rates = group_rates(np.broadcast_to(np.asarray(devices, dtype=float), (groups,)), rate_per_s)
    if not rates.sum() > 0.0:
        raise BadInput("give at least one device in a group")
    longest_s = float(network.frame.airtimes_s.max())
    if rate_per_s * longest_s >= 1.0:
        raise BadInput(
            f"a device cannot send {rate_per_s:g} frames/s of {longest_s:.3g} s: "
            f"give a rate below {1.0 / longest_s:.3g} frames/s"
        )
    return rates


def answer_collisions(network: Network, devices: Sequence[float], rate_per_s: float) -> CollisionsAnswer:
    """Outage of device groups and gateways. devices: one number for every group, or one each."""
    rates = traffic_of(network, devices, rate_per_s)
    at = gateways(network, rates)
    by_gateways = outage_by_gateways(network, at, rates)
    return CollisionsAnswer(
        network=network,
        rates_per_s=rates,
        at=at,
        device_outage=by_gateways[-1],
        device_outage_independent=independent_outage(network, at),
        by_gateways=by_gateways @ rates / rates.sum(),
    )


def largest_interferers(
    network: Network, rates_per_s: Floats, reference_sf: int, interfering_sf: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Distribution of the largest number of interferers of one SF in any symbol, at the busiest gateway, as JSON.

    cdf[x] = P(S_max <= x): exact where the dynamic programme is small enough, else simulated; beside it the
    approximation and the count over the whole frame.
    """
    reference, interfering = SPREADING_FACTORS.index(reference_sf), SPREADING_FACTORS.index(interfering_sf)
    heard = rates_per_s @ network.links
    rate = float(SYMBOL_S[reference] * heard.max() * network.alpha[interfering] / network.channels)
    n_int, n_ref = network.frame.interfering_symbols(reference, interfering), network.frame.symbols(reference)
    method = "exact"
    exact: list[float] = []
    try:
        while not exact or exact[-1] < LISTED:
            exact.append(exact_cdf(rate, n_int, n_ref, len(exact)))
    except BadInput:
        drawn = simulated_largest(rate, n_int, n_ref, rng)
        method = "simulation"
        exact = [float((drawn <= x).mean()) for x in range(int(np.quantile(drawn, LISTED)) + 1)]
    counts = range(len(exact))
    return {
        "reference_sf": reference_sf,
        "interfering_sf": interfering_sf,
        "gateway": int(heard.argmax()),
        "starts_per_symbol": rate,
        "reference_symbols": n_ref,
        "interfering_symbols": n_int,
        "method": method,
        "cdf": exact,
        "approximation": [float(approximate_cdf(rate, n_int, n_ref, x)) for x in counts],
        "whole_frame": [float(whole_frame_cdf(rate, n_int, n_ref, x)) for x in counts],
    }
