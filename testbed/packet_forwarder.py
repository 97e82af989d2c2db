"""A virtual packet forwarder: Semtech UDP v2 from the gateway's side, over a real socket.

It has a concentrator's counter and refuses what a concentrator refuses: too late, too early, in the way of another
frame, out of its band, too strong.
"""

from __future__ import annotations

import select
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway_agent import semtech_udp
from gateway_agent.downlink import frame_airtime_s
from gateway_agent.semtech_udp import COUNTER_MODULUS, Datagram, Kind, Malformed, Received, Transmit

# A concentrator takes a frame up to about two minutes ahead, and needs some milliseconds to load it.
TOO_EARLY_S: Final = 120.0
LEAD_S: Final = 0.01
MOST_POWER_DBM: Final = 30
LOWEST_HZ: Final = 863_000_000
HIGHEST_HZ: Final = 870_000_000


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A frame that a concentrator has taken, and when it starts on the concentrator's clock."""

    transmit: Transmit
    start_s: float

    @property
    def airtime_s(self) -> float:
        """How long it will be on the air."""
        return frame_airtime_s(self.transmit.datr, len(self.transmit.frame))


def counter_us(time_s: float) -> int:
    """A concentrator's counter at a time of its clock."""
    return round(time_s * 1e6) % COUNTER_MODULUS


@dataclass(slots=True)
class Concentrator:
    """What a concentrator takes, and what it refuses. Pure: time is an argument."""

    _busy: list[tuple[float, float]] = field(default_factory=list)

    def schedule(self, transmit: Transmit, now_s: float) -> Scheduled | str:
        """The frame as it will be sent, or the error of the TX_ACK."""
        ahead_us = 0 if transmit.tmst is None else (transmit.tmst - counter_us(now_s)) % COUNTER_MODULUS
        ahead_s = (ahead_us if ahead_us < COUNTER_MODULUS // 2 else ahead_us - COUNTER_MODULUS) / 1e6
        if transmit.tmst is not None and ahead_s < LEAD_S:
            return "TOO_LATE"
        if ahead_s > TOO_EARLY_S:
            return "TOO_EARLY"
        if not LOWEST_HZ <= transmit.center_hz <= HIGHEST_HZ:
            return "TX_FREQ"
        if transmit.power_dbm > MOST_POWER_DBM:
            return "TX_POWER"
        taken = Scheduled(transmit, now_s + ahead_s)
        end_s = taken.start_s + taken.airtime_s
        self._busy = [one for one in self._busy if one[1] > now_s]
        if any(taken.start_s < busy_end_s and busy_start_s < end_s for busy_start_s, busy_end_s in self._busy):
            return "COLLISION_PACKET"
        self._busy.append((taken.start_s, end_s))
        return taken


class VirtualForwarder:
    """One gateway at a server's address. clock: seconds; the concentrator's counter is its microseconds."""

    def __init__(self, server: tuple[str, int], eui: bytes, clock: Callable[[], float]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._server = server
        self._eui = eui
        self._clock = clock
        self._token = 0
        self._concentrator = Concentrator()
        self.counts: Counter[str] = Counter()

    def _send(self, kind: Kind, body: bytes = b"", token: int | None = None) -> None:
        if token is None:
            self._token = token = (self._token + 1) % 0x10000
        self._socket.sendto(semtech_udp.encode(Datagram(kind, token, self._eui, body)), self._server)

    def pull(self) -> None:
        """PULL_DATA: opens the way down, and keeps it open through address translation."""
        self._send(Kind.PULL_DATA)

    def push(
        self,
        frame: bytes,
        center_hz: int,
        datr: str,
        rssi_dbm: float = -90.0,
        snr_db: float = 7.0,
        ended_s: float | None = None,
    ) -> None:
        """PUSH_DATA of one frame that ended at `ended_s` of the clock, None for now."""
        tmst = counter_us(self._clock() if ended_s is None else ended_s)
        heard = Received(frame, tmst, center_hz, datr, rssi_dbm, snr_db)
        self._send(Kind.PUSH_DATA, semtech_udp.push_body((heard,)))

    def push_raw(self, data: bytes) -> None:
        """Any bytes, for tests of what a server makes of them."""
        self._socket.sendto(data, self._server)

    def poll(self, timeout_s: float) -> list[Transmit]:
        """Frames that will be on the air, of what came within `timeout_s`; the others are refused in their TX_ACK."""
        return [taken.transmit for taken in self.poll_scheduled(timeout_s)]

    def poll_scheduled(self, timeout_s: float) -> list[Scheduled]:
        """The same, with the times they start at."""
        taken = []
        while select.select([self._socket], [], [], timeout_s)[0]:
            timeout_s = 0.0
            data = self._socket.recv(65536)
            try:
                datagram = semtech_udp.decode(data)
            except Malformed:
                self.counts["malformed"] += 1
                continue
            self.counts[datagram.kind.name.lower()] += 1
            if datagram.kind != Kind.PULL_RESP:
                continue
            answer = self._concentrator.schedule(semtech_udp.transmit_of(datagram.body), self._clock())
            error = answer if isinstance(answer, str) else "NONE"
            self.counts[error] += 1
            self._send(Kind.TX_ACK, semtech_udp.tx_ack_body(error), datagram.token)
            if isinstance(answer, Scheduled):
                taken.append(answer)
        return taken

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()
