"""A scene in simulated time: the same air, gateways, devices, agent and allocator; sensors by their law; no process."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from spectrum.errors import BadInput
from spectrum.site_file import Site, SiteTable
from testbed.twin.population import population
from testbed.twin.reception import Rules
from testbed.twin.scene import Scene
from testbed.twin.simulated_backend import EPOCH_S, SimulatedBackend
from testbed.twin.site import TwinSite
from testbed.twin.statistical_sensor import StatisticalSensor
from testbed.twin.summary import recovered

# Each sensor looks at so many intervals in a row, once in so many seconds, and whenever leases are asked for while
# its last look is older than FRESH_S. A verdict reaches the database BEHIND_S after the air it is about, as it does
# on a live site.
ROWS: Final = 10
LOOK_S: Final = 1.0
FRESH_S: Final = 0.05
BEHIND_S: Final = 0.3

# Paced time looks at the clock so often.
TICK_S: Final = 0.02


class SimulatedSite:
    """One scene. rules: what gateways decode, None for the SX1301's. `run` may be called again to go on."""

    def __init__(self, scene: Scene, rules: Rules | None = None) -> None:
        if not scene.gateways:
            raise BadInput(f"scene {scene.name} has no [[gateways]]: a site needs one")
        self.scene = scene
        site = Site(site=SiteTable(name=scene.name), spectrum=scene.spectrum, controller=scene.controller)
        self.backend = SimulatedBackend(scene, site, population(scene))
        self.twin = TwinSite(scene, self.backend, rules)
        self.backend.now = lambda: max(0.0, self.twin.now_s)
        self._sensors = [
            StatisticalSensor(scene, sensor, min(1.0, ROWS * sensor.interval_s / LOOK_S)) for sensor in scene.sensors
        ]
        self.intervals = self.records = 0
        self._looked_s = -math.inf
        self.backend.before_asking = self._look_afresh
        self._look_regularly()

    def _look_regularly(self) -> None:
        self._look(ROWS)
        self.twin.at(max(0.0, self.twin.now_s) + LOOK_S, self._look_regularly)

    def _look_afresh(self) -> None:
        if self.twin.now_s - self._looked_s >= FRESH_S:
            self._look(1)

    def _look(self, rows: int) -> None:
        """Every sensor senses `rows` intervals, and publishes what it then knows."""
        self._looked_s = max(0.0, self.twin.now_s)
        until_s = self._looked_s - BEHIND_S
        for sensor in self._sensors:
            from_s = until_s - rows * sensor.interval_s
            heard = self.twin.air.transmissions_between(from_s, until_s)
            reports = sensor.sense(heard, from_s, rows, EPOCH_S)
            self.intervals += len(reports) // len(sensor.subchannels)
            newest = {(report.subchannel_hz, report.bandwidth_hz): report for report in reports}
            self.records += len(newest)
            if newest:
                self.backend.database.publish(self.scene.name, list(newest.values()))

    def run(
        self,
        until_s: float,
        stop: threading.Event | None = None,
        advanced: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """Go on to a time of the scene, as fast as it goes. advanced: hears of each simulated second."""
        told_s = 0.0
        while stop is None or not stop.is_set():
            wake_s = self.backend.wakes[0] if self.backend.wakes else math.inf
            next_s = min(self.twin.next_s, wake_s)
            if next_s > until_s:
                break
            self.twin.advance(next_s)
            self.backend.step()
            self.twin.settle()
            if self.twin.now_s - told_s >= 1.0:
                advanced(self.twin.now_s - told_s)
                told_s = self.twin.now_s
        else:
            return
        self.twin.advance(until_s)

    def run_paced(self, until_s: float, speed: float, stop: threading.Event) -> None:
        """Go on to a time of the scene, at `speed` times the pace of the clock, or as fast as it goes."""
        begins_s, begun_s = max(0.0, self.twin.now_s), time.monotonic()
        while self.twin.now_s < until_s and not stop.wait(TICK_S):
            self.run(min(until_s, begins_s + speed * (time.monotonic() - begun_s)), stop)

    def summary(self, seconds: float, wall_s: float) -> dict[str, Any]:
        """The account, for machines."""
        decisions, account = self.backend.decisions(), self.twin.tally.as_json()
        return {
            "source": f"scene {self.scene.name}",
            "scene": self.scene.name,
            "seed": self.scene.seed,
            "devices": len(self.twin.members),
            "seconds": seconds,
            "speed": seconds / wall_s if wall_s > 0 else None,
            "intervals": self.intervals,
            "records": self.records,
            "granted": decisions["granted"],
            "forced": decisions["forced"],
            "requests": decisions["granted"] + decisions["forced"],
            **account,
            "recovered": recovered(account),
        }
