"""The agent's stream against a real controller on loopback: answers, restarts, and what is kept meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from random import Random

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from channel_status import records
from channel_status.memory import MemoryDatabase
from channel_status.protocol import DatabaseAway
from controller.client import ControllerClient
from controller.grpc_door import ControllerService, GrpcDoor, is_loopback
from controller.office import Office
from controller.service import open_office
from gateway_agent.controller_link import ControllerLink
from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc
from spectrum.errors import BadInput, Failed
from spectrum.site_file import Site

PATIENCE_S = 60.0

RunningController = Callable[..., AbstractContextManager[tuple[Site, Office]]]


def until(true: Callable[[], bool]) -> None:
    """Wait until something holds; fails after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def lora_request(request_id: str, device: str = "d") -> wire.LeaseRequest:
    """A request for one LoRa transmission of 100 ms."""
    return wire.LeaseRequest(request_id=request_id, device=device, technology=wire.LORA, airtime_us=100_000, copies=1)


@pytest.fixture
def answers() -> list[wire.LeaseAnswer]:
    """Where answers come in."""
    return []


def test_a_request_is_answered_with_a_lease_of_the_streams_own_gateway(
    running_controller: RunningController, answers: list[wire.LeaseAnswer]
) -> None:
    with running_controller(MemoryDatabase()) as (site, _):
        link = ControllerLink(site, "gw", rng=Random(1))
        link.start()
        until(lambda: link.state == "online")
        spoofed = lora_request("r1")
        spoofed.gateway = "somebody-else"
        link.request(spoofed, answers.append, PATIENCE_S)
        until(lambda: bool(answers))
        link.close()
    assert answers[0].request_id == "r1"
    assert answers[0].leases[0].gateway == "gw"
    assert link.state == "closed"


def test_what_was_asked_and_reported_while_the_controller_was_away_arrives_later(
    running_controller: RunningController, answers: list[wire.LeaseAnswer]
) -> None:
    database = MemoryDatabase()
    with running_controller(database) as (site, _):
        link = ControllerLink(site, "gw", rng=Random(1))
        link.start()
        until(lambda: link.state == "online")
        port = int(site.controller.listen.rpartition(":")[2])
    until(lambda: link.state in ("offline", "connecting", "registered"))
    link.request(lora_request("r1"), answers.append, PATIENCE_S)
    link.report(wire.Uplink(device="d", at_us=1, subchannel_hz=868100000))
    with running_controller(database, port):
        until(lambda: bool(answers))
        until(lambda: bool(database.read("s", "uplinks")))
    link.close()
    assert answers[0].leases
    assert link.dropped_uplinks == 0


