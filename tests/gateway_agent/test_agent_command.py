"""`airshed agent` as a process, devices behind a virtual packet forwarder: OTAA, ABP, restarts, its end, tshark."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from random import Random
from typing import Any, Final

import pytest

from channel_status import records
from channel_status.memory import MemoryDatabase
from channel_status.redis_door import connect
from spectrum.site_file import Site
from testbed.lorawan_device import LorawanDevice, Sent
from testbed.packet_forwarder import VirtualForwarder

Running = Callable[..., AbstractContextManager[Any]]
RunningController = Callable[..., AbstractContextManager[tuple[Site, Any]]]
Until = Callable[[Callable[[], Any]], None]

PATIENCE_S: Final = 60.0
KEY: Final = bytes(range(16))
EUI: Final = bytes.fromhex("00800000a0000001")

OTAA: Final = '[[device]]\nname = "meter"\ndev_eui = "1122334455667788"'
OTAA_KEYS: Final = f'[1122334455667788]\napp_key = "{KEY.hex()}"\n'
ABP: Final = f'{OTAA}\nactivation = "abp"\ndev_addr = "01abcdef"'
ABP_KEYS: Final = f'[1122334455667788]\nnwk_s_key = "{KEY.hex()}"\napp_s_key = "{KEY[::-1].hex()}"\n'


class Air:
    """A device behind a forwarder over real UDP."""

    def __init__(self, udp: tuple[str, int], device: LorawanDevice) -> None:
        self.forwarder, self.device = VirtualForwarder(udp, EUI, time.monotonic), device
        self.forwarder.pull()

    def push(self, sent: Sent) -> None:
        """Let the gateway hear a transmission."""
        self.forwarder.push(sent.frame, sent.center_hz, sent.datr)

    def answered(self, send: Callable[[], Sent]) -> Sent:
        """Send until the device hears an answer: the gateway's air may be taken when time is real. The last sent."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            sent, waits_until = send(), time.monotonic() + 3.0
            self.push(sent)
            while time.monotonic() < waits_until:
                if any(map(self.device.hear, (transmit.frame for transmit in self.forwarder.poll(0.1)))):
                    return sent
        raise AssertionError("nobody answered")

    def read(self) -> Sent:
        """A confirmed uplink, answered."""
        return self.answered(lambda: self.device.send(b"reading", confirmed=True))


@pytest.fixture
def air() -> Iterator[Callable[[tuple[str, int], LorawanDevice], Air]]:
    """Makes forwarders with a device behind them."""
    made: list[Air] = []

    def make(udp: tuple[str, int], device: LorawanDevice) -> Air:
        made.append(Air(udp, device))
        return made[-1]

    yield make
    for one in made:
        one.forwarder.close()


def test_a_device_joins_and_is_heard_and_tshark_reads_what_passed(agent_process: Running, air: Any) -> None:
    with agent_process(OTAA, OTAA_KEYS) as agent:
        site = air(agent.udp, LorawanDevice(0x1122334455667788, KEY, Random(3)))
        site.answered(site.device.join)
        site.read()
        assert site.device.acknowledged
        assert agent.counts()["uplinks"] == site.device.up
        with pytest.raises(OSError, match="503") as error:
            urllib.request.urlopen(f"{agent.health}/health")
        assert json.load(error.value)["state"] in ("connecting", "offline")  # type: ignore[arg-type]
        error.value.close()  # type: ignore[attr-defined]
        database = connect(agent.database)
        kept = b"".join(database.get("s", "lorawan-session").values())
        database.close()
        assert kept
        assert KEY.hex().encode() not in kept
    assert KEY.hex() not in agent.log.read_text(), "no key in the log"
    _tshark_reads(str(agent.capture), str(agent.udp[1]))


