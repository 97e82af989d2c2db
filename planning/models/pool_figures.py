"""Figures of the periodic pool: the answer asked for, and figures 3, 4 and 5 of the letter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import ndtr

from planning.models.figures import panels
from planning.models.pool_design import smallest_capacity
from planning.models.pool_load import Reporting, pool_moments, pool_pmf
from planning.models.pool_mapping import LtePool, SlotPool, lte_pool

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from planning.models.pool_answer import PoolAnswer
    from planning.models.pool_simulation import SimulatedPool

# Figures 4 and 5: p_e = 0.1, L = 10, failure of at most 1e-3, reports every minute.
PAPER_REPORTING: Final = Reporting(0.1, 10)
PAPER_TARGET: Final = 1e-3
PAPER_DEVICES: Final = tuple(range(1_000, 30_001, 1_000))
PAPER_BYTES: Final = tuple(range(100, 1_001, 50))
FIGURE_3_RUNS: Final = 100_000
FIGURE_4_RUNS: Final = 1_000


def answer_figure(answer: PoolAnswer, beside: SimulatedPool | None) -> Figure:
    """The law of the load with the capacities found and, with places on the air, their share against the devices."""
    places = answer.question.places
    figure, axes = panels(1 if places is None else 2)
    _law(axes[0], answer.question.reporting, answer.devices, None if beside is None else beside.loads)
    axes[0].axvline(answer.capacity, color="C3", label=f"capacity {answer.capacity}")
    axes[0].axvline(answer.capacity_tight, color="C3", linestyle=":", label=f"per report {answer.capacity_tight}")
    axes[0].set_title(f"load of the common pool, {answer.devices} devices")
    axes[0].legend()
    if places is not None:
        counts = np.unique(np.linspace(1, 1.2 * answer.devices, 40).astype(int))
        shares = [_share(places, int(n), answer) for n in counts]
        axes[1].plot(counts, shares)
        axes[1].plot([answer.devices], [100 * answer.occupancy["fraction"]], "o", color="C3", label="asked")
        axes[1].set_xlabel("devices")
        axes[1].set_ylabel("share of the system, %")
        axes[1].set_title(places.assumption, fontsize="small")
        axes[1].legend()
    return figure


def figure_3(seed: int) -> Figure:
    """Density and distribution of R for N = 100 and L = 10, p_e = 0.1 and 0.4: normal, exact, simulated."""
    from planning.models.pool_simulation import load_histogram, simulate_pool

    rng = np.random.default_rng(seed)
    figure, axes = panels(4)
    for density, distribution, error_rate in zip(axes[::2], axes[1::2], (0.1, 0.4), strict=True):
        reporting = Reporting(error_rate, 10)
        loads = simulate_pool(reporting, 100, 0, FIGURE_3_RUNS, rng).loads
        _law(density, reporting, 100, loads)
        values, shares = load_histogram(loads)
        exact_values, weights = pool_pmf(reporting, 100)
        near = exact_values <= values[-1]
        distribution.plot(exact_values[near], np.cumsum(weights)[near], color="C1", label="exact")
        mean, sigma = _mean_and_sigma(reporting, 100)
        distribution.plot(values, ndtr((values - mean) / sigma), "--", color="C2", label="normal")
        distribution.step(values, np.cumsum(shares), where="post", alpha=0.5, color="C0", label="simulated")
        distribution.set_xlabel("transmissions in the common pool")
        for axis in (density, distribution):
            axis.set_title(f"N = 100, L = 10, p = {error_rate:g}")
            axis.legend()
    return figure


def figure_4(seed: int) -> Figure:
    """Share of the system against the devices for reports of 100 bytes; crosses: quantile of simulated loads."""
    from planning.models.pool_simulation import simulate_pool

    rng = np.random.default_rng(seed)
    figure, (axis,) = panels(1)
    capacities = {n: smallest_capacity(PAPER_REPORTING, n, PAPER_TARGET) for n in PAPER_DEVICES}
    simulated = {}
    for devices in PAPER_DEVICES[9::10]:
        loads = simulate_pool(PAPER_REPORTING, devices, 0, FIGURE_4_RUNS, rng).loads
        simulated[devices] = int(np.quantile(loads, 1.0 - PAPER_TARGET, method="higher"))
    for modulation in ("qpsk", "64qam"):
        for bandwidth in (5.0, 20.0):
            places = lte_pool(100, modulation, bandwidth)
            shares = [100 * places.occupancy(n + c)["fraction"] for n, c in capacities.items()]
            (line,) = axis.plot(PAPER_DEVICES, shares, label=f"{modulation}, {bandwidth:g} MHz")
            points = [100 * places.occupancy(n + c)["fraction"] for n, c in simulated.items()]
            axis.plot(list(simulated), points, "x", color=line.get_color())
    _share_axis(axis, "devices", "reports of 100 bytes a minute, failure at most 1e-3")
    return figure


def figure_5(_seed: int) -> Figure:
    """Share of 5 MHz at 64-QAM against the size of a report; real transport blocks beside the letter's assumption."""
    figure, (axis,) = panels(1)
    for devices in (10_000, 20_000, 30_000):
        used = devices + smallest_capacity(PAPER_REPORTING, devices, PAPER_TARGET)
        for coding, style in (("uncoded", "-"), ("transport-block", "--")):
            shares = [
                100 * lte_pool(size, "64qam", 5.0, coding=coding).occupancy(used)["fraction"] for size in PAPER_BYTES
            ]
            axis.plot(PAPER_BYTES, shares, style, label=f"{devices} devices, {coding}")
    _share_axis(axis, "report size in bytes", "64-QAM, 5 MHz, a report a minute")
    return figure


