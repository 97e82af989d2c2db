"""Ready-made synthetic scenes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sensing.raster import LORAWAN_CHANNELS, band_raster, captured
from sensing.source import Tuning
from sensing.synthetic import Carrier, LoraTraffic, Scene, SigfoxFrame
from spectrum.errors import BadInput
from spectrum.eu868 import SIGFOX_UPLINK


def busy_band(center_hz: float, rate_hz: float, seed: int) -> Scene:
    """Noise, LoRa traffic of 5 to 25 % on three subchannels, and one continuous interferer on a fourth.

    On the LoRaWAN channels where they lie in the band (the interferer on 868.3 MHz), else on cells of the raster.
    """
    tuning = Tuning(center_hz, rate_hz)
    cells = captured(LORAWAN_CHANNELS, center_hz, rate_hz)
    if len(cells) < 8:
        cells = band_raster(center_hz, rate_hz)
    picked = [cells[round(share * (len(cells) - 1))] for share in (0.0, 0.3, 0.7, 0.86)]
    traffic = tuple(
        LoraTraffic(cell, duty, snr_db=15.0, spreading_factor=factor)
        for cell, duty, factor in zip(picked[:3], (0.05, 0.15, 0.25), (7, 8, 9), strict=True)
    )
    return Scene(tuning, lora=traffic, carriers=(Carrier(picked[3].center_hz + 20e3, snr_db=12.0),), seed=seed)


def noise(center_hz: float, rate_hz: float, seed: int) -> Scene:
    """Noise and nothing else: every busy cell is a false alarm."""
    return Scene(Tuning(center_hz, rate_hz), seed=seed)


def sigfox(center_hz: float, rate_hz: float, seed: int) -> Scene:
    """SigFox-like frames of 2.08 s at 20 dB in 100 Hz, one every 3 s, up and down the uplink band, for a minute."""
    steps = 20
    spacing_hz = SIGFOX_UPLINK.bandwidth_hz / steps
    frames = tuple(
        SigfoxFrame(SIGFOX_UPLINK.low_hz + (number * 7 % steps + 0.5) * spacing_hz, 0.5 + 3.0 * number)
        for number in range(steps)
    )
    return Scene(Tuning(center_hz, rate_hz), sigfox=frames, seed=seed)


SCENES: Final[dict[str, Callable[[float, float, int], Scene]]] = {"busy": busy_band, "noise": noise, "sigfox": sigfox}


def scene_named(name: str) -> Callable[[float, float, int], Scene]:
    """The scene of that name, or BadInput with those there are."""
    try:
        return SCENES[name]
    except KeyError:
        raise BadInput(f"unknown scene {name!r}: expected one of {', '.join(SCENES)}") from None
