"""What `airshed watch` does, once its options are read: report on a trace, make one, evaluate the methods."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from monitoring.periodic.batch import Settings, Watched, watch_trace
from monitoring.periodic.fleet import fleet_kpi, gateway_summaries, helped_by_gateway
from monitoring.periodic.printing import print_table
from monitoring.periodic.timetable import timetable, write_timetable
from monitoring.periodic.trace import read_trace
from spectrum.errors import BadInput, Failed
from terminal.command import emit_json, progress


@dataclass(frozen=True, slots=True)
class _Options:
    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """The options of this task among all of the command's."""
        return cls(**{one.name: options[one.name] for one in fields(cls)})


@dataclass(frozen=True, slots=True)
class ReportOptions(_Options):
    """Options of a report on a trace; see the command for their meaning."""

    as_json: bool
    false_alarm: float
    method: str
    known: Path | None
    now: str | None
    unit: str
    timezone: str
    merge_s: float
    least_receptions: int
    summary: Path | None
    timetable: Path | None
    slot_s: float
    plot: Path | None


@dataclass(frozen=True, slots=True)
class SyntheticOptions(_Options):
    """Options of a synthetic trace."""

    as_json: bool
    out: Path | None
    devices: int | None
    receptions: int | None
    applications: int
    labelled: bool
    outage: float
    second: str
    seed: int


@dataclass(frozen=True, slots=True)
class EvaluateOptions(_Options):
    """Options of the evaluation."""

    as_json: bool
    out: Path | None
    runs: int
    seed: int


def report(path: Path, options: ReportOptions) -> None:
    """Read a trace, analyse it, print devices; write what was asked for beside."""
    zone = _zone(options.timezone)
    trace = read_trace(path, options.unit, zone)
    settings = Settings(
        false_alarm=options.false_alarm,
        merge_s=options.merge_s,
        least_receptions=options.least_receptions,
        now_s=None if options.now is None else _moment_s(options.now, zone),
        method=options.method,
        known=_known(options.known),
    )
    with progress("devices", len(trace.devices)) as advance:
        watched = watch_trace(trace, settings, advance)
    for sentence in watched.notes.sentences():
        click.echo(f"airshed watch: {sentence}", err=True)
    _write_beside(watched, options)
    if options.as_json:
        for device in watched.devices():
            emit_json(device.as_json())
    else:
        print_table(watched)


def _write_beside(watched: Watched, options: ReportOptions) -> None:
    if options.summary is not None:
        options.summary.write_text(json.dumps(summary(watched), indent=1) + "\n", encoding="utf-8")
    if options.timetable is not None:
        rows, left_out = timetable(watched.devices(), options.slot_s)
        write_timetable(rows, options.timetable)
        said = (
            f"{len(rows)} rows in {options.timetable}, {len(left_out)} devices left out (no period, offline, or jitter)"
        )
        click.echo(f"airshed watch: {said}", err=True)
    if options.plot is not None:
        from monitoring.periodic.figures import plot_fleet

        plot_fleet(list(watched.devices()), options.plot)


def summary(watched: Watched) -> dict[str, Any]:
    """The fleet in numbers: totals, coverage by gateway, whom a new gateway would help, notes on the trace."""
    devices = list(watched.devices())
    groups: dict[str, list[str]] = {}
    for one in devices:
        for group in one.groups:
            groups.setdefault(group, []).append(one.device)
    notes = watched.notes
    return {
        "now_s": watched.now_s,
        "fleet": fleet_kpi(devices).as_json(),
        "gateways": [
            {name: getattr(one, name) for name in one.__dataclass_fields__} for one in gateway_summaries(devices)
        ],
        "helped_by_gateway": [
            {name: getattr(one, name) for name in one.__dataclass_fields__} for one in helped_by_gateway(devices)[:100]
        ],
        "groups": groups,
        "notes": {name: getattr(notes, name) for name in notes.__dataclass_fields__},
    }


def _known(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    from monitoring.periodic.known import read_known

    return read_known(path)


def _zone(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(f"expected --timezone as in the tz database, e.g. Europe/Paris, got {name}") from error


def _moment_s(text: str, zone: tzinfo) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"expected --now in seconds or ISO 8601, got {text}") from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()


def synthesise(kind: str, options: SyntheticOptions) -> None:
    """Make a trace and its truth beside it: OUT and OUT's name with .truth.csv."""
    from monitoring.periodic import making

    out = options.out or Path("trace.csv" if kind == "paper" else "fleet.parquet")
    try:
        made = making.paper(options, out) if kind == "paper" else making.fleet(options, out)
    except OSError as error:
        raise Failed(f"could not write {out}: {error.strerror or error}") from error
    if options.as_json:
        emit_json(made)
    else:
        click.echo(
            f"{made['receptions']} receptions of {made['devices']} devices in {made['trace']}, truth in {made['truth']}"
        )


def evaluate(options: EvaluateOptions) -> None:
    """Redraw figures E.4 to E.9 into a folder, as PNG, SVG and CSV."""
    from monitoring.periodic.evaluation import evaluate_all
    from monitoring.periodic.figures import draw_evaluation

    out = options.out or Path("figures-watch")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"could not make the folder {out}: {error.strerror or error}") from error
    tables = evaluate_all(options.runs, options.seed)
    files = draw_evaluation(tables, out)
    if options.as_json:
        emit_json({"folder": str(out), "files": [path.name for path in files], "error": tables.errors_json()})
        return
    print_evaluation(tables)
    click.echo(f"{len(files)} files in {out}")


def print_evaluation(tables: Any) -> None:
    """The errors of figure E.4 as a table."""
    for line in tables.error_lines():
        print(line, file=sys.stdout)  # noqa: T201
