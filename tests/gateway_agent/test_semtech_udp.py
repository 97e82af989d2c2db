"""Datagrams of the Semtech UDP protocol, byte by byte, round trip, and broken."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_agent import semtech_udp
from gateway_agent.gateway_door import Acknowledged, Uplinks, host_and_port
from gateway_agent.semtech_server import SemtechServer
from gateway_agent.semtech_udp import Datagram, Kind, Malformed, Received, Transmit
from spectrum.errors import BadInput
from testbed.packet_forwarder import VirtualForwarder

EUI = bytes.fromhex("aa555a0000000101")


def test_bytes_of_each_kind() -> None:
    # version 2, token 0x1234 as its bytes 0x34 0x12, kind, then the EUI in what forwarders send
    head = bytes.fromhex("023412")
    assert semtech_udp.encode(Datagram(Kind.PUSH_DATA, 0x1234, EUI, b"{}")) == head + b"\x00" + EUI + b"{}"
    assert semtech_udp.encode(Datagram(Kind.PUSH_ACK, 0x1234)) == head + b"\x01"
    assert semtech_udp.encode(Datagram(Kind.PULL_DATA, 0x1234, EUI)) == head + b"\x02" + EUI
    assert semtech_udp.encode(Datagram(Kind.PULL_RESP, 0x1234, b"", b"{}")) == head + b"\x03{}"
    assert semtech_udp.encode(Datagram(Kind.PULL_ACK, 0x1234)) == head + b"\x04"
    assert semtech_udp.encode(Datagram(Kind.TX_ACK, 0x1234, EUI)) == head + b"\x05" + EUI


def test_push_is_acknowledged_with_1_and_pull_with_4() -> None:
    assert semtech_udp.answer_to(Datagram(Kind.PUSH_DATA, 7, EUI)) == Datagram(Kind.PUSH_ACK, 7)
    pull = semtech_udp.answer_to(Datagram(Kind.PULL_DATA, 7, EUI))
    assert pull is not None
    assert semtech_udp.encode(pull)[3] == 4
    assert semtech_udp.answer_to(Datagram(Kind.TX_ACK, 7, EUI)) is None


@given(st.sampled_from(Kind), st.integers(0, 0xFFFF), st.binary(min_size=8, max_size=8), st.binary(max_size=50))
def test_datagrams_round_trip(kind: Kind, token: int, eui: bytes, body: bytes) -> None:
    sent = Datagram(kind, token, eui if kind in (Kind.PUSH_DATA, Kind.PULL_DATA, Kind.TX_ACK) else b"", body)
    assert semtech_udp.decode(semtech_udp.encode(sent)) == sent


frames = st.binary(min_size=1, max_size=255)


@given(frames, st.integers(0, 2**32 - 1), st.integers(863_000_000, 870_000_000), st.sampled_from(range(7, 13)))
def test_receptions_and_transmissions_round_trip(frame: bytes, tmst: int, center_hz: int, factor: int) -> None:
    heard = Received(frame, tmst, center_hz, f"SF{factor}BW125", -101.5, -3.25)
    assert semtech_udp.receptions(semtech_udp.push_body((heard,))) == ((heard,), 0)
    assert heard.spreading_factor == factor
    assert heard.bandwidth_hz == 125_000
    sent = Transmit(frame, tmst, center_hz, heard.datr, 14)
    assert semtech_udp.transmit_of(semtech_udp.transmit_body(sent)) == sent


@pytest.mark.parametrize(
    "change",
    [
        {"stat": -1}, {"stat": 0}, {"modu": "FSK"}, {"datr": "SF13BW125"}, {"datr": 50000}, {"tmst": 2**32},
        {"tmst": -1}, {"tmst": True}, {"tmst": 1.5}, {"freq": "868.1"}, {"freq": 1e9}, {"data": "%%%"}, {"data": ""},
        {"data": base64.b64encode(bytes(256)).decode()}, {"rssi": None}, {"lsnr": 1e300},
    ],
)  # fmt: skip
def test_a_broken_reception_is_dropped_and_its_neighbour_kept(change: dict[str, object]) -> None:
    import json

    good = Received(b"\x40abc", 5, 868_100_000, "SF7BW125", -80.0, 5.0)
    body = json.loads(semtech_udp.push_body((good, good)))
    body["rxpk"][0].update(change)
    assert semtech_udp.receptions(json.dumps(body).encode()) == ((good,), 1)


@pytest.mark.parametrize("error", semtech_udp.TX_ERRORS)
def test_each_tx_ack_error(error: str) -> None:
    assert semtech_udp.tx_error(semtech_udp.tx_ack_body(error)) == error


def test_an_empty_tx_ack_and_a_warning_are_no_errors() -> None:
    assert semtech_udp.tx_error(b"") == "NONE"
    assert semtech_udp.tx_error(b'{"txpk_ack":{"warn":"TX_POWER","value":14}}') == "NONE"


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda b: b"\x02\0\0\0" + EUI + b)))
def test_any_bytes_are_a_datagram_or_malformed(data: bytes) -> None:
    try:
        datagram = semtech_udp.decode(data)
        semtech_udp.receptions(datagram.body)
        semtech_udp.tx_error(datagram.body)
    except Malformed:
        pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["rxpk", "tmst", "freq", "datr", "data", "rssi", "lsnr", "stat", "modu", "txpk_ack", "error"]),
        inner, max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_any_json_is_read_or_malformed(value: object) -> None:
    import msgspec

    try:
        semtech_udp.receptions(msgspec.json.encode(value))
        semtech_udp.tx_error(msgspec.json.encode(value))
        semtech_udp.transmit_of(msgspec.json.encode(value))
    except Malformed:
        pass


@pytest.fixture
def pair() -> Iterator[tuple[SemtechServer, VirtualForwarder, list[float]]]:
    """A server and a forwarder over UDP, and the forwarder's clock."""
    now_s = [100.0]
    server = SemtechServer(("127.0.0.1", 0))
    forwarder = VirtualForwarder(server.address, EUI, lambda: now_s[0])
    yield server, forwarder, now_s
    forwarder.close()
    server.close()


