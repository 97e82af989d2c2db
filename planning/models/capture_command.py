"""`airshed plan capture`: how many frames one gateway receives, and which spreading factors help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from planning.models.figures import check_suffix, figures_option, plot_option, redraw, save
from planning.models.sweep import print_sweep, read_sweep, sweep_option, whole
from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, progress, seed_option

if TYPE_CHECKING:
    from planning.models.capture_answer import CaptureAnswer, CaptureQuestion

REPLICATIONS: Final = 20


@click.command(name="capture", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--devices", type=click.IntRange(min=1), default=1200, show_default=True)
@click.option(
    "--allocation",
    type=click.Choice(("uniform", "distance", "equal-load", "optimised")),
    default="distance",
    show_default=True,
    help="Who uses which spreading factor.",
)
@click.option("--payload", type=click.IntRange(13, 255), default=63, show_default=True, help="PHY payload in bytes.")
@click.option("--coding-rate", type=click.IntRange(1, 4), default=4, show_default=True, help="1..4 for 4/5..4/8.")
@click.option("--rate", type=float, default=1.0 / 600.0, show_default="1/600", help="Packets/s of one device.")
@click.option("--method", type=click.Choice(("model", "simulation")), default="model", show_default=True)
@click.option(
    "--population",
    type=click.Choice(("disc", "concentrated")),
    help="Where the devices are: uniform over the disc, or as equal-load supposes. Default: see below.",
)
@click.option("--radius-m", type=float, default=1000.0, show_default=True, help="Radius of the cell.")
@click.option("--channels", type=click.IntRange(min=1), default=8, show_default=True, help="125 kHz channels.")
@click.option("--paths", type=click.IntRange(min=1), default=8, show_default=True, help="Demodulation paths.")
@click.option("--inter-sf", type=click.Choice(("mended", "printed")), default="mended", help="Reading of (B.20).")
@click.option("--mixing", type=click.Choice(("load", "population")), default="load", help="Reading of (B.21), (B.23).")
@click.option("--printed-shares", is_flag=True, help="Table B.2's rounded shares for the distance allocation.")
@sweep_option("devices", "rate")
@seed_option
@json_option
@plot_option
@figures_option
def capture(
    *,
    as_json: bool,
    plot: Path | None,
    figures: Path | None,
    seed: int,
    method: str,
    sweep: str | None,
    **options: Any,
) -> None:
    """Coverage, frame capture, demodulation paths, success and throughput of one gateway.

    Rayleigh fading, path-loss exponent 4, 868 MHz, 14 dBm. A frame is captured when its SNR and its SINR against the
    own and the other spreading factors suffice, and is received when one of the gateway's paths is free.

    The thesis supposes devices uniform over the disc for uniform and distance, but denser near the gateway for
    equal-load; so does optimised by default, to share its devices with the best of the three. With --population all
    four are laid over the same devices.

    \b
    airshed plan capture --devices 1200 --allocation distance
    airshed plan capture --devices 3000 --allocation optimised --population disc --json
    airshed plan capture --devices 1200 --method simulation
    airshed plan capture --figures figures/     (figures B.3 to B.6 of the thesis)
    """
    if figures is not None:
        from planning.models.capture_figures import FIGURES

        redraw(FIGURES, figures, seed)
        return
    if plot is not None:
        check_suffix(plot)
    if sweep is not None:
        _sweep(sweep, options, method, as_json=as_json)
        return
    answer = _answer(options)
    report = answer.as_json()
    if method == "simulation":
        report = _simulated(answer, report, seed)
    if plot is not None:
        from planning.models.capture_figures import figure_answer

        save(figure_answer(answer.question), plot)
    if as_json:
        emit_json(report)
    else:
        _tell(report)


def _sweep(text: str, options: dict[str, Any], method: str, *, as_json: bool) -> None:
    """Many numbers of devices or rates under one allocation; an optimised one would be another at each point."""
    from dataclasses import replace

    from planning.models.airtimes import application_bytes
    from planning.models.capture_answer import allocation_for
    from planning.models.capture_model import capture as captured

    name, values = read_sweep(text, ("devices", "rate"))
    if method != "model" or options["allocation"] == "optimised":
        raise BadInput("a sweep is of the model, with the allocation uniform, distance or equal-load")
    if name == "devices":
        whole(name, values)
    question = _asked(options)
    traffic = question.traffic
    traffic = replace(traffic, devices=values) if name == "devices" else replace(traffic, rate_per_s=values)
    found = captured(
        allocation_for(question), traffic, radius_m=question.radius_m, readings=question.readings, paths=question.paths
    )
    names = ("coverage", "capture", "drop", "success")
    import numpy as np

    columns = {one: np.broadcast_to(getattr(found, one), values.shape) for one in names}
    columns["throughput_bytes_per_s"] = found.throughput_bytes_per_s(application_bytes(question.payload_bytes))
    print_sweep(name, values, columns, "model", as_json=as_json)


def _answer(options: dict[str, Any]) -> CaptureAnswer:
    from planning.models.capture_answer import answer_capture

    return answer_capture(_asked(options))


def _asked(options: dict[str, Any]) -> CaptureQuestion:
    from planning.models.capture_answer import CaptureQuestion
    from planning.models.capture_model import Readings

    return CaptureQuestion(
        devices=options["devices"],
        allocation=options["allocation"],
        payload_bytes=options["payload"],
        coding_rate=options["coding_rate"],
        rate_per_s=options["rate"],
        population=options["population"],
        radius_m=options["radius_m"],
        channels=options["channels"],
        paths=options["paths"],
        readings=Readings(options["inter_sf"], options["mixing"]),
        printed_shares=options["printed_shares"],
    )


def _simulated(answer: CaptureAnswer, report: dict[str, Any], seed: int) -> dict[str, Any]:
    """The report with the simulation's numbers in front and the model's beside them."""
    import numpy as np

    from planning.models.airtimes import application_bytes
    from planning.models.capture_simulation import simulate_capture

    question = answer.question
    with progress("simulating", REPLICATIONS) as advance:
        estimate = simulate_capture(
            answer.allocation,
            question.traffic,
            np.random.default_rng(seed),
            radius_m=question.radius_m,
            paths=question.paths,
            replications=REPLICATIONS,
            advance=advance,
        )
    names = ("coverage", "capture", "drop", "success")
    simulated = {name: getattr(estimate, name) for name in names}
    bytes_per_s = question.devices * question.rate_per_s * application_bytes(question.payload_bytes)
    per_sf = {}
    for index, (factor, row) in enumerate(report["per_sf"].items()):
        found = {name: float(values[index]) for name, values in estimate.per_sf.items()}
        found["throughput_bytes_per_s"] = float(np.nan_to_num(found["success"])) * row["share"] * bytes_per_s
        per_sf[factor] = row | found
    return {
        **report,
        **{name: value.mean for name, value in simulated.items()},
        "throughput_bytes_per_s": estimate.success.mean * bytes_per_s,
        "per_sf": per_sf,
        "method": "simulation",
        "outage": 1.0 - estimate.success.mean,
        "intervals": {name: value.as_list() for name, value in simulated.items()},
        "model": {name: report[name] for name in (*names, "throughput_bytes_per_s")},
    }


def _tell(report: dict[str, Any]) -> None:
    click.echo(
        f"{report['devices']} devices, {report['allocation']} allocation over a {report['population']} population, "
        f"by {report['method']}"
    )
    for name, meaning in (
        ("coverage", "SNR suffices"),
        ("capture", "and the interference is withstood"),
        ("drop", "a detected frame finds no demodulation path"),
        ("success", "captured and demodulated"),
    ):
        interval = report.get("intervals", {}).get(name)
        spread = f"  [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
        click.echo(f"{name:<11} {report[name]:.4f}{spread}  {meaning}")
    click.echo(f"throughput  {report['throughput_bytes_per_s']:.4g} B/s of application payload")
    click.echo("SF   share  coverage  capture  success  duty cycle of a device")
    for factor, row in report["per_sf"].items():
        if row["share"] > 0.0:
            click.echo(
                f"{factor:<4} {row['share']:.3f}    {row['coverage']:.4f}   {row['capture']:.4f}   {row['success']:.4f}"
                f"  {row['duty_cycle']:.2%}"
            )
