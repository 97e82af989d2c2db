"""The site of a scene as events in time: devices report, gateways judge, downlinks reach devices. The clock is outside.

`advance(until_s)` carries out all that is due: called with the time on the wall it runs in real time, called with
ever later times it runs as fast as it can. What gateways hear goes to `Uplink`, what they shall send comes from it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

from gateway_agent.lorawan.region_eu868 import datr_of
from spectrum import sigfox
from spectrum.lora import data_rate_of
from spectrum.units import mw_from_dbm
from testbed.packet_forwarder import Scheduled
from testbed.twin.air import Air, Transmission, noise_dbm, received_power_dbm
from testbed.twin.interference import emissions
from testbed.twin.nodes import Emission, Ledgers, LorawanNode, Node, SigfoxNode, next_gap_s, node_of
from testbed.twin.population import population
from testbed.twin.reception import GatewayReceiver, Rules, Verdict, fate, hears, judge
from testbed.twin.scene import Scene
from testbed.twin.tally import Fate, Tally, borders_of

# Order of what happens at one instant: what ends makes room for what starts.
ENDS: Final = 0
STARTS: Final = 1

# What ended so long ago can disturb nothing, and no listener is so far behind.
FORGET_AFTER_S: Final = 30.0

# A report none of whose frames has ended yet, and one that the duty cycle kept off the air.
UNSENT: Final = "unsent"
HELD_BACK: Final = "held_back"

# After a receive window has closed, a device is ready to send again.
BREATH_S: Final = 0.02


class Backend(Protocol):
    """What stands behind the gateways: the agent of LoRaWAN and that of SigFox's test endpoints."""

    def heard(self, gateway: str, frame: Transmission, verdict: Verdict) -> None:
        """A gateway has decoded a LoRa uplink."""

    def downlinks(self) -> list[tuple[str, Scheduled]]:
        """Frames that gateways have taken since the last call: (gateway, frame and start)."""

    def ask(self, device: str, number: int, payload_bytes: int) -> None:
        """A controlled SigFox endpoint wants to send a message."""

    def permissions(self) -> list[Permission]:
        """What was answered to endpoints since the last call."""

    def sent(self, device: str, number: int, copy: int, center_hz: float) -> None:
        """A copy of a controlled endpoint has left the air."""


@dataclass(frozen=True, slots=True)
class Permission:
    """The answer to a SigFox endpoint. copies: (copy, low_hz, high_hz, start_s); refused: why there are none."""

    device: str
    number: int
    copies: tuple[tuple[int, int, int, float], ...] = ()
    refused: str = ""


@dataclass(slots=True)
class _Report:
    """One report on its way: how many transmissions are still to end, and what became of those that did."""

    node: Node
    start_s: float
    center_hz: float
    left: int
    reason: str = UNSENT
    join: bool = False
    numbers: dict[int, tuple[int, int]] = field(default_factory=dict)


