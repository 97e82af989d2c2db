"""Figures of a site plan: where it is heard, how outage grows with traffic, what limits it, what a change would buy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from planning.models.figures import panels
from planning.models.site_reception import ALL, MECHANISMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from planning.models.site_answer import Change, SiteAnswer


def site_figure(answer: SiteAnswer, found: Sequence[Change]) -> Figure:
    """All four panels in one figure, for `--plot`."""
    figure, axes = panels(4, 5.2)
    for axis, draw in zip(axes, (draw_map, draw_growth, draw_headroom), strict=False):
        draw(axis, answer)
    draw_changes(axes[3], answer, found)
    return figure


def draw_map(axis: Axes, answer: SiteAnswer) -> None:
    """Gateways, and the outage of random access at each point of the groups."""
    most = min(1.0, 1.5 * max(0.01, answer.worst_outage))
    towers = np.array([gateway.position_m for gateway in answer.model.gateways])
    dots = None
    lost = 1.0 - answer.reception.point_success()
    ends = np.cumsum([len(group.points_m) for group in answer.model.groups])
    for group, outage in zip(answer.model.groups, np.split(lost, ends[:-1]), strict=True):
        dots = axis.scatter(
            group.points_m[:, 0], group.points_m[:, 1], s=22, c=outage, cmap="viridis_r", vmin=0.0, vmax=most
        )
        axis.annotate(group.name, tuple(group.points_m.mean(axis=0)), ha="center", fontsize="small")
    axis.scatter(towers[:, 0], towers[:, 1], marker="^", s=90, color="C3")
    if dots is not None and axis.figure is not None:
        axis.figure.colorbar(dots, ax=axis, label="outage of a random frame")
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_xlabel("east, m")
    axis.set_ylabel("north, m")
    axis.set_title("gateways (triangles) and devices")


def draw_growth(axis: Axes, answer: SiteAnswer) -> None:
    """Outage of the worst group against traffic: all together, and each mechanism alone."""
    loads = np.geomspace(0.1, 20.0, 60)
    channels = max(1, len(answer.model.channels) - answer.pool.reserved)
    random = np.array([group.access == "random" for group in answer.model.groups])
    if random.any():
        for name in (*MECHANISMS, "all"):
            chosen = ALL if name == "all" else frozenset({name})
            lost = [1.0 - answer.reception.group_success(load, chosen, channels)[random].min() for load in loads]
            axis.plot(loads, lost, label=name.replace("_", " "), linewidth=2.5 if name == "all" else 1.2)
    axis.axhline(answer.target, color="0.4", linestyle="--", label="target")
    axis.axvline(1.0, color="0.4", linestyle=":")
    axis.set_xscale("log")
    axis.set_xlabel("traffic, multiple of today's")
    axis.set_ylabel("outage of the worst group")
    axis.set_title("what costs frames, alone and together")
    axis.legend(fontsize="small")


def draw_headroom(axis: Axes, answer: SiteAnswer) -> None:
    """How far traffic may grow until each mechanism alone breaks the target."""
    rows = list(reversed(answer.mechanisms))
    lengths = [min(max(row.headroom, 0.01), 1000.0) if math.isfinite(row.headroom) else 1000.0 for row in rows]
    colours = ["C3" if row.name == answer.limiting else "C0" for row in rows]
    axis.barh([row.name.replace("_", " ") for row in rows], lengths, color=colours)
    axis.axvline(1.0, color="0.3", linestyle=":")
    axis.set_xscale("log")
    axis.set_xlim(0.01, 1000.0)
    axis.set_xlabel("headroom (left of 1: over the target today)")
    axis.set_title(f"limiting: {answer.limiting.replace('_', ' ')}")


def draw_changes(axis: Axes, answer: SiteAnswer, found: Sequence[Change]) -> None:
    """Outage of the worst group now and after each change."""
    names = [*(change.name for change in reversed(found)), "today"]
    values = [*(change.after.worst_outage for change in reversed(found)), answer.worst_outage]
    axis.barh(names, values, color=["C2" if value < answer.worst_outage else "C7" for value in values[:-1]] + ["C0"])
    axis.axvline(answer.target, color="0.4", linestyle="--", label="target")
    axis.set_xlabel("outage of the worst group")
    axis.set_title("what a change would buy")
    axis.legend(fontsize="small")
