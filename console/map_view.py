"""The radio environment map of one subchannel from the newest reports, by the kriging of `airshed map`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controller.operators import CannotNow
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.site_file import Site


def map_view(
    site: Site, reports: Sequence[ChannelReport], cell: Subchannel, cells: int, now_s: float
) -> dict[str, Any]:
    """`GET /api/map`. CannotNow when too few placed sensors report on the subchannel."""
    from sensing.environment_map import left_out_rms_db
    from sensing.map_reports import maps_of

    places = {sensor.name: sensor.position_m for sensor in site.sensor if sensor.position_m is not None}
    fresh_s = now_s - site.controller.status_max_age_s
    heard = [
        report
        for report in reports
        if report.subchannel == cell and report.sensor in places and report.time_s + report.interval_s >= fresh_s
    ]
    try:
        (power_map,) = maps_of(heard, places, cells=cells)
    except BadInput as error:
        raise CannotNow(f"no map of {cell.name}: {error}") from None
    model = power_map.model
    return {
        "subchannel": f"{cell.center_hz:.0f}/{cell.bandwidth_hz:.0f}",
        "unit": power_map.unit,
        "time_s": now_s,
        "origin": site.site.origin,
        "east_m": power_map.east_m.round(2).tolist(),
        "north_m": power_map.north_m.round(2).tolist(),
        "power_db": power_map.power_db.round(2).tolist(),
        "deviation_db": power_map.deviation_db.round(2).tolist(),
        "sensors": [
            {"sensor": name, "position_m": place.tolist(), "power_db": round(float(power), 2)}
            for name, place, power in zip(power_map.sensors, model.positions, model.power_db, strict=True)
        ],
        "trend": model.trend,
        "left_out_rms_db": round(left_out_rms_db(model), 2),
    }