class TwinSite:
    """One scene at work. `air` is what sensors listen to."""

    def __init__(self, scene: Scene, backend: Backend, rules: Rules | None = None) -> None:
        self.scene, self.backend = scene, backend
        self.rules = rules or Rules()
        self.air = Air()
        self.tally = Tally(borders_of(scene))
        self.now_s = -math.inf
        self.members = population(scene)
        self.nodes = [node_of(scene, member) for member in self.members]
        self._by_name = {node.member.name: node for node in self.nodes}
        self._receivers = [GatewayReceiver(scene, gateway, self.rules) for gateway in scene.gateways]
        self._ledgers: dict[str, Ledgers] = {}
        self._events: list[tuple[float, int, int, Callable[[], None]]] = []
        self._order = self._transmissions = self._messages = 0
        self._listening: list[LorawanNode] = []
        self._waiting: dict[tuple[str, int], _Report] = {}
        self.sent_by_controlled: list[Transmission] = []
        self._begin()

    def at(self, time_s: float, action: Callable[[], None], order: int = STARTS) -> None:
        """Do something at a time of the scene; at once when it is over."""
        self._order += 1
        heapq.heappush(self._events, (max(time_s, self.now_s), order, self._order, action))

    @property
    def next_s(self) -> float:
        """When something happens next; infinite when nothing will."""
        return self._events[0][0] if self._events else math.inf

    def advance(self, until_s: float) -> None:
        """Carry out what is due by `until_s`, in order."""
        self.settle()
        while self._events and self._events[0][0] <= until_s:
            self.now_s, _, _, action = heapq.heappop(self._events)
            action()
        self.now_s = max(self.now_s, until_s)
        self.air.promise(self.now_s)

    def settle(self) -> None:
        """Take what the backend has answered."""
        for gateway, taken in self.backend.downlinks():
            self._downlink(gateway, taken)
        for permission in self.backend.permissions():
            self._permitted(permission)

    def _begin(self) -> None:
        for interferer in self.scene.interferers:
            chain = emissions(interferer, self.scene.seed)
            self._next_interference(chain)
        for node in self.nodes:
            rng = Random(f"{self.scene.seed}\0{node.member.name}\0reports")
            nominal_s = rng.random() * node.member.traffic.period_s
            self.at(nominal_s, lambda node=node, rng=rng, s=nominal_s: self._report(node, rng, s))  # type: ignore[misc]
        self.at(FORGET_AFTER_S, self._forget)

    def _forget(self) -> None:
        self.air.forget_before(self.now_s - FORGET_AFTER_S)
        self._listening = [node for node in self._listening if node.listens_until_s >= self.now_s]
        self.at(self.now_s + FORGET_AFTER_S, self._forget)

    def _next_interference(self, chain: Callable[[int], Transmission | None]) -> None:
        """Put an interferer's next emission on the air; the one after it follows when this one starts."""
        one = chain(self._number())
        if one is not None:
            self._put(one)
            self.at(one.start_s, lambda: self._next_interference(chain))

    def _number(self) -> int:
        self._transmissions += 1
        return self._transmissions

    def _report(self, node: Node, rng: Random, nominal_s: float) -> None:
        """A device's report is due; the next one is planned first."""
        following_s = nominal_s + next_gap_s(node.member, rng)
        jitter_s = node.member.traffic.jitter_s
        due_s = following_s + (rng.uniform(-jitter_s, jitter_s) if jitter_s else 0.0)
        self.at(due_s, lambda: self._report(node, rng, following_s))
        self._send(node)

    def _send(self, node: Node) -> None:
        if isinstance(node, LorawanNode):
            if node.listens_until_s > self.now_s:  # class A: first the receive windows
                self.tally.counts["postponed"] += 1
                self.at(node.listens_until_s + BREATH_S, lambda: self._send(node))
                return
            self._emit(node, node.send(self.now_s))
            self._listening.append(node)
        elif isinstance(node, SigfoxNode) and node.member.traffic.controlled:
            self._messages += 1
            self._waiting[node.member.name, self._messages] = _Report(node, self.now_s, 0.0, sigfox.COPIES)
            self.backend.ask(node.member.name, self._messages, node.member.traffic.payload_bytes)
        else:
            self._emit(node, node.send(self.now_s))

    def _emit(self, node: Node, planned: list[Emission]) -> None:
        first = planned[0]
        report = _Report(node, self.now_s + first.after_s, first.center_hz, len(planned), join=first.join)
        for emission in planned:
            self._emit_one(report, emission, self.now_s + emission.after_s)

    def _emit_one(self, report: _Report, emission: Emission, start_s: float, message: int = 0) -> None:
        """Put one frame or copy on the air, if the duty cycle has room for it."""
        member = report.node.member
        bandwidth_hz = sigfox.MICRO_CHANNEL_HZ if emission.spreading_factor is None else 125e3
        ledgers = self._ledgers.setdefault(member.name, Ledgers())
        if not ledgers.take(emission.center_hz, bandwidth_hz, start_s, emission.airtime_s):
            self.tally.counts["held_back_by_duty_cycle"] += 1
            self._over(report, HELD_BACK)
            return
        one = Transmission(
            transmission_id=self._number(),
            kind="sigfox" if emission.spreading_factor is None else "lora",
            start_s=start_s,
            airtime_s=emission.airtime_s,
            center_hz=emission.center_hz,
            bandwidth_hz=bandwidth_hz,
            eirp_dbm=emission.eirp_dbm,
            x_m=member.x_m,
            y_m=member.y_m,
            source=member.name,
            payload=emission.payload,
            spreading_factor=emission.spreading_factor,
            coding_rate=emission.coding_rate,
            copy=emission.copy,
        )
        if message:
            report.numbers[one.transmission_id] = (message, emission.copy)
        if member.traffic.controlled:
            self.sent_by_controlled.append(one)
        self._put(one)
        self.at(one.end_s, lambda: self._frame_ends(one, report), ENDS)

    def _put(self, one: Transmission) -> None:
        self.air.put(one)
        self.at(one.start_s, lambda: self._starts(one))

    def _starts(self, one: Transmission) -> None:
        for receiver in self._receivers:
            receiver.starts(one)

    def _frame_ends(self, one: Transmission, report: _Report) -> None:
        verdicts = [receiver.ends(one) for receiver in self._receivers]
        decoded = [verdict for verdict in verdicts if verdict.decoded]
        self.tally.counts["copies_at_other_gateways"] += max(0, len(decoded) - 1)
        for verdict in verdicts:
            if verdict.reason:
                self.tally.counts[f"{verdict.receiver}: {verdict.reason}"] += 1
        if one.kind == "lora":
            for verdict in decoded:
                self.backend.heard(verdict.receiver, one, verdict)
        if one.transmission_id in report.numbers:
            self.backend.sent(one.source, *report.numbers[one.transmission_id], one.center_hz)
        self._over(report, fate(verdicts))

    def _over(self, report: _Report, reason: str) -> None:
        """One transmission of a report is over: it is delivered when any was decoded, and lost when none is left."""
        report.left -= 1
        if report.reason and (reason != HELD_BACK or report.reason == UNSENT):
            report.reason = reason
        if report.left > 0:
            return
        if report.join:
            self.tally.counts["joins_lost" if report.reason else "joins_heard"] += 1
            return
        if report.reason == HELD_BACK:
            return
        member = report.node.member
        factor = member.spreading_factor if member.traffic.kind == "lora" else None
        self.tally.fates.append(
            Fate(
                member.name, member.traffic.kind, member.traffic.controlled, factor, report.start_s, report.center_hz,
                report.reason,
            )
        )  # fmt: skip

    def _permitted(self, permission: Permission) -> None:
        """A controlled SigFox endpoint may send, or not."""
        report = self._waiting.pop((permission.device, permission.number), None)
        if report is None:
            return
        node = report.node
        assert isinstance(node, SigfoxNode)
        if permission.refused == "duty-cycle":
            self.tally.counts["refused_duty_cycle"] += 1
            return
        if not permission.copies:
            self.tally.counts["sigfox_at_random"] += 1
            self._emit(node, node.send(self.now_s))
            return
        report.left = len(permission.copies)
        for copy, low_hz, high_hz, start_s in permission.copies:
            emission = node.obey(copy, low_hz, high_hz, 0.0)
            report.center_hz = report.center_hz or emission.center_hz
            self._emit_one(report, emission, max(start_s, self.now_s), permission.number)

    def _downlink(self, gateway: str, taken: Scheduled) -> None:
        """A gateway will send: it is deaf meanwhile, and the devices that listen may hear it."""
        place = next(one for one in self.scene.gateways if one.name == gateway)
        transmit = taken.transmit
        factor = int(transmit.datr[2 : transmit.datr.index("B")])
        one = Transmission(
            transmission_id=self._number(),
            kind="lora",
            start_s=max(taken.start_s, self.now_s),
            airtime_s=taken.airtime_s,
            center_hz=float(transmit.center_hz),
            bandwidth_hz=125e3,
            eirp_dbm=transmit.power_dbm + place.antenna_gain_dbi,
            x_m=place.x_m,
            y_m=place.y_m,
            source=gateway,
            payload=transmit.frame,
            spreading_factor=factor,
            downlink=True,
        )
        self.tally.counts["downlinks"] += 1
        self._put(one)
        self.at(one.start_s, lambda: self._downlink_starts(one))

    def _downlink_starts(self, one: Transmission) -> None:
        assert one.spreading_factor is not None
        datr = datr_of(data_rate_of(one.spreading_factor))
        listening = [n for n in self._listening if n.awaits(one.start_s, round(one.center_hz), datr)]
        for node in listening:
            node.listens_until_s = max(node.listens_until_s, one.end_s)
        self.at(one.end_s, lambda: self._downlink_ends(one, listening), ENDS)

    def _downlink_ends(self, one: Transmission, listening: list[LorawanNode]) -> None:
        figure_db = self.scene.propagation.noise_figure_db
        noise_mw = mw_from_dbm(noise_dbm(one.bandwidth_hz, figure_db))
        beside = self.air.transmissions_between(one.start_s, one.end_s)
        taken = False
        for node in listening:
            power_dbm = received_power_dbm(self.scene, one, node.member)
            others = [
                (other, mw_from_dbm(received_power_dbm(self.scene, other, node.member)))
                for other in beside
                if other.source != node.member.name
            ]
            reason = judge(one, mw_from_dbm(power_dbm), others, noise_mw, self.rules)
            if hears(one, power_dbm, figure_db, self.rules) and not reason:
                taken = node.hears(one.payload) or taken
        self.tally.counts["downlinks_taken" if taken else "downlinks_lost"] += 1
