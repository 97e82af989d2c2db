"""A network of LoRaWAN devices without sockets: what the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from gateway_agent.lorawan.devices import Device, DeviceKeys
from gateway_agent.lorawan.network import Heard, LorawanNetwork
from gateway_agent.lorawan.session import Session
from gateway_agent.lorawan.steering import Plan
from gateway_agent.semtech_udp import Received
from spectrum.site_file import DeviceTable
from testbed.lorawan_device import LorawanDevice, Sent


class KeptInMemory:
    """A store that can be away."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.away = False

    def load(self) -> dict[str, Session]:
        """What was kept."""
        return dict(self.sessions)

    def save(self, kept: Session) -> bool:
        """Keep it, unless away."""
        if not self.away:
            self.sessions[kept.dev_eui] = kept
        return not self.away


def received(sent: Sent, tmst: int = 0) -> Received:
    """A transmission as a gateway hears it."""
    return Received(sent.frame, tmst, sent.center_hz, sent.datr, -80.0, 5.0)


@dataclass
class Loop:
    """One device and its network, face to face. told: events; plan: what the device should have."""

    table: DeviceTable
    device: LorawanDevice
    cf_list_hz: tuple[int, ...] = ()
    plan: Plan | None = None
    store: KeptInMemory = field(default_factory=KeptInMemory)
    told: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The network ends and begins anew with what was stored."""
        keys = DeviceKeys(app_key=self.device.app_key.hex())
        tell = lambda *event: self.told.append(event)  # noqa: E731
        self.network = LorawanNetwork([Device(self.table, keys)], self.store, cf_list_hz=self.cf_list_hz, tell=tell)

    @property
    def session(self) -> Session:
        """The session as the network has it."""
        return self.network.session_of(self.network._devices[self.table.dev_eui or ""])

    def hear(self, sent: Sent) -> Heard | None:
        """Let the network hear a transmission."""
        return self.network.hear(received(sent), 1000.0)

    def join(self) -> None:
        """Join and let the device hear the accept."""
        heard = self.hear(self.device.join())
        assert heard is not None
        accept = self.network.downlink(heard, None)
        assert accept is not None
        assert self.device.hear(accept)

    def exchange(self, *, down_lost: bool = False, up_lost: bool = False, confirmed: bool = False) -> Heard | None:
        """One uplink and its answer, either of which may be lost."""
        sent = self.device.send(b"x", confirmed=confirmed)
        heard = None if up_lost else self.hear(sent)
        if heard is not None:
            frame = self.network.downlink(heard, self.plan)
            if frame is not None and not down_lost:
                assert self.device.hear(frame)
        return heard


@pytest.fixture
def loop_with() -> Callable[..., Loop]:
    """Makes a joined device and its network; options go to LorawanDevice."""

    def make(*, join: bool = True, cf_list_hz: tuple[int, ...] = (), seed: int = 1, **options: object) -> Loop:
        device = LorawanDevice(0x1122334455667788, bytes(range(16)), Random(seed), **options)  # type: ignore[arg-type]
        table = DeviceTable(name="meter", dev_eui="1122334455667788", lorawan=device.version)  # type: ignore[arg-type]
        loop = Loop(table, device, cf_list_hz)
        if join:
            loop.join()
        return loop

    return make
