"""LoRa airtime and data rates (Semtech SX1276 datasheet, section 4.1.1.7; LoRaWAN Regional Parameters EU868)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from spectrum.errors import BadInput

SPREADING_FACTORS: Final = (7, 8, 9, 10, 11, 12)

# Sync word and start-of-frame delimiter after the programmed preamble, in symbols.
SYNC_SYMBOLS: Final = 4.25

# LoRaWAN: programmed preamble, and MHDR + FHDR + FPort + MIC around an application payload without FOpts.
LORAWAN_PREAMBLE_SYMBOLS: Final = 8
LORAWAN_OVERHEAD_BYTES: Final = 13

# Low data rate optimisation is mandated when a symbol lasts longer than 16 ms (SF11, SF12 at 125 kHz).
LOW_DATA_RATE_SYMBOL_S: Final = 16e-3

# Uplink data rates 0-6 as (spreading factor, bandwidth_hz); DR7 is FSK at 50 kbit/s.
DATA_RATES: Final = {
    0: (12, 125e3),
    1: (11, 125e3),
    2: (10, 125e3),
    3: (9, 125e3),
    4: (8, 125e3),
    5: (7, 125e3),
    6: (7, 250e3),
}

# Largest MACPayload per data rate in bytes; application payload is 8 less without FOpts.
MAX_MAC_PAYLOAD_BYTES: Final = {0: 59, 1: 59, 2: 59, 3: 123, 4: 250, 5: 250, 6: 250, 7: 250}


@dataclass(frozen=True, slots=True)
class LoraModulation:
    """How a frame is put on the air.

    coding_rate: 1..4 for 4/5..4/8. preamble_symbols: programmed length, without the 4.25 of sync word and delimiter.
    low_data_rate: None for the rule of the datasheet (symbols longer than 16 ms).
    """

    spreading_factor: int
    bandwidth_hz: float = 125e3
    coding_rate: int = 1
    preamble_symbols: float = LORAWAN_PREAMBLE_SYMBOLS
    explicit_header: bool = True
    crc: bool = True
    low_data_rate: bool | None = None

    def __post_init__(self) -> None:
        if self.spreading_factor not in SPREADING_FACTORS:
            raise BadInput(f"the spreading factor must be 7 to 12, got {self.spreading_factor}")
        if self.coding_rate not in (1, 2, 3, 4):
            raise BadInput(f"the coding rate must be 1 to 4 (for 4/5 to 4/8), got {self.coding_rate}")
        if self.bandwidth_hz <= 0:
            raise BadInput(f"the bandwidth must be above 0 Hz, got {self.bandwidth_hz}")
        if self.preamble_symbols < 0:
            raise BadInput(f"the preamble must have 0 symbols or more, got {self.preamble_symbols}")

    @property
    def symbol_s(self) -> float:
        """Length of a symbol: 2^SF / BW."""
        return float(2**self.spreading_factor) / self.bandwidth_hz

    @property
    def low_data_rate_used(self) -> bool:
        """Whether low data rate optimisation is on."""
        if self.low_data_rate is None:
            return self.symbol_s > LOW_DATA_RATE_SYMBOL_S
        return self.low_data_rate


def payload_symbols(modulation: LoraModulation, phy_payload_bytes: int) -> int:
    """Symbols after preamble and sync word; at least 8 (datasheet; notes 1.3.1)."""
    if phy_payload_bytes < 0:
        raise BadInput(f"the payload must have 0 bytes or more, got {phy_payload_bytes}")
    bits = (
        8 * phy_payload_bytes
        - 4 * modulation.spreading_factor
        + 28
        + 16 * modulation.crc
        - 20 * (not modulation.explicit_header)
    )
    bits_per_block = 4 * (modulation.spreading_factor - 2 * modulation.low_data_rate_used)
    return 8 + max(math.ceil(bits / bits_per_block) * (modulation.coding_rate + 4), 0)


def airtime_s(modulation: LoraModulation, phy_payload_bytes: int) -> float:
    """Time on air in seconds of one frame with `phy_payload_bytes` of PHY payload."""
    symbols = modulation.preamble_symbols + SYNC_SYMBOLS + payload_symbols(modulation, phy_payload_bytes)
    return symbols * modulation.symbol_s


def data_rate_of(spreading_factor: int, bandwidth_hz: float = 125e3) -> int:
    """EU868 data rate index of a spreading factor and bandwidth."""
    for index, pair in DATA_RATES.items():
        if pair == (spreading_factor, bandwidth_hz):
            return index
    raise BadInput(f"no EU868 data rate has SF{spreading_factor} at {bandwidth_hz / 1e3:g} kHz")
