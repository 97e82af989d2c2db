"""`airshed simulate`: options to scenarios, reports to the terminal, to JSON and to files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from allocation.policies import POLICIES
from planning.simulate.scenario import ACCESSES, CAPTURE_RULES, DUTY_READINGS, FADINGS, SF_ORDERS, TRAFFICS
from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, progress

if TYPE_CHECKING:
    from planning.simulate.scenario import Scenario
    from planning.simulate.tallies import Tallies

# What SigFox has otherwise than LoRa: three copies of up to 12 bytes on 1920 micro-channels, at 14 dBm.
SIGFOX_DEFAULTS: Final = {"subchannels": 1920, "payload": 12, "copies": 3, "power": 14.0}

# Options that only one kind of traffic has a meaning for.
ONLY_WINDOW: Final = ("window", "packets", "duty_reading")
ONLY_TIME_LINE: Final = ("interval", "duration")


class Numbers(click.ParamType[tuple[Any, ...]]):
    """A list such as 7,8,9 as a tuple; one number is a list of one."""

    name = "numbers"

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.name = f"{kind.__name__}[,{kind.__name__}...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        items = value if isinstance(value, (list, tuple)) else str(value).split(",")
        try:
            return tuple(self.kind(item) for item in items)
        except (TypeError, ValueError):
            self.fail(f"expected {self.name}, got {value!r}", param, ctx)


class Packets(click.ParamType[tuple[int, int]]):
    """1, 2 or 1-2 as (least, most)."""

    name = "N|N-M"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, (list, tuple)) and len(value) == 2:
            return int(value[0]), int(value[1])
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", str(value))
        if not found:
            self.fail(f"expected a number or a range such as 1-2, got {value!r}", param, ctx)
        return int(found[1]), int(found[2] or found[1])


# option name: (field of Scenario, type, help)
FIELDS: Final[dict[str, tuple[str, Any, str]]] = {
    "devices": ("devices", int, "Number of devices."),
    "subchannels": ("subchannels", int, "Subchannels they share."),
    "policy": (
        "policy",
        click.Choice(list(POLICIES)),
        "How a subchannel is chosen; the controller's own table.  [default: algorithm1, random with one attempt]",
    ),
    "attempts": ("attempts", int, "N of Algorithm 1: draws per transmission, the last of which stands."),
    "fresh": ("fresh", bool, "After N failures make one more draw instead of keeping the last."),
    "access": ("access", click.Choice(ACCESSES), "Start at any time, or at slots of one airtime."),
    "traffic": ("traffic", click.Choice(TRAFFICS), "A window with a few packets each, or a time line."),
    "window": ("window_s", float, "Length of the window in seconds."),
    "packets": ("packets", Packets(), "Packets per device in the window: 1, 2, or 1-2 with equal odds."),
    "interval": ("interval_s", float, "Mean gap after a packet (renewal) or period (periodic), seconds."),
    "duration": ("duration_s", float, "Simulated seconds of a time line."),
    "duty-cycle": ("duty_cycle", float, "Fraction of time on the air, 1 for none; off-time on a time line."),
    "duty-reading": (
        "duty_reading",
        click.Choice(DUTY_READINGS),
        "What a duty cycle means in a window: a limit by the hour; the share of the window each device fills (on-air); "
        "airtime = duty cycle x 1 s; or as many accesses as its share of 2 %.",
    ),
    "payload": ("payload_bytes", int, "Bytes per packet: PHY payload of LoRa, user payload of SigFox (0-12)."),
    "spreading-factor": ("spreading_factors", Numbers(int), "LoRa SF 7-12, or a list: equal shares of the devices."),
    "bandwidth": ("bandwidth_hz", float, "LoRa bandwidth in Hz."),
    "coding-rate": ("coding_rate", int, "LoRa coding rate 1-4 for 4/5-4/8."),
    "preamble": ("preamble_symbols", float, "LoRa preamble in symbols, without the 4.25 of sync word."),
    "header": ("explicit_header", bool, "LoRa explicit header (table 2 of the paper has none)."),
    "crc": ("crc", bool, "LoRa payload CRC."),
    "airtime": ("fixed_airtime_s", float, "Seconds on the air of every frame, instead of the formula."),
    "copies": ("copies", int, "Copies of each packet (SigFox sends 3)."),
    "copy-gap": ("copy_gap_s", float, "Seconds between copies on a time line."),
    "pf": ("pf", float, "Chance that an idle subchannel is reported busy."),
    "pm": ("pm", float, "Chance that a busy subchannel is reported idle."),
    "status-age": ("status_age_s", float, "Age in seconds of what the controller knows when it answers."),
    "attempt-delay": ("attempt_delay_s", float, "Seconds that each attempt after the first costs."),
    "occupancy": ("occupancy", Numbers(float), "Pr(H1) of strangers, one value or one per subchannel."),
    "power": ("power_dbm", float, "Transmit power in dBm: 7, 10, 13 or 14 (currents of the SX1272 at 1.8 V)."),
    "energy-mj": ("energy_mj", float, "Millijoules per frame, instead of airtime x current x voltage (paper: 48.68)."),
    "sleep-current": ("sleep_current_ua", float, "Current between frames in uA, for the battery life."),
    "gateways": ("gateways", int, "Gateways; more than one switches the radio model on."),
    "capture": ("capture", bool, "A frame 6 dB above those of its SF survives; what ends before its lock is harmless."),
    "capture-rule": (
        "capture_rule",
        click.Choice(CAPTURE_RULES),
        "6 dB above the others of its SF that are heard (sir), or above all, other SF and noise (sinr, the thesis).",
    ),
    "inter-sf": ("inter_sf", bool, "Other spreading factors interfere too (SIR of the thesis, table B.1)."),
    "demodulators": ("demodulators", int, "Demodulation paths per gateway (SX1301: 8); 0 for any number."),
    "radius": ("radius_m", float, "Radius in metres of the disc that devices and gateways stand in."),
    "path-loss-exponent": ("path_loss_exponent", float, "Path loss grows by 10 n dB a decade."),
    "shadowing": ("shadowing_db", float, "Standard deviation of log-normal shadowing in dB."),
    "fading": ("fading", click.Choice(FADINGS), "Rayleigh: each frame at each gateway has its own exponential power."),
    "sf-order": ("sf_order", click.Choice(SF_ORDERS), "Who has which spreading factor: anyone, or the nearest lowest."),
    "lock-symbols": ("lock_symbols", float, "Clean preamble symbols that a receiver locks on to."),
    "runs": ("runs", int, "Independent runs."),
    "seed": ("seed", int, "Seed of all randomness."),
}  # fmt: skip

KEYS: Final = tuple(name.replace("-", "_") for name in FIELDS)


@click.group(name="simulate", context_settings={"help_option_names": ["-h", "--help"]})
def simulate() -> None:
    """LoRa and SigFox access, with and without allocation.

    \b
    airshed simulate lora --devices 1000 --attempts 5 --runs 100
    airshed simulate sigfox --devices 1000 --policy random --json
    airshed simulate lora --sweep devices=50,100,200 --sweep attempts=1,2,5 --out sweep.csv
    airshed simulate lora --traffic renewal --devices 1000000 --interval 1000 --duration 86400 \\
        --subchannels 10 --spreading-factor 7,8,9,10,11,12
    airshed simulate figures --out report
    """


def _take_scenario(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Values of the scenario file become the defaults of all options."""
    if path is not None:
        from planning.simulate.files import read_scenario

        options, axes = read_scenario(path, KEYS)
        ctx.default_map = {**(ctx.default_map or {}), **options}
        ctx.meta["airshed.scenario"] = options
        ctx.meta["airshed.sweep"] = axes
    return path


