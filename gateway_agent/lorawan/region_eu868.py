"""EU863-870 as LoRaWAN's regional parameters fix it (notes 6.2 and 6.3)."""

from __future__ import annotations

from typing import Final

from spectrum.eu868 import DOWNLINK_CENTER_HZ, LORAWAN_DEFAULT_CHANNELS
from spectrum.lora import DATA_RATES

# Channels 0 to 2 exist in every device and cannot be changed; a device keeps at most 16.
DEFAULT_CHANNELS_HZ: Final = tuple(round(channel.center_hz) for channel in LORAWAN_DEFAULT_CHANNELS)
MOST_CHANNELS: Final = 16
LOWEST_DATA_RATE: Final = 0
HIGHEST_125KHZ_DATA_RATE: Final = 5

RX1_DELAY_S: Final = 1
RX2_DELAY_S: Final = 2
JOIN_RX1_DELAY_S: Final = 5
JOIN_RX2_DELAY_S: Final = 6
RX2_CENTER_HZ: Final = round(DOWNLINK_CENTER_HZ)
RX2_DATA_RATE: Final = 0

# Maximum EIRP of a device; TXPower i is 2i dB less, i up to 7.
MAX_EIRP_DBM: Final = 16
MOST_TX_POWER: Final = 7

ADR_ACK_LIMIT: Final = 64
ADR_ACK_DELAY: Final = 32

# Frequencies travel in units of 100 Hz.
FREQUENCY_STEP_HZ: Final = 100

# A gateway may use 14 dBm e.r.p. in RX1's sub-bands and 27 dBm at 869.525 MHz.
LOWEST_HZ: Final = 863_000_000
HIGHEST_HZ: Final = 870_000_000


def datr_of(data_rate: int) -> str:
    """`SF12BW125` for 0."""
    factor, bandwidth_hz = DATA_RATES[data_rate]
    return f"SF{factor}BW{round(bandwidth_hz / 1e3)}"


def data_rate_of_datr(datr: str) -> int | None:
    """0 for `SF12BW125`; None for what EU868 does not use."""
    return next((index for index in DATA_RATES if datr_of(index) == datr), None)


def rx1_data_rate(uplink_data_rate: int, offset: int = 0) -> int:
    """Data rate of RX1: the uplink's, less the offset, at least 0."""
    return max(LOWEST_DATA_RATE, uplink_data_rate - offset)
