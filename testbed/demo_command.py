"""`airshed demo`: the whole loop on one machine, without hardware."""

from __future__ import annotations

import click

from terminal.command import INTERRUPTED, emit_json, json_option, seed_option


@click.command()
@click.option(
    "--recording", metavar="FILE", help="Sense this recording (cu8, cs8, cs16, cf32, WAV, SigMF), not a scene."
)
@click.option("--center", "center_hz", type=float, help="Its centre in Hz, where neither SigMF nor its name tells it.")
@click.option("--rate", "rate_hz", type=float, help="Its sample rate in Hz, likewise.")
@click.option("--loop", is_flag=True, help="Play the recording again and again; without it sensing ends with it.")
@click.option("--devices", type=click.IntRange(1, 5000), default=50, show_default=True, help="Half LoRa, half SigFox.")
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), default=20.0, show_default=True, help="How long devices send."
)
@click.option("--attempts", type=click.IntRange(1, 100), default=5, show_default=True, help="N of Algorithm 1.")
@click.option(
    "--backhaul",
    is_flag=True,
    help="Put sensor, gateway and controller into network namespaces behind one switch. Needs root and Open vSwitch.",
)
@seed_option
@json_option
def demo(
    recording: str | None,
    center_hz: float | None,
    rate_hz: float | None,
    loop: bool,
    devices: int,
    seconds: float,
    attempts: int,
    backhaul: bool,
    seed: int,
    as_json: bool,
) -> int:
    """Run the whole loop on this machine: IQ -> sensing -> database -> controller -> agent -> devices, and back.

    Sensor, controller and gateway agent are processes of their own; the database is REDIS_URL, else a private
    redis-server that ends with the demo. The devices ask for a subchannel before each packet; at the end the same
    packets are counted with random access. Ctrl-C stops everything. With --backhaul the agent reaches the controller
    and the sensor a private database through Open vSwitch and over mutual TLS, see docs/backhaul.md.
    """
    from terminal.signals import stopped_by_signals
    from testbed.demo import DemoOptions, run_demo
    from testbed.demo_summary import summary_text
    from testbed.demo_view import watching

    options = DemoOptions(recording, center_hz, rate_hz, devices, seconds, attempts, seed, loop, backhaul)
    with stopped_by_signals() as stop, watching(quiet=as_json) as show:
        found = run_demo(options, stop, show)
    if as_json:
        emit_json(found)
    else:
        click.echo(summary_text(found))
        for event in found.get("backhaul", ()):
            at = f" port {event['port']}" if event["port"] else ""
            click.echo(f"switch {event['switch']}{at}: {event['state']} {event['gateway']} ({event['reason']})")
        for host, packets in found.get("backhaul_packets", {}).items():
            click.echo(f"the switch let {packets} packets of {host} through as control traffic")
    return INTERRUPTED if stop.is_set() else 0
