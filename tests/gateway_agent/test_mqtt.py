"""The way over MQTT: ChirpStack's gateway events, and a real broker where there is one."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_agent import chirpstack
from gateway_agent.gateway_door import Acknowledged, Uplinks
from gateway_agent.mqtt import MqttDoor
from gateway_agent.semtech_udp import Malformed, Transmit
from spectrum.errors import BadInput, Failed
from spectrum.site_file import MqttTable

UP = {
    "phyPayload": "QGhlbGxv",
    "txInfo": {
        "frequency": 868300000,
        "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 9, "codeRate": "CR_4_5"}},
    },
    "rxInfo": {"gatewayId": "aa555a0000000101", "uplinkId": 5, "rssi": -91, "snr": 6.5, "context": "AAECAw=="},
}


# The same event as ChirpStack's published field numbers make it: a field is its number * 8 + wire type (0 varint,
# 2 length and bytes, 5 four bytes), then its value; integers seven bits at a time, the lowest first.
UP_PROTOBUF = bytes.fromhex(
    "0a06" + b"@hello".hex()  # 1 phy_payload
    + "2212"  # 4 tx_info, 18 bytes:
    + "08e0e9849e03"  # 1 frequency 868300000
    + "120a" + "1a08"  # 2 modulation: 3 lora:
    + "08c8d007" + "1009" + "2801"  # 1 bandwidth 125000, 2 spreading_factor, 5 code_rate
    + "2a2a"  # 5 rx_info, 42 bytes:
    + "0a10" + b"aa555a0000000101".hex()  # 1 gateway_id
    + "1005"  # 2 uplink_id
    + "30a5ffffffffffffffff01"  # 6 rssi -91, as 64 bits in two's complement
    + "3d0000d040"  # 7 snr 6.5
    + "6a0400010203"  # 13 context
)  # fmt: skip


@pytest.mark.parametrize("payload", [json.dumps(UP).encode(), UP_PROTOBUF], ids=["json", "protobuf"])
def test_an_up_event(payload: bytes) -> None:
    up = chirpstack.uplink_of(payload)
    assert up.gateway.hex() == "aa555a0000000101"
    assert (up.received.frame, up.received.center_hz, up.received.datr) == (b"@hello", 868_300_000, "SF9BW125")
    assert (up.received.rssi_dbm, up.received.snr_db, up.context) == (-91.0, 6.5, bytes(range(4)))
    assert not up.bad_crc


def test_marshalers_are_told_apart() -> None:
    assert chirpstack.marshaler_of(UP_PROTOBUF) == "protobuf"
    assert chirpstack.marshaler_of(json.dumps(UP, indent=2).encode()) == "json"


def test_a_frame_with_a_bad_checksum_is_named() -> None:
    event = {**UP, "rxInfo": {**UP["rxInfo"], "crcStatus": "BAD_CRC"}}  # type: ignore[dict-item]
    assert chirpstack.uplink_of(json.dumps(event).encode()).bad_crc


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b'{"downlinkId":7,"items":[{"status":"OK"}]}', "NONE"),
        (b'{"downlinkId":7,"items":[{"status":"TOO_LATE"}]}', "TOO_LATE"),
        # 2 downlink_id, 5 items: 1 status (OK is 1, TOO_LATE is 2)
        (bytes.fromhex("1007" + "2a02" + "0801"), "NONE"),
        (bytes.fromhex("1007" + "2a02" + "0802"), "TOO_LATE"),
    ],
)
def test_acknowledgements(payload: bytes, said: str) -> None:
    assert chirpstack.acknowledgement_of(payload) == Acknowledged(7, said)


def test_a_down_command_by_hand() -> None:
    transmit = Transmit(b"\x60x", 2_000_000, 869_525_000, "SF12BW125", 27)
    made = chirpstack.down_command(bytes.fromhex("aa555a0000000101"), 9, transmit, 2, b"\1\2", "protobuf")
    assert made.hex() == (
        "1809"  # 3 downlink_id
        + "2a28"  # 5 items, 40 bytes:
        + "0a02" + "6078"  # 1 phy_payload
        + "1a22"  # 3 tx_info, 34 bytes:
        + "0888cccf9e03"  # 1 frequency 869525000
        + "101b"  # 2 power
        + "1a0c" + "1a0a" + "08c8d007" + "100c" + "2001" + "2801"  # 3 modulation: 3 lora: 1, 2, 4 inverted, 5
        + "3206" + "1204" + "0a02" + "0802"  # 6 timing: 2 delay: 1 delay: 1 seconds
        + "3a02" + "0102"  # 7 context
        + "3a10" + b"aa555a0000000101".hex()  # 7 gateway_id
    )  # fmt: skip


def test_stats_and_connections() -> None:
    eui = "aa555a0000000101"
    assert chirpstack.stats_of(json.dumps({"gatewayId": eui, "rxPacketsReceived": 3}).encode()).hex() == eui
    assert chirpstack.connection_of(json.dumps({"gatewayId": eui, "state": "ONLINE"}).encode())[1]
    offline = bytes.fromhex("1a10") + eui.encode()  # 3 gateway_id; 2 state is OFFLINE, which is 0 and left out
    assert chirpstack.connection_of(offline) == (bytes.fromhex(eui), False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*UP, "items"]), inner, max_size=5),
    max_leaves=15,
)
READERS = (chirpstack.uplink_of, chirpstack.acknowledgement_of, chirpstack.stats_of, chirpstack.connection_of)


@given(json_values | st.sampled_from(["phyPayload", "txInfo", "rxInfo"]).flatmap(
    lambda key: json_values.map(lambda value: {**UP, key: value})))  # fmt: skip
def test_any_json_event_is_read_or_malformed(value: Any) -> None:
    for read in READERS:
        with contextlib.suppress(Malformed):
            read(json.dumps(value).encode())


@given(
    st.binary(max_size=80)
    | st.tuples(st.integers(0, len(UP_PROTOBUF) - 1), st.binary(max_size=4)).map(
        lambda cut: UP_PROTOBUF[: cut[0]] + cut[1] + UP_PROTOBUF[cut[0] + len(cut[1]) :]
    )
)
def test_any_bytes_are_read_or_malformed(payload: bytes) -> None:
    for read in READERS:
        with contextlib.suppress(Malformed):
            read(payload)


def test_outside_loopback_a_broker_needs_tls_or_a_tunnel() -> None:
    with pytest.raises(BadInput, match="tls_ca"):
        MqttDoor(MqttTable(host="192.0.2.1"))


def test_no_broker_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Failed, match="no MQTT broker"):
            MqttDoor(MqttTable(port=taken.getsockname()[1]))


@pytest.fixture
def broker_port(tmp_path: Path) -> Iterator[int]:
    """Debian's mosquitto on a free port of loopback."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        pytest.skip(
            "mosquitto is not here: run tests/gateway_agent/install-tools as root, or apt-get install mosquitto"
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    broker = subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as peer:
            if peer.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield port
    broker.terminate()
    broker.wait(10)


