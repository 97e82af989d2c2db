"""The report: one HTML file that needs nothing else, every figure with its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from monitoring.roaming.drawing import svg
from monitoring.roaming.figure import Figure

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f23}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem}svg{max-width:100%;height:auto}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{border-bottom:1px solid #d8dee4;padding:.15rem .6rem;text-align:right}
th:first-child,td:first-child,td.text{text-align:left}
details>summary{cursor:pointer;color:#33658a}nav a{margin-right:.6rem}footer{margin-top:3rem;color:#57606a}
"""


def page(
    title: str,
    summary: Mapping[str, Any],
    figures: Sequence[Figure],
    lists: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    k: int,
) -> str:
    """The whole page. summary: shown as a table. lists: name -> rows of the platform view."""
    links = "".join(f'<a href="#figure-{f.number}">{f.number}</a>' for f in figures)
    sections = "".join(_figure(figure) for figure in figures)
    tables = "".join(f"<h2>{escape(name.replace('_', ' '))}</h2>{_records(rows)}" for name, rows in lists.items())
    privacy = (
        f"Rows of fewer than {k} devices are withheld."
        if k > 1
        else "For use inside the operator: small groups are shown."
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{_summary(summary)}"
        f"<nav>Figures: {links}</nav>{sections}{tables}"
        f"<footer>Devices are named by keyed pseudonyms. {privacy} Keep no longer than "
        f"{summary.get('retention_days', '?')} days.</footer></body></html>\n"
    )


def _figure(figure: Figure) -> str:
    drawing = svg(figure) or "<p>Nothing to show: no device is in this group.</p>"
    note = f"<p>{escape(figure.note)}</p>" if figure.note else ""
    table = _table(figure.columns, figure.rows)
    return (
        f'<h2 id="figure-{figure.number}">Figure {figure.number}. {escape(figure.title)}</h2>{drawing}{note}'
        f"<details open><summary>table</summary>{table}</details>"
    )


def _summary(summary: Mapping[str, Any]) -> str:
    rows = [[name.replace("_", " "), _plain(value)] for name, value in summary.items()]
    return _table(("of this run", ""), rows)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) or "none"
    return str(value)


def _records(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "<p>none</p>"
    return _table(tuple(rows[0]), [list(row.values()) for row in rows])


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return "<td></td>"
    return f"<td>{value}</td>" if isinstance(value, (int, float)) else f'<td class="text">{escape(str(value))}</td>'
