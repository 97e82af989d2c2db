"""`airshed plan site`: all models together for one site file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planning.models.figures import check_suffix, plot_option, save
from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, progress, seed_option

if TYPE_CHECKING:
    from planning.models.intervals import Estimate
    from planning.models.site_answer import Change, SiteAnswer
    from planning.models.site_model import SiteModel


@click.command(name="site", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("site_file", metavar="SITE.toml", type=click.Path(path_type=Path))
@click.option("--target", type=float, default=0.1, show_default=True, help="Highest outage of any group.")
@click.option(
    "--occupancy",
    default="none",
    show_default=True,
    metavar="none|database|FILE",
    help="Measured occupancy: the site's database, JSON lines of `airshed sense --json`, or a recording.",
)
@click.option(
    "--occupancy-of",
    type=click.Choice(["everybody", "others"]),
    default="everybody",
    show_default=True,
    help="Whether it was measured with the site's own traffic on the air, which is then taken out.",
)
@click.option("--burst-s", type=float, default=0.1, show_default=True, help="Mean length of a frame of others.")
@click.option(
    "--plan",
    type=click.Choice(["distance", "uniform", "equal-load"]),
    default="distance",
    show_default=True,
    help="How spreading factors are given to groups that do not fix their own.",
)
@click.option(
    "--simulate", type=click.IntRange(1_000, 5_000_000), metavar="FRAMES", help="Also simulate FRAMES frames."
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a report with plots to FILE.html.")
@plot_option
@seed_option
@json_option
def site(
    *,
    site_file: Path,
    html: Path | None,
    plot: Path | None,
    simulate: int | None,
    as_json: bool,
    seed: int,
    **given: Any,
) -> None:
    """Outage, latency, headroom and the limiting mechanism of a site, and what one more of each would buy.

    The site file names gateways (position_m, demodulation_paths), subchannels, and groups of devices:

    \b
      [[traffic]]
      name = "meters"
      devices = 2000
      period_s = 900
      payload_bytes = 33            # PHY payload
      position_m = [300, -200]      # spread over this disc
      radius_m = 800
      access = "random"             # or "pool": scheduled slots

    \b
    airshed plan site hardware/sites/town.toml --html plan.html
    airshed plan site hardware/sites/town.toml --occupancy database --target 0.05 --json

    Mechanisms: collisions (own spreading factor), capture (noise and other spreading factors), occupancy (others on the
    air), demodulation_paths, duty_cycle, pool. Headroom is the multiple of today's traffic at which the target breaks.
    """
    if plot is not None:
        check_suffix(plot)
    if html is not None:
        _check_report(html)
    from planning.models.site_answer import SiteAnswer, changes

    target = given["target"]
    if not 0.0 < target < 1.0:
        raise BadInput(f"the target must be a probability above 0 and below 1, got {target}")
    answer = SiteAnswer(_model(site_file, given), target)
    found = changes(answer)
    drawn = _simulated(answer, simulate, seed, quiet=as_json) if simulate else []
    source = "not measured, taken as none" if given["occupancy"] == "none" else given["occupancy"]
    _draw(answer, found, source, plot, html)
    if as_json:
        emit_json(_as_json(answer, found, source, drawn))
    else:
        _print(answer, found, source, drawn)


def _draw(answer: SiteAnswer, found: tuple[Change, ...], source: str, plot: Path | None, html: Path | None) -> None:
    """Write the figure and the report that were asked for."""
    if plot is not None:
        from planning.models.site_figures import site_figure

        save(site_figure(answer, found), plot)
    if html is not None:
        from planning.models.site_report import write_report

        write_report(html, answer, found, source)


def _check_report(path: Path) -> None:
    from planning.models.site_report import check_report_path

    check_report_path(path)


def _model(site_file: Path, given: dict[str, Any]) -> SiteModel:
    """The site with its measured occupancy; own traffic taken out where sensors heard it too."""
    from dataclasses import replace

    import numpy as np

    from planning.models.site_model import site_model
    from planning.models.site_occupancy import measured_occupancy
    from planning.models.site_reception import others_occupancy
    from spectrum.site_file import read_site

    table = read_site(site_file)
    model = site_model(table, np.zeros(len(table.spectrum.lora)), given["burst_s"], given["plan"])
    measured = measured_occupancy(table, given["occupancy"])
    if measured is None:
        return model
    others = others_occupancy(model, measured) if given["occupancy_of"] == "everybody" else measured
    return replace(model, occupancy=others)


def _simulated(answer: SiteAnswer, frames: int, seed: int, *, quiet: bool) -> list[Estimate]:
    from dataclasses import replace

    import numpy as np

    from planning.models.site_simulation import simulate_site

    left = len(answer.model.channels) - answer.pool.reserved
    if left < 1:
        raise BadInput("the pool takes all subchannels: random access cannot be simulated")
    # random access sees the mean occupancy, whichever channels the pool takes
    occupancy = np.full(left, answer.model.occupancy.mean())
    model = replace(answer.model, channels=answer.model.channels[:left], occupancy=occupancy)
    with progress("simulating", 1, quiet=quiet) as advance:
        drawn = simulate_site(model, frames, np.random.default_rng(seed))
        advance()
    return drawn


def _as_json(answer: SiteAnswer, found: tuple[Change, ...], source: str, drawn: list[Estimate]) -> dict[str, Any]:
    """Everything under the names the command publishes."""
    from planning.models.site_opinions import opinions

    simulated = {
        group.name: {"outage": 1.0 - one.mean, "outage_interval": [1.0 - one.high, 1.0 - one.low]}
        for group, one in zip(answer.model.groups, drawn, strict=bool(drawn))
        if group.access == "random"
    }
    return {
        **answer.as_json(),
        "what_if": {change.name: change.as_json(answer) for change in found},
        "other_models": opinions(answer),
        "occupancy_source": source,
        **({"simulated": simulated} if drawn else {}),
    }


def _print(answer: SiteAnswer, found: tuple[Change, ...], source: str, drawn: list[Estimate]) -> None:
    click.echo(f"site       {answer.model.name}   (occupancy: {source})")
    click.echo(f"outage     {answer.outage:.4f} of all reports, {answer.worst_outage:.4f} in the worst group")
    click.echo(f"headroom   {answer.headroom:.3g} times today's traffic for a target of {answer.target:g}")
    click.echo(f"limit      {answer.limiting.replace('_', ' ')}")
    click.echo("\ngroup            outage   latency_s   simulated outage (99 % interval)")
    estimates: list[Estimate | None] = list(drawn) or [None] * len(answer.model.groups)
    for group, outage, latency, one in zip(
        answer.model.groups, answer.outage_per_group, answer.latency_per_group_s, estimates, strict=True
    ):
        beside = "" if one is None or group.access == "pool" else f"{1 - one.high:.4f} to {1 - one.low:.4f}"
        click.echo(f"{group.name:<16} {outage:<8.4f} {latency:<11.4g} {beside}")
    click.echo("\nmechanism           headroom   worst outage falls without it by")
    for mechanism in answer.mechanisms:
        room = "any" if math.isinf(mechanism.headroom) else f"{mechanism.headroom:.3g}"
        click.echo(f"{mechanism.name.replace('_', ' '):<19} {room:<10} {mechanism.relief:.4f}")
    click.echo("\nchange                worst outage   headroom")
    for change in found:
        click.echo(
            f"{change.name:<21} {change.after.worst_outage:<14.4f} {change.after.headroom:<10.3g} {change.detail}"
        )
    if answer.pool.infeasible:
        click.echo(f"\nno pool is enough for {answer.pool.infeasible}")
