"""The audit as it is shown: followed in memory, so that each entry knows whether it was undone since."""

from __future__ import annotations

import threading
from typing import Any, Final

from channel_status import records
from channel_status.protocol import STREAM_LENGTH, ChannelStatusDatabase
from console.events import audit_views
from spectrum.errors import BadInput

PAGE: Final = 1_000


class AuditLog:
    """Follows the stream `audit` of a site."""

    def __init__(self, database: ChannelStatusDatabase, site: str) -> None:
        self._database = database
        self._site = site
        self._entries: list[dict[str, Any]] = []
        self._place = ""
        self._lock = threading.Lock()

    def page(self, before: str, limit: int) -> dict[str, Any]:
        """Entries older than the one called `before`, newest first; `next` for the page after, None at the end."""
        with self._lock:
            self._follow()
            shown = audit_views(self._entries)[::-1]
        if before:
            places = [index for index, entry in enumerate(shown) if entry["id"] == before]
            if not places:
                raise BadInput(f"no action {before!r} is known: give the id of an entry of the audit")
            shown = shown[places[0] + 1 :]
        page = shown[:limit]
        return {"entries": page, "next": page[-1]["id"] if len(shown) > limit else None}

    def _follow(self) -> None:
        while found := self._database.read(self._site, "audit", self._place, PAGE):
            self._entries += [records.decode(entry.value) for entry in found]
            self._place = found[-1].entry_id
        del self._entries[: -STREAM_LENGTH["audit"]]
