"""What a gateway's agent tells the site of its radio side: state, and what is used of its downlink hours.

A record of kind `gateway-radio` by the gateway's name, written every PERIOD_S by a thread of its own: a database that
is away never holds up a downlink.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway

log = logging.getLogger(__name__)

KIND: Final = "gateway-radio"
PERIOD_S: Final = 5.0


@contextmanager
def radio_told(
    database: ChannelStatusDatabase,
    site: str,
    gateway: str,
    look: Callable[[], dict[str, Any]],
    period_s: float = PERIOD_S,
) -> Iterator[None]:
    """Keep the record while the block lasts; look: the record's fields now, called from another thread."""
    ended = threading.Event()

    def tell() -> None:
        told = True
        while not ended.is_set():
            try:
                database.put(site, KIND, {gateway: records.encode(look())})
                told = True
            except DatabaseAway as error:
                if told:
                    log.warning("the radio side of gateway %s is not told to the site: %s", gateway, error)
                told = False
            ended.wait(period_s)

    thread = threading.Thread(target=tell, name="radio-record", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
