"""Figures B.3 to B.6 of the thesis, and the plot of one answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from planning.models.airtimes import Floats, application_bytes
from planning.models.capture_answer import CaptureQuestion, allocation_for
from planning.models.capture_cell import ALLOCATIONS
from planning.models.capture_model import Capture, capture
from planning.models.capture_simulation import CaptureEstimate, simulate_capture
from planning.models.figures import panels
from spectrum.lora import SPREADING_FACTORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REFERENCE: Final = CaptureQuestion(devices=1200)  # 63 bytes PHY, CR 4, one frame in ten minutes, 8 channels
DRAWN_SF: Final = (7, 10, 12)  # those of figure B.3
SIMULATED: Final = np.array([300.0, 1000.0, 2000.0, 3000.0])
SIMULATED_FRAMES: Final = 10_000  # a replication
LARGEST: Final = 3000.0
POINTS: Final = 100


def _counts(largest: float = LARGEST) -> Floats:
    return np.linspace(largest / POINTS, largest, POINTS)


def _model(question: CaptureQuestion, counts: Floats) -> Capture:
    """The model over many numbers of devices; an optimised allocation follows the load."""
    if question.allocation != "optimised":
        return capture(
            allocation_for(question),
            replace(question, devices=counts).traffic,  # type: ignore[arg-type]
            radius_m=question.radius_m,
            readings=question.readings,
            paths=question.paths,
        )
    each = [_model_at(replace(question, devices=float(count))) for count in counts]
    return Capture(*(np.array([getattr(one, name) for one in each]) for name in Capture.__slots__))


def _model_at(question: CaptureQuestion) -> Capture:
    allocation = allocation_for(question)
    return capture(
        allocation,
        question.traffic,
        radius_m=question.radius_m,
        readings=question.readings,
        paths=question.paths,
    )


def _simulate(question: CaptureQuestion, counts: Floats, rng: np.random.Generator) -> list[CaptureEstimate]:
    estimates = []
    for count in counts:
        at = replace(question, devices=float(count))
        estimates.append(
            simulate_capture(
                allocation_for(at), at.traffic, rng, radius_m=at.radius_m, paths=at.paths, frames=SIMULATED_FRAMES
            )
        )
    return estimates


def figure_b3(seed: int) -> Figure:
    """Frame capture of SF7, SF10 and SF12 and the drop probability, distance allocation."""
    figure, (axis,) = panels()
    counts = _counts()
    model = _model(REFERENCE, counts)
    simulated = _simulate(REFERENCE, SIMULATED, np.random.default_rng(seed))
    for colour, factor in enumerate(DRAWN_SF):
        index = SPREADING_FACTORS.index(factor)
        axis.plot(counts, model.capture_per_sf[:, index], color=f"C{colour}", label=f"capture SF{factor}")
        drawn = [estimate.per_sf["capture"][index] for estimate in simulated]
        axis.plot(SIMULATED, drawn, "o", color=f"C{colour}")
    axis.plot(counts, model.drop, "k--", label="drop (B.27)")
    axis.plot(SIMULATED, [estimate.drop.mean for estimate in simulated], "ko", label="simulation")
    axis.set(xlabel="devices", ylabel="probability", title="B.3, distance", ylim=(0, 1))
    axis.legend()
    return figure


def _figure_chain(question: CaptureQuestion, title: str, seed: int) -> Figure:
    figure, (axis,) = panels()
    simulated = _simulate(question, SIMULATED, np.random.default_rng(seed))
    _draw_chain(axis, _model(question, _counts()), _counts(), SIMULATED, simulated)
    axis.set(title=title)
    return figure


def _draw_chain(
    axis: Axes, model: Capture, counts: Floats, simulated_at: Floats, simulated: list[CaptureEstimate]
) -> None:
    """Coverage, capture, drop, success against the number of devices, with simulated points."""
    for colour, name in enumerate(("coverage", "capture", "drop", "success")):
        values = np.broadcast_to(getattr(model, name), counts.shape)
        axis.plot(counts, values, color=f"C{colour}", label=name)
        drawn = [getattr(estimate, name).mean for estimate in simulated]
        if drawn:
            axis.plot(simulated_at, drawn, "o", color=f"C{colour}")
    axis.set(xlabel="devices", ylabel="probability (dots: simulation)", ylim=(0, 1))
    axis.legend()


def figure_b4(seed: int) -> Figure:
    """The chain of probabilities for the distance allocation."""
    return _figure_chain(REFERENCE, "B.4, distance", seed)


def figure_b5(seed: int) -> Figure:
    """The chain of probabilities for the equal-load allocation."""
    return _figure_chain(replace(REFERENCE, allocation="equal-load"), "B.5, equal load", seed)


def figure_b6(seed: int) -> Figure:
    """Throughput of the three allocations and of the optimised one."""
    figure, (axis,) = panels()
    rng = np.random.default_rng(seed)
    useful_bytes = application_bytes(REFERENCE.payload_bytes)
    for colour, name in enumerate(ALLOCATIONS):
        question = replace(REFERENCE, allocation=name)
        counts = _counts(6000.0)
        axis.plot(counts, _model(question, counts).throughput_bytes_per_s(useful_bytes), color=f"C{colour}", label=name)
        rate = SIMULATED * question.rate_per_s * useful_bytes
        drawn = [estimate.success.mean for estimate in _simulate(question, SIMULATED, rng)]
        axis.plot(SIMULATED, rate * np.array(drawn), "o", color=f"C{colour}")
    axis.set(xlabel="devices", ylabel="throughput [B/s]", title="B.6 (dots: simulation)")
    axis.legend()
    return figure


FIGURES: Final[dict[str, Callable[[int], Figure]]] = {
    "b3-capture-per-sf": figure_b3,
    "b4-distance": figure_b4,
    "b5-equal-load": figure_b5,
    "b6-throughput": figure_b6,
}


def figure_answer(question: CaptureQuestion) -> Figure:
    """One answer in its surroundings: the chain of probabilities and the throughput up to twice the devices."""
    figure, (left, right) = panels(2)
    counts = _counts(2.0 * question.devices)
    model = _model(question, counts)
    _draw_chain(left, model, counts, counts[:0], [])
    left.set(title=f"{question.allocation}, {question.population_name} population")
    right.plot(counts, model.throughput_bytes_per_s(application_bytes(question.payload_bytes)))
    right.set(xlabel="devices", ylabel="throughput [B/s]")
    for axis in (left, right):
        axis.axvline(question.devices, color="black", linewidth=0.8)
    return figure
