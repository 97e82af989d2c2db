"""`airshed testbed check`: a scene file before it is run."""

from __future__ import annotations

from typing import Any

import click

from terminal.command import emit_json, json_option


@click.command("check")
@click.argument("scene_file", metavar="SCENE.toml")
@json_option
def check(scene_file: str, as_json: bool) -> None:
    """Read SCENE.toml and say what it comes to: devices, their spreading factors, and how loud they arrive.

    A key that is unknown or wrong is one line on stderr that names it, and status 2.

    \\b
    airshed testbed check hardware/scenes/crowded.toml
    """
    from testbed.twin.scene import read_scene

    found = survey(read_scene(scene_file))
    if as_json:
        emit_json(found)
        return
    click.echo(f"scene {found['scene']}: {found['devices']} devices, {found['controlled']} under the agent")
    for name, count in found["spreading_factors"].items():
        click.echo(f"  {name}: {count}")
    click.echo(f"offered: {found['offered_erlang']:.3f} E, {found['reports_per_hour']:.0f} reports an hour")
    for name, link in found["gateways"].items():
        click.echo(f"gateway {name}: hears {link['heard']} of {found['devices']} devices without fading")
    for name, sensor in found["sensors"].items():
        loudest = sensor["loudest_dbfs"]
        heard = "hears nothing" if loudest is None else f"loudest source {loudest:.1f} dBFS"
        click.echo(f"sensor {name}: noise {sensor['noise_dbfs']:.1f} dBFS in 125 kHz, {heard}")
        if sensor["overloaded_by"]:
            click.echo(f"  overloaded by {', '.join(sensor['overloaded_by'])}: move it, or lower gain_db")


def survey(scene: Any) -> dict[str, Any]:
    """What a scene comes to, for machines."""
    from collections import Counter

    from spectrum import lora, sigfox
    from testbed.twin.air import link_gain_db, noise_dbm
    from testbed.twin.population import Member, least_dbm, population
    from testbed.twin.reception import NEEDED_SIGFOX_SNR_DB
    from testbed.twin.scene import Gateway, Scene, Sensor

    assert isinstance(scene, Scene)
    members = population(scene)

    def airtime_s(one: Member) -> float:
        traffic = one.traffic
        if traffic.kind == "sigfox":
            return sigfox.COPIES * sigfox.airtime_s(traffic.payload_bytes)
        modulation = lora.LoraModulation(one.spreading_factor, coding_rate=traffic.coding_rate)
        return lora.airtime_s(modulation, lora.LORAWAN_OVERHEAD_BYTES + traffic.payload_bytes)

    def level_dbm(one: Member, receiver: Gateway | Sensor) -> float:
        return one.traffic.eirp_dbm + link_gain_db(scene, one.name, (one.x_m, one.y_m), receiver)

    def heard(one: Member, gateway: Gateway) -> bool:
        least = least_dbm(scene, gateway, one.spreading_factor)
        if one.traffic.kind == "sigfox":
            figure_db = scene.propagation.noise_figure_db
            least = noise_dbm(sigfox.MICRO_CHANNEL_HZ, figure_db) + NEEDED_SIGFOX_SNR_DB
        return level_dbm(one, gateway) + gateway.antenna_gain_dbi >= least

    def sensor_survey(sensor: Sensor) -> dict[str, Any]:
        levels = {one.name: level_dbm(one, sensor) for one in members}
        for one in scene.interferers:
            levels[one.name] = one.eirp_dbm + link_gain_db(scene, one.name, (one.x_m, one.y_m), sensor)
        figure_db = scene.propagation.noise_figure_db if sensor.noise_figure_db is None else sensor.noise_figure_db
        loudest = max(levels.values(), default=None)
        return {
            "noise_dbfs": noise_dbm(125e3, figure_db) - sensor.full_scale_dbm,
            "loudest_dbfs": None if loudest is None else loudest - sensor.full_scale_dbm,
            "overloaded_by": sorted(name for name, level in levels.items() if level > sensor.full_scale_dbm),
        }

    factors = Counter("sigfox" if one.traffic.kind == "sigfox" else f"SF{one.spreading_factor}" for one in members)
    return {
        "scene": scene.name,
        "devices": len(members),
        "controlled": sum(one.traffic.controlled for one in members),
        "spreading_factors": dict(sorted(factors.items(), key=lambda item: (len(item[0]), item[0]))),
        "offered_erlang": sum(airtime_s(one) / one.traffic.period_s for one in members),
        "reports_per_hour": sum(3600.0 / one.traffic.period_s for one in members),
        "gateways": {
            gateway.name: {"heard": sum(heard(one, gateway) for one in members)} for gateway in scene.gateways
        },
        "sensors": {sensor.name: sensor_survey(sensor) for sensor in scene.sensors},
    }
