"""Asks on their way to the allocator: bounded for each gateway, and taken from all gateways in turn.

A gateway that floods fills its own queue and is refused; the others' asks do not wait behind it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """A queue of queues, one for each source, for several putters and one taker."""

    def __init__(self, most_per_source: int) -> None:
        self._most = most_per_source
        self._queues: OrderedDict[str, deque[Item]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self.refused = 0

    def put(self, source: str, item: Item) -> bool:
        """Queue an item; False (and counted in `refused`) when its source has too many waiting or all is closed."""
        with self._changed:
            queue = self._queues.setdefault(source, deque())
            if self._closed or len(queue) >= self._most:
                self.refused += 1
                return False
            queue.append(item)
            self._changed.notify()
            return True

    def take(self, most: int, timeout_s: float) -> list[Item]:
        """Up to `most` items, one from each source in turn; empty after `timeout_s` or when closed."""
        with self._changed:
            if not self._queues and not self._closed:
                self._changed.wait(timeout_s)
            taken: list[Item] = []
            while self._queues and len(taken) < most:
                source, queue = self._queues.popitem(last=False)
                taken.append(queue.popleft())
                if queue:
                    self._queues[source] = queue
            return taken

    def close(self) -> None:
        """Refuse further items and wake the taker."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
