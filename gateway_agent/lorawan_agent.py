"""The agent of a gateway with LoRaWAN devices: uplinks in, leases asked for, MAC commands and acknowledgements out.

One thread runs it; answers of the controller come in through a queue. Each frame is judged at once and answered a
little later (GATHER_S): meanwhile other gateways' copies of it arrive, and the controller's answer.
"""

from __future__ import annotations

import heapq
import logging
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway_agent.downlink import AirUsed, GatewayAir, Window, air_used, choose, frame_airtime_s, windows
from gateway_agent.gateway_door import Acknowledged, GatewayDoor, Uplinks
from gateway_agent.leased import Leased
from gateway_agent.lorawan.devices import Device
from gateway_agent.lorawan.network import Heard, LorawanNetwork
from gateway_agent.lorawan.region_eu868 import RX2_CENTER_HZ
from gateway_agent.lorawan.steering import DeviceState, Plan, obeyed, wanted_hz
from gateway_agent.semtech_udp import Received
from gateway_agent.wire import controller_pb2 as wire
from spectrum.site_file import LorawanTable

log = logging.getLogger(__name__)

# Copies of one frame by several gateways, and the controller's answer, arrive within this long; RX1 opens after 1 s.
GATHER_S: Final = 0.2

# A frame is handed over at least this long before its window opens: the way to the gateway and its own lead time.
LEAD_S: Final = 0.1

# A device whose controller does not answer keeps the plan it has.
PATIENCE_S: Final = 1.0

# A device that refuses every subchannel of so many plans keeps what it has until the last one's time is over.
MOST_REFUSED_PLANS: Final = 8

Answered = Callable[[wire.LeaseAnswer], None]


class Link(Protocol):
    """What is used of ControllerLink."""

    def request(
        self, request: wire.LeaseRequest, answered: Callable[[wire.LeaseAnswer], None], patience_s: float
    ) -> None:
        """Ask for a lease."""

    def confirm(self, lease_id: str) -> None:
        """A device has obeyed."""

    def renew(self, lease_id: str, end_s: float) -> None:
        """Hold a lease until `end_s`."""

    def release(self, lease_id: str, reason: str) -> None:
        """Give a lease back."""

    def report(self, uplink: wire.Uplink) -> None:
        """Report a reception."""

    def give_up_overdue(self) -> int:
        """Refuse what was not answered in time."""


@dataclass(slots=True)
class _Gathered:
    """One frame and where its copies were heard: the gateway with the best SNR answers."""

    heard: Heard
    gateway: bytes
    received: Received


@dataclass(slots=True)
class _OnTheWay:
    """A downlink that was handed over, and the windows that are left if the gateway refuses it."""

    device: Device
    gateway: bytes
    left: tuple[Window, ...]


