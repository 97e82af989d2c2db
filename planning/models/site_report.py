"""The report of a site plan as one HTML file that needs nothing else: tables, and figures as SVG inside."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from planning.models.figures import panels
from planning.models.site_figures import draw_changes, draw_growth, draw_headroom, draw_map
from planning.models.site_opinions import opinions
from spectrum.errors import BadInput, Failed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from planning.models.site_answer import Change, SiteAnswer

STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd }
th { text-align: left } td.number { text-align: right; font-variant-numeric: tabular-nums }
.bad { color: #a40000 } .good { color: #116611 } figure { margin: 1rem 0 } svg { max-width: 100%; height: auto }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } svg { background: #fff } }
"""

ASSUMPTIONS: Final = (
    "Rayleigh fading, path-loss exponent 4, 14 dBm, thresholds of paper B; no shadowing, no terrain.",
    "Poisson traffic on channels drawn at random; interference is summed over all frames that overlap.",
    "Gateways that hear the same interferer fail together; their fading is independent.",
    "Waiting for the duty cycle after paper A; demodulation paths as a loss system (Erlang-B).",
    "Pools are dimensioned with the normal law of the load; grants and feedback cost nothing.",
    "Others occupy their channels in exponential bursts and destroy every frame they touch.",
)


def write_report(path: Path, answer: SiteAnswer, found: Sequence[Change], source: str) -> None:
    """Write the report; Failed when the disk refuses."""
    try:
        path.write_text(report_html(answer, found, source), encoding="utf-8")
    except OSError as error:
        raise Failed(f"cannot write the report {path}: {error.strerror or error}") from None


def check_report_path(path: Path) -> None:
    """BadInput for a name that is no HTML file in a folder that is there, before the work is done."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise BadInput(f"a report ends in .html, got {path.name!r}")
    if not path.parent.is_dir():
        raise BadInput(f"the folder of the report does not exist: {path.parent}")


def report_html(answer: SiteAnswer, found: Sequence[Change], source: str) -> str:
    """The whole page."""
    verdict = "good" if answer.worst_outage <= answer.target else "bad"
    name = escape(answer.model.name)
    parts = [
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>Plan of {name}</title>",
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style></head><body>",
        f"<h1>Plan of {name}</h1>",
        f"<p>Outage <b>{_percent(answer.outage)}</b> of all reports, <b class={verdict}>"
        f"{_percent(answer.worst_outage)}</b> in the worst group (target {_percent(answer.target)}). "
        f"Headroom <b>{_times(answer.headroom)}</b>: the multiple of today's traffic at which a limit is reached. "
        f"The limit is <b>{escape(answer.limiting.replace('_', ' '))}</b>. Occupancy: {escape(source)}.</p>",
        "<h2>Groups</h2>",
        _groups(answer),
        _figure(lambda axis: draw_map(axis, answer)),
        "<h2>What limits the site</h2>",
        _mechanisms(answer),
        _figure(lambda axis: draw_growth(axis, answer)),
        _figure(lambda axis: draw_headroom(axis, answer)),
        "<h2>What would help</h2>",
        _changes(answer, found),
        _figure(lambda axis: draw_changes(axis, answer, found)),
        "<h2>Gateways</h2>",
        _gateways(answer),
        _pool(answer),
        "<h2>What the single models say</h2>",
        _opinions(answer),
        "<h2>What is assumed</h2><ul>",
        *(f"<li>{escape(line)}</li>" for line in ASSUMPTIONS),
        "</ul></body></html>",
    ]
    return "\n".join(parts)


def _groups(answer: SiteAnswer) -> str:
    rows = [
        [group.name, group.devices, group.access, _percent(outage), _seconds(latency)]
        for group, outage, latency in zip(
            answer.model.groups, answer.outage_per_group, answer.latency_per_group_s, strict=True
        )
    ]
    return _table(["group", "devices", "access", "outage", "latency"], rows)


def _mechanisms(answer: SiteAnswer) -> str:
    rows = [[m.name.replace("_", " "), _times(m.headroom), _percent(m.relief)] for m in answer.mechanisms]
    return _table(["mechanism", "headroom by itself", "outage of the worst group falls without it by"], rows)


def _changes(answer: SiteAnswer, found: Sequence[Change]) -> str:
    rows = [["today", "", _percent(answer.worst_outage), _percent(answer.outage), _times(answer.headroom)]]
    rows += [
        [c.name, c.detail, _percent(c.after.worst_outage), _percent(c.after.outage), _times(c.after.headroom)]
        for c in found
    ]
    return _table(["change", "", "worst group", "all reports", "headroom"], rows)


def _gateways(answer: SiteAnswer) -> str:
    rows = [
        [gateway.name, gateway.paths, f"{load:.3g}", _percent(drop)]
        for gateway, load, drop in zip(
            answer.model.gateways, answer.reception.path_loads, answer.reception.drops(), strict=True
        )
    ]
    return _table(["gateway", "paths", "load, erlang", "frames without a path"], rows)


def _pool(answer: SiteAnswer) -> str:
    if not answer.pool.slots:
        return ""
    rows = [[name, slots] for name, slots in answer.pool.slots.items()]
    note = f"<p class=bad>{escape(answer.pool.infeasible)}</p>" if answer.pool.infeasible else ""
    kept = f"<p>{answer.pool.reserved} subchannels reserved ({answer.pool.subchannels:.3g} used).</p>"
    return "<h2>Pool</h2>" + note + kept + _table(["group", "slots an interval"], rows)


def _opinions(answer: SiteAnswer) -> str:
    said = opinions(answer)
    rows = [
        [name, "paper C: shared collisions, no capture", _percent(value)] for name, value in said["collisions"].items()
    ]
    rows += [[name, "paper B: one gateway in a disc", _percent(value)] for name, value in said["capture"].items()]
    return _table(["group or gateway", "model", "outage"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    cells = "".join(f"<th>{escape(word)}</th>" for word in head)
    lines = [f"<tr>{cells}</tr>"]
    for row in rows:
        words = (
            f"<td{'' if index == 0 else ' class=number'}>{escape(str(word))}</td>" for index, word in enumerate(row)
        )
        lines.append(f"<tr>{''.join(words)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _figure(draw: Callable[[Axes], None]) -> str:
    figure, (axis,) = panels(1)
    draw(axis)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return f"<figure>{svg[svg.index('<svg') :]}</figure>"


def _percent(share: float) -> str:
    return "below 0.001 %" if 0.0 < share < 1e-5 else f"{100 * share:.3g} %"


def _times(factor: float) -> str:
    return "any" if math.isinf(factor) else f"{factor:.3g}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if math.isfinite(seconds) else "grows without end (duty cycle)"