def _law(axis: Axes, reporting: Reporting, devices: int, loads: Sequence[int] | np.ndarray | None) -> None:
    """Exact and normal law of the load, and the histogram of a simulation."""
    mean, sigma = _mean_and_sigma(reporting, devices)
    values, weights = pool_pmf(reporting, devices)
    near = np.abs(values - mean) <= 6 * sigma + 1
    if loads is not None:
        edges = np.arange(min(loads), max(loads) + 2) - 0.5
        thinned = edges[:: max(1, len(edges) // min(200, int(len(loads) ** 0.5)))]
        axis.hist(loads, bins=list(thinned), density=True, alpha=0.35, label="simulated")
    axis.plot(values[near], weights[near], label="exact")
    grid = np.linspace(max(0.0, mean - 6 * sigma), mean + 6 * sigma, 400)
    axis.plot(grid, np.exp(-0.5 * ((grid - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)), "--", label="normal")
    axis.set_xlabel("transmissions in the common pool")
    axis.set_ylabel("probability")


def _mean_and_sigma(reporting: Reporting, devices: int) -> tuple[float, float]:
    mean, variance = pool_moments(reporting, devices)
    return mean, max(variance, 1e-12) ** 0.5


def _share(places: LtePool | SlotPool, devices: int, answer: PoolAnswer) -> float:
    """Share of the system in percent for another number of devices; NaN where they do not fit."""
    question = answer.question
    used = devices + smallest_capacity(question.reporting, devices, question.target)
    return 100 * float(places.occupancy(used)["fraction"]) if used <= places.room() else float("nan")


def _share_axis(axis: Axes, across: str, title: str) -> None:
    axis.set_xlabel(across)
    axis.set_ylabel("share of the system, %")
    axis.set_title(title)
    axis.set_ylim(bottom=0)
    axis.legend()


# name: drawing, of the seed
PAPER_FIGURES: Final[dict[str, Callable[[int], Figure]]] = {
    "figure_3": figure_3,
    "figure_4": figure_4,
    "figure_5": figure_5,
}