Pair = tuple[SemtechServer, VirtualForwarder, list[float]]


def drain(server: SemtechServer) -> list[Uplinks | Acknowledged]:
    """Everything that has been sent to the server."""
    events = server.poll(1.0)
    while more := server.poll(0.05):
        events += more
    return events


def test_uplinks_come_in_and_are_acknowledged(pair: Pair) -> None:
    server, forwarder, _ = pair
    forwarder.push(b"\x40hello", 868_300_000, "SF9BW125")
    (event,) = drain(server)
    assert event == Uplinks(EUI, (Received(b"\x40hello", 100_000_000, 868_300_000, "SF9BW125", -90.0, 7.0),))
    forwarder.poll(1.0)
    assert forwarder.counts["push_ack"] == 1


def test_downlinks_go_where_the_last_pull_came_from(pair: Pair) -> None:
    server, forwarder, _ = pair
    transmit = Transmit(b"\x60x", 101_000_000, 868_300_000, "SF9BW125", 14)
    assert server.send(EUI, transmit) is None
    assert server.counts["no_way_down"] == 1
    forwarder.pull()
    drain(server)
    number = server.send(EUI, transmit)
    assert forwarder.poll(1.0) == [transmit]
    assert drain(server) == [Acknowledged(number or 0, "NONE")]


@pytest.mark.parametrize(
    ("transmit", "error"),
    [
        (Transmit(b"x", 99_000_000, 868_300_000, "SF9BW125", 14), "TOO_LATE"),
        (Transmit(b"x", 400_000_000, 868_300_000, "SF9BW125", 14), "TOO_EARLY"),
        (Transmit(b"x", 101_000_000, 915_000_000, "SF9BW125", 14), "TX_FREQ"),
        (Transmit(b"x", 101_000_000, 868_300_000, "SF9BW125", 40), "TX_POWER"),
    ],
)
def test_what_a_gateway_refuses_comes_back(pair: Pair, transmit: Transmit, error: str) -> None:
    server, forwarder, _ = pair
    forwarder.pull()
    drain(server)
    number = server.send(EUI, transmit)
    assert forwarder.poll(1.0) == []
    assert drain(server) == [Acknowledged(number or 0, error)]


def test_rubbish_is_counted_and_dropped_and_the_next_uplink_heard(pair: Pair) -> None:
    server, forwarder, _ = pair
    rubbish = [b"", b"\x02", b"\x01\0\0\0" + EUI, b"\x02\0\0\x09", b"\x02\0\0\x00short", b"\x02\0\0\0" + EUI + b"{",
               b"\x02\0\0\0" + EUI + b'{"rxpk":5}', b"\x02\0\0\x03{}", b"\x02\0\0\x05" + EUI + b"[]"]  # fmt: skip
    for data in rubbish:
        forwarder.push_raw(data)
    forwarder.push(b"\x40ok", 868_100_000, "SF7BW125")
    (event,) = drain(server)
    assert isinstance(event, Uplinks)
    assert server.counts["malformed_datagrams"] == len(rubbish)


def test_only_declared_forwarders_are_heard() -> None:
    server = SemtechServer(("127.0.0.1", 0), allowed=frozenset({bytes(8)}))
    forwarder = VirtualForwarder(server.address, EUI, lambda: 0.0)
    forwarder.push(b"\x40ok", 868_100_000, "SF7BW125")
    assert drain(server) == []
    assert server.counts["unknown_forwarders"] == 1
    forwarder.close()
    server.close()


@pytest.mark.parametrize("listen", ["0.0.0.0:1700", "192.0.2.1:1700"])
def test_without_a_tunnel_nothing_listens_outside_loopback(listen: str) -> None:
    with pytest.raises(BadInput, match="no authentication"):
        host_and_port(listen, "lorawan.udp_listen", tunnel=False)
    assert host_and_port(listen, "lorawan.udp_listen", tunnel=True)[1] == 1700


@pytest.mark.parametrize("listen", ["", "localhost", "127.0.0.1:x", "127.0.0.1:70000", "[::1]:1700"])
def test_a_wrong_address_is_one_line(listen: str) -> None:
    with pytest.raises(BadInput, match="udp_listen"):
        host_and_port(listen, "lorawan.udp_listen", tunnel=False)
