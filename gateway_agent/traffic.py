"""The traffic of virtual devices: which device has a packet when, and how it would go on the air. Pure and seeded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from random import Random
from typing import Final, Literal

from spectrum import lora, sigfox

# A small sensor reading: 12 bytes of application payload and LoRaWAN's 13 around them.
LORA_PHY_PAYLOAD_BYTES: Final = 25
SIGFOX_PAYLOAD_BYTES: Final = 8

# Spreading factors of the virtual LoRa devices, in turn: near devices are as common as far ones.
LORA_SPREADING_FACTORS: Final = (7, 8, 9, 10)


@dataclass(frozen=True, slots=True)
class VirtualDevice:
    """A class A device that sends now and then."""

    name: str
    technology: Literal["lora", "sigfox"]
    airtime_s: float
    copies: int

    @property
    def keeps_time(self) -> bool:
        """LoRa devices here keep time well enough for slots; SigFox endpoints do not."""
        return self.technology == "lora"


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: `ready_s` after the start of the traffic the device would like to send it."""

    packet_id: str
    device: VirtualDevice
    ready_s: float


def virtual_devices(count: int, name: str = "dev") -> tuple[VirtualDevice, ...]:
    """`count` devices, every other one LoRa, the rest SigFox."""
    return tuple(_device(i, name) for i in range(count))


def _device(number: int, name: str) -> VirtualDevice:
    if number % 2:
        return VirtualDevice(f"{name}-{number:05d}", "sigfox", sigfox.airtime_s(SIGFOX_PAYLOAD_BYTES), sigfox.COPIES)
    factor = LORA_SPREADING_FACTORS[number // 2 % len(LORA_SPREADING_FACTORS)]
    airtime_s = lora.airtime_s(lora.LoraModulation(factor), LORA_PHY_PAYLOAD_BYTES)
    return VirtualDevice(f"{name}-{number:05d}", "lora", airtime_s, 1)


def packets(devices: Sequence[VirtualDevice], mean_gap_s: float, seed: int) -> Iterator[Packet]:
    """All packets in order of time, without end: gaps are exponential after the last transmission of a device."""
    rngs = [Random(f"{seed}/{device.name}") for device in devices]
    coming = [(rng.expovariate(1.0 / mean_gap_s), i, 0) for i, rng in enumerate(rngs)]
    heapify(coming)
    while coming:
        ready_s, i, number = coming[0]
        device = devices[i]
        yield Packet(f"{device.name}-{number}", device, ready_s)
        silent_s = device.airtime_s * device.copies + rngs[i].expovariate(1.0 / mean_gap_s)
        heapreplace(coming, (ready_s + silent_s, i, number + 1))
