"""Figures as files: no window, no global state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from spectrum.errors import BadInput, Failed
from terminal.command import progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES: Final = (".png", ".svg", ".pdf")

plot_option = click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the answer to FILE (.png, .svg or .pdf)."
)
figures_option = click.option(
    "--figures",
    type=click.Path(file_okay=False, path_type=Path),
    help="Redraw the figures of the paper into DIR and end; of the other options only --seed applies.",
)


def check_suffix(path: Path) -> None:
    """Refuse a figure's name before the work starts, not after."""
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"a plot ends in {', '.join(SUFFIXES)}, got {path.name!r}: choose one of these endings")


def panels(count: int = 1, width_in: float = 6.4) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in * count, 4.6), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for axis in axes:
        axis.grid(visible=True, alpha=0.3)
    return figure, list(axes)


def save(figure: Figure, path: Path) -> None:
    """Write a figure; a folder that cannot be written to is one line."""
    check_suffix(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise Failed(f"cannot write the plot {path}: {error.strerror or error}") from error


def save_all(drawings: Mapping[str, Callable[[], Figure]], folder: Path) -> list[Path]:
    """Draw and write each named figure into `folder` as PNG; returns the paths."""
    paths = []
    for name, draw in drawings.items():
        path = folder / f"{name}.png"
        save(draw(), path)
        paths.append(path)
    return paths


def redraw(drawings: Mapping[str, Callable[[int], Figure]], folder: Path, seed: int) -> None:
    """Draw the figures of a paper, each a function of the seed, into `folder`; says each path as it is done."""
    with progress("drawing", len(drawings)) as advance:
        for name, draw in drawings.items():
            for path in save_all({name: partial(draw, seed)}, folder):
                click.echo(str(path))
            advance()
