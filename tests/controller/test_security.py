"""Mutual TLS with the development authority: who may speak for whom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import grpc
import msgspec
import pytest

from channel_status.memory import MemoryDatabase
from controller.certificates import make_certificates
from controller.client import ControllerClient
from controller.office import Office
from controller.peers import LOCAL, Peer, identity, peer_of
from controller.users import add_user, peer_with, read_users
from gateway_agent.controller_link import channel_to
from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc
from spectrum.errors import BadInput, Failed
from spectrum.site_file import Site, TlsTable

RunningController = Callable[..., AbstractContextManager[tuple[Site, Office]]]


def keys(folder: Path, name: str) -> TlsTable:
    """The [tls] table of one holder."""
    return TlsTable(ca=str(folder / "ca.pem"), certificate=str(folder / f"{name}.pem"), key=str(folder / f"{name}.key"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with a controller, two gateways and an operator."""
    made = tmp_path_factory.mktemp("certs")
    now = dt.datetime.now(dt.UTC)
    make_certificates(made, ["localhost", "127.0.0.1"], ["gw-1"], ["alice"], now)
    make_certificates(made, ["localhost", "127.0.0.1"], ["gw-2"], [], now)  # added later, by the same authority
    return made


def speaking(site: Site, folder: Path, name: str) -> Site:
    """The site as the holder of a certificate has it."""
    return msgspec.structs.replace(site, tls=keys(folder, name))


def attach(site: Site, gateway: str) -> wire.ControllerMessage:
    """The first answer to a stream of `gateway`."""
    with channel_to(site) as channel:
        stub = wire_grpc.ControllerStub(channel)
        stream = stub.Attach(iter([wire.AgentMessage(register=wire.Register(gateway=gateway, site="s"))]), timeout=20)
        message: wire.ControllerMessage = next(stream)
        stream.cancel()
        return message


def code_of(error: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    """The status of a failed call."""
    code: grpc.StatusCode = error.value.code()
    return code


def request(gateway: str) -> wire.LeaseRequest:
    """A LoRa request of a gateway's."""
    return wire.LeaseRequest(
        request_id=f"r-{gateway}", device="d", gateway=gateway, technology=wire.LORA, airtime_us=100_000
    )


def test_a_gateway_speaks_for_itself_only(folder: Path, running_controller: RunningController) -> None:
    with running_controller(MemoryDatabase(), tls=keys(folder, "controller")) as (site, _):
        first = speaking(site, folder, "gateway-gw-1")
        assert attach(first, "gw-1").registered_site == "s"
        with pytest.raises(grpc.RpcError) as error:
            attach(first, "gw-2")
        assert code_of(error) == grpc.StatusCode.PERMISSION_DENIED
        with channel_to(first) as channel:
            stub = wire_grpc.ControllerStub(channel)
            lease = stub.Allocate(request("gw-1"), timeout=20).leases[0]
            with pytest.raises(grpc.RpcError) as error:
                stub.Allocate(request("gw-2"), timeout=20)
            assert code_of(error) == grpc.StatusCode.PERMISSION_DENIED
        with channel_to(speaking(site, folder, "gateway-gw-2")) as channel:
            change = wire_grpc.ControllerStub(channel).Release(wire.ReleaseRequest(lease_id=lease.lease_id), timeout=20)
            assert not change.HasField("lease")
        with channel_to(speaking(site, folder, "operator-alice")) as channel:
            change = wire_grpc.ControllerStub(channel).Release(wire.ReleaseRequest(lease_id=lease.lease_id), timeout=20)
            assert change.lease.lease_id == lease.lease_id


def test_without_a_certificate_of_the_authority_nobody_gets_in(
    folder: Path, tmp_path: Path, running_controller: RunningController
) -> None:
    make_certificates(tmp_path, ["localhost"], ["gw-1"], [], dt.datetime.now(dt.UTC))
    with running_controller(MemoryDatabase(), tls=keys(folder, "controller")) as (site, _):
        stranger = keys(tmp_path, "gateway-gw-1")
        mixed = TlsTable(ca=str(folder / "ca.pem"), certificate=stranger.certificate, key=stranger.key)
        for tls in (None, stranger, mixed):
            with ControllerClient(msgspec.structs.replace(site, tls=tls)) as client, pytest.raises(Failed):
                client.status()


def test_keys_are_private(folder: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.key")} == {0o600}


def test_peers_by_their_uri() -> None:
    assert peer_of({}, tls=False) == LOCAL
    context = {"x509_subject_alternative_name": [b"localhost", identity("gateway", "gw-1").encode()]}
    assert peer_of(context, tls=True) == Peer("gateway", "gw-1")
    for names in ([b"localhost"], [b"airshed:root:x"], [b"airshed:gateway:"], [b"\xff"]):
        assert peer_of({"x509_subject_alternative_name": names}, tls=True).role == "nobody"
    assert not Peer("nobody", "").may_speak_for("")
    assert Peer("operator", "a").may_speak_for("gw-9")


def test_tokens(tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    alice, bob = add_user(file, "alice", "operator"), add_user(file, "bob", "viewer")
    newer = add_user(file, "alice", "operator")
    users = read_users(file)
    assert peer_with(newer, users) == Peer("operator", "alice")
    assert peer_with(bob, users) == Peer("viewer", "bob")
    assert peer_with(alice, users) is None
    assert newer not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadInput, match="no quotes"):
        add_user(file, 'x"y', "viewer")
    file.write_text("[[user]]\nname = 1")
    with pytest.raises(BadInput, match="airshed token"):
        read_users(file)
