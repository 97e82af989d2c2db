"""Drawing: curves over the number of devices, as PNG, SVG and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from planning.simulate.files import write_table

SIZE_IN: Final = (6.4, 4.2)
DOTS_PER_INCH: Final = 120
MARKERS: Final = "osv^Dx+*"


@dataclass(frozen=True, slots=True)
class Curve:
    """Values with their 95 % intervals over x; low and high may hold NaN."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the report: what it shows and its curves."""

    name: str
    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log_x: bool = False


def table_of(figure: Figure) -> dict[str, list[Any]]:
    """The data file of a figure: one row per curve and x."""
    columns: dict[str, list[Any]] = {"curve": [], figure.x_label: [], figure.y_label: [], "low95": [], "high95": []}
    for curve in figure.curves:
        for x, y, low, high in zip(curve.x, curve.y, curve.low, curve.high, strict=True):
            for column, value in zip(columns.values(), (curve.label, x, y, low, high), strict=True):
                column.append(value)
    return columns


def draw(figure: Figure, folder: Path) -> dict[str, Path]:
    """Write NAME.png, NAME.svg and NAME.csv into a folder; returns the paths by ending."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas

    paths = {ending: folder / f"{figure.name}.{ending}" for ending in ("png", "svg", "csv")}
    # A fixed salt and no date: the same numbers give the same file.
    with rc_context({"svg.hashsalt": figure.name, "svg.fonttype": "none"}):
        canvas = Canvas(figsize=SIZE_IN, dpi=DOTS_PER_INCH, layout="constrained")
        axes = canvas.subplots()
        for number, curve in enumerate(figure.curves):
            below = [y - low if low == low else 0.0 for y, low in zip(curve.y, curve.low, strict=True)]
            above = [high - y if high == high else 0.0 for y, high in zip(curve.y, curve.high, strict=True)]
            axes.errorbar(
                curve.x, curve.y, yerr=[below, above], label=curve.label, marker=MARKERS[number % len(MARKERS)],
                markersize=4, linewidth=1.2, capsize=2,
            )  # fmt: skip
        axes.set(title=figure.title, xlabel=figure.x_label, ylabel=figure.y_label)
        if figure.log_x:
            axes.set_xscale("log")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        canvas.savefig(paths["png"])
        canvas.savefig(paths["svg"], metadata={"Date": None})
    write_table(paths["csv"], table_of(figure))
    return paths


def curve_from(label: str, x: Sequence[float], reports: Sequence[Mapping[str, Any]], measure: str) -> Curve:
    """A measure of one report per x, with its interval."""
    intervals = [report["ci95"][measure] for report in reports]
    return Curve(
        label,
        x,
        [report[measure] for report in reports],
        [low for low, _ in intervals],
        [high for _, high in intervals],
    )
