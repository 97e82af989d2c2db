"""What a transmission of the pool costs: LTE resource blocks, or slots on LoRa and SigFox subchannels.

A report takes n_RB resource blocks (LTE) or one slot (LoRa, SigFox); N pre-allocated transmissions and the C of the
common pool must fit in one reporting interval T_RI. Grants and feedback cost nothing, as in the letter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from spectrum import sigfox
from spectrum.errors import BadInput
from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS, LORAWAN_EXTRA_CHANNELS, SIGFOX_UPLINK, sub_band
from spectrum.lora import LORAWAN_OVERHEAD_BYTES, MAX_MAC_PAYLOAD_BYTES, LoraModulation, airtime_s, data_rate_of

# 3GPP TS 36.101 table 5.6-1: resource blocks per bandwidth in MHz. The letter says 20 blocks in 5 MHz; there are 25.
RESOURCE_BLOCKS: Final = {1.4: 6, 3.0: 15, 5.0: 25, 10.0: 50, 15.0: 75, 20.0: 100}
SUBFRAME_S: Final = 1e-3

# 12 subcarriers x (14 symbols - 2 of reference signals) carry data in one resource block of a subframe.
DATA_ELEMENTS: Final = 12 * (14 - 2)
BITS_PER_SYMBOL: Final = {"qpsk": 2, "16qam": 4, "64qam": 6}

# Bits of a transport block, 3GPP TS 36.213 table 7.1.7.2.1-1, for some indices I_TBS and for the allocations of up to
# 25 blocks that an uplink may use (2^a 3^b 5^c, TS 36.211 section 5.3.3).
TRANSPORT_INDICES: Final = (0, 5, 10, 19, 26)
TRANSPORT_BITS: Final = {
    1: (16, 72, 144, 408, 712),
    2: (32, 144, 328, 840, 1480),
    3: (56, 224, 504, 1288, 2216),
    4: (88, 328, 680, 1736, 2984),
    5: (120, 424, 872, 2152, 3752),
    6: (152, 504, 1032, 2600, 4392),
    8: (208, 680, 1384, 3496, 5992),
    9: (224, 776, 1544, 3880, 6712),
    10: (256, 872, 1736, 4264, 7480),
    12: (328, 1032, 2088, 5160, 8760),
    15: (392, 1320, 2664, 6456, 11064),
    16: (424, 1384, 2792, 6968, 11832),
    18: (488, 1544, 3112, 7736, 13536),
    20: (536, 1736, 3496, 8504, 14688),
    24: (648, 2088, 4264, 10296, 17568),
    25: (680, 2216, 4392, 10680, 18336),
}

# Highest index per modulation in the uplink (TS 36.213 table 8.6.1-1: QPSK up to 10, 16-QAM to 19, 64-QAM to 26).
HIGHEST_INDEX: Final = {"qpsk": 10, "16qam": 19, "64qam": 26}
CODINGS: Final = ("uncoded", "transport-block")


@dataclass(frozen=True, slots=True)
class LtePool:
    """Pool in LTE. per_report: n_RB; system_blocks: blocks of a subframe; pool_blocks: Y of them are for reports."""

    per_report: int
    system_blocks: int
    pool_blocks: int
    interval_s: float
    assumption: str

    def occupancy(self, transmissions: int) -> dict[str, Any]:
        """What `transmissions` = N + C take; BadInput when they do not fit in the interval.

        fraction: of all resource blocks of the interval. X = alpha (N + C) subframes with alpha = n_RB/Y (1); a report
        is delivered T_RI + X T_s after its arrival at the latest.
        """
        subframes = self.interval_s / SUBFRAME_S
        fraction = transmissions * self.per_report / (self.system_blocks * subframes)
        length = math.ceil(transmissions * self.per_report / self.pool_blocks - 1e-9)
        if length > subframes:
            raise BadInput(
                f"the load is over the capacity: {transmissions} transmissions of {self.per_report} resource blocks "
                f"need {length} subframes of {self.pool_blocks} blocks, an interval has {subframes:g}"
            )
        return {
            "resource_blocks_per_report": self.per_report,
            "pool_subframes": length,
            "fraction": fraction,
            "delay_s": self.interval_s + length * SUBFRAME_S,
            "assumption": self.assumption,
        }

    def room(self) -> int:
        """The most transmissions that fit in one interval."""
        return int(self.interval_s / SUBFRAME_S * self.pool_blocks / self.per_report + 1e-9)


@dataclass(frozen=True, slots=True)
class SlotPool:
    """Pool on subchannels cut into slots. transmission_s: airtime; slot_s: with its guard; available: subchannels."""

    transmission_s: float
    slot_s: float
    available: int
    interval_s: float
    assumption: str

    def occupancy(self, transmissions: int) -> dict[str, Any]:
        """How many subchannels and slots `transmissions` = N + C need; BadInput when there are not so many."""
        each = self._slots_each()
        needed = math.ceil(transmissions / each)
        if needed > self.available:
            raise BadInput(
                f"the load is over the capacity: {transmissions} slots of {self.slot_s:.3f} s need {needed} "
                f"subchannels of {each} slots an interval, {self.available} are there"
            )
        return {
            "slots": transmissions,
            "slots_per_subchannel": each,
            "subchannels": needed,
            "fraction": transmissions / (each * self.available),
            "airtime_s": self.transmission_s,
            "slot_s": self.slot_s,
            "delay_s": self.interval_s + math.ceil(transmissions / needed) * self.slot_s,
            "assumption": self.assumption,
        }

    def room(self) -> int:
        """The most transmissions that fit in one interval."""
        return self.available * self._slots_each()

    def _slots_each(self) -> int:
        each = int(self.interval_s / self.slot_s + 1e-9)
        if each < 1:
            raise BadInput(f"an interval of {self.interval_s:g} s is shorter than one slot of {self.slot_s:.3f} s")
        return each


def lte_pool(
    report_bytes: int,
    modulation: str,
    bandwidth_mhz: float,
    *,
    coding: str = "uncoded",
    transport_index: int | None = None,
    interval_s: float = 60.0,
    pool_blocks: int | None = None,
) -> LtePool:
    """Resource blocks of a report of `report_bytes`; modulation qpsk, 16qam or 64qam.

    coding `uncoded`: every data element carries a full symbol, as the letter's 9, 3 and 30 % imply; `transport-block`:
    real transport block sizes at I_TBS `transport_index` (default: the highest of the modulation).
    """
    if bandwidth_mhz not in RESOURCE_BLOCKS:
        raise BadInput(f"an LTE bandwidth is one of {', '.join(map(str, RESOURCE_BLOCKS))} MHz, got {bandwidth_mhz:g}")
    if modulation not in BITS_PER_SYMBOL:
        raise BadInput(f"the modulation must be one of {', '.join(BITS_PER_SYMBOL)}, got {modulation!r}")
    if coding not in CODINGS:
        raise BadInput(f"the coding must be one of {', '.join(CODINGS)}, got {coding!r}")
    _check_report(report_bytes, interval_s)
    system = RESOURCE_BLOCKS[bandwidth_mhz]
    reserved = system if pool_blocks is None else pool_blocks
    if not 1 <= reserved <= system:
        raise BadInput(f"the pool may take 1 to {system} resource blocks of {bandwidth_mhz:g} MHz, got {reserved}")
    if coding == "uncoded":
        if transport_index is not None:
            raise BadInput("a transport block index belongs to --coding transport-block")
        blocks = math.ceil(8 * report_bytes / (DATA_ELEMENTS * BITS_PER_SYMBOL[modulation]))
        assumption = f"{modulation} on {DATA_ELEMENTS} data elements per block, no channel coding, no headers"
    else:
        index = HIGHEST_INDEX[modulation] if transport_index is None else transport_index
        blocks = _transport_blocks(8 * report_bytes, index, modulation)
        assumption = f"transport block sizes of TS 36.213 at I_TBS {index} ({modulation}), no headers"
    return LtePool(blocks, system, reserved, interval_s, assumption)


@dataclass(frozen=True, slots=True)
class Reserve:
    """What slots are cut from. transmissions_per_interval: mean of one device, which must keep the band's duty cycle.

    subchannels: how many there are, None for all the technology has.
    """

    interval_s: float
    guard_s: float
    transmissions_per_interval: float
    subchannels: int | None = None
    band: str = "M"


def lora_pool(report_bytes: int, modulation: LoraModulation, reserve: Reserve) -> SlotPool:
    """Slots for LoRaWAN frames that carry `report_bytes` of application payload, 13 bytes of overhead added."""
    _check_report(report_bytes, reserve.interval_s)
    rate = data_rate_of(modulation.spreading_factor, modulation.bandwidth_hz)
    most = MAX_MAC_PAYLOAD_BYTES[rate] - 8
    if report_bytes > most:
        raise BadInput(f"a LoRaWAN frame at SF{modulation.spreading_factor} carries {most} bytes, got {report_bytes}")
    airtime = airtime_s(modulation, report_bytes + LORAWAN_OVERHEAD_BYTES)
    channels = len(LORAWAN_DEFAULT_CHANNELS) + len(LORAWAN_EXTRA_CHANNELS)
    named = f"SF{modulation.spreading_factor}, one frame a slot, {LORAWAN_OVERHEAD_BYTES} bytes of overhead"
    return _slot_pool(airtime, channels, named, reserve)


def sigfox_pool(report_bytes: int, reserve: Reserve) -> SlotPool:
    """Slots for single SigFox frames (no blind copies: the pool repeats what was lost) on 100 Hz micro-channels."""
    _check_report(report_bytes, reserve.interval_s)
    channels = round(SIGFOX_UPLINK.bandwidth_hz / sigfox.MICRO_CHANNEL_HZ)
    return _slot_pool(sigfox.airtime_s(report_bytes), channels, "one SigFox frame a slot, no blind copies", reserve)


def _slot_pool(airtime: float, channels: int, named: str, reserve: Reserve) -> SlotPool:
    if reserve.guard_s < 0.0 or not math.isfinite(reserve.guard_s):
        raise BadInput(f"the guard must be 0 s or more, got {reserve.guard_s}")
    subchannels = channels if reserve.subchannels is None else reserve.subchannels
    if subchannels < 1:
        raise BadInput(f"the number of subchannels must be 1 or more, got {subchannels}")
    allowed = sub_band(reserve.band).duty_cycle
    used = reserve.transmissions_per_interval * airtime / reserve.interval_s
    if used > allowed:
        raise BadInput(
            f"a device would be on the air {100 * used:.3g} % of the time, sub-band {reserve.band} allows "
            f"{100 * allowed:g} %: use a longer interval or a lower spreading factor"
        )
    assumption = f"{named}, guard {reserve.guard_s:g} s"
    return SlotPool(airtime, airtime + reserve.guard_s, subchannels, reserve.interval_s, assumption)


def _transport_blocks(bits: int, index: int, modulation: str) -> int:
    """Fewest resource blocks whose transport block holds `bits`; a larger report is cut into full blocks of 25."""
    if index not in TRANSPORT_INDICES or index > HIGHEST_INDEX[modulation]:
        known = ", ".join(str(i) for i in TRANSPORT_INDICES if i <= HIGHEST_INDEX[modulation])
        raise BadInput(f"the transport block index for {modulation} must be one of {known}, got {index}")
    column = TRANSPORT_INDICES.index(index)
    largest = max(TRANSPORT_BITS)
    full, rest = divmod(bits, TRANSPORT_BITS[largest][column])
    last = next(blocks for blocks, sizes in TRANSPORT_BITS.items() if sizes[column] >= rest) if rest else 0
    return full * largest + last


def _check_report(report_bytes: int, interval_s: float) -> None:
    if report_bytes < 1:
        raise BadInput(f"a report must have 1 byte or more, got {report_bytes}")
    if not (math.isfinite(interval_s) and interval_s > 0.0):
        raise BadInput(f"the reporting interval must be above 0 s, got {interval_s}")
