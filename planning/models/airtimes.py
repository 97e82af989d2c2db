"""Airtimes of all spreading factors as arrays, each from the one airtime formula in `spectrum.lora`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectrum.errors import BadInput
from spectrum.lora import LORAWAN_OVERHEAD_BYTES, SPREADING_FACTORS, SYNC_SYMBOLS, LoraModulation, airtime_s

Floats = npt.NDArray[np.float64]


def airtimes_s(payload_bytes: int, coding_rate: int, total_preamble_symbols: float = 8 + SYNC_SYMBOLS) -> Floats:
    """Airtime in seconds for SF7..SF12, shape (6,).

    payload_bytes: PHY payload. total_preamble_symbols counts sync word and delimiter, unlike LoraModulation's.
    """
    programmed = total_preamble_symbols - SYNC_SYMBOLS
    return np.array(
        [
            airtime_s(LoraModulation(factor, coding_rate=coding_rate, preamble_symbols=programmed), payload_bytes)
            for factor in SPREADING_FACTORS
        ]
    )


def application_bytes(payload_bytes: int) -> int:
    """What a LoRaWAN frame carries for its application: the PHY payload without the 13 bytes of overhead."""
    if payload_bytes < LORAWAN_OVERHEAD_BYTES:
        raise BadInput(
            f"a LoRaWAN PHY payload has {LORAWAN_OVERHEAD_BYTES} bytes of overhead at least, got {payload_bytes}"
        )
    return payload_bytes - LORAWAN_OVERHEAD_BYTES
