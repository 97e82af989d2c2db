"""The one reader of the database behind all pages: what is new since the last look, as messages of the feed.

Streams are read at every tick, records as often as they change and as they cost little: a read that took long is not
repeated before RECORDS_SHARE of the time is free for others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, Entry
from console import views
from console.events import audit_view, event_view
from console.rows import Row, lately_of, row_of
from controller.operators import OperatorsWord, read_word
from spectrum.report import ChannelReport
from spectrum.site_file import Site
from spectrum.status import Lease

Json = dict[str, Any]

STATE_KINDS: Final = ("channels", "leases", "devices", "gateways", "sensors", "duty", "operators")
LEASE_EVENTS: Final = frozenset({"granted", "forced", "confirmed", "renewed", "released", "expired", "restored"})
LIVE_STREAM: Final = "spectrum-100ms:"
DIGEST_STREAM: Final = "spectrum-1s:"

# No part of the reading takes more than this share of the time.
RECORDS_SHARE: Final = 0.05
# How many new entries of a stream one look takes; at ten looks a second that is beyond what a site produces.
PAGE: Final = 2_000
# Events that one message carries to the page; of more only the newest, with the number of those left out.
MOST_EVENTS: Final = 200
# Rows of one sensor that one message carries: half a second of them.
MOST_ROWS: Final = 5
# Devices whose last lease is remembered.
MOST_LAST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the feed, encoded once for all clients."""

    kind: str
    data: bytes


@dataclass(slots=True)
class _Cadence:
    """When a record is read again: not before least_s, and not so often that it takes more than its share."""

    least_s: float
    due_s: float = 0.0

    def done(self, began_s: float, ended_s: float) -> None:
        self.due_s = ended_s + max(self.least_s, (ended_s - began_s) / RECORDS_SHARE)


@dataclass(slots=True)
class Places:
    """Up to where the streams were read."""

    events: str = ""
    audit: str = ""
    spectrum: dict[str, str] = field(default_factory=dict)

    @property
    def feed_id(self) -> str:
        """What a client gives back to be told what it missed."""
        return f"{self.events or '0-0'}/{self.audit or '0-0'}"


