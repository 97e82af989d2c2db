"""The sensors of a live site: `airshed sense` on what each one's ear hears, or statistical ones in this process."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Final

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from sensing.waterfall import Waterfall
from testbed.twin.air import Air
from testbed.twin.scene import Scene
from testbed.twin.statistical_sensor import StatisticalSensor

# The air is looked at in steps, each this long after it has passed: what gateways were told a moment ago is in it.
STEP_S: Final = 0.1
BEHIND_S: Final = 0.1

# Farther behind than this, the steps in between are skipped, as a dongle would lose samples.
MOST_BEHIND_S: Final = 2.0


class SiteClock:
    """The time of a scene on the wall. Until `begin` it lies far before the scene, and nothing is on the air."""

    LONG_BEFORE_S: Final = 1e6

    def __init__(self) -> None:
        self.epoch_s = time.time() + self.LONG_BEFORE_S

    def begin(self, lead_s: float) -> None:
        """The scene's zero is `lead_s` from now."""
        self.epoch_s = time.time() + lead_s

    def __call__(self) -> float:
        """Seconds of the scene."""
        return time.time() - self.epoch_s


class StatisticalSensors:
    """All sensors of a scene in a thread of this process; they publish as `airshed sense` does."""

    def __init__(self, scene: Scene, database: ChannelStatusDatabase, clock: SiteClock, air: Air) -> None:
        self._site, self._database, self._clock, self._air = scene.name, database, clock, air
        self._sensors = [StatisticalSensor(scene, sensor) for sensor in scene.sensors]
        self._intervals = dict.fromkeys((sensor.name for sensor in scene.sensors), 0)
        # what the console's past is made of; there is no spectrum without samples
        self._digests = {sensor.name: Waterfall(sensor.name, None, 0) for sensor in scene.sensors}

    def run(self, stop: threading.Event) -> None:
        """Sense until `stop`."""
        from_s = self._clock() - BEHIND_S
        while not stop.wait(STEP_S / 5):
            late_s = self._clock() - BEHIND_S - STEP_S - from_s
            if abs(late_s) > MOST_BEHIND_S:  # the scene has begun, or the clock was set
                from_s += late_s
            elif late_s >= 0.0:
                self._step(from_s)
                from_s += STEP_S

    def _step(self, from_s: float) -> None:
        heard = self._air.transmissions_between(from_s, from_s + STEP_S)
        for sensor in self._sensors:
            rows = max(1, round(STEP_S / sensor.interval_s))
            reports = sensor.sense(heard, from_s, rows, self._clock.epoch_s)
            if not reports:
                continue
            name = sensor.sensor.name
            self._intervals[name] += len(reports) // len(sensor.subchannels)
            health = {
                "intervals": self._intervals[name], "records": self._intervals[name] * len(sensor.subchannels),
                "lost_records": 0, "lost_samples": 0, "last_s": reports[-1].time_s, "gain_db": sensor.sensor.gain_db,
                "flags": ("statistical",), "state": "running",
            }  # fmt: skip
            with suppress(DatabaseAway):  # those reports are lost, as a daemon's would be
                self._database.publish(self._site, reports)
                self._database.put(self._site, "sensor", {name: records.encode(health)})
                for stream, row in self._digests[name].judge(reports):
                    self._database.append(self._site, f"{stream}:{name}", [row])
