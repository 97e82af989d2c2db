"""What the console counts, and the site as it sees it, for Prometheus: names with units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from channel_status import records
from console.feed import Hub
from spectrum.site_file import Site

# Of a subchannel: metric, key of the contract, meaning.
CHANNEL_GAUGES: Final = (
    ("airshed_subchannel_energy_dbfs", "energy_dbfs", "Energy E_c of a subchannel in dBFS"),
    ("airshed_subchannel_threshold_dbfs", "threshold_dbfs", "Threshold E_th of a subchannel in dBFS"),
    ("airshed_subchannel_noise_dbfs", "noise_dbfs", "Noise floor of a subchannel in dBFS"),
    ("airshed_subchannel_occupancy_ratio", "occupancy", "Pr(H1) of a subchannel"),
    ("airshed_subchannel_false_alarm_ratio", "pf", "Pf of the verdict on a subchannel"),
    ("airshed_subchannel_missed_detection_ratio", "pm", "Pm of the verdict on a subchannel"),
    ("airshed_subchannel_leases", "leases_now", "Leases that hold a subchannel now"),
)
STATES: Final = ("idle", "busy", "leased", "banned", "silent")


class ConsoleMetrics:
    """One registry for each console."""

    def __init__(self, site: Site, hub: Hub) -> None:
        self._registry = CollectorRegistry()
        self._actions = Counter(
            "airshed_console_actions", "What operators did through the console", ["action"], registry=self._registry
        )
        self._registry.register(_Seen(site, hub))

    def acted(self, action: str) -> None:
        """An operator has done something."""
        self._actions.labels(action).inc()

    def text(self, now_s: float) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Seen(Collector):
    """The hub's own counts and the newest states, read when asked."""

    def __init__(self, site: Site, hub: Hub) -> None:
        self._site, self._hub = site, hub

    def collect(self) -> Iterator[Metric]:
        hub = self._hub
        yield GaugeMetricFamily("airshed_console_clients", "Pages that follow the feed", value=hub.clients)
        yield GaugeMetricFamily(
            "airshed_console_database_up", "1 while the database answers", value=hub.state.state == "live"
        )
        yield CounterMetricFamily("airshed_console_looks", "Looks at the database", value=hub.looks)
        yield CounterMetricFamily("airshed_console_failed_looks", "Looks that failed", value=hub.failures)
        yield CounterMetricFamily("airshed_console_dropped", "Messages pages were too slow for", value=hub.dropped)
        sent = CounterMetricFamily("airshed_console_messages", "Messages handed to pages", labels=["kind"])
        for kind, number in sorted(dict(hub.sent).items()):
            sent.add_metric([kind], number)
        yield sent
        state = {kind: records.decode(known.data) for kind, known in dict(hub.reader.state).items()}
        yield from _channel_metrics(state.get("channels", {}).get("subchannels", []))
        yield from _part_metrics(state)


def _channel_metrics(rows: list[dict[str, Any]]) -> Iterator[Metric]:
    for name, key, meaning in CHANNEL_GAUGES:
        gauge = GaugeMetricFamily(name, meaning, labels=["subchannel"])
        for row in rows:
            if row[key] is not None:
                gauge.add_metric([row["key"]], row[key])
        yield gauge
    states = GaugeMetricFamily(
        "airshed_subchannel_state", "1 for the state a subchannel is in", labels=["subchannel", "state"]
    )
    for row in rows:
        for name in STATES:
            states.add_metric([row["key"], name], float(row["state"] == name))
    yield states


def _part_metrics(state: dict[str, Any]) -> Iterator[Metric]:
    sensors = state.get("sensors", {}).get("sensors", [])
    for name, key, meaning in (
        ("airshed_sensor_age_seconds", "age_s", "Since a sensor last reported"),
        ("airshed_sensor_gain_db", "gain_db", "Tuner gain of a sensor"),
        ("airshed_sensor_clipping_ratio", "clipping", "Share of a sensor's values at the end of the scale"),
        ("airshed_sensor_lost_records", "lost_records", "Reports a sensor could not publish"),
        ("airshed_sensor_lost_samples", "lost_samples", "Samples a sensor lost"),
    ):
        gauge = GaugeMetricFamily(name, meaning, labels=["sensor"])
        for row in sensors:
            if row[key] is not None:
                gauge.add_metric([row["sensor"]], row[key])
        yield gauge
    attached = GaugeMetricFamily("airshed_gateway_attached", "1 while a gateway is attached", labels=["gateway"])
    for row in state.get("gateways", {}).get("gateways", []):
        attached.add_metric([row["gateway"]], float(row["state"] == "attached"))
    yield attached
    duty = GaugeMetricFamily(
        "airshed_duty_cycle_used_ratio", "Share of its hour that the busiest transmitter has used", labels=["sub_band"]
    )
    for row in state.get("duty", {}).get("sub_bands", []):
        duty.add_metric([row["sub_band"]], row["used_share"])
    yield duty
    devices = state.get("devices", {}).get("devices", [])
    yield GaugeMetricFamily("airshed_devices_known", "Devices that were heard or configured", value=len(devices))
    yield GaugeMetricFamily(
        "airshed_devices_silent",
        "Devices that should have reported and did not",
        value=sum(row["offline"] for row in devices),
    )