def test_the_oldest_kept_reports_go_first_and_are_counted(
    site_on: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway_agent.controller_link.KEPT_UPLINKS", 3)
    link = ControllerLink(site_on(1), "gw", rng=Random(1))
    for i in range(5):
        link.report(wire.Uplink(device="d", at_us=i))
    assert link.dropped_uplinks == 2
    assert [uplink.at_us for uplink in link._uplinks] == [2, 3, 4]


class SometimesAway(MemoryDatabase):
    """A database that can be away."""

    away = False

    def append(self, site: str, stream: str, values: Sequence[bytes]) -> None:
        """Append, unless away."""
        if self.away and stream == "uplinks":
            raise DatabaseAway("away")
        super().append(site, stream, values)

    def ping(self) -> None:
        """Answer, unless away."""
        if self.away:
            raise DatabaseAway("away")


def test_reports_that_the_database_did_not_keep_come_again_when_it_is_back(
    running_controller: RunningController, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway_agent.controller_link.HEARTBEAT_S", 0.05)
    database = SometimesAway()

    def kept() -> list[int]:
        return [round(records.decode(entry.value)["time_s"]) for entry in database.read("s", "uplinks")]

    with running_controller(database) as (site, _):
        link = ControllerLink(site, "gw", rng=Random(1))
        link.start()
        until(lambda: link.state == "online")
        link.report(wire.Uplink(device="d", at_us=1_000_000))
        until(lambda: kept() == [1])
        database.away = True
        for i in range(2, 5):
            link.report(wire.Uplink(device="d", at_us=i * 1_000_000))
        time.sleep(0.3)
        assert kept() == [1]
        database.away = False
        until(lambda: set(kept()) == {1, 2, 3, 4})
        link.close()
    assert link.undelivered() == []
    assert kept().count(1) <= 2


def test_what_a_broken_stream_may_have_lost_comes_again(running_controller: RunningController) -> None:
    database = MemoryDatabase()
    with running_controller(database) as (site, _):
        link = ControllerLink(site, "gw", rng=Random(1))
        link.start()
        until(lambda: link.state == "online")
        port = int(site.controller.listen.rpartition(":")[2])
        for i in range(50):
            link.report(wire.Uplink(device="d", at_us=i * 1_000_000))
    with running_controller(database, port):
        until(
            lambda: {records.decode(entry.value)["time_s"] for entry in database.read("s", "uplinks")} == set(range(50))
        )
        link.close()
    assert link.dropped_uplinks == 0


def test_patience_ends_with_a_refusal(site_on: Callable[..., Site], answers: list[wire.LeaseAnswer]) -> None:
    now_s = [0.0]
    link = ControllerLink(site_on(1), "gw", rng=Random(1), clock=lambda: now_s[0])
    link.request(lora_request("r1"), answers.append, patience_s=1.0)
    assert link.give_up_overdue() == 0
    now_s[0] = 1.5
    assert link.give_up_overdue() == 1
    assert answers[0].refusal.message
    assert not answers[0].leases


def test_unary_calls_health_and_errors(running_controller: RunningController) -> None:
    with running_controller(MemoryDatabase()) as (site, _), ControllerClient(site) as client:
        answer = client.allocate("me", "lora", 0.1, keeps_time=False)
        assert answer["leases"][0]["device"] == "me"
        assert client.explain("me")["lease"]["device"] == "me"
        with pytest.raises(BadInput, match="no decision about 'nobody'"):
            client.explain("nobody")
        assert client.status()["site"] == "s"
        with grpc.insecure_channel(site.controller.listen) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            reply = health.Check(health_pb2.HealthCheckRequest(service="airshed.v1.Controller"))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
            stub = wire_grpc.ControllerStub(channel)
            with pytest.raises(grpc.RpcError) as error:
                stub.Allocate(wire.LeaseRequest(request_id="x", device="d", airtime_us=1000))
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            with pytest.raises(grpc.RpcError) as error:
                list(stub.Attach(iter([wire.AgentMessage(confirmed=["x"])])))
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            with pytest.raises(grpc.RpcError) as error:
                list(stub.Attach(iter([wire.AgentMessage(register=wire.Register(gateway="g", site="other"))])))
            assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_a_controller_that_is_not_there_is_one_line(site_on: Callable[..., Site]) -> None:
    with ControllerClient(site_on(1)) as client, pytest.raises(Failed, match="no answer from the controller"):
        client.status()


def test_a_taken_port_is_one_line(running_controller: RunningController) -> None:
    with running_controller(MemoryDatabase()) as (site, office), pytest.raises(Failed, match="port taken"):
        GrpcDoor(site, ControllerService(office, MemoryDatabase())).start()


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("0.0.0.0:1", False), ("192.0.2.1:1", False)],
)
def test_nothing_listens_outside_loopback_without_tls(
    site_on: Callable[..., Site], address: str, loopback: bool
) -> None:
    assert is_loopback(address) is loopback
    if not loopback:
        site = msgspec.structs.replace(
            site_on(0), controller=msgspec.structs.replace(site_on(0).controller, listen=address)
        )
        with pytest.raises(BadInput, match=r"\[tls\] table is needed"):
            GrpcDoor(site, ControllerService(open_office(site, MemoryDatabase()), MemoryDatabase()))


def test_reflection_describes_the_service(running_controller: RunningController) -> None:
    with running_controller(MemoryDatabase()) as (site, _), grpc.insecure_channel(site.controller.listen) as channel:
        described = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert "airshed.v1.Controller" in described
    assert "grpc.health.v1.Health" in described
