"""Counters of the switches for Prometheus: what the last complete reading said."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from controller.backhaul.plan import FIRST_GATEWAY_METER

FlowKey = tuple[str, str, str, str]
MeterKey = tuple[str, str, str, str]
PortKey = tuple[str, str, str]


class BackhaulCounters(Collector):
    """One reading is gathered while the last one is shown."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._flows: dict[str, dict[tuple[FlowKey, object], tuple[int, int]]] = defaultdict(dict)
        self._meters: dict[str, dict[MeterKey, int]] = defaultdict(dict)
        self._ports: dict[str, dict[PortKey, tuple[int, int, int]]] = defaultdict(dict)
        self._shown: dict[str, tuple[dict[FlowKey, list[int]], dict[MeterKey, int], dict[PortKey, tuple[int, ...]]]]
        self._shown = {}
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
        self._ports[switch][switch, str(port), ""] = entry.rx_bytes, entry.tx_bytes, entry.rx_dropped + entry.tx_dropped

    def publish(self, switch: str) -> None:
        """The reading of a switch is complete: show it."""
        flows: dict[FlowKey, list[int]] = {}
        for (key, _), (packets, octets) in self._flows.pop(switch, {}).items():
            total = flows.setdefault(key, [0, 0])
            total[0] += packets
            total[1] += octets
        with self._lock:
            self._shown[switch] = flows, self._meters.pop(switch, {}), dict(self._ports.pop(switch, {}))

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
        with self._lock:
            shown = list(self._shown.values())
        for flows, meters, by_port in shown:
            for flow_key, (n, size) in flows.items():
                packets.add_metric(flow_key, n)
                octets.add_metric(flow_key, size)
            for meter_key, n in meters.items():
                dropped.add_metric(meter_key, n)
            for port_key, values in by_port.items():
                for family, value in zip(ports, values, strict=True):
                    family.add_metric(port_key[:2], value)
        yield from (packets, octets, dropped, *ports)
