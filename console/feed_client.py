"""One page's side of the live feed: greeting, what it missed, the states, then whatever its queue holds."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Final

from channel_status.protocol import DatabaseAway
from console.feed import ClientQueue, Hub
from console.reader import Message, Places, message

BEAT_S: Final = 5.0

_FEED_ID: Final = re.compile(r"(\d{1,20}-\d{1,20})/(\d{1,20}-\d{1,20})")


def places_of(last_event_id: str) -> Places | None:
    """The places in an id that the feed gave out; None for none, or another's."""
    found = _FEED_ID.fullmatch(last_event_id.strip())
    return None if found is None else Places(found[1], found[2])


async def feed_of(hub: Hub, client: ClientQueue, last_event_id: str) -> AsyncIterator[bytes]:
    """What one page is sent, until it goes or the server ends. An event may come twice around a reconnection."""
    places = places_of(last_event_id)
    hub.join(client)
    try:
        missed: list[Message] = []
        gap = last_event_id != "" and places is None
        if places is not None:
            try:
                missed, gap = await asyncio.to_thread(hub.reader.since, places)
            except DatabaseAway:
                gap = True
        now_s = time.time()
        hello = message(
            "hello", {"time_s": now_s, "site": hub.site, "version": 1, "resumed": places is not None, "gap": gap}
        )
        first = [hello, hub.state.message(now_s), *missed, *hub.reader.everything()]
        yield b"retry: 1000\n\n" + b"".join(map(hub.sse, first))
        beat_s = time.monotonic() + BEAT_S
        while not hub.stopping:
            wait_s = beat_s - time.monotonic()
            if wait_s <= 0.0:
                beat_s = time.monotonic() + BEAT_S
                yield hub.sse(message("beat", {"time_s": time.time(), "dropped": client.dropped}))
                continue
            try:
                await asyncio.wait_for(client.wake.wait(), wait_s)
            except TimeoutError:
                continue
            if waiting := client.take():
                yield waiting
    finally:
        hub.leave(client)
