"""`airshed plan collisions`: what devices lose when several gateways hear them, symbol by symbol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from planning.models.figures import check_suffix, figures_option, plot_option, redraw, save
from planning.models.sweep import print_sweep, read_sweep, sweep_option, whole
from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, progress, seed_option

if TYPE_CHECKING:
    from planning.models.collisions_answer import CollisionsAnswer
    from planning.models.collisions_model import Network

REPLICATIONS: Final = 20
DRAWN_GATEWAYS: Final = 16  # collisions_model.MOST_GATEWAYS, without its imports


@click.command(name="collisions", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--links",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV without header: a row a device group, a column a gateway, P(frame is heard). Needed without --figures.",
)
@click.option("--devices", default="500", show_default=True, help="Devices per group: one number, or one a group.")
@click.option("--channels", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--paths", type=click.IntRange(min=1), default=8, show_default=True, help="Demodulation paths.")
@click.option("--payload", type=click.IntRange(0, 255), default=50, show_default=True, help="PHY payload in bytes.")
@click.option("--coding-rate", type=click.IntRange(1, 4), default=4, show_default=True, help="1..4 for 4/5..4/8.")
@click.option("--preamble", type=click.IntRange(min=5), default=8, show_default=True, help="All its symbols.")
@click.option("--rate", type=float, default=1.0 / 600.0, show_default="1/600", help="Frames/s of one device.")
@click.option("--method", type=click.Choice(("model", "simulation")), default="model", show_default=True)
@click.option("--distribution", help="REF,INT, e.g. 12,12: also list P(largest number of SF INT frames <= x).")
@sweep_option("devices", "rate")
@seed_option
@json_option
@plot_option
@figures_option
def collisions(
    *,
    as_json: bool,
    plot: Path | None,
    figures: Path | None,
    seed: int,
    method: str,
    sweep: str | None,
    **options: Any,
) -> None:
    """Outage of device groups and gateways, with symbol-wise collisions and demodulation paths.

    A frame is lost at a gateway when in any of its symbols more frames are on the air than it withstands (none of its
    own spreading factor), or when all demodulation paths are busy. A device is out when no gateway receives it;
    gateways that hear the same interferer fail together, and that is counted. Spreading factors are drawn evenly.

    \b
    printf '0.5,0.5,0.5\\n0.5,0.5,0\\n0.5,0,0\\n' > links.csv
    airshed plan collisions --links links.csv --devices 500
    airshed plan collisions --links links.csv --devices 500,200,100 --method simulation --json
    airshed plan collisions --figures figures/     (figures C.4 to C.7 of the thesis)
    """
    if figures is not None:
        from planning.models.collisions_figures import FIGURES

        redraw(FIGURES, figures, seed)
        return
    if plot is not None:
        check_suffix(plot)
    network, devices = _network(options), _devices(options["devices"])
    if plot is not None and network.links.shape[1] > DRAWN_GATEWAYS:
        raise BadInput(f"a plot shows the model, which takes {DRAWN_GATEWAYS} gateways at most: leave --plot out")
    if sweep is not None:
        _sweep(network, devices, sweep, options["rate"], method, as_json=as_json)
        return
    report = _report(network, devices, options["rate"], method, seed)
    if options["distribution"]:
        report["largest_interferers"] = _distribution(network, report, options["distribution"], seed)
    if plot is not None:
        import numpy as np

        from planning.models.collisions_figures import figure_answer

        save(figure_answer(network, np.array(report["group_rates_per_s"])), plot)
    if as_json:
        emit_json(report)
    else:
        _tell(report)


def _sweep(network: Network, devices: list[float], text: str, rate_per_s: float, method: str, *, as_json: bool) -> None:
    """Outages for many numbers of devices a group (alike in all groups), or many rates of a device."""
    import numpy as np

    from planning.models.collisions_answer import traffic_of
    from planning.models.collisions_model import correlated_outage, gateways

    name, values = read_sweep(text, ("devices", "rate"))
    if method != "model":
        raise BadInput("a sweep is of the model: leave --method simulation out")
    if name == "devices":
        each, rates = np.ones(network.links.shape[0]), whole(name, values) * rate_per_s
        traffic_of(network, [1.0], rate_per_s)
    else:
        each, rates = np.broadcast_to(np.asarray(devices), network.links.shape[:1]), values
        for edge in (values.min(), values.max()):
            traffic_of(network, devices, float(edge))
    traffic = rates[:, np.newaxis] * each
    at = gateways(network, traffic)
    outage = correlated_outage(network, at, traffic)
    columns = {f"device_outage_{index + 1}": outage[:, index] for index in range(outage.shape[1])}
    columns |= {f"gateway_outage_{index + 1}": at.outage[:, index] for index in range(at.outage.shape[1])}
    print_sweep(name, values, columns, "model", as_json=as_json)


def _network(options: dict[str, Any]) -> Network:
    from planning.models.collisions_model import Frame, Network
    from planning.models.links_file import read_links

    if options["links"] is None:
        raise BadInput("give the links as a file: --links FILE.csv, a row a device group, a column a gateway")
    frame = Frame(options["payload"], options["coding_rate"], options["preamble"])
    return Network(read_links(options["links"]), frame, options["channels"], options["paths"])


def _devices(text: str) -> list[float]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(f"expected devices per group like 500 or 500,200,100, got {text!r}") from None
    if min(counts) < 0:
        raise BadInput(f"the devices of a group must be 0 or more, got {min(counts)}")
    return [float(count) for count in counts]


def _report(network: Network, devices: list[float], rate: float, method: str, seed: int) -> dict[str, Any]:
    from planning.models.collisions_answer import answer_collisions

    if method == "model":
        return answer_collisions(network, devices, rate).as_json()
    return _simulated(network, devices, rate, seed)


def _simulated(network: Network, devices: list[float], rate: float, seed: int) -> dict[str, Any]:
    """The simulation's numbers in front; the model's beside them where it is exact, up to 16 gateways."""
    import numpy as np

    from planning.models.collisions_answer import answer_collisions, traffic_of
    from planning.models.collisions_model import MOST_GATEWAYS
    from planning.models.collisions_simulation import simulate_collisions

    rates = traffic_of(network, devices, rate)
    answer: CollisionsAnswer | None = None
    if network.links.shape[1] <= MOST_GATEWAYS:
        answer = answer_collisions(network, devices, rate)
    with progress("simulating", REPLICATIONS) as advance:
        estimate = simulate_collisions(
            network, rates, np.random.default_rng(seed), replications=REPLICATIONS, advance=advance
        )
    report: dict[str, Any] = {
        "device_outage": [value.mean for value in estimate.device_outage],
        "gateway_outage": [value.mean for value in estimate.gateway_outage],
        "method": "simulation",
        "device_outage_interval": [value.as_list() for value in estimate.device_outage],
        "gateway_outage_interval": [value.as_list() for value in estimate.gateway_outage],
        "gateways": [
            {"preamble_failure": missed.mean, "blocking": blocked.mean}
            for missed, blocked in zip(estimate.undetected, estimate.blocked, strict=True)
        ],
        "group_rates_per_s": rates.tolist(),
    }
    if answer is not None:
        report["model"] = answer.as_json()
    return report


def _distribution(network: Network, report: dict[str, Any], text: str, seed: int) -> dict[str, Any]:
    import numpy as np

    from planning.models.collisions_answer import largest_interferers

    try:
        reference, interfering = (int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"expected two spreading factors like 12,12, got {text!r}") from None
    if not {reference, interfering} <= set(range(7, 13)):
        raise BadInput(f"spreading factors are 7 to 12, got {text!r}")
    rates = np.array(report["group_rates_per_s"])
    return largest_interferers(network, rates, reference, interfering, np.random.default_rng(seed))


def _tell(report: dict[str, Any]) -> None:
    click.echo(f"by {report['method']}")
    for name in ("device", "gateway"):
        label = {"device": "group", "gateway": "gateway"}[name]
        intervals = report.get(f"{name}_outage_interval", [None] * len(report[f"{name}_outage"]))
        for index, (outage, interval) in enumerate(zip(report[f"{name}_outage"], intervals, strict=True), 1):
            spread = f"  [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
            click.echo(f"{label:<8}{index:>3}  outage {outage:.4f}{spread}")
    for index, parts in enumerate(report["gateways"], 1):
        said = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in parts.items())
        click.echo(f"gateway {index:>3}  {said}")
    for count, outage in enumerate(report.get("mean_outage_by_gateways", []), 1):
        click.echo(f"with the first {count} gateway{'s' if count > 1 else ''}: mean device outage {outage:.4g}")
    if "largest_interferers" in report:
        found = report["largest_interferers"]
        click.echo(f"largest number of SF{found['interfering_sf']} frames in a symbol ({found['method']}):")
        for count, value in enumerate(found["cdf"]):
            click.echo(f"  P(<= {count}) = {value:.6f}  approximation {found['approximation'][count]:.6f}")