class Reader:
    """Looks at the database. Not for several threads at once. `state`: the newest of every state kind."""

    def __init__(
        self, site: Site, database: ChannelStatusDatabase, clock: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self.state: dict[str, Message] = {}
        self.places = Places()
        self._site = site
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._begun = False
        self._word = OperatorsWord()
        self._leases: tuple[Lease, ...] = ()
        self._health: dict[str, Json] = {}
        self._links: dict[str, Json] = {}
        self._radios: dict[str, Json] = {}
        self._kpis: dict[str, Json] = {}
        self._digests: dict[str, Row] = {}
        self._last: OrderedDict[str, Lease] = OrderedDict()
        self._uplink_s: dict[str, float] = {}
        self._cadence = {
            "leases": _Cadence(0.2), "records": _Cadence(1.0), "devices": _Cadence(1.0), "duty": _Cadence(2.0),
        }  # fmt: skip
        self._lease_moved = True
        self._shown: tuple[object, ...] = ()
        # What was found by a look that then failed: a place in a stream is passed only once.
        self._untold: list[Message] = []

    def look(self) -> list[Message]:
        """What is new; raises DatabaseAway, after which the next look goes on where the last one ended."""
        if not self._begun:
            self._begin()
        now_s = self._clock()
        self._untold += self._streams(now_s)
        self._untold += self._records(now_s)
        told, self._untold = self._untold, []
        return told

    def everything(self) -> list[Message]:
        """The newest message of every state kind, for a client that has just come."""
        return [self.state[kind] for kind in STATE_KINDS if kind in self.state]

    def since(self, places: Places) -> tuple[list[Message], bool]:
        """Events and audit entries after `places`, for a client that was away; and whether some are lost for good."""
        now_s = self._clock()
        found = self._database.read_many(self._site.name, {"events": places.events, "audit": places.audit}, PAGE)
        oldest = self._database.read(self._site.name, "events", count=1)
        gap = bool(oldest) and _order(oldest[0].entry_id) > _order(places.events) and places.events != "0-0"
        gap |= len(found["events"]) >= PAGE
        upto = _order(self.places.events)
        events = [entry for entry in found["events"] if _order(entry.entry_id) <= upto]
        audit = [entry for entry in found["audit"] if _order(entry.entry_id) <= _order(self.places.audit)]
        return [*self._event_messages(events, now_s), *self._audit_messages(audit, now_s)], gap

    def _begin(self) -> None:
        """Start where the streams end; what the last leases were comes from the newest events."""
        site = self._site.name
        newest = self._database.read_newest(site, "events", count=1_000)
        for entry in reversed(newest):
            self._remember(entry)
        self.places.events = newest[0].entry_id if newest else "0-0"
        audit = self._database.read_newest(site, "audit", count=1)
        self.places.audit = audit[0].entry_id if audit else "0-0"
        for entry in self._database.read_newest(site, "uplinks", count=200):
            self._hear(entry)
        self._begun = True

    def _streams(self, now_s: float) -> list[Message]:
        places = self.places
        sensors = {sensor.name for sensor in self._site.sensor} | set(self._health)
        wanted = {"events": places.events, "audit": places.audit}
        for name in sorted(sensors):
            for stream in (LIVE_STREAM + name, DIGEST_STREAM + name):
                # A waterfall begins now: what lies behind is asked for as history.
                wanted[stream] = places.spectrum.setdefault(stream, records.entry_id_at(now_s - 1.0))
        found = self._database.read_many(self._site.name, wanted, PAGE)
        rows: list[msgspec.Raw] = []
        for stream, entries in found.items():
            if not entries:
                continue
            place = entries[-1].entry_id
            if stream in places.spectrum:
                places.spectrum[stream] = place
                if stream.startswith(LIVE_STREAM):
                    rows += [msgspec.Raw(entry.value) for entry in entries[-MOST_ROWS:]]
                elif (row := row_of(entries[-1].value)) is not None:
                    self._digests[row.sensor] = row
            elif stream == "events":
                places.events = place
                for entry in entries:
                    self._remember(entry)
            else:
                places.audit = place
        messages = [*self._event_messages(found["events"], now_s), *self._audit_messages(found["audit"], now_s)]
        if rows:
            # A row goes to the page as its sensor wrote it.
            messages.append(message("spectrum", {"time_s": now_s, "rows": rows}))
        return messages

    def _records(self, now_s: float) -> list[Message]:
        site, database, began_s = self._site, self._database, self._monotonic()
        messages: list[Message] = []
        reports = database.reports(site.name)
        if self._is_due("records", began_s):
            self._word = read_word(database, site.name)
            self._health = _decoded(database.get(site.name, "sensor"))
            self._links = _decoded(database.get(site.name, "gateway"))
            self._radios = _decoded(database.get(site.name, "gateway-radio"))
            self._heard()
            messages += self._new("operators", views.operators_view(self._word, now_s))
            messages += self._new("sensors", views.sensors_view(site, self._health, now_s))
            gateways = views.gateways_view(site, self._links, self._radios, self._leases, self._uplink_s, now_s)
            messages += self._new("gateways", gateways)
            self._done("records", began_s)
            self._lease_moved = True  # leases end by themselves
        if self._lease_moved and self._is_due("leases", began_s):
            leases_s = self._monotonic()
            self._leases = database.leases(site.name, now_s)
            self._lease_moved = False
            messages += self._new("leases", views.leases_view(self._leases, now_s))
            self._done("leases", leases_s)
        messages += self._channels(reports, now_s)
        if self._is_due("devices", began_s):
            devices_s = self._monotonic()
            self._kpis = {name: kpi for name, kpi in _decoded(database.get(site.name, "devices")).items() if kpi}
            messages += self._new("devices", views.devices_view(site, self._kpis, self._last, now_s))
            self._done("devices", devices_s)
        if self._is_due("duty", began_s):
            duty_s = self._monotonic()
            airtime = _decoded(database.get(site.name, "airtime"))
            messages += self._new("duty", views.duty_view(site, airtime, self._radios, now_s))
            self._done("duty", duty_s)
        return messages

    def _channels(self, reports: Sequence[ChannelReport], now_s: float) -> list[Message]:
        """The channel map when anything was sensed, leased or said since, else once a second for the ages."""
        sensed = {(report.sensor, report.time_s) for report in reports}
        shown = (sensed, self._leases, self._word, [row.time_s for row in self._digests.values()], int(now_s))
        if shown == self._shown:
            return []
        self._shown = shown
        lately = lately_of(self._digests.values(), now_s)
        return self._new("channels", views.channels_view(self._site, reports, self._leases, self._word, now_s, lately))

    def _is_due(self, name: str, now_s: float) -> bool:
        return now_s >= self._cadence[name].due_s

    def _done(self, name: str, began_s: float) -> None:
        self._cadence[name].done(began_s, self._monotonic())

    def _new(self, kind: str, view: Json) -> list[Message]:
        """The message of a state kind when anything but its time has changed."""
        fresh = message(kind, view)
        known = self.state.get(kind)
        self.state[kind] = fresh
        return [] if known is not None and _without_time(known.data) == _without_time(fresh.data) else [fresh]

    def _remember(self, entry: Entry) -> None:
        """Which subchannel a device was given last."""
        try:
            event = records.decode(entry.value)
            if event["event"] in LEASE_EVENTS:
                self._lease_moved = True
            if event["event"] in ("granted", "forced", "restored"):
                lease = records.lease_of(event["lease"])
                self._last[lease.device] = lease
                self._last.move_to_end(lease.device)
                if len(self._last) > MOST_LAST:
                    self._last.popitem(last=False)
        except (ValueError, KeyError, TypeError, AttributeError):
            return

    def _heard(self) -> None:
        """When each gateway last heard a device."""
        for entry in self._database.read_newest(self._site.name, "uplinks", count=50):
            self._hear(entry)

    def _hear(self, entry: Entry) -> None:
        try:
            uplink = records.decode(entry.value)
            gateway, time_s = str(uplink["gateway"]), float(uplink["time_s"])
        except (ValueError, KeyError, TypeError):
            return
        self._uplink_s[gateway] = max(time_s, self._uplink_s.get(gateway, 0.0))

    @staticmethod
    def _event_messages(entries: Sequence[Entry], now_s: float) -> list[Message]:
        shown = [event for event in map(event_view, entries) if event is not None]
        if not shown:
            return []
        left_out = max(0, len(shown) - MOST_EVENTS)
        return [message("events", {"time_s": now_s, "events": shown[-MOST_EVENTS:], "left_out": left_out})]

    @staticmethod
    def _audit_messages(entries: Sequence[Entry], now_s: float) -> list[Message]:
        shown = [audit_view(records.decode(entry.value), None) for entry in entries]
        return [message("audit", {"time_s": now_s, "entries": shown})] if shown else []


def message(kind: str, view: Json) -> Message:
    """A message with its JSON."""
    return Message(kind, records.encode(view))


def _without_time(data: bytes) -> bytes:
    """A state's JSON behind its time, which is always the first key."""
    return data[data.index(b",") :]


def _decoded(kept: Mapping[str, bytes]) -> dict[str, Any]:
    return {name: records.decode(value) for name, value in kept.items()}


def _order(entry_id: str) -> tuple[int, int]:
    major, _, minor = entry_id.partition("-")
    return int(major), int(minor)
