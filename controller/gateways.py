"""Gateways as the controllers of a site know them: attached, detached, given up. Kept in the database."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import Final

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from gateway_agent.wire import controller_pb2 as wire
from spectrum.site_file import Site

log = logging.getLogger(__name__)

KIND: Final = "gateway"
CONTROLLERS: Final = "controller"

# Controllers say once a second that they are there; one that has not for so long has gone.
GONE_S: Final = 10.0


class Gateways:
    """Keeps who is attached, tells the event stream, and ends the leases of gateways that stay away.

    send: a message to the streams of a gateway, from any thread; put in by the door that holds the streams.
    """

    def __init__(self, site: Site, database: ChannelStatusDatabase) -> None:
        self._site = site
        self._database = database
        self._controller = uuid.uuid4().hex[:8]
        self._lock = threading.Lock()
        self._streams: dict[str, int] = {}
        self.send: Callable[[str, wire.ControllerMessage], None] = lambda gateway, message: None

    @property
    def attached(self) -> list[str]:
        """Gateways attached to this controller."""
        with self._lock:
            return sorted(self._streams)

    def attach(self, gateway: str, now_s: float) -> None:
        """A stream of a gateway has come up."""
        with self._lock:
            self._streams[gateway] = self._streams.get(gateway, 0) + 1
        self._tell(gateway, "attached", "its agent registered", now_s)

    def detach(self, gateway: str, now_s: float) -> None:
        """A stream of a gateway has ended; the last one detaches it, unless another controller has it by now."""
        with self._lock:
            self._streams[gateway] -= 1
            if self._streams[gateway]:
                return
            del self._streams[gateway]
        try:
            kept = self._database.get_some(self._site.name, KIND, [gateway]).get(gateway)
        except DatabaseAway:
            kept = None
        if kept is None or records.decode(kept)["controller"] == self._controller:
            held_s = self._site.controller.hold_s
            self._tell(gateway, "detached", f"its stream ended: leases are held for {held_s:g} s", now_s)

    def cut(self, gateway: str, reason: str, now_s: float) -> None:
        """The network has lost a gateway, though its stream may not know it yet: leases are held, as if it detached."""
        held_s = self._site.controller.hold_s
        self._tell(gateway, "detached", f"{reason}: leases are held for {held_s:g} s", now_s)

    def mended(self, gateway: str, reason: str, now_s: float) -> None:
        """The network has a gateway again; it is attached when its stream has outlived the cut."""
        with self._lock:
            alive = gateway in self._streams
        if alive:
            self._tell(gateway, "attached", reason, now_s)

    def give_up(self, now_s: float) -> int:
        """End the leases of gateways that have been detached for longer than the site holds; returns how many.

        To be called about once a second. Gateways that a controller leaves behind which has gone are detached first.
        """
        ended = 0
        alive = self._alive(now_s)
        for gateway, data in self._database.get(self._site.name, KIND).items():
            known = records.decode(data)
            away_s = now_s - records.seconds(known["since_us"])
            left_behind = known["controller"] not in alive and away_s > GONE_S and gateway not in self.attached
            if known["state"] == "attached" and left_behind:
                held_s = self._site.controller.hold_s
                self._tell(gateway, "detached", f"its controller has gone: leases are held for {held_s:g} s", now_s)
            if known["state"] != "detached" or away_s <= self._site.controller.hold_s:
                continue
            leases = [x for x in self._database.leases(self._site.name, now_s) if x.gateway == gateway]
            for lease in leases:
                self._database.release(self._site.name, lease.lease_id, now_s, "its gateway stayed away")
            ended += len(leases)
            self._tell(gateway, "given up", f"away for {away_s:.0f} s: {len(leases)} leases ended", now_s)
        return ended

    def _alive(self, now_s: float) -> set[str]:
        """Say that this controller is there, and forget those that no longer are; returns those that are."""
        seen = records.encode({"seen_us": str(records.microseconds(now_s))})
        self._database.put(self._site.name, CONTROLLERS, {self._controller: seen})
        said = self._database.get(self._site.name, CONTROLLERS)
        ages_s = {name: now_s - records.seconds(records.decode(data)["seen_us"]) for name, data in said.items()}
        gone = [name for name, age_s in ages_s.items() if age_s > GONE_S]
        if gone:
            self._database.delete(self._site.name, CONTROLLERS, gone)
        return ages_s.keys() - gone

    def _tell(self, gateway: str, state: str, reason: str, now_s: float) -> None:
        at_us = str(records.microseconds(now_s))
        known = records.encode({"state": state, "since_us": at_us, "controller": self._controller})
        event = {"event": "gateway", "at_us": at_us, "gateway": gateway, "state": state, "reason": reason}
        log.info("gateway %s %s: %s", gateway, state, reason)
        try:
            self._database.put(self._site.name, KIND, {gateway: known})
            self._database.append(self._site.name, "events", [records.encode(event)])
        except DatabaseAway as error:
            log.warning("the database does not know that gateway %s is %s: %s", gateway, state, error)
