"""Figures A.1 to A.4 of the thesis, and the plot of one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from planning.models.airtimes import Floats
from planning.models.figures import panels
from planning.models.latency_answer import LatencyQuestion, best_method, ratios_by, waits_by
from planning.models.latency_model import band_use, collision_probabilities, duty_bands, half_mmc_wait_s
from planning.models.latency_simulation import simulate_latency

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SINGLE_BANDS: Final = (("G",), ("G1",), ("G2",), ("G3",), ("G4",))
COMBINATIONS: Final = (("G", "G1"), ("G", "G2"))
# The aggregated duty cycles of figure A.4.
AGGREGATED: Final = (1.0, 0.075, 0.05)
SIMULATED_LOADS: Final = (0.1, 0.3, 0.5, 0.7, 0.9)


def _question(names: tuple[str, ...], aggregated_duty_cycle: float = 1.0) -> LatencyQuestion:
    """The thesis' packet: SF12, 50 + 13 bytes, CR 4, preamble 8."""
    return LatencyQuestion(bands=duty_bands(names), aggregated_duty_cycle=aggregated_duty_cycle)


def _rates(question: LatencyQuestion, points: int = 200) -> Floats:
    loads = np.concatenate([np.geomspace(1e-3, 0.3, points // 2), np.linspace(0.3, 0.985, points // 2)])
    return loads * question.capacity_per_s()


def figure_a1(seed: int) -> Figure:
    """Latency against the arrival rate for each band and two combinations: models and simulation."""
    figure, (axis,) = panels(width_in=8.0)
    rng = np.random.default_rng(seed)
    for index, names in enumerate((*SINGLE_BANDS, *COMBINATIONS)):
        question, colour = _question(names), f"C{index}"
        rates, airtime = _rates(question), question.airtime_s()
        wait_s = waits_by(question, rates, best_method(question.bands))
        axis.loglog(rates, airtime + wait_s, color=colour, label="+".join(names))
        if len(names) > 1:
            axis.loglog(rates, airtime + half_mmc_wait_s(question.bands, airtime, rates), ":", color=colour)
        points = np.array(SIMULATED_LOADS) * question.capacity_per_s()
        simulated = [simulate_latency(question.bands, airtime, rate, rng).wait_s.mean for rate in points]
        axis.loglog(points, airtime + np.array(simulated), "o", color=colour, markersize=4)
    axis.set(xlabel="packets/s of one device", ylabel="latency [s]", title="A.1 (dotted: half M/M/c; dots: simulation)")
    axis.legend()
    return figure


def figure_a2(seed: int) -> Figure:
    """Service ratios of the two combinations."""
    figure, (axis,) = panels()
    rng = np.random.default_rng(seed)
    for index, names in enumerate(COMBINATIONS):
        _draw_ratios(axis, _question(names), f"C{index}", "+".join(names), rng)
    axis.set(xlabel="packets/s of one device", ylabel="service ratio", title="A.2 (dots: simulation)", ylim=(0, 1))
    axis.legend()
    return figure


def figure_a3(seed: int) -> Figure:
    """Collision rates of 100 devices on SF12."""
    del seed
    figure, (axis,) = panels(width_in=8.0)
    for index, names in enumerate((*SINGLE_BANDS, *COMBINATIONS)):
        question = _question(names)
        rates, airtime = _rates(question), question.airtime_s()
        ratios = band_use(question.bands, airtime, rates).ratios
        collided = collision_probabilities(question.bands, airtime, rates, ratios, np.full(rates.size, 100))
        for band, name in enumerate(names):
            of = f" in {'+'.join(names)}" if len(names) > 1 else ""
            axis.semilogx(rates, collided[:, band], color=f"C{index}", linestyle=("-", "--")[band], label=name + of)
    axis.set(xlabel="packets/s of one device", ylabel="collision probability", title="A.3, 100 devices", ylim=(0, 1))
    axis.legend()
    return figure


def figure_a4(seed: int) -> Figure:
    """Aggregated duty cycle and the service ratios of G and G4."""
    figure, (axis,) = panels()
    rng = np.random.default_rng(seed)
    for index, limit in enumerate(AGGREGATED):
        _draw_ratios(axis, _question(("G", "G4"), limit), f"C{index}", f"aggregated {limit:g}", rng)
    axis.set(
        xlabel="packets/s of one device", ylabel="service ratio", title="A.4, G+G4 (dots: simulation)", ylim=(0, 1)
    )
    axis.set_xscale("log")
    axis.legend()
    return figure


def _draw_ratios(axis: object, question: LatencyQuestion, colour: str, label: str, rng: np.random.Generator) -> None:
    plot = axis.plot  # type: ignore[attr-defined]
    rates, airtime = _rates(question), question.airtime_s()
    ratios = ratios_by(question, rates)
    points = np.array(SIMULATED_LOADS) * question.capacity_per_s()
    simulated = [
        simulate_latency(
            question.bands, airtime, rate, rng, aggregated_duty_cycle=question.aggregated_duty_cycle
        ).ratios
        for rate in points
    ]
    for index, band in enumerate(question.bands):
        style = ("-", "--")[index]
        plot(rates, ratios[:, index], style, color=colour, label=f"{band.name} of {label}")
        plot(points, [estimates[index].mean for estimates in simulated], "o", color=colour, markersize=4)


FIGURES: Final[dict[str, Callable[[int], Figure]]] = {
    "a1-latency": figure_a1,
    "a2-service-ratios": figure_a2,
    "a3-collisions": figure_a3,
    "a4-aggregated-duty-cycle": figure_a4,
}


def figure_answer(question: LatencyQuestion, rate_per_s: float, method: str) -> Figure:
    """One answer in its surroundings: latency and collisions over all rates, the asked rate marked."""
    figure, (left, right) = panels(2)
    rates, airtime = _rates(question), question.airtime_s()
    left.semilogy(rates, airtime + waits_by(question, rates, "half-mmc"), ":", label="half M/M/c")
    drawn = method if method != "jockeying" else best_method(question.bands)
    left.semilogy(rates, airtime + waits_by(question, rates, drawn), label=drawn)
    left.axvline(rate_per_s, color="black", linewidth=0.8, label="asked")
    left.set(xlabel="packets/s of one device", ylabel="latency [s]", title=f"SF{question.spreading_factor}")
    left.legend()
    ratios = ratios_by(question, rates)
    devices = np.full(rates.size, question.devices)
    collided = collision_probabilities(question.bands, airtime, rates, ratios, devices)
    for index, band in enumerate(question.bands):
        right.plot(rates, collided[:, index], label=band.name)
    right.axvline(rate_per_s, color="black", linewidth=0.8)
    right.set(xlabel="packets/s of one device", ylabel="collision probability", title=f"{question.devices} devices")
    right.legend()
    return figure
