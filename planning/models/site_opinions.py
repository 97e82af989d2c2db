"""Second opinions on a site: what papers B and C say of it, each within its own assumptions.

Paper C knows links and the collisions that gateways share, but no capture, one payload and one mix of spreading factors
for all; paper B knows capture and demodulation paths, but one gateway in the middle of a disc. Where they differ much
from the site's answer, what they leave out matters there.
"""

from __future__ import annotations

import numpy as np

from planning.models.airtimes import Floats, airtimes_s
from planning.models.capture_cell import disc_population, distance_allocation
from planning.models.capture_model import COVERAGE, Traffic, capture
from planning.models.collisions_model import Frame, Network, correlated_outage, gateways
from planning.models.site_answer import SiteAnswer
from planning.models.site_model import SiteModel


def opinions(answer: SiteAnswer) -> dict[str, dict[str, float]]:
    """Outage by paper C for each random group, and by paper B for the cell around each gateway that has devices."""
    model = answer.model
    random = [index for index, group in enumerate(model.groups) if group.access == "random"]
    if not random:
        return {"collisions": {}, "capture": {}}
    rates = np.array([model.groups[index].devices / model.groups[index].period_s for index in random])
    payload = round(float(rates @ [model.groups[index].payload_bytes for index in random] / rates.sum()))
    coding_rate = model.groups[random[int(rates.argmax())]].coding_rate
    by_collisions = _by_collisions(answer, random, rates, Frame(payload, coding_rate))
    by_capture = _by_capture(model, random, airtimes_s(payload, coding_rate))
    return {
        "collisions": {model.groups[index].name: value for index, value in zip(random, by_collisions, strict=True)},
        "capture": {model.gateways[index].name: value for index, value in by_capture.items()},
    }


def _by_collisions(answer: SiteAnswer, random: list[int], rates: Floats, frame: Frame) -> list[float]:
    """Paper C: a link is the mean probability that a gateway is reached above the noise."""
    snr, shares = answer.model.mean_snr(), answer.reception.shares
    links = np.array(
        [
            np.einsum("km,kmj->j", shares[index], np.exp(-COVERAGE[:, None] / snr[index][:, None, :]))
            / len(shares[index])
            for index in random
        ]
    )
    mix = rates @ np.array([shares[index].mean(axis=0) for index in random]) / rates.sum()
    left = max(1, len(answer.model.channels) - answer.pool.reserved)
    paths = min(gateway.paths for gateway in answer.model.gateways)
    network = Network(links, frame, left, paths, mix)
    outage = correlated_outage(network, gateways(network, rates), rates)
    return [float(value) for value in outage]


def _by_capture(model: SiteModel, random: list[int], airtimes: Floats) -> dict[int, float]:
    """Paper B: the devices nearest to each gateway, spread over a disc with the same mean square distance."""
    places = np.array([gateway.position_m for gateway in model.gateways])
    squares: dict[int, list[float]] = {}
    devices, rate = np.zeros(len(places)), np.zeros(len(places))
    for index in random:
        group = model.groups[index]
        distances = np.hypot(*(group.points_m[:, None] - places).transpose(2, 0, 1))
        for nearest, distance in zip(distances.argmin(axis=1), distances.min(axis=1), strict=True):
            squares.setdefault(int(nearest), []).append(float(distance) ** 2)
            devices[nearest] += group.devices / len(group.points_m)
            rate[nearest] += group.devices / len(group.points_m) / group.period_s
    outage = {}
    for gateway, square in squares.items():
        radius_m = float(np.sqrt(2.0 * np.mean(square)))
        traffic = Traffic(devices[gateway], rate[gateway] / devices[gateway], airtimes, len(model.channels))
        allocation = distance_allocation(disc_population(), radius_m)
        cell = capture(allocation, traffic, radius_m=radius_m, paths=model.gateways[gateway].paths)
        outage[gateway] = 1.0 - float(cell.success)
    return outage
