"""The past of a site, from its recorded streams: downsampled here, and never more than a page can show."""

from __future__ import annotations

import threading
from typing import Any, Final

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from console.past_events import PastEvents
from console.rows import MOST_ROWS, RESOLUTIONS, held, resolution_for, row_of, rows_between, span
from sensing.waterfall import DIGEST
from spectrum.errors import BadInput
from spectrum.site_file import Site

Json = dict[str, Any]

# What a question about the past is about when it does not say.
DEFAULT_S: Final = 900.0
MOST_SPANS: Final = 2_000

_KEY, _PEAK, _THRESHOLD, _BUSY, _OCCUPANCY = (
    DIGEST.index(name) for name in ("key", "peak_dbfs", "threshold_dbfs", "busy_share", "occupancy")
)
# Rows without a digest are of no use here.
_DIGESTED: Final = RESOLUTIONS[1:]


class History:
    """Questions about the past of one site. One at a time is answered: each may read megabytes."""

    def __init__(self, site: Site, database: ChannelStatusDatabase) -> None:
        self._site = site
        self._database = database
        self._one = threading.Lock()

    def sensors(self) -> list[str]:
        """Those of the site file and those that ever published."""
        return sorted(
            {sensor.name for sensor in self._site.sensor} | set(self._database.get(self._site.name, "sensor"))
        )

    def reach(self, now_s: float) -> Json:
        """How far the recorded streams reach back, by resolution."""
        found: list[Json] = []
        for resolution in RESOLUTIONS:
            streams = {f"{resolution.stream}:{sensor}": "" for sensor in self.sensors()}
            pages = self._database.read_many(self._site.name, streams, 1).values()
            oldest = [row.time_s for page in pages for row in [row_of(page[0].value) if page else None] if row]
            found.append(
                {
                    "name": resolution.stream, "interval_s": resolution.interval_s,
                    "from_s": min(oldest) if oldest else None,
                }
            )  # fmt: skip
        events = self._database.read(self._site.name, "events", count=1)
        events_s = records.entry_time_s(events[0].entry_id) if events else None
        starts = [one["from_s"] for one in found if one["from_s"] is not None]
        return {
            "from_s": min(starts, default=now_s), "to_s": now_s, "events_from_s": events_s, "resolutions": found,
        }  # fmt: skip

    def channels(
        self, from_s: float | None, to_s: float | None, columns: int, sensor: str | None, now_s: float
    ) -> Json:
        """Peak, threshold, share of busy intervals and occupancy of each subchannel by time, and its leases."""
        from_s, to_s = span(from_s, to_s, now_s, DEFAULT_S)
        resolution = resolution_for(from_s, to_s, now_s, _DIGESTED, MOST_ROWS)
        step_s = max((to_s - from_s) / columns, resolution.interval_s)
        count = max(1, -int(-(to_s - from_s) // step_s))
        cells: dict[str, _Columns] = {}
        with self._one:
            for name in [sensor] if sensor is not None else self.sensors():
                for row in rows_between(self._database, self._site.name, name, resolution, from_s, to_s):
                    # A row belongs to the column that its middle lies in.
                    place = int((row.time_s + row.interval_s / 2.0 - from_s) / step_s)
                    for values in row.cells if 0 <= place < count else ():
                        known = cells.get(values[_KEY])
                        if known is None:
                            known = cells[values[_KEY]] = _Columns(count)
                        known.take(place, values)
            leases, truncated = PastEvents(self._site, self._database).spans(from_s, to_s, MOST_SPANS)
        order = sorted(cells.items(), key=lambda item: records.subchannel_of(item[0]))
        return {
            "from_s": from_s, "to_s": to_s, "step_s": step_s, "resolution": resolution.stream, "sensor": sensor,
            "times_s": [round(from_s + step_s * place, 3) for place in range(count)],
            "subchannels": [{"key": key} | known.as_json() for key, known in order],
            "leases": leases, "truncated": truncated,
        }  # fmt: skip

    def spectrum(self, sensor: str, from_s: float | None, to_s: float | None, rows: int, now_s: float) -> Json:
        """Rows of one sensor's waterfall, merged to the strongest where there are more than asked for."""
        if sensor not in self.sensors():
            raise BadInput(f"no sensor {sensor!r} at this site: it has {', '.join(self.sensors()) or 'none'}")
        from_s, to_s = span(from_s, to_s, now_s, 60.0)
        resolution = resolution_for(from_s, to_s, now_s, RESOLUTIONS, MOST_ROWS)
        with self._one:
            found = list(rows_between(self._database, self._site.name, sensor, resolution, from_s, to_s))
            shown = held(found, rows)
        return {"sensor": sensor, "from_s": from_s, "to_s": to_s, "resolution": resolution.stream, "rows": shown}


class _Columns:
    """One subchannel by time; None where nothing was kept. Of several sensors and rows the strongest word counts."""

    def __init__(self, count: int) -> None:
        self._energy: list[float | None] = [None] * count
        self._threshold: list[float | None] = [None] * count
        self._busy: list[float | None] = [None] * count
        self._occupancy: list[float | None] = [None] * count

    def take(self, place: int, values: tuple[Any, ...]) -> None:
        """One digest falls into a column."""
        if _is_more(values[_PEAK], self._energy[place]):
            self._energy[place], self._threshold[place] = values[_PEAK], values[_THRESHOLD]
        if _is_more(values[_BUSY], self._busy[place]):
            self._busy[place] = values[_BUSY]
        if _is_more(values[_OCCUPANCY], self._occupancy[place]):
            self._occupancy[place] = values[_OCCUPANCY]

    def as_json(self) -> Json:
        """As docs/console.md names them."""
        return {
            "energy_dbfs": self._energy, "threshold_dbfs": self._threshold, "busy_share": self._busy,
            "occupancy": self._occupancy,
        }  # fmt: skip


def _is_more(value: float, known: float | None) -> bool:
    return known is None or value > known
