"""The radio environment map as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sensing.environment_map import PowerMap


def save_png(maps: Sequence[PowerMap], path: Path) -> None:
    """Power beside its uncertainty, one row a subchannel, the sensors as dots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.6 * len(maps)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(maps), 2, squeeze=False)
    for (left, right), power_map in zip(axes, maps, strict=True):
        panels = (
            (left, power_map.power_db, "viridis", f"power in {power_map.unit}"),
            (right, power_map.deviation_db, "magma", "one standard deviation in dB"),
        )
        for panel, values, colours, label in panels:
            mesh = panel.pcolormesh(power_map.east_m, power_map.north_m, values, cmap=colours, shading="nearest")
            figure.colorbar(mesh, ax=panel, label=label)
            panel.scatter(*power_map.model.positions.T, s=18, c="white", edgecolors="black")
            for name, (east, north) in zip(power_map.sensors, power_map.model.positions, strict=True):
                panel.annotate(
                    name, (east, north), xytext=(4, 4), textcoords="offset points", fontsize=7, color="white"
                )
            if power_map.model.transmitter is not None:
                panel.plot(*power_map.model.transmitter, marker="^", color="red", markeredgecolor="white")
            panel.set(aspect="equal", xlabel="east (m)", ylabel="north (m)")
        left.set_title(f"{power_map.subchannel_hz / 1e6:.4f} MHz, trend: {power_map.model.trend}")
    figure.savefig(path, dpi=110)
