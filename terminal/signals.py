"""Stopping a long-running part: Ctrl-C and SIGTERM set an event."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; the former handlers come back at the end."""
    stop = threading.Event()

    def ask_to_stop(signum: int, frame: FrameType | None) -> None:
        stop.set()

    former = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class Closable(Protocol):
    """Whatever can be closed from another thread."""

    def close(self) -> None:
        """Let go, and wake whoever waits for it."""
        ...


@contextmanager
def closed_at(stop: threading.Event, thing: Closable) -> Iterator[None]:
    """Close `thing` when `stop` is set while the block runs, for things that may wait for a peer without end."""
    done = threading.Event()

    def wait() -> None:
        while not stop.wait(0.1):
            if done.is_set():
                return
        thing.close()

    thread = threading.Thread(target=wait, name="closer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
