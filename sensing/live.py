"""What live receivers share: a bounded queue with counted overruns, a clock of samples, health, and the watchdog.

A dongle does not say when USB lost samples, and the wall clock jumps. Samples are therefore counted against the
monotonic clock: whatever should have arrived and never did is put into `lost_samples`, and the times of blocks follow.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol

import numpy as np

from sensing.source import IqBlock, SourceContext, Tuning
from spectrum.errors import AirshedError, Failed

# How long samples may hide in the buffers of USB, kernel and network without being called lost. librtlsdr's fifteen
# transfers hold 0.1 s at 2.4 MS/s and 32 KiB each; a window's least delay is far below that on any working machine.
HIDDEN_S: Final = 0.02

# The crystal of a dongle is off by 100 ppm at the worst; the clock follows that much without calling it a loss.
DRIFT: Final = 100e-6

# The least delay is taken over windows of this length.
WINDOW_S: Final = 2.0


State = Literal["running", "stale", "closed", "failed"]


@dataclass(frozen=True, slots=True)
class Health:
    """How a live source is doing.

    state: `running`; `stale` while it delivers nothing and is being restarted; `closed`; `failed` once it gave up.
    lost_samples: since it was opened, by overruns, restarts and gaps in the stream; overrun_samples: those of them that
    arrived while the queue was full. reason: what an operator should read, empty while all is well.
    """

    state: State
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

    def turn(self, state: State, reason: str = "") -> None:
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
        self._waiting: deque[IqBlock] = deque()
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
            self._waiting.append(IqBlock(samples, first, time_s, self.lost_samples))
            self._waiting_bytes += samples.size
            self._changed.notify()

    def pull(self, timeout_s: float) -> IqBlock | None:
        """The oldest delivery, or None when none came within `timeout_s` or the queue was closed and is empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout_s)
            if not self._waiting:
                return None
            block = self._waiting.popleft()
            self._waiting_bytes -= block.samples.size
            return block

    def resume(self) -> None:
        """The receiver was opened again: what is missing until its first delivery counts as lost."""
        with self._changed:
            self.clock.resume()
            self.last_arrival_s = self._monotonic()

    def close(self) -> None:
        """Wake whoever waits; later deliveries are still counted but no longer awaited."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Receiver(Protocol):
    """A connected receiver: a thread of its own pushes what it delivers until it is stopped or ends by itself."""

    @property
    def tuning(self) -> Tuning:
        """What it is set to."""
        ...

    @property
    def ended(self) -> str:
        """Why its thread ended, for an operator; empty while it runs."""
        ...

    def start(self, queue: SampleQueue) -> None:
        """Begin to push."""
        ...

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End the thread and let go of the receiver; whether that succeeded in time. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: of silence before a receiver counts as stalled; before the first attempt to bring it back, doubled
    after each up to retry_most_s; until giving up.
    """

    stall_s: float = 2.0
    retry_s: float = 0.5
    retry_most_s: float = 30.0
    give_up_s: float = 300.0


DEFAULT_PATIENCE = Patience()


class LiveSource(SourceContext):
    """A receiver as a source of IQ, with a watchdog.

    `connect` opens the receiver: at first in the constructor, where its errors pass to the caller, and again whenever
    it stalls or ends; `health` is `stale` meanwhile, and `blocks` raises Failed when that did not help for
    `patience.give_up_s`. queue_s: how much may wait for the reader before samples are dropped and counted.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Receiver],
        *,
        queue_s: float = 1.0,
        patience: Patience | None = None,
        on_health: OnHealth | None = None,
    ) -> None:
        self._name = name
        self._connect = connect
        self._patience = patience or DEFAULT_PATIENCE
        self._log = HealthLog(on_health)
        self._closing = threading.Event()
        self._receiver = connect()
        self._tuning = self._receiver.tuning
        self._queue = SampleQueue(self._tuning.rate_hz, int(2 * queue_s * self._tuning.rate_hz))
        self._receiver.start(self._queue)

    @property
    def name(self) -> str:
        """How an operator knows the receiver."""
        return self._name

    @property
    def tuning(self) -> Tuning:
        """What the receiver is set to."""
        return self._tuning

    @property
    def health(self) -> Health:
        """State and counters at this moment."""
        self._log.count(self._queue.lost_samples, self._queue.overrun_samples)
        return self._log.present

    def blocks(self) -> Iterator[IqBlock]:
        """Deliveries as they come, until closed."""
        while not self._closing.is_set():
            block = self._queue.pull(min(0.1, self._patience.stall_s / 4))
            if block is not None:
                self._turn("running")
                yield block
                continue
            trouble = self._trouble()
            if trouble and not self._closing.is_set():
                self._turn("stale", trouble)
                self._restart(trouble)

    def _turn(self, state: State, reason: str = "") -> None:
        self._log.count(self._queue.lost_samples, self._queue.overrun_samples)
        self._log.turn(state, reason)

    def _trouble(self) -> str:
        if self._receiver.ended:
            return self._receiver.ended
        silent_s = time.monotonic() - self._queue.last_arrival_s
        return f"no samples for {silent_s:.1f} s" if silent_s >= self._patience.stall_s else ""

    def _restart(self, trouble: str) -> None:
        deadline_s = time.monotonic() + self._patience.give_up_s
        if not self._receiver.stop():
            self._give_up(f"{trouble}, and its driver hangs: unplug it and start again")
        pause_s = self._patience.retry_s
        while not self._closing.is_set():
            try:
                receiver = self._connect()
            except AirshedError as error:
                if time.monotonic() >= deadline_s:
                    self._give_up(f"{trouble}; {error}")
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, self._patience.retry_most_s)
                continue
            self._receiver = receiver
            self._queue.resume()
            receiver.start(self._queue)
            if self._closing.is_set():  # closed while it was opened again
                receiver.stop()
            return

    def _give_up(self, reason: str) -> None:
        self._turn("failed", reason)
        raise Failed(f"{self._name} is gone: {reason}")

    def close(self) -> None:
        """Stop the stream and let go of the receiver."""
        self._closing.set()
        self._queue.close()
        self._receiver.stop()
        self._turn("closed")
