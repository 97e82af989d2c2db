"""`airshed group timetable`: learned rhythms become slots and subchannels, and what that is worth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from terminal.command import emit_json, json_option, progress, seed_option


@click.command()
@click.argument("devices", type=click.Path(path_type=Path), metavar="DEVICES.csv")
@click.option("--slot-s", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, metavar="S",
              help="Length of a slot; DEVICES.csv is in slots, as `airshed watch` writes it.")  # fmt: skip
@click.option("--subchannels", type=click.IntRange(min=1), default=8, show_default=True,
              help="Subchannels that may carry slots.")  # fmt: skip
@click.option("--max-shift", type=click.IntRange(min=0), default=0, show_default=True, metavar="SLOTS")
@click.option("--guard", type=click.IntRange(min=0), default=0, show_default=True, metavar="SLOTS")
@click.option("--out", type=click.Path(path_type=Path), metavar="TIMETABLE.csv",
              help="Write device,subchannel,interval,duration,start,shift of the devices that have slots.")  # fmt: skip
@click.option("--payload-bytes", type=click.IntRange(1, 255), default=20, show_default=True)
@click.option("--spreading-factor", type=click.IntRange(7, 12), default=9, show_default=True)
@click.option("--attempts", type=click.IntRange(min=1), default=3, show_default=True, help="N of Algorithm 1.")
@click.option("--pf", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Of Algorithm 1's sensors.")
@click.option("--pm", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Of Algorithm 1's sensors.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=6.0, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--time-limit", type=click.FloatRange(min=0, min_open=True), default=20.0, show_default=True, metavar="S")
@seed_option
@json_option
def timetable(**options: Any) -> None:
    """Give devices that keep time their own slots and subchannels, and count the collisions that saves.

    A line of `airshed group` becomes a subchannel. The same frames are then simulated by the timetable, on random
    subchannels, and allocated by Algorithm 1; a frame is lost when it meets another on its subchannel.
    """
    from planning.grouping.intervals import mean_of
    from planning.grouping.solve import Request, solve, warm_up
    from planning.grouping.timetable import lost_percent, timetable_of, write_timetable
    from planning.grouping.traffic import read_devices
    from planning.simulate.scenario import Scenario

    traffic = read_devices(options["devices"])
    scenario = Scenario(
        devices=len(traffic),
        subchannels=options["subchannels"],
        traffic="periodic",
        duration_s=options["hours"] * 3600,
        payload_bytes=options["payload_bytes"],
        spreading_factors=(options["spreading_factor"],),
        explicit_header=True,
        attempts=options["attempts"],
        pf=options["pf"],
        pm=options["pm"],
        seed=options["seed"],
    )
    request = Request(options["max_shift"], guard=options["guard"], seed=options["seed"])
    with progress("loading kernels (compiled the first time)", 1.0, quiet=options["as_json"]):
        warm_up(request)
    result = solve(traffic, request, time.monotonic, time.monotonic() + options["time_limit"])
    plan = timetable_of(traffic, result.assignment, options["subchannels"])
    if options["out"] is not None:
        write_timetable(options["out"], plan)
    lost: dict[str, list[float]] = {}
    with progress("simulating", options["runs"], quiet=options["as_json"]) as advance:
        for run in range(options["runs"]):
            for way, percent in lost_percent(plan, scenario, options["slot_s"], run).items():
                lost.setdefault(way, []).append(percent)
            advance()
    means = {way: mean_of(values) for way, values in lost.items()}
    if options["as_json"]:
        ways = {way: {"lost_percent": value.mean, "half_width": value.half} for way, value in means.items()}
        emit_json({"devices": len(traffic), "lines": result.lines, "placed": plan.placed, "collisions": ways})
        return
    click.echo(f"{plan.placed} of {len(traffic)} devices have slots on {min(result.lines, options['subchannels'])} "
               f"subchannels; all need {result.lines}")  # fmt: skip
    for way, value in means.items():
        click.echo(f"{way:>10}: {value} % of the frames are lost")
