"""`airshed testbed rtl-tcp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from terminal.command import emit_json, json_option, seed_option

if TYPE_CHECKING:
    from testbed.rtl_tcp_server import Air


@click.command("rtl-tcp")
@click.argument("file", required=False)
@click.option("--synthetic", is_flag=True, help="Play a synthetic busy band, at the rate and centre the client sets.")
@click.option(
    "--scene", "scene_file", metavar="SCENE.toml", help="Play what a sensor of this scene hears, from now on."
)
@click.option("--sensor", "sensor_name", metavar="NAME", help="Which sensor of the scene [default: its first].")
@click.option("--listen", default="127.0.0.1:1234", show_default=True, help="HOST:PORT; port 0 takes a free one.")
@click.option("--rate", "rate_hz", type=float, help="Samples a second of FILE, where its name does not say.")
@click.option("--center", "center_hz", type=float, help="Centre of FILE in Hz, where its name does not say.")
@click.option("--loop/--no-loop", default=True, show_default=True, help="Start FILE over at its end.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End each connection after so long.")
@click.option("--limit-bytes", type=click.IntRange(min=2), help="End each connection after so many bytes.")
@click.option("--pace", type=click.Choice(["real", "flat"]), default="real", show_default=True,
              help="At the pace of the samples, or as fast as the client reads (needs --limit-bytes).")  # fmt: skip
@click.option("--clients", type=click.IntRange(min=1), help="Leave after so many connections.")
@click.option("--unprotected", is_flag=True,
              help="Allow an address outside loopback: rtl_tcp has no authentication and no encryption.")  # fmt: skip
@seed_option
@json_option
def rtl_tcp(
    file: str | None,
    synthetic: bool,
    scene_file: str | None,
    sensor_name: str | None,
    listen: str,
    rate_hz: float | None,
    center_hz: float | None,
    loop: bool,
    seconds: float | None,
    limit_bytes: int | None,
    pace: str,
    clients: int | None,
    unprotected: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Play FILE, a synthetic band, or a sensor of a scene to any rtl_tcp client, as rtl_tcp would play a dongle.

    FILE is a recording in any format that `airshed sense` reads. One client is served at a time. A recording cannot be
    retuned: it plays at its own rate, and a client that asks for another is told so on stderr. A scene's sensor obeys
    rate, centre and gain; nobody steers the scene's devices here (`airshed testbed run` has the whole loop).

    \b
    airshed testbed rtl-tcp shared/recordings/wmbus_c_868.625M_2400k.cu8
    rtl_433 -d rtl_tcp:127.0.0.1:1234 -f 868.625M -s 2400k
    \b
    airshed testbed rtl-tcp --scene hardware/scenes/quiet.toml
    airshed sense rtl_tcp://127.0.0.1:1234 --center 868.0125e6 --gain 43.4 --lorawan
    """
    from contextlib import closing
    from dataclasses import asdict

    from spectrum.errors import BadInput
    from terminal.signals import closed_at, stopped_by_signals
    from testbed.rtl_tcp_server import Limits, OpenedAir, RtlTcpServer, split_listen
    from testbed.twin.ear_source import TwinAir

    given = [name for name, value in (("FILE", file), ("--synthetic", synthetic), ("--scene", scene_file)) if value]
    if len(given) != 1:
        raise BadInput(f"expected one of FILE, --synthetic and --scene, got {' and '.join(given) or 'none of them'}")
    host, port = split_listen(listen)
    air: Air
    if scene_file is not None:
        if pace != "real":
            raise BadInput(
                "a scene plays in real time: --pace flat is for recordings (or use `airshed testbed record`)"
            )
        air = _scene_air(scene_file, sensor_name, seed)
    else:
        air = OpenedAir(file or "synthetic", rate_hz, center_hz, seed)
        air.check()
    limits = Limits(limit_bytes, seconds, real_time=pace == "real")

    def tell(line: str) -> None:
        click.echo(line, err=True)

    server = RtlTcpServer(air, host, port, limits=limits, loop=loop, unprotected=unprotected, tell=tell)
    with closing(server), stopped_by_signals() as stop, closed_at(stop, server):
        tell("listening on {}:{}".format(*server.address))
        for played in server.serve(clients):
            if isinstance(air, TwinAir):
                tell(f"chunks of 10 ms: {air.account()}")
            if as_json:
                emit_json(asdict(played))


def _scene_air(scene_file: str, sensor_name: str | None, seed: int) -> Air:
    """What a sensor of a scene hears while nobody steers the devices; the scene begins now. seed: of its noise."""
    import time

    from testbed.twin.ear_source import Clock, TwinAir
    from testbed.twin.open_loop import open_air
    from testbed.twin.recording import sensor_named
    from testbed.twin.scene import read_scene

    scene = read_scene(scene_file)
    sensor = sensor_named(scene, sensor_name)
    transmissions = open_air(scene)
    air = TwinAir(scene, sensor, transmissions, Clock(lambda: time.monotonic() - start_s, time.sleep), seed)
    air.warm_up()
    start_s = time.monotonic()
    return air
