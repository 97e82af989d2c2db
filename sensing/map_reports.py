"""From channel reports and the places of sensors to maps: who heard how much, in one unit."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sensing.environment_map import PowerMap, Trend, fit_field, grid_around, map_power
from spectrum.errors import BadInput
from spectrum.report import ChannelReport
from spectrum.units import db_from_linear, linear_from_db

Places = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Heard:
    """Mean power of one sensor on one subchannel, averaged in milliwatts (or in full scales), over `intervals`."""

    power_db: float
    intervals: int


def mean_powers(reports: Iterable[ChannelReport]) -> tuple[str, dict[float, dict[str, Heard]]]:
    """The unit, and by subchannel and sensor the mean power: dBm when every report is calibrated, dBFS when none is."""
    sums: dict[tuple[float, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    units = set()
    for report in reports:
        calibrated = report.energy_dbm is not None
        units.add("dBm" if calibrated else "dBFS")
        entry = sums[report.subchannel_hz, report.sensor]
        entry[0] += linear_from_db(report.energy_dbm if report.energy_dbm is not None else report.energy_dbfs)
        entry[1] += 1
    if not units:
        raise BadInput("there is no report to map: expected lines as airshed sense --json prints them")
    if len(units) > 1:
        raise BadInput("some reports are calibrated (dBm) and some are not: calibrate every sensor, or none")
    heard: dict[float, dict[str, Heard]] = defaultdict(dict)
    for (subchannel_hz, sensor), (total, count) in sums.items():
        heard[subchannel_hz][sensor] = Heard(db_from_linear(total / count), int(count))
    return units.pop(), dict(sorted(heard.items()))


def maps_of(
    reports: Iterable[ChannelReport],
    places: Places,
    *,
    only_hz: tuple[float, ...] = (),
    trend: Trend | Literal["auto"] = "auto",
    transmitter: tuple[float, float] | None = None,
    cells: int = 60,
) -> list[PowerMap]:
    """One map for each subchannel that enough placed sensors report on."""
    unit, heard = mean_powers(reports)
    wanted = {hz: by_sensor for hz, by_sensor in heard.items() if not only_hz or hz in only_hz}
    if not wanted:
        asked, known = (", ".join(f"{hz:g}" for hz in centers_hz) for centers_hz in (only_hz, heard))
        raise BadInput(f"no report is on {asked} Hz: they are on {known}")
    homeless = {sensor for by_sensor in wanted.values() for sensor in by_sensor} - set(places)
    if homeless:
        raise BadInput(
            f"no position is known of sensor {', '.join(sorted(homeless))}: give one in the site file or --sensors"
        )
    grid = grid_around(np.array([places[name] for by in wanted.values() for name in by]), cells)
    maps = []
    for subchannel_hz, by_sensor in wanted.items():
        ordered = sorted(by_sensor)
        positions = np.array([places[name] for name in ordered])
        powers = np.array([by_sensor[name].power_db for name in ordered])
        model = fit_field(positions, powers, trend=trend, transmitter=transmitter)
        maps.append(map_power(model, *grid, subchannel_hz, unit, ordered))
    return maps


def read_places(path: Path) -> dict[str, tuple[float, float]]:
    """(east, north) in m by sensor, from a CSV with the columns sensor, east_m, north_m."""
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        return {row["sensor"]: (float(row["east_m"]), float(row["north_m"])) for row in rows}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path}: expected a CSV with the columns sensor,east_m,north_m, got trouble with {error}"
        ) from None
