"""The virtual radio: class A devices that ask for a subchannel before each packet and then obey.

Nothing is emitted; every transmission becomes a value (Transmission) that tells when and where it would have been on
the air, so that collisions can be counted afterwards.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from gateway_agent.controller_link import ControllerLink
from gateway_agent.traffic import Packet
from gateway_agent.wire import controller_pb2 as wire
from spectrum.eu868 import Subchannel
from spectrum.site_file import Site

# A device waits this long for an answer; then it does what the standard does and sends at random.
PATIENCE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Transmission:
    """One transmission of a packet as it went on the air.

    attempt: 0 when the device sent at random because there was no lease. grant_ms: from request to lease. refused: why
    there was none.
    """

    packet: Packet
    copy: int
    subchannel: Subchannel
    start_s: float
    attempt: int
    forced: bool
    grant_ms: float | None
    refused: str = ""

    @property
    def end_s(self) -> float:
        """When it leaves the air."""
        return self.start_s + self.packet.device.airtime_s


@dataclass(frozen=True, slots=True)
class Dropped:
    """A packet that was not sent: the duty cycle forbids it."""

    packet: Packet
    reason: str


@dataclass(frozen=True, slots=True)
class _Answer:
    packet: Packet
    asked_s: float
    answer: wire.LeaseAnswer
    heard_s: float


class VirtualRadio:
    """Runs the packets of virtual devices in real time through a link.

    `clock` gives seconds since the epoch. `emit` hears of every transmission when it has been decided.
    """

    def __init__(
        self,
        site: Site,
        link: ControllerLink,
        packets: Iterator[Packet],
        emit: Callable[[Transmission | Dropped], None],
        *,
        rng: Random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._subchannels = {"lora": site.spectrum.lora, "sigfox": site.spectrum.sigfox}
        self._link = link
        self._packets = packets
        self._emit = emit
        self._rng = rng
        self._clock = clock
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._on_air: list[tuple[float, int, Transmission, str]] = []
        self._count = 0
        self.waiting = 0

    def run(self, stop: threading.Event, seconds: float | None = None) -> None:
        """Send packets for `seconds` (for ever when None) or until `stop`; then wait for what was asked."""
        started_s = self._clock()
        upcoming = next(self._packets, None)
        while not stop.is_set():
            elapsed_s = self._clock() - started_s
            while (
                upcoming is not None
                and upcoming.ready_s <= elapsed_s
                and (seconds is None or upcoming.ready_s < seconds)
            ):
                self._ask(upcoming)
                upcoming = next(self._packets, None)
            done = upcoming is None or (seconds is not None and upcoming.ready_s >= seconds)
            if done and not self.waiting and not self._on_air:
                return
            next_s = None if done or upcoming is None else upcoming.ready_s - elapsed_s
            self._settle(0.05 if next_s is None else min(0.05, max(0.0, next_s)))

    def _ask(self, packet: Packet) -> None:
        device, asked_s = packet.device, self._clock()
        request = wire.LeaseRequest(
            request_id=f"{packet.packet_id}-{round(asked_s * 1e6)}",
            device=device.name,
            technology=wire.LORA if device.technology == "lora" else wire.SIGFOX,
            airtime_us=round(device.airtime_s * 1e6),
            copies=device.copies,
            keeps_time=device.keeps_time,
        )
        self.waiting += 1
        self._link.request(
            request,
            lambda answer: self._answers.put(_Answer(packet, asked_s, answer, self._clock())),
            PATIENCE_S,
        )

    def _settle(self, timeout_s: float) -> None:
        """Handle what has been answered and what has left the air, for up to `timeout_s`."""
        self._link.give_up_overdue()
        with suppress(queue.Empty):
            self._obey(self._answers.get(timeout=timeout_s) if timeout_s > 0 else self._answers.get_nowait())
        now_s = self._clock()
        while self._on_air and self._on_air[0][0] <= now_s:
            _, _, transmission, lease_id = heapq.heappop(self._on_air)
            if lease_id:
                self._link.confirm(lease_id)
            self._link.report(_uplink(transmission))

    def _obey(self, heard: _Answer) -> None:
        """Send where the lease says; without a lease at once and at random, as the standards do."""
        self.waiting -= 1
        leases = list(heard.answer.leases)
        grant_ms = (heard.heard_s - heard.asked_s) * 1e3
        if heard.answer.refusal.reason == wire.Refusal.DUTY_CYCLE:
            self._emit(Dropped(heard.packet, heard.answer.refusal.message))
            return
        for copy, lease in enumerate(leases):
            where = Subchannel(float(lease.subchannel_hz), float(lease.bandwidth_hz))
            start_s = lease.start_us / 1e6
            self._send(
                Transmission(heard.packet, copy, where, start_s, lease.attempt, lease.forced, grant_ms), lease.lease_id
            )
        if not leases:
            self._send_at_random(heard)

    def _send_at_random(self, heard: _Answer) -> None:
        device = heard.packet.device
        for copy in range(device.copies):
            where = self._rng.choice(self._subchannels[device.technology])
            start_s = heard.heard_s + copy * device.airtime_s
            refused = heard.answer.refusal.message
            self._send(Transmission(heard.packet, copy, where, start_s, 0, True, None, refused), "")

    def _send(self, transmission: Transmission, lease_id: str) -> None:
        self._count += 1
        heapq.heappush(self._on_air, (transmission.end_s, self._count, transmission, lease_id))
        self._emit(transmission)


def _uplink(transmission: Transmission) -> wire.Uplink:
    """The reception as a gateway reports it; the virtual radio has no propagation, so levels are nominal."""
    return wire.Uplink(
        device=transmission.packet.device.name,
        at_us=round(transmission.end_s * 1e6),
        subchannel_hz=round(transmission.subchannel.center_hz),
        rssi_dbm=-100.0,
        snr_db=10.0,
        size_bytes=25 if transmission.packet.device.technology == "lora" else 8,
    )
