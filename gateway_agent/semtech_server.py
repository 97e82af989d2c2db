"""The UDP door to packet forwarders (Semtech UDP v2). No retries: the protocol has none, and neither have we.

Acknowledgements go out before anything is thought about; a datagram that is none is counted and dropped.
"""

from __future__ import annotations

import select
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from gateway_agent import semtech_udp
from gateway_agent.gateway_door import Acknowledged, Uplinks
from gateway_agent.semtech_udp import Datagram, Kind, Malformed, Transmit
from spectrum.errors import Failed

Address = tuple[str, int]

# Forwarders beyond this many are not remembered: an EUI is only a claim, and memory is not.
MOST_FORWARDERS: Final = 4096

# A downlink whose TX_ACK has not come after so many newer ones is forgotten.
MOST_UNACKNOWLEDGED: Final = 4096

# Datagrams taken in one go, so that a flood cannot keep the agent from its downlinks.
MOST_AT_ONCE: Final = 256


class SemtechServer:
    """One UDP port. allowed: EUIs that are heard, any when empty. capture: hears of each datagram that passed."""

    def __init__(
        self,
        listen: Address,
        *,
        allowed: frozenset[bytes] = frozenset(),
        capture: Callable[[Address, Address, bytes], None] = lambda source, target, data: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind(listen)
        except OSError as error:
            self._socket.close()
            raise Failed(f"cannot listen on UDP {listen[0]}:{listen[1]}: {error.strerror}") from None
        self._socket.setblocking(False)
        self.address: Address = self._socket.getsockname()
        self._allowed = allowed
        self._capture = capture
        self._clock = clock
        self._pull_addresses: dict[bytes, Address] = {}
        self._heard_s: float | None = None
        self._token = 0
        self._unacknowledged: dict[tuple[bytes, int], int] = {}
        self._sent = 0
        self.counts: Counter[str] = Counter()

    def poll(self, timeout_s: float) -> list[Uplinks | Acknowledged]:
        """See GatewayDoor.poll."""
        if not select.select([self._socket], [], [], max(0.0, timeout_s))[0]:
            return []
        events: list[Uplinks | Acknowledged] = []
        for _ in range(MOST_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(semtech_udp.LONGEST_DATAGRAM + 1)
            except BlockingIOError:
                break
            except OSError:
                self.counts["socket_errors"] += 1  # an ICMP answer to an earlier datagram: its forwarder has gone
                continue
            self._capture(source, self.address, data)
            event = self._take(data, source)
            if event is not None:
                events.append(event)
        return events

    def _take(self, data: bytes, source: Address) -> Uplinks | Acknowledged | None:
        try:
            datagram = semtech_udp.decode(data)
            if datagram.kind not in (Kind.PUSH_DATA, Kind.PULL_DATA, Kind.TX_ACK):
                raise Malformed(f"{datagram.kind.name} is what a server sends")
            if self._allowed and datagram.eui not in self._allowed:
                self.counts["unknown_forwarders"] += 1
                return None
            self.counts[datagram.kind.name.lower()] += 1
            self._heard_s = self._clock()
            self._answer(datagram, source)
            return self._event(datagram, source)
        except Malformed:
            self.counts["malformed_datagrams"] += 1
            return None

    def _event(self, datagram: Datagram, source: Address) -> Uplinks | Acknowledged | None:
        if datagram.kind == Kind.PULL_DATA:
            if datagram.eui in self._pull_addresses or len(self._pull_addresses) < MOST_FORWARDERS:
                self._pull_addresses[datagram.eui] = source
            return None
        if datagram.kind == Kind.TX_ACK:
            number = self._unacknowledged.pop((datagram.eui, datagram.token), None)
            error = semtech_udp.tx_error(datagram.body)
            self.counts[f"tx_ack_{error.lower()}" if error in semtech_udp.TX_ERRORS else "tx_ack_other"] += 1
            return None if number is None else Acknowledged(number, error)
        heard, dropped = semtech_udp.receptions(datagram.body)
        self.counts["dropped_receptions"] += dropped
        return Uplinks(datagram.eui, heard) if heard else None

    def _answer(self, datagram: Datagram, source: Address) -> None:
        answer = semtech_udp.answer_to(datagram)
        if answer is not None:
            self._send(semtech_udp.encode(answer), source)

    def _send(self, data: bytes, target: Address) -> bool:
        self._capture(self.address, target, data)
        try:
            self._socket.sendto(data, target)
        except OSError:
            self.counts["socket_errors"] += 1
            return False
        return True

    def send(self, gateway: bytes, transmit: Transmit) -> int | None:
        """See GatewayDoor.send: a PULL_RESP to where the forwarder's last PULL_DATA came from."""
        target = self._pull_addresses.get(gateway)
        if target is None:
            self.counts["no_way_down"] += 1
            return None
        self._token, self._sent = (self._token + 1) % 0x10000, self._sent + 1
        response = Datagram(Kind.PULL_RESP, self._token, b"", semtech_udp.transmit_body(transmit))
        if not self._send(semtech_udp.encode(response), target):
            return None
        self.counts["pull_resp"] += 1
        self._unacknowledged[gateway, self._token] = self._sent
        while len(self._unacknowledged) > MOST_UNACKNOWLEDGED:
            del self._unacknowledged[next(iter(self._unacknowledged))]
        return self._sent

    def last_heard_s(self) -> float | None:
        """See GatewayDoor.last_heard_s."""
        return self._heard_s

    def close(self) -> None:
        """See GatewayDoor.close."""
        self._socket.close()