@dataclass(slots=True)
class LorawanAgent:
    """See the module. clock: seconds since the epoch. tell: hears of what happened to a device: name, event, detail.

    leases: what each device holds; plans: what it should have, which outlasts the leases behind it.
    """

    door: GatewayDoor
    network: LorawanNetwork
    link: Link
    table: LorawanTable
    clock: Callable[[], float] = time.time
    gather_s: float = GATHER_S
    tell: Callable[[str, str, str], None] = lambda device, event, detail: None
    counts: Counter[str] = field(default_factory=Counter)
    leases: dict[str, Leased] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    airs: dict[bytes, GatewayAir] = field(default_factory=dict)
    # for other threads: replaced whole, about once a second
    used: tuple[AirUsed, ...] = ()
    _used_s: float = -math.inf
    _asking: set[str] = field(default_factory=set)
    _answers: queue.SimpleQueue[tuple[Device, wire.LeaseAnswer]] = field(default_factory=queue.SimpleQueue)
    _news: queue.SimpleQueue[wire.LeaseChange | wire.LeaseWarning] = field(default_factory=queue.SimpleQueue)
    _gathering: dict[bytes, _Gathered] = field(default_factory=dict)
    _due: list[tuple[float, int, bytes]] = field(default_factory=list)
    _on_the_way: dict[int, _OnTheWay] = field(default_factory=dict)
    _count: int = 0

    @property
    def busy(self) -> bool:
        """Whether a frame waits for its answer."""
        return bool(self._due)

    def hear_controller(self, news: wire.LeaseChange | wire.LeaseWarning) -> None:
        """What the controller says of a lease, from any thread."""
        self._news.put(news)

    def run(self, stop: threading.Event, seconds: float | None = None) -> None:
        """Serve until `stop`, or for `seconds`."""
        until_s = None if seconds is None else self.clock() + seconds
        while not stop.is_set() and (until_s is None or self.clock() < until_s):
            self.step(0.02)
        self.release_all("the agent was stopped")

    def release_all(self, reason: str) -> None:
        """Give all leases back; the devices keep their channels."""
        for leased in self.leases.values():
            self._end(leased, reason, self.clock())

    def step(self, timeout_s: float) -> None:
        """Take what has come, answer what is due."""
        if not 0.0 <= self.clock() - self._used_s < 1.0:
            self._used_s = self.clock()
            self.used = air_used(self.airs.values(), self._used_s)
        with suppress(queue.Empty):
            while True:
                self._take_news(self._news.get_nowait())
        for event in self.door.poll(timeout_s):
            if isinstance(event, Uplinks):
                for received in event.frames:
                    self._take(event.gateway, received)
            else:
                self._acknowledged(event)
        self.link.give_up_overdue()
        with suppress(queue.Empty):
            while True:
                self._plan(*self._answers.get_nowait())
        now_s = self.clock()
        while self._due and self._due[0][0] <= now_s:
            _, _, frame = heapq.heappop(self._due)
            self._answer(self._gathering.pop(frame))

    def _take(self, gateway: bytes, received: Received) -> None:
        copy = self._gathering.get(received.frame)
        if copy is not None:
            self.counts["copies"] += 1
            if received.snr_db > copy.received.snr_db:
                copy.gateway, copy.received = gateway, received
            return
        now_s = self.clock()
        heard = self.network.hear(received, now_s)
        if heard is None:
            return
        self._gathering[received.frame] = _Gathered(heard, gateway, received)
        self._count += 1
        heapq.heappush(self._due, (now_s + self.gather_s, self._count, received.frame))
        if heard.counter is not None and heard.is_new:
            self.link.report(_report(heard))
            self._see_lease(heard, now_s)

    def _see_lease(self, heard: Heard, now_s: float) -> None:
        """Confirm what is obeyed, end what is over, ask for what is missing."""
        name = heard.device.name
        leased = self.leases.get(name)
        if leased is not None:
            self._replace_unfit(name, leased)
            state = self.network.session_of(heard.device).state
            if leased.confirmed:
                leased.count(heard.missed)
            reason = heard.wants_plan or self._over(name, leased, state, now_s)
            if reason:
                self._end(leased, reason, now_s)
                self.tell(name, "lease-over", reason)
            elif not leased.confirmed and obeyed(state, self.plans[name]):
                self._confirm(leased, wanted_hz(state, self.plans[name]))
        wanted = self.table.channels if leased is None else leased.asks_for(self.table.channels, now_s)
        if wanted and name not in self._asking:
            self._ask(heard, wanted, now_s)

    def _take_news(self, news: wire.LeaseChange | wire.LeaseWarning) -> None:
        """A warning, a renewal that was granted or refused, a lease that somebody ended."""
        name, leased = next(
            ((name, one) for name, one in self.leases.items() if news.lease_id in one.subchannels_hz), ("", None)
        )
        if leased is None:
            return
        if isinstance(news, wire.LeaseWarning):
            if leased.mark(news.lease_id, news.reason, lost=False):
                self.counts["leases_warned"] += 1
                self.tell(name, "lease-warned", news.reason)
        elif not news.HasField("lease"):
            reason = "it was not renewed: others have the subchannel, or somebody has ended it"
            if leased.mark(news.lease_id, reason, lost=True):
                self.counts["leases_lost"] += 1
                self.tell(name, "lease-lost", f"{leased.subchannels_hz[news.lease_id] / 1e6:.3f} MHz: {reason}")
        else:
            leased.ends_s = min(leased.ends_s, news.lease.end_us / 1e6)

    def _replace_unfit(self, name: str, leased: Leased) -> None:
        """Steer to what is left when subchannels have turned bad or were lost; with nothing left the plan holds."""
        given_up = leased.give_up()
        for one in given_up:
            if not one.lost:
                self.link.release(one.lease_id, one.reason)
            self.tell(name, "lease-given-up", f"{one.center_hz / 1e6:.3f} MHz: {one.reason}")
        self.counts["leases_given_up"] += len(given_up)
        if given_up and leased.subchannels_hz:
            self._set_plan(name, leased)

    def _set_plan(self, name: str, leased: Leased) -> None:
        self.plans[name] = plan_of(list(leased.subchannels_hz.values()), self.table)
        leased.confirmed = False
        leased.missing.clear()

    def _over(self, name: str, leased: Leased, state: DeviceState, now_s: float) -> str:
        """Why the leases are over, or an empty string."""
        if leased.ends_s <= now_s:
            return "its time is over"
        most = self.table.replan_after_lost
        if most is not None and sum(leased.missing) >= most:
            return f"{sum(leased.missing)} of its last {len(leased.missing)} frames are missing"
        useless = leased.subchannels_hz and not wanted_hz(state, self.plans[name])
        return "the device refused all of it" if useless and leased.tries < MOST_REFUSED_PLANS else ""

    def _end(self, leased: Leased, reason: str, now_s: float) -> None:
        """Give the leases back. The plan itself holds until there is a new one: degrade, do not flap."""
        for lease_id in leased.subchannels_hz:
            self.link.release(lease_id, reason)
        self.counts["leases_ended"] += bool(leased.subchannels_hz)
        leased.subchannels_hz, leased.ends_s, leased.wanting = {}, now_s, 0
        leased.unfit.clear()

    def _confirm(self, leased: Leased, obeyed_hz: frozenset[int]) -> None:
        """Confirm the leases that the device obeys, and give back those it refused."""
        leased.confirmed = True
        self.counts["plans_obeyed"] += 1
        leased.in_peace = not obeyed_hz
        for lease_id, center_hz in tuple(leased.subchannels_hz.items()):
            if center_hz in obeyed_hz:
                self.link.confirm(lease_id)
            else:
                self.link.release(lease_id, "the device refused it")
                del leased.subchannels_hz[lease_id]

    def _ask(self, heard: Heard, subchannels: int, now_s: float) -> None:
        device, received = heard.device, heard.received
        airtime_s = frame_airtime_s(received.datr, len(received.frame))
        request = wire.LeaseRequest(
            request_id=f"{device.name}-{heard.counter}-{round(now_s * 1e6)}",
            device=device.name,
            technology=wire.LORA,
            airtime_us=round(airtime_s * 1e6),
            copies=subchannels,
        )
        self._asking.add(device.name)
        self.counts["leases_asked"] += 1
        self.link.request(request, lambda answer: self._answers.put((device, answer)), PATIENCE_S)

    def _plan(self, device: Device, answer: wire.LeaseAnswer) -> None:
        self._asking.discard(device.name)
        if not answer.leases:
            self.counts["leases_refused"] += 1
            log.info("device %s keeps its channels: %s", device.name, answer.refusal.message)
            return
        fresh = {lease.lease_id: lease.subchannel_hz for lease in answer.leases}
        leased = self._joined_with(device, fresh)
        for lease_id in fresh.keys() & leased.subchannels_hz.keys():
            self.link.renew(lease_id, leased.ends_s)
        self.leases[device.name] = leased
        self._set_plan(device.name, leased)
        self.counts["plans"] += 1
        channels = ", ".join(f"{center_hz / 1e6:.3f}" for center_hz in self.plans[device.name].centers_hz)
        self.tell(device.name, "plan", f"{channels} MHz")

    def _joined_with(self, device: Device, fresh: dict[str, int]) -> Leased:
        """New leases beside those that the device still holds; a new beginning when it holds none any more."""
        now_s, former = self.clock(), self.leases.get(device.name)
        if former is not None and former.ends_s > now_s:
            former.subchannels_hz, useless = former.merged(fresh)
            former.wanting = 0
            for lease_id in useless:
                self.link.release(lease_id, "of no use: the device has this subchannel, or has just left it")
            return former
        refused = former is not None and not wanted_hz(self.network.session_of(device).state, self.plans[device.name])
        tries = former.tries + 1 if former is not None and refused else 0
        return Leased(fresh, now_s + self.table.lease_s, tries)

    def _answer(self, gathered: _Gathered) -> None:
        heard = gathered.heard
        frame = self.network.downlink(heard, self.plans.get(heard.device.name))
        if frame is None:
            return
        options = windows(
            gathered.received, frame, heard.at_s, join=bool(heard.join_accept),
            antenna_gain_dbi=self.table.antenna_gain_dbi,
        )  # fmt: skip
        if not (heard.must_answer or self.table.rx2_for_commands):
            options = tuple(one for one in options if one.transmit.center_hz != RX2_CENTER_HZ)
        self._send(_OnTheWay(heard.device, gathered.gateway, options))

    def _send(self, way: _OnTheWay) -> None:
        """Hand the frame over for the first window that is left and allowed."""
        air = self.airs.setdefault(way.gateway, GatewayAir())
        window = choose(air, way.left, self.clock() + LEAD_S)
        if window is None:
            self.counts["downlinks_without_window"] += 1
            self.network.not_sent(way.device)
            return
        air.count(window)
        number = self.door.send(way.gateway, window.transmit)
        if number is None:
            self.network.not_sent(way.device)
            return
        self.counts["downlinks"] += 1
        left = tuple(one for one in way.left if one.starts_s > window.starts_s)
        self._on_the_way[number] = _OnTheWay(way.device, way.gateway, left)
        while len(self._on_the_way) > 4096:
            del self._on_the_way[next(iter(self._on_the_way))]

    def _acknowledged(self, said: Acknowledged) -> None:
        """NONE is well; any error means it was not sent: the next window is tried, then the next uplink awaited."""
        way = self._on_the_way.pop(said.downlink, None)
        if said.error == "NONE" or way is None:
            return
        self.counts[f"refused_by_gateway_{said.error.lower()}"] += 1
        log.info("the gateway did not send to %s: %s", way.device.name, said.error)
        self._send(way)


def plan_of(centers_hz: list[int], table: LorawanTable) -> Plan:
    """The plan that leased subchannels make."""
    return Plan(tuple(sorted(set(centers_hz))), nb_trans=table.nb_trans, duty_cycle_exponent=table.duty_cycle_exponent)


def _report(heard: Heard) -> wire.Uplink:
    received = heard.received
    return wire.Uplink(
        device=heard.device.name,
        at_us=round(heard.at_s * 1e6),
        subchannel_hz=received.center_hz,
        rssi_dbm=received.rssi_dbm,
        snr_db=received.snr_db,
        size_bytes=len(received.frame),
    )
