"""Gateways over MQTT: the topics of ChirpStack's gateway bridge, marshalled as JSON. The only file that imports paho.

Up: `PREFIX/gateway/EUI/event/up` and `.../event/ack`; down: `PREFIX/gateway/EUI/command/down`. A bridge carries the
concentrator's counter as an opaque context; here each uplink gets ten seconds of a counter of our own, so that the rest
of the agent sees what it sees over UDP.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import queue
import time
from collections import Counter
from typing import Any, Final

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway_agent.gateway_door import Acknowledged, Uplinks
from gateway_agent.semtech_udp import LONGEST_FRAME, Malformed, Received, Transmit
from spectrum.errors import BadInput, Failed
from spectrum.site_file import MqttTable

PASSWORD_VARIABLE: Final = "AIRSHED_MQTT_PASSWORD"

# Counter values one uplink owns: its windows open at most 6 s after it.
SPAN_US: Final = 10_000_000
SPANS: Final = 2**32 // SPAN_US

# Events that wait to be taken; more are dropped and counted.
MOST_WAITING: Final = 10_000

# ChirpStack's names for what Semtech's TX_ACK says; others are passed on as they are.
OK: Final = "OK"


def uplink_of(payload: bytes) -> tuple[bytes, Received, str]:
    """(gateway, frame, context) of an `up` event; the frame's tmst is 0. Malformed when it is none."""
    event = _object(payload)
    try:
        tx, rx = event["txInfo"], event["rxInfo"]
        modulation = tx["modulation"]["lora"]
        gateway = bytes.fromhex(rx["gatewayId"])
        frame = base64.b64decode(event["phyPayload"], validate=True)
        factor, bandwidth_hz = int(modulation["spreadingFactor"]), int(modulation["bandwidth"])
        rssi_dbm, snr_db = float(rx.get("rssi", 0)), float(rx.get("snr", 0))
        center_hz, context = int(tx["frequency"]), rx.get("context", "")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Malformed(f"an up event has phyPayload, txInfo and rxInfo: {error!r}") from None
    right = 1 <= len(frame) <= LONGEST_FRAME and len(gateway) == 8 and 7 <= factor <= 12
    if not (right and bandwidth_hz in (125_000, 250_000, 500_000) and isinstance(context, str)):
        raise Malformed("an up event of a LoRa frame was expected")
    datr = f"SF{factor}BW{bandwidth_hz // 1000}"
    return gateway, Received(frame, 0, center_hz, datr, rssi_dbm, snr_db), context


def acknowledgement_of(payload: bytes) -> Acknowledged:
    """An `ack` event; Malformed when it is none."""
    event = _object(payload)
    try:
        number = int(event["downlinkId"])
        status = str(event["items"][0].get("status", OK))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise Malformed(f"an ack event has downlinkId and items: {error!r}") from None
    return Acknowledged(number, "NONE" if status in (OK, "IGNORED") else status)


def down_command(gateway: bytes, number: int, transmit: Transmit, delay_s: int, context: str) -> bytes:
    """A `down` command with one item, at `delay_s` after the uplink that `context` stands for."""
    factor, bandwidth = transmit.datr[2:].split("BW")
    lora = {
        "bandwidth": int(bandwidth) * 1000,
        "spreadingFactor": int(factor),
        "codeRate": "CR_4_5",
        "polarizationInversion": True,
    }
    item = {
        "phyPayload": base64.b64encode(transmit.frame).decode(),
        "txInfo": {
            "frequency": transmit.center_hz,
            "power": transmit.power_dbm,
            "modulation": {"lora": lora},
            "timing": {"delay": {"delay": f"{delay_s}s"}},
            "context": context,
        },
    }
    return msgspec.json.encode({"downlinkId": number, "gatewayId": gateway.hex(), "items": [item]})


