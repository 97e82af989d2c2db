"""`airshed group`: devices to lines, and its helpers generate, figures and timetable."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Final

import click

from spectrum.errors import BadInput
from terminal.command import LazyGroup, emit_json, json_option, progress, seed_option

METHODS: Final = ("best", "hia", "hda", "hda-nosr", "exact")
RULES: Final = ("clip", "whole-timeline", "fewest-first", "unshifted-removal", "single-leftovers")
# Seconds after which the search gives its best answer so far.
TIME_LIMIT_S: Final = 20.0

# name: (module:attribute, what --help says)
HELPERS: Final = {
    "generate": ("planning.grouping.generate_command:generate", "draw traffic as in table III into DEVICES.csv"),
    "figures": ("planning.grouping.figures_command:figures", "redraw figures 9-15 with confidence intervals"),
    "timetable": ("planning.grouping.timetable_command:timetable", "slots and subchannels for devices that keep time"),
}


class Finite(click.FloatRange):
    """A float range that takes no infinity and no NaN, which would pass every bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number


class DevicesOrCommand(LazyGroup):
    """A group whose first word may also be DEVICES.csv: then it is the command `lines`, which is not listed."""

    default = "lines"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.lazy, self.default, "-h", "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        inner = self.commands[self.default]
        path = ctx.command_path
        formatter.write_usage(path, "DEVICES.csv [OPTIONS]", prefix="Usage: ")
        formatter.write_usage(path, f"{'|'.join(self.lazy)} [OPTIONS]", prefix="       ")
        inner.format_help_text(ctx, formatter)
        inner.format_options(click.Context(inner, info_name=ctx.info_name, parent=ctx.parent), formatter)
        with formatter.section("Commands (a file of such a name is ./NAME)"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.lazy.items()])


@click.group(cls=DevicesOrCommand, lazy=HELPERS, no_args_is_help=False)
def group() -> None:
    """Periodic devices on the fewest shared lines."""


@group.command(name="lines", hidden=True)
@click.argument("devices", type=click.Path(path_type=Path), metavar="DEVICES.csv")
@click.option("--max-shift", type=click.IntRange(min=0), default=0, show_default=True, metavar="SLOTS",
              help="A device may send up to this much earlier or later, always by the same.")  # fmt: skip
@click.option("--previous", type=click.Path(path_type=Path), metavar="ASSIGNMENT.csv",
              help="Columns device,line,shift of the moment before; few devices should change their line.")  # fmt: skip
@click.option("--method", type=click.Choice(METHODS), default="best", show_default=True,
              help="best: configuration LP and local search. hia, hda, hda-nosr: the paper's heuristics. "
              "exact: its integer programmes on HiGHS, for small networks.")  # fmt: skip
@click.option("--change-cost", type=Finite(min=0), metavar="LINES",
              help="Price of one changed device, in lines: best and exact minimise lines + price x changed. "
              "Without it: lines first, then changes (best: never more changes than hda).")  # fmt: skip
@click.option("--slot-s", type=Finite(min=0, min_open=True), metavar="S",
              help="The file is in seconds; slots are this long. Without it the file is in slots.")  # fmt: skip
@click.option("--guard", type=click.IntRange(min=0), default=0, show_default=True, metavar="SLOTS",
              help="Silent slots between two devices of one line.")  # fmt: skip
@click.option("--drift-ppm", type=Finite(min=0), default=0.0, metavar="PPM",
              help="Clock error of a device; with --resync-s it adds 2 x drift x time to the guard.")  # fmt: skip
@click.option("--resync-s", type=Finite(min=0), default=0.0, metavar="S",
              help="Longest time between two corrections of a device's clock.")  # fmt: skip
@click.option("--time-limit", type=Finite(min=0, min_open=True), metavar="S",
              help=f"Search until proved fewest or this long, then give the best so far. Without it up to "
              f"{TIME_LIMIT_S:g} s, and less when one line above the bound.")  # fmt: skip
