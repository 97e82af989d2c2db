"""`airshed testbed run`: the site of a scene, in real time or faster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from terminal.command import INTERRUPTED, emit_json, json_option

if TYPE_CHECKING:
    import threading

    from testbed.twin.scene import Scene


@click.command("run")
@click.argument("scene_file", metavar="SCENE.toml")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long, in place of the scene's own.")
@click.option("--seed", type=click.IntRange(min=0), help="In place of the scene's own.")
@click.option("--no-waveforms", is_flag=True, help="Statistical sensors in place of dongles that hear IQ.")
@json_option
def run(scene_file: str, seconds: float | None, seed: int | None, no_waveforms: bool, as_json: bool) -> int:
    """Run the site of SCENE.toml: devices, gateways and interferers on its air, and Airshed's own parts behind them.

    Database, controller, agents and sensors are processes as on a real site; only the air is made. While it runs, the
    site file and REDIS_URL that are printed first let any other command join it. At the end: delivery ratio phase by
    phase, losses by their cause.

    \\b
    airshed testbed run hardware/scenes/quiet.toml --no-waveforms
    """
    import msgspec

    from terminal.signals import stopped_by_signals
    from testbed.twin.scene import read_scene

    scene = read_scene(scene_file)
    if seed is not None:
        scene = msgspec.structs.replace(scene, seed=seed)
    with stopped_by_signals() as stop:
        found = _run_live(scene, seconds or scene.seconds, stop, waveforms=not no_waveforms, quiet=as_json)
    if as_json:
        emit_json(found)
    else:
        from testbed.twin.summary import summary_text

        click.echo(summary_text(found))
    return INTERRUPTED if stop.is_set() else 0


def _run_live(scene: Scene, seconds: float, stop: threading.Event, *, waveforms: bool, quiet: bool) -> dict[str, Any]:
    from testbed.twin.live import LiveSite
    from testbed.twin.summary import live_summary

    def tell(line: str) -> None:
        if not quiet:
            click.echo(line)

    with LiveSite(scene, waveforms=waveforms, tell=tell) as site:
        tell(f"site file {site.site_file}")
        tell(f"REDIS_URL={site.redis_url}")
        site.wait(seconds, stop)
        return live_summary(site, min(seconds, site.now_s))
