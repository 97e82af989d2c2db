"""`airshed demo`: the whole loop on one machine, without hardware."""

from __future__ import annotations

import click

from terminal.command import INTERRUPTED, emit_json, json_option, seed_option


@click.command()
@click.option(
    "--scene", "scene_file", metavar="FILE", help="Another scene than hardware/scenes/carrier-868-3.toml for the twin."
)
@click.option("--no-waveforms", is_flag=True, help="Statistical sensors on the twin, for a machine that is too slow.")
@click.option(
    "--recording",
    metavar="FILE",
    help="No twin: sense this recording (cu8, cs8, cs16, cf32, WAV, SigMF), or `synthetic`.",
)
@click.option("--center", "center_hz", type=float, help="Its centre in Hz, where neither SigMF nor its name tells it.")
@click.option("--rate", "rate_hz", type=float, help="Its sample rate in Hz, likewise.")
@click.option("--loop", is_flag=True, help="Play the recording again and again; without it sensing ends with it.")
@click.option(
    "--devices",
    type=click.IntRange(1, 5000),
    help="Twin: LoRaWAN devices, 8 by the scene. Else half LoRa, half SigFox, 50.",
)
@click.option("--seconds", type=click.FloatRange(1, 3600), help="How long devices send: 64 s by the scene, else 20 s.")
@click.option("--attempts", type=click.IntRange(1, 100), default=5, show_default=True, help="N of Algorithm 1.")
@click.option(
    "--backhaul",
    is_flag=True,
    help="No twin: sensor, gateway and controller in namespaces behind one switch. Needs root and Open vSwitch.",
)
@seed_option
@json_option
def demo(
    scene_file: str | None,
    no_waveforms: bool,
    recording: str | None,
    center_hz: float | None,
    rate_hz: float | None,
    loop: bool,
    devices: int | None,
    seconds: float | None,
    attempts: int,
    backhaul: bool,
    seed: int,
    as_json: bool,
) -> int:
    """Run the whole loop on this machine: air -> IQ -> sensing -> database -> controller -> agent -> devices -> air.

    The air is the radio twin's (docs/testbed.md): virtual LoRaWAN devices on a map, a gateway that demodulates by rule,
    two sensors that hear IQ over rtl_tcp. Database, controller, agents and sensors are processes as on a real site.
    After a while a carrier appears on 868.3 MHz. The demo prints the delivery ratio before it, while it disturbs, and
    after the devices were steered away, counted frame by frame. Ctrl-C stops everything.

    With --recording the sensor hears a recording and the devices are virtual ones that ask before each packet. With
    --backhaul the agent reaches the controller and the sensor a private database through Open vSwitch and over mutual
    TLS, see docs/backhaul.md.
    """
    from spectrum.errors import BadInput

    if recording is None and not backhaul:
        if center_hz is not None or rate_hz is not None or loop:
            raise BadInput("--center, --rate and --loop are about a recording: give --recording too")
        return _twin(scene_file, seconds, devices, attempts, seed, waveforms=not no_waveforms, as_json=as_json)
    if scene_file is not None or no_waveforms:
        raise BadInput("--scene and --no-waveforms are about the twin: leave out --recording and --backhaul")
    from terminal.signals import stopped_by_signals
    from testbed.demo import DemoOptions, run_demo
    from testbed.demo_summary import summary_text
    from testbed.demo_view import watching

    options = DemoOptions(recording, center_hz, rate_hz, devices or 50, seconds or 20.0, attempts, seed, loop, backhaul)
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


def _twin(
    scene_file: str | None,
    seconds: float | None,
    devices: int | None,
    attempts: int,
    seed: int,
    *,
    waveforms: bool,
    as_json: bool,
) -> int:
    from pathlib import Path

    from terminal.signals import stopped_by_signals
    from testbed.twin.demo import SCENE, TwinDemoOptions, run_twin_demo
    from testbed.twin.summary import summary_text
    from testbed.twin.view import watching

    place = SCENE if scene_file is None else Path(scene_file)
    options = TwinDemoOptions(place, seconds, devices, attempts, seed, waveforms)
    with stopped_by_signals() as stop, watching(quiet=as_json) as show:
        found = run_twin_demo(options, stop, show, lambda line: None if as_json else click.echo(line, err=True))
    if as_json:
        emit_json(found)
    else:
        click.echo(summary_text(found))
    return INTERRUPTED if stop.is_set() else 0
