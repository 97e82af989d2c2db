"""The demo on the twin: a carrier appears, the sensors hear it, the controller and the agent move the devices."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from spectrum.report import ChannelReport
from testbed.twin.live import LiveSite
from testbed.twin.scene import DeviceGroup, Interferer, Scene, read_scene
from testbed.twin.summary import live_summary
from testbed.twin.tally import Tally

SCENE: Final = Path(__file__).parents[2] / "hardware" / "scenes" / "carrier-868-3.toml"


@dataclass(frozen=True, slots=True)
class TwinDemoOptions:
    """What the command line asks for; None leaves it to the scene. attempts: N of Algorithm 1."""

    scene_file: Path = SCENE
    seconds: float | None = None
    devices: int | None = None
    attempts: int = 5
    seed: int = 1
    waveforms: bool = True


@dataclass(frozen=True, slots=True)
class TwinView:
    """What the watcher shows. phase: None while the site warms up."""

    elapsed_s: float
    seconds: float
    phase: str | None
    reports: tuple[ChannelReport, ...]
    tally: Tally
    interferers: tuple[str, ...]


def demo_scene(options: TwinDemoOptions) -> Scene:
    """The scene with what the command line asks for.

    Another length stretches all its times. More devices than the scene's report so much less often that together they
    offer the same traffic.
    """
    scene = read_scene(options.scene_file)
    stretch = 1.0 if options.seconds is None else options.seconds / scene.seconds
    table = msgspec.structs.replace(scene.controller, attempts=options.attempts)
    phases = scene.phases
    groups = scene.device_groups if options.devices is None else _groups(scene.device_groups, options.devices)
    return msgspec.structs.replace(
        scene,
        seed=options.seed,
        seconds=scene.seconds * stretch,
        controller=table,
        device_groups=groups,
        interferers=tuple(_stretched(one, stretch) for one in scene.interferers),
        phases=msgspec.structs.replace(
            phases, warm_up_s=phases.warm_up_s * stretch, settle_s=phases.settle_s * stretch
        ),
    )


def _stretched(interferer: Interferer, stretch: float) -> Interferer:
    until_s = None if interferer.until_s is None else interferer.until_s * stretch
    return msgspec.structs.replace(interferer, from_s=interferer.from_s * stretch, until_s=until_s)


def _groups(groups: tuple[DeviceGroup, ...], devices: int) -> tuple[DeviceGroup, ...]:
    """The groups with `devices` devices between them, as evenly as it goes; a group without any is left out."""
    slower = max(1.0, devices / sum(group.count for group in groups))
    counts = [devices // len(groups) + (number < devices % len(groups)) for number in range(len(groups))]
    return tuple(
        msgspec.structs.replace(group, count=count, period_s=group.period_s * slower)
        for group, count in zip(groups, counts, strict=True)
        if count
    )


def run_twin_demo(
    options: TwinDemoOptions,
    stop: threading.Event,
    show: Callable[[TwinView], None],
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Run the scene to its end (or until `stop`) and return the summary. Nothing is left behind."""
    scene = demo_scene(options)
    with LiveSite(scene, waveforms=options.waveforms, tell=tell, stop=stop) as site:
        site.wait(scene.seconds, stop, lambda: show(view_of(site)))
        return live_summary(site, max(0.0, min(scene.seconds, site.now_s)))


def view_of(site: LiveSite) -> TwinView:
    """What there is to see of a site now."""
    now_s = site.now_s
    tally = site.twin.tally
    there = tuple(
        one.name
        for one in site.scene.interferers
        if one.from_s <= now_s and (one.until_s is None or now_s < one.until_s)
    )
    reports = site.database.reports(site.scene.name)
    return TwinView(now_s, site.scene.seconds, tally.borders.phase_of(now_s), reports, tally, there)
