"""`airshed group figures`: figures 9-15 as pictures and as one table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, progress, seed_option

if TYPE_CHECKING:
    from planning.grouping.figures import Row


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("figures"), show_default=True, metavar="DIR",
              help="Receives figure-9.png ... figure-15.png and figures.csv.")  # fmt: skip
@click.option("--figure", "numbers", type=click.IntRange(9, 15), multiple=True, help="Only this one; repeatable.")
@click.option(
    "--runs", type=click.IntRange(min=2), default=5, show_default=True, help="Networks a point; the paper: 20."
)
@click.option("--moments", type=click.IntRange(min=1), default=10, show_default=True, help="The paper: 100.")
@click.option("--sizes", default="5,10,15,20,25", show_default=True, help="M of figure 9; the paper: 5 to 50.")
@click.option("--dynamic-sizes", default="5,10", show_default=True, help="M of figure 10; the paper: 5 to 25.")
@click.option(
    "--devices", type=click.IntRange(min=10), default=500, show_default=True, help="Largest M of figures 12-15."
)
@click.option("--with-best", is_flag=True, help="Add the default method to figures 12-15 (about 1 s a moment).")
@seed_option
@json_option
def figures(
    out: Path, numbers: tuple[int, ...], runs: int, moments: int, sizes: str, dynamic_sizes: str, devices: int,
    with_best: bool, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Redraw figures 9-15 with 95 % confidence intervals over independent networks.

    The defaults take a quarter of an hour or more on one core (--figure redraws one); the paper's own take hours:
    --runs 20 --moments 100 --sizes 5,10,15,20,25,30,40,50 --dynamic-sizes 5,10,15,20,25.
    """
    from planning.grouping.figures import FIGURES, HEURISTICS, Effort, measure, points
    from planning.grouping.generate_command import intervals_of

    methods = (*HEURISTICS, "best") if with_best else HEURISTICS
    effort = Effort(runs, moments, tuple(intervals_of(sizes)), tuple(intervals_of(dynamic_sizes)), devices, methods)
    chosen = numbers or tuple(FIGURES)
    work = [(number, point) for number in chosen for point in points(number, effort)]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"expected a folder to write to, cannot make {out}: {error}") from error
    rows: list[Row] = []
    with progress("measuring", len(work), quiet=as_json) as advance:
        for number, point in work:
            rows += measure(number, point, effort, seed)
            advance()
    _write(out / "figures.csv", rows)
    for number in chosen:
        draw(out / f"figure-{number}.png", [row for row in rows if row.figure == number])
    if as_json:
        emit_json({"rows": [_record(row) for row in rows]})
    else:
        click.echo(f"{len(chosen)} figures and figures.csv with {len(rows)} means in {out}")


def _record(row: Row) -> dict[str, Any]:
    return {
        "figure": row.figure,
        "panel": row.panel,
        "measure": row.measure,
        "series": row.series,
        "x": row.x,
        "mean": row.value.mean,
        "half_width": row.value.half,
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
                axes.legend(fontsize=6)
    figure.suptitle(f"Figure {rows[0].figure}")
    figure.savefig(path)
