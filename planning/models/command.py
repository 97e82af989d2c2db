"""`airshed plan`: gathers the models and imports none before it is called."""

from __future__ import annotations

import os
from typing import Final

import click

from terminal.command import LazyGroup

# name: (module:attribute, what --help says)
MODELS: Final = {
    "latency": ("planning.models.latency_command:latency", "waiting under duty cycle, and the collisions that follow"),
    "capture": ("planning.models.capture_command:capture", "coverage, capture and demodulation paths of one gateway"),
    "collisions": ("planning.models.collisions_command:collisions", "symbol collisions seen by several gateways"),
    "queue": ("planning.models.queue_command:queue", "a loss system with fixed service time and any arrivals"),
    "pool": ("planning.models.pool_command:pool", "a resource pool for periodic reporters and their repetitions"),
    "site": ("planning.models.site_command:site", "all models together for one site file, with what would help"),
}


@click.command(cls=LazyGroup, name="plan", lazy=MODELS, context_settings={"help_option_names": ["-h", "--help"]})
def plan() -> None:
    """How much can a site carry? Each model answers one question and names its assumption and its error.

    Every model takes --json for machines, --plot FILE to look at it, and a simulation as its truth.
    """
    # The systems solved here have a few hundred unknowns at most: threads of the linear algebra only wait for each
    # other, forty times longer than the work takes when the machine is busy. Set before any model imports numpy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
