"""`airshed plan queue`: how often a system of n servers without waiting room turns a message away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planning.models.figures import check_suffix, figures_option, plot_option, redraw, save
from planning.models.number_list import NumberList
from planning.models.sweep import print_sweep, read_sweep, sweep_option
from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, seed_option

if TYPE_CHECKING:
    import numpy as np

    from planning.models.loss_queue import DegenerateArrivals, Service
    from planning.models.loss_simulation import Trace
    from planning.models.queue_analysis import Queue, QueueAnswer


@dataclass(frozen=True, slots=True)
class Question:
    """A queue and its arrivals: a rate in 1/s, a set of gaps, or a trace."""

    queue: Queue
    arrivals: float | DegenerateArrivals | Trace
    states_limit: int = 25_000

    def answer(self, rng: np.random.Generator) -> QueueAnswer:
        """The exact answer where there is one, else a simulated one."""
        from planning.models import queue_analysis as analysis
        from planning.models.loss_queue import DegenerateArrivals

        if isinstance(self.arrivals, float):
            return analysis.answer_markov(self.queue, self.arrivals)
        if isinstance(self.arrivals, DegenerateArrivals):
            return analysis.answer_degenerate(self.queue, self.arrivals, rng, self.states_limit)
        return analysis.answer_trace(self.queue, self.arrivals, rng)

    def simulated(self, count: int, rng: np.random.Generator) -> QueueAnswer:
        """The simulation of the same question over `count` arrivals (a trace: over all it holds)."""
        from planning.models import queue_analysis as analysis
        from planning.models.loss_queue import DegenerateArrivals

        if isinstance(self.arrivals, float):
            return analysis.simulate_markov(self.queue, self.arrivals, count, rng)
        if isinstance(self.arrivals, DegenerateArrivals):
            return analysis.simulate_degenerate(self.queue, self.arrivals, count, rng)
        return analysis.answer_trace(self.queue, self.arrivals, rng)


@click.command(name="queue", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--servers", type=click.IntRange(1, 10_000), help="Servers n, e.g. the 8 demodulation paths of a gateway."
)
@click.option("--service-time", type=NumberList(), help="Service time in s; several for a mix of classes.")
@click.option(
    "--shares", type=NumberList(), help="Share of the arrivals in each class of service time (default: equal)."
)
@click.option(
    "--arrivals",
    default="markov",
    show_default=True,
    metavar="markov|degenerate|FILE",
    help="Poisson arrivals, independent gaps from a list, or a FILE with a time in s on each line.",
)
@click.option("--rate", type=float, help="markov: mean arrivals per second, before --outage.")
@click.option("--gaps", type=NumberList(), help="degenerate: the gaps between arrivals in s.")
@click.option("--probabilities", type=NumberList(), help="degenerate: probability of each gap (default: equal).")
@click.option(
    "--outage",
    type=float,
    default=0.0,
    show_default=True,
    help="Share of the arrivals that is lost on the way and never reaches a server.",
)
@click.option(
    "--tie",
    type=click.Choice(["open", "closed"]),
    default="open",
    show_default=True,
    help="What an arrival at the very end of a service finds: an open or a closed server.",
)
@click.option(
    "--states-limit",
    type=click.IntRange(1, 200_000),
    default=25_000,
    show_default=True,
    help="degenerate: states of the exact chain; what needs more is simulated. 200,000 take a second.",
)
@click.option(
    "--simulate",
    type=click.IntRange(1_000, 100_000_000),
    metavar="COUNT",
    help="Also simulate COUNT arrivals and report the blocking with its 99 % interval.",
)
@sweep_option("rate", "service-time", "outage")
@plot_option
@figures_option
@seed_option
@json_option
def queue(
    as_json: bool,
    seed: int,
    plot: Path | None,
    figures: Path | None,
    simulate: int | None,
    sweep: str | None,
    **given: Any,
) -> None:
    """Blocking of n servers without a waiting room (G/D/n/n): exact where possible, with bounds beside it.

    \b
    Eight demodulation paths, SF12 frames of 4.07 s, one a second:
      airshed plan queue --servers 8 --service-time 4.07 --arrivals markov --rate 1
    Periodic arrivals with a few possible gaps, half of them lost on the air:
      airshed plan queue --servers 2 --service-time 1 --arrivals degenerate --gaps 0.3,0.6,1.5 --outage 0.5
    Two service classes, from a recorded trace (a time in s on each line):
      airshed plan queue --servers 8 --service-time 0.4,1.4 --shares 0.7,0.3 --arrivals trace.txt

    `blocking` is the share of RECEIVED arrivals that find no server. Exact for Poisson arrivals (Erlang-B) and for
    gaps from a list (Markov chain of residual lives, up to --states-limit; above it is simulated, and `method` says so,
    with the 99 % interval in `blocking_interval`).
    `lower`, `upper` and `approximation` come from the number of arrivals within a service time.
    """
    import numpy as np

    if figures is not None:
        from planning.models.queue_figures import PAPER_FIGURES

        redraw(PAPER_FIGURES, figures, seed)
        return
    if plot is not None:
        check_suffix(plot)
    rng = np.random.default_rng(seed)
    if sweep is not None:
        _sweep(sweep, given, rng, as_json=as_json)
        return
    question = _question(rng, **given)
    answer = question.answer(rng)
    beside = question.simulated(simulate, rng) if simulate else None
    if plot is not None:
        from planning.models.queue_figures import blocking_by_service_time

        save(blocking_by_service_time(question, rng), plot)
    if as_json:
        extra = {"simulated": beside.as_json()} if beside else {}
        emit_json({"servers": question.queue.servers, **answer.as_json(), **extra})
    else:
        _print(answer, beside)


def _sweep(text: str, given: dict[str, Any], rng: np.random.Generator, *, as_json: bool) -> None:
    """Poisson arrivals over any of the names; gaps from a list over the outage."""
    from planning.models import queue_analysis as analysis
    from planning.models.loss_queue import DegenerateArrivals

    name, values = read_sweep(text, ("rate", "service-time", "outage"))
    key = name.replace("-", "_")
    one = (float(values[0]),) if name == "service-time" else float(values[0])
    question = _question(rng, **{**given, key: one})
    if isinstance(question.arrivals, DegenerateArrivals) and name == "outage":
        columns = analysis.sweep_outage(question.queue, question.arrivals, values, question.states_limit)
        print_sweep(key, values, columns, "chain", as_json=as_json)
    elif isinstance(question.arrivals, float):
        point = {"rate": question.arrivals, "service_time": question.queue.service.mean_s, "outage": given["outage"]}
        columns = analysis.sweep_markov(question.queue.servers, **{**point, key: values})
        print_sweep(key, values, columns, "erlang-b", as_json=as_json)
    else:
        raise BadInput("a sweep is over markov arrivals, or over the outage of degenerate ones")


def _question(rng: np.random.Generator, **given: Any) -> Question:
    """The question asked by the options; BadInput for options that are missing or do not go together."""
    from planning.models.queue_analysis import Queue

    kind, service = given["arrivals"], _service(given["service_time"], given["shares"])
    if given["servers"] is None:
        raise BadInput("give --servers, the number of servers (8 for the demodulation paths of a gateway)")
    foreign = {"markov": ("gaps", "probabilities"), "degenerate": ("rate",)}.get(
        kind, ("rate", "gaps", "probabilities")
    )
    for name in foreign:
        if given[name] is not None:
            raise BadInput(f"--{name} does not go with --arrivals {kind}")
    if kind not in ("markov", "degenerate"):
        from planning.models.loss_simulation import read_trace

        trace = read_trace(Path(kind), service, rng)
        return Question(Queue(given["servers"], service or _unused_service(), given["outage"], given["tie"]), trace)
    if service is None:
        raise BadInput("give --service-time, in s")
    queue = Queue(given["servers"], service, given["outage"], given["tie"])
    if kind == "markov":
        if given["rate"] is None:
            raise BadInput("--arrivals markov needs --rate, the mean arrivals per second")
        return Question(queue, float(given["rate"]))
    return Question(queue, _gaps(given["gaps"], given["probabilities"]), given["states_limit"])


def _service(times_s: tuple[float, ...] | None, shares: tuple[float, ...] | None) -> Service | None:
    from planning.models.loss_queue import Service

    if times_s is None:
        if shares is not None:
            raise BadInput("--shares belong to the classes of --service-time, which is missing")
        return None
    return Service(times_s, shares if shares is not None else (1.0 / len(times_s),) * len(times_s))


def _unused_service() -> Service:
    """Stands in a question whose trace brings its own service times."""
    from planning.models.loss_queue import Service

    return Service((1.0,), (1.0,))


def _gaps(gaps_s: tuple[float, ...] | None, probabilities: tuple[float, ...] | None) -> DegenerateArrivals:
    from planning.models.loss_queue import DegenerateArrivals

    if gaps_s is None:
        raise BadInput("--arrivals degenerate needs --gaps, the possible gaps in s")
    return DegenerateArrivals(
        gaps_s, probabilities if probabilities is not None else (1.0 / len(gaps_s),) * len(gaps_s)
    )


def _print(answer: QueueAnswer, beside: QueueAnswer | None) -> None:
    bounds = answer.bounds
    click.echo(f"load           {answer.load_erlang:.6g} erlang, {answer.rate_per_s:.6g} received per s")
    click.echo(f"blocking       {answer.blocking:.6g}   ({', '.join(filter(None, [answer.method, answer.note]))})")
    if answer.interval is not None:
        click.echo(f"  99 % interval {answer.interval[0]:.6g} to {answer.interval[1]:.6g}")
    click.echo(f"bounds         {float(bounds.lower):.6g} to {float(bounds.upper):.6g}")
    click.echo(f"approximation  {float(bounds.approximation):.6g}")
    click.echo(f"utilisation    {answer.utilisation:.6g}")
    if beside is not None and beside.interval is not None:
        low, high = beside.interval
        click.echo(f"simulated      {beside.blocking:.6g}   (99 % interval {low:.6g} to {high:.6g})")
