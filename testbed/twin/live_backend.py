"""The agents of a live site as gateways and endpoints see them: Semtech UDP, and the lines of SigFox's test agent."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from typing import Final

from gateway_agent.lorawan.region_eu868 import datr_of
from spectrum.lora import data_rate_of
from testbed.packet_forwarder import Scheduled, VirtualForwarder
from testbed.twin.air import Transmission
from testbed.twin.live_sensors import SiteClock
from testbed.twin.reception import Verdict
from testbed.twin.scene import Scene
from testbed.twin.site import Permission

# PULL_DATA keeps the way down open; forwarders send it every few seconds.
PULL_EVERY_S: Final = 2.0

# An endpoint whose agent says nothing sends as the standard does.
PATIENCE_S: Final = 3.0


class LiveBackend:
    """See `site.Backend`. endpoints: names of the controlled SigFox devices."""

    def __init__(
        self,
        scene: Scene,
        udp: tuple[str, int],
        sigfox: tuple[str, int],
        endpoints: Sequence[str],
        clock: SiteClock,
    ) -> None:
        self._clock = clock
        self.forwarders = {
            gateway.name: VirtualForwarder(udp, eui_of(number), clock) for number, gateway in enumerate(scene.gateways)
        }
        self._sigfox = sigfox
        self._endpoints = {name: _Endpoint(name) for name in endpoints}
        self._pulled_s = float("-inf")
        self._refusals: list[Permission] = []

    def pull(self) -> None:
        """Keep the ways down open."""
        now_s = self._clock()
        if now_s - self._pulled_s >= PULL_EVERY_S:
            self._pulled_s = now_s
            for forwarder in self.forwarders.values():
                forwarder.pull()

    def answered(self) -> bool:
        """Whether the agent has acknowledged a PULL_DATA of every gateway."""
        for forwarder in self.forwarders.values():
            forwarder.poll_scheduled(0.0)
        return all(forwarder.counts["pull_ack"] for forwarder in self.forwarders.values())

    def heard(self, gateway: str, frame: Transmission, verdict: Verdict) -> None:
        """See Backend.heard: a PUSH_DATA whose tmst is the frame's end."""
        assert frame.spreading_factor is not None
        datr = datr_of(data_rate_of(frame.spreading_factor))
        self.forwarders[gateway].push(
            frame.payload, round(frame.center_hz), datr, round(verdict.power_dbm, 1), round(verdict.snr_db, 1),
            frame.end_s,
        )  # fmt: skip

    def downlinks(self) -> list[tuple[str, Scheduled]]:
        """See Backend.downlinks."""
        self.pull()
        return [(name, taken) for name, forwarder in self.forwarders.items() for taken in forwarder.poll_scheduled(0.0)]

    def ask(self, device: str, number: int, payload_bytes: int) -> None:
        """See Backend.ask: dials the agent when it must."""
        endpoint = self._endpoints[device]
        if not endpoint.dial(self._sigfox) or not endpoint.say(f"REQUEST {number} {payload_bytes}"):
            self._refusals.append(Permission(device, number, refused="the agent is away"))
            return
        endpoint.waiting[number] = self._clock() + PATIENCE_S
        endpoint.granted[number] = []

    def permissions(self) -> list[Permission]:
        """See Backend.permissions."""
        found, self._refusals = self._refusals, []
        for endpoint in self._endpoints.values():
            for line in endpoint.lines():
                found.extend(self._line(endpoint, line.split()))
            found.extend(self._overdue(endpoint))
        return found

    def _line(self, endpoint: _Endpoint, words: list[str]) -> list[Permission]:
        if words[:1] == ["REFUSED"] and endpoint.waiting.pop(int(words[1]), None) is not None:
            return [Permission(endpoint.name, int(words[1]), refused=words[2])]
        if words[:1] != ["SEND"] or int(words[1]) not in endpoint.waiting:
            return []
        number, copy, low_hz, high_hz, start_us = map(int, words[1:])
        copies = endpoint.granted[number]
        copies.append((copy, low_hz, high_hz, start_us / 1e6 - self._clock.epoch_s))
        if len(copies) < 3:
            return []
        del endpoint.waiting[number], endpoint.granted[number]
        return [Permission(endpoint.name, number, tuple(copies))]

    def _overdue(self, endpoint: _Endpoint) -> list[Permission]:
        now_s = self._clock()
        late = [number for number, until_s in endpoint.waiting.items() if until_s < now_s]
        for number in late:
            del endpoint.waiting[number]
        return [Permission(endpoint.name, number, refused="the agent did not answer") for number in late]

    def sent(self, device: str, number: int, copy: int, center_hz: float) -> None:
        """See Backend.sent."""
        self._endpoints[device].say(f"SENT {number} {copy} {round(center_hz)}")

    def close(self) -> None:
        """Give ports and connections back."""
        for forwarder in self.forwarders.values():
            forwarder.close()
        for endpoint in self._endpoints.values():
            endpoint.hang_up()


def eui_of(number: int) -> bytes:
    """The EUI of the scene's gateway of that number."""
    return (0x0200_0000_00FE_0000 + number).to_bytes(8, "big")


class _Endpoint:
    """One connection to the SigFox agent, and the messages that wait for its word, with their patience's end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.peer: socket.socket | None = None
        self.waiting: dict[int, float] = {}
        self.granted: dict[int, list[tuple[int, int, int, float]]] = {}
        self._buffer = b""

    def dial(self, agent: tuple[str, int]) -> bool:
        """Connect if need be; whether there is a connection."""
        if self.peer is None:
            try:
                self.peer = socket.create_connection(agent, timeout=1.0)
            except OSError:
                return False
            self.peer.settimeout(1.0)
            return self.say(f"HELLO 1 {self.name}")
        return True

    def say(self, line: str) -> bool:
        """Write one line; whether it went out."""
        if self.peer is None:
            return False
        try:
            self.peer.sendall(line.encode() + b"\n")
        except OSError:
            self.hang_up()
            return False
        return True

    def lines(self) -> list[str]:
        """Whole lines that have come; the connection is given up when the agent has."""
        if self.peer is None or not select.select([self.peer], [], [], 0.0)[0]:
            return []
        try:
            data = self.peer.recv(4096)
        except OSError:
            data = b""
        if not data:
            self.hang_up()
            return []
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [line.decode("ascii", "replace") for line in lines]

    def hang_up(self) -> None:
        """Let go of the connection."""
        if self.peer is not None:
            self.peer.close()
        self.peer, self._buffer = None, b""
