"""Downlinks: which receive window, whether the gateway's duty cycle allows it, and what a TX_ACK error leads to.

Decided with values; sending is the door's. Nothing is ever repeated by itself: the protocol has no retries, a class A
device listens twice after each uplink, and what both windows miss waits for its next uplink.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway_agent.lorawan.region_eu868 import (
    JOIN_RX1_DELAY_S,
    JOIN_RX2_DELAY_S,
    RX1_DELAY_S,
    RX2_CENTER_HZ,
    RX2_DATA_RATE,
    RX2_DELAY_S,
    datr_of,
)
from gateway_agent.semtech_udp import COUNTER_MODULUS, Received, Transmit
from spectrum.duty_cycle import DutyCycleLedger
from spectrum.eu868 import SubBand, sub_band_at
from spectrum.lora import LoraModulation, airtime_s
from spectrum.units import eirp_dbm_from_erp

# LoRaWAN's common ground for gateways: 14 dBm e.r.p. in RX1's sub-bands, 27 dBm (500 mW) at 869.525 MHz.
RX1_ERP_DBM: Final = 14.0
RX2_ERP_DBM: Final = 27.0

# Frames are handed over at most this long before they start; what ended earlier can meet none of them.
WINDOWS_REACH_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Window:
    """One receive window: the frame as it would be sent, its airtime and its sub-band."""

    transmit: Transmit
    airtime_s: float
    sub_band: SubBand
    starts_s: float


def frame_airtime_s(datr: str, size_bytes: int) -> float:
    """Airtime of a downlink: no payload CRC, explicit header, 8 symbols of preamble, 4/5."""
    factor, bandwidth = datr[2:].split("BW")
    return airtime_s(LoraModulation(int(factor), int(bandwidth) * 1e3, crc=False), size_bytes)


def windows(
    heard: Received, frame: bytes, ended_s: float, *, join: bool, antenna_gain_dbi: float = 0.0
) -> tuple[Window, ...]:
    """RX1 and RX2 of an uplink that ended at `ended_s` (and at the concentrator's `heard.tmst`).

    A window whose carrier lies in no sub-band is left out. `power_dbm` is what goes into the antenna: e.r.p. + 2.15 dB
    less the antenna's gain.
    """
    rx1_s, rx2_s = (JOIN_RX1_DELAY_S, JOIN_RX2_DELAY_S) if join else (RX1_DELAY_S, RX2_DELAY_S)
    places = (
        (rx1_s, heard.center_hz, heard.datr, RX1_ERP_DBM),
        (rx2_s, RX2_CENTER_HZ, datr_of(RX2_DATA_RATE), RX2_ERP_DBM),
    )
    found = []
    for delay_s, center_hz, datr, erp_dbm in places:
        band = sub_band_at(center_hz, 125e3, erp_dbm)
        if band is None:
            continue
        allowed_dbm = eirp_dbm_from_erp(min(erp_dbm, band.max_erp_dbm)) - antenna_gain_dbi
        tmst = (heard.tmst + delay_s * 1_000_000) % COUNTER_MODULUS
        transmit = Transmit(frame, tmst, center_hz, datr, math.floor(allowed_dbm))
        found.append(Window(transmit, frame_airtime_s(datr, len(frame)), band, ended_s + delay_s))
    return tuple(found)


@dataclass(slots=True)
class GatewayAir:
    """A gateway's own air: a ledger for each sub-band, counted before a frame is handed over, and what is scheduled.

    A frame that the gateway then refuses stays counted: rather a downlink too few than one too many.
    """

    ledgers: dict[str, DutyCycleLedger] = field(default_factory=dict)
    _scheduled: list[tuple[float, float]] = field(default_factory=list)

    def may_send(self, window: Window) -> bool:
        """Whether the frame fits into the sliding hour, and beside those that wait: a gateway sends one at once."""
        ends_s = window.starts_s + window.airtime_s
        free = all(ends_s <= start_s or end_s <= window.starts_s for start_s, end_s in self._scheduled)
        return free and self._ledger(window).has_room(window.airtime_s, window.starts_s)

    def count(self, window: Window) -> None:
        """Count a frame that is handed over."""
        self._ledger(window).record(window.starts_s, window.airtime_s)
        waiting = [(start_s, end_s) for start_s, end_s in self._scheduled if end_s > window.starts_s - WINDOWS_REACH_S]
        self._scheduled = [*waiting, (window.starts_s, window.starts_s + window.airtime_s)]

    def used_s(self, label: str, now_s: float) -> float:
        """Seconds on the air in the last hour in a sub-band."""
        ledger = self.ledgers.get(label)
        return 0.0 if ledger is None else ledger.used_s(now_s)

    def _ledger(self, window: Window) -> DutyCycleLedger:
        return self.ledgers.setdefault(window.sub_band.label, DutyCycleLedger(window.sub_band))


@dataclass(frozen=True, slots=True)
class AirUsed:
    """What has been used of the last hour in one sub-band, by the gateway that used most of it."""

    sub_band: str
    used_s: float
    budget_s: float

    def as_json(self) -> dict[str, str | float]:
        """As the console shows it."""
        share = round(self.used_s / self.budget_s, 5)
        return {
            "sub_band": self.sub_band,
            "used_s": round(self.used_s, 3),
            "budget_s": self.budget_s,
            "used_share": share,
        }


def air_used(airs: Iterable[GatewayAir], now_s: float) -> tuple[AirUsed, ...]:
    """Of all gateways behind one agent, by sub-band; each has an hour of its own, so the fullest counts."""
    fullest: dict[str, AirUsed] = {}
    for air in airs:
        for label, ledger in air.ledgers.items():
            used = AirUsed(label, ledger.used_s(now_s), ledger.budget_s)
            if label not in fullest or used.used_s > fullest[label].used_s:
                fullest[label] = used
    return tuple(used for _, used in sorted(fullest.items()))


def choose(air: GatewayAir, options: tuple[Window, ...], earliest_s: float) -> Window | None:
    """The first window that has not begun by `earliest_s` and that the duty cycle allows; None when none is left."""
    return next((one for one in options if one.starts_s > earliest_s and air.may_send(one)), None)
