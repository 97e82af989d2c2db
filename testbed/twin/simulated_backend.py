"""The agents of a site in simulated time: the very agent, network server and allocator, without sockets in between."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from typing import Final

from channel_status import records
from channel_status.memory import MemoryDatabase
from controller.allocator import Allocator
from controller.codec import answer_message, ask_of
from controller.gateways import Gateways
from controller.interference import InterferenceWatch
from controller.requests import Answer, Ask
from gateway_agent.gateway_door import Acknowledged, Uplinks
from gateway_agent.lorawan.devices import Device, DeviceKeys
from gateway_agent.lorawan.network import LorawanNetwork
from gateway_agent.lorawan.region_eu868 import datr_of
from gateway_agent.lorawan.store import DatabaseStore
from gateway_agent.lorawan_agent import GATHER_S, LorawanAgent
from gateway_agent.running import cf_list_of
from gateway_agent.semtech_udp import Received, Transmit
from gateway_agent.wire import controller_pb2 as wire
from spectrum import sigfox
from spectrum.lora import data_rate_of
from spectrum.site_file import DeviceTable, LorawanTable, Site
from testbed.packet_forwarder import Concentrator, Scheduled, counter_us
from testbed.twin.air import Transmission
from testbed.twin.live_backend import eui_of
from testbed.twin.population import Member, controlled, key_of
from testbed.twin.reception import Verdict
from testbed.twin.scene import Scene
from testbed.twin.site import Permission
from testbed.twin.site_files import agent_name

# When a simulated scene begins, in seconds since the epoch: any whole day does, and the same one for all.
EPOCH_S: Final = 1_767_225_600.0

# After the agent has gathered a frame's copies it answers; simulated time moves on by this much more.
JUST_AFTER_S: Final = 1e-3

# How often leases that are over are swept, as the controller does.
SWEEP_S: Final = 0.25

# How often the controller looks whether a subchannel has turned bad.
LOOK_S: Final = 1.0


class SimulatedDoor:
    """A GatewayDoor whose gateways are the concentrators of the scene. now: seconds of the scene."""

    def __init__(self, scene: Scene, now: Callable[[], float]) -> None:
        self._now = now
        self._names = {eui_of(number): gateway.name for number, gateway in enumerate(scene.gateways)}
        self._concentrators = {eui: Concentrator() for eui in self._names}
        self._euis = {name: eui for eui, name in self._names.items()}
        self._events: list[Uplinks | Acknowledged] = []
        self._numbers = 0
        self.taken: list[tuple[str, Scheduled]] = []
        self.counts: Counter[str] = Counter()

    def heard(self, gateway: str, received: Received) -> None:
        """A gateway has decoded a frame."""
        self._events.append(Uplinks(self._euis[gateway], (received,)))

    def poll(self, timeout_s: float) -> list[Uplinks | Acknowledged]:
        """See GatewayDoor.poll; nobody waits in simulated time."""
        events, self._events = self._events, []
        return events

    def send(self, gateway: bytes, transmit: Transmit) -> int | None:
        """See GatewayDoor.send."""
        self._numbers += 1
        answer = self._concentrators[gateway].schedule(transmit, self._now())
        if isinstance(answer, Scheduled):
            self.taken.append((self._names[gateway], answer))
        self._events.append(Acknowledged(self._numbers, answer if isinstance(answer, str) else "NONE"))
        return self._numbers

    def last_heard_s(self) -> float | None:
        """See GatewayDoor.last_heard_s."""
        return None

    def close(self) -> None:
        """Nothing is held."""


class DirectLink:
    """The agent's link with the allocator at its other end. now: seconds since the epoch. answer: of the allocator."""

    def __init__(
        self,
        allocator: Allocator,
        answer: Callable[[Ask], Answer],
        gateway: str,
        now: Callable[[], float],
    ) -> None:
        self._allocator, self._answer, self._gateway, self._now = allocator, answer, gateway, now
        self.uplinks = 0

    def request(
        self, request: wire.LeaseRequest, answered: Callable[[wire.LeaseAnswer], None], patience_s: float
    ) -> None:
        """Answered before it returns."""
        answered(answer_message(self._answer(ask_of(request, self._gateway))))

    def confirm(self, lease_id: str) -> None:
        """See lorawan_agent.Link."""
        self._allocator.confirm(lease_id, self._now(), self._gateway)

    def renew(self, lease_id: str, end_s: float) -> None:
        """See lorawan_agent.Link."""
        self._allocator.renew(lease_id, end_s, self._now(), self._gateway)

    def release(self, lease_id: str, reason: str) -> None:
        """See lorawan_agent.Link."""
        self._allocator.release(lease_id, reason, self._now(), self._gateway)

    def report(self, uplink: wire.Uplink) -> None:
        """See lorawan_agent.Link."""
        self.uplinks += 1

    def give_up_overdue(self) -> int:
        """Nothing is ever overdue."""
        return 0


