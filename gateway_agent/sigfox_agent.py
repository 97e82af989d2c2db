"""The door to SigFox endpoints that run the test agent (lines over TCP or a serial port), and the agent behind it."""

from __future__ import annotations

import logging
import os
import queue
import selectors
import socket
import termios
import threading
import time
import tty
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from gateway_agent.lorawan_agent import Link
from gateway_agent.sigfox import LONGEST_LINE, Hello, Request, Sent, parse, refused_line, send_line
from gateway_agent.wire import controller_pb2 as wire
from spectrum import sigfox
from spectrum.errors import BadInput, Failed
from spectrum.eu868 import Subchannel

log = logging.getLogger(__name__)

MOST_ENDPOINTS: Final = 1000
MOST_MESSAGES: Final = 16  # under way for one endpoint
PATIENCE_S: Final = 1.0


def open_serial(path: str) -> int:
    """A serial port as a raw file descriptor at 115200 baud; Failed when it is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(descriptor)
        settings = termios.tcgetattr(descriptor)
        settings[4] = settings[5] = termios.B115200
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    except (OSError, termios.error) as error:
        raise Failed(f"{path} cannot be used as a serial port: {error}") from None
    return descriptor


@dataclass(slots=True)
class _Endpoint:
    """One connection. close: lets go of it. messages: by number, the lease and centre of each copy not sent yet; sizes:
    their payloads in bytes. Both keep the newest MOST_MESSAGES."""

    descriptor: int
    close: Callable[[], None]
    device: str = ""
    buffer: bytes = b""
    messages: dict[int, dict[int, tuple[str, int]]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)


class SigfoxAgent:
    """One thread runs it; answers of the controller come in through a queue. clock: seconds since the epoch."""

    def __init__(self, listen: tuple[str, int] | None, link: Link, *, clock: Callable[[], float] = time.time) -> None:
        self._link = link
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._endpoints: dict[int, _Endpoint] = {}
        self._answers: queue.SimpleQueue[tuple[_Endpoint, int, wire.LeaseAnswer]] = queue.SimpleQueue()
        self.counts: Counter[str] = Counter()
        self._listener: socket.socket | None = None
        if listen is not None:
            try:
                self._listener = socket.create_server(listen)
            except OSError as error:
                raise Failed(f"cannot listen on {listen[0]}:{listen[1]}: {error.strerror}") from None
            self._listener.setblocking(False)
            self.address: tuple[str, int] = self._listener.getsockname()
            self._selector.register(self._listener, selectors.EVENT_READ)

    def add_serial(self, path: str) -> None:
        """Serve the endpoint on a serial port."""
        descriptor = open_serial(path)
        self._add(_Endpoint(descriptor, lambda: os.close(descriptor)))

    def _add(self, endpoint: _Endpoint) -> None:
        self._endpoints[endpoint.descriptor] = endpoint
        self._selector.register(endpoint.descriptor, selectors.EVENT_READ)

    def run(self, stop: threading.Event, seconds: float | None = None) -> None:
        """Serve until `stop`, or for `seconds`."""
        until_s = None if seconds is None else self._clock() + seconds
        while not stop.is_set() and (until_s is None or self._clock() < until_s):
            self.step(0.02)

    def step(self, timeout_s: float) -> None:
        """Take what has come, hand on what was answered."""
        for key, _ in self._selector.select(timeout_s):
            if self._listener is not None and key.fileobj is self._listener:
                self._accept()
            else:
                self._read(self._endpoints[key.fd])
        self._link.give_up_overdue()
        with suppress(queue.Empty):
            while True:
                self._answered(*self._answers.get_nowait())

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        if len(self._endpoints) >= MOST_ENDPOINTS:
            self.counts["endpoints_turned_away"] += 1
            peer.close()
            return
        peer.setblocking(False)
        self._add(_Endpoint(peer.fileno(), peer.close))

    def _read(self, endpoint: _Endpoint) -> None:
        try:
            data = os.read(endpoint.descriptor, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(endpoint)
            return
        *lines, endpoint.buffer = (endpoint.buffer + data).split(b"\n")
        for line in lines:
            self._line(endpoint, line)
        if len(endpoint.buffer) > LONGEST_LINE:
            self.counts["malformed_lines"] += 1
            endpoint.buffer = b""

    def _line(self, endpoint: _Endpoint, line: bytes) -> None:
        try:
            said = parse(line.decode("ascii").rstrip("\r"))
            if isinstance(said, Hello):
                endpoint.device = said.device
            elif not endpoint.device:
                raise BadInput("say HELLO 1 DEVICE first")
            elif isinstance(said, Request):
                self._ask(endpoint, said)
            else:
                self._sent(endpoint, said)
        except (BadInput, UnicodeDecodeError) as error:
            self.counts["malformed_lines"] += 1
            text = str(error) if isinstance(error, BadInput) else "ASCII was expected"
            self._say(endpoint, f"ERROR {text}")

    def _ask(self, endpoint: _Endpoint, said: Request) -> None:
        if len(endpoint.messages) >= MOST_MESSAGES:
            oldest = next(iter(endpoint.messages))
            del endpoint.messages[oldest], endpoint.sizes[oldest]
        endpoint.messages[said.number], endpoint.sizes[said.number] = {}, said.payload_bytes
        request = wire.LeaseRequest(
            request_id=f"{endpoint.device}-{said.number}-{round(self._clock() * 1e6)}",
            device=endpoint.device,
            technology=wire.SIGFOX,
            airtime_us=round(sigfox.airtime_s(said.payload_bytes) * 1e6),
            copies=sigfox.COPIES,
        )
        self.counts["leases_asked"] += 1
        self._link.request(request, lambda answer: self._answers.put((endpoint, said.number, answer)), PATIENCE_S)

    def _answered(self, endpoint: _Endpoint, number: int, answer: wire.LeaseAnswer) -> None:
        if endpoint.descriptor not in self._endpoints or self._endpoints[endpoint.descriptor] is not endpoint:
            for lease in answer.leases:
                self._link.release(lease.lease_id, "the endpoint has gone")
            return
        if not answer.leases:
            self.counts["leases_refused"] += 1
            duty = answer.refusal.reason == wire.Refusal.DUTY_CYCLE
            self._say(endpoint, refused_line(number, "duty-cycle" if duty else answer.refusal.message or "refused"))
            return
        for copy, lease in enumerate(answer.leases):
            if number in endpoint.messages:
                endpoint.messages[number][copy] = (lease.lease_id, lease.subchannel_hz)
            group = Subchannel(float(lease.subchannel_hz), float(lease.bandwidth_hz))
            self._say(endpoint, send_line(number, copy, group, lease.start_us))

    def _sent(self, endpoint: _Endpoint, said: Sent) -> None:
        """A copy has left the air: its lease was obeyed, and the reception is reported."""
        lease = endpoint.messages.get(said.number, {}).pop(said.copy, None)
        self.counts["copies_sent"] += 1
        if lease is not None:
            self._link.confirm(lease[0])
        size = endpoint.sizes.get(said.number, 0)
        self._link.report(
            wire.Uplink(
                device=endpoint.device, at_us=round(self._clock() * 1e6), subchannel_hz=said.center_hz, size_bytes=size
            )
        )

    def _say(self, endpoint: _Endpoint, line: str) -> None:
        """Write one line; an endpoint that reads nothing is dropped."""
        try:
            os.write(endpoint.descriptor, line.encode("ascii", "replace") + b"\n")
        except OSError:
            self.counts["endpoints_lost"] += 1
            self._drop(endpoint)

    def _drop(self, endpoint: _Endpoint) -> None:
        if self._endpoints.pop(endpoint.descriptor, None) is None:
            return
        self._selector.unregister(endpoint.descriptor)
        endpoint.close()
        for leases in endpoint.messages.values():
            for lease_id, _ in leases.values():
                self._link.release(lease_id, "the endpoint has gone")

    def close(self) -> None:
        """Let go of all endpoints."""
        for endpoint in list(self._endpoints.values()):
            self._drop(endpoint)
        if self._listener is not None:
            self._listener.close()
        self._selector.close()
