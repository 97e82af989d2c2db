"""Figures E.4 to E.9 of the thesis redrawn, and the same views of a user's own trace; PNG, SVG and CSV of each."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitoring.periodic.evaluation import COUNTS, OFFLINE_AFTER, OFFLINE_COUNTS, OUTAGES, Evaluation
from monitoring.periodic.model import DeviceKpi

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI: Final = 120
BINS: Final = 60
# Colours that people with colour-blindness can tell apart (Okabe and Ito).
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw_evaluation(data: Evaluation, folder: Path) -> list[Path]:
    """All figures into `folder`; returns the files."""
    files: list[Path] = []
    drawings: tuple[tuple[str, Sequence[Any], Callable[[Figure, Evaluation], None]], ...] = (
        ("figure-e4-outage-error", data.errors, _draw_errors),
        ("figure-e5-offline", data.offline, _draw_offline),
        ("figure-e6-time", data.times, _draw_times),
        ("figure-e7-periods", data.fleet, _draw_periods),
        ("figure-e8-outage-cdf", data.fleet, _draw_cdf),
        ("figure-e9-outage-histogram", data.fleet, _draw_histogram),
    )
    for name, rows, draw in drawings:
        figure = _new_figure()
        draw(figure, data)
        files += _save(figure, folder / name)
        files.append(_write_csv(rows, folder / f"{name}.csv"))
    return files


def plot_fleet(devices: Sequence[DeviceKpi], folder: Path) -> list[Path]:
    """Periods, outages and coverage of a trace, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = _new_figure(height=9.0)
    periods, outages, coverage = figure.subplots(3, 1)
    found = [one.period_s for device in devices for one in device.applications]
    _histogram(periods, {"applications": found}, "period (s)")
    known = [one.outage for one in devices if one.outage is not None]
    _histogram(outages, {"devices": known}, "outage")
    curves = {"all gateways": known}
    for name in sorted({gateway for one in devices for gateway in one.gateways}):
        heard = [one.gateways[name].outage if name in one.gateways else 1.0 for one in devices if one.applications]
        curves[name] = [outage for outage in heard if outage is not None]
    _cdf(coverage, curves)
    return _save(figure, folder / "watch")


def _new_figure(height: float = 6.0) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(10.0, height), layout="constrained")


def _save(figure: Figure, stem: Path) -> list[Path]:
    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    for path in paths:
        figure.savefig(path, dpi=DPI)
    return paths


