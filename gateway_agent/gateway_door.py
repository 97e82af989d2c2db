"""What the agent asks of a way to gateways, whether it is Semtech UDP or MQTT."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from gateway_agent.semtech_udp import Received, Transmit
from spectrum.errors import BadInput


@dataclass(frozen=True, slots=True)
class Uplinks:
    """Frames that a gateway heard, CRC right. gateway: its EUI, 8 bytes."""

    gateway: bytes
    frames: tuple[Received, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a gateway says to a downlink: NONE when it will be sent, else one of TX_ERRORS."""

    downlink: int
    error: str


class GatewayDoor(Protocol):
    """The door. One thread uses it. counts: what came, went and was dropped, by name."""

    counts: Counter[str]

    def poll(self, timeout_s: float) -> list[Uplinks | Acknowledged]:
        """What has come within `timeout_s`; empty when nothing has."""

    def send(self, gateway: bytes, transmit: Transmit) -> int | None:
        """Hand a frame over; the number its Acknowledged will carry, or None when there is no way to that gateway."""

    def last_heard_s(self) -> float | None:
        """When any gateway was heard last, on the door's clock; None before the first."""

    def close(self) -> None:
        """Let go of ports and connections."""


def host_and_port(listen: str, key: str, *, tunnel: bool) -> tuple[str, int]:
    """The IPv4 address and port of `HOST:PORT`; BadInput when it is not loopback and no tunnel is declared.

    What listens here knows no authentication: whoever reaches the port is believed.
    """
    host, _, port = listen.rpartition(":")
    try:
        address = ipaddress.IPv4Address("127.0.0.1" if host == "localhost" else host)
        number = int(port)
    except ValueError:
        raise BadInput(f"{key} must be an IPv4 address and a port like 127.0.0.1:1700, got {listen!r}") from None
    if not 0 <= number <= 65535:
        raise BadInput(f"{key}: a port is 0 to 65535, got {number}")
    if not address.is_loopback and not tunnel:
        raise BadInput(
            f"{key} is {listen}, and this protocol has no authentication: listen on 127.0.0.1, or on the inner address"
            " of a tunnel and say tunnel = true"
        )
    return str(address), number
