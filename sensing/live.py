"""What live receivers share: a bounded queue with counted overruns, a clock of samples, and their health.

A dongle does not say when USB lost samples, and the wall clock jumps. Samples are therefore counted against the
monotonic clock: whatever should have arrived and never did is put into `lost_samples`, and the times of blocks follow.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

# How long samples may hide in the buffers of USB, kernel and network without being called lost. librtlsdr's fifteen
# transfers hold 0.1 s at 2.4 MS/s and 32 KiB each; a window's least delay is far below that on any working machine.
HIDDEN_S: Final = 0.02

# The crystal of a dongle is off by 100 ppm at the worst; the clock follows that much without calling it a loss.
DRIFT: Final = 100e-6

# The least delay is taken over windows of this length.
WINDOW_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """How a live source is doing.

    state: `running`; `stale` while it delivers nothing and is being restarted; `closed`; `failed` once it gave up.
    lost_samples: since it was opened, by overruns, restarts and gaps in the stream; overrun_samples: those of them that
    arrived while the queue was full. reason: what an operator should read, empty while all is well.
    """

    state: Literal["running", "stale", "closed", "failed"]
    since_s: float
    lost_samples: int = 0
    overrun_samples: int = 0
    restarts: int = 0
    reason: str = ""


OnHealth = Callable[[Health], None]


class HealthLog:
    """The present Health, told to a listener whenever its state changes."""

    def __init__(self, on_health: OnHealth | None = None, now: Callable[[], float] = time.time) -> None:
        self._on_health = on_health
        self._now = now
        self.present = Health("running", now())

    def turn(self, state: Literal["running", "stale", "closed", "failed"], reason: str = "") -> None:
        """Enter a state; leaving `stale` for `running` counts a restart."""
        if state == self.present.state:
            return
        restarts = self.present.restarts + (state == "running")
        self.present = replace(self.present, state=state, since_s=self._now(), restarts=restarts, reason=reason)
        if self._on_health is not None:
            self._on_health(self.present)

    def count(self, lost_samples: int, overrun_samples: int) -> None:
        """Set the counters to their present values."""
        self.present = replace(self.present, lost_samples=lost_samples, overrun_samples=overrun_samples)


@dataclass(slots=True)
class SampleClock:
    """Which sample was taken when, from how many arrived by when; pure.

    Times are monotonic seconds. The epoch (the time of sample 0) is the earliest that any arrival allows: a sample
    cannot arrive before it was taken. It may drift by DRIFT; a whole window that comes later than that by more than
    HIDDEN_S means that samples never came.
    """

    rate_hz: float
    samples: int = 0  # arrived and lost
    epoch_s: float | None = None
    _resumed: bool = False
    _window_from_s: float = 0.0
    _window_least_s: float = field(default=float("inf"))

    def resume(self) -> None:
        """The stream was interrupted: what is missing at the next arrival counts as lost at once."""
        self._resumed = self.epoch_s is not None

    def arrive(self, now_s: float, count: int) -> int:
        """`count` samples arrived at `now_s`; returns how many were found missing before them."""
        candidate_s = now_s - (self.samples + count) / self.rate_hz
        if self.epoch_s is None:
            self.epoch_s = candidate_s
            self._open_window(now_s)
        lost = self._missing(now_s, candidate_s)
        self.samples += lost + count
        return lost

    def time_s(self, sample: int) -> float:
        """When a sample was taken, monotonic seconds; only after a first arrival."""
        return (self.epoch_s or 0.0) + sample / self.rate_hz

    def _open_window(self, now_s: float) -> None:
        self._window_from_s, self._window_least_s = now_s, float("inf")

    def _missing(self, now_s: float, candidate_s: float) -> int:
        assert self.epoch_s is not None
        if self._resumed:
            self._resumed = False
            self._open_window(now_s)
            return max(0, round((candidate_s - self.epoch_s) * self.rate_hz))
        self.epoch_s = min(self.epoch_s, candidate_s)
        self._window_least_s = min(self._window_least_s, candidate_s)
        if now_s - self._window_from_s < WINDOW_S:
            return 0
        late_s = self._window_least_s - self.epoch_s
        allowed_s = DRIFT * (now_s - self._window_from_s)
        self._open_window(now_s)
        if late_s <= HIDDEN_S:
            self.epoch_s += min(late_s, allowed_s)
            return 0
        return round(late_s * self.rate_hz)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Bytes of one delivery, offset binary, shape (2N,): where they stand in the stream, what was lost until then."""

    samples: NDArray[np.uint8]
    first_sample: int
    time_s: float
    lost_samples: int


class SampleQueue:
    """Deliveries of a receiver's thread, waiting for the one that computes; bounded, and what finds no room is counted.

    The receiver's thread only ever appends or drops: it never waits, because a dongle does not wait either.
    """

    def __init__(
        self,
        rate_hz: float,
        capacity_bytes: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.clock = SampleClock(rate_hz)
        self.capacity_bytes = capacity_bytes
        self.lost_samples = 0
        self.overrun_samples = 0
        self.last_arrival_s = monotonic()
        self._waiting: deque[Chunk] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._monotonic, self._wall = monotonic, wall

    def push(self, data: bytes) -> None:
        """Take a delivery of I/Q bytes; a trailing half sample is dropped. Called by the receiver's thread."""
        count = len(data) // 2
        if count == 0:
            return
        now_s = self._monotonic()
        with self._changed:
            self.last_arrival_s = now_s
            self.lost_samples += self.clock.arrive(now_s, count)
            if self._waiting_bytes + 2 * count > self.capacity_bytes:
                self.lost_samples += count
                self.overrun_samples += count
                return
            first = self.clock.samples - count
            time_s = self.clock.time_s(first) + self._wall() - now_s
            samples = np.frombuffer(data, np.uint8, 2 * count)
            self._waiting.append(Chunk(samples, first, time_s, self.lost_samples))
            self._waiting_bytes += samples.size
            self._changed.notify()

    def pull(self, timeout_s: float) -> Chunk | None:
        """The oldest delivery, or None when none came within `timeout_s` or the queue was closed and is empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout_s)
            if not self._waiting:
                return None
            chunk = self._waiting.popleft()
            self._waiting_bytes -= chunk.samples.size
            return chunk

    def close(self) -> None:
        """Wake whoever waits; later deliveries are still counted but no longer awaited."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
