"""The `airshed` command: gathers the rooms' subcommands and imports none before it is called."""

from __future__ import annotations

import sys
from typing import Final

import click

from terminal.command import LazyGroup, run

# name: (module:attribute, what --help says)
COMMANDS: Final = {
    "sense": ("sensing.command:sense", "a source -> channel reports, to the site's database or to stdout"),
    "demo": ("testbed.demo_command:demo", "the whole loop on this machine, without hardware"),
    "controller": ("controller.command:controller", "allocates: the SDN controller of a site"),
    "agent": ("gateway_agent.command:agent", "one gateway's agent: asks for its devices and makes them obey"),
    "console": ("console.command:console", "the operator's page: a site on a screen"),
    "check": ("controller.check_command:check", "a site file and this machine, or a dongle, before they are trusted"),
    "status": ("console.status_command:status", "the channel map of a running site, once or live"),
    "allocate": ("controller.command:allocate", "ask for a subchannel, as an application would"),
    "events": ("controller.command:events", "the recorded event stream of a site"),
    "replay": ("controller.command:replay", "repeat recorded decisions and compare them byte for byte"),
    "explain": ("controller.command:explain", "why a device got its subchannel"),
    "certs": ("controller.security_command:certs", "certificates of a development authority, for mutual TLS"),
    "token": ("controller.security_command:token", "a token for the operators' API"),
    "testbed": ("testbed.command:testbed", "what stands in for hardware: an rtl_tcp server, a virtual dongle"),
    "fuse": ("sensing.fuse_command:fuse_command", "one verdict from several sensors, with its Pf and Pm"),
    "map": ("sensing.map_command:map_command", "power between several sensors, with its uncertainty"),
    "simulate": ("planning.simulate.command:simulate", "LoRa and SigFox access, with and without allocation"),
    "plan": ("planning.models.command:plan", "how much a site can carry: latency, capture, collisions, queue, pool"),
    "group": ("planning.grouping.command:group", "periodic devices on the fewest shared lines"),
    "watch": ("monitoring.periodic.command:watch", "a reception trace -> periods, outage, offline devices"),
    "roam": ("monitoring.roaming.command:roam", "network records -> device catalogue, labels, classes"),
}


@click.command(cls=LazyGroup, name="airshed", lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="airshed")
def airshed() -> None:
    """Airshed runs a shared piece of radio spectrum: it measures, allocates, watches and plans."""


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(airshed))


if __name__ == "__main__":
    main()
