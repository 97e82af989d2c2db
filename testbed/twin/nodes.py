"""The devices of a scene as they behave: LoRaWAN class A under an agent, LoRa of strangers, SigFox of either kind.

A node says what it sends and takes what it hears; where and when that happens is the site's. Nodes keep the duty cycle
of their sub-bands themselves: what does not fit into the sliding hour is not sent, and counted by the site.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

from gateway_agent.lorawan.region_eu868 import (
    DEFAULT_CHANNELS_HZ,
    JOIN_RX1_DELAY_S,
    JOIN_RX2_DELAY_S,
    RX1_DELAY_S,
    RX2_CENTER_HZ,
    RX2_DATA_RATE,
    RX2_DELAY_S,
    datr_of,
)
from spectrum import lora, sigfox
from spectrum.duty_cycle import DutyCycleLedger
from spectrum.eu868 import SIGFOX_UPLINK, sub_band_at
from testbed.lorawan_device import LorawanDevice
from testbed.twin.population import Member, key_of
from testbed.twin.scene import Scene

# A commercial endpoint sends its copies one after the other with this silence between them.
COPY_GAP_S: Final = 0.5

# How far a downlink may start beside a receive window that is opened for it (LoRaWAN 1.0.4 asks gateways for 20 us; the
# rest is the receiver's, which needs some symbols of the preamble).
WINDOW_TOLERANCE_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Emission:
    """What a node puts on the air: one frame, or one copy. after_s: from when the node was asked to send."""

    payload: bytes
    center_hz: float
    airtime_s: float
    eirp_dbm: float
    spreading_factor: int | None
    coding_rate: int = 1
    copy: int = 0
    after_s: float = 0.0
    join: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """A receive window: a device listens there for one frame that starts at `start_s`."""

    start_s: float
    center_hz: int
    datr: str

    def fits(self, start_s: float, center_hz: int, datr: str) -> bool:
        """Whether a downlink begins in it."""
        near = abs(start_s - self.start_s) <= WINDOW_TOLERANCE_S
        return near and (center_hz, datr) == (self.center_hz, self.datr)


@dataclass(slots=True)
class Ledgers:
    """A transmitter's duty cycle, sub-band by sub-band."""

    _by_label: dict[str, DutyCycleLedger] = field(default_factory=dict)

    def take(self, center_hz: float, bandwidth_hz: float, start_s: float, airtime_s: float) -> bool:
        """Count a transmission if the sliding hour has room for it; whether it had."""
        band = sub_band_at(center_hz, bandwidth_hz)
        if band is None:
            return True
        ledger = self._by_label.setdefault(band.label, DutyCycleLedger(band))
        if not ledger.has_room(airtime_s, start_s):
            return False
        ledger.record(start_s, airtime_s)
        return True


class LoraStranger:
    """A LoRa device of another network: hops over the three default channels and listens to nobody of ours."""

    def __init__(self, member: Member, rng: Random) -> None:
        self.member, self._rng = member, rng
        size = lora.LORAWAN_OVERHEAD_BYTES + member.traffic.payload_bytes
        self._size = size
        modulation = lora.LoraModulation(member.spreading_factor, coding_rate=member.traffic.coding_rate)
        self._airtime_s = lora.airtime_s(modulation, size)

    def send(self, now_s: float) -> list[Emission]:
        """The next frame: an unconfirmed uplink of a network that is not ours."""
        traffic = self.member.traffic
        payload = b"\x40" + self._rng.randbytes(self._size - 1)
        center_hz = float(self._rng.choice(DEFAULT_CHANNELS_HZ))
        return [
            Emission(
                payload, center_hz, self._airtime_s, traffic.eirp_dbm, self.member.spreading_factor, traffic.coding_rate
            )
        ]


