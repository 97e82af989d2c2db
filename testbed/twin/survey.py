"""What a scene comes to before it is run: who hears whom, how much is offered, who overloads a sensor. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from spectrum import lora, sigfox
from testbed.twin.air import link_gain_db, noise_dbm
from testbed.twin.population import Member, least_dbm, population
from testbed.twin.reception import NEEDED_SIGFOX_SNR_DB
from testbed.twin.scene import Gateway, Scene, Sensor


def survey(scene: Scene) -> dict[str, Any]:
    """What a scene comes to, for machines. Levels are means: fading is left out."""
    members = population(scene)
    factors = Counter("sigfox" if one.traffic.kind == "sigfox" else f"SF{one.spreading_factor}" for one in members)
    return {
        "scene": scene.name,
        "devices": len(members),
        "controlled": sum(one.traffic.controlled for one in members),
        "spreading_factors": dict(sorted(factors.items(), key=lambda item: (len(item[0]), item[0]))),
        "offered_erlang": sum(_airtime_s(one) / one.traffic.period_s for one in members),
        "reports_per_hour": sum(3600.0 / one.traffic.period_s for one in members),
        "gateways": {
            gateway.name: {"heard": sum(_is_heard(scene, one, gateway) for one in members)}
            for gateway in scene.gateways
        },
        "sensors": {sensor.name: _sensor(scene, sensor, members) for sensor in scene.sensors},
    }


def _airtime_s(one: Member) -> float:
    """Time on the air of one report, all copies of it."""
    if one.traffic.kind == "sigfox":
        return sigfox.COPIES * sigfox.airtime_s(one.traffic.payload_bytes)
    modulation = lora.LoraModulation(one.spreading_factor, coding_rate=one.traffic.coding_rate)
    return lora.airtime_s(modulation, lora.LORAWAN_OVERHEAD_BYTES + one.traffic.payload_bytes)


def _level_dbm(scene: Scene, one: Member, receiver: Gateway | Sensor) -> float:
    return one.traffic.eirp_dbm + link_gain_db(scene, one.name, (one.x_m, one.y_m), receiver)


def _is_heard(scene: Scene, one: Member, gateway: Gateway) -> bool:
    least = least_dbm(scene, gateway, one.spreading_factor)
    if one.traffic.kind == "sigfox":
        figure_db = gateway.noise_figure_db
        figure_db = scene.propagation.noise_figure_db if figure_db is None else figure_db
        least = noise_dbm(sigfox.MICRO_CHANNEL_HZ, figure_db) + NEEDED_SIGFOX_SNR_DB
    return _level_dbm(scene, one, gateway) + gateway.antenna_gain_dbi >= least


def _sensor(scene: Scene, sensor: Sensor, members: tuple[Member, ...]) -> dict[str, Any]:
    levels = {one.name: _level_dbm(scene, one, sensor) for one in members}
    for one in scene.interferers:
        levels[one.name] = one.eirp_dbm + link_gain_db(scene, one.name, (one.x_m, one.y_m), sensor)
    figure_db = scene.propagation.noise_figure_db if sensor.noise_figure_db is None else sensor.noise_figure_db
    loudest_dbm = max(levels.values(), default=None)
    return {
        "noise_dbfs": noise_dbm(125e3, figure_db) - sensor.full_scale_dbm,
        "loudest_dbfs": None if loudest_dbm is None else loudest_dbm - sensor.full_scale_dbm,
        "overloaded_by": sorted(name for name, level_dbm in levels.items() if level_dbm > sensor.full_scale_dbm),
    }