def _write_csv(rows: Sequence[Any], path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if rows:
            writer.writerow([one.name for one in fields(rows[0])])
        writer.writerows(astuple(row) for row in rows)
    return path


def _draw_errors(figure: Figure, data: Evaluation) -> None:
    figure.suptitle("Absolute error of the outage estimate (bars: mean, 95 % interval; crosses: 95th percentile)")
    panels = figure.subplots(2, 2, sharex=True)
    for row, against in enumerate(("nominal", "realised")):
        for column, stream in enumerate(("labelled", "unlabelled")):
            _error_panel(panels[row][column], data, stream, against)


def _error_panel(axes: Axes, data: Evaluation, stream: str, against: str) -> None:
    rows = [one for one in data.errors if one.stream == stream]
    methods = list(dict.fromkeys(one.method for one in rows))
    width = 0.8 / len(methods)
    groups = [(outage, count) for outage in OUTAGES for count in COUNTS]
    for index, method in enumerate(methods):
        mine = {(one.outage, one.count): one for one in rows if one.method == method}
        at = np.arange(len(groups)) + (index - len(methods) / 2 + 0.5) * width
        mean = [getattr(mine[group], against) for group in groups]
        half = [getattr(mine[group], f"{against}_ci95") for group in groups]
        top = [getattr(mine[group], f"{against}_p95") for group in groups]
        axes.bar(at, mean, width, yerr=half, color=COLOURS[index], label=method, error_kw={"lw": 0.8})
        axes.plot(at, top, "x", color="black", ms=3)
    axes.set_xticks(range(len(groups)), [f"{count}" for _, count in groups], fontsize=6)
    axes.set_xlabel("receptions, in groups of outage " + ", ".join(f"{p:g}" for p in OUTAGES))
    axes.set_ylabel(f"error against {against}")
    axes.set_title(stream, fontsize=10)
    axes.legend(fontsize=7)


def _draw_offline(figure: Figure, data: Evaluation) -> None:
    figure.suptitle("Probability that a device is found offline (bands: 95 %; dashed: false alarms per test)")
    panels = figure.subplots(1, len(OFFLINE_COUNTS), sharey=True)
    for axes, count in zip(panels, OFFLINE_COUNTS, strict=True):
        for index, method in enumerate(dict.fromkeys(row.method for row in data.offline)):
            for outage, style in ((0.1, "-"), (0.3, "--"), (0.5, ":")):
                rows = [
                    r for r in data.offline if (r.method, r.outage, r.count) == (method, outage, count) and r.missed
                ]
                axes.plot(OFFLINE_AFTER, [r.probability for r in rows], style, color=COLOURS[index], marker="o", ms=3,
                          label=f"{method}, outage {outage:g}")  # fmt: skip
                axes.fill_between(
                    OFFLINE_AFTER, [r.low for r in rows], [r.high for r in rows], color=COLOURS[index], alpha=0.12
                )
            alarms = [r for r in data.offline if (r.method, r.count, r.missed) == (method, count, 0)]
            axes.axhline(float(np.mean([r.probability for r in alarms])), color=COLOURS[index], ls="--", lw=0.7)
        axes.set_title(f"{count} receptions", fontsize=10)
        axes.set_xlabel("reports since the device stopped")
    panels[0].set_ylabel("probability")
    panels[0].legend(fontsize=6)


def _draw_times(figure: Figure, data: Evaluation) -> None:
    axes = figure.subplots()
    axes.set_title("Mean computation time of a stream (95 % interval)")
    for index, method in enumerate(dict.fromkeys(row.method for row in data.times)):
        rows = [row for row in data.times if row.method == method]
        axes.errorbar([row.count for row in rows], [row.mean_ms for row in rows], [row.ci95_ms for row in rows],
                      color=COLOURS[index % len(COLOURS)], marker="o", ms=4, capsize=2, label=method)  # fmt: skip
    axes.set_yscale("log")
    axes.set_xlabel("receptions of application 1")
    axes.set_ylabel("ms")
    axes.legend(fontsize=8)


def _draw_periods(figure: Figure, data: Evaluation) -> None:
    figure.suptitle("Estimated periods of the smart-meter fleet")
    panels = figure.subplots(1, 2)
    for axes, central in zip(panels, (True, False), strict=True):
        rows = [row for row in data.fleet if (row.perspective == "server") == central and row.method != "naive"]
        hours = {method: [row.period_s / 3600 for row in rows if row.method == method] for method in _methods(rows)}
        shown = {method: [h for h in values if 2.5 <= h <= 6.5] for method, values in hours.items()}
        _histogram(axes, shown, "period (h)")
        axes.set_yscale("log")
        axes.set_title("server" if central else "all concentrators", fontsize=10)


def _draw_cdf(figure: Figure, data: Evaluation) -> None:
    axes = figure.subplots()
    axes.set_title("Outage of each meter as each concentrator and the server see it (all meters; band: 95 %)")
    meters = len({row.meter for row in data.fleet})
    curves = {}
    for perspective in dict.fromkeys(row.perspective for row in data.fleet):
        mine = [r.outage for r in data.fleet if r.perspective == perspective and r.method == "lattice"]
        curves[perspective] = mine + [1.0] * (meters - len(mine))
    _cdf(axes, curves)


def _draw_histogram(figure: Figure, data: Evaluation) -> None:
    figure.suptitle("Estimated outages of the meters")
    panels = figure.subplots(2, 1)
    for axes, perspective in zip(panels, ("server", "C2"), strict=True):
        rows = [row for row in data.fleet if row.perspective == perspective and row.method != "goc"]
        _histogram(axes, {m: [r.outage for r in rows if r.method == m] for m in _methods(rows)}, "outage")
        axes.set_title(perspective, fontsize=10)


def _methods(rows: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(row.method for row in rows))


def _histogram(axes: Axes, values: dict[str, list[float]], label: str) -> None:
    everything = [v for one in values.values() for v in one]
    if not everything:
        axes.text(0.5, 0.5, "nothing to show", ha="center", transform=axes.transAxes)
        return
    edges = np.histogram_bin_edges(everything, bins=BINS)
    for index, (name, one) in enumerate(values.items()):
        axes.hist(one, bins=edges.tolist(), histtype="step", color=COLOURS[index], label=f"{name} ({len(one)})")
    axes.set_xlabel(label)
    axes.set_ylabel("count")
    axes.legend(fontsize=8)


def _cdf(axes: Axes, curves: dict[str, list[float]]) -> None:
    for index, (name, values) in enumerate(curves.items()):
        if not values:
            continue
        ordered = np.sort(values)
        share = np.arange(1, ordered.size + 1) / ordered.size
        colour = COLOURS[index % len(COLOURS)]
        axes.step(ordered, share, where="post", color=colour, label=name)
        # Dvoretzky-Kiefer-Wolfowitz band
        half = float(np.sqrt(np.log(2 / 0.05) / (2 * ordered.size)))
        axes.fill_between(ordered, np.clip(share - half, 0, 1), np.clip(share + half, 0, 1), color=colour, alpha=0.08)
    axes.set_xlabel("outage")
    axes.set_ylabel("share of devices")
    axes.set_ylim(0, 1)
    axes.legend(fontsize=8)
