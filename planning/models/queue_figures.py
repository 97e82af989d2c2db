"""Figures of the loss system: the answer over the service time, and figures D.2 to D.5 of the thesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from planning.models.figures import panels
from planning.models.loss_queue import (
    DegenerateArrivals,
    Service,
    busy_servers_markov,
    degenerate_counts,
    erlang_b,
    markov_bounds,
)
from planning.models.queue_analysis import Queue, QueueAnswer, answer_degenerate, answer_markov, simulate_degenerate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from planning.models.loss_simulation import Trace
    from planning.models.queue_command import Question

# Table D.1: three gaps alike likely; IDs 1 to 4 are n = 1, 2 without and with half of the arrivals lost.
TABLE_D1_ARRIVALS: Final = DegenerateArrivals((0.3, 0.6, 1.5), (1 / 3, 1 / 3, 1 / 3))
TABLE_D1_IDS: Final = {1: (1, 0.0), 2: (2, 0.0), 3: (1, 0.5), 4: (2, 0.5)}

# Service times between two multiples of 0.3 s, where the blocking jumps and a tie would decide.
SERVICE_TIMES_S: Final = np.round(np.arange(0.05, 3.0, 0.1), 2)
STATES_PER_POINT: Final = 4_000
ARRIVALS_PER_POINT: Final = 100_000


def blocking_by_service_time(question: Question, rng: np.random.Generator) -> Figure:
    """Blocking with its bounds for service times from a fifth to twice those asked; shape of D.2a and D.4a."""
    figure, (axis,) = panels(1)
    scales = np.linspace(0.2, 2.0, 37)
    answers = [_scaled(question, float(scale), rng) for scale in scales]
    mean_s = question.queue.service.mean_s
    across = scales * mean_s if isinstance(question.arrivals, float | DegenerateArrivals) else scales
    _curves(axis, across, answers)
    axis.axvline(across[np.argmin(np.abs(scales - 1.0))], color="0.5", linestyle=":", label="asked")
    traced = not isinstance(question.arrivals, float | DegenerateArrivals)
    axis.set_xlabel("service times, multiple of the trace's" if traced else "mean service time in s")
    axis.set_ylabel("blocking probability")
    axis.set_title(f"{question.queue.servers} servers without waiting room, outage {question.queue.outage:g}")
    axis.legend()
    return figure


def figure_d2(_seed: int) -> Figure:
    """D.2a: M/D/n/n against the offered load, n = 1 and 2, without outage and with half the arrivals lost."""
    figure, axes = panels(2)
    loads = np.linspace(0.0, 5.0, 101)[1:]
    for axis, outage in zip(axes, (0.0, 0.5), strict=True):
        for servers in (1, 2):
            bounds = markov_bounds(servers, loads * (1.0 - outage))
            (line,) = axis.plot(loads, erlang_b(servers, loads * (1.0 - outage)), label=f"exact, n = {servers}")
            axis.fill_between(loads, bounds.lower, bounds.upper, color=line.get_color(), alpha=0.15)
            axis.plot(loads, bounds.approximation, "--", color=line.get_color(), label="approximation")
        axis.set_xlabel("offered load before outage, erlang")
        axis.set_ylabel("blocking probability (band: bounds)")
        axis.set_title(f"M/D/n/n, outage {outage:g}")
        axis.legend()
    return figure


def figure_d3(_seed: int) -> Figure:
    """D.3: states and efficiencies of M/D/1/1, and the counts A_x of the arrivals of table D.1."""
    figure, (states, counts) = panels(2)
    loads = np.linspace(0.0, 5.0, 101)[1:]
    busy = np.array([busy_servers_markov(1, float(load)) for load in loads])
    states.plot(loads, busy[:, 0], label="q0")
    states.plot(loads, busy[:, 1], label="q1 = server efficiency")
    states.plot(loads, busy[:, 1] * (1.0 - erlang_b(1, loads)), label="non-blocking efficiency")
    states.set_xlabel("offered load, erlang")
    states.set_title("M/D/1/1")
    states.legend()
    for outage, style in ((0.0, "-"), (0.5, "--")):
        table = np.array([_padded_counts(time, outage) for time in SERVICE_TIMES_S])
        for count in range(table.shape[1]):
            counts.step(
                SERVICE_TIMES_S, table[:, count], style, color=f"C{count}", label=f"A{count}, outage {outage:g}"
            )
    counts.set_xlabel("service time in s")
    counts.set_title("arrivals within the service time, table D.1")
    counts.legend(fontsize="x-small", ncols=2)
    return figure


def figure_d4(seed: int) -> Figure:
    """D.4a: blocking of table D.1's four configurations: exact, approximation, simulated."""
    figure, axes = panels(2)
    rng = np.random.default_rng(seed)
    for identity, (servers, outage) in TABLE_D1_IDS.items():
        axis = axes[servers - 1]
        answers = [_table_d1(servers, outage, float(time), rng) for time in SERVICE_TIMES_S]
        (line,) = axis.step(
            SERVICE_TIMES_S, [answer.blocking for answer in answers], label=f"ID {identity} exact", where="mid"
        )
        rough = [float(answer.bounds.approximation) for answer in answers]
        axis.step(SERVICE_TIMES_S, rough, "--", color=line.get_color(), label="approximation", where="mid")
        every = SERVICE_TIMES_S[::4]
        drawn = [_simulated_d1(servers, outage, float(time), rng).blocking for time in every]
        axis.plot(every, drawn, "x", color=line.get_color(), label="simulated")
        axis.set_xlabel("service time in s")
        axis.set_ylabel("blocking probability")
        axis.set_title(f"D/D/{servers}/{servers}, table D.1")
        axis.legend()
    return figure