class LorawanNode:
    """A class A device under the agent: joins if it must, reports, listens after each uplink, obeys MAC commands."""

    def __init__(self, scene: Scene, member: Member, rng: Random) -> None:
        traffic = member.traffic
        self.member, self._rng = member, rng
        self.device = LorawanDevice(
            member.dev_eui,
            key_of(scene, member, "app"),
            rng,
            version=traffic.lorawan,
            data_rate=lora.data_rate_of(member.spreading_factor),
        )
        if traffic.activation == "abp":
            self.device.dev_addr = member.dev_addr
            self.device.network_key = key_of(scene, member, "nwk_s")
            self.device.application_key = key_of(scene, member, "app_s")
        self.windows: tuple[Window, ...] = ()
        self.listens_until_s = 0.0

    def send(self, now_s: float) -> list[Emission]:
        """The next frame: a join request, or a report with what is to be answered."""
        join = not self.device.joined
        sent = self.device.join() if join else self.device.send(self._rng.randbytes(self.member.traffic.payload_bytes))
        factor = int(sent.datr[2 : sent.datr.index("B")])
        modulation = lora.LoraModulation(factor, coding_rate=self.member.traffic.coding_rate)
        airtime_s = lora.airtime_s(modulation, len(sent.frame))
        eirp_dbm = self.member.traffic.eirp_dbm - 2.0 * self.device.tx_power
        self._open_windows(sent.center_hz, sent.datr, now_s + airtime_s, join)
        return [
            Emission(
                sent.frame,
                float(sent.center_hz),
                airtime_s,
                eirp_dbm,
                factor,
                self.member.traffic.coding_rate,
                join=join,
            )
        ]

    def _open_windows(self, center_hz: int, datr: str, ended_s: float, join: bool) -> None:
        rx1_s, rx2_s = (JOIN_RX1_DELAY_S, JOIN_RX2_DELAY_S) if join else (RX1_DELAY_S, RX2_DELAY_S)
        self.windows = (
            Window(ended_s + rx1_s, center_hz, datr),
            Window(ended_s + rx2_s, RX2_CENTER_HZ, datr_of(RX2_DATA_RATE)),
        )
        self.listens_until_s = ended_s + rx2_s + WINDOW_TOLERANCE_S

    def awaits(self, start_s: float, center_hz: int, datr: str) -> bool:
        """Whether it listens where a downlink starts."""
        return any(window.fits(start_s, center_hz, datr) for window in self.windows)

    def hears(self, frame: bytes) -> bool:
        """Take a downlink that was decoded; whether it was for this device. It then listens no longer."""
        mine = self.device.hear(frame)
        if mine:
            self.windows = ()
        return mine


class SigfoxNode:
    """A SigFox endpoint: each message three times. A commercial one draws a carrier for each copy by itself."""

    def __init__(self, member: Member, rng: Random) -> None:
        self.member, self._rng = member, rng
        self.airtime_s = sigfox.airtime_s(member.traffic.payload_bytes)

    def send(self, now_s: float) -> list[Emission]:
        """A message as the standard sends it."""
        half_hz = sigfox.MICRO_CHANNEL_HZ / 2
        payload = self._payload()
        return [
            self.copy(
                copy,
                self._rng.uniform(SIGFOX_UPLINK.low_hz + half_hz, SIGFOX_UPLINK.high_hz - half_hz),
                payload,
                copy * (self.airtime_s + COPY_GAP_S),
            )
            for copy in range(sigfox.COPIES)
        ]

    def _payload(self) -> bytes:
        return self._rng.randbytes(self.member.traffic.payload_bytes)

    def obey(self, copy: int, low_hz: int, high_hz: int, after_s: float) -> Emission:
        """One copy as the agent permits it: a carrier of 100 Hz raster in [low_hz, high_hz]."""
        steps = (high_hz - low_hz) // round(sigfox.MICRO_CHANNEL_HZ)
        center_hz = low_hz + round(sigfox.MICRO_CHANNEL_HZ) * self._rng.randint(0, steps)
        return self.copy(copy, float(center_hz), self._payload(), after_s)

    def copy(self, copy: int, center_hz: float, payload: bytes, after_s: float) -> Emission:
        """One of the three copies."""
        eirp_dbm = self.member.traffic.eirp_dbm
        return Emission(payload, center_hz, self.airtime_s, eirp_dbm, None, copy=copy, after_s=after_s)


Node = LoraStranger | LorawanNode | SigfoxNode


def node_of(scene: Scene, member: Member) -> Node:
    """The node that a member of the scene is; its randomness depends on the scene's seed and its name alone."""
    rng = Random(f"{scene.seed}\0{member.name}")
    if member.traffic.kind == "sigfox":
        return SigfoxNode(member, rng)
    return LorawanNode(scene, member, rng) if member.traffic.controlled else LoraStranger(member, rng)


def first_report_s(scene: Scene, member: Member, rng: Random) -> float:
    """When a device reports first: somewhere in its first period."""
    return rng.random() * member.traffic.period_s


def next_gap_s(member: Member, rng: Random) -> float:
    """Time from one report to the next."""
    traffic = member.traffic
    if traffic.traffic == "poisson":
        return rng.expovariate(1.0 / traffic.period_s)
    return traffic.period_s
