"""Measured occupancy for a plan: from the status database, from what `airshed sense` wrote, or from a recording."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from planning.models.airtimes import Floats
from spectrum.errors import BadInput, Failed
from spectrum.eu868 import Subchannel
from spectrum.site_file import Site

NONE: Final = "none"
DATABASE: Final = "database"
REPORT_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")

# One report's worth: (sensor, subchannel, Pr(H1)).
Reading = tuple[str, Subchannel, float]


def measured_occupancy(site: Site, source: str) -> Floats | None:
    """Pr(H1) on each LoRa subchannel of the site, shape (channels,), or None for source `none`.

    source: `database`, the site's own; a file of JSON lines as `airshed sense --json` prints them; or a recording,
    which is then sensed. BadInput when no subchannel of the site was sensed.
    """
    if source == NONE:
        return None
    if source == DATABASE:
        readings = _from_database(site)
    elif Path(source).suffix.lower() in REPORT_SUFFIXES:
        readings = _from_file(Path(source))
    else:
        readings = _from_recording(Path(source))
    return occupancy_of_channels(readings, site.spectrum.lora, source)


def occupancy_of_channels(readings: Iterable[Reading], channels: Sequence[Subchannel], source: str) -> Floats:
    """Mean over each sensor's readings, the busiest sensor of each channel; unsensed channels take the others' mean.

    A channel takes the sensed cell that overlaps it most.
    """
    values: dict[tuple[str, Subchannel], list[float]] = defaultdict(list)
    for sensor, cell, occupancy in readings:
        values[sensor, cell].append(occupancy)
    found = np.full(len(channels), np.nan)
    for sensor in {sensor for sensor, _ in values}:
        cells = {cell: float(np.mean(seen)) for (owner, cell), seen in values.items() if owner == sensor}
        for index, channel in enumerate(channels):
            best = max(cells, key=lambda cell: (cell.overlap_hz(channel), -cell.bandwidth_hz))
            if best.overlap_hz(channel) > 0.0:
                found[index] = np.fmax(found[index], cells[best])
    if np.all(np.isnan(found)):
        raise BadInput(f"{source} says nothing of this site's subchannels: sense {channels[0].name} and its neighbours")
    return np.where(np.isnan(found), np.nanmean(found), found)


def _from_database(site: Site) -> Iterator[Reading]:
    from channel_status.opening import open_database

    database = open_database(site)
    try:
        reports = database.reports(site.name)
    finally:
        database.close()
    if not reports:
        raise BadInput(f"the database holds no report of site {site.name!r}: is its sensor running?")
    for report in reports:
        yield report.sensor, report.subchannel, report.occupancy


def _from_file(path: Path) -> Iterator[Reading]:
    try:
        text = path.open(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot read the occupancy {path}: {error.strerror}") from None
    with text as lines:
        yield from _readings(lines, str(path))


def _from_recording(path: Path) -> Iterator[Reading]:
    """Readings of a recording, sensed by the command in a process of its own: rooms meet in data."""
    if not path.is_file():
        raise BadInput(f"the occupancy must be database, none, a .jsonl file or a recording; {path} is no file")
    command = [sys.executable, "-c", "from airshed import main; main()", "sense", str(path), "--json"]
    # what it says goes to a file: a full pipe that nobody reads would stop it
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        yield from _readings(process.stdout or (), str(path))
        status = process.wait()
        said.seek(0)
        last = (said.read().strip().splitlines() or ["no reason given"])[-1]
    if status:
        kind = BadInput if status == BadInput.exit_status else Failed
        reason = last.removeprefix("airshed: ")
        raise kind(f"sensing {path} failed: {reason}; or sense it yourself: airshed sense ... --json > sensed.jsonl")


def _readings(lines: Iterable[str], name: str) -> Iterator[Reading]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _reading(json.loads(line))
        except (ValueError, KeyError, TypeError):
            raise BadInput(
                f"{name}, line {number}: expected a report of `airshed sense --json` with subchannel_hz, bandwidth_hz "
                f"and occupancy, got {line.strip()[:60]!r}"
            ) from None


def _reading(record: dict[str, Any]) -> Reading:
    occupancy = float(record["occupancy"])
    if not 0.0 <= occupancy <= 1.0:
        raise ValueError
    cell = Subchannel(float(record["subchannel_hz"]), float(record["bandwidth_hz"]))
    return str(record.get("sensor", "")), cell, occupancy
