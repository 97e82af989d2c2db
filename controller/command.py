"""`airshed controller`, `status`, `allocate` and `explain`."""

from __future__ import annotations

import click

from terminal.command import emit_json, json_option

site_argument = click.argument("site_file", metavar="SITE.toml")


@click.command()
@site_argument
def controller(site_file: str) -> None:
    """Run the controller of the site in SITE.toml until it is stopped (Ctrl-C or SIGTERM).

    It serves gateway agents over gRPC at `controller.listen`, and runs the site's database itself when `database.url`
    is "embedded" and REDIS_URL is not set. Start to try it: airshed controller hardware/sites/loopback.toml
    """
    from controller.service import run_controller
    from spectrum.site_file import read_site
    from terminal.logs import log_to_stderr
    from terminal.signals import stopped_by_signals

    site = read_site(site_file)
    log_to_stderr()
    with stopped_by_signals() as stop:
        run_controller(site, stop)


@click.command()
@site_argument
@json_option
def status(site_file: str, as_json: bool) -> None:
    """Show the channel map of a running site: what was sensed, what is leased, which gateways are attached."""
    from controller.client import ControllerClient
    from controller.tables import status_table
    from spectrum.site_file import read_site

    with ControllerClient(read_site(site_file)) as client:
        found = client.status()
    if as_json:
        emit_json(found)
    else:
        click.echo(status_table(found))


@click.command()
@site_argument
@click.argument("device")
@click.option("--technology", type=click.Choice(["lora", "sigfox"]), default="lora", show_default=True)
@click.option("--airtime", "airtime_s", type=click.FloatRange(min=0, min_open=True), default=0.1, show_default=True,
              help="Time on air of one transmission in seconds.")  # fmt: skip
@click.option(
    "--keeps-time", is_flag=True, help="The device can start at a given time: draw a slot, not only a subchannel."
)
@json_option
def allocate(site_file: str, device: str, technology: str, airtime_s: float, keeps_time: bool, as_json: bool) -> None:
    """Ask the running controller for a subchannel for DEVICE, as an application would."""
    from controller.client import ControllerClient
    from controller.tables import answer_lines
    from spectrum.site_file import read_site

    with ControllerClient(read_site(site_file)) as client:
        answer = client.allocate(device, technology, airtime_s, keeps_time=keeps_time)
    if as_json:
        emit_json(answer)
    else:
        click.echo(answer_lines(answer))
    if "refusal" in answer:
        click.get_current_context().exit(1)


@click.command()
@click.argument("device")
@click.option("--site", "site_file", default="hardware/sites/loopback.toml", show_default=True, metavar="SITE.toml")
@json_option
def explain(device: str, site_file: str, as_json: bool) -> None:
    """Say why DEVICE got its subchannel: the candidates and their weights, the tries, and what stood in the way."""
    from controller.client import ControllerClient
    from controller.tables import explanation
    from spectrum.site_file import read_site

    with ControllerClient(read_site(site_file)) as client:
        decision = client.explain(device)
    if as_json:
        emit_json(decision)
    else:
        click.echo(explanation(decision))
