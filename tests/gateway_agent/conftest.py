"""A network of LoRaWAN devices without sockets: what the tests of this room share."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from channel_status.embedded import private_server
from gateway_agent.lorawan.devices import Device, DeviceKeys
from gateway_agent.lorawan.network import Heard, LorawanNetwork
from gateway_agent.lorawan.session import Session
from gateway_agent.lorawan.steering import Plan
from gateway_agent.semtech_udp import Received
from spectrum.site_file import DeviceTable
from testbed.lorawan_device import LorawanDevice, Sent

PATIENCE_S: Final = 60.0


def until(true: Callable[[], Any]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@pytest.fixture(name="until")
def until_fixture() -> Callable[[Callable[[], Any]], None]:
    """Waits until something holds."""
    return until


def free_port(kind: socket.SocketKind) -> int:
    """A port on loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class AgentProcess:
    """`airshed agent` in a folder of its own, with a database that outlives it: started, ended, started again.

    udp: where forwarders send to. capture: what it captured. controller_port: where it dials; while nobody answers
    there it serves its devices all the same.
    """

    def __init__(self, folder: Path, database: str, devices: str, keys: str, lines: str) -> None:
        self.udp = ("127.0.0.1", free_port(socket.SOCK_DGRAM))
        self.health = f"http://127.0.0.1:{free_port(socket.SOCK_STREAM)}"
        self.capture, self.log, self.database = folder / "air.pcap", folder / "log", database
        self._site, self._keys = folder / "site.toml", folder / "keys.toml"
        self.controller_port = free_port(socket.SOCK_STREAM)
        self._site.write_text(
            f'''site = {{name = "s"}}
controller = {{listen = "127.0.0.1:{self.controller_port}"}}
[[gateway]]
name = "gw"
radio = "semtech-udp"
health_listen = "{self.health.removeprefix("http://")}"
[gateway.lorawan]
udp_listen = "127.0.0.1:{self.udp[1]}"
{lines}
{devices}'''
        )
        self._keys.write_text(keys)
        self._keys.chmod(0o600)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run the command; it serves when this returns."""
        environment = {**os.environ, "REDIS_URL": self.database, "AIRSHED_LORAWAN_KEYS": str(self._keys)}
        command = [sys.executable, "-m", "airshed", "agent", str(self._site), "--capture", str(self.capture)]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            try:
                self.counts()
                return
            except OSError:
                time.sleep(0.05)

    def end(self) -> None:
        """Ask it to end; it must do so by itself, and well."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        status = process.wait(20)
        said = self.log.read_text()
        assert status == 0, said
        assert "Traceback" not in said

    def counts(self) -> Counter[str]:
        """What it has counted so far."""
        with urllib.request.urlopen(f"{self.health}/metrics") as reply:
            lines = reply.read().decode().splitlines()
        found = [line.split('"') for line in lines if line.startswith("airshed_agent_events_total")]
        return Counter({name: round(float(value.removeprefix("} "))) for _, name, value in found})


@pytest.fixture
def agent_process(tmp_path: Path) -> Callable[..., AbstractContextManager[AgentProcess]]:
    """Makes agents that run while the block lasts: devices and keys as TOML, lines for `[gateway.lorawan]`."""

    @contextmanager
    def run(devices: str, keys: str, lines: str = "") -> Iterator[AgentProcess]:
        with private_server() as database:
            agent = AgentProcess(tmp_path, database, devices, keys, lines)
            agent.start()
            try:
                yield agent
            finally:
                agent.end()

    return run


class KeptInMemory:
    """A store that can be away."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.away = False

    def load(self) -> dict[str, Session]:
        """What was kept."""
        return dict(self.sessions)

    def save(self, kept: Session) -> bool:
        """Keep it, unless away."""
        if not self.away:
            self.sessions[kept.dev_eui] = kept
        return not self.away


def received(sent: Sent, tmst: int = 0) -> Received:
    """A transmission as a gateway hears it."""
    return Received(sent.frame, tmst, sent.center_hz, sent.datr, -80.0, 5.0)


@dataclass
class Loop:
    """One device and its network, face to face. told: events; plan: what the device should have."""

    table: DeviceTable
    device: LorawanDevice
    cf_list_hz: tuple[int, ...] = ()
    plan: Plan | None = None
    on_port_0: bool = False
    store: KeptInMemory = field(default_factory=KeptInMemory)
    told: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The network ends and begins anew with what was stored."""
        device = self.device
        keys = DeviceKeys(app_key=device.app_key.hex(), nwk_key=device.nwk_key.hex() or None)
        if self.table.activation == "abp":
            keys = DeviceKeys(nwk_s_key=device.network_key.hex(), app_s_key=device.application_key.hex())
        self.network = LorawanNetwork(
            [Device(self.table, keys)], self.store, cf_list_hz=self.cf_list_hz, on_port_0=self.on_port_0,
            tell=lambda *event: self.told.append(event),
        )  # fmt: skip

    @property
    def session(self) -> Session:
        """The session as the network has it."""
        return self.network.session_of(self.network._devices[self.table.dev_eui or ""])

    def hear(self, sent: Sent) -> Heard | None:
        """Let the network hear a transmission."""
        return self.network.hear(received(sent), 1000.0)

    def join(self) -> None:
        """Join and let the device hear the accept."""
        heard = self.hear(self.device.join())
        assert heard is not None
        accept = self.network.downlink(heard, None)
        assert accept is not None
        assert self.device.hear(accept)

    def exchange(self, *, down_lost: bool = False, up_lost: bool = False, confirmed: bool = False) -> Heard | None:
        """One uplink and its answer, either of which may be lost."""
        sent = self.device.send(b"x", confirmed=confirmed)
        heard = None if up_lost else self.hear(sent)
        if heard is not None:
            frame = self.network.downlink(heard, self.plan)
            if frame is not None and not down_lost:
                assert self.device.hear(frame)
        return heard


@pytest.fixture
def loop_with() -> Callable[..., Loop]:
    """Makes a joined device and its network; options go to LorawanDevice."""

    def make(
        *, join: bool = True, abp: bool = False, cf_list_hz: tuple[int, ...] = (), on_port_0: bool = False,
        seed: int = 1, **options: Any,
    ) -> Loop:  # fmt: skip
        root, eui = bytes(range(16)), 0x1122334455667788
        if options.get("version") == "1.1":
            options["nwk_key"] = root[::-1]
        if abp:
            device = LorawanDevice.personalised(eui, 0x01ABCDEF, root, root[::-1], Random(seed), **options)
            address = "01abcdef"
        else:
            device, address = LorawanDevice(eui, root, Random(seed), **options), None
        table = DeviceTable(
            name="meter", dev_eui=f"{eui:016x}", dev_addr=address, activation="abp" if abp else "otaa",
            lorawan=device.version,  # type: ignore[arg-type]
        )  # fmt: skip
        loop = Loop(table, device, cf_list_hz, on_port_0=on_port_0)
        join = join and not abp
        if join:
            loop.join()
        return loop

    return make
