"""The agent's end of the stream to the controller: dials, registers, reconnects, and loses no request on the way.

States: `connecting` (dialling), `registered` (the stream is up, the controller has not answered yet), `online`,
`degraded` (up, but nothing heard for a while), `offline` (given back-off before the next try), `closed`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

import grpc

from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc
from spectrum.errors import BadInput
from spectrum.site_file import Site

log = logging.getLogger(__name__)

FIRST_BACKOFF_S: Final = 0.1
LONGEST_BACKOFF_S: Final = 5.0
HEARTBEAT_S: Final = 2.0
# No sign of life for three heartbeats: the stream is up but not trusted.
DEGRADED_AFTER_S: Final = 3 * HEARTBEAT_S
# Uplink reports kept while the controller is away; the oldest go first and are counted.
KEPT_UPLINKS: Final = 10_000
VERSION: Final = "1"

Answered = Callable[[wire.LeaseAnswer], None]


def channel_to(site: Site) -> grpc.Channel:
    """A channel to the site's controller: mutual TLS when the site has keys, else plain (the server: loopback only)."""
    # Reconnecting is ours to time; gRPC's own back-off starts at a second and grows to minutes.
    options = [("grpc.max_reconnect_backoff_ms", 1000), ("grpc.initial_reconnect_backoff_ms", 100)]
    address = site.controller.listen
    if site.tls is None:
        return grpc.insecure_channel(address, options=options)
    try:
        with open(site.tls.key, "rb") as key, open(site.tls.certificate, "rb") as chain, open(site.tls.ca, "rb") as ca:
            secrets = grpc.ssl_channel_credentials(ca.read(), key.read(), chain.read())
    except OSError as error:
        raise BadInput(f"[tls]: {error.filename} cannot be read: {error.strerror}") from None
    return grpc.secure_channel(address, secrets, options=options)


@dataclass(slots=True)
class _Waiting:
    request: wire.LeaseRequest
    answered: Answered
    gives_up_s: float


