"""Figures as inline SVG, drawn by matplotlib."""

from __future__ import annotations

import io
import re
from typing import Any, Final

from monitoring.roaming.figure import SHARES, Figure

WIDTH_IN: Final = 7.2
HEIGHT_IN: Final = 3.4
MOST_BARS: Final = 30


def svg(figure: Figure) -> str:
    """The figure as an <svg> element; an empty string when there is nothing to draw."""
    if not figure.rows:
        return ""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    axes = canvas.subplots()
    {"bars": _bars, "heatmap": _heatmap, "curves": _curves}[figure.chart](axes, figure)
    buffer = io.StringIO()
    # The salt makes identifiers inside the SVG the same on every run, and different between figures of one page.
    with matplotlib.rc_context({"svg.hashsalt": figure.number, "svg.fonttype": "none"}):
        canvas.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return re.sub(r"\A.*?(?=<svg)", "", text, flags=re.DOTALL)


def _curves(axes: Any, figure: Figure) -> None:
    for name, values in figure.curves.items():
        axes.plot(values, SHARES, label=name, linewidth=1.4)
    if figure.log:
        axes.set_xscale("symlog", linthresh=_smallest(figure))
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of devices")
    axes.grid(alpha=0.3)
    if figure.curves:
        axes.legend(fontsize=8)


def _smallest(figure: Figure) -> float:
    positive = [value for curve in figure.curves.values() for value in curve if value > 0]
    return float(max(min(positive, default=1.0), 1e-3))


def _bars(axes: Any, figure: Figure) -> None:
    """A bar a row for each column of percents, or for the counts when there is none."""
    rows = figure.rows[:MOST_BARS]
    place = next(index for index, value in enumerate(rows[0]) if isinstance(value, (int, float)))
    shown = [index for index, name in enumerate(figure.columns) if name.startswith("percent")] or [place]
    names = [" ".join(str(part) for part in row[:place]) for row in rows]
    width = 0.8 / len(shown)
    for number, column in enumerate(shown):
        left = [index + (number - (len(shown) - 1) / 2) * width for index in range(len(rows))]
        axes.bar(left, [row[column] or 0 for row in rows], width, label=figure.columns[column])
    axes.set_xticks(range(len(rows)), names, rotation=60, ha="right", fontsize=7)
    if len(shown) > 1:
        axes.legend(fontsize=8)
    else:
        axes.set_ylabel(figure.columns[shown[0]])


def _heatmap(axes: Any, figure: Figure) -> None:
    import numpy as np

    first = list(dict.fromkeys(row[0] for row in figure.rows))
    second = list(dict.fromkeys(row[1] for row in figure.rows))
    cells = np.zeros((len(first), len(second)))
    for row in figure.rows:
        cells[first.index(row[0]), second.index(row[1])] = row[-1]
    axes.imshow(cells, aspect="auto", cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(second)), second, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(first)), first, fontsize=8)
    if cells.size <= 100:
        for (y, x), value in np.ndenumerate(cells):
            axes.text(
                x, y, f"{value:.1f}", ha="center", va="center", fontsize=7, color="white" if value > 60 else "black"
            )
