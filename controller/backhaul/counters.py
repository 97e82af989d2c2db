"""Counters of the switches for Prometheus: what the last complete reading said."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from controller.backhaul.plan import FIRST_GATEWAY_METER

FlowKey = tuple[str, str, str, str]
MeterKey = tuple[str, str, str, str]
PortKey = tuple[str, str]
QueueKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Shown:
    """A whole reading of one switch."""

    flows: Mapping[FlowKey, list[int]]
    meters: Mapping[MeterKey, int]
    ports: Mapping[PortKey, tuple[int, int, int]]
    queues: Mapping[QueueKey, tuple[int, int, int]]


class BackhaulCounters(Collector):
    """One reading is gathered while the last one is shown."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._flows: dict[str, dict[tuple[FlowKey, object], tuple[int, int]]] = defaultdict(dict)
        self._meters: dict[str, dict[MeterKey, int]] = defaultdict(dict)
        self._ports: dict[str, dict[PortKey, tuple[int, int, int]]] = defaultdict(dict)
        self._queues: dict[str, dict[QueueKey, tuple[int, int, int]]] = defaultdict(dict)
        self._shown: dict[str, _Shown] = {}
        self.switches = Gauge("airshed_backhaul_switches", "Switches connected", registry=registry)
        self.events = Counter("airshed_backhaul_events", "What happened on the backhaul", ["state"], registry=registry)
        self.refused = Counter("airshed_backhaul_refused", "Messages that a switch refused", registry=registry)
        registry.register(self)

    def flow(self, key: FlowKey, entry: object, packets: int, octets: int) -> None:
        """One flow entry; entries with the same labels are added up."""
        self._flows[key[0]][key, entry] = packets, octets

    def meter(self, switch: str, meter_id: int, names: Mapping[int, str], dropped: int) -> None:
        """One meter: packets it dropped."""
        number, user = divmod(meter_id - FIRST_GATEWAY_METER, 2)
        if number < 0:
            key = (switch, "dial", str(meter_id), "")
        else:
            key = (switch, "user" if user else "control", "", names.get(number, ""))
        self._meters[switch][key] = dropped

    def port(self, switch: str, port: int, entry: Any) -> None:
        """One port: bytes in and out, packets dropped."""
        self._ports[switch][switch, str(port)] = entry.rx_bytes, entry.tx_bytes, entry.rx_dropped + entry.tx_dropped

    def queue(self, switch: str, port: int, entry: Any) -> None:
        """One queue: packets and bytes sent, packets it had no room for."""
        values = entry.tx_packets, entry.tx_bytes, entry.tx_errors
        self._queues[switch][switch, str(port), str(entry.queue_id)] = values

    def publish(self, switch: str) -> None:
        """The reading of a switch is complete: show it."""
        flows: dict[FlowKey, list[int]] = {}
        for (key, _), (packets, octets) in self._flows.pop(switch, {}).items():
            total = flows.setdefault(key, [0, 0])
            total[0] += packets
            total[1] += octets
        with self._lock:
            self._shown[switch] = _Shown(
                flows, self._meters.pop(switch, {}), self._ports.pop(switch, {}), self._queues.pop(switch, {})
            )

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Called by Prometheus' registry."""
        labels = ["switch", "kind", "port", "gateway"]
        packets = CounterMetricFamily("airshed_backhaul_packets", "Packets by what let or stopped them", labels=labels)
        octets = CounterMetricFamily("airshed_backhaul_bytes", "Bytes by what let or stopped them", labels=labels)
        dropped = CounterMetricFamily("airshed_backhaul_meter_dropped_packets", "Packets over a rate", labels=labels)
        ports = [
            CounterMetricFamily(f"airshed_backhaul_port_{what}", f"{what} of a port", labels=["switch", "port"])
            for what in ("received_bytes", "sent_bytes", "dropped_packets")
        ]
        queues = [
            CounterMetricFamily(
                f"airshed_backhaul_queue_{what}", f"{what} of a queue", labels=["switch", "port", "queue"]
            )
            for what in ("sent_packets", "sent_bytes", "dropped_packets")
        ]
        with self._lock:
            shown = list(self._shown.values())
        for reading in shown:
            for flow_key, (n, size) in reading.flows.items():
                packets.add_metric(flow_key, n)
                octets.add_metric(flow_key, size)
            for meter_key, n in reading.meters.items():
                dropped.add_metric(meter_key, n)
            for port_key, values in reading.ports.items():
                _add(ports, port_key, values)
            for queue_key, values in reading.queues.items():
                _add(queues, queue_key, values)
        yield from (packets, octets, dropped, *ports, *queues)


def _add(families: Sequence[CounterMetricFamily], labels: Sequence[str], values: Sequence[int]) -> None:
    for family, value in zip(families, values, strict=True):
        family.add_metric(labels, value)