def figure_d5(seed: int) -> Figure:
    """D.5: efficiencies of D/D/1/1 (ID 1), and blocking with service times 2/3 and 4/3 of the mean, evenly mixed."""
    figure, (states, mixed) = panels(2)
    rng = np.random.default_rng(seed)
    answers = [_table_d1(1, 0.0, float(time), rng) for time in SERVICE_TIMES_S]
    busy = np.array([answer.busy for answer in answers])
    blocking = np.array([answer.blocking for answer in answers])
    states.plot(SERVICE_TIMES_S, busy[:, 0], label="q0")
    states.plot(SERVICE_TIMES_S, busy[:, 1], label="q1 = server efficiency")
    states.plot(SERVICE_TIMES_S, busy[:, 1] * (1.0 - blocking), label="non-blocking efficiency")
    states.set_xlabel("service time in s")
    states.set_title("D/D/1/1, ID 1 of table D.1")
    states.legend()
    for servers in (1, 2):
        loads = SERVICE_TIMES_S * TABLE_D1_ARRIVALS.rate_per_s
        mixed.plot(SERVICE_TIMES_S, erlang_b(servers, loads), label=f"M/G/{servers}/{servers}, same rate")
        exact = [_table_d1(servers, 0.0, float(time), rng, _mixed(float(time))).blocking for time in SERVICE_TIMES_S]
        mixed.plot(SERVICE_TIMES_S, exact, label=f"D/G/{servers}/{servers}, exact")
    mixed.set_xlabel("mean service time in s")
    mixed.set_ylabel("blocking probability")
    mixed.set_title("service times 2/3 and 4/3 of the mean")
    mixed.legend()
    return figure


def _curves(axis: Axes, across: Any, answers: list[QueueAnswer]) -> None:
    lower = [float(answer.bounds.lower) for answer in answers]
    upper = [float(answer.bounds.upper) for answer in answers]
    axis.fill_between(across, lower, upper, alpha=0.2, label="bounds")
    axis.plot(across, [float(answer.bounds.approximation) for answer in answers], "--", label="approximation")
    axis.plot(across, [answer.blocking for answer in answers], label="blocking")
    drawn = [index for index, answer in enumerate(answers) if answer.interval is not None]
    axis.plot(across[drawn], [answers[index].blocking for index in drawn], "x", label="simulated points")


def _scaled(question: Question, scale: float, rng: np.random.Generator) -> QueueAnswer:
    """The question with all service times multiplied by `scale`."""
    from planning.models.queue_analysis import answer_trace

    service = question.queue.service
    queue = replace(question.queue, service=Service(tuple(scale * t for t in service.times_s), service.shares))
    if isinstance(question.arrivals, float):
        return answer_markov(queue, question.arrivals)
    if isinstance(question.arrivals, DegenerateArrivals):
        return _small_chain(queue, question.arrivals, rng)
    trace: Trace = question.arrivals
    services = np.maximum(np.rint(scale * trace.services), 1).astype(np.int64)
    return answer_trace(queue, replace(trace, services=services), rng)


def _small_chain(queue: Queue, arrivals: DegenerateArrivals, rng: np.random.Generator) -> QueueAnswer:
    """Exact on few states, simulated shortly above: a figure has many points."""
    return answer_degenerate(queue, arrivals, rng, STATES_PER_POINT, ARRIVALS_PER_POINT)


def _table_d1(
    servers: int, outage: float, time_s: float, rng: np.random.Generator, service: Service | None = None
) -> QueueAnswer:
    return _small_chain(Queue(servers, service or _single(time_s), outage), TABLE_D1_ARRIVALS, rng)


def _simulated_d1(servers: int, outage: float, time_s: float, rng: np.random.Generator) -> QueueAnswer:
    queue = Queue(servers, _single(time_s), outage)
    return simulate_degenerate(queue, TABLE_D1_ARRIVALS, ARRIVALS_PER_POINT, rng)


def _single(time_s: float) -> Service:
    return Service((time_s,), (1.0,))


def _mixed(mean_s: float) -> Service:
    return Service((mean_s * 2 / 3, mean_s * 4 / 3), (0.5, 0.5))


def _padded_counts(time_s: float, outage: float, length: int = 11) -> Any:
    counts = degenerate_counts(TABLE_D1_ARRIVALS, _single(time_s), outage=outage)
    return np.pad(counts, (0, length - len(counts)))


# name: drawing, of the seed
PAPER_FIGURES: Final[dict[str, Callable[[int], Figure]]] = {
    "figure_d2": figure_d2,
    "figure_d3": figure_d3,
    "figure_d4": figure_d4,
    "figure_d5": figure_d5,
}