def _tshark_reads(capture: str, port: str) -> None:
    """Each datagram, each LoRaWAN frame with what it carries, and nothing malformed."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not here: run tests/gateway_agent/install-tools as root, or apt-get install tshark")

    def seen(wanted: str, *fields: str) -> list[list[str]]:
        chosen = [word for field in fields for word in ("-e", field)]
        command = ["tshark", "-r", capture, "-Y", wanted, "-d", f"udp.port=={port},data", "-T", "fields", *chosen]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [line.split("\t") for line in found.splitlines()]

    # tshark 4.0 wants an FPort where the specification lets it be left out: it reads such frames (LoRaTap's 15 bytes,
    # MHDR, FHDR, FOpts, MIC) up to there
    wrong = seen("_ws.malformed || _ws.expert.severity >= error", "frame.len", "lorawan.fhdr.fctrl.foptslen")
    assert [one for one in wrong if not one[1] or int(one[0]) != 15 + 1 + 7 + int(one[1]) + 4] == []
    kinds = [payload[6:8] for (payload,) in seen("udp", "udp.payload")]
    assert set(kinds) == {"00", "01", "02", "03", "04", "05"}, (
        "PUSH and PULL, their acknowledgements, PULL_RESP, TX_ACK"
    )
    types = [ftype for (ftype,) in seen("lorawan", "lorawan.mhdr.mtype")]
    assert [types[0], types[1], types[-2], types[-1]] == ["0", "1", "4", "3"], (
        "join, accept, confirmed uplink, downlink"
    )
    address, counter, port_number = seen(
        "lorawan.mhdr.mtype == 4", "lorawan.fhdr.devaddr", "lorawan.fhdr.fcnt", "lorawan.fport"
    )[0]
    assert (int(counter, 0), int(port_number, 0)) == (0, 1)
    answered, ack = seen("lorawan.mhdr.mtype == 3", "lorawan.fhdr.devaddr", "lorawan.fhdr.fctrl.ack")[-1]
    assert answered == address
    assert ack in ("1", "True")


def test_an_abp_device_is_steered_survives_a_restart_and_its_old_frames_are_refused(
    agent_process: Running, running_controller: RunningController, air: Any, until: Until
) -> None:
    database = MemoryDatabase()
    device = LorawanDevice.personalised(0x1122334455667788, 0x01ABCDEF, KEY, KEY[::-1], Random(3))
    defaults_hz = device.enabled_hz
    # the agent and its database first: processes are not started beside a controller in this one
    with agent_process(ABP, ABP_KEYS) as agent, running_controller(database, agent.controller_port) as (site, office):
        until(lambda: office.gateways.attached == ["gw"])
        place = air(agent.udp, device)
        old = place.read()

        def obeys() -> bool:
            place.read()
            leases = database.leases(site.name, time.time())
            leased_hz = {round(lease.subchannel.center_hz) for lease in leases}
            return device.enabled_hz == leased_hz and {lease.state for lease in leases} == {"confirmed"}

        until(obeys)
        assert device.enabled_hz != defaults_hz
        before = device.up
        agent.end()
        agent.start()
        place.forwarder.pull()
        place.push(old)
        until(lambda: agent.counts()["replayed_frames"])
        counter = device.down
        place.read()
        assert device.acknowledged
        assert (device.down or 0) > (counter or 0), "the downlink counter goes on where it was"
        assert agent.counts()["uplinks"] == device.up - before
        until(lambda: len(database.read(site.name, "uplinks")) == device.up)


def test_sigterm_in_the_middle_gives_leases_back_and_loses_no_report(
    agent_process: Running, running_controller: RunningController, air: Any, until: Until
) -> None:
    database = MemoryDatabase()
    device = LorawanDevice.personalised(0x1122334455667788, 0x01ABCDEF, KEY, KEY[::-1], Random(3))

    def reported() -> int:
        return len(database.read("s", "uplinks"))

    with agent_process(ABP, ABP_KEYS) as agent, running_controller(database, agent.controller_port) as (site, office):
        until(lambda: office.gateways.attached == ["gw"])
        place = air(agent.udp, device)
        until(lambda: place.read() and database.leases(site.name, time.time()))
        for _ in range(5):
            place.push(device.send(b"in the middle"))
        until(lambda: agent.counts()["uplinks"] == device.up)
        agent.end()
        assert not database.leases(site.name, time.time()), "every lease was given back"
        until(lambda: reported() == device.up)
        assert "the agent was stopped" in {
            event.get("reason") for event in map(decode, database.read("s", "events", count=10_000))
        }

    # now the controller goes first: what the agent has heard since is kept for its next run
    with agent_process(ABP, ABP_KEYS) as agent:
        with running_controller(database, agent.controller_port) as (site, office):
            until(lambda: office.gateways.attached == ["gw"])
        place = air(agent.udp, device)
        before = reported()
        until(lambda: "has no controller" in agent.log.read_text())
        for _ in range(6):
            place.push(device.send(b"nobody listens"))
        until(lambda: agent.counts()["uplinks"] == 6)
        agent.end()
        assert "6 uplink reports are kept for the next run" in agent.log.read_text()
        assert reported() == before
        agent.start()
        with running_controller(database, agent.controller_port):
            until(lambda: reported() == before + 6)


def decode(entry: Any) -> dict[str, Any]:
    """An event."""
    return records.decode(entry.value)
