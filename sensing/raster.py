"""Which subchannels a capture is cut into."""

from __future__ import annotations

from typing import Final

from spectrum.eu868 import LORA_BANDWIDTH_HZ, LORAWAN_DEFAULT_CHANNELS, LORAWAN_EXTRA_CHANNELS, Subchannel

LORAWAN_CHANNELS: Final = tuple(sorted(LORAWAN_DEFAULT_CHANNELS + LORAWAN_EXTRA_CHANNELS))


def band_raster(center_hz: float, rate_hz: float, bandwidth_hz: float = LORA_BANDWIDTH_HZ) -> tuple[Subchannel, ...]:
    """The floor(rate/bandwidth) touching subchannels that lie symmetrically around the tuned frequency, lowest first.

    With an even number the tuned frequency, where a dongle has its DC spike, falls between two subchannels.
    """
    count = int(rate_hz * (1 + 1e-12) // bandwidth_hz)
    return tuple(Subchannel(center_hz + (i - (count - 1) / 2) * bandwidth_hz, bandwidth_hz) for i in range(count))


def captured(subchannels: tuple[Subchannel, ...], center_hz: float, rate_hz: float) -> tuple[Subchannel, ...]:
    """Those subchannels that lie wholly inside the captured band, in the given order."""
    low_hz, high_hz = center_hz - rate_hz / 2, center_hz + rate_hz / 2
    return tuple(sub for sub in subchannels if low_hz <= sub.low_hz and sub.high_hz <= high_hz)
