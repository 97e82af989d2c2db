"""Rate limits: a bucket of tokens for each source, filled steadily."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# A source may burst for this long at its rate before it is held to it.
BURST_S: Final = 1.0


class RateLimit:
    """Lets each source through `per_s` times a second, with bursts of BURST_S. `clock` is monotonic, in seconds."""

    def __init__(self, per_s: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._most = max(1.0, per_s * BURST_S)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def passes(self, source: str) -> bool:
        """Whether one more of `source` may pass now; takes a token when it may."""
        now_s = self._clock()
        tokens, since_s = self._buckets.get(source, (self._most, now_s))
        tokens = min(self._most, tokens + max(0.0, now_s - since_s) * self._per_s)
        passes = tokens >= 1.0
        self._buckets[source] = (tokens - passes, now_s)
        return passes
