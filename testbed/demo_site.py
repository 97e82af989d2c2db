"""The site that the demo runs: laid over whatever the sensor can hear."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from sensing.raster import LORAWAN_CHANNELS, band_raster, captured
from spectrum.errors import BadInput
from spectrum.eu868 import SIGFOX_UPLINK, Subchannel, sub_band_at

NAME = "demo"
SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What the demo senses and allocates. lora: centres in Hz. sigfox_center_hz: middle of the 192 kHz it lays out."""

    source: str
    center_hz: float
    rate_hz: float
    lora_center_hz: tuple[float, ...]
    sigfox_center_hz: float
    loop: bool
    devices: int
    attempts: int
    mean_gap_s: float
    port: int
    host: str = "127.0.0.1"


def lay_out(center_hz: float, rate_hz: float) -> tuple[tuple[float, ...], float]:
    """LoRa centres and SigFox's middle for a capture.

    The real channels where at least three of them (and SigFox's band) are heard; else the raster of the capture plays
    LoRa's part, and SigFox's 192 kHz lie where the duty cycle allows most.
    """
    if rate_hz < SIGFOX_UPLINK.bandwidth_hz:
        raise BadInput(f"the demo needs a capture of at least 192 kS/s to lay SigFox's band into, got {rate_hz:g} S/s")
    lora = captured(LORAWAN_CHANNELS, center_hz, rate_hz)
    if len(lora) < 3:
        lora = band_raster(center_hz, rate_hz)
    sigfox = captured((SIGFOX_UPLINK,), center_hz, rate_hz) or tuple(_places(center_hz, rate_hz))
    best = max(sigfox, key=lambda place: (_allowed(place), -abs(place.center_hz - center_hz)))
    return tuple(channel.center_hz for channel in lora), best.center_hz


def _places(center_hz: float, rate_hz: float) -> list[Subchannel]:
    """Where SigFox's 192 kHz fit into a capture, in steps of 25 kHz around its centre."""
    room_hz = (rate_hz - SIGFOX_UPLINK.bandwidth_hz) / 2
    steps = int(room_hz // 25e3)
    return [Subchannel(center_hz + 25e3 * k, SIGFOX_UPLINK.bandwidth_hz) for k in range(-steps, steps + 1)]


def _allowed(place: Subchannel) -> float:
    """Duty cycle of the sub-band a place lies in; 0 across an edge, 1 far outside EU868, where none is known."""
    if place.high_hz < 863e6 or place.low_hz > 870e6:
        return 1.0
    band = sub_band_at(place.center_hz, place.bandwidth_hz)
    return band.duty_cycle if band else 0.0


def site_toml(plan: DemoPlan) -> str:
    """The site file of the demo's parts."""
    centres = ", ".join(f"{center_hz:.1f}" for center_hz in plan.lora_center_hz)
    return f"""[site]
name = "{NAME}"

[spectrum]
lora_center_hz = [{centres}]
sigfox_center_hz = {plan.sigfox_center_hz:.1f}

[controller]
listen = "{plan.host}:{plan.port}"
attempts = {plan.attempts}
horizon_s = 2.0

[[sensor]]
name = "sensor-1"
source = '{plan.source}'
center_hz = {plan.center_hz:.1f}
rate_hz = {plan.rate_hz:.1f}
loop = {str(plan.loop).lower()}

[[gateway]]
name = "gateway-1"
devices = {plan.devices}
mean_gap_s = {plan.mean_gap_s}
"""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def source_of(recording: str | None) -> str:
    """The source as a site file names it: an absolute path, or `synthetic`."""
    return str(Path(recording).resolve()) if recording not in (None, SYNTHETIC) else SYNTHETIC
