"""End to end: LoRaWAN devices behind a packet forwarder over UDP, an interferer, leases that move them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from channel_status import records
from channel_status.memory import MemoryDatabase
from controller.interference import BAD_LOOKS
from controller.office import Office
from gateway_agent.controller_link import ControllerLink
from gateway_agent.lorawan.devices import Device, DeviceKeys
from gateway_agent.lorawan.network import LorawanNetwork
from gateway_agent.lorawan.store import DatabaseStore
from gateway_agent.lorawan_agent import LorawanAgent
from gateway_agent.semtech_server import SemtechServer
from spectrum.report import ChannelReport
from spectrum.site_file import DeviceTable, LorawanTable, Site
from testbed.lorawan_device import LorawanDevice
from testbed.lorawan_site import Interferer, LorawanSite, Round, SiteClock
from testbed.packet_forwarder import VirtualForwarder

RunningController = Callable[..., AbstractContextManager[tuple[Site, Office]]]
RunningSite = Callable[[], AbstractContextManager["Bench"]]

INTERFERED_HZ = 868_300_000
SEED = 7
DEVICES = 6


@dataclass
class Bench:
    """Six devices, their gateway, its agent, and a controller. told: events of the devices."""

    site: Site
    office: Office
    database: MemoryDatabase
    devices: list[LorawanDevice]
    known: list[Device]
    network: LorawanNetwork
    door: SemtechServer
    link: ControllerLink
    agent: LorawanAgent
    air: LorawanSite
    told: list[tuple[str, str, str]]

    def sense(self) -> None:
        """Sensors see the interferer, and nothing else; the controller has a look."""
        reports = []
        for cell in (*self.site.spectrum.lora, *self.site.spectrum.sigfox):
            busy = round(cell.center_hz) == self.air.interferer.center_hz
            energy_dbfs = -20.0 if busy else -45.0
            reports.append(
                ChannelReport("roof", time.time(), 0.01, cell.center_hz, cell.bandwidth_hz, energy_dbfs, -45.0, -40.0,
                              None, 0.05, 0.05, busy, 0.9 if busy else 0.05, 0.05)
            )  # fmt: skip
        self.database.publish(self.site.name, reports)
        self.office.interference.look(time.time())

    def steer(self) -> None:
        """Let every device join, get its leases and obey."""
        assert self.air.join_all()
        self.sense()
        self.air.run(1)  # the controller looks at the air now and then, not for every request
        self.link.start()
        deadline = time.monotonic() + 60
        while len(self.agent.leases) < DEVICES or not all(one.confirmed for one in self.agent.leases.values()):
            self.sense()
            self.air.run(1)
            assert time.monotonic() < deadline, (self.agent.counts, self.network.counts, self.door.counts)

    def users(self, center_hz: int) -> list[LorawanDevice]:
        """Devices that have a channel enabled."""
        return [device for device in self.devices if center_hz in device.enabled_hz]

    def events(self) -> list[dict[str, Any]]:
        """The event stream."""
        return [records.decode(entry.value) for entry in self.database.read(self.site.name, "events", count=10_000)]


@pytest.fixture
def running_site(running_controller: RunningController) -> RunningSite:
    """A site that runs; the first device cannot tune below 868 MHz."""

    @contextmanager
    def run() -> Iterator[Bench]:
        database, clock = MemoryDatabase(), SiteClock()
        versions = ["1.0.4" if i % 2 else "1.0.3" for i in range(DEVICES)]
        keys = [bytes([i]) * 16 for i in range(DEVICES)]
        devices = [
            LorawanDevice(0x1000 + i, keys[i], Random(SEED + i), version=versions[i],
                          tunes=(lambda hz: hz >= 868_000_000) if i == 0 else (lambda hz: True))
            for i in range(DEVICES)
        ]  # fmt: skip
        known = [
            Device(
                DeviceTable(name=f"meter-{i}", dev_eui=f"{0x1000 + i:016x}", lorawan=versions[i]),  # type: ignore[arg-type]
                DeviceKeys(app_key=keys[i].hex()),
            )
            for i in range(DEVICES)
        ]
        told: list[tuple[str, str, str]] = []
        with running_controller(database) as (site, office):
            network = LorawanNetwork(known, DatabaseStore(database, site.name))
            door = SemtechServer(("127.0.0.1", 0))
            link = ControllerLink(site, "gw", rng=Random(1))
            agent = LorawanAgent(
                door, network, link, LorawanTable(), clock=clock, gather_s=0.05, tell=lambda *event: told.append(event)
            )
            link.on_change = link.on_warning = agent.hear_controller
            forwarder = VirtualForwarder(door.address, bytes.fromhex("00800000a0000001"), clock)

            def serve(seconds: float) -> None:
                until_s = time.monotonic() + seconds
                while time.monotonic() < until_s or agent.busy:
                    agent.step(0.005)

            air = LorawanSite(devices, forwarder, clock, Interferer(INTERFERED_HZ, 0.8), Random(SEED), serve)
            try:
                yield Bench(site, office, database, devices, known, network, door, link, agent, air, told)
            finally:
                link.close()
                forwarder.close()
                door.close()

    return run


def test_leases_move_devices_off_an_interferer(running_site: RunningSite, capsys: Any) -> None:
    with running_site() as bench:
        assert bench.air.join_all()
        before = bench.air.run(10)
        assert before.centers_hz == {868_100_000, 868_300_000, 868_500_000}
        bench.steer()
        after = bench.air.run(10)
        deadline = time.monotonic() + 30
        while len(bench.database.read(bench.site.name, "uplinks", count=100_000)) < bench.network.counts["uplinks"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with capsys.disabled():
            sys.stdout.write(
                f"\ndelivery ratio with an interferer on 868.3 MHz: {before.delivery_ratio:.3f} before,"
                f" {after.delivery_ratio:.3f} after leases moved {DEVICES} devices\n"
            )
        assert 0.5 < before.delivery_ratio < 0.9
        assert after.delivery_ratio == 1.0
        assert INTERFERED_HZ not in after.centers_hz
        leases = {lease.device: lease for lease in bench.database.leases(bench.site.name, time.time())}
        assert {lease.state for lease in leases.values()} == {"confirmed"}
        assert not bench.users(INTERFERED_HZ)
        # asked again only where the interferer took the answer
        assert bench.devices[0].refusals <= 10
        refused = bench.network.session_of(bench.known[0]).state.refused
        assert {key.split(":")[0] for key in refused} == {"frequency"}
        uplink = records.decode(bench.database.read(bench.site.name, "uplinks")[0].value)
        assert {"device", "time_s", "gateway", "subchannel_hz", "rssi_dbm", "snr_db", "size_bytes"} <= set(uplink)
        assert bench.door.counts["malformed_datagrams"] == 0


def test_an_interferer_that_comes_in_the_middle_of_a_lease_is_left_within_a_few_uplinks(
    running_site: RunningSite, capsys: Any
) -> None:
    with running_site() as bench:
        bench.steer()
        enabled_hz = [center_hz for device in bench.devices for center_hz in device.enabled_hz]
        struck_hz = max(sorted(set(enabled_hz)), key=enabled_hz.count)
        struck = {f"meter-{device.dev_eui - 0x1000}" for device in bench.users(struck_hz)}
        bench.air.interferer = Interferer(struck_hz, 0.6)
        bench.told.clear()
        meanwhile, rounds = Round(), 0
        while bench.users(struck_hz):
            bench.sense()
            one, rounds = bench.air.run(1), rounds + 1
            meanwhile = Round(meanwhile.sent + one.sent, meanwhile.delivered + one.delivered)
            # the looks that it takes to be sure, an uplink that is heard, its answer, and what the interferer takes
            assert rounds <= BAD_LOOKS + 20, (bench.told, bench.agent.counts)
        after = bench.air.run(10)
        with capsys.disabled():
            sys.stdout.write(
                f"\nan interferer on {struck_hz / 1e6:.1f} MHz in the middle of the leases of {len(struck)} devices:"
                f" left after {rounds} uplinks each; delivery ratio {meanwhile.delivery_ratio:.3f} meanwhile,"
                f" {after.delivery_ratio:.3f} after\n"
            )
        assert after.delivery_ratio == 1.0
        left = [(device, said) for device, event, said in bench.told if event == "lease-given-up" and "bad" in said]
        assert left
        assert {device for device, _ in left} <= struck, "whom the interferer does not meet is not warned"
        assert all(said.startswith(f"{struck_hz / 1e6:.3f} MHz") for _, said in left), "only the bad one was left"
        assert len(left) <= len(struck), "and by each device once"
        told = bench.events()
        assert [e["reason"] for e in told if e["event"] == "released" and "has turned bad" in e["reason"]]
        assert {e["state"] for e in told if e["event"] == "interference"} >= {"bad"}
