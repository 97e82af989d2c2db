"""Figures C.4 to C.7 of the thesis, and the plot of one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from planning.models.airtimes import Floats
from planning.models.collisions_model import (
    Frame,
    Network,
    correlated_outage,
    gateways,
    group_rates,
    independent_outage,
    outage_by_gateways,
)
from planning.models.collisions_simulation import simulate_collisions
from planning.models.figures import panels
from planning.models.symbol_collisions import approximate_cdf, exact_cdf, whole_frame_cdf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# (C.1): three groups, three gateways.
LINKS: Final = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.0], [0.5, 0.0, 0.0]])
RATE_PER_S: Final = 1.0 / 600.0
COUNTS: Final = np.linspace(20.0, 2000.0, 100)
SIMULATED: Final = (200.0, 500.0, 1000.0, 1500.0)
SIMULATED_FRAMES: Final = 20_000  # a replication
# Frames of figure C.4: as many symbols as 50 bytes have on SF12 at CR 4, preamble of 8.
C4_RATES: Final = (0.1, 0.01)
SHARED_LINK: Final = 0.5  # of every gateway in figure C.7b
MOST_DRAWN: Final = 8


def _rates(counts: Floats, groups: int) -> Floats:
    return group_rates(np.repeat(counts[:, np.newaxis], groups, axis=1), RATE_PER_S)


def figure_c4(seed: int) -> Figure:
    """The largest number of interferers: exact, approximated, and counted over the whole frame."""
    del seed
    figure, axes = panels(2)
    symbols = Frame().symbols(5)
    for axis, rate in zip(axes, C4_RATES, strict=True):
        counts = np.arange(int(3 + rate * symbols * 3.5))
        exact = [exact_cdf(rate, symbols, symbols, int(x)) for x in counts]
        axis.plot(counts, np.diff(exact, prepend=0.0), "o", label="exact")
        for label, cdf in (("approximation", approximate_cdf), ("whole frame F", whole_frame_cdf)):
            axis.plot(
                counts, np.diff([float(cdf(rate, symbols, symbols, int(x))) for x in counts], prepend=0.0), label=label
            )
        axis.set(xlabel="largest number in any symbol", ylabel="probability", title=f"C.4, {rate:g} starts a symbol")
        axis.legend()
    return figure


def figure_c5(seed: int) -> Figure:
    """What fails at each gateway: the preamble, the paths, the payload."""
    figure, axes = panels(3, 5.0)
    network, rng = Network(LINKS), np.random.default_rng(seed)
    model = gateways(network, _rates(COUNTS, 3))
    points = [
        simulate_collisions(network, np.full(3, count * RATE_PER_S), rng, frames=SIMULATED_FRAMES)
        for count in SIMULATED
    ]
    for index, axis in enumerate(axes):
        lines = {
            "outage": model.outage[:, index],
            "payload": 1.0 - model.payload[:, index] @ network.alpha,
            "preamble": 1.0 - model.preamble[:, index] @ network.alpha,
            "paths": 1.0 - model.demodulated[:, index],
        }
        for colour, (label, values) in enumerate(lines.items()):
            axis.plot(COUNTS, values, color=f"C{colour}", label=label)
        for colour, name in ((0, "gateway_outage"), (2, "undetected"), (3, "blocked")):
            axis.plot(SIMULATED, [getattr(point, name)[index].mean for point in points], "o", color=f"C{colour}")
        axis.set(xlabel="devices per group", ylabel="failure", title=f"C.5, G{index + 1} (dots: simulation)")
        axis.legend()
    return figure


def figure_c6(seed: int) -> Figure:
    """Times between detections at the first gateway against exponential ones of the same mean."""
    figure, axes = panels(2)
    rng = np.random.default_rng(seed)
    for axis, count in zip(axes, (200.0, 2000.0), strict=True):
        rates = np.full(3, count * RATE_PER_S)
        gaps_s = simulate_collisions(Network(LINKS), rates, rng, frames=SIMULATED_FRAMES, replications=4).gaps_s
        edges = np.linspace(0.0, 4.0 * gaps_s.mean(), 60)
        axis.hist(gaps_s, bins=edges.tolist(), density=True, alpha=0.5, label="detected")
        axis.plot(edges, np.exp(-edges / gaps_s.mean()) / gaps_s.mean(), label="exponential")
        axis.set(xlabel="s between detections", ylabel="density", title=f"C.6, {count:g} devices per group")
        axis.legend()
    return figure


def figure_c7(seed: int) -> Figure:
    """Device outage by group, and its mean with more and more gateways."""
    figure, (left, right) = panels(2)
    network, rng = Network(LINKS), np.random.default_rng(seed)
    rates = _rates(COUNTS, 3)
    at = gateways(network, rates)
    exact, independent = correlated_outage(network, at, rates), independent_outage(network, at)
    points = [
        simulate_collisions(network, np.full(3, count * RATE_PER_S), rng, frames=SIMULATED_FRAMES)
        for count in SIMULATED
    ]
    for group in range(3):
        left.plot(COUNTS, exact[:, group], color=f"C{group}", label=f"E{group + 1}")
        left.plot(COUNTS, independent[:, group], ":", color=f"C{group}")
        left.plot(SIMULATED, [point.device_outage[group].mean for point in points], "o", color=f"C{group}")
    left.set(xlabel="devices per group", ylabel="outage", title="C.7a (dotted: independent; dots: simulation)")
    left.legend()
    for devices in (100, 500, 2000):
        shared, rate = Network(np.full((1, MOST_DRAWN), SHARED_LINK)), np.array([devices * RATE_PER_S])
        outage = outage_by_gateways(shared, gateways(shared, rate), rate)
        right.semilogy(np.arange(1, MOST_DRAWN + 1), outage[:, 0], "o-", label=f"{devices} devices")
    right.set(xlabel="gateways", ylabel="outage", title=f"C.7b, every link {SHARED_LINK:g}")
    right.legend()
    return figure


FIGURES: Final[dict[str, Callable[[int], Figure]]] = {
    "c4-largest-number": figure_c4,
    "c5-gateways": figure_c5,
    "c6-gaps": figure_c6,
    "c7-devices": figure_c7,
}


def figure_answer(network: Network, rates_per_s: Floats) -> Figure:
    """One answer in its surroundings: outage up to twice the traffic, and the gain of each gateway."""
    figure, (left, right) = panels(2)
    factors = np.linspace(0.02, 2.0, 60)
    rates = factors[:, np.newaxis] * rates_per_s
    at = gateways(network, rates)
    outage = correlated_outage(network, at, rates)
    for group in range(outage.shape[1]):
        left.plot(factors, outage[:, group], label=f"group {group + 1}")
    for gateway in range(network.links.shape[1]):
        left.plot(factors, at.outage[:, gateway], ":", label=f"gateway {gateway + 1}")
    left.axvline(1.0, color="black", linewidth=0.8)
    left.set(xlabel="traffic, times what was asked", ylabel="outage")
    left.legend()
    by_gateways = outage_by_gateways(network, gateways(network, rates_per_s), rates_per_s) @ rates_per_s
    by_gateways /= rates_per_s.sum()
    right.semilogy(np.arange(1, by_gateways.size + 1), by_gateways, "o-")
    right.set_xticks(np.arange(1, by_gateways.size + 1))
    right.set(xlabel="gateways, in the order of the file", ylabel="mean outage of the devices")
    return figure
