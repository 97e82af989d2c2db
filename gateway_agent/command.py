"""`airshed agent`: one gateway's agent."""

from __future__ import annotations

import click

from terminal.command import emit_json, json_option, seed_option

# Devices begin when the controller has answered, or after this: then they send at random, as their standards do.
FIRST_ANSWER_S = 10.0


@click.command()
@click.argument("site_file", metavar="SITE.toml")
@click.option("--gateway", help="Name of the gateway in the site file; may be left out when there is only one.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Send packets for this long, then end.")
@seed_option
@json_option
def agent(site_file: str, gateway: str | None, seconds: float | None, seed: int, as_json: bool) -> None:
    """Run the agent of a gateway: it asks the controller for its devices and makes them obey.

    With --json every transmission is printed as one line. The agent keeps trying when the controller is away, and its
    devices then send at random, as their standards do. Stops on Ctrl-C or SIGTERM.
    """
    from random import Random

    from gateway_agent.controller_link import ControllerLink
    from gateway_agent.outcomes import outcome_json, outcome_line
    from gateway_agent.traffic import packets, virtual_devices
    from gateway_agent.virtual_radio import VirtualRadio
    from spectrum.site_file import one_named, read_site
    from terminal.logs import log_to_stderr
    from terminal.signals import stopped_by_signals

    site = read_site(site_file)
    table = one_named("gateway", gateway, site.gateway, lambda item: item.name)
    log_to_stderr()
    devices = virtual_devices(table.devices, table.name)
    with stopped_by_signals() as stop:
        link = ControllerLink(site, table.name, rng=Random(seed))
        radio = VirtualRadio(
            site,
            link,
            packets(devices, table.mean_gap_s, seed),
            lambda sent: emit_json(outcome_json(sent)) if as_json else click.echo(outcome_line(sent)),
            rng=Random(seed + 1),
        )
        link.start()
        try:
            link.wait_online(stop, FIRST_ANSWER_S)
            radio.run(stop, seconds)
        finally:
            link.close()
