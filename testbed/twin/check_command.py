"""`airshed testbed check`: a scene file before it is run."""

from __future__ import annotations

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
    from testbed.twin.survey import survey

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
