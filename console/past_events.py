"""What the event stream says of the past: leases, gateways, devices and operators' words, read backwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from console.reader import LEASE_EVENTS
from controller.operators import OperatorsWord
from spectrum.site_file import Site
from spectrum.status import Lease

Json = dict[str, Any]

PAGE: Final = 1_000
# Events that one question about the past reads at most.
MOST_SCANNED: Final = 20_000
# An event may be told this much after it happened.
LATE_S: Final = 10.0

# Names that stand in JSON as they are: entries without them need not be decoded.
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/-]+")


@dataclass(slots=True)
class Instant:
    """What stood at an instant. seen_all: whether the stream reached back far enough to be sure of the leases."""

    leases: dict[str, Lease | None] = field(default_factory=dict)
    gateways: dict[str, Json] = field(default_factory=dict)
    offline: dict[str, bool] = field(default_factory=dict)
    last: dict[str, Lease] = field(default_factory=dict)
    sensing: str | None = None
    seen_all: bool = False


class PastEvents:
    """Reads the streams `events` and `audit` of one site."""

    def __init__(self, site: Site, database: ChannelStatusDatabase) -> None:
        self._site = site
        self._database = database
        self.cut = False

    def backwards(self, to_s: float, from_s: float, having: str = "") -> Iterator[Json]:
        """Events that happened in [from_s, to_s], the latest told first; of those told at all within MOST_SCANNED.

        having: only those in which this name stands. `cut` says that the limit ended the last walk.
        """
        self.cut = False
        place = records.entry_id_at(to_s + LATE_S)
        needle = having.encode() if _PLAIN.fullmatch(having) else b""
        for _ in range(MOST_SCANNED // PAGE):
            page = self._database.read_newest(self._site.name, "events", place, PAGE)
            for entry in page:
                if records.entry_time_s(entry.entry_id) < from_s - LATE_S:
                    return
                if b'"event":"snapshot"' in entry.value[:24] or (needle and needle not in entry.value):
                    continue
                event = _decoded(entry.value)
                if event is not None and from_s <= event["at_s"] <= to_s:
                    yield event
            if len(page) < PAGE:
                return
            place = page[-1].entry_id
        self.cut = True

    def at(self, at_s: float) -> Instant:
        """What stood at `at_s`: the last word before it on each lease, gateway and device counts."""
        found = Instant()
        # No lease is longer than the site's longest, so what was told before that has ended.
        from_s = at_s - self._site.controller.longest_lease_s
        for event in self.backwards(at_s, from_s):
            kind = event["event"]
            if kind in LEASE_EVENTS:
                lease = records.lease_of(event["lease"])
                gone = kind in ("released", "expired") or lease.end_s <= at_s
                found.leases.setdefault(lease.lease_id, None if gone else lease)
                found.last.setdefault(lease.device, lease)
            elif kind == "gateway":
                found.gateways.setdefault(event["gateway"], {"state": event["state"], "since_us": event["at_us"]})
            elif kind in ("device_offline", "device_online"):
                found.offline.setdefault(event["device"], kind == "device_offline")
            elif kind == "sensing" and found.sensing is None:
                found.sensing = event["state"]
        oldest = self._database.read(self._site.name, "events", count=1)
        found.seen_all = not oldest or records.entry_time_s(oldest[0].entry_id) <= from_s
        return found

    def word_at(self, at_s: float) -> OperatorsWord:
        """What operators had said by `at_s`, from the audit."""
        word, place = OperatorsWord(), ""
        while page := self._database.read(self._site.name, "audit", place, PAGE):
            for kept in page:
                entry = records.decode(kept.value)
                if records.seconds(entry["at_us"]) > at_s:
                    return word
                after = entry["after"]
                if "rule" in after:
                    word = word.with_rule(entry["subject"], after["rule"])
                elif "policy" in after:
                    word = OperatorsWord(after["policy"], after["attempts"], word.banned, word.pinned)
            place = page[-1].entry_id
        return word

    def spans(self, from_s: float, to_s: float, most: int) -> tuple[list[Json], bool]:
        """Leases that held a subchannel within [from_s, to_s], the latest first, and whether there were more.

        Or whether the stream was too long to be read as far back as that.
        """
        ended: dict[str, float] = {}
        seen: set[str] = set()
        found: list[Json] = []
        longest_s = self._site.controller.longest_lease_s
        for event in self.backwards(to_s, from_s - longest_s):
            if event["event"] not in LEASE_EVENTS:
                continue
            lease = records.lease_of(event["lease"])
            if event["event"] == "released":
                ended.setdefault(lease.lease_id, event["at_s"])
            elif lease.lease_id not in seen:
                seen.add(lease.lease_id)
                end_s = min(lease.end_s, ended.get(lease.lease_id, lease.end_s))
                if lease.start_s < to_s and end_s > max(from_s, lease.start_s):
                    if len(found) == most:
                        return found, True
                    found.append(
                        {
                            "key": records.subchannel_key(lease.subchannel), "start_s": lease.start_s, "end_s": end_s,
                            "device": lease.device, "forced": lease.forced,
                        }
                    )  # fmt: skip
        return found, self.cut

    def leases_of(self, device: str, now_s: float, most: int) -> list[Json]:
        """What one device was given, the latest first, and how each lease ended (None while it lives)."""
        ended: dict[str, str] = {}
        seen: set[str] = set()
        found: list[Json] = []
        for event in self.backwards(now_s, 0.0, device):
            if event["event"] not in LEASE_EVENTS or event["lease"]["device"] != device:
                continue
            lease = records.lease_of(event["lease"])
            if event["event"] in ("released", "expired"):
                ended.setdefault(lease.lease_id, event["event"])
            elif lease.lease_id not in seen:
                seen.add(lease.lease_id)
                by_itself = "expired" if lease.end_s <= now_s else None
                found.append(
                    {
                        "key": records.subchannel_key(lease.subchannel), "start_s": lease.start_s,
                        "end_s": lease.end_s, "forced": lease.forced, "attempt": lease.attempt,
                        "ended": ended.get(lease.lease_id, by_itself),
                    }
                )  # fmt: skip
                if len(found) == most:
                    break
        return found


def _decoded(value: bytes) -> Json | None:
    try:
        event: Json = records.decode(value)
        event["at_s"] = records.seconds(event["at_us"])
    except (ValueError, KeyError, TypeError):
        return None
    return event
