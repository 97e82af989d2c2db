"""Monitoring beside a running controller: uplinks out of the database's stream, alarms and KPIs back into it.

The controller appends every uplink report of its agents to the stream `uplinks`. A SiteMonitor reads on from where it
was, feeds a Watcher, appends what an operator should hear of to the stream `events` (as `device_offline`,
`device_degraded`, ...), keeps each device's KPIs as a record of kind `devices` (the object of `airshed watch --json`),
and the watcher's states with its place in the stream as records of kind `monitoring`. So it may be restarted, or
started late, and goes on without learning anew and without counting anything twice. An event may be told twice when
the process dies between telling and saving, never not at all.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway, Entry
from monitoring.periodic.model import ApplicationKpi, DeviceKpi, MonitoringEvent
from monitoring.periodic.store import DatabaseMonitoringStore, chunks
from monitoring.periodic.watcher import Reception, Watcher

log = logging.getLogger(__name__)

# Uplinks of one step: their devices' states and the place in the stream are written in one atomic call.
PAGE: Final = 1000
KPI_KIND: Final = "devices"
PAUSE_S: Final = 1.0
AWAY_PAUSE_S: Final = 5.0


class SiteMonitor:
    """Monitoring of one site. `step` does a bounded piece of work; `run_monitor` calls it until stopped."""

    def __init__(self, database: ChannelStatusDatabase, site: str, watcher: Watcher | None = None) -> None:
        self.watcher = watcher or Watcher()
        self.unreadable = 0
        self._database = database
        self._site = site
        self._store = DatabaseMonitoringStore(database, site)
        self._unsaved: dict[str, bytes] = {}
        self._untold: list[MonitoringEvent] = []
        self._place = self._store.place()
        self.watcher.restore(self._store.load())

    def step(self, now_s: float) -> int:
        """Take in the next page of uplinks and raise the alarms that are due; returns how many uplinks there were.

        DatabaseAway leaves nothing lost: what was taken in is saved and told by the next step that succeeds.
        """
        page = self._database.read(self._site, "uplinks", self._place, PAGE)
        for entry in page:
            self._take(entry)
            self._place = entry.entry_id
        self._unsaved |= self.watcher.changed()
        self._write(now_s)
        self._untold += self.watcher.tick(now_s)
        self._unsaved |= self.watcher.changed()
        self._write(now_s)
        return len(page)

    def _take(self, entry: Entry) -> None:
        try:
            reception = msgspec.convert(records.decode(entry.value), Reception, strict=False)
        except (msgspec.ValidationError, msgspec.DecodeError):
            self.unreadable += 1
            return
        self._untold += self.watcher.receive(reception)

    def _write(self, now_s: float) -> None:
        if self._untold:
            self._database.append(self._site, "events", [encode_event(event) for event in self._untold])
            self._untold = []
        if self._unsaved:
            self._store.save_with_place(self._unsaved, self._place)
            kpis = {name: self._kpi(name, now_s) for name in self._unsaved}
            for chunk in chunks(kpis):
                self._database.put(self._site, KPI_KIND, chunk)
            self._unsaved = {}

    def _kpi(self, device: str, now_s: float) -> bytes:
        kpi = self.watcher.kpi(device, now_s)
        return records.encode(kpi.as_json() if kpi is not None else None)


def encode_event(event: MonitoringEvent) -> bytes:
    """An event for the stream `events`: its kind behind `device_`, its numbers under their own names."""
    at_us = str(records.microseconds(event.time_s))
    named = {} if event.application is None else {"application": event.application}
    return records.encode(
        {"event": f"device_{event.kind}", "at_us": at_us, "device": event.device} | named | event.values
    )


def run_monitor(
    monitor: SiteMonitor, stop: threading.Event, clock: Callable[[], float], pause_s: float = PAUSE_S
) -> None:
    """Monitor until `stop` is set; waits out a database that is away."""
    while not stop.is_set():
        try:
            busy = monitor.step(clock()) == PAGE
        except DatabaseAway as error:
            log.warning("monitoring waits for the database: %s", error)
            stop.wait(AWAY_PAUSE_S)
            continue
        if not busy:
            stop.wait(pause_s)


@contextmanager
def monitoring(
    database: ChannelStatusDatabase,
    site: str,
    clock: Callable[[], float],
    pause_s: float = PAUSE_S,
    watcher: Watcher | None = None,
) -> Iterator[SiteMonitor]:
    """Monitor a site in a thread of its own for as long as the context lasts."""
    monitor, stop = SiteMonitor(database, site, watcher), threading.Event()
    thread = threading.Thread(target=run_monitor, args=(monitor, stop, clock, pause_s), name="monitoring", daemon=True)
    thread.start()
    try:
        yield monitor
    finally:
        stop.set()
        thread.join()


def site_kpis(database: ChannelStatusDatabase, site: str) -> Iterator[DeviceKpi]:
    """The devices' KPIs as last written: for `airshed status`, the console, and a timetable for `airshed group`."""
    for name, value in database.get(site, KPI_KIND).items():
        kept = records.decode(value)
        if kept is not None:
            yield kpi_of(name, kept)


def kpi_of(device: str, kept: Mapping[str, Any]) -> DeviceKpi:
    """The KPI that was written as JSON; what only the batch report knows is left out."""
    applications = tuple(
        ApplicationKpi(
            period_s=one["period_s"],
            phase_s=one["phase_s"],
            received=one["received"],
            missed=one["missed"],
            application=one.get("application"),
            jitter_s=one["jitter_s"],
            next_s=one["next_s"],
            silent_s=one["silent_s"],
            overdue=one["overdue"],
            degraded=one["degraded"],
            offline=one["offline"],
            offline_probability=one["offline_probability"],
        )
        for one in kept["applications"]
    )
    return DeviceKpi(
        device=device,
        applications=applications,
        receptions=kept["receptions"],
        last_seen_s=kept["last_seen_s"],
        offline=kept["offline"],
        offline_probability=kept["offline_probability"],
        duplicates=kept["duplicates"],
        repeats=kept["repeats"],
        unexplained=kept["unexplained"],
        late=kept["late"],
    )
