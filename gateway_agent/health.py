"""Health and metrics of an agent over HTTP, on loopback only, and the state they tell.

States: `connecting`, `registered`, `online`, `degraded` (something is missing, and the reasons say what), `offline`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway_agent.gateway_door import host_and_port
from spectrum.errors import Failed

# Packet forwarders pull every ten seconds; three silent minutes are a gateway that has gone.
GATEWAY_SILENT_S: Final = 180.0

STATES: Final = ("connecting", "registered", "online", "degraded", "offline", "closed")


@dataclass(frozen=True, slots=True)
class Health:
    """One look at an agent. counts: what came, went and was dropped."""

    state: str
    reasons: tuple[str, ...]
    counts: Mapping[str, int]


def judge(
    link_state: str, *, gateway_silent_s: float | None, has_gateway: bool, database_away: bool
) -> tuple[str, tuple[str, ...]]:
    """State and reasons. The link's state comes first; online becomes degraded when the radio or the database fails.

    gateway_silent_s: since anything was heard from a gateway, None before the first time.
    """
    reasons = []
    if link_state == "degraded":
        reasons.append("the controller is silent: the last plans hold")
    elif link_state != "online":
        reasons.append(f"the controller is {link_state}: the last plans hold, uplink reports are kept")
    if has_gateway and gateway_silent_s is None:
        reasons.append("no gateway was heard yet")
    elif has_gateway and gateway_silent_s is not None and gateway_silent_s > GATEWAY_SILENT_S:
        reasons.append(f"no gateway was heard for {gateway_silent_s:.0f} s")
    if database_away:
        reasons.append("the database is away: sessions are not stored, downlinks wait")
    state = "degraded" if link_state == "online" and reasons else link_state
    return state, tuple(reasons)


class _Counts(Collector):
    """Health as metrics, read when asked."""

    def __init__(self, look: Callable[[], Health]) -> None:
        self._look = look

    def collect(self) -> list[Metric]:
        """One gauge for the state, one counter by event."""
        health = self._look()
        state = GaugeMetricFamily("airshed_agent_state", "1 for the state the agent is in", labels=["state"])
        for name in STATES:
            state.add_metric([name], float(name == health.state))
        events = CounterMetricFamily("airshed_agent_events", "What came, went and was dropped", labels=["event"])
        for name, count in sorted(health.counts.items()):
            events.add_metric([name], count)
        return [state, events]


class HealthServer:
    """`GET /health` (200 online, 503 otherwise) and `GET /metrics`; nothing else."""

    def __init__(self, listen: str, look: Callable[[], Health]) -> None:
        registry = CollectorRegistry()
        registry.register(_Counts(look))
        address = host_and_port(listen, "health_listen", tunnel=False)
        try:
            self._server = ThreadingHTTPServer(address, _handler(look, registry))
        except OSError as error:
            raise Failed(f"cannot listen on {listen} for health: {error.strerror}") from None
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(look: Callable[[], Health], registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                health = look()
                body = json.dumps({"state": health.state, "reasons": health.reasons}).encode()
                self._reply(200 if health.state == "online" else 503, "application/json", body)
            elif self.path == "/metrics":
                self._reply(200, "text/plain; version=0.0.4", generate_latest(registry))
            else:
                self._reply(404, "text/plain", b"there are /health and /metrics\n")

        def _reply(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
            """Nothing: what is asked every few seconds is no news."""

    return Handler
