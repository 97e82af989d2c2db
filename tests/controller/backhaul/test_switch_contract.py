"""The fake switch against Open vSwitch: the same messages, the same packets, the same answers."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from controller.backhaul.codec import message
from controller.backhaul.difference import AddFlow, AddMeter, ChangeMeter, DropFlow, DropMeter, difference
from controller.backhaul.plan import plan
from controller.backhaul.values import (
    ARP,
    IPV4,
    TCP,
    TO_CONTROLLER,
    UDP,
    Flow,
    Meter,
    Place,
    Plan,
    Policy,
    Registration,
    Switch,
    matching,
)
from testbed.backhaul_site import objection
from testbed.fake_switch import FakeSwitch, Packet, Refused
from testbed.fake_switch import protocol as openflow
from testbed.network import Network
from testbed.openvswitch import OpenVSwitch

BRIDGE, PORTS = "contract", (1, 2, 3, 4)
HELLO, ERROR, BARRIER, BARRIER_REPLY = 0, 1, 20, 21
# What a packet's protocol, and some of its fields, are called by ofproto/trace.
PROTOCOLS = {(ARP, None): "arp", (IPV4, TCP): "tcp", (IPV4, UDP): "udp"}
TRACED = {"ipv4_src": "nw_src", "ipv4_dst": "nw_dst"}


class RealSwitch:
    """Open vSwitch with the face of the fake one: messages over its management socket, packets by tracing them."""

    def __init__(self, switch: OpenVSwitch, path: Path) -> None:
        self._switch = switch
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10.0)
        self._socket.connect(str(path))
        self._said: dict[str, str] = {}
        self._send(HELLO)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _send(self, kind: int) -> None:
        self._socket.sendall(struct.pack("!BBHI", 4, kind, 8, 7))

    def receive(self, sent: Any) -> None:
        """Carry out one message; Refused when the switch answers with an error."""
        self._said.clear()
        sent.set_xid(1)
        sent.serialize()
        self._socket.sendall(bytes(sent.buf))
        self._send(BARRIER)
        refused = False
        while True:
            _, kind, size, _ = struct.unpack("!BBHI", self._socket.recv(8, socket.MSG_WAITALL))
            body = self._socket.recv(size - 8, socket.MSG_WAITALL) if size > 8 else b""
            refused = refused or kind == ERROR
            if kind == BARRIER_REPLY:
                break
        if refused:
            raise Refused(body.hex())

    def _traced(self, in_port: int, packet: Packet) -> str:
        words = [PROTOCOLS[packet["eth_type"], packet.get("ip_proto")], f"in_port={in_port}"]
        rest = (item for item in packet.items() if item[0] not in ("eth_type", "ip_proto"))
        words += [f"{TRACED.get(name, name)}={value}" for name, value in rest]
        line = ",".join(words)
        if line not in self._said:
            self._said[line] = self._switch.appctl(["ofproto/trace", BRIDGE, line])
        return self._said[line]

    def leaves_by(self, in_port: int, packet: Packet) -> frozenset[int]:
        """The ports by which a packet leaves."""
        said = self._traced(in_port, packet)
        ports = {int(port) for port in re.findall(r"^\s*output:(\d+)\n(?!\s*>> skipping)", said, re.MULTILINE)}
        return frozenset(ports | ({TO_CONTROLLER} if re.search(r"^\s*CONTROLLER:", said, re.MULTILINE) else set()))

    def meters(self, in_port: int, packet: Packet) -> frozenset[int]:
        """The meters a packet passes."""
        return frozenset(int(n) for n in re.findall(r"^\s*meter:(\d+)", self._traced(in_port, packet), re.MULTILINE))

    def queue(self, in_port: int, packet: Packet) -> int | None:
        """The queue that a packet leaves by."""
        found = re.search(r"^\s*set_queue:(\d+)", self._traced(in_port, packet), re.MULTILINE)
        return int(found[1]) if found else None


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[OpenVSwitch, Path]]:
    why_not = objection()
    if why_not:
        pytest.skip(why_not)
    folder = Path(tempfile.mkdtemp(prefix="abh"))
    try:
        with ExitStack() as stack:
            network = stack.enter_context(Network())
            switch = stack.enter_context(OpenVSwitch(folder, network.host("switch")))
            switch.bridge(BRIDGE, 7)
            for port in PORTS:
                switch.port(BRIDGE, f"i{port}", port, internal=True)
            yield switch, folder / f"{BRIDGE}.mgmt"
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def real(running: tuple[OpenVSwitch, Path]) -> Iterator[RealSwitch]:
    """Open vSwitch with empty tables."""
    switch, path = running
    switch.ofctl(["del-flows", BRIDGE])
    switch.ofctl(["del-meters", BRIDGE])
    made = RealSwitch(switch, path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def protocol() -> Any:
    """OpenFlow 1.3."""
    return openflow()


@pytest.fixture(params=["fake", "open vswitch"])
def switch(request: pytest.FixtureRequest) -> Any:
    """Either of them, empty."""
    return FakeSwitch() if request.param == "fake" else request.getfixturevalue("real")


METER = Meter(5, 500, 250)
FLOW = Flow(0, 10, matching(in_port=2), 1, meter=5, outputs=(1,))
PACKET = {"eth_src": "02:00:00:00:00:02", "eth_type": IPV4, "ipv4_src": "10.0.0.2", "ipv4_dst": "10.0.0.1",
          "ip_proto": UDP, "udp_dst": 9}  # fmt: skip


def test_a_flow_with_an_unknown_meter_is_refused(switch: Any, protocol: Any) -> None:
    with pytest.raises(Refused):
        switch.receive(message(protocol, AddFlow(FLOW)))
    assert switch.leaves_by(2, PACKET) == set()
    switch.receive(message(protocol, AddMeter(METER)))
    switch.receive(message(protocol, AddFlow(FLOW)))
    assert switch.leaves_by(2, PACKET) == {1}
    assert switch.meters(2, PACKET) == {5}


def test_a_meter_is_added_once_and_changed_only_when_it_is_there(switch: Any, protocol: Any) -> None:
    with pytest.raises(Refused):
        switch.receive(message(protocol, ChangeMeter(METER)))
    switch.receive(message(protocol, AddMeter(METER)))
    with pytest.raises(Refused):
        switch.receive(message(protocol, AddMeter(METER)))
    switch.receive(message(protocol, ChangeMeter(replace(METER, kbit_s=900))))


def test_flows_go_with_their_meter(switch: Any, protocol: Any) -> None:
    for change in (AddMeter(METER), AddFlow(FLOW), DropMeter(METER)):
        switch.receive(message(protocol, change))
    assert switch.leaves_by(2, PACKET) == set()


def test_a_table_leads_to_a_later_one_only(switch: Any, protocol: Any) -> None:
    with pytest.raises(Refused):
        switch.receive(message(protocol, AddFlow(Flow(1, 1, (), 1, goto=0))))
    switch.receive(message(protocol, AddFlow(Flow(0, 1, (), 1, goto=1))))
    assert switch.leaves_by(2, PACKET) == set()
    switch.receive(message(protocol, AddFlow(Flow(1, 1, (), 1, outputs=(3,)))))
    assert switch.leaves_by(2, PACKET) == {3}


def test_the_highest_priority_wins_and_only_the_very_flow_is_dropped(switch: Any, protocol: Any) -> None:
    low = Flow(0, 1, matching(in_port=2), 1, outputs=(3,))
    high = Flow(0, 9, matching(in_port=2, eth_type=IPV4), 1, outputs=(4,))
    for change in (AddFlow(low), AddFlow(high)):
        switch.receive(message(protocol, change))
    assert switch.leaves_by(2, PACKET) == {4}
    switch.receive(message(protocol, DropFlow(replace(high, priority=8))))
    assert switch.leaves_by(2, PACKET) == {4}
    switch.receive(message(protocol, DropFlow(high)))
    assert switch.leaves_by(2, PACKET) == {3}


def test_nothing_leaves_by_the_port_it_came_by(switch: Any, protocol: Any) -> None:
    switch.receive(message(protocol, AddFlow(Flow(0, 1, (), 1, outputs=(2, 3)))))
    assert switch.leaves_by(2, PACKET) == {3}
    assert switch.leaves_by(4, PACKET) == {2, 3}


def test_a_queue_is_taken_before_the_port(switch: Any, protocol: Any) -> None:
    switch.receive(message(protocol, AddFlow(Flow(0, 1, (), 1, outputs=(3,), queue=1))))
    assert switch.queue(2, PACKET) == 1
    assert switch.leaves_by(2, PACKET) == {3}


CONTROLLER = "10.0.0.1"
POLICY = Policy("s", CONTROLLER, 50868, (6379,), (1700,), 2000, 10_000, 256, control_queue=1)


def place_of(rng: Random) -> Place:
    """Few of each, so that they collide."""
    return Place(7, rng.choice(PORTS[1:]), f"02:00:00:00:00:0{rng.randint(1, 3)}", f"10.0.0.{rng.randint(2, 4)}")


def plan_of(rng: Random) -> Plan:
    """A plan as the backhaul would make it."""
    known = [Registration(n, "g", place_of(rng), rng.random() < 0.7, rng.random() < 0.3)
             for n in range(1, rng.randint(1, 5))]  # fmt: skip
    up = frozenset(port for port in PORTS[1:] if rng.random() < 0.8)
    return plan(Switch(7, 1, up), known, [place_of(rng) for _ in range(rng.randint(0, 3))], POLICY)


def packet_of(rng: Random) -> tuple[int, Packet]:
    """A packet and the port it comes by: ARP, or TCP or UDP, up or down."""
    there, up = place_of(rng), rng.random() < 0.7
    ends = (there.ip, CONTROLLER) if up else (CONTROLLER, there.ip)
    macs = {"eth_src": there.mac} if up else {"eth_src": "02:00:00:00:00:ff", "eth_dst": there.mac}
    port = there.port if up else 1
    if rng.random() < 0.3:
        return port, {**macs, "eth_type": ARP, "arp_spa": ends[0], "arp_tpa": ends[1]}
    proto, number = rng.choice([(TCP, 50868), (TCP, 6379), (TCP, 22), (UDP, 1700), (UDP, 9)])
    name = "tcp" if proto == TCP else "udp"
    own = {f"{name}_dst": number, f"{name}_src": 40000} if up else {f"{name}_dst": 40000, f"{name}_src": number}
    return port, {**macs, "eth_type": IPV4, "ipv4_src": ends[0], "ipv4_dst": ends[1], "ip_proto": proto, **own}


@pytest.mark.parametrize("seed", range(4))
def test_plans_and_the_way_from_one_to_the_next(real: RealSwitch, protocol: Any, seed: int) -> None:
    fake, rng, left = FakeSwitch(), Random(seed), set()
    for wanted in (plan_of(rng), plan_of(rng)):
        for change in difference(wanted, fake.holds):
            sent = message(protocol, change)
            fake.receive(sent)
            real.receive(sent)
        for _ in range(25):
            port, packet = packet_of(rng)
            left.add(fake.leaves_by(port, packet))
            assert fake.leaves_by(port, packet) == real.leaves_by(port, packet), (port, packet)
            assert fake.meters(port, packet) == real.meters(port, packet), (port, packet)
            assert fake.queue(port, packet) == real.queue(port, packet), (port, packet)
    assert len(left) >= 3  # some pass, some are dropped, some dial
