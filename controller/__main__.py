"""`python -m controller SITE.toml` runs the controller; the same as `airshed controller SITE.toml`."""

from __future__ import annotations

import sys

import click

from controller.command import controller
from terminal.command import run

group = click.Group(name="controller", commands={"controller": controller})

if __name__ == "__main__":
    sys.exit(run(group, ["controller", *sys.argv[1:]]))
