"""`airshed testbed ear`: one sensor's dongle of a running site, as a process of its own."""

from __future__ import annotations

import click


@click.command("ear")
@click.option("--sensor", required=True, help="Name of the sensor in the scene.")
@click.option("--listen", required=True, help="HOST:PORT of the rtl_tcp server.")
def ear(sensor: str, listen: str) -> None:
    """Play what one sensor of a scene hears to any rtl_tcp client. A site feeds it through stdin, and starts it itself.

    The first line is the scene, each further one a transmission, as JSON; start_s in seconds since the epoch.
    """
    import sys
    import threading
    import time

    from terminal.signals import closed_at, stopped_by_signals
    from testbed.rtl_tcp_server import RtlTcpServer, split_listen
    from testbed.twin.ear_feed import HEARD_BEHIND_S, FedAir, read_scene_line
    from testbed.twin.ear_source import Clock, TwinAir

    scene = read_scene_line(sys.stdin.readline())
    place = next(one for one in scene.sensors if one.name == sensor)
    began_s = time.time() - HEARD_BEHIND_S
    air = FedAir(began_s)
    with stopped_by_signals() as stop:
        threading.Thread(target=air.follow, args=(sys.stdin, stop), daemon=True).start()
        clock = Clock(lambda: time.time() - HEARD_BEHIND_S - began_s, stop.wait)
        heard = TwinAir(scene, place, air.transmissions_between, clock)
        server = RtlTcpServer(heard, *split_listen(listen))
        heard.warm_up()  # who has connected by now waits for the greeting
        with closed_at(stop, server):
            for played in server.serve():
                click.echo(f"{played.client}: {played.sent_bytes} bytes sent, {played.dropped_bytes} dropped")
