"""`airshed watch`: a reception trace -> periods, outage, offline devices."""

from __future__ import annotations

from pathlib import Path

import click

from spectrum.errors import BadInput
from terminal.command import json_option, seed_option

EXAMPLES = """
\b
Examples:
  airshed watch TRACE.csv                      a table and a summary of the fleet
  airshed watch TRACE.parquet --json           one JSON object a device
  airshed watch TRACE.csv --timetable T.csv --slot-s 60    rows for airshed group
  airshed watch --synthetic --out trace.csv    the paper's traces, with their truth
  airshed watch --synthetic fleet --out fleet.parquet      4,522 smart meters
  airshed watch --evaluate --out figures       figures E.4 to E.9 with intervals

TRACE has the columns device and time_s (seconds, ms, us, ns or ISO 8601) and, where known, application, gateway and
size. Copies of a report through several gateways are merged. Nothing else is needed: no polling, no key, no knowledge
of the application.
"""


@click.command(epilog=EXAMPLES)
@click.argument("trace", required=False, type=click.Path(path_type=Path))
@json_option
@click.option(
    "--false-alarm",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.001,
    show_default=True,
    help="Chance, per test, of calling a device offline that is not.",
)
@click.option(
    "--method",
    type=click.Choice(["lattice", "nhm", "nhm-mean", "spc", "goc", "naive"]),
    default="lattice",
    show_default=True,
    help="How applications are found; all but lattice are there to be compared with.",
)
@click.option(
    "--known",
    type=click.Path(path_type=Path),
    help="CSV of known applications: application,period_s[,device,offset_s]; then nothing is learned.",
)
@click.option("--now", "now", help="Time of the report, in seconds or ISO 8601.  [default: the last reception]")
@click.option(
    "--unit",
    type=click.Choice(["auto", "s", "ms", "us", "ns"]),
    default="auto",
    show_default=True,
    help="Unit of numeric times; auto goes by their magnitude and by the column's name.",
)
@click.option("--timezone", default="UTC", show_default=True, help="Zone of ISO times that name none.")
@click.option(
    "--merge-s",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="Receptions of one device through different gateways within this time are copies of one report.",
)
@click.option(
    "--least-receptions",
    type=click.IntRange(min=3),
    default=3,
    show_default=True,
    help="Fewest receptions of an application (the paper's psi).",
)
@click.option("--summary", type=click.Path(path_type=Path), help="Write the fleet's numbers as JSON.")
@click.option("--timetable", type=click.Path(path_type=Path), help="Write rows for airshed group (CSV).")
@click.option(
    "--slot-s",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Slot of --timetable in seconds.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Folder for plots of periods, outages and coverage.")
@click.option(
    "--synthetic",
    is_flag=False,
    flag_value="paper",
    type=click.Choice(["paper", "fleet"]),
    help="Make a trace with truth instead: the paper's section 5, or its smart-meter fleet.  [without a value: paper]",
)
@click.option("--evaluate", is_flag=True, help="Redraw figures E.4 to E.9 instead, with confidence intervals.")
@click.option("--out", type=click.Path(path_type=Path), help="File of --synthetic, folder of --evaluate.")
@click.option("--devices", type=click.IntRange(min=1), help="--synthetic: devices.  [default: paper 100, fleet 4522]")
@click.option(
    "--receptions",
    type=click.IntRange(min=3),
    help="--synthetic: of application 1 of a device (paper, 50), of the whole fleet (1048576).",
)
@click.option(
    "--applications", type=click.IntRange(1, 8), default=2, show_default=True, help="--synthetic paper: per device."
)
@click.option(
    "--labelled/--unlabelled", default=False, show_default=True, help="--synthetic paper: write the application column."
)
@click.option(
    "--outage",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.3,
    show_default=True,
    help="--synthetic paper: chance that a report is lost.",
)
@click.option(
    "--second",
    type=click.Choice(["span", "count"]),
    default="span",
    show_default=True,
    help="--synthetic paper: further applications cover the first one's time span, or have as many receptions.",
)
@click.option(
    "--runs", type=click.IntRange(min=2), default=100, show_default=True, help="--evaluate: traces per point."
)
@seed_option
def watch(trace: Path | None, synthetic: str | None, evaluate: bool, **options: object) -> None:
    """Know that a device is silent before its owner does.

    From the times at which reports arrived, find each device's periodic applications, how many of their reports were
    lost, and which devices have gone silent for longer than their losses explain.
    """
    from monitoring.periodic import tasks

    chosen = [name for name, given in (("TRACE", trace), ("--synthetic", synthetic), ("--evaluate", evaluate)) if given]
    if len(chosen) != 1:
        came = " and ".join(chosen) or "none of them"
        raise BadInput(f"expected one of TRACE, --synthetic or --evaluate, got {came} (see 'airshed watch --help')")
    if trace is not None:
        tasks.report(trace, tasks.ReportOptions.of(options))
    elif synthetic is not None:
        tasks.synthesise(synthetic, tasks.SyntheticOptions.of(options))
    else:
        tasks.evaluate(tasks.EvaluateOptions.of(options))