class SimulatedBackend:
    """See `site.Backend`. now, before_asking: set by who owns the site. wakes: when to step again."""

    def __init__(self, scene: Scene, site: Site, members: tuple[Member, ...]) -> None:
        self.now: Callable[[], float] = lambda: 0.0
        self.database = MemoryDatabase()
        self.allocator = Allocator(site, self.database)
        self.door = SimulatedDoor(scene, lambda: self.now())
        self._sigfox_gateway = f"{agent_name(scene)}-sigfox"
        self._leases: dict[tuple[str, int, int], str] = {}
        self._permissions: list[Permission] = []
        self._payload = {member.name: member.traffic.payload_bytes for member in members}
        self.before_asking: Callable[[], None] = lambda: None
        self.link = DirectLink(self.allocator, self.answer, agent_name(scene), self.epoch_now)
        self.agent = self._agent(scene, site, members)
        self.interference = self._watch(scene, site)
        self.wakes: list[float] = []
        self._swept_s = self._watched_s = 0.0

    def epoch_now(self) -> float:
        """Seconds since the epoch."""
        return EPOCH_S + self.now()

    def answer(self, ask: Ask) -> Answer:
        """The allocator's answer to one request, now."""
        self.before_asking()
        return self.allocator.answer([ask], self.epoch_now())[0]

    def _watch(self, scene: Scene, site: Site) -> InterferenceWatch:
        """The controller's watch over subchannels that turn bad, its warnings carried to the agent."""
        gateways = Gateways(site, self.database)
        gateways.attach(agent_name(scene), EPOCH_S)

        def send(gateway: str, message: wire.ControllerMessage) -> None:
            for warning in message.warnings:
                if self.agent is not None:
                    self.agent.hear_controller(warning)

        gateways.send = send
        return InterferenceWatch(self.allocator, gateways, self.database)

    def _agent(self, scene: Scene, site: Site, members: tuple[Member, ...]) -> LorawanAgent | None:
        devices = [
            Device(table_of(member, agent_name(scene)), _keys(scene, member)) for member in controlled(members, "lora")
        ]
        if not devices:
            return None
        network = LorawanNetwork(devices, DatabaseStore(self.database, site.name), cf_list_hz=cf_list_of(site))
        table = LorawanTable(
            channels=scene.steering.channels,
            lease_s=scene.steering.lease_s,
            replan_after_lost=scene.steering.replan_after_lost,
            rx2_for_commands=scene.steering.rx2_for_commands,
            antenna_gain_dbi=scene.gateways[0].antenna_gain_dbi,
        )
        return LorawanAgent(self.door, network, self.link, table, clock=self.epoch_now)

    def heard(self, gateway: str, frame: Transmission, verdict: Verdict) -> None:
        """See Backend.heard; the agent answers when it has gathered the copies."""
        if self.agent is None:
            return
        assert frame.spreading_factor is not None
        datr = datr_of(data_rate_of(frame.spreading_factor))
        received = Received(
            frame.payload, counter_us(frame.end_s), round(frame.center_hz), datr, verdict.power_dbm, verdict.snr_db
        )
        self.door.heard(gateway, received)
        self.agent.step(0.0)
        heapq.heappush(self.wakes, self.now() + GATHER_S + JUST_AFTER_S)

    def step(self) -> None:
        """Let the agent do what is due, and sweep what has ended."""
        while self.wakes and self.wakes[0] <= self.now():
            heapq.heappop(self.wakes)
        if self.agent is not None:
            self.agent.step(0.0)
        if self.now() - self._swept_s >= SWEEP_S:
            self._swept_s = self.now()
            self.allocator.expire(self.epoch_now())
        if self.now() - self._watched_s >= LOOK_S:
            self._watched_s = self.now()
            self.interference.look(self.epoch_now())

    def downlinks(self) -> list[tuple[str, Scheduled]]:
        """See Backend.downlinks."""
        taken, self.door.taken = self.door.taken, []
        return taken

    def ask(self, device: str, number: int, payload_bytes: int) -> None:
        """See Backend.ask: three leases, one after the other."""
        ask = Ask(
            f"{device}-{number}-{round(self.epoch_now() * 1e6)}", device, self._sigfox_gateway, "sigfox",
            sigfox.airtime_s(payload_bytes), sigfox.COPIES,
        )  # fmt: skip
        answer = self.answer(ask)
        if answer.refusal is not None:
            why = "duty-cycle" if answer.refusal.reason == "duty_cycle" else "refused"
            self._permissions.append(Permission(device, number, refused=why))
            return
        half_hz = sigfox.MICRO_CHANNEL_HZ / 2
        copies = []
        for copy, lease in enumerate(answer.leases):
            group = lease.subchannel
            self._leases[device, number, copy] = lease.lease_id
            copies.append(
                (copy, round(group.low_hz + half_hz), round(group.high_hz - half_hz), lease.start_s - EPOCH_S)
            )
        self._permissions.append(Permission(device, number, tuple(copies)))

    def permissions(self) -> list[Permission]:
        """See Backend.permissions."""
        found, self._permissions = self._permissions, []
        return found

    def sent(self, device: str, number: int, copy: int, center_hz: float) -> None:
        """See Backend.sent."""
        lease_id = self._leases.pop((device, number, copy), None)
        if lease_id is not None:
            self.allocator.confirm(lease_id, self.epoch_now(), self._sigfox_gateway)

    def decisions(self) -> Counter[str]:
        """How many requests were granted and forced, as far as the event stream reaches back."""
        events = self.database.read(self.allocator.site.name, "events", count=1_000_000)
        return Counter(records.decode(entry.value)["event"] for entry in events)


def table_of(member: Member, gateway: str) -> DeviceTable:
    """A controlled LoRaWAN device as the site file has it."""
    traffic = member.traffic
    return DeviceTable(
        name=member.name,
        gateway=gateway,
        dev_eui=f"{member.dev_eui:016x}",
        activation=traffic.activation,
        dev_addr=f"{member.dev_addr:08x}" if traffic.activation == "abp" else None,
        lorawan=traffic.lorawan,
    )


def _keys(scene: Scene, member: Member) -> DeviceKeys:
    if member.traffic.activation == "otaa":
        return DeviceKeys(app_key=key_of(scene, member, "app").hex())
    return DeviceKeys(nwk_s_key=key_of(scene, member, "nwk_s").hex(), app_s_key=key_of(scene, member, "app_s").hex())
