"""`airshed map`: a radio environment map from the reports of several sensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click

from terminal.command import emit_json, json_option

if TYPE_CHECKING:
    from sensing.environment_map import PowerMap

TEXT: Final = (
    "{mhz:.4f} MHz: {power_min_db:.1f} to {power_max_db:.1f} {unit}, +-{deviation_min_db:.1f} to "
    "{deviation_max_db:.1f} dB; trend {trend}, left-out sensors are off by {left_out_rms_db:.1f} dB rms"
)


@click.command("map")
@click.argument("reports", nargs=-1, required=True, metavar="REPORTS.jsonl...")
@click.option("--site", "site_file", metavar="SITE.toml", help="Positions of the sensors, and the origin, from here.")
@click.option("--sensors", "places_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Positions from a CSV with the columns sensor,east_m,north_m.")  # fmt: skip
@click.option("--origin", type=float, nargs=2, metavar="LAT LON", help="Where east_m and north_m are 0, for GeoJSON.")
@click.option("--subchannel", "only_hz", type=float, multiple=True, metavar="HZ", help="Map this one only (repeat).")
@click.option("--trend", type=click.Choice(["auto", "constant", "path-loss"]), default="auto", show_default=True,
              help="What kriging starts from; auto: what predicts left-out sensors better.")  # fmt: skip
@click.option("--transmitter", type=float, nargs=2, metavar="EAST_M NORTH_M", help="Where the signal comes from.")
@click.option("--cells", type=click.IntRange(4, 500), default=60, show_default=True, help="Cells on the longer side.")
@click.option("--geojson", "geojson_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write squares with power and deviation, for any GIS.")  # fmt: skip
@click.option("--png", "png_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Draw power beside its uncertainty.")  # fmt: skip
@json_option
def map_command(
    reports: tuple[str, ...],
    site_file: str | None,
    places_file: Path | None,
    origin: tuple[float, float] | None,
    only_hz: tuple[float, ...],
    trend: str,
    transmitter: tuple[float, float] | None,
    cells: int,
    geojson_file: Path | None,
    png_file: Path | None,
    as_json: bool,
) -> None:
    """Power per subchannel between the sensors, with its uncertainty, by kriging.

    REPORTS.jsonl is what `airshed sense --json` printed for each sensor (- for standard input). Powers are averaged in
    milliwatts over all reports; sensors must be calibrated alike. At least three sensors with known positions.

    \b
    airshed map roof.jsonl cellar.jsonl gate.jsonl --site site.toml --png map.png --geojson map.geojson
    """
    import json

    from sensing.environment_map import geojson
    from sensing.map_figure import save_png
    from sensing.map_reports import maps_of, read_places
    from sensing.report_lines import read_reports
    from spectrum.errors import BadInput
    from spectrum.site_file import read_site

    places: dict[str, tuple[float, float]] = {}
    if site_file is not None:
        site = read_site(site_file)
        places = {sensor.name: sensor.position_m for sensor in site.sensor if sensor.position_m is not None}
        origin = origin or site.site.origin
    if places_file is not None:
        places |= read_places(places_file)
    if not places:
        raise BadInput("expected positions of the sensors: give --sensors FILE, or position_m in --site SITE.toml")
    if geojson_file is not None and origin is None:
        raise BadInput("GeoJSON is in degrees: give --origin LAT LON, or site.origin in the site file")
    maps = maps_of(
        read_reports(reports), places, only_hz=only_hz, trend=cast(Any, trend), transmitter=transmitter, cells=cells
    )
    if geojson_file is not None and origin is not None:
        geojson_file.write_text(json.dumps(geojson(maps, origin)), encoding="utf-8")
    if png_file is not None:
        save_png(maps, png_file)
    for power_map in maps:
        record = _record(power_map)
        if as_json:
            emit_json(record)
        else:
            click.echo(TEXT.format(mhz=power_map.subchannel_hz / 1e6, **record))


def _record(power_map: PowerMap) -> dict[str, Any]:
    """What `--json` prints of a map."""
    from sensing.environment_map import left_out_rms_db

    model = power_map.model
    return {
        "subchannel_hz": power_map.subchannel_hz,
        "unit": power_map.unit,
        "sensors": len(power_map.sensors),
        "trend": model.trend,
        "transmitter_m": model.transmitter,
        "exponent": float(model.coefficients[1]) if model.transmitter is not None else None,
        "shadowing_db": model.covariance.shadowing_db,
        "correlation_m": model.covariance.length_m,
        "covariance_fitted": model.covariance.fitted,
        "left_out_rms_db": left_out_rms_db(model),
        "power_min_db": float(power_map.power_db.min()),
        "power_max_db": float(power_map.power_db.max()),
        "deviation_min_db": float(power_map.deviation_db.min()),
        "deviation_max_db": float(power_map.deviation_db.max()),
    }
