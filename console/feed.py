"""The live feed: one thread looks at the database, every page has a bounded queue, what found no room is counted."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from channel_status.protocol import DatabaseAway
from console.reader import STATE_KINDS, Message, Reader, message
from spectrum.errors import BadInput

log = logging.getLogger(__name__)

TICK_S: Final = 0.1
# Nobody looks: the metrics and the next page need no more.
IDLE_TICK_S: Final = 1.0
# A database that is away is tried again after so long, twice as long each time up to the second.
RETRY_S: Final = 0.25
RETRY_MOST_S: Final = 4.0
# Messages that are not states (events, rows of waterfalls) waiting for one page: six seconds of all that comes.
QUEUE: Final = 64


class ClientQueue:
    """What one page has yet to be sent. A newer state replaces the one that waits; `dropped` counts what was lost."""

    def __init__(self) -> None:
        self.dropped = 0
        self.wake = asyncio.Event()
        self._waiting: dict[tuple[str, int], bytes] = {}
        self._number = count()
        self._kept = 0

    def put(self, kind: str, data: bytes) -> None:
        """Queue a message; the oldest of those that cannot be replaced makes room when there are too many."""
        if kind in STATE_KINDS or kind == "feed":
            key = (kind, -1)
            if self._waiting.pop(key, None) is not None:
                self.dropped += 1
        else:
            key = (kind, next(self._number))
            if self._kept == QUEUE:
                del self._waiting[next(old for old in self._waiting if old[1] >= 0)]
                self.dropped += 1
            else:
                self._kept += 1
        self._waiting[key] = data
        self.wake.set()

    def take(self) -> bytes:
        """All that waits, in order."""
        taken = b"".join(self._waiting.values())
        self._waiting.clear()
        self._kept = 0
        self.wake.clear()
        return taken


@dataclass(frozen=True, slots=True)
class FeedState:
    """Whether the database answers. detail: what an operator should read. retry_s: until it is asked again."""

    state: str
    since_s: float
    detail: str = ""
    retry_s: float | None = None

    def message(self, now_s: float) -> Message:
        """For the feed."""
        view = {
            "time_s": now_s, "state": self.state, "since_s": self.since_s, "detail": self.detail,
            "retry_s": self.retry_s,
        }  # fmt: skip
        return message("feed", view)


class Hub:
    """Runs the reader in a thread and hands what it finds to all clients, on the event loop of the server."""

    def __init__(self, reader: Reader, clock: Callable[[], float], site: str) -> None:
        self.reader = reader
        self.site = site
        self.state = FeedState("away", clock(), "not asked yet")
        self.looks = 0
        self.failures = 0
        self.sent: dict[str, int] = {}
        self.dropped_before = 0
        self._clock = clock
        self._clients: set[ClientQueue] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console-reader", daemon=True)

    @property
    def clients(self) -> int:
        """How many pages look."""
        return len(self._clients)

    @property
    def dropped(self) -> int:
        """Messages that pages, gone ones included, were too slow for."""
        return self.dropped_before + sum(client.dropped for client in tuple(self._clients))

    @property
    def stopping(self) -> bool:
        """Whether the server is about to end."""
        return self._stop.is_set()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the streams of all pages."""
        self._stop.set()
        self._wanted.set()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_all)
        self._thread.join(5.0)

    def join(self, client: ClientQueue) -> None:
        """A page has come; called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._clients.add(client)
        self._wanted.set()

    def leave(self, client: ClientQueue) -> None:
        """A page has gone."""
        if client in self._clients:
            self._clients.discard(client)
            self.dropped_before += client.dropped

    def sse(self, sent: Message) -> bytes:
        """A message as it goes over the wire."""
        return sse(sent, self.reader.places.feed_id)

    def _run(self) -> None:
        retry_s = RETRY_S
        while not self._stop.is_set():
            try:
                found = self.reader.look()
                self.looks += 1
            except DatabaseAway as error:
                self.failures += 1
                if self.state.detail != str(error):
                    log.warning("the console waits for the database: %s", error)
                since_s = self.state.since_s if self.state.state == "away" else self._clock()
                self._turn(FeedState("away", since_s, str(error), retry_s))
                self._stop.wait(retry_s)
                retry_s = min(2.0 * retry_s, RETRY_MOST_S)
                continue
            except BadInput as error:  # wrong credentials: waiting may help, a restart may not be needed
                self._turn(FeedState("away", self._clock(), str(error), RETRY_MOST_S))
                self._stop.wait(RETRY_MOST_S)
                continue
            except Exception:
                self.failures += 1
                log.exception("a look at the database failed")
                self._stop.wait(IDLE_TICK_S)
                continue
            retry_s = RETRY_S
            if self.state.state != "live":
                log.info("the database answers")
                self._turn(FeedState("live", self._clock()))
            self._hand_out(found)
            if self._clients:
                self._stop.wait(TICK_S)
            else:
                self._wanted.clear()
                self._wanted.wait(IDLE_TICK_S)

    def _turn(self, state: FeedState) -> None:
        self.state = state
        self._hand_out([state.message(self._clock())])

    def _hand_out(self, found: list[Message]) -> None:
        loop = self._loop
        if not found or not self._clients or loop is None or loop.is_closed():
            return
        ready = [(one.kind, self.sse(one)) for one in found]
        loop.call_soon_threadsafe(self._deliver, ready)

    def _deliver(self, ready: list[tuple[str, bytes]]) -> None:
        for kind, data in ready:
            self.sent[kind] = self.sent.get(kind, 0) + len(self._clients)
            for client in self._clients:
                client.put(kind, data)

    def _wake_all(self) -> None:
        for client in self._clients:
            client.wake.set()


def sse(sent: Message, feed_id: str) -> bytes:
    """One server-sent event (WHATWG HTML, 9.2): its data is one line of JSON."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (feed_id.encode(), sent.kind.encode(), sent.data)
