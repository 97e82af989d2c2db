"""`airshed group generate`: traffic of table III."""

from __future__ import annotations

from pathlib import Path

import click

from spectrum.errors import BadInput
from terminal.command import seed_option

load_option = click.option(
    "--load", type=click.Choice(["low", "medium", "high"]), default="medium", show_default=True,
    help="Table III: 10-15, 15-25 or 25-50 % of the interval is sent in.",
)  # fmt: skip


@click.command()
@click.option("--devices", "count", type=click.IntRange(min=1), default=500, show_default=True)
@load_option
@click.option("--intervals", default="10,20,40", show_default=True, help="Slots, drawn from uniformly.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="DEVICES.csv")
@seed_option
def generate(count: int, load: str, intervals: str, out: Path, seed: int) -> None:
    """Draw traffic as in table III and write DEVICES.csv."""
    import numpy as np

    from planning.grouping import traffic

    drawn = traffic.generate(count, load, np.random.default_rng(seed), intervals=intervals_of(intervals))
    traffic.write_devices(out, drawn)
    click.echo(f"{count} devices, {drawn.utilisation():.2f} lines' worth of traffic, in {out}")


def intervals_of(text: str) -> list[int]:
    """Intervals from a text such as 10,20,40."""
    try:
        values = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise BadInput(f"expected whole slots separated by commas, got {text!r}; for example 10,20,40") from error
    if min(values) < 1:
        raise BadInput(f"expected intervals of at least 1 slot, got {text!r}")
    return values
