"""Events and audit entries as the console shows them, and which of them a person asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from channel_status import records
from channel_status.protocol import Entry

Json = dict[str, Any]

# What an operator should look at, and what should wake one; everything else is the usual course of things.
WARNINGS: Final = frozenset({"forced", "sensing", "interference", "backhaul", "device_degraded", "device_silence"})
ALARMS: Final = frozenset({"device_offline", "database"})
# Statuses that decisions rest on: kept for `airshed replay`, nothing to read.
HIDDEN: Final = frozenset({"snapshot"})
# Long parts that a list leaves out; `airshed events` and a device's decision have them.
LONG: Final = ("why", "statuses")


def event_view(entry: Entry) -> Json | None:
    """An entry of the stream `events`, None for one that is not shown or cannot be read."""
    try:
        data = records.decode(entry.value)
        kind = data["event"]
        if kind in HIDDEN:
            return None
        lease = data.get("lease") or {}
        shown = {name: value for name, value in data.items() if name not in LONG}
        return {
            "id": entry.entry_id,
            "kind": kind,
            "time_s": records.seconds(data["at_us"]),
            "device": lease.get("device") or data.get("device"),
            "gateway": lease.get("gateway") or data.get("gateway"),
            "key": lease.get("subchannel") or data.get("subchannel"),
            "lease_id": lease.get("lease_id"),
            "severity": severity_of(kind, data),
            "text": text_of(kind, data, lease),
            "data": shown,
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def severity_of(kind: str, data: Mapping[str, Any]) -> str:
    """`info`, `warning` or `alarm`."""
    if kind in ALARMS or (kind == "sensing" and data.get("state") == "silent"):
        return "alarm"
    if kind == "gateway":
        return {"attached": "info", "given up": "alarm"}.get(str(data.get("state")), "warning")
    if (kind, data.get("state")) in (("sensing", "fresh"), ("interference", "good")):
        return "info"
    return "warning" if kind in WARNINGS else "info"


def text_of(kind: str, data: Mapping[str, Any], lease: Mapping[str, Any]) -> str:
    """One line for a person."""
    if lease:
        place = f"{float(str(lease['subchannel']).partition('/')[0]) / 1e6:.4f} MHz"
        lasts_s = records.seconds(lease["end_us"]) - records.seconds(lease["start_us"])
        text = f"{lease['device']}: {place} for {lasts_s:.3g} s"
        if kind in ("granted", "forced"):
            text += f", {'forced after' if lease['forced'] else 'attempt'} {lease['attempt']}"
        return f"{text} ({data['reason']})" if data.get("reason") else text
    if kind == "operator":
        return f"{data.get('by')}: {data.get('what')}"
    subject = data.get("device") or data.get("gateway") or ""
    state = data.get("state") or kind.removeprefix("device_").replace("_", " ")
    numbers = ", ".join(
        f"{name} {value:.4g}" for name, value in data.items() if isinstance(value, float) and name != "at_us"
    )
    because = data.get("reason") or numbers
    return " ".join(part for part in (str(subject), str(state)) if part) + (f": {because}" if because else "")


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the events a person asked for; empty fields ask for nothing in particular. Times in seconds."""

    kinds: frozenset[str] = frozenset()
    device: str = ""
    subchannel: str = ""
    gateway: str = ""
    severity: str = ""
    text: str = ""
    from_s: float | None = None
    to_s: float | None = None

    def holds(self, event: Json) -> bool:
        """Whether an event is one of those asked for. text: anywhere in the line or the names, whatever the case."""
        if self.kinds and event["kind"] not in self.kinds:
            return False
        for wanted, name in (
            (self.device, "device"), (self.subchannel, "key"), (self.gateway, "gateway"), (self.severity, "severity"),
        ):  # fmt: skip
            if wanted and event[name] != wanted:
                return False
        if self.from_s is not None and event["time_s"] < self.from_s:
            return False
        if self.to_s is not None and event["time_s"] > self.to_s:
            return False
        if self.text:
            said = " ".join(str(event[name] or "") for name in ("kind", "text", "device", "gateway", "key", "lease_id"))
            return self.text.casefold() in said.casefold()
        return True


def audit_views(entries: list[Json]) -> list[Json]:
    """Entries of the audit as shown. entries: oldest first; each knows which later one has undone it."""
    undone_by = {entry["undo_of"]: entry["id"] for entry in entries if entry["undo_of"]}
    return [audit_view(entry, undone_by.get(entry["id"])) for entry in entries]


def audit_view(entry: Json, undone_by: str | None) -> Json:
    """One entry of the audit."""
    shown = {name: value for name, value in entry.items() if name != "at_us"}
    can_undo = undone_by is None and entry["action"] != "undo evict"
    return {"time_s": records.seconds(entry["at_us"])} | shown | {"undone_by": undone_by, "can_undo": can_undo}
