"""`airshed plan latency`: what a device waits for its duty cycle, and how often its packets collide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from planning.models.figures import check_suffix, figures_option, plot_option, redraw, save
from planning.models.sweep import print_sweep, read_sweep, sweep_option, whole
from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, progress, seed_option

if TYPE_CHECKING:
    from planning.models.latency_answer import LatencyAnswer, LatencyQuestion

METHODS: Final = ("exact", "refined", "half-mmc", "jockeying", "simulation")
REPLICATIONS: Final = 20
COLLISION_PACKETS: Final = 100_000  # of all devices, a replication


@click.command(name="latency", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--bands", default="G,G1", show_default=True, help="Sub-bands: G G1 G2 G3 G4 G4* or L M N P Q R.")
@click.option("--channels", help="Channels per sub-band, e.g. 15,3; default: those of the thesis.")
@click.option("--spreading-factor", type=click.IntRange(7, 12), default=12, show_default=True)
@click.option("--payload", type=click.IntRange(0, 255), default=63, show_default=True, help="PHY payload in bytes.")
@click.option("--coding-rate", type=click.IntRange(1, 4), default=4, show_default=True, help="1..4 for 4/5..4/8.")
@click.option("--preamble", type=click.IntRange(min=0), default=8, show_default=True, help="Programmed symbols.")
@click.option("--airtime-s", type=float, help="Take this airtime instead of the datasheet's; figure A.4 has 3.416064.")
@click.option("--rate", type=float, help="Packets/s of one device.")
@click.option("--load", type=float, help="Or: the same as a fraction of the device's capacity, above 0 and below 1.")
@click.option("--devices", type=click.IntRange(min=1), default=100, show_default=True, help="Devices that collide.")
@click.option("--sf-shares", help="Devices per spreading factor, e.g. 7=0.5,12=0.5; default: all on one.")
@click.option("--aggregated-duty-cycle", type=float, default=1.0, show_default=True, help="Limit over all bands.")
@click.option("--receive-windows", type=float, default=0.0, show_default=True, help="Seconds of silence after sending.")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    help="How to find the wait. Default: exact for bands of one duty cycle, else refined.",
)
@sweep_option("load", "rate", "devices")
@seed_option
@json_option
@plot_option
@figures_option
def latency(
    *,
    as_json: bool,
    plot: Path | None,
    figures: Path | None,
    seed: int,
    method: str | None,
    sweep: str | None,
    **options: Any,
) -> None:
    """Wait, latency, sub-band use and collisions of class A LoRaWAN devices under duty cycle.

    A device sends at random times (--rate, or --load as a fraction of what duty cycles let it send) and obeys the
    duty cycle of each sub-band. Without acknowledgements; orthogonal spreading factors; no capture.

    \b
    airshed plan latency --bands G,G1 --load 0.5 --devices 100
    airshed plan latency --bands G,G4 --rate 0.01 --aggregated-duty-cycle 0.05 --json
    airshed plan latency --bands G,G2 --load 0.5 --method simulation
    airshed plan latency --figures figures/     (figures A.1 to A.4 of the thesis)
    """
    if figures is not None:
        from planning.models.latency_figures import FIGURES

        redraw(FIGURES, figures, seed)
        return
    if plot is not None:
        check_suffix(plot)
    question = _question(options)
    if sweep is not None:
        _sweep(question, sweep, options, method, as_json=as_json)
        return
    rate_per_s = _rate(question, options["rate"], options["load"])
    from planning.models.latency_answer import answer_latency, best_method

    answer = answer_latency(question, rate_per_s, None if method == "simulation" else method)
    report = answer.as_json()
    if method == "simulation":
        report |= _simulated(question, rate_per_s, seed)
    if plot is not None:
        from planning.models.latency_figures import figure_answer

        drawn = method if method not in (None, "simulation") else best_method(question.bands)
        save(figure_answer(question, rate_per_s, str(drawn)), plot)
    if as_json:
        emit_json(report)
    else:
        _tell(question, answer, report)


def _sweep(question: LatencyQuestion, text: str, options: dict[str, Any], method: str | None, *, as_json: bool) -> None:
    """Wait, latency, service ratios and collisions for many loads, rates or numbers of devices."""
    import numpy as np

    from planning.models.latency_answer import sweep_latency

    name, values = read_sweep(text, ("load", "rate", "devices"))
    if question.sf_shares or method in ("simulation", "jockeying"):
        raise BadInput("a sweep is of one spreading factor and of the methods exact, refined and half-mmc")
    if name == "devices":
        rates, devices = np.full(values.shape, _rate(question, options["rate"], options["load"])), whole(name, values)
    else:
        if options["rate"] is not None or options["load"] is not None:
            raise BadInput(f"--sweep {name} stands for --rate and --load: leave those out")
        if name == "load" and not ((values > 0.0) & (values < 1.0)).all():
            raise BadInput("every load must be above 0 and below 1: at 1 the wait grows without end")
        rates = values * (question.capacity_per_s() if name == "load" else 1.0)
        devices = np.full(values.shape, float(question.devices))
    chosen, columns = sweep_latency(question, rates, devices, method)
    print_sweep(name, values, columns, chosen, as_json=as_json)


def _question(options: dict[str, Any]) -> LatencyQuestion:
    from planning.models.latency_answer import LatencyQuestion
    from planning.models.latency_model import duty_bands

    names = [name.strip() for name in options["bands"].split(",") if name.strip()]
    channels = None
    if options["channels"] is not None:
        try:
            channels = [int(count) for count in options["channels"].split(",")]
        except ValueError:
            raise BadInput(f"expected channel counts like 15,3, got {options['channels']!r}") from None
    return LatencyQuestion(
        bands=duty_bands(names, channels),
        spreading_factor=options["spreading_factor"],
        payload_bytes=options["payload"],
        coding_rate=options["coding_rate"],
        preamble_symbols=options["preamble"],
        devices=options["devices"],
        aggregated_duty_cycle=options["aggregated_duty_cycle"],
        receive_s=options["receive_windows"],
        sf_shares=_shares(options["sf_shares"]),
        given_airtime_s=options["airtime_s"],
    )


def _shares(text: str | None) -> dict[int, float]:
    try:
        return {
            int(factor): float(share) for factor, share in (pair.split("=") for pair in (text or "").split(",") if pair)
        }
    except ValueError:
        raise BadInput(f"expected shares like 7=0.5,12=0.5, got {text!r}") from None


def _rate(question: LatencyQuestion, rate: float | None, load: float | None) -> float:
    if (rate is None) == (load is None):
        raise BadInput("give either --rate (packets/s of one device) or --load (fraction of its capacity)")
    if load is not None:
        if not 0.0 < load < 1.0:
            raise BadInput(f"the load must be above 0 and below 1, got {load:g}: at 1 the wait grows without end")
        return load * question.capacity_per_s()
    assert rate is not None
    return rate


def _simulated(question: LatencyQuestion, rate_per_s: float, seed: int) -> dict[str, Any]:
    """The simulated numbers, with their 99 % intervals; collisions only when all devices use one spreading factor."""
    import numpy as np

    from planning.models.latency_simulation import simulate_collisions, simulate_latency

    airtime, rng = question.airtime_s(), np.random.default_rng(seed)
    # A queue forgets its beginning after some 1/(1 - load)^2 packets; up to a load of 0.99 this is enough of them.
    idle = 1.0 - rate_per_s / question.capacity_per_s()
    packets = int(np.clip(50.0 / idle**2, 20_000, 500_000))
    with progress("simulating", REPLICATIONS * (1 if question.sf_shares else 2)) as advance:
        estimate = simulate_latency(
            question.bands,
            airtime,
            rate_per_s,
            rng,
            packets=packets,
            replications=REPLICATIONS,
            aggregated_duty_cycle=question.aggregated_duty_cycle,
            receive_s=question.receive_s,
            advance=advance,
        )
        found = {"service_ratio": estimate.ratios}
        if not question.sf_shares:
            found["collision_probability"] = simulate_collisions(
                question.bands,
                airtime,
                rate_per_s,
                question.devices,
                rng,
                packets_each=max(50, min(400, COLLISION_PACKETS // question.devices)),
                replications=REPLICATIONS,
                aggregated_duty_cycle=question.aggregated_duty_cycle,
                receive_s=question.receive_s,
                advance=advance,
            )
    names = [band.name for band in question.bands]
    report: dict[str, Any] = {
        "method": "simulation",
        "wait_s": estimate.wait_s.mean,
        "latency_s": airtime + estimate.wait_s.mean,
        "wait_interval_s": estimate.wait_s.as_list(),
    }
    for key, estimates in found.items():
        report[key] = {name: value.mean for name, value in zip(names, estimates, strict=True)}
        report[f"{key}_interval"] = {name: value.as_list() for name, value in zip(names, estimates, strict=True)}
    return report


def _tell(question: LatencyQuestion, answer: LatencyAnswer, report: dict[str, Any]) -> None:
    click.echo(f"airtime   {answer.airtime_s:.6g} s (SF{question.spreading_factor}, {question.payload_bytes} B PHY)")
    click.echo(
        f"capacity  {answer.capacity_per_s:.6g} packets/s of one device; asked {answer.rate_per_s:.6g} "
        f"({report['load']:.1%})"
    )
    click.echo(f"wait      {report['wait_s']:.6g} s by {report['method']}")
    click.echo(f"latency   {report['latency_s']:.6g} s")
    for name, wait_s in answer.waits_s.items():
        click.echo(f"          wait by {name}: {wait_s:.6g} s")
    for band in question.bands:
        click.echo(
            f"{band.name:<9} takes {report['service_ratio'][band.name]:.1%} of the packets; "
            f"collides with probability {report['collision_probability'][band.name]:.4g} ({question.devices} devices)"
        )
