"""The desk between gRPC's threads and the allocator's own: asks go in, answers come back to whoever waits.

gRPC serves from threads of its own; the allocator belongs to the app's thread. Nothing else passes between them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controller.fair_queue import FairQueue
from controller.requests import Answer, Ask, Refusal

# A gateway may have this many asks waiting; beyond, they are refused and counted.
WAITING_PER_GATEWAY: Final = 1024

# The allocator takes this many at once: they share one round trip to the database.
BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Waiting:
    """An ask and where its answer goes."""

    ask: Ask
    reply: Callable[[Answer], None]


class Desk:
    """Where asks wait, fairly between gateways."""

    def __init__(self, waiting_per_gateway: int = WAITING_PER_GATEWAY) -> None:
        self._queue: FairQueue[Waiting] = FairQueue(waiting_per_gateway)

    def ask(self, ask: Ask, reply: Callable[[Answer], None]) -> None:
        """Queue an ask; `reply` is called from the allocator's thread, or at once with a refusal when too many wait."""
        if not self._queue.put(ask.gateway, Waiting(ask, reply)):
            message = f"gateway {ask.gateway or 'unknown'} has {WAITING_PER_GATEWAY} requests waiting: slow down"
            reply(Answer(ask.request_id, (), Refusal("overloaded", message)))

    def ask_and_wait(self, ask: Ask, timeout_s: float) -> Answer | None:
        """The answer to an ask, or None after `timeout_s`."""
        answered = threading.Event()
        answers: list[Answer] = []

        def keep(answer: Answer) -> None:
            answers.append(answer)
            answered.set()

        self.ask(ask, keep)
        return answers[0] if answered.wait(timeout_s) else None

    def take(self, timeout_s: float) -> list[Waiting]:
        """The next asks, from all gateways in turn; for the allocator's thread."""
        return self._queue.take(BATCH, timeout_s)

    @property
    def refused(self) -> int:
        """Asks refused because too many were waiting."""
        return self._queue.refused

    def close(self) -> None:
        """No more asks."""
        self._queue.close()
