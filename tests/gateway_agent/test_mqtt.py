"""The way over MQTT: ChirpStack's gateway events, and a real broker where there is one."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_agent import mqtt
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


def test_an_up_event() -> None:
    gateway, received, context = mqtt.uplink_of(json.dumps(UP).encode())
    assert gateway.hex() == "aa555a0000000101"
    assert (received.frame, received.center_hz, received.datr) == (b"@hello", 868_300_000, "SF9BW125")
    assert (received.rssi_dbm, received.snr_db, context) == (-91.0, 6.5, "AAECAw==")


def test_acknowledgements() -> None:
    assert mqtt.acknowledgement_of(b'{"downlinkId":7,"items":[{"status":"OK"}]}') == Acknowledged(7, "NONE")
    late = mqtt.acknowledgement_of(b'{"downlinkId":7,"items":[{"status":"TOO_LATE"}]}')
    assert late == Acknowledged(7, "TOO_LATE")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*UP, "items"]), inner, max_size=5),
    max_leaves=15,
)


@given(json_values | st.sampled_from(["phyPayload", "txInfo", "rxInfo"]).flatmap(
    lambda key: json_values.map(lambda value: {**UP, key: value})))  # fmt: skip
def test_any_event_is_read_or_malformed(value: Any) -> None:
    for read in (mqtt.uplink_of, mqtt.acknowledgement_of):
        with contextlib.suppress(Malformed):
            read(json.dumps(value).encode())


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
        pytest.skip("mosquitto is not here: apt-get install mosquitto")
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


def test_up_down_and_ack_through_mosquitto(broker_port: int) -> None:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    bridge, commands = paho.Client(CallbackAPIVersion.VERSION2), []
    bridge.on_message = lambda client, data, message: commands.append((message.topic, json.loads(message.payload)))
    bridge.connect("127.0.0.1", broker_port)
    bridge.subscribe("eu868/gateway/+/command/down")
    bridge.loop_start()
    door = MqttDoor(MqttTable(port=broker_port))
    topic = "eu868/gateway/aa555a0000000101/event"
    deadline = time.monotonic() + 30
    events: list[Any] = []
    while not events:  # until both have subscribed
        assert time.monotonic() < deadline
        bridge.publish(f"{topic}/up", json.dumps(UP))
        events = door.poll(0.2)
    uplinks = events[0]
    assert isinstance(uplinks, Uplinks)
    bridge.publish(f"{topic}/up", b"not an event")
    while not door.counts["malformed_events"]:
        assert time.monotonic() < deadline
        door.poll(0.2)
    heard = uplinks.frames[0]
    number = door.send(uplinks.gateway, Transmit(b"\x60x", heard.tmst + 2_000_000, 869_525_000, "SF12BW125", 27))
    while not commands:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    place, command = commands[0]
    assert place == "eu868/gateway/aa555a0000000101/command/down"
    item = command["items"][0]
    assert item["txInfo"]["timing"] == {"delay": {"delay": "2s"}}
    assert item["txInfo"]["context"] == "AAECAw==", "the concentrator's counter goes back as it came"
    assert item["txInfo"]["frequency"] == 869_525_000
    bridge.publish(f"{topic}/ack", json.dumps({"downlinkId": number, "items": [{"status": "TX_FREQ"}]}))
    while Acknowledged(number or 0, "TX_FREQ") not in events:
        assert time.monotonic() < deadline
        events += door.poll(0.2)
    bridge.loop_stop()
    bridge.disconnect()
    door.close()