@click.option("--rule", "rules", type=click.Choice(RULES), multiple=True,
              help="Other readings of the paper for hia, hda, hda-nosr, see docs/grouping.md; repeatable.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="ASSIGNMENT.csv",
              help="Write device,line,shift, the next moment's --previous.")  # fmt: skip
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE",
              help="Draw the timelines of the lines (.png, .svg, .pdf).")  # fmt: skip
@seed_option
@json_option
def lines(**options: Any) -> None:
    """Put periodic devices on the fewest shared lines.

    DEVICES.csv has columns device,interval,duration,start: the device sends `duration` slots, `start` slots after
    the beginning of every `interval` slots. Devices share a line (a bearer, or a slotted subchannel) when their
    transmissions never meet. The answer is checked, apart from how it was found, before it is printed.

    \b
    airshed group generate --devices 500 --load high -o devices.csv
    airshed group devices.csv --max-shift 3 --out now.csv
    airshed group devices.csv --max-shift 3 --previous now.csv --json
    """
    from planning.grouping.assignment import read_previous, write_assignment
    from planning.grouping.solve import Request, solve, warm_up
    from planning.grouping.traffic import LONGEST_INTERVAL, read_devices

    traffic = read_devices(options["devices"], options["slot_s"])
    drift = drift_slots(options["drift_ppm"], options["resync_s"], options["slot_s"])
    # Beyond the longest interval neither says anything new.
    guard = min(options["guard"] + drift, LONGEST_INTERVAL)
    previous = None if options["previous"] is None else read_previous(options["previous"])
    request = Request(
        max_shift=min(options["max_shift"], LONGEST_INTERVAL),
        method=options["method"],
        guard=guard,
        previous=previous,
        change_cost=options["change_cost"],
        seed=options["seed"],
        rules=frozenset(options["rules"]),
        patient=options["time_limit"] is not None,
    )
    with progress("loading kernels (compiled the first time)", 1.0, quiet=options["as_json"]):
        warm_up(request)
    began_s = time.monotonic()
    limit_s = options["time_limit"] or TIME_LIMIT_S
    with progress("looking for fewer lines", limit_s, quiet=options["as_json"]) as advance:
        shown_s = began_s

        def now() -> float:
            nonlocal shown_s
            moment_s = time.monotonic()
            advance(moment_s - shown_s)
            shown_s = moment_s
            return moment_s

        result = solve(traffic, request, now, began_s + limit_s)
    if options["out"] is not None:
        write_assignment(options["out"], traffic.names, result.assignment)
    if options["plot"] is not None:
        from planning.grouping.plot import draw_lines

        draw_lines(options["plot"], traffic, result.assignment, guard)
    if options["as_json"]:
        emit_json(result.record(traffic))
    else:
        _tell(result, len(traffic), time.monotonic() - began_s)


def drift_slots(drift_ppm: float, resync_s: float, slot_s: float | None) -> int:
    """Guard slots that keep two drifting clocks apart: each may be off by drift x time, towards the other."""
    if drift_ppm == 0.0 or resync_s == 0.0:
        if drift_ppm != resync_s:
            raise BadInput("expected --drift-ppm and --resync-s together, got one; give the other or a --guard")
        return 0
    if slot_s is None:
        raise BadInput("expected --slot-s with --drift-ppm, got none: drift is in seconds; give the slot's length")
    slots = 2 * drift_ppm * 1e-6 * resync_s / slot_s - 1e-9
    if not math.isfinite(slots):
        raise BadInput("expected a drift in parts per million and seconds, their product passes all bounds; mend it")
    return math.ceil(slots)


def _tell(result: Any, devices: int, seconds: float) -> None:
    proof = "proved fewest" if result.gap == 0 else f"at least {result.lower_bound}, gap {result.gap}"
    click.echo(f"{devices} devices on {result.lines} lines ({proof}), saving {result.saving_percent:.2f} %")
    if result.previous_given:
        click.echo(f"{result.changed} devices changed their line ({result.changed_percent:.2f} % of all)")
    for note in result.notes:
        click.echo(note, err=True)
    click.echo(f"checked; {seconds:.2f} s")
