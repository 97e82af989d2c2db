"""SigFox endpoints that run the test agent: the line protocol over TCP and over a serial line."""

from __future__ import annotations

import os
import pty
import socket
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_agent import sigfox
from gateway_agent.sigfox import Hello, Request, Sent
from gateway_agent.sigfox_agent import SigfoxAgent
from gateway_agent.wire import controller_pb2 as wire
from spectrum.errors import BadInput
from spectrum.sigfox import micro_channel_groups
from testbed.sigfox_endpoint import SigfoxEndpoint

GROUPS = micro_channel_groups(12)


class Controller:
    """Answers at once: three groups, or a refusal."""

    def __init__(self) -> None:
        self.refusal: wire.Refusal | None = None
        self.requests: list[wire.LeaseRequest] = []
        self.confirmed: list[str] = []
        self.released: list[str] = []
        self.reported: list[wire.Uplink] = []

    def request(
        self, request: wire.LeaseRequest, answered: Callable[[wire.LeaseAnswer], None], patience_s: float
    ) -> None:
        """Answer."""
        self.requests.append(request)
        leases = [
            wire.Lease(
                lease_id=f"{request.request_id}.{i}", subchannel_hz=round(GROUPS[i].center_hz), bandwidth_hz=16_000,
                start_us=1000 * i,
            )
            for i in range(request.copies)
        ]  # fmt: skip
        answer = wire.LeaseAnswer(refusal=self.refusal) if self.refusal else wire.LeaseAnswer(leases=leases)
        answered(answer)

    def confirm(self, lease_id: str) -> None:
        """Obeyed."""
        self.confirmed.append(lease_id)

    def renew(self, lease_id: str, end_s: float) -> None:
        """Not used."""

    def release(self, lease_id: str, reason: str) -> None:
        """Given back."""
        self.released.append(lease_id)

    def report(self, uplink: wire.Uplink) -> None:
        """Heard."""
        self.reported.append(uplink)

    def give_up_overdue(self) -> int:
        """Never late."""
        return 0


@pytest.fixture
def controller() -> Controller:
    """A controller that answers at once."""
    return Controller()


@pytest.fixture
def agent(controller: Controller) -> Iterator[SigfoxAgent]:
    """An agent on a free port."""
    made = SigfoxAgent(("127.0.0.1", 0), controller)
    yield made
    made.close()


def test_an_endpoint_obeys_and_its_leases_are_confirmed(agent: SigfoxAgent, controller: Controller) -> None:
    with socket.create_connection(agent.address) as peer:
        endpoint = SigfoxEndpoint(peer, "probe-1", Random(1), lambda: agent.step(0.01))
        copies = endpoint.message(12)
        while len(controller.confirmed) < 3:
            agent.step(0.01)
    (request,) = controller.requests
    assert (request.technology, request.copies, request.airtime_us) == (wire.SIGFOX, 3, 2_080_000)
    for copy, group in zip(copies, GROUPS, strict=False):
        assert copy.obeyed
        assert group.low_hz + 50 <= copy.center_hz <= group.high_hz - 50, "all 100 Hz lie inside the group"
    assert [uplink.device for uplink in controller.reported] == ["probe-1"] * 3


def test_a_refusal_means_at_random_and_the_duty_cycle_means_silence(agent: SigfoxAgent, controller: Controller) -> None:
    with socket.create_connection(agent.address) as peer:
        endpoint = SigfoxEndpoint(peer, "probe-1", Random(1), lambda: agent.step(0.01))
        controller.refusal = wire.Refusal(reason=wire.Refusal.OVERLOADED, message="too\nmany")
        copies = endpoint.message(8)
        assert len(copies) == 3
        assert not any(copy.obeyed for copy in copies)
        controller.refusal = wire.Refusal(reason=wire.Refusal.DUTY_CYCLE, message="the hour is full")
        assert endpoint.message(8) == []


def test_rubbish_is_answered_counted_and_harms_nobody(agent: SigfoxAgent, controller: Controller) -> None:
    with socket.create_connection(agent.address) as peer:
        endpoint = SigfoxEndpoint(peer, "probe-1", Random(1), lambda: agent.step(0.01))
        for line in ("nonsense", "REQUEST x 3", "REQUEST 1 13", "HELLO 2 probe"):
            endpoint.say(line)
            assert endpoint.line().startswith("ERROR ")
        assert agent.counts["malformed_lines"] == 4
        peer.setblocking(True)
        peer.sendall(b"\xff" * 1000)
        peer.setblocking(False)
        for _ in range(3):
            agent.step(0.01)
        assert len(endpoint.message(1)) == 3


def test_an_endpoint_that_goes_gives_its_leases_back(agent: SigfoxAgent, controller: Controller) -> None:
    with socket.create_connection(agent.address) as peer:
        peer.sendall(b"HELLO 1 probe\nREQUEST 1 12\n")
        while not controller.requests:
            agent.step(0.01)
        agent.step(0.01)
    while len(controller.released) < 3:
        agent.step(0.01)


def test_the_same_over_a_serial_line(controller: Controller) -> None:
    master, slave = pty.openpty()
    agent = SigfoxAgent(None, controller)
    agent.add_serial(os.ttyname(slave))
    os.write(master, b"HELLO 1 probe\r\nREQUEST 7 0\r\n")
    while not controller.requests:
        agent.step(0.01)
    agent.step(0.01)
    said = os.read(master, 4096).decode().splitlines()
    assert [line.split()[:3] for line in said] == [["SEND", "7", str(copy)] for copy in range(3)]
    agent.close()
    os.close(master)
    os.close(slave)


def test_lines_by_hand() -> None:
    assert sigfox.parse("HELLO 1 probe-1") == Hello("probe-1")
    assert sigfox.parse("REQUEST 12 8") == Request(12, 8)
    assert sigfox.parse("SENT 12 2 868034050") == Sent(12, 2, 868_034_050)
    # the lowest of twelve groups: 868.034 to 868.050 MHz, carriers 50 Hz inside
    assert sigfox.send_line(12, 0, GROUPS[0], 5) == "SEND 12 0 868034050 868049950 5"


@given(st.text(max_size=60))
def test_any_line_is_understood_or_bad_input(line: str) -> None:
    try:
        sigfox.parse(line)
    except BadInput as error:
        assert "\n" not in str(error)


def test_an_endpoint_that_only_asks_is_not_remembered_without_end(agent: SigfoxAgent, controller: Controller) -> None:
    with socket.create_connection(agent.address) as peer:
        endpoint = SigfoxEndpoint(peer, "probe-1", Random(1), lambda: agent.step(0.01))
        for number in range(50):
            endpoint.say(f"REQUEST {number} 1")
            for _ in range(3):
                assert endpoint.line().startswith(f"SEND {number} ")
        (kept,) = agent._endpoints.values()
        assert len(kept.messages) == len(kept.sizes) == 16
