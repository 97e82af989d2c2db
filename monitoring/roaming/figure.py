"""A figure of the report: its table first, the drawing after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from monitoring.roaming.engine import Engine

# Cumulative shares at which a distribution is read.
SHARES: Final = tuple(step / 100 for step in range(101))
SHOWN_SHARES: Final = (0.05, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)


@dataclass(frozen=True)
class Figure:
    """number: as in the paper, with a letter for a part. chart: "bars", "heatmap" or "curves".

    columns, rows: the table. curves: {group: the value at each of SHARES}. devices: how many each row stands for, None
    where rows stand for no devices; rows of fewer than k are withheld from k-anonymous output.
    """

    number: str
    title: str
    chart: str
    columns: tuple[str, ...]
    rows: list[list[Any]]
    curves: dict[str, list[float]] = field(default_factory=dict)
    log: bool = False
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "figure": self.number,
            "title": self.title,
            "columns": list(self.columns),
            "rows": self.rows,
            "note": self.note,
        }

    def withheld(self, k: int) -> Figure:
        """Without rows that stand for fewer than k devices (and without their curves)."""
        if k <= 1 or "devices" not in self.columns:
            return self
        place = self.columns.index("devices")
        rows = [row for row in self.rows if row[place] >= k]
        kept = {str(row[0]) for row in rows}
        gone = len(self.rows) - len(rows)
        note = f"{self.note} {gone} rows of fewer than {k} devices withheld.".strip() if gone else self.note
        curves = {name: curve for name, curve in self.curves.items() if name in kept}
        return Figure(self.number, self.title, self.chart, self.columns, rows, curves, self.log, note)


def distribution(
    engine: Engine,
    number: str,
    title: str,
    value: str,
    groups: Mapping[str, str],
    *,
    source: str = "classes",
    log: bool = False,
) -> Figure:
    """Quantiles of `value` over the devices of each group ({name: condition}); one query, for Spark's sake."""
    rows: list[list[Any]] = []
    curves: dict[str, list[float]] = {}
    chosen = " UNION ALL ".join(
        f"SELECT {place} AS place, CAST({value} AS DOUBLE) AS v FROM {source} WHERE {condition}"
        for place, condition in enumerate(groups.values())
    )
    names = list(groups)
    select = f"SELECT place, count(v), avg(v), {engine.quantiles('v', SHARES)} FROM ({chosen}) x GROUP BY place"
    for place, count, mean, curve in sorted(engine.rows(select), key=lambda row: int(row[0])):
        if count:
            curves[names[place]] = list(curve)
            rows.append(
                [names[place], count, _short(mean), *(_short(curve[round(100 * share)]) for share in SHOWN_SHARES)]
            )
    columns = ("group", "devices", "mean", *(f"p{round(100 * share)}" for share in SHOWN_SHARES))
    return Figure(number, title, "curves", columns, rows, curves, log)


def cross(
    number: str, title: str, first: str, second: str, counts: Sequence[tuple[str, str, int]], *, normalise: str
) -> Figure:
    """A heatmap of counts by two names, one row a cell; `normalise` says which of the two sums to 100 %."""
    totals: dict[str, int] = {}
    for a, b, count in counts:
        totals[a if normalise == first else b] = totals.get(a if normalise == first else b, 0) + count
    rows = [[a, b, count, _short(100 * count / totals[a if normalise == first else b])] for a, b, count in counts]
    return Figure(number, title, "heatmap", (first, second, "devices", f"percent of {normalise}"), rows)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
