"""`airshed testbed`: what stands in for hardware."""

from __future__ import annotations

from typing import Final

import click

from terminal.command import LazyGroup

COMMANDS: Final = {
    "run": ("testbed.twin.run_command:run", "the whole site of a scene, in real time or faster"),
    "check": ("testbed.twin.check_command:check", "a scene file before it is run"),
    "ear": ("testbed.twin.ear_command:ear", "one sensor's dongle of a running site (the site starts it)"),
    "record": ("testbed.twin.record_command:record", "what a sensor of a scene would hear: SigMF with the truth"),
    "score": ("testbed.twin.score_command:score", "true Pf and Pm of the sensing on such a recording"),
    "rtl-tcp": ("testbed.rtl_tcp_command:rtl_tcp", "an rtl_tcp server that plays a recording or a synthetic scene"),
    "dongle": ("testbed.dongle_command:dongle", "a virtual RTL-SDR dongle for programs that use librtlsdr"),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def testbed() -> None:
    """What stands in for hardware: whole sites made of scenes, an rtl_tcp server and a dongle made of recordings.

    \b
    airshed testbed run hardware/scenes/carrier-868-3.toml
    airshed testbed record hardware/scenes/dozen.toml --seconds 20 --out /tmp/dozen
    airshed testbed score /tmp/dozen.sigmf-meta
    airshed testbed rtl-tcp --synthetic --seconds 60
    airshed sense rtl_tcp://127.0.0.1:1234 --seconds 5
    """