class ControllerLink:
    """One gateway's stream, kept up by a thread of its own. `clock` is monotonic; `rng` spreads reconnects.

    on_change hears of leases that were renewed, released or ended, on_warning of those whose subchannel has turned bad;
    both are called from the link's thread, and set before `start`.
    """

    def __init__(
        self,
        site: Site,
        gateway: str,
        *,
        rng: Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._gateway = gateway
        self._rng = rng
        self._clock = clock
        self.on_change: Callable[[wire.LeaseChange], None] = lambda change: None
        self.on_warning: Callable[[wire.LeaseWarning], None] = lambda warning: None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._outgoing: queue.SimpleQueue[wire.AgentMessage | None] = queue.SimpleQueue()
        self._waiting: dict[str, _Waiting] = {}
        self._uplinks: deque[wire.Uplink] = deque()
        self._sent_uplinks: deque[wire.Uplink] = deque()
        self._acknowledged = 0
        self.dropped_uplinks = 0
        self._state = "connecting"
        self._heard_s = clock()
        self._thread = threading.Thread(target=self._keep_up, name=f"link-{gateway}", daemon=True)

    def start(self) -> None:
        """Dial and keep the stream up until `close`."""
        self._thread.start()

    def wait_online(self, stop: threading.Event, most_s: float) -> bool:
        """Wait for the controller's first answer, for at most `most_s` or until `stop`; whether it came."""
        until_s = self._clock() + most_s
        while self._state != "online" and self._clock() < until_s and not stop.wait(0.02):
            pass
        return self._state == "online"

    @property
    def state(self) -> str:
        """Where the link is; see the module."""
        if self._state == "online" and self._clock() - self._heard_s > DEGRADED_AFTER_S:
            return "degraded"
        return self._state

    def request(self, request: wire.LeaseRequest, answered: Answered, patience_s: float) -> None:
        """Ask for a lease. `answered` is called once: with the answer, or with a refusal after `patience_s`.

        A request that was on its way when the stream broke is sent again; the controller gives the same lease.
        """
        with self._lock:
            self._waiting[request.request_id] = _Waiting(request, answered, self._clock() + patience_s)
        if self._state == "online":
            self._outgoing.put(wire.AgentMessage(requests=[request]))

    def confirm(self, lease_id: str) -> None:
        """Tell that a device has obeyed a lease; lost when the controller is away, and then the lease just expires."""
        if self._state == "online":
            self._outgoing.put(wire.AgentMessage(confirmed=[lease_id]))

    def renew(self, lease_id: str, end_s: float) -> None:
        """Ask to hold a lease until `end_s`; the answer comes through `on_change`."""
        if self._state == "online":
            renewal = wire.RenewRequest(lease_id=lease_id, end_us=round(end_s * 1e6))
            self._outgoing.put(wire.AgentMessage(renewals=[renewal]))

    def release(self, lease_id: str, reason: str) -> None:
        """Give a lease back."""
        if self._state == "online":
            release = wire.ReleaseRequest(lease_id=lease_id, reason=reason)
            self._outgoing.put(wire.AgentMessage(releases=[release]))

    def report(self, uplink: wire.Uplink) -> None:
        """Report a reception; kept (up to KEPT_UPLINKS) while the controller is away."""
        if self._state == "online":
            self._outgoing.put(wire.AgentMessage(uplinks=[uplink]))
            return
        self.keep([uplink])

    def keep(self, uplinks: Iterable[wire.Uplink]) -> None:
        """Keep receptions for the next stream; the oldest go first, and are counted."""
        with self._lock:
            self._uplinks.extend(uplinks)
            while len(self._uplinks) > KEPT_UPLINKS:
                self._uplinks.popleft()
                self.dropped_uplinks += 1

    def undelivered(self) -> list[wire.Uplink]:
        """Take what is still kept: of a link that is closed, what no controller has heard of."""
        with self._lock:
            kept, self._uplinks = list(self._uplinks), deque()
        return kept

    def give_up_overdue(self) -> int:
        """Answer the requests whose patience is over with a refusal; returns how many. Call it now and then."""
        now_s = self._clock()
        with self._lock:
            overdue = [waiting for waiting in self._waiting.values() if waiting.gives_up_s <= now_s]
            for waiting in overdue:
                del self._waiting[waiting.request.request_id]
        for waiting in overdue:
            refusal = wire.Refusal(reason=wire.Refusal.OVERLOADED, message="the controller did not answer in time")
            waiting.answered(wire.LeaseAnswer(request_id=waiting.request.request_id, refusal=refusal))
        return len(overdue)

    def close(self) -> None:
        """End the stream and the thread."""
        self._closed.set()
        self._outgoing.put(None)
        self._thread.join(2.0)

    def _keep_up(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._closed.is_set():
            self._state = "connecting"
            reason, answered = self._run_stream()
            if self._closed.is_set():
                break
            self._state = "offline"
            backoff_s = FIRST_BACKOFF_S if answered else min(LONGEST_BACKOFF_S, 2 * backoff_s)
            log.info("gateway %s has no controller (%s), next try in %.1f s", self._gateway, reason, backoff_s)
            self._closed.wait(backoff_s * self._rng.uniform(0.5, 1.0))
        self._state = "closed"

    def _run_stream(self) -> tuple[str, bool]:
        """One stream from dialling to its end: why it ended, and whether the controller had answered."""
        answered = False
        with channel_to(self._site) as channel:
            stub = wire_grpc.ControllerStub(channel)  # type: ignore[no-untyped-call]
            stream = stub.Attach(self._messages(self._outgoing))
            try:
                for message in stream:
                    if not answered:
                        answered = True
                        self._came_online()
                    self._hear(message)
            except grpc.RpcError as error:
                detail = error.details() if isinstance(error, grpc.Call) else str(error)
                return " ".join(str(detail).split()), answered
            finally:
                self._state = "connecting"
                outgoing, self._outgoing = self._outgoing, queue.SimpleQueue()
                with self._lock:
                    unheard, self._sent_uplinks, self._acknowledged = self._sent_uplinks, deque(), 0
                self.keep((*unheard, *_uplinks_left(outgoing)))
                outgoing.put(None)
        return "the stream ended", answered

    def _messages(self, outgoing: queue.SimpleQueue[wire.AgentMessage | None]) -> Iterator[wire.AgentMessage]:
        register = wire.Register(gateway=self._gateway, site=self._site.name, agent_version=VERSION)
        self._state = "registered"  # before it is sent: the answer may come before this generator runs again
        yield wire.AgentMessage(register=register)
        beat_s = self._clock()
        while True:  # until `close` or the stream's end puts None, so that what was said before it still goes out
            try:
                message = outgoing.get(timeout=HEARTBEAT_S)
            except queue.Empty:
                if self._closed.is_set():
                    return
                message = wire.AgentMessage()
            if message is None:
                return
            if not 0.0 <= self._clock() - beat_s < HEARTBEAT_S:
                # beside other messages too: uplinks alone are not answered, and silence would look like a dead peer
                beat_s = self._clock()
                message.heartbeat.dropped_uplinks = self.dropped_uplinks
            self._remember(message.uplinks)
            yield message

    def _remember(self, uplinks: Iterable[wire.Uplink]) -> None:
        """Reports that go out are kept until the controller says that it has them; beyond the bound they are let go."""
        with self._lock:
            self._sent_uplinks.extend(uplinks)
            while len(self._sent_uplinks) > KEPT_UPLINKS:
                self._sent_uplinks.popleft()
                self._acknowledged += 1

    def _acknowledge(self, kept_uplinks: int) -> None:
        with self._lock:
            for _ in range(min(kept_uplinks - self._acknowledged, len(self._sent_uplinks))):
                self._sent_uplinks.popleft()
            self._acknowledged = max(self._acknowledged, kept_uplinks)

    def _came_online(self) -> None:
        """Say again what was not answered, and what was kept."""
        log.info("gateway %s is online at %s", self._gateway, self._site.controller.listen)
        with self._lock:
            requests = [waiting.request for waiting in self._waiting.values()]
            uplinks, self._uplinks = list(self._uplinks), deque()
            self._state = "online"
        if requests or uplinks:
            self._outgoing.put(wire.AgentMessage(requests=requests, uplinks=uplinks))

    def _hear(self, message: wire.ControllerMessage) -> None:
        self._heard_s = self._clock()
        for answer in message.answers:
            with self._lock:
                waiting = self._waiting.pop(answer.request_id, None)
            if waiting is not None:
                waiting.answered(answer)
        self._acknowledge(message.heartbeat.kept_uplinks)
        for change in message.changes:
            self.on_change(change)
        for warning in message.warnings:
            self.on_warning(warning)


def _uplinks_left(outgoing: queue.SimpleQueue[wire.AgentMessage | None]) -> Iterator[wire.Uplink]:
    """Receptions in a queue that nobody reads any more; what else was said there has been overtaken."""
    while True:
        try:
            message = outgoing.get_nowait()
        except queue.Empty:
            return
        if message is not None:
            yield from message.uplinks
