"""`airshed testbed record`."""

from __future__ import annotations

from pathlib import Path

import click

from terminal.command import emit_json, json_option, progress


@click.command("record")
@click.argument("scene_file", metavar="SCENE.toml")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), required=True, help="How long, from its start.")
@click.option("--out", "base", type=click.Path(path_type=Path), required=True, metavar="NAME",
              help="NAME.sigmf-data and NAME.sigmf-meta are written, and must not exist.")  # fmt: skip
@click.option("--sensor", "sensor_name", metavar="NAME", help="Which sensor listens [default: the scene's first].")
@click.option("--seed", type=click.IntRange(min=0), help="In place of the scene's own.")
@click.option("--max-bytes", type=click.IntRange(min=2), default=1 << 30, show_default=True,
              help="Refuse to write more than so many bytes of samples.")  # fmt: skip
@json_option
def record(
    scene_file: str,
    seconds: float,
    base: Path,
    sensor_name: str | None,
    seed: int | None,
    max_bytes: int,
    as_json: bool,
) -> None:
    """Record what a sensor of SCENE.toml would hear, with the truth: one annotation for each transmission.

    SigMF, cu8, as fast as the machine can. Nobody steers the devices: they report as they would without an agent. The
    annotations tell samples, edges, kind, device, level and SNR; docs/testbed.md lists their keys. `airshed testbed
    score` holds the sensing against them.

    \b
    airshed testbed record hardware/scenes/quiet.toml --seconds 20 --out /tmp/quiet
    airshed sense /tmp/quiet.sigmf-meta
    airshed testbed score /tmp/quiet.sigmf-meta
    """
    from dataclasses import asdict

    import msgspec

    from testbed.twin import recording
    from testbed.twin.open_loop import open_air
    from testbed.twin.scene import read_scene

    scene = read_scene(scene_file)
    if seed is not None:
        scene = msgspec.structs.replace(scene, seed=seed)
    sensor = recording.sensor_named(scene, sensor_name)
    recording.check_room(scene, sensor, seconds, max_bytes, base)
    with progress("recording, samples", round(seconds * sensor.rate_hz), quiet=as_json) as advance:
        made = recording.record(scene, sensor, open_air(scene), seconds, base, advance)
    if as_json:
        emit_json({**asdict(made), "meta": str(made.meta), "data": str(made.data)})
        return
    click.echo(
        f"{made.meta}: {made.samples} samples, {made.transmissions} transmissions, {made.clipped} values clipped"
    )
