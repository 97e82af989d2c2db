"""What the controller counts, for Prometheus: names with units, one registry for each controller."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from controller.backhaul.counters import BackhaulCounters
from controller.requests import Answer
from spectrum.status import Lease

# From a fast loopback to the patience of a device, in seconds.
AGE_BUCKETS_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0, 3600.0)
GRANT_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class _Read(Collector):
    """Gauges whose values are asked for when somebody looks."""

    def __init__(self, values: Callable[[], Mapping[str, float]]) -> None:
        self._values = values

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge for each value."""
        for name, value in self._values().items():
            yield GaugeMetricFamily(name, name.replace("_", " "), value=value)


class Metrics:
    """Counters of one controller."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("airshed_requests", "Requests for a packet that were answered", registry=self.registry)
        self._leases = Counter("airshed_leases", "Leases given", ["forced"], registry=self.registry)
        self._refusals = Counter("airshed_refusals", "Requests refused", ["reason"], registry=self.registry)
        self._attempts = Histogram(
            "airshed_attempts", "Attempts a lease took", buckets=(1, 2, 3, 4, 5, 8, 13, 21), registry=self.registry
        )
        self._answer_s = Histogram(
            "airshed_answer_seconds", "From a request's arrival to its answer", buckets=GRANT_BUCKETS_S,
            registry=self.registry,
        )  # fmt: skip
        self._age_s = Histogram(
            "airshed_lease_age_seconds", "Age of leases when they ended by themselves", buckets=AGE_BUCKETS_S,
            registry=self.registry,
        )  # fmt: skip
        self.live_leases = Gauge("airshed_live_leases", "Leases that have not ended", registry=self.registry)
        self.sensing_age_s = Gauge(
            "airshed_sensing_age_seconds", "Age of the newest report of any sensor", registry=self.registry
        )
        self.failures = Counter(
            "airshed_controller_failures",
            "Errors that should not happen; each stands in the log",
            registry=self.registry,
        )
        self.gateways = Gauge(
            "airshed_gateways_attached", "Gateways attached to this controller", registry=self.registry
        )
        self.bad_subchannels = Gauge(
            "airshed_bad_subchannels", "Subchannels that are judged bad: their leases are moved", registry=self.registry
        )
        self.leases_warned = Counter(
            "airshed_leases_warned", "Leases whose agents were told to move them", registry=self.registry
        )
        self.refused_waiting = Gauge(
            "airshed_requests_refused_waiting", "Requests refused because too many were waiting", registry=self.registry
        )

    @cached_property
    def backhaul(self) -> BackhaulCounters:
        """Counters of the backhaul, where there is one."""
        return BackhaulCounters(self.registry)

    def answered(self, answers: Sequence[Answer], waited_s: Sequence[float]) -> None:
        """Count a batch of answers and the time each took."""
        self._requests.inc(len(answers))
        for answer, took_s in zip(answers, waited_s, strict=True):
            self._answer_s.observe(took_s)
            if answer.refusal is not None:
                self._refusals.labels(answer.refusal.reason).inc()
            for lease in answer.leases:
                self._leases.labels("yes" if lease.forced else "no").inc()
                self._attempts.observe(lease.attempt)

    def ended(self, leases: Sequence[Lease], now_s: float) -> None:
        """Count leases that ended by themselves, with their age."""
        for lease in leases:
            self._age_s.observe(now_s - lease.start_s)

    def also(self, values: Callable[[], Mapping[str, float]]) -> None:
        """Show what another room counts, read at each look: gauges by name."""
        self.registry.register(_Read(values))

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
