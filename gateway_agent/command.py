"""`airshed agent`: one gateway's agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, seed_option

if TYPE_CHECKING:
    import threading

    from spectrum.site_file import GatewayTable, Site

# Devices begin when the controller has answered, or after this: then they send at random, as their standards do.
FIRST_ANSWER_S = 10.0


@click.command()
@click.argument("site_file", metavar="SITE.toml")
@click.option("--gateway", help="Name of the gateway in the site file; may be left out when there is only one.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Run for this long, then end.")
@click.option(
    "--capture",
    metavar="FILE",
    help="Write the Semtech UDP that passes, and the LoRa frames in it, as pcapng for tshark.",
)
@click.option("--advise", is_flag=True, help="Print the channel plan of every device and end; move nothing.")
@click.option("--chirpstack", is_flag=True, help="With --advise: print ChirpStack's region configuration instead.")
@seed_option
@json_option
def agent(
    site_file: str,
    gateway: str | None,
    seconds: float | None,
    capture: str | None,
    advise: bool,
    chirpstack: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Run the agent of a gateway: it asks the controller for its devices and makes them obey.

    What it moves is the gateway's `radio` in the site file: `virtual` devices; real LoRaWAN devices behind a packet
    forwarder (`semtech-udp`) or a gateway bridge (`mqtt`); SigFox endpoints that run the test agent (`sigfox`). The
    agent keeps trying when the controller is away: virtual devices then send at random, LoRaWAN devices keep the
    channels they have. Stops on Ctrl-C or SIGTERM.

    Beside a network server that stands already, --advise prints what each device should have: as JSON, or with
    --chirpstack as that server's region configuration. For a `sigfox` gateway it prints the advisory plan.

    With --json virtual transmissions are printed as one line each.
    """
    from spectrum.site_file import one_named, read_site
    from terminal.logs import log_to_stderr
    from terminal.signals import stopped_by_signals

    site = read_site(site_file)
    table = one_named("gateway", gateway, site.gateway, lambda item: item.name)
    if capture is not None and table.radio != "semtech-udp":
        raise BadInput(f"--capture writes Semtech UDP, and the radio of gateway {table.name} is {table.radio}")
    if chirpstack and not advise:
        raise BadInput("--chirpstack chooses what --advise prints: give both")
    log_to_stderr()
    with stopped_by_signals() as stop:
        if advise:
            _advise(site, table, stop, seed, chirpstack)
        elif table.radio == "virtual":
            _run_virtual(site, table, stop, seconds, seed, as_json)
        elif table.radio == "sigfox":
            from gateway_agent.running import run_sigfox

            run_sigfox(site, table, stop, seconds, seed)
        else:
            from gateway_agent.running import run_lorawan

            run_lorawan(site, table, stop, seconds, seed, capture)


def _advise(site: Site, table: GatewayTable, stop: threading.Event, seed: int, chirpstack: bool) -> None:
    if table.radio == "sigfox":
        from gateway_agent.sigfox import advisory_plan

        emit_json(advisory_plan(site))
        return
    from gateway_agent.running import advise

    advice, region = advise(site, table, stop, seed)
    if chirpstack:
        click.echo(region, nl=False)
    else:
        emit_json(advice)


def _run_virtual(
    site: Site, table: GatewayTable, stop: threading.Event, seconds: float | None, seed: int, as_json: bool
) -> None:
    from random import Random

    from gateway_agent.controller_link import ControllerLink
    from gateway_agent.outcomes import outcome_json, outcome_line
    from gateway_agent.traffic import packets, virtual_devices
    from gateway_agent.virtual_radio import VirtualRadio

    devices = virtual_devices(table.devices, table.name)
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
