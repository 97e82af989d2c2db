"""One question to a loss system, one answer: Erlang-B, the exact chain, or simulation, with the bounds beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike

from planning.models.loss_queue import (
    Bounds,
    DegenerateArrivals,
    Floats,
    Service,
    TooLarge,
    busy_servers_markov,
    check_fraction,
    count_bounds,
    degenerate_counts,
    erlang_b,
    markov_bounds,
)
from planning.models.residual_chain import STATES_LIMIT, exact_blocking, exact_over_outages
from spectrum.errors import BadInput

if TYPE_CHECKING:
    from planning.models.loss_simulation import Trace

# Arrivals simulated where the exact chain is too large: an interval of about 0.002 at a blocking of a tenth.
FALLBACK_ARRIVALS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Queue:
    """n servers and what they serve. outage: share of the arrivals lost before they reach the servers."""

    servers: int
    service: Service
    outage: float = 0.0
    tie: str = "open"

    def __post_init__(self) -> None:
        if self.servers < 1:
            raise BadInput(f"the number of servers must be 1 or more, got {self.servers}")
        check_fraction("outage", self.outage)


@dataclass(frozen=True, slots=True)
class QueueAnswer:
    """blocking: share of the received arrivals that find no server, with its 99 % interval where it was simulated.

    busy: probability of 0..n busy servers over time, shape (n+1,). method: erlang-b, chain or simulation.
    """

    method: str
    blocking: float
    interval: list[float] | None
    bounds: Bounds
    busy: Floats
    rate_per_s: float
    load_erlang: float
    note: str = ""

    @property
    def utilisation(self) -> float:
        """Mean share of the servers that is busy (D.17, D.18)."""
        return float(self.busy @ np.arange(len(self.busy))) / (len(self.busy) - 1)

    def as_json(self) -> dict[str, Any]:
        """The answer under the names of the command's JSON."""
        return {
            "method": self.method,
            "blocking": self.blocking,
            "blocking_interval": self.interval,
            "lower": float(self.bounds.lower),
            "upper": float(self.bounds.upper),
            "approximation": float(self.bounds.approximation),
            "utilisation": self.utilisation,
            # (D.19): the server is busy and nothing is being blocked
            "non_blocking_utilisation": self.utilisation * (1.0 - self.blocking),
            "busy_servers": self.busy,
            "received_per_s": self.rate_per_s,
            "load_erlang": self.load_erlang,
            "note": self.note,
        }


def answer_markov(queue: Queue, rate_per_s: float) -> QueueAnswer:
    """Poisson arrivals at `rate_per_s` before outage: Erlang-B, exact for any mix of service times."""
    if not (np.isfinite(rate_per_s) and rate_per_s > 0.0):
        raise BadInput(f"the rate must be a finite number above 0 per s, got {rate_per_s}")
    received = rate_per_s * (1.0 - queue.outage)
    load = received * queue.service.mean_s
    blocking = float(erlang_b(queue.servers, load))
    bounds, busy = markov_bounds(queue.servers, load), busy_servers_markov(queue.servers, load)
    return QueueAnswer("erlang-b", blocking, None, bounds, busy, received, load)


def sweep_markov(servers: int, *, rate: ArrayLike, service_time: ArrayLike, outage: ArrayLike) -> dict[str, Floats]:
    """`answer_markov` for many rates per s, mean service times in s or outages at once; all broadcast."""
    rates, times, lost = np.broadcast_arrays(
        *(np.asarray(one, dtype=np.float64) for one in (rate, service_time, outage))
    )
    for name, values, good in (
        ("rate", rates, rates > 0.0),
        ("service time", times, times > 0.0),
        ("outage", lost, (lost >= 0.0) & (lost <= 1.0)),
    ):
        if not good.all():
            raise BadInput(f"the {name} of every point must be in range, got {values[~good][0]:g}")
    load = rates * (1.0 - lost) * times
    blocking, bounds = erlang_b(servers, load), markov_bounds(servers, load)
    return {
        "blocking": blocking,
        "lower": bounds.lower,
        "upper": bounds.upper,
        "approximation": bounds.approximation,
        "utilisation": load * (1.0 - blocking) / servers,
    }


