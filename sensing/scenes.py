"""Ready-made synthetic scenes."""

from __future__ import annotations

from sensing.raster import LORAWAN_CHANNELS, band_raster, captured
from sensing.source import Tuning
from sensing.synthetic import Carrier, LoraTraffic, Scene


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