def scenario_options(technology: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """All options of a scenario, with the technology's defaults."""
    from planning.simulate.scenario import Scenario

    base = Scenario()

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, (field, kind, text) in reversed(FIELDS.items()):
            default = getattr(base, field)
            if technology == "sigfox":
                default = SIGFOX_DEFAULTS.get(name, default)
            if name == "policy":
                default = None
            flag = f"--{name}/--no-{name}" if kind is bool else f"--{name}"
            shown: bool | str = default is not None
            if isinstance(default, tuple):
                shown = "1-2" if field == "packets" else ",".join(f"{item:g}" for item in default)
            function = click.option(
                flag, name.replace("-", "_"), type=None if kind is bool else kind, default=default,
                show_default=shown, help=text,
            )(function)  # fmt: skip
        return function

    return decorate


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of what to do with scenarios and reports."""
    path = click.Path(path_type=Path)
    for option in reversed(
        (
            click.option(
                "--scenario", type=path, is_eager=True, callback=_take_scenario,
                help="TOML file with any of these options, and a [sweep] table of lists.",
            ),
            click.option("--sweep", multiple=True, metavar="NAME=V,V,...", help="All combinations; lists end in ;"),
            click.option("--out", type=path, help="Table of the reports: .csv or .parquet."),
            click.option("--devices-out", type=path, help="Table of the devices' results: .csv or .parquet."),
            click.option("--jobs", type=click.IntRange(min=1), help="Workers.  [default: all cores]"),
            click.option("--cluster", metavar="ADDRESS", help="Hand the runs to this Dask scheduler."),
            json_option,
        )
    ):  # fmt: skip
        function = option(function)
    return function


@simulate.command()
@scenario_options("lora")
@output_options
@click.pass_context
def lora(ctx: click.Context, /, **options: Any) -> None:
    """LoRa devices; by default those of section 5 and table 2 of the RRM paper."""
    _simulate(ctx, "lora", options)


@simulate.command()
@scenario_options("sigfox")
@output_options
@click.pass_context
def sigfox(ctx: click.Context, /, **options: Any) -> None:
    """SigFox devices: 100 bit/s, three copies of each packet, 1920 micro-channels of 100 Hz."""
    _simulate(ctx, "sigfox", options)


@simulate.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("figures"), show_default=True, help="Folder.")
@click.option("--runs", type=click.IntRange(min=2), default=100, show_default=True, help="Runs per point.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of all randomness.")
@click.option("--jobs", type=click.IntRange(min=1), help="Workers.  [default: all cores]")
@click.option("--cluster", metavar="ADDRESS", help="Hand the runs to this Dask scheduler.")
@json_option
def figures(out: Path, runs: int, seed: int, jobs: int | None, cluster: str | None, as_json: bool) -> None:
    """Redraw figures 6-12 of the RRM paper and judge its claims, under both readings that the notes allow.

    Writes report.html with every figure as PNG and SVG and its data as CSV into the folder.
    """
    from planning.simulate.report import all_points, make_report

    total = sum(scenario.runs for scenario in all_points(runs, seed).values())
    with _executor(jobs, cluster) as (executor, workers), progress("runs", total) as advance:
        verdicts = make_report(out, runs, seed, executor, workers, advance)
    if as_json:
        emit_json(verdicts)
        return
    for claim in verdicts["claims"]:
        click.echo(
            f"({claim['claim']}) {claim['reading']}: {'holds' if claim['holds'] else 'does not hold'}; {claim['says']}"
        )
    click.echo(f"written: {out / 'report.html'}")


def _executor(jobs: int | None, cluster: str | None) -> Any:
    """A context of (executor, number of workers)."""
    from contextlib import contextmanager

    from planning.simulate import sweep

    @contextmanager
    def opened() -> Any:
        workers = jobs or sweep.cores()
        with sweep.cluster_executor(cluster) if cluster else sweep.local_executor(workers) as executor:
            yield executor, workers

    return opened()


def _simulate(ctx: click.Context, technology: str, options: dict[str, Any]) -> None:
    from planning.simulate import files, sweep

    for name in ("out", "devices_out"):
        if options[name] is not None:
            files.check_table_path(options[name])
    base = {"technology": technology, **_fields(options)}
    axes = {**ctx.meta.get("airshed.sweep", {}), **dict(_axis(text) for text in options["sweep"])}
    _refuse_idle_options(ctx, options, axes)
    scenarios = sweep.grid(base, {FIELDS[key.replace("_", "-")][0]: _converted(key, axes[key]) for key in axes})
    if options["devices_out"] is not None and len(scenarios) > 1:
        raise BadInput(f"--devices-out holds one scenario, the sweep has {len(scenarios)}")
    total = sum(scenario.runs for scenario in scenarios)
    with _executor(options["jobs"], options["cluster"]) as (executor, workers), progress("runs", total) as advance:
        by_device = options["devices_out"] is not None
        tallies = sweep.run_all(scenarios, executor, workers, advance, by_device=by_device)
    found = sweep.reports(scenarios, tallies)
    if options["out"] is not None:
        files.write_table(options["out"], files.columns_of([files.flat(report) for report in found]))
    if options["devices_out"] is not None:
        files.write_table(options["devices_out"], device_table(scenarios[0], tallies[0]))
    _show(found, axes, options["as_json"])


def _fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as fields of a scenario."""
    return {field: options[name.replace("-", "_")] for name, (field, _, _) in FIELDS.items()}


def _axis(text: str) -> tuple[str, list[Any]]:
    """devices=50,100 -> ("devices", ["50", "100"]); lists of lists are separated by a semicolon."""
    name, found, values = text.partition("=")
    key = name.strip().replace("-", "_")
    if not found or key not in KEYS:
        raise BadInput(f"--sweep takes NAME=V,V,... with an option's name such as devices=50,100, got {text!r}")
    return key, values.split(";" if ";" in values else ",")


def _converted(key: str, values: Sequence[Any]) -> list[Any]:
    """Values of a sweep as the option itself would take them."""
    kind = FIELDS[key.replace("_", "-")][1]
    taken = click.BOOL if kind is bool else click.types.convert_type(kind)
    try:
        return [taken.convert(value, None, None) for value in values]
    except click.BadParameter as error:
        raise BadInput(f"--sweep {key}: {error.message}") from None


def _refuse_idle_options(ctx: click.Context, options: Mapping[str, Any], axes: Mapping[str, Any]) -> None:
    """An option that the chosen traffic never looks at is a misunderstanding: say so."""
    traffics = axes.get("traffic", [options["traffic"]]) if "traffic" in axes else [ctx.params["traffic"]]
    idle = ONLY_TIME_LINE if set(traffics) == {"window"} else ONLY_WINDOW if "window" not in traffics else ()
    for name in idle:
        given = ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE or name in axes
        if given or name in ctx.meta.get("airshed.scenario", {}):
            wanted = "renewal or periodic" if name in ONLY_TIME_LINE else "window"
            raise BadInput(f"--{name.replace('_', '-')} has no meaning with this traffic: it needs --traffic {wanted}")


def device_table(scenario: Scenario, tallies: Tallies) -> dict[str, Any]:
    """One row per device: its number, spreading factor, frames sent and delivered over all runs."""
    import numpy as np

    from planning.simulate.devices import device_classes

    return {
        "device": np.arange(scenario.devices),
        "spreading_factor": np.array(scenario.classes)[device_classes(scenario)],
        "sent": tallies.sent,
        "delivered": tallies.delivered,
    }


def _show(found: Sequence[Mapping[str, Any]], axes: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        for report in found:
            emit_json(report)
        return
    if len(found) == 1:
        _show_one(found[0])
        return
    from rich.console import Console
    from rich.table import Table

    shown = ("transmissions", "unsuccessful", "delivery_ratio", "forced", "attempts_mean", "bits_per_joule")
    table = Table(*axes, *shown)
    for report in found:
        cells = [report.get("payload_bytes" if key == "payload" else key, "") for key in axes]
        table.add_row(*(_text(value) for value in (*cells, *(report[key] for key in shown))))
    Console().print(table)


def _show_one(report: Mapping[str, Any]) -> None:
    for key, value in report.items():
        if isinstance(value, float) and key in report["ci95"]:
            low, high = report["ci95"][key]
            around = "" if low != low else f"   95 %: {_text(low)} to {_text(high)}"
            click.echo(f"{key:24} {_text(value)}{around}")
        elif key == "by_spreading_factor":
            for row in value:
                parts = ", ".join(f"{name} {_text(item)}" for name, item in row.items() if name != "spreading_factor")
                click.echo(f"  SF{row['spreading_factor']:<21} {parts}")
        elif key != "ci95":
            click.echo(f"{key:24} {_text(value)}")


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