def _object(payload: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Malformed("a JSON object was expected")
    return value


class MqttDoor:
    """One broker. It reconnects by itself; what is published meanwhile is lost, as over UDP."""

    def __init__(self, table: MqttTable, *, tunnel: bool = False) -> None:
        _check_address(table, tunnel=tunnel)
        self._prefix = table.topic_prefix
        self._events: queue.Queue[tuple[str, bytes]] = queue.Queue(MOST_WAITING)
        self._contexts: dict[int, str] = {}
        self._heard_s: float | None = None
        self._uplinks = self._sent = 0
        self.counts: Counter[str] = Counter()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        if table.username is not None:
            self._client.username_pw_set(table.username, os.environ.get(PASSWORD_VARIABLE))
        if table.tls_ca is not None:
            self._client.tls_set(ca_certs=table.tls_ca)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{self._prefix}/gateway/+/event/+")
        self._client.on_message = lambda client, data, message: self._keep(message.topic, bytes(message.payload))
        try:
            self._client.connect(table.host, table.port)
        except OSError as error:
            raise Failed(f"no MQTT broker at {table.host}:{table.port}: {error.strerror or error}") from None
        self._client.loop_start()

    def _keep(self, topic: str, payload: bytes) -> None:
        try:
            self._events.put_nowait((topic, payload))
        except queue.Full:
            self.counts["dropped_events"] += 1

    def poll(self, timeout_s: float) -> list[Uplinks | Acknowledged]:
        """See GatewayDoor.poll."""
        events: list[Uplinks | Acknowledged] = []
        try:
            taken = self._events.get(timeout=timeout_s) if timeout_s > 0 else self._events.get_nowait()
            while True:
                event = self._event(*taken)
                if event is not None:
                    events.append(event)
                taken = self._events.get_nowait()
        except queue.Empty:
            return events

    def _event(self, topic: str, payload: bytes) -> Uplinks | Acknowledged | None:
        kind = topic.rpartition("/")[2]
        self.counts[f"mqtt_{kind}" if kind in ("up", "ack", "stats") else "mqtt_other"] += 1
        self._heard_s = time.monotonic()
        try:
            if kind == "ack":
                return acknowledgement_of(payload)
            return self._uplink(payload) if kind == "up" else None
        except Malformed:
            self.counts["malformed_events"] += 1
            return None

    def _uplink(self, payload: bytes) -> Uplinks:
        gateway, frame, context = uplink_of(payload)
        span = self._uplinks % SPANS
        self._uplinks += 1
        self._contexts[span] = context
        heard = Received(
            frame.frame, span * SPAN_US, frame.center_hz, frame.datr, frame.rssi_dbm, frame.snr_db
        )  # fmt: skip
        return Uplinks(gateway, (heard,))

    def send(self, gateway: bytes, transmit: Transmit) -> int | None:
        """See GatewayDoor.send."""
        if transmit.tmst is None or not self._client.is_connected():
            self.counts["no_way_down"] += 1
            return None
        span, ahead_us = divmod(transmit.tmst, SPAN_US)
        self._sent += 1
        command = down_command(gateway, self._sent, transmit, ahead_us // 1_000_000, self._contexts.get(span, ""))
        self._client.publish(f"{self._prefix}/gateway/{gateway.hex()}/command/down", command)
        self.counts["mqtt_down"] += 1
        return self._sent

    def last_heard_s(self) -> float | None:
        """See GatewayDoor.last_heard_s."""
        return self._heard_s

    def close(self) -> None:
        """See GatewayDoor.close."""
        self._client.disconnect()
        self._client.loop_stop()


def _check_address(table: MqttTable, *, tunnel: bool) -> None:
    """Without TLS a broker is on this machine, or at the other end of a tunnel."""
    try:
        local = table.host == "localhost" or ipaddress.ip_address(table.host).is_loopback
    except ValueError:
        local = False
    if not (local or tunnel or table.tls_ca is not None):
        raise BadInput(f"mqtt.host is {table.host}: outside loopback name mqtt.tls_ca, or use a tunnel and say so")
