"""A whole site of a scene in real time: database, controller, agents and sensors as processes, the air in between.

    from testbed.twin.live import LiveSite
    from testbed.twin.scene import read_scene

    with LiveSite(read_scene("hardware/scenes/quiet.toml"), waveforms=False) as site:
        site.site_file, site.redis_url, site.http    # for a console, or any `airshed` command
        site.wait(10.0)
        site.twin.tally.as_json()

Without waveforms the sensors are statistical, see `statistical_sensor`: nothing but the dongle's samples is left out.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from channel_status.embedded import private_server
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from channel_status.redis_door import connect
from spectrum.errors import BadInput, Failed
from testbed.demo_site import free_port
from testbed.supervisor import Supervisor
from testbed.twin.ear_feed import EarFeed, scene_line
from testbed.twin.live_backend import LiveBackend
from testbed.twin.live_sensors import SiteClock, StatisticalSensors
from testbed.twin.population import controlled, population
from testbed.twin.scene import Scene
from testbed.twin.site import TwinSite
from testbed.twin.site_files import SIGFOX_SUFFIX, Ports, agent_name, site_toml, write_keys

# Every part imports its libraries and compiles or loads its kernels first; a loaded machine takes its time.
START_TIMEOUT_S: Final = 90.0

# How often the site looks at the clock.
TICK_S: Final = 0.004

# The air begins so long after all parts have answered.
LEAD_S: Final = 0.5


class LiveSite:
    """Enter it to start everything, leave it to end everything. Enter it from the main thread.

    waveforms: sensors are real `airshed sense` processes that hear IQ; else statistical ones of this process.
    tell: hears of what is being started. stop: whoever sets it wants no more of the site, even before all parts are up.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        waveforms: bool,
        tell: Callable[[str], None] = lambda line: None,
        stop: threading.Event | None = None,
    ) -> None:
        if not scene.gateways:
            raise BadInput(f"scene {scene.name} has no [[gateways]]: a site needs one")
        self.scene, self._waveforms, self._tell = scene, waveforms, tell
        self._stack = ExitStack()
        self._stop = threading.Event()
        self._unwanted = stop or threading.Event()
        self._clock = SiteClock()
        self._workers: list[Future[None]] = []
        self._feeds: list[EarFeed] = []

    @property
    def now_s(self) -> float:
        """Seconds of the scene; far below zero until all parts are up."""
        return self._clock()

    @property
    def database(self) -> ChannelStatusDatabase:
        """The site's Channel Status Database."""
        return self._database

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._lay_out(stack)
            self._start_parts(stack)
            self._wait_for_parts()
            self._begin()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _lay_out(self, stack: ExitStack) -> None:
        scene = self.scene
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="airshed-twin-")))
        self.redis_url = os.environ.get("REDIS_URL") or stack.enter_context(private_server())
        self._database = connect(self.redis_url)
        stack.callback(self._database.close)
        self._database.ping()
        self._database.forget(scene.name)
        stack.callback(_forget, self._database, scene.name)
        self._parts = stack.enter_context(Supervisor(self.folder, {"REDIS_URL": self.redis_url}))
        members = population(scene)
        udp, sigfox = _free_udp_port(), free_port()
        endpoints = [one.name for one in controlled(members, "sigfox")]
        self._backend = LiveBackend(scene, ("127.0.0.1", udp), ("127.0.0.1", sigfox), endpoints, self._clock)
        stack.callback(self._backend.close)
        self.twin = TwinSite(scene, self._backend)
        self._sources = self._sensor_sources()
        ports = Ports(free_port(), udp, sigfox, free_port(), self._sources)
        self.http = f"127.0.0.1:{ports.http}"
        keys = self.folder / "keys.toml"
        write_keys(scene, members, keys)
        self.site_file = self.folder / "site.toml"
        self.site_file.write_text(site_toml(scene, members, ports, keys), encoding="utf-8")

    def _start_parts(self, stack: ExitStack) -> None:
        self._tell("starting the controller, the agents and the sensors")
        site_file, seed = str(self.site_file), str(self.scene.seed)
        self._parts.start("controller", ["controller", site_file])
        self._pool = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="twin"))
        stack.callback(self._stop.set)
        self._start_sensors(site_file, seed)
        self._has_lora = bool(controlled(self.twin.members, "lora"))
        if self._has_lora:
            self._parts.start("agent", ["agent", site_file, "--gateway", agent_name(self.scene), "--seed", seed])
        if controlled(self.twin.members, "sigfox"):
            name = agent_name(self.scene) + SIGFOX_SUFFIX
            self._parts.start("sigfox agent", ["agent", site_file, "--gateway", name, "--seed", seed])

    def _sensor_sources(self) -> dict[str, str]:
        """Where each sensor's samples come from, as the site file says it."""
        if not self._waveforms:
            return {sensor.name: "synthetic" for sensor in self.scene.sensors}
        return {sensor.name: f"rtl_tcp://127.0.0.1:{free_port()}" for sensor in self.scene.sensors}

    def _start_sensors(self, site_file: str, seed: str) -> None:
        if not self._waveforms:
            sensors = StatisticalSensors(self.scene, self._database, self._clock, self.twin.air)
            self._workers.append(self._pool.submit(sensors.run, self._stop))
            return
        for name, source in self._sources.items():
            ear = f"ear of {name}"
            listen = source.removeprefix("rtl_tcp://")
            self._parts.start(ear, ["testbed", "ear", "--sensor", name, "--listen", listen], fed=True)
            self._parts.feed(ear, scene_line(self.scene))
            self._feeds.append(EarFeed(self.twin.air, partial(self._parts.feed, ear)))
        for name, source in self._sources.items():
            self._wait_for_ear(source.removeprefix("rtl_tcp://"))
            self._parts.start(f"sensor {name}", ["sense", "--site", site_file, "--sensor", name, "--seed", seed])

    def _wait_for_ear(self, listen: str) -> None:
        """Until an ear greets: `airshed sense` gives up at once where nobody listens."""
        host, _, port = listen.rpartition(":")
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check()
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=START_TIMEOUT_S) as probe:
                if probe.recv(1):
                    return
            time.sleep(0.05)
        raise Failed(f"the ear at {listen} did not come up within {START_TIMEOUT_S:g} s, see its log")

    def _wait_for_parts(self) -> None:
        """Until the controller has opened the site, the sensors have reported and the agent has answered."""
        wanted: dict[str, Callable[[], bool]] = {
            "the controller": lambda: bool(self._database.read(self.scene.name, "events", count=1)),
            "the sensors": self._sensors_report,
        }
        if self._has_lora:
            wanted["the agent"] = self._agent_answers
        deadline = time.monotonic() + START_TIMEOUT_S
        while wanted and not self._unwanted.is_set():
            self.check()
            name, ready = next(iter(wanted.items()))
            if ready():
                del wanted[name]
            elif time.monotonic() > deadline:
                raise Failed(f"{name} did not come up within {START_TIMEOUT_S:g} s, see its log")
            else:
                time.sleep(0.05)

    def _sensors_report(self) -> bool:
        seen = {report.sensor for report in self._database.reports(self.scene.name)}
        return seen >= {sensor.name for sensor in self.scene.sensors}

    def _agent_answers(self) -> bool:
        for forwarder in self._backend.forwarders.values():
            forwarder.pull()
        time.sleep(0.05)
        return self._backend.answered()

    def _begin(self) -> None:
        """The scene's zero is now."""
        self._clock.begin(LEAD_S)
        for feed in self._feeds:
            feed.begin(self._clock.epoch_s)
        self._workers.append(self._pool.submit(self._run))

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            self.twin.advance(self.now_s)

    def check(self) -> None:
        """Raise what a part or a thread ended with, if any has."""
        self._parts.check()
        for worker in self._workers:
            if worker.done() and (error := worker.exception()) is not None:
                raise Failed(f"the site came to a halt: {error}") from error

    def halt(self) -> None:
        """Stop the air, so that what was counted stands still; parts go on until the site is left."""
        self._stop.set()
        wait(self._workers)
        self.check()

    def wait(self, until_s: float, stop: threading.Event | None = None, each: Callable[[], None] | None = None) -> None:
        """Let the scene go on until its time `until_s`, or until `stop`; `each` is called four times a second."""
        stop = stop or threading.Event()
        while self.now_s < until_s and not stop.wait(min(0.25, max(0.0, until_s - self.now_s))):
            self.check()
            if each is not None:
                each()


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _forget(database: ChannelStatusDatabase, site: str) -> None:
    with suppress(DatabaseAway):  # it was ours and has gone, or it died: nothing of the site is left in it either way
        database.forget(site)
