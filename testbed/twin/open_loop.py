"""The air of a scene that nobody steers: devices report as they would without an agent, faster than real time."""

from __future__ import annotations

from collections.abc import Callable

from testbed.packet_forwarder import Scheduled
from testbed.twin.air import Transmission
from testbed.twin.reception import Verdict
from testbed.twin.scene import Scene
from testbed.twin.site import Permission, TwinSite


class NoBackend:
    """Nobody behind the gateways: no downlinks, and SigFox endpoints are told to choose for themselves."""

    def __init__(self) -> None:
        self._asked: list[Permission] = []

    def heard(self, gateway: str, frame: Transmission, verdict: Verdict) -> None:
        """What a gateway decodes goes nowhere."""

    def downlinks(self) -> list[tuple[str, Scheduled]]:
        """None."""
        return []

    def ask(self, device: str, number: int, payload_bytes: int) -> None:
        """The endpoint will be let go at once."""
        self._asked.append(Permission(device, number))

    def permissions(self) -> list[Permission]:
        """To all that asked: no group to keep to."""
        answers, self._asked = self._asked, []
        return answers

    def sent(self, device: str, number: int, copy: int, center_hz: float) -> None:
        """Nobody counts."""


def open_air(scene: Scene) -> Callable[[float, float], list[Transmission]]:
    """A function that gives all transmissions on the air of a scene between two times, which may not go back far."""
    site = TwinSite(scene, NoBackend())

    def transmissions(from_s: float, until_s: float) -> list[Transmission]:
        site.advance(until_s)
        return site.air.transmissions_between(from_s, until_s)

    return transmissions
