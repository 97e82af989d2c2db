"""Energy of a transmission, from what a radio draws: E = T I V (notes 1.3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spectrum.errors import BadInput


@dataclass(frozen=True, slots=True)
class RadioProfile:
    """Supply voltage and transmit current per conducted power; battery as the maker states it."""

    name: str
    supply_v: float
    transmit_current_a: dict[float, float]  # by power_dbm
    battery_mah: float

    def transmit_power_w(self, power_dbm: float) -> float:
        """Electrical power while sending at `power_dbm`; only declared powers, nothing interpolated."""
        try:
            return self.transmit_current_a[power_dbm] * self.supply_v
        except KeyError:
            known = ", ".join(f"{level:g}" for level in sorted(self.transmit_current_a))
            raise BadInput(f"{self.name} declares {known} dBm, not {power_dbm:g} dBm") from None

    def energy_j(self, airtime_s: float, power_dbm: float) -> float:
        """Energy in joules of `airtime_s` on the air."""
        return airtime_s * self.transmit_power_w(power_dbm)

    @property
    def battery_j(self) -> float:
        """Energy of a full battery in joules."""
        return self.battery_mah * 3.6 * self.supply_v


# Battery: table 2 of the RRM paper (1.8 V, 1000 mAh). Currents: SX1272 datasheet, table 6 (supply current in transmit
# mode): 18 mA at 7 dBm and 28 mA at 13 dBm on RFO; the values at 10 and 14 dBm are read between and beyond them.
SX1272_AT_1V8: Final = RadioProfile("SX1272", 1.8, {7.0: 0.018, 10.0: 0.022, 13.0: 0.028, 14.0: 0.031}, 1000.0)

# Section 5.5 of the RRM paper gives this per packet; no current and airtime of table 2 add up to it (notes 1.3.4).
PAPER_ENERGY_PER_PACKET_J: Final = 48.68e-3