@pytest.mark.parametrize("marshaler", ["json", "protobuf"])
def test_up_down_ack_and_connection_through_mosquitto(broker_port: int, marshaler: str) -> None:
    import paho.mqtt.client as paho
    from chirpstack_api.gw import gw_pb2 as gw
    from google.protobuf import json_format
    from paho.mqtt.enums import CallbackAPIVersion

    def sealed(message: Any) -> bytes:
        return message.SerializeToString() if marshaler == "protobuf" else json_format.MessageToJson(message).encode()

    bridge, commands = paho.Client(CallbackAPIVersion.VERSION2), []
    bridge.on_message = lambda client, data, message: commands.append((message.topic, bytes(message.payload)))
    bridge.connect("127.0.0.1", broker_port)
    bridge.subscribe("eu868/gateway/+/command/down")
    bridge.loop_start()
    door = MqttDoor(MqttTable(port=broker_port))
    eui = "aa555a0000000101"
    topic = f"eu868/gateway/{eui}/event"
    deadline = time.monotonic() + 30
    events: list[Any] = []

    def poll_until(true: Callable[[], Any]) -> None:
        while not true():
            assert time.monotonic() < deadline, door.counts
            events.extend(door.poll(0.05))

    up = json_format.ParseDict(UP, gw.UplinkFrame())
    while not events:  # until both have subscribed
        assert time.monotonic() < deadline
        bridge.publish(f"{topic}/up", sealed(up))
        events.extend(door.poll(0.2))
    uplinks = events[0]
    assert isinstance(uplinks, Uplinks)
    bridge.publish(f"{topic}/up", b"not an event")
    up.rx_info.crc_status = gw.BAD_CRC
    bridge.publish(f"{topic}/up", sealed(up))
    bridge.publish(f"{topic}/stats", sealed(gw.GatewayStats(gateway_id=eui)))
    poll_until(lambda: door.counts["mqtt_stats"])
    assert (door.counts["malformed_events"], door.counts["dropped_receptions"]) == (1, 1)
    heard = uplinks.frames[0]
    transmit = Transmit(b"\x60x", heard.tmst + 2_000_000, 869_525_000, "SF12BW125", 27)
    number = door.send(uplinks.gateway, transmit)
    poll_until(lambda: commands)
    place, command = commands[0]
    assert place == f"eu868/gateway/{eui}/command/down"
    read = gw.DownlinkFrame()
    read = read.FromString(command) if marshaler == "protobuf" else json_format.Parse(command, read)
    assert (read.gateway_id, read.downlink_id) == (eui, number)
    (item,) = read.items
    assert item.phy_payload == b"\x60x"
    assert item.tx_info.timing.delay.delay.seconds == 2
    assert item.tx_info.context == bytes(range(4)), "the concentrator's counter goes back as it came"
    assert (item.tx_info.frequency, item.tx_info.power) == (869_525_000, 27)
    assert item.tx_info.modulation.lora.polarization_inversion
    bridge.publish(f"{topic}/ack", sealed(gw.DownlinkTxAck(downlink_id=number, items=[{"status": gw.TX_FREQ}])))
    poll_until(lambda: Acknowledged(number or 0, "TX_FREQ") in events)
    state = f"eu868/gateway/{eui}/state/conn"
    bridge.publish(state, sealed(gw.ConnState(gateway_id=eui, state=gw.ConnState.OFFLINE)))
    poll_until(lambda: door.counts["mqtt_conn"] == 1)
    assert door.send(uplinks.gateway, transmit) is None, "the bridge has gone"
    bridge.publish(state, sealed(gw.ConnState(gateway_id=eui, state=gw.ConnState.ONLINE)))
    poll_until(lambda: door.counts["mqtt_conn"] == 2)
    assert door.send(uplinks.gateway, transmit) is not None
    bridge.loop_stop()
    bridge.disconnect()
    door.close()
