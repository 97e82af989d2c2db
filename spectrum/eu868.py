"""EU868: regulatory sub-bands, the subchannels that are sensed and allocated, and who overlaps whom.

Limits are those of ERC Recommendation 70-03 as listed in the notes on the papers (section 6): duty cycle over a
sliding hour, per transmitter, and effective radiated power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spectrum.errors import BadInput


@dataclass(frozen=True, slots=True)
class SubBand:
    """A regulatory sub-band: edges in Hz, duty cycle as a fraction of the sliding hour, maximum e.r.p. in dBm."""

    label: str
    low_hz: float
    high_hz: float
    duty_cycle: float
    max_erp_dbm: float

    def holds(self, low_hz: float, high_hz: float) -> bool:
        """Whether the whole of [low_hz, high_hz] lies inside."""
        return self.low_hz <= low_hz and high_hz <= self.high_hz


# P is 500 mW (27 dBm) at 10 %; Q is 5 mW without a duty limit; Q and R are the same frequencies under two regimes.
SUB_BANDS: Final = {
    band.label: band
    for band in (
        SubBand("K", 863.0e6, 865.0e6, 0.001, 14.0),
        SubBand("L", 865.0e6, 868.0e6, 0.01, 14.0),
        SubBand("M", 868.0e6, 868.6e6, 0.01, 14.0),
        SubBand("N", 868.7e6, 869.2e6, 0.001, 14.0),
        SubBand("P", 869.4e6, 869.65e6, 0.10, 27.0),
        SubBand("Q", 869.7e6, 870.0e6, 1.0, 7.0),
        SubBand("R", 869.7e6, 870.0e6, 0.01, 14.0),
    )
}

# The thesis' names for the same sub-bands (notes, section 3).
THESIS_NAMES: Final = {"G": "L", "G1": "M", "G2": "N", "G3": "P", "G4": "Q", "G4*": "R"}


def sub_band(name: str) -> SubBand:
    """Sub-band by its label (K L M N P Q R) or by the thesis' name (G, G1, G2, G3, G4, G4*)."""
    try:
        return SUB_BANDS[THESIS_NAMES.get(name, name)]
    except KeyError:
        known = " ".join([*SUB_BANDS, *THESIS_NAMES])
        raise BadInput(f"unknown sub-band {name!r}: expected one of {known}") from None


def sub_band_at(center_hz: float, bandwidth_hz: float = 0.0, erp_dbm: float = 14.0) -> SubBand | None:
    """The sub-band that holds a whole emission, or None outside all of them.

    869.7-870 MHz is Q up to 7 dBm e.r.p. and R above.
    """
    low_hz, high_hz = center_hz - bandwidth_hz / 2, center_hz + bandwidth_hz / 2
    fitting = [band for band in SUB_BANDS.values() if band.holds(low_hz, high_hz)]
    allowed = [band for band in fitting if erp_dbm <= band.max_erp_dbm]
    return next(iter(allowed or fitting), None)


@dataclass(frozen=True, slots=True, order=True)
class Subchannel:
    """What is sensed and allocated: 125 kHz for LoRa, a group of 100 Hz micro-channels for SigFox."""

    center_hz: float
    bandwidth_hz: float

    def __hash__(self) -> int:
        """Of the centre alone: it is the key of most tables, and hashing both fields costs three times as much."""
        return hash(self.center_hz)

    @property
    def low_hz(self) -> float:
        """Lower edge in Hz."""
        return self.center_hz - self.bandwidth_hz / 2

    @property
    def high_hz(self) -> float:
        """Upper edge in Hz."""
        return self.center_hz + self.bandwidth_hz / 2

    @property
    def name(self) -> str:
        """Centre and width as people write them, e.g. `868.100MHz/125kHz`."""
        return f"{self.center_hz / 1e6:.4f}".rstrip("0").ljust(7, "0") + f"MHz/{self.bandwidth_hz / 1e3:g}kHz"

    def overlap_hz(self, other: Subchannel) -> float:
        """Width in Hz that two subchannels share; 0 when they only touch or lie apart."""
        return max(0.0, min(self.high_hz, other.high_hz) - max(self.low_hz, other.low_hz))


LORA_BANDWIDTH_HZ: Final = 125e3

# LoRaWAN Regional Parameters EU863-870: three fixed channels, then the extras most networks add.
LORAWAN_DEFAULT_CHANNELS: Final = tuple(
    Subchannel(center_hz, LORA_BANDWIDTH_HZ) for center_hz in (868.1e6, 868.3e6, 868.5e6)
)
LORAWAN_EXTRA_CHANNELS: Final = tuple(
    Subchannel(center_hz, LORA_BANDWIDTH_HZ) for center_hz in (867.1e6, 867.3e6, 867.5e6, 867.7e6, 867.9e6)
)

# RX2 of LoRaWAN and the SigFox downlink share 869.525 MHz in sub-band P.
DOWNLINK_CENTER_HZ: Final = 869.525e6

# SigFox RC1 uplink: 192 kHz around 868.130 MHz.
SIGFOX_UPLINK: Final = Subchannel(868.130e6, 192e3)
