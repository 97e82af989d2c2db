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
@click.option(
    "--speed",
    metavar="FACTOR",
    help="Simulated time at FACTOR times the clock's pace, or `max`, in this process. Needs --no-waveforms.",
)
@json_option
def run(
    scene_file: str, seconds: float | None, seed: int | None, no_waveforms: bool, speed: str | None, as_json: bool
) -> int:
    """Run the site of SCENE.toml: devices, gateways and interferers on its air, and Airshed's own parts behind them.

    Database, controller, agents and sensors are processes as on a real site; only the air is made. While it runs, the
    site file and REDIS_URL that are printed first let any other command join it. At the end: delivery ratio phase by
    phase, losses by their cause, and per spreading factor.

    With --speed time is simulated: the same devices, gateways, agent and allocator in one process, for thousands of
    devices and hours of their traffic.

    \b
    airshed testbed run hardware/scenes/carrier-868-3.toml
    airshed testbed run hardware/scenes/crowded.toml --no-waveforms --speed max
    """
    import msgspec

    from spectrum.errors import BadInput
    from terminal.signals import stopped_by_signals
    from testbed.twin.scene import read_scene
    from testbed.twin.summary import summary_text

    factor = _factor(speed)
    if factor is not None and not no_waveforms:
        raise BadInput("--speed simulates time, and waveforms need the real one: give --no-waveforms too")
    scene = read_scene(scene_file)
    if seed is not None:
        scene = msgspec.structs.replace(scene, seed=seed)
    with stopped_by_signals() as stop:
        length_s = seconds or scene.seconds
        if factor is None:
            found = _run_live(scene, length_s, stop, waveforms=not no_waveforms, quiet=as_json)
        else:
            found = _run_simulated(scene, length_s, stop, factor, quiet=as_json)
    if as_json:
        emit_json(found)
    else:
        click.echo(summary_text(found))
    return INTERRUPTED if stop.is_set() else 0


def _factor(speed: str | None) -> float | None:
    """What --speed says: infinite for `max`, None for the real time of real parts."""
    from spectrum.errors import BadInput

    if speed is None:
        return None
    try:
        factor = float("inf") if speed == "max" else float(speed)
    except ValueError:
        factor = 0.0
    if not factor > 0:
        raise BadInput(f"expected --speed max or a factor above 0, got {speed!r}")
    return factor


def _run_live(scene: Scene, seconds: float, stop: threading.Event, *, waveforms: bool, quiet: bool) -> dict[str, Any]:
    from testbed.twin.demo import view_of
    from testbed.twin.live import LiveSite
    from testbed.twin.summary import live_summary
    from testbed.twin.view import watching

    def tell(line: str) -> None:
        click.echo(line, err=True)

    with LiveSite(scene, waveforms=waveforms, tell=tell, stop=stop) as site, watching(quiet=quiet) as show:
        tell(f"site file {site.site_file}")
        tell(f"REDIS_URL={site.redis_url}")
        site.wait(seconds, stop, lambda: show(view_of(site)))
        return live_summary(site, max(0.0, min(seconds, site.now_s)))


def _run_simulated(
    scene: Scene, seconds: float, stop: threading.Event, factor: float, *, quiet: bool
) -> dict[str, Any]:
    import math
    import time

    from terminal.command import progress
    from testbed.twin.simulated import SimulatedSite

    begun_s = time.monotonic()
    site = SimulatedSite(scene)
    if math.isfinite(factor):
        site.run_paced(seconds, factor, stop)
    else:
        with progress("simulated seconds", seconds, quiet=quiet) as advance:
            site.run(seconds, stop, advance)
    return site.summary(max(0.0, min(seconds, site.twin.now_s)), time.monotonic() - begun_s)
