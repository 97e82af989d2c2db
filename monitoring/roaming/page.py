"""The report: one HTML file that needs nothing else, every figure with its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.roaming.drawing import svg
from monitoring.roaming.figure import Figure


def page(
    title: str,
    summary: Mapping[str, Any],
    figures: Sequence[Figure],
    lists: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    k: int,
) -> str:
    """The whole page. summary: shown as a table. lists: name -> rows of the platform view."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("monitoring.roaming", "."), autoescape=True, trim_blocks=True)
    return environment.get_template("report.html.j2").render(
        title=title,
        summary=[[name.replace("_", " "), _plain(value)] for name, value in summary.items()],
        figures=figures,
        drawings={figure.number: svg(figure) for figure in figures},
        lists={
            name: [list(rows[0]), *(list(row.values()) for row in rows)] if rows else [] for name, rows in lists.items()
        },
        k=k,
        retention_days=summary.get("retention_days", "?"),
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) or "none"
    return str(value)
