"""Gateways over MQTT: the topics of ChirpStack's gateway bridge. The only file that imports paho.

Up: `PREFIX/gateway/EUI/event/up`, `.../event/ack`, `.../event/stats`, `.../state/conn`; down: `.../command/down`. Each
gateway is answered in the marshaler it speaks. A bridge carries the concentrator's counter as an opaque context; here
each uplink gets ten seconds of a counter of our own, so that the rest of the agent sees what it sees over UDP.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import queue
import time
from collections import Counter
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway_agent import chirpstack
from gateway_agent.chirpstack import Marshaler
from gateway_agent.gateway_door import Acknowledged, Uplinks
from gateway_agent.semtech_udp import Malformed, Received, Transmit
from spectrum.errors import BadInput, Failed
from spectrum.site_file import MqttTable

log = logging.getLogger(__name__)

PASSWORD_VARIABLE: Final = "AIRSHED_MQTT_PASSWORD"

# Counter values one uplink owns: its windows open at most 6 s after it.
SPAN_US: Final = 10_000_000
SPANS: Final = 2**32 // SPAN_US

# Events that wait to be taken; more are dropped and counted.
MOST_WAITING: Final = 10_000

# Gateways beyond this many are not remembered: on a broker without accounts an EUI is only a claim, and memory is not.
MOST_GATEWAYS: Final = 4096

KINDS: Final = ("up", "ack", "stats", "conn")


class MqttDoor:
    """One broker. It reconnects by itself; what is published meanwhile is lost, as over UDP."""

    def __init__(self, table: MqttTable, *, tunnel: bool = False) -> None:
        check_address(table, tunnel=tunnel)
        self._prefix = f"{table.topic_prefix}/" if table.topic_prefix else ""
        self._events: queue.Queue[tuple[str, bytes]] = queue.Queue(MOST_WAITING)
        self._contexts: dict[int, bytes] = {}
        self._marshalers: dict[bytes, Marshaler] = {}
        self._offline: set[bytes] = set()
        self._heard_s: float | None = None
        self._uplinks = self._sent = 0
        self.counts: Counter[str] = Counter()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        if table.username is not None:
            self._client.username_pw_set(table.username, os.environ.get(PASSWORD_VARIABLE))
        if table.tls_ca is not None:
            self._client.tls_set(ca_certs=table.tls_ca)
        topics = [(f"{self._prefix}gateway/+/event/+", 0), (f"{self._prefix}gateway/+/state/conn", 0)]
        self._client.on_connect = lambda client, *_: client.subscribe(topics)
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
        self.counts[f"mqtt_{kind}" if kind in KINDS else "mqtt_other"] += 1
        try:
            if kind == "conn":
                self._connection(payload)
                return None
            self._heard_s = time.monotonic()
            if kind == "ack":
                return chirpstack.acknowledgement_of(payload)
            if kind == "stats":
                self._offline.discard(chirpstack.stats_of(payload))
            return self._uplink(payload) if kind == "up" else None
        except Malformed as error:
            self.counts["malformed_events"] += 1
            log.debug("%s: %s", topic, error)
            return None

    def _connection(self, payload: bytes) -> None:
        """The broker keeps a gateway's last word for us, and says `offline` in its place when it has gone."""
        gateway, online = chirpstack.connection_of(payload)
        if online:
            self._offline.discard(gateway)
        elif len(self._offline) < MOST_GATEWAYS:
            self._offline.add(gateway)
        log.info("gateway bridge of %s is %s", gateway.hex(), "online" if online else "offline")

    def _uplink(self, payload: bytes) -> Uplinks | None:
        up = chirpstack.uplink_of(payload)
        if up.bad_crc:
            self.counts["dropped_receptions"] += 1
            return None
        self._offline.discard(up.gateway)
        if up.gateway in self._marshalers or len(self._marshalers) < MOST_GATEWAYS:
            self._marshalers[up.gateway] = chirpstack.marshaler_of(payload)
        span = self._uplinks % SPANS
        self._uplinks += 1
        self._contexts[span] = up.context
        frame = up.received
        heard = Received(
            frame.frame, span * SPAN_US, frame.center_hz, frame.datr, frame.rssi_dbm, frame.snr_db
        )  # fmt: skip
        return Uplinks(up.gateway, (heard,))

    def send(self, gateway: bytes, transmit: Transmit) -> int | None:
        """See GatewayDoor.send."""
        marshaler = self._marshalers.get(gateway)
        away = gateway in self._offline or not self._client.is_connected()
        if transmit.tmst is None or marshaler is None or away:
            self.counts["no_way_down"] += 1
            return None
        span, ahead_us = divmod(transmit.tmst, SPAN_US)
        self._sent += 1
        context = self._contexts.get(span, b"")
        command = chirpstack.down_command(gateway, self._sent, transmit, ahead_us // 1_000_000, context, marshaler)
        self._client.publish(f"{self._prefix}gateway/{gateway.hex()}/command/down", command)
        self.counts["mqtt_down"] += 1
        return self._sent

    def last_heard_s(self) -> float | None:
        """See GatewayDoor.last_heard_s."""
        return self._heard_s

    def close(self) -> None:
        """See GatewayDoor.close."""
        self._client.disconnect()
        self._client.loop_stop()


def check_address(table: MqttTable, *, tunnel: bool) -> None:
    """Without TLS a broker is on this machine, or at the other end of a tunnel."""
    try:
        local = table.host == "localhost" or ipaddress.ip_address(table.host).is_loopback
    except ValueError:
        local = False
    if not (local or tunnel or table.tls_ca is not None):
        raise BadInput(f"mqtt.host is {table.host}: outside loopback name mqtt.tls_ca, or use a tunnel and say so")
