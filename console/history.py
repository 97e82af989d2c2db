"""The past of a site, from its recorded streams: downsampled here, and never more than a page can show."""

from __future__ import annotations

from typing import Any, Final

from channel_status.protocol import ChannelStatusDatabase
from spectrum.site_file import Site

Json = dict[str, Any]

HISTORY_S: Final = 21_600.0


class History:
    """Questions about the past of one site."""

    def __init__(self, site: Site, database: ChannelStatusDatabase) -> None:
        self._site = site
        self._database = database

    def reach(self, now_s: float) -> Json:
        """How far the recorded streams reach."""
        return {"from_s": now_s, "to_s": now_s, "resolutions": []}

    def state_at(self, at_s: float, now_s: float) -> Json:
        """Everything at a past instant."""
        return {"time_s": at_s}

    def channels(
        self, from_s: float | None, to_s: float | None, columns: int, sensor: str | None, now_s: float
    ) -> Json:
        """Power and state of each subchannel by time."""
        return {"from_s": from_s, "to_s": to_s, "step_s": 1.0, "resolution": "", "sensor": sensor, "times_s": [],
                "subchannels": [], "leases": [], "truncated": False}  # fmt: skip

    def spectrum(self, sensor: str, from_s: float | None, to_s: float | None, rows: int, now_s: float) -> Json:
        """Rows of a waterfall."""
        return {"sensor": sensor, "from_s": from_s, "to_s": to_s, "resolution": "", "rows": []}

    def leases_of(self, device: str) -> list[Json]:
        """What a device was given, newest first."""
        return []
