"""End to end: LoRaWAN devices behind a packet forwarder over UDP, an interferer on 868.3 MHz, leases that move them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from random import Random
from typing import Any

import pytest

from channel_status import records
from channel_status.memory import MemoryDatabase
from gateway_agent.controller_link import ControllerLink
from gateway_agent.lorawan.devices import Device, DeviceKeys
from gateway_agent.lorawan.network import LorawanNetwork
from gateway_agent.lorawan.store import DatabaseStore
from gateway_agent.lorawan_agent import LorawanAgent
from gateway_agent.semtech_server import SemtechServer
from spectrum.report import ChannelReport
from spectrum.site_file import DeviceTable, LorawanTable, Site
from testbed.lorawan_device import LorawanDevice
from testbed.lorawan_site import Interferer, LorawanSite, SiteClock
from testbed.packet_forwarder import VirtualForwarder

RunningController = Callable[..., AbstractContextManager[tuple[Site, Any]]]

INTERFERED_HZ = 868_300_000
SEED = 7


def sense(database: MemoryDatabase, site: Site) -> None:
    """Sensors see the interferer, and nothing else."""
    cells = (*site.spectrum.lora, *site.spectrum.sigfox)
    reports = []
    for cell in cells:
        busy = round(cell.center_hz) == INTERFERED_HZ
        energy_dbfs = -20.0 if busy else -45.0
        reports.append(
            ChannelReport("roof", time.time(), 0.01, cell.center_hz, cell.bandwidth_hz, energy_dbfs, -45.0, -40.0, None,
                          0.05, 0.05, busy, 0.9 if busy else 0.05, 0.05)
        )  # fmt: skip
    database.publish(site.name, reports)


@pytest.fixture
def forwarder_at() -> Iterator[Callable[..., VirtualForwarder]]:
    """Makes forwarders and closes them."""
    made: list[VirtualForwarder] = []

    def make(address: tuple[str, int], clock: Callable[[], float]) -> VirtualForwarder:
        made.append(VirtualForwarder(address, bytes.fromhex("00800000a0000001"), clock))
        return made[-1]

    yield make
    for forwarder in made:
        forwarder.close()


def test_leases_move_devices_off_an_interferer(
    running_controller: RunningController, forwarder_at: Callable[..., VirtualForwarder], capsys: Any
) -> None:
    database, clock = MemoryDatabase(), SiteClock()
    keys = [bytes([i]) * 16 for i in range(6)]
    devices = [
        LorawanDevice(0x1000 + i, key, Random(SEED + i), version="1.0.4" if i % 2 else "1.0.3",
                      tunes=(lambda hz: hz >= 868_000_000) if i == 0 else (lambda hz: True))
        for i, key in enumerate(keys)
    ]  # fmt: skip
    tables = [
        DeviceTable(name=f"meter-{i}", dev_eui=f"{0x1000 + i:016x}", lorawan="1.0.4" if i % 2 else "1.0.3")
        for i in range(6)
    ]
    known = [Device(table, DeviceKeys(app_key=key.hex())) for table, key in zip(tables, keys, strict=True)]
    with running_controller(database) as (site, _):
        network = LorawanNetwork(known, DatabaseStore(database, site.name))
        door = SemtechServer(("127.0.0.1", 0))
        link = ControllerLink(site, "gw", rng=Random(1))
        agent = LorawanAgent(door, network, link, LorawanTable(), clock=clock, gather_s=0.05)
        forwarder = forwarder_at(door.address, clock)

        def serve(seconds: float) -> None:
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s or agent.busy:
                agent.step(0.005)

        air = LorawanSite(devices, forwarder, clock, Interferer(INTERFERED_HZ, 0.8), Random(SEED), serve)
        try:
            assert air.join_all()
            before = air.run(10)
            assert before.centers_hz == {868_100_000, 868_300_000, 868_500_000}
            sense(database, site)
            air.run(1)  # the controller looks at the air now and then, not for every request
            link.start()
            deadline = time.monotonic() + 60
            while not all(leased.confirmed for leased in agent.leases.values()) or len(agent.leases) < len(devices):
                sense(database, site)
                air.run(1)
                assert time.monotonic() < deadline, (agent.counts, network.counts, door.counts)
            after = air.run(10)
            deadline = time.monotonic() + 30
            while len(database.read(site.name, "uplinks", count=100_000)) < network.counts["uplinks"]:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            link.close()
            door.close()
        with capsys.disabled():
            sys.stdout.write(
                f"\ndelivery ratio with an interferer on 868.3 MHz: {before.delivery_ratio:.3f} before,"
                f" {after.delivery_ratio:.3f} after leases moved {len(devices)} devices\n"
            )
        assert 0.5 < before.delivery_ratio < 0.9
        assert after.delivery_ratio == 1.0
        assert INTERFERED_HZ not in after.centers_hz
        leases = {lease.device: lease for lease in database.leases(site.name, time.time())}
        assert {lease.state for lease in leases.values()} == {"confirmed"}
        for device in devices:
            assert INTERFERED_HZ not in device.enabled_hz
        # asked again only where the interferer took the answer
        assert devices[0].refusals <= 10
        refused = network.session_of(known[0]).state.refused
        assert {key.split(":")[0] for key in refused} == {"frequency"}
        uplink = records.decode(database.read(site.name, "uplinks")[0].value)
        assert {"device", "time_s", "gateway", "subchannel_hz", "rssi_dbm", "snr_db", "size_bytes"} <= set(uplink)
        assert door.counts["malformed_datagrams"] == 0
