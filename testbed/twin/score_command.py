"""`airshed testbed score`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terminal.command import emit_json, json_option, progress

if TYPE_CHECKING:
    from rich.table import Table


@click.command("score")
@click.argument("recording", type=click.Path(dir_okay=False, path_type=Path), metavar="RECORDING.sigmf-meta")
@click.option("--interval", "interval_ms", type=click.FloatRange(min=0, min_open=True), metavar="MS",
              help="Sensing interval [default: as `airshed sense` takes it].")  # fmt: skip
@click.option("--subchannel", "centers_hz", type=float, multiple=True, metavar="HZ",
              help="Score the 125 kHz around HZ; may be repeated [default: the LoRaWAN channels].")  # fmt: skip
@click.option("--pf", type=float, default=0.2, show_default=True, help="Pf the sensing is designed for.")
@click.option("--pm", type=float, default=0.1, show_default=True, help="Pm it is designed for.")
@click.option("--floor", default="hybrid", show_default=True, help="Its noise floor policy, see `airshed sense`.")
@click.option("--uncalibrated", is_flag=True, help="Sense as if nobody had measured the sensor's ppm.")
@json_option
def score(
    recording: Path,
    interval_ms: float | None,
    centers_hz: tuple[float, ...],
    pf: float,
    pm: float,
    floor: str,
    uncalibrated: bool,
    as_json: bool,
) -> None:
    """True Pf and Pm of the sensing on a recording of `airshed testbed record`, beside what it claims of itself.

    Pf is counted where nothing was on the air, Pm where a transmission filled the whole interval, in steps of 3 dB of
    SNR in the subchannel. Intervals are Wilson's of 99.9 %; * marks a claim outside of one. Pm is claimed by the
    design law at the true SNR and the threshold that was used.

    \b
    airshed testbed record hardware/scenes/quiet.toml --seconds 20 --out /tmp/quiet
    airshed testbed score /tmp/quiet.sigmf-meta --json
    """
    from sensing.detector import Design
    from sensing.files import find_recording
    from sensing.raster import LORAWAN_CHANNELS
    from spectrum.eu868 import LORA_BANDWIDTH_HZ, Subchannel
    from testbed.twin import score as scoring

    subchannels = tuple(Subchannel(center_hz, LORA_BANDWIDTH_HZ) for center_hz in centers_hz) or LORAWAN_CHANNELS
    design = Design(pf=pf, pm=pm, floor=floor)
    interval_s = None if interval_ms is None else interval_ms / 1e3
    scoring.check_name(recording)
    total_s = find_recording(str(recording)).duration_s
    with progress("sensing, seconds", total_s, quiet=as_json) as advance:
        found = scoring.score(recording, design, interval_s, subchannels, calibrated=not uncalibrated, advance=advance)
    if as_json:
        emit_json(found)
        return
    from rich.console import Console

    console = Console(width=140)
    console.print(pf_table(found))
    console.print(pm_table(found))


def _shown(share: float, low: float, high: float) -> str:
    return "" if math.isnan(share) else f"{share:.4f} ({low:.4f}-{high:.4f})"


def _claim(value: float, agrees: bool | None) -> str:
    return "" if math.isnan(value) else f"{value:.4f}{'*' if agrees is False else ' '}"


def pf_table(found: dict[str, Any]) -> Table:
    """False alarms, one row a subchannel."""
    from rich.table import Table

    table = Table(title=f"Pf over quiet cells of {found['interval_s'] * 1e3:g} ms, {found['seconds']:g} s")
    for heading in ("MHz", "quiet", "Pf (99.9 %)", "claimed", "measured", "loud", "beside, busy", "partial, busy"):
        table.add_column(heading, justify="right")
    for row in found["subchannels"]:
        table.add_row(
            f"{row['subchannel_hz'] / 1e6:.4f}",
            str(row["quiet_cells"]),
            _shown(row["pf"], row["pf_low"], row["pf_high"]),
            _claim(row["pf_claimed"], row["pf_agrees"]),
            _claim(row["pf_measured"], None),
            str(row["loud_cells"]),
            f"{row['beside_cells']}, {row['beside_busy']}",
            f"{row['partial_cells']}, {row['partial_busy']}",
        )
    return table


def pm_table(found: dict[str, Any]) -> Table:
    """Missed detections, one row a subchannel and step of SNR."""
    from rich.table import Table

    table = Table(title="Pm over loud cells")
    for heading in ("MHz", "SNR dB", "cells", "missed", "Pm (99.9 %)", "claimed"):
        table.add_column(heading, justify="right")
    for row in found["subchannels"]:
        for step in row["by_snr"]:
            table.add_row(
                f"{row['subchannel_hz'] / 1e6:.4f}",
                f"{step['mean_snr_db']:.1f}",
                str(step["cells"]),
                str(step["missed"]),
                _shown(step["pm"], step["pm_low"], step["pm_high"]),
                _claim(step["pm_claimed"], step["pm_agrees"]),
            )
    return table
