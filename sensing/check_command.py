"""`airshed check --sensor`: is a dongle fit to sense with?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from terminal.command import emit_json

if TYPE_CHECKING:
    from sensing.checkup import Finding, Observation

Command = TypeVar("Command", bound=Callable[..., Any])


_OPTIONS: Final = (
    click.option("--sensor", "place", is_flag=False, flag_value="rtlsdr", metavar="[SOURCE]",
                 help="Try a receiver: rtlsdr[:INDEX-OR-SERIAL] (the default), rtl_tcp://HOST:PORT or a recording."),
    click.option("--seconds", type=click.FloatRange(min=0.2, max=3600), default=10.0, show_default=True,
                 help="How long to try the receiver."),
    click.option("--center", "center_hz", type=float, metavar="HZ", help="Where to tune it."),
    click.option("--rate", "rate_hz", type=float, metavar="HZ", help="Samples a second."),
    click.option("--gain", "gain_db", type=float, metavar="DB", help="Tuner gain."),
    click.option("--carrier", "carrier_hz", type=float, metavar="HZ", help="A carrier of known frequency, for ppm."),
    click.option("--calibration", type=click.Path(dir_okay=False), metavar="FILE",
                 help="The dongle's calibration, for the noise figure."),
    click.option("--terminated", is_flag=True, help="The antenna socket carries a 50 ohm terminator."),
)  # fmt: skip


def sensor_options(command: Command) -> Command:
    """The options of `airshed check --sensor`, for the command that also checks site files."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_check(place: str, *, as_json: bool, **options: object) -> int:
    """Try the receiver, print the findings, and return the exit status: 0, or 1 when something must be mended.

    options: those of `sensor_options`, by their names there.
    """
    from pathlib import Path
    from typing import cast

    from sensing.calibration import read_calibration
    from sensing.checkup import judge, worst
    from sensing.sensor_check import CheckOptions, check_sensor

    file = options.pop("calibration", None)
    known = cast(dict[str, Any], options)
    if file:
        known["full_scale_dbm"] = read_calibration(Path(str(file))).offset_db
    seen = check_sensor(CheckOptions(place, **known))
    findings = judge(seen)
    if as_json:
        emit_json(as_record(seen, findings))
    else:
        _print(seen, findings)
    return 1 if worst(findings) == "fail" else 0


def as_record(seen: Observation, findings: tuple[Finding, ...]) -> dict[str, object]:
    """What `--json` prints."""
    from dataclasses import asdict

    from sensing.checkup import worst

    return {
        "source": seen.source,
        "verdict": worst(findings),
        "seconds": seen.seconds,
        "tuning": asdict(seen.tuning),
        "received": seen.received,
        "lost": seen.lost,
        "gains": [asdict(step) for step in seen.gains],
        "findings": [asdict(finding) for finding in findings],
    }


def _print(seen: Observation, findings: tuple[Finding, ...]) -> None:
    tuning = seen.tuning
    gain = "unknown gain" if tuning.gain_db is None else f"gain {tuning.gain_db:g} dB"
    click.echo(f"{seen.source}: {tuning.center_hz / 1e6:g} MHz, {tuning.rate_hz / 1e6:g} MS/s, {gain}")
    for finding in findings:
        click.echo(f"  {finding.verdict:4}  {finding.name:15} {finding.says}")
        if finding.mend:
            click.echo(f"        {'':15} -> {finding.mend}")
