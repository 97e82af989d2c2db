"""The timelines of the lines as a picture: one row a line, one bar a transmission."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from planning.grouping.assignment import Assignment
from planning.grouping.traffic import Traffic
from spectrum.errors import BadInput

# More rows or bars than this cannot be told apart in a picture.
MOST_LINES: Final = 60
MOST_SLOTS: Final = 2000


def draw_lines(path: Path, traffic: Traffic, assignment: Assignment, guard: int = 0) -> None:
    """Draw the first MOST_LINES lines over the common timeline (at most MOST_SLOTS slots of it).

    Colour tells the interval, a paler tail the guard; the name stands in the first bar of a device.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    numbers = sorted(set(assignment.line))[:MOST_LINES]
    row = {number: place for place, number in enumerate(numbers)}
    horizon = min(traffic.timeline_slots(), MOST_SLOTS)
    intervals = np.unique(traffic.interval).tolist()
    colours = mpl.colormaps["viridis"](np.linspace(0.1, 0.7, len(intervals)))
    figure = Figure(figsize=(12, 1.5 + 0.28 * len(numbers)), layout="constrained")
    axes = figure.subplots()
    for device, number in enumerate(assignment.line):
        if number not in row:
            continue
        interval, duration = int(traffic.interval[device]), int(traffic.duration[device])
        begin = (int(traffic.start[device]) + assignment.shift[device]) % interval
        colour = colours[intervals.index(interval)]
        starts = range(begin - interval, horizon, interval)
        bars = [(max(0, s), min(s + duration, horizon) - max(0, s)) for s in starts if s + duration > 0]
        tails = [(s + duration, guard) for s in starts if guard and 0 <= s + duration < horizon]
        axes.broken_barh(bars, (row[number] - 0.4, 0.8), facecolors=colour, edgecolor="white", linewidth=0.5)
        axes.broken_barh(tails, (row[number] - 0.4, 0.8), facecolors=colour, alpha=0.3)
        if len(numbers) <= 25 and bars:
            axes.text(bars[0][0] + 0.1, row[number], traffic.names[device], va="center", fontsize=6, color="white")
    for place, interval in enumerate(intervals[:12]):
        axes.plot([], [], color=colours[place], linewidth=6, label=f"every {interval} slots")
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    axes.set(xlim=(0, horizon), ylim=(len(numbers) - 0.5, -0.5), xlabel="slot", ylabel="line")
    axes.set_yticks(range(len(numbers)), [str(number) for number in numbers], fontsize=7)
    hidden = assignment.lines - len(numbers)
    axes.set_title(f"{len(traffic)} devices on {assignment.lines} lines" + (f" ({hidden} not shown)" if hidden else ""))
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot draw {path}: {error}; expected a writable .png, .svg or .pdf") from error