def sweep_outage(queue: Queue, arrivals: DegenerateArrivals, outages: Floats, states_limit: int) -> dict[str, Floats]:
    """Exact blocking and utilisation of `answer_degenerate` for many outages: one chain, all of them at once."""
    if not np.all((outages >= 0.0) & (outages <= 1.0)):
        raise BadInput("the outage of every point must be a probability between 0 and 1")
    blocking = exact_over_outages(
        queue.servers, arrivals, queue.service, outages, tie=queue.tie, states_limit=states_limit
    )
    load = arrivals.rate_per_s * (1.0 - outages) * queue.service.mean_s
    return {"blocking": blocking, "utilisation": load * (1.0 - blocking) / queue.servers}


def answer_degenerate(
    queue: Queue,
    arrivals: DegenerateArrivals,
    rng: np.random.Generator,
    states_limit: int = STATES_LIMIT,
    fallback_arrivals: int = FALLBACK_ARRIVALS,
) -> QueueAnswer:
    """Gaps from a finite set: the exact chain of residual lives, or a simulation where the chain is too large."""
    received = arrivals.rate_per_s * (1.0 - queue.outage)
    try:
        counts = degenerate_counts(arrivals, queue.service, outage=queue.outage, tie=queue.tie)
        bounds = count_bounds(queue.servers, counts)
    except TooLarge:
        note = "too many sums of gaps for the chain and exact bounds; simulated, and the bounds from simulated counts"
        return replace(simulate_degenerate(queue, arrivals, fallback_arrivals, rng), note=note)
    try:
        chain = exact_blocking(
            queue.servers, arrivals, queue.service, outage=queue.outage, tie=queue.tie, states_limit=states_limit
        )
    except TooLarge:
        drawn = simulate_degenerate(queue, arrivals, fallback_arrivals, rng)
        return replace(drawn, bounds=bounds, note=f"the exact chain has more than {states_limit} states; simulated")
    load, note = received * queue.service.mean_s, f"{chain.states} states"
    return QueueAnswer("chain", chain.blocking, None, bounds, chain.busy, received, load, note)


def simulate_markov(queue: Queue, rate_per_s: float, count: int, rng: np.random.Generator) -> QueueAnswer:
    """The simulation beside `answer_markov`, over `count` arrivals before outage."""
    from planning.models.loss_simulation import draw_markov

    return answer_trace(queue, draw_markov(rate_per_s, queue.service, count, rng), rng)


def simulate_degenerate(
    queue: Queue, arrivals: DegenerateArrivals, count: int, rng: np.random.Generator
) -> QueueAnswer:
    """The simulation beside `answer_degenerate`, over `count` arrivals before outage."""
    from planning.models.loss_simulation import draw_degenerate

    return answer_trace(queue, draw_degenerate(arrivals, queue.service, count, rng), rng)


def answer_trace(queue: Queue, trace: Trace, rng: np.random.Generator) -> QueueAnswer:
    """A recorded `Trace`, thinned by the outage and run through the servers; bounds from its own counts.

    The bounds are proven for independent gaps; of a trace with memory they are what the same sums give.
    """
    from planning.models.loss_simulation import simulate, thin

    received = thin(trace, queue.outage, rng) if queue.outage else trace
    run = simulate(received, queue.servers, queue.tie)
    span_s = float(received.times[-1] - received.times[0]) * 1e-9
    rate = (run.arrivals - 1) / span_s if span_s > 0 else float("nan")
    load = rate * float(received.services.mean()) * 1e-9
    bounds = count_bounds(queue.servers, run.counts)
    return QueueAnswer("simulation", run.blocking.mean, run.blocking.as_list(), bounds, run.busy, rate, load)
