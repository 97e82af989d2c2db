"""`airshed fuse`: one verdict from the reports of several sensors."""

from __future__ import annotations

import click

from spectrum.errors import BadInput
from terminal.command import json_option


@click.command("fuse")
@click.argument("reports", nargs=-1, required=True, metavar="REPORTS.jsonl...")
@click.option("--rule", default="or", show_default=True, metavar="RULE",
              help="or, and, majority, a number K of sensors, or soft (energies weighted by SNR).")  # fmt: skip
@click.option("--pf", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.1, show_default=True,
              help="False-alarm probability that soft combining keeps.")  # fmt: skip
@click.option("--window", "window_ms", type=click.FloatRange(min=0, min_open=True), metavar="MS",
              help="Reports this close in time belong together; default: one sensing interval.")  # fmt: skip
@click.option("--site", "site_file", metavar="SITE.toml", help="Positions of sensors and gateways.")
@click.option("--gateway", metavar="NAME", help="Fuse the sensors around this gateway of the site only.")
@click.option("--radius", "radius_m", type=click.FloatRange(min=0, min_open=True), default=1000.0, show_default=True,
              metavar="M", help="How far around the gateway.")  # fmt: skip
@json_option
def fuse_command(
    reports: tuple[str, ...],
    rule: str,
    pf: float,
    window_ms: float | None,
    site_file: str | None,
    gateway: str | None,
    radius_m: float,
    as_json: bool,
) -> None:
    """One verdict for each subchannel and interval from what several sensors reported, with its Pf and Pm.

    Each REPORTS.jsonl is what `airshed sense --json` printed for one sensor, in the order of time (- for standard
    input). `or` protects whoever is on the air, `and` the chance to send; K of N lies between; `soft` adds up energies
    over noise and is best where sensors hear differently well.

    \b
    airshed fuse roof.jsonl cellar.jsonl gate.jsonl --rule 2 --json
    airshed fuse roof.jsonl cellar.jsonl --site site.toml --gateway gw-1 --rule soft
    """
    import heapq
    import sys

    from sensing.command_runs import write_lines
    from sensing.fuse_reports import fuse_stream
    from sensing.fusion import needed_votes
    from sensing.report_lines import read_reports

    if rule != "soft":
        needed_votes(rule, 1)  # an unknown rule is said before anything is read
    if (site_file is None) != (gateway is None):
        raise BadInput("--site SITE.toml and --gateway NAME go together: they name the neighbourhood")
    merged = heapq.merge(*(read_reports([path]) for path in reports), key=lambda report: report.time_s)
    if site_file is not None:
        near = sensors_around(site_file, gateway, radius_m)
        merged = (report for report in merged if report.sensor in near)
    fused = fuse_stream(merged, rule, pf=pf, window_s=None if window_ms is None else window_ms / 1e3)
    if as_json:
        for report in fused:
            write_lines([report])
        return
    from rich.console import Console

    from sensing.summary import Summary

    summary = Summary()
    for report in fused:
        summary.add([report])
    Console(width=None if sys.stdout.isatty() else 150).print(summary.table(f"{len(reports)} files, rule {rule}"))


def sensors_around(site_file: str, gateway: str | None, radius_m: float) -> set[str]:
    """Names of a site's sensors within `radius_m` of a gateway; BadInput where positions are missing."""
    import math

    from spectrum.site_file import one_named, read_site

    site = read_site(site_file)
    table = one_named("gateway", gateway, site.gateway, lambda item: item.name)
    if table.position_m is None:
        raise BadInput(f"{site_file}: gateway {table.name} has no position_m, so nothing is known to be near it")
    near = {
        sensor.name
        for sensor in site.sensor
        if sensor.position_m is not None and math.dist(sensor.position_m, table.position_m) <= radius_m
    }
    if not near:
        raise BadInput(f"{site_file}: no sensor has a position_m within {radius_m:g} m of gateway {table.name}")
    return near
