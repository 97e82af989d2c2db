"""`airshed group figures`: figures 9-15 as pictures and as tables."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, progress, seed_option

if TYPE_CHECKING:
    from planning.grouping.figures import Effort, Row


# name: (default, the paper's own)
EFFORT: Final = {
    "runs": ("5", "20"),
    "moments": ("20", "100"),
    "exact_moments": ("5", "100"),
    "sizes": ("5,10,15,20,25,30,40,50", "5,10,15,20,25,30,40,50"),
    "dynamic_sizes": ("5,10", "5,10,15,20,25"),
}


def _effort_option(name: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    usual, paper = EFFORT[name]
    told = f"{what}  [default: {usual}; --full: {paper}]"
    kind = None if "," in usual else click.IntRange(min=2 if name == "runs" else 1)
    return click.option(f"--{name.replace('_', '-')}", name, type=kind, help=told)


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("figures"), show_default=True, metavar="DIR",
              help="Receives figure-9.png, figure-9.csv, ... and runs.jsonl.")  # fmt: skip
@click.option("--figure", "numbers", type=click.IntRange(9, 15), multiple=True, help="Only this one; repeatable.")
@click.option("--full", is_flag=True, help="The paper's own effort, about two hundred times the default's.")
@_effort_option("runs", "Networks a point.")
@_effort_option("moments", "Changes of a network in figures 12-15.")
@_effort_option("exact_moments", "Changes of a network in figure 10, which solves ILP-DA at each.")
@_effort_option("sizes", "M of figure 9.")
@_effort_option("dynamic_sizes", "M of figure 10.")
@click.option(
    "--devices", type=click.IntRange(min=10), default=500, show_default=True, help="Largest M of figures 12-15."
)
@click.option("--with-best", is_flag=True, help="Add the default method to figures 12-15 (0.1 to 0.3 s a moment).")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
@seed_option
@json_option
def figures(
    out: Path, numbers: tuple[int, ...], devices: int, with_best: bool, workers: int | None, seed: int, as_json: bool,
    **effort: Any,
) -> None:  # fmt: skip
    """Redraw figures 9-15 with 95 % confidence intervals over independent networks.

    The defaults take a few minutes on one core. Every run is kept in runs.jsonl as soon as it is done: broken off, or
    asked for more runs, moments or figures, the command measures only what is missing there.
    """
    from planning.grouping.campaign import Store, carry_out, longest
    from planning.grouping.figures import FIGURES, rows_of, tasks_of

    spent = _effort_of(effort, devices, with_best)
    chosen = numbers or tuple(FIGURES)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"expected a folder to write to, cannot make {out}: {error}") from error
    store = Store(out / "runs.jsonl")
    tasks = [task for number in chosen for point in FIGURES[number][0](spent) for task in tasks_of(point, spent, seed)]
    total = sum(task.setting.moments + 1 for task in longest(tasks))
    with progress("measuring moments", total, quiet=as_json) as advance:
        carry_out(tasks, store, workers or os.cpu_count() or 1, advance)
    rows = {number: rows_of(number, spent, seed, store) for number in chosen}
    for number in chosen:
        _write(out / f"figure-{number}.csv", rows[number])
        draw(out / f"figure-{number}.png", rows[number])
    if as_json:
        emit_json({"rows": [_record(row) for number in chosen for row in rows[number]]})
    else:
        click.echo(f"{len(chosen)} figures, each with its means as CSV, in {out}")


def _effort_of(asked: dict[str, Any], devices: int, with_best: bool) -> Effort:
    from planning.grouping.figures import HEURISTICS, Effort
    from planning.grouping.generate_command import intervals_of

    full = asked.pop("full")
    chosen = {name: asked[name] or EFFORT[name][full] for name in EFFORT}
    return Effort(
        runs=int(chosen["runs"]),
        moments=int(chosen["moments"]),
        exact_moments=int(chosen["exact_moments"]),
        sizes=tuple(intervals_of(chosen["sizes"])),
        dynamic_sizes=tuple(intervals_of(chosen["dynamic_sizes"])),
        largest=devices,
        methods=(*HEURISTICS, "best") if with_best else HEURISTICS,
    )


def _record(row: Row) -> dict[str, Any]:
    return {
        "figure": row.figure,
        "panel": row.panel,
        "measure": row.measure,
        "series": row.series,
        "x": row.x,
        "mean": row.value.mean,
        "half_width": row.value.half,
        "runs": row.runs,
        "moments": row.moments,
    }


def _write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(_record(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(_record(row) for row in rows)


def draw(path: Path, rows: list[Row]) -> None:
    """One picture a figure: a column for every panel, a row for every measure, bars for the confidence intervals."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    panels, measures = list(dict.fromkeys(r.panel for r in rows)), list(dict.fromkeys(r.measure for r in rows))
    figure = Figure(figsize=(4.6 * len(panels), 3.6 * len(measures)), layout="constrained")
    grid = figure.subplots(len(measures), len(panels), squeeze=False)
    for i, name in enumerate(measures):
        for j, panel in enumerate(panels):
            axes = grid[i][j]
            mine = [row for row in rows if row.measure == name and row.panel == panel]
            places = {x: place for place, x in enumerate(dict.fromkeys(row.x for row in mine))}
            for series in dict.fromkeys(row.series for row in mine):
                line = [row for row in mine if row.series == series]
                axes.errorbar(
                    [places[row.x] for row in line], [row.value.mean for row in line],
                    yerr=[row.value.half for row in line], marker="o", markersize=3, capsize=2, label=series,
                    linestyle="--" if "no shifts" in series else "-",
                )  # fmt: skip
            axes.set_xticks(list(places.values()), list(places), fontsize=7)
            axes.set_title(panel)
            axes.set_ylabel(name)
            axes.grid(alpha=0.3)
            if i == 0:
                axes.legend(fontsize=6, loc="lower right")  # "best" warns when drawing is slow
    figure.suptitle(f"Figure {rows[0].figure}: means of {rows[0].runs} networks, 95 % confidence intervals")
    figure.savefig(path, dpi=70)
