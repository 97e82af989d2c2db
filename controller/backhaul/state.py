"""What the controller knows of its backhaul, and what follows from each thing that happens.

Every method takes what happened and returns what to do; nothing is sent from here. For one thread.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from controller.backhaul.difference import DropFlow, DropMeter, after, difference
from controller.backhaul.effects import Cut, Effect, HangUp, Mended, Send, Tell
from controller.backhaul.plan import adopted, plan
from controller.backhaul.values import Place, Plan, Policy, Registration, Switch
from spectrum.site_file import BackhaulSwitch

# An unknown source has this long to register; and for this long after a restart an adopted place is kept for its owner.
DIAL_S: Final = 30.0

# Unknown sources kept in mind for one port; more are dropped by the switch all the same, and not listened to here.
SIGHTINGS_PER_PORT: Final = 64


@dataclass(slots=True)
class _Known:
    """A registration and since when its agent is away (None: it is attached)."""

    registration: Registration
    away_s: float | None


class Backhaul:
    """The backhaul of a site.

    hold_s: how long the place of a gateway is kept whose agent is away. hosts: who is admitted without an agent.
    """

    def __init__(
        self,
        policy: Policy,
        switches: tuple[BackhaulSwitch, ...],
        hold_s: float,
        hosts: tuple[Registration, ...] = (),
    ) -> None:
        self._policy = policy
        self._tables = {table.dpid: table for table in switches}
        self._hold_s = hold_s
        self._switches: dict[int, Switch] = {}
        self._present: dict[int, Plan] = {}
        self._known = {host.number: _Known(host, None) for host in hosts}
        self._sightings: dict[str, tuple[Place, float]] = {}
        self._streams: Counter[str] = Counter()
        self._ever_up: set[int] = set()

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """Who is admitted, also where a port is down now."""
        return tuple(known.registration for known in self._known.values())

    def switch_name(self, dpid: int) -> str:
        """What the site file calls a switch."""
        return self._tables[dpid].name if dpid in self._tables else f"{dpid:#x}"

    def switch_up(self, dpid: int, ports_up: frozenset[int], present: Plan, now_s: float) -> list[Effect]:
        """A switch has connected and told what it holds: adopt it, and bring it up to date."""
        name = self.switch_name(dpid)
        if dpid not in self._tables:
            reason = f"no [[backhaul.switch]] has dpid {dpid}: it is left as it is"
            return [Tell("unknown switch", name, reason)]
        uplink = self._tables[dpid].uplink
        self._switches[dpid] = Switch(dpid, uplink, ports_up - {uplink})
        self._present[dpid] = present
        self._adopt(dpid, present, now_s)
        sends = self._sends(now_s)
        changes = [change for effect in sends if isinstance(effect, Send) for change in effect.changes]
        removed = sum(isinstance(change, DropFlow | DropMeter) for change in changes)
        reason = f"it held {len(present.flows)} flows: {len(changes) - removed} changes, {removed} removals"
        effects: list[Effect] = [Tell("switch returned" if dpid in self._ever_up else "switch connected", name, reason)]
        self._ever_up.add(dpid)
        for registration in self.registrations:
            if registration.place.dpid == dpid and registration.place.port not in ports_up:
                effects += self._cut(registration, "its port was down when the switch came")
        return effects + sends

    def _adopt(self, dpid: int, present: Plan, now_s: float) -> None:
        """Take over what the switch remembers of gateways that this controller has not met."""
        places = {known.registration.place for known in self._known.values()}
        for remembered in adopted(present, dpid, self._policy.site):
            if remembered.place not in places:
                number = remembered.number if remembered.number not in self._known else self._free_number()
                self._known[number] = _Known(replace(remembered, number=number), now_s)

    def switch_down(self, dpid: int) -> list[Effect]:
        """The connection to a switch has ended. What it holds goes on passing, so nobody is cut off by this."""
        if self._switches.pop(dpid, None) is None:
            return []
        self._present.pop(dpid, None)
        reason = "its connection ended: what it holds goes on, leases are held while their agents' streams are up"
        return [Tell("switch lost", self.switch_name(dpid), reason)]

    def port(self, dpid: int, port: int, up: bool, now_s: float) -> list[Effect]:
        """A port has come up or gone down."""
        switch = self._switches.get(dpid)
        if switch is None or (port in switch.access) == up:
            return []
        name = self.switch_name(dpid)
        if port == switch.uplink:
            return [Tell("port up" if up else "port down", name, "the port towards the controller", port)]
        self._switches[dpid] = replace(switch, access=switch.access | {port} if up else switch.access - {port})
        here = [r for r in self.registrations if (r.place.dpid, r.place.port) == (dpid, port)]
        effects: list[Effect] = []
        for registration in here:
            if up:
                effects.append(
                    Tell("port up", name, "who is admitted there is so as before", port, registration.gateway)
                )
                if self._streams[registration.gateway] and not registration.fixed:
                    effects.append(Mended(registration.gateway, f"port {port} of {name} is up again"))
            else:
                effects += self._cut(registration, f"port {port} of {name} went down")
        if not here:
            effects.append(Tell("port up" if up else "port down", name, "no gateway is admitted there", port))
        if not up:
            self._sightings = {
                ip: seen for ip, seen in self._sightings.items() if (seen[0].dpid, seen[0].port) != (dpid, port)
            }
        return effects + self._sends(now_s)

    def _cut(self, registration: Registration, reason: str) -> list[Effect]:
        place, gateway = registration.place, registration.gateway
        told = Tell("port down", self.switch_name(place.dpid), reason, place.port, gateway)
        return [told, Cut(gateway, reason)] if gateway and not registration.fixed else [told]

    def queues(self, dpid: int, present: frozenset[int]) -> list[Effect]:
        """A switch has told which queues its uplink has. A packet for one that it lacks takes the default."""
        if dpid not in self._switches:
            return []
        missing = sorted(self._policy.queues - present)
        reason = f"the uplink has no queue {', '.join(map(str, missing))}: make it there, OpenFlow cannot"
        told = Tell("queue missing", self.switch_name(dpid), reason, self._switches[dpid].uplink)
        return [told] if missing else []

    def seen(self, place: Place, now_s: float) -> list[Effect]:
        """An unknown source dials the controller. The first to use an address keeps it while it is heard."""
        switch = self._switches.get(place.dpid)
        if switch is None or place.port not in switch.access or place.ip in (self._policy.address, "0.0.0.0"):
            return []
        before = self._sightings.get(place.ip)
        if before is not None and before[0] != place and now_s - before[1] < DIAL_S:
            return []
        at_port = sum((p.dpid, p.port) == (place.dpid, place.port) for p, _ in self._sightings.values())
        if before is None and at_port >= SIGHTINGS_PER_PORT:
            return []
        self._sightings[place.ip] = (place, now_s)
        same = [r for r in self.registrations if r.place.ip == place.ip and r.place != place]
        moved = [r.gateway for r in same if not self._port_is_up(r.place) and self._streams[r.gateway]]
        return [*(HangUp(gateway) for gateway in moved), *self._sends(now_s)]

    def _port_is_up(self, place: Place) -> bool:
        """Unknown (its switch is lost) counts as up."""
        switch = self._switches.get(place.dpid)
        return switch is None or place.port in switch.access

    def registered(self, gateway: str, ip: str, now_s: float) -> list[Effect]:
        """An agent has proved to be `gateway`, from the address `ip`: admit it from where that address was seen."""
        self._streams[gateway] += 1
        place = self._place_of(ip, now_s)
        if place is None:
            return []  # it does not come through a switch of ours
        effects: list[Effect] = []
        old = next((r for r in self.registrations if r.gateway == gateway and not r.fixed), None)
        if old is not None and old.place != place:
            effects.append(Tell("gateway moved", self.switch_name(place.dpid), f"from {self._where(old.place)}",
                                place.port, gateway))  # fmt: skip
        elif old is None:
            reason = f"its agent registered from {place.mac} {place.ip}"
            effects.append(Tell("gateway admitted", self.switch_name(place.dpid), reason, place.port, gateway))
        number = old.number if old is not None else self._number_for(place)
        self._known[number] = _Known(Registration(number, gateway, place), None)
        self._sightings.pop(ip, None)
        return effects + self._sends(now_s)

    def _number_for(self, place: Place) -> int:
        """The number of a place that was adopted from a switch, else a free one."""
        for number, known in self._known.items():
            if known.registration.place == place and not known.registration.gateway:
                return number
        return self._free_number()

    def _free_number(self) -> int:
        return next(number for number in range(1, len(self._known) + 2) if number not in self._known)

    def _place_of(self, ip: str, now_s: float) -> Place | None:
        admitted = [r.place for r in self._counting(now_s) if r.place.ip == ip and self._port_is_up(r.place)]
        if admitted:
            return admitted[0]
        seen = self._sightings.get(ip)
        return seen[0] if seen is not None else None

    def ended(self, gateway: str, now_s: float) -> list[Effect]:
        """A stream of an agent has ended."""
        self._streams[gateway] -= 1
        if self._streams[gateway] > 0:
            return []
        del self._streams[gateway]
        for known in self._known.values():
            if known.registration.gateway == gateway and not known.registration.fixed:
                known.away_s = now_s
        return self._sends(now_s)

    def tick(self, now_s: float) -> list[Effect]:
        """Forget who only dialled, and who has stayed away."""
        self._sightings = {ip: seen for ip, seen in self._sightings.items() if now_s - seen[1] < DIAL_S}
        effects: list[Effect] = []
        for number, known in list(self._known.items()):
            if known.away_s is not None and now_s - known.away_s > self._hold_s:
                del self._known[number]
                place = known.registration.place
                reason = f"its agent stayed away for {now_s - known.away_s:.0f} s"
                effects.append(Tell("admission ended", self.switch_name(place.dpid), reason, place.port,
                                    known.registration.gateway))  # fmt: skip
        return effects + self._sends(now_s)

    def _counting(self, now_s: float) -> list[Registration]:
        """Registrations as the plan takes them: who is away yields to one who dials from elsewhere with its address."""
        found = []
        for known in self._known.values():
            registration, away_s = known.registration, known.away_s
            kept = away_s is None or (not registration.gateway and now_s - away_s < DIAL_S)
            seen = self._sightings.get(registration.place.ip)
            if kept or seen is None or seen[0] == registration.place:
                found.append(replace(registration, attached=kept))
        return found

    def _sends(self, now_s: float) -> list[Effect]:
        """The difference for every switch that has one; it is taken as sent."""
        effects: list[Effect] = []
        counting = self._counting(now_s)
        sightings = [place for place, _ in self._sightings.values()]
        for dpid, switch in self._switches.items():
            present = self._present[dpid]
            changes = difference(plan(switch, counting, sightings, self._policy), present)
            if changes:
                self._present[dpid] = after(present, changes)
                effects.append(Send(dpid, changes))
        return effects

    def _where(self, place: Place) -> str:
        return f"port {place.port} of {self.switch_name(place.dpid)}"
