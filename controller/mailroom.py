"""From the allocator's thread to the event loop that serves gRPC: answers go in bundles, one wake-up each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from controller.codec import answer_message
from controller.requests import Answer
from gateway_agent.wire import controller_pb2 as wire

# What waits to be sent to one agent; None ends its stream.
Box = asyncio.Queue[wire.ControllerMessage | None]


class Mailroom:
    """Answers on their way to streams. `post` may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most_waiting: int, on_full: Callable[[], None]) -> None:
        self._loop = loop
        self._most = most_waiting
        self._on_full = on_full
        self._lock = threading.Lock()
        self._waiting: list[tuple[Box, Answer]] = []

    def post(self, box: Box, answer: Answer) -> None:
        """Send an answer to a stream, together with whatever else is on its way to it."""
        with self._lock:
            self._waiting.append((box, answer))
            first = len(self._waiting) == 1
        if first and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver)

    def put(self, box: Box, message: wire.ControllerMessage) -> None:
        """Put a message into a box, from the loop: an agent that reads nothing loses what it would not have read."""
        if box.qsize() < self._most:
            box.put_nowait(message)
        else:
            self._on_full()

    def _deliver(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        bundles: dict[int, tuple[Box, list[wire.LeaseAnswer]]] = {}
        for box, answer in waiting:
            bundles.setdefault(id(box), (box, []))[1].append(answer_message(answer))
        for box, answers in bundles.values():
            self.put(box, wire.ControllerMessage(answers=answers))
