"""A recorded history under faults: sixteen clients, two controllers that are killed, a database that is killed too.

What was acknowledged must be in the event stream, unforced leases must never share time and spectrum, and nothing may
outlive its end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random

import grpc
import pytest

from channel_status import records
from channel_status.embedded import embedded_url, start_server
from channel_status.protocol import DatabaseAway
from channel_status.redis_door import RedisDatabase, connect
from controller.replay import replay
from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc
from spectrum.report import ChannelReport
from spectrum.site_file import parse_site
from spectrum.status import Lease
from testbed.demo_site import free_port

CLIENTS = 16
REQUESTS = 60
CONTROLLER_KILLS = 3
TIMEOUT_S = 240.0

SITE_TOML = """[site]
name = "s"
[controller]
listen = "127.0.0.1:{port}"
attempts = 4
horizon_s = 3.0
guard_s = 0.0
status_max_age_s = 3600.0
"""


class Stage:
    """The database and the controllers, with what may happen to them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.ports = [free_port() for _ in range(2)]
        self._stack = stack
        self._lock = threading.Lock()
        self.redis = start_server(folder, keep=True)
        self.controllers = [self._controller(port) for port in self.ports]
        stack.callback(self.end)

    @property
    def url(self) -> str:
        """Where the database is."""
        return embedded_url(self.folder)

    def _controller(self, port: int) -> subprocess.Popen[bytes]:
        site_file = self.folder / f"{port}.toml"
        site_file.write_text(SITE_TOML.format(port=port))
        with open(self.folder / f"{port}.log", "a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "airshed", "controller", str(site_file)],
                env={**os.environ, "REDIS_URL": self.url}, stdout=log, stderr=log,
            )  # fmt: skip

    def kill_controller(self, number: int) -> None:
        """SIGKILL, and another one in its place."""
        self.controllers[number].kill()
        self.controllers[number].wait()
        self.controllers[number] = self._controller(self.ports[number])

    def kill_database(self) -> None:
        """SIGKILL in the middle of its work, then the same data again."""
        self.redis.kill()
        self.redis.wait()
        self.redis = start_server(self.folder, keep=True)

    def end(self) -> None:
        """All of it."""
        for process in (*self.controllers, self.redis):
            process.terminate()
        for process in (*self.controllers, self.redis):
            process.wait(30)


def ask_until_answered(stage: Stage, client: int, number: int, rng: Random, until_s: float) -> list[wire.Lease]:
    """One request, the same one again at either controller until it is answered."""
    request = wire.LeaseRequest(
        request_id=f"c{client}-{number}", device=f"dev-{client}-{number % 20}", technology=wire.LORA,
        airtime_us=rng.randrange(10_000, 80_000), copies=1, keeps_time=rng.random() < 0.8,
    )  # fmt: skip
    while time.monotonic() < until_s:
        port = rng.choice(stage.ports)
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                answer = wire_grpc.ControllerStub(channel).Allocate(request, timeout=2.0)
        except grpc.RpcError:
            time.sleep(0.02)
            continue
        if answer.refusal.reason == wire.Refusal.DATABASE_AWAY:
            time.sleep(0.02)
            continue
        assert answer.leases, answer.refusal.message
        return list(answer.leases)
    raise AssertionError("a request was never answered")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Database and two controllers, sensing everything as idle."""
    with ExitStack() as stack:
        made = Stage(tmp_path, stack)
        site = parse_site(SITE_TOML.format(port=1), "x")
        database = connect(made.url)
        now_s = time.time()
        levels = (-41.0, -41.0, -40.0, None, 0.2, 0.1, False, 0.1, 0.1)
        cells = (*site.spectrum.lora, *site.spectrum.sigfox)
        database.publish("s", [ChannelReport("x", now_s, 0.01, c.center_hz, c.bandwidth_hz, *levels) for c in cells])
        database.close()
        yield made


def test_acknowledged_leases_survive_kills_and_never_overlap(stage: Stage) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    acknowledged: list[wire.Lease] = []
    outlived: list[Lease] = []
    over = threading.Event()

    def client(number: int) -> None:
        rng = Random(number)
        for i in range(REQUESTS):
            acknowledged.extend(ask_until_answered(stage, number, i, rng, until_s))
            time.sleep(rng.uniform(0.0, 0.1))

    def faults() -> None:
        rng = Random(99)
        for kill in range(CONTROLLER_KILLS):
            time.sleep(rng.uniform(0.5, 1.5))
            stage.kill_controller(kill % 2)
            if kill == 1:
                stage.kill_database()

    def watch() -> None:
        database = connect(stage.url)
        while not over.wait(0.05):
            now_s = time.time()
            try:
                outlived.extend(x for x in database.leases("s", now_s) if x.end_s <= now_s)
            except DatabaseAway:
                continue
        database.close()

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        watching = pool.submit(watch)
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        try:
            faults()
            for asked in clients:
                asked.result()
        finally:
            over.set()
        watching.result()
    assert outlived == []
    database = connect(stage.url)
    check_history(database, acknowledged)
    until(lambda: not database.leases("s", time.time()), until_s)
    database.close()


def until(true: object, until_s: float) -> None:
    """Wait until something holds."""
    while not true():  # type: ignore[operator]
        assert time.monotonic() < until_s
        time.sleep(0.05)


def check_history(database: RedisDatabase, acknowledged: list[wire.Lease]) -> None:
    """The properties, from the stream and from what clients were told."""
    stream = [entry.value for entry in database.read("s", "events", count=100_000)]
    given: dict[str, list[Lease]] = {}
    for line in stream:
        event = records.decode(line)
        if event["event"] in ("granted", "forced"):
            lease = records.lease_of(event["lease"])
            # A request asked again gets its lease again; only when that has ended meanwhile it gets another.
            assert all(earlier.end_s <= records.seconds(event["at_us"]) for earlier in given.get(lease.lease_id, []))
            given.setdefault(lease.lease_id, []).append(lease)
    assert len(acknowledged) == CLIENTS * REQUESTS
    for told in acknowledged:
        known = {
            (records.microseconds(x.start_s), records.microseconds(x.end_s), round(x.subchannel.center_hz), x.forced)
            for x in given[told.lease_id]
        }
        assert (told.start_us, told.end_us, told.subchannel_hz, told.forced) in known
    every = [lease for leases in given.values() for lease in leases]
    unforced = sorted((lease for lease in every if not lease.forced), key=lambda lease: lease.start_s)
    assert len(unforced) > CLIENTS * REQUESTS / 4  # the load leaves room: most are not forced
    for i, one in enumerate(unforced):
        for other in unforced[i + 1 :]:
            if other.start_s >= one.end_s:
                break
            assert one.subchannel.overlap_hz(other.subchannel) == 0.0, (one, other)
    found = replay(stream)
    assert found.differences == []
    assert found.same > CLIENTS * REQUESTS / 2
