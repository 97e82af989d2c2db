"""What the console's pages ask for, answered from the database: one method for each question of docs/console.md."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

import msgspec

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from console import views
from console.audit import AuditLog
from console.events import Filter, audit_view, event_view
from console.feed import TICK_S, Hub
from console.history import History
from console.instant import state_at
from console.metrics import ConsoleMetrics
from console.past_events import LATE_S, PastEvents
from console.rows import HISTORY_S
from controller.operators import RULES, Actor, Operators
from controller.transmitters import KIND as AIRTIME
from monitoring.periodic.live import KPI_KIND
from spectrum.errors import BadInput
from spectrum.site_file import Site

Json = dict[str, Any]

# One question about events looks at no more entries than this; the page asks on with `next`.
MOST_SCANNED: Final = 5_000
SCAN_PAGE: Final = 1_000
RECENT_EVENTS: Final = 20
RECENT_LEASES: Final = 200


class ConsoleDesk:
    """Answers over one site's database. Methods may be called from several threads."""

    def __init__(self, site: Site, database: ChannelStatusDatabase, hub: Hub, clock: Callable[[], float]) -> None:
        self._site = site
        self._database = database
        self._hub = hub
        self._clock = clock
        self._keys = {records.subchannel_key(cell): cell for cell in views.every_subchannel(site)}
        self._operators = Operators(database, site.name, tuple(self._keys.values()))
        self._history = History(site, database)
        self._audit = AuditLog(database, site.name)
        self._mapping = threading.Lock()
        self.metrics = ConsoleMetrics(site, hub)

    def site_view(self) -> Json:
        """`GET /api/site`."""
        return views.site_view(self._site, self._clock(), version("airshed"), TICK_S, HISTORY_S)

    def state_now(self) -> Json:
        """`GET /api/state`."""
        now_s = self._clock()
        kinds = {kind: msgspec.Raw(known.data) for kind, known in dict(self._hub.reader.state).items()}
        return {"time_s": now_s, "feed": msgspec.Raw(self._hub.state.message(now_s).data)} | kinds

    def state_at(self, at_s: float) -> Json:
        """`GET /api/state?at_s=`."""
        return state_at(self._site, self._database, self._history.sensors(), at_s, self._clock())

    def history_reach(self) -> Json:
        """`GET /api/history`."""
        return self._history.reach(self._clock())

    def channel_history(self, from_s: float | None, to_s: float | None, columns: int, sensor: str | None) -> Json:
        """`GET /api/history/channels`."""
        return self._history.channels(from_s, to_s, columns, sensor, self._clock())

    def spectrum_history(self, sensor: str, from_s: float | None, to_s: float | None, rows: int) -> Json:
        """`GET /api/history/spectrum`."""
        return self._history.spectrum(sensor, from_s, to_s, rows, self._clock())

    def events(self, wanted: Filter, before: str, limit: int) -> Json:
        """`GET /api/events`: newest first; `next` is where the next page begins, None at the end."""
        found: list[Json] = []
        scanned, place = 0, before
        if not place and wanted.to_s is not None:
            place = records.entry_id_at(wanted.to_s + LATE_S)
        while scanned < MOST_SCANNED:
            page = self._database.read_newest(self._site.name, "events", place, SCAN_PAGE)
            for entry in page:
                scanned, place = scanned + 1, entry.entry_id
                if wanted.from_s is not None and records.entry_time_s(place) < wanted.from_s - LATE_S:
                    return {"events": found, "next": None, "scanned": scanned}
                event = event_view(entry)
                if event is not None and wanted.holds(event):
                    found.append(event)
                    if len(found) == limit:
                        return {"events": found, "next": place, "scanned": scanned}
            if len(page) < SCAN_PAGE:
                return {"events": found, "next": None, "scanned": scanned}
        return {"events": found, "next": place, "scanned": scanned}

    def subchannel(self, key: str) -> Json:
        """`GET /api/subchannels/{hz}/{width}`."""
        cell = self._cell(key)
        now_s, site = self._clock(), self._site
        reports = self._database.reports(site.name)
        leases = self._database.leases(site.name, now_s)
        channels = views.channels_view(site, reports, leases, self._operators.word(), now_s)
        held = [self._explained(lease) for lease in leases if lease.subchannel == cell][: views.MOST_LEASES]
        return {
            "time_s": now_s,
            "channel": next(row for row in channels["subchannels"] if row["key"] == key),
            "per_sensor": [report.as_json() for report in reports if report.subchannel == cell],
            "now": [lease for lease in held if lease["start_s"] <= now_s],
            "next": [lease for lease in held if lease["start_s"] > now_s],
            "events": self._recent(Filter(subchannel=key)),
        }

    def device(self, device: str) -> Json:
        """`GET /api/devices/{device}`; BadInput for one that nothing is known of."""
        now_s, site, database = self._clock(), self._site, self._database
        kept = database.get_some(site.name, KPI_KIND, [device]).get(device)
        kpi = records.decode(kept) if kept is not None else None
        decision = database.decision(site.name, device)
        table = next((one for one in site.device if one.name == device), None)
        if kpi is None and decision is None and table is None:
            raise UnknownHere(
                f"nothing is known of device {device[:128]!r}: it never asked, and the site file has none"
            )
        leases = [lease for lease in database.leases(site.name, now_s) if lease.device == device]
        airtime = database.get_some(site.name, AIRTIME, [device]).get(device)
        last = records.lease_of(records.decode(decision)["lease"]) if decision is not None else None
        return {
            "time_s": now_s,
            "device": views.device_view(device, kpi, last, table),
            "kpi": kpi,
            "decision": msgspec.Raw(decision) if decision is not None else None,
            "leases": [views.lease_view(lease) for lease in leases],
            "history": PastEvents(site, database).leases_of(device, now_s, RECENT_LEASES),
            "duty": views.used_view(records.decode(airtime) if airtime is not None else None, now_s),
            "events": self._recent(Filter(device=device)),
        }

    def environment_map(self, key: str, cells: int) -> Json:
        """`GET /api/map`: one at a time, since kriging takes a core."""
        from console.map_view import map_view

        cell = self._cell(key)
        with self._mapping:
            return map_view(self._site, self._database.reports(self._site.name), cell, cells, self._clock())

    def audit(self, before: str, limit: int) -> Json:
        """`GET /api/audit`."""
        return self._audit.page(before, limit)

    def act(self, given: Json, by: Actor) -> Json:
        """`POST /api/actions`: the audit entry; BadInput for an action that lacks something, CannotNow."""
        action, now_s = given["action"], self._clock()
        needed = "lease_id" if action == "evict" else "subchannel" if action in RULES else None
        allowed = {"action", needed} if needed else {"action", "policy", "attempts"}
        if needed is not None and given.get(needed) is None:
            raise BadInput(f"{action} needs {needed}")
        if strange := set(given) - allowed:
            raise BadInput(f"{action} takes no {', '.join(sorted(strange))}")
        if action == "evict":
            entry, _ = self._operators.evict(given["lease_id"], by, now_s)
        elif action == "policy":
            word = self._operators.word()
            policy, attempts = given.get("policy", word.policy), given.get("attempts", word.attempts)
            entry = self._operators.set_policy(policy, attempts, by, now_s)
        else:
            entry = self._operators.set_rule(action, given["subchannel"], by, now_s)
        self.metrics.acted(action)
        return audit_view(entry, None)

    def undo(self, entry_id: str, by: Actor) -> Json:
        """`POST /api/audit/{id}/undo`."""
        entry = self._operators.undo(entry_id, by, self._clock())
        self.metrics.acted("undo")
        return audit_view(entry, None)

    def metrics_text(self) -> bytes:
        """`GET /metrics`."""
        return self.metrics.text(self._clock())

    def _cell(self, key: str) -> Any:
        cell = self._keys.get(key)
        if cell is None:
            raise UnknownHere(f"no subchannel {key!r} at this site: expected HZ/WIDTH such as {next(iter(self._keys))}")
        return cell

    def _explained(self, lease: Any) -> Json:
        """A lease with the decision behind it, if its device's last decision is about it."""
        decision = self._database.decision(self._site.name, lease.device)
        about = decision is not None and records.decode(decision)["lease"]["lease_id"] == lease.lease_id
        return views.lease_view(lease) | {"why": msgspec.Raw(decision) if decision is not None and about else None}

    def _recent(self, wanted: Filter) -> list[Json]:
        found: list[Json] = []
        place = ""
        for _ in range(2):
            page = self.events(wanted, place, RECENT_EVENTS - len(found))
            found += page["events"]
            place = page["next"]
            if len(found) >= RECENT_EVENTS or place is None:
                break
        return found


class UnknownHere(BadInput):
    """There is no such subchannel or device at this site."""
