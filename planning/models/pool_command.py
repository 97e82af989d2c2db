"""`airshed plan pool`: the common pool of periodic reporters: capacity, failure, and what it takes on the air."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planning.models.figures import check_suffix, figures_option, plot_option, redraw, save
from planning.models.sweep import print_sweep, read_sweep, sweep_option, whole
from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, progress, seed_option

if TYPE_CHECKING:
    from planning.models.pool_answer import PoolAnswer, PoolQuestion
    from planning.models.pool_load import Reporting
    from planning.models.pool_mapping import LtePool, SlotPool
    from planning.models.pool_simulation import SimulatedPool

# Options that belong to some technologies; None means not given.
LTE_OPTIONS = ("modulation", "bandwidth_mhz", "coding", "transport_index", "pool_blocks")
SLOT_OPTIONS = ("guard_s", "subchannels", "sub_band")


@click.command(name="pool", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--devices", type=click.IntRange(min=1), help="Reporting devices N; left out, the most that fit.")
@click.option(
    "--capacity", type=click.IntRange(min=0), help="Transmissions C the common pool holds; left out, the fewest."
)
@click.option(
    "--error-rate", type=float, default=0.1, show_default=True, help="Probability that a transmission is lost."
)
@click.option("--max-transmissions", type=int, default=10, show_default=True, help="A report is sent at most L times.")
@click.option("--target", type=float, default=1e-3, show_default=True, help="Highest probability that a report fails.")
@click.option(
    "--method",
    type=click.Choice(["clt", "exact", "rigorous"]),
    default="clt",
    show_default=True,
    help="Law of the load: normal, as the letter; exact; or exact given what the report itself needs.",
)
@click.option(
    "--arrivals",
    type=click.Choice(["poisson", "deterministic"]),
    default="poisson",
    show_default=True,
    help="Reports of a device in an interval: random, or always the same number.",
)
@click.option("--reports-per-interval", type=float, default=1.0, show_default=True, help="Their mean, lambda T_RI.")
@click.option("--interval-s", type=float, default=60.0, show_default=True, help="Reporting interval T_RI.")
@click.option("--technology", type=click.Choice(["lte", "lora", "sigfox"]), default="lte", show_default=True)
@click.option("--report-bytes", type=int, help="Size of a report: maps the pool to the air.")
@click.option(
    "--max-fraction", type=float, default=1.0, show_default=True, help="Share of the system the pool may take."
)
@click.option("--modulation", type=click.Choice(["qpsk", "16qam", "64qam"]), help="lte: default qpsk.")
@click.option("--bandwidth-mhz", type=float, help="lte: 1.4, 3, 5, 10, 15 or 20; default 5.")
@click.option(
    "--coding",
    type=click.Choice(["uncoded", "transport-block"]),
    help="lte: modulation alone, as the letter's percentages imply (default), or the transport blocks of TS 36.213.",
)
@click.option("--transport-index", type=int, help="lte: I_TBS 0, 5, 10, 19 or 26; default: the modulation's highest.")
@click.option("--pool-blocks", type=int, help="lte: resource blocks per subframe for the pool, Y; default: all.")
@click.option("--spreading-factor", type=int, help="lora: 7 to 12; default 12.")
@click.option("--coding-rate", type=int, help="lora: 1 to 4 for 4/5 to 4/8; default 1.")
@click.option("--guard-s", type=float, help="lora, sigfox: silence between slots; default 0.02.")
@click.option("--subchannels", type=int, help="Subchannels there are; default: 8 (lora), 1920 micro-channels (sigfox).")
@click.option("--sub-band", help="lora, sigfox: sub-band whose duty cycle a device must keep; default M.")
@click.option("--simulate", type=click.IntRange(50, 10_000_000), metavar="RUNS", help="Also simulate RUNS intervals.")
@click.option(
    "--scheduler",
    type=click.Choice(["random", "finish", "spread"]),
    default="random",
    show_default=True,
    help="Simulation: next to a random request, one report to its end, or all in turn.",
)
@sweep_option("devices", "error-rate", "target", "reports-per-interval")
@plot_option
@figures_option
@seed_option
@json_option
def pool(
    *,
    sweep: str | None,
    as_json: bool,
    seed: int,
    plot: Path | None,
    figures: Path | None,
    simulate: int | None,
    scheduler: str,
    **given: Any,
) -> None:
    """How many places periodic reporters need when each has one of its own and all share a common pool.

    The first transmission of a device's first report in an interval has a pre-allocated place; repetitions and further
    reports take places of the common pool.

    \b
    Smallest common pool for 30,000 devices, and its share of 5 MHz of LTE:
      airshed plan pool --devices 30000 --error-rate 0.1 --max-transmissions 10 --target 1e-3 \\
        --report-bytes 100 --modulation qpsk --bandwidth-mhz 5
    Most devices for a pool of 500, with the exact law:
      airshed plan pool --capacity 500 --method exact
    Subchannels and slots to reserve for 2,000 LoRa meters that report every 15 minutes:
      airshed plan pool --devices 2000 --technology lora --spreading-factor 9 --report-bytes 20 --interval-s 900

    failure_bound counts every report as failed when the pool runs over; failure_tight holds per report, for any
    scheduler that leaves no place empty while a request waits. Targets below p^L and loads over the capacity are
    refused with status 2.
    """
    import numpy as np

    if figures is not None:
        from planning.models.pool_figures import PAPER_FIGURES

        redraw(PAPER_FIGURES, figures, seed)
        return
    if plot is not None:
        check_suffix(plot)
    from planning.models.pool_answer import answer_pool

    if sweep is not None:
        _sweep(sweep, given, as_json=as_json)
        return
    question = _question(given)
    answer = answer_pool(question)
    rng = np.random.default_rng(seed)
    beside = _simulated(answer, simulate, scheduler, rng, quiet=as_json) if simulate else None
    if plot is not None:
        from planning.models.pool_figures import answer_figure

        save(answer_figure(answer, beside), plot)
    if as_json:
        emit_json({**answer.as_json(), **_simulated_json(beside, scheduler)})
    else:
        _print(answer, beside)


def _sweep(text: str, given: dict[str, Any], *, as_json: bool) -> None:
    """Mean, variance and capacity by the normal law, which is a formula; the exact law takes a transform a point."""
    from planning.models.pool_design import check_target, normal_capacity
    from planning.models.pool_load import Reporting, pool_mean_and_variance

    name, values = read_sweep(text, ("devices", "error-rate", "target", "reports-per-interval"))
    key = name.replace("-", "_")
    if given["method"] != "clt" or given["capacity"] is not None or given["report_bytes"] is not None:
        raise BadInput("a sweep of the pool is of --method clt, without --capacity and --report-bytes")
    if key != "devices" and given["devices"] is None:
        raise BadInput("give --devices, or sweep them")
    point = {one: given[one] for one in ("error_rate", "max_transmissions", "reports_per_interval", "arrivals")}
    if key == "devices":
        whole("devices", values)
    for edge in (values.min(), values.max()):  # all that is asked of a value is a range
        at = {**point, "target": given["target"], key: float(edge)}
        check_target(Reporting(**{one: at[one] for one in point}), at["target"])
    at = {**point, "devices": given["devices"], "target": given["target"], key: values}
    law = (at["devices"], at["error_rate"], at["max_transmissions"])
    mean, variance = pool_mean_and_variance(*law, at["reports_per_interval"], at["arrivals"])
    capacity = normal_capacity(*law, at["target"], at["reports_per_interval"], at["arrivals"])
    shape = values.shape
    columns = {"capacity": capacity, "mean": mean, "variance": variance}
    import numpy as np

    shown = {column: np.broadcast_to(found, shape) for column, found in columns.items()}
    print_sweep(key, values, shown, "clt", as_json=as_json)


def _question(given: dict[str, Any]) -> PoolQuestion:
    from planning.models.pool_answer import PoolQuestion
    from planning.models.pool_load import Reporting

    reporting = Reporting(
        given["error_rate"], given["max_transmissions"], given["reports_per_interval"], given["arrivals"]
    )
    return PoolQuestion(
        reporting,
        given["target"],
        given["method"],
        given["devices"],
        given["capacity"],
        _places(given, reporting),
        given["max_fraction"],
    )


def _places(given: dict[str, Any], reporting: Reporting) -> LtePool | SlotPool | None:
    """What a transmission takes on the air, or None without --report-bytes."""
    technology, size = given["technology"], given["report_bytes"]
    _refuse_foreign(given)
    if size is None:
        if technology != "lte" or any(given[name] is not None for name in LTE_OPTIONS):
            raise BadInput("give --report-bytes, the size of a report, to map the pool to the air")
        return None
    from planning.models import pool_mapping as mapping

    if technology == "lte":
        return mapping.lte_pool(
            size,
            given["modulation"] or "qpsk",
            5.0 if given["bandwidth_mhz"] is None else given["bandwidth_mhz"],
            coding=given["coding"] or "uncoded",
            transport_index=given["transport_index"],
            interval_s=given["interval_s"],
            pool_blocks=given["pool_blocks"],
        )
    from planning.models.pool_load import transmission_moments

    sent = float(transmission_moments(reporting.error_rate, reporting.max_transmissions)[0])
    reserve = mapping.Reserve(
        given["interval_s"],
        0.02 if given["guard_s"] is None else given["guard_s"],
        reporting.reports_per_interval * sent,
        given["subchannels"],
        given["sub_band"] or "M",
    )
    if technology == "sigfox":
        return mapping.sigfox_pool(size, reserve)
    from spectrum.lora import LoraModulation

    spreading_factor = 12 if given["spreading_factor"] is None else given["spreading_factor"]
    coding_rate = 1 if given["coding_rate"] is None else given["coding_rate"]
    return mapping.lora_pool(size, LoraModulation(spreading_factor, coding_rate=coding_rate), reserve)


def _refuse_foreign(given: dict[str, Any]) -> None:
    """BadInput for an option of another technology: silence would hide that it does nothing."""
    technology = given["technology"]
    own = {
        "lte": LTE_OPTIONS,
        "lora": ("spreading_factor", "coding_rate", *SLOT_OPTIONS),
        "sigfox": SLOT_OPTIONS,
    }
    for name in {*LTE_OPTIONS, "spreading_factor", "coding_rate", *SLOT_OPTIONS} - set(own[technology]):
        if given[name] is not None:
            raise BadInput(f"--{name.replace('_', '-')} does not go with --technology {technology}")


def _simulated(answer: PoolAnswer, runs: int, scheduler: str, rng: Any, *, quiet: bool) -> SimulatedPool:
    from planning.models.pool_simulation import simulate_pool

    with progress("simulating", 1, quiet=quiet) as advance:
        drawn = simulate_pool(answer.question.reporting, answer.devices, answer.capacity, runs, rng, scheduler)
        advance()
    return drawn


def _simulated_json(beside: SimulatedPool | None, scheduler: str) -> dict[str, Any]:
    if beside is None:
        return {}
    return {
        "simulated": {
            "failure": beside.failure.mean,
            "failure_interval": beside.failure.as_list(),
            "overload": beside.overload.mean,
            "overload_interval": beside.overload.as_list(),
            "intervals": len(beside.loads),
            "scheduler": scheduler,
        }
    }


def _print(answer: PoolAnswer, beside: SimulatedPool | None) -> None:
    question = answer.question
    click.echo(f"devices         {answer.devices}, each with one pre-allocated transmission an interval")
    click.echo(f"common pool     {answer.capacity} transmissions   ({question.method}, target {question.target:g})")
    click.echo(f"  enough for any work-conserving scheduler: {answer.capacity_tight}")
    click.echo(f"load of it      mean {answer.mean:.6g}, standard deviation {answer.variance**0.5:.5g}")
    click.echo(f"failure         at most {answer.failure_bound:.4g}; per report {answer.failure_tight:.4g}")
    for name, value in answer.occupancy.items():
        click.echo(f"{name:<15} {value:.6g}" if isinstance(value, float) else f"{name:<15} {value}")
    if beside is not None:
        share, over = beside.failure, beside.overload
        click.echo(f"simulated       failure {share.mean:.4g} (99 % interval {share.low:.4g} to {share.high:.4g}),")
        click.echo(f"                overload {over.mean:.4g} ({over.low:.4g} to {over.high:.4g})")
