"""The desk between gRPC's threads and the allocator's own: asks go in, answers come back to whoever waits.

gRPC serves from threads of its own; the allocator belongs to the app's thread. Nothing else passes between them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controller.fair_queue import FairQueue
from controller.rate import RateLimit
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
    arrived_s: float


class Desk:
    """Where asks wait, fairly between gateways, each held to `requests_per_s`. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        requests_per_s: float = math.inf,
        waiting_per_gateway: int = WAITING_PER_GATEWAY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue: FairQueue[Waiting] = FairQueue(waiting_per_gateway)
        self._waiting_per_gateway = waiting_per_gateway
        self._requests_per_s = requests_per_s
        self._limit = RateLimit(requests_per_s, clock) if math.isfinite(requests_per_s) else None
        self._clock = clock

    def ask(self, ask: Ask, reply: Callable[[Answer], None]) -> None:
        """Queue an ask; `reply` is called from the allocator's thread, or at once with a refusal."""
        if self._limit is not None and not self._limit.passes(ask.gateway):
            self._refuse(ask, reply, f"asks more than {self._requests_per_s:g} times a second")
        elif not self._queue.put(ask.gateway, Waiting(ask, reply, self._clock())):
            self._refuse(ask, reply, f"has {self._waiting_per_gateway} requests waiting")

    @staticmethod
    def _refuse(ask: Ask, reply: Callable[[Answer], None], why: str) -> None:
        message = f"gateway {ask.gateway or 'unknown'} {why}: slow down"
        reply(Answer(ask.request_id, (), Refusal("overloaded", message)))

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
