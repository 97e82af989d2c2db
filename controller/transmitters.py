"""Duty cycle of every device: which sub-band it may still use, and when it may ask again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from controller.requests import Refusal
from spectrum.duty_cycle import DutyCycleLedger
from spectrum.eu868 import SubBand, Subchannel, sub_band_at


@lru_cache(maxsize=4096)
def regulated_by(subchannel: Subchannel) -> SubBand | None:
    """The sub-band a subchannel lies in; None outside EU868, where no limit is known (a recording of another band)."""
    return sub_band_at(subchannel.center_hz, subchannel.bandwidth_hz)


class Transmitters:
    """The ledgers of all devices, by device and sub-band."""

    def __init__(self) -> None:
        self._ledgers: dict[tuple[str, str], DutyCycleLedger] = {}

    def may_send(self, device: str, subchannel: Subchannel, airtime_s: float, now_s: float) -> bool:
        """Whether `airtime_s` may start now."""
        earliest_s = self._earliest_s(device, regulated_by(subchannel), airtime_s, now_s)
        return earliest_s is not None and earliest_s <= now_s

    def objection(
        self, device: str, subchannels: Sequence[Subchannel], airtime_s: float, now_s: float
    ) -> Refusal | None:
        """A refusal when no sub-band of the subchannels has room for `airtime_s` now, with the time when one has."""
        bands = {regulated_by(subchannel) for subchannel in subchannels}
        times = [self._earliest_s(device, band, airtime_s, now_s) for band in bands]
        possible = [time_s for time_s in times if time_s is not None]
        if not possible:
            return Refusal("duty_cycle", f"{airtime_s:.3f} s on the air is more than any sub-band allows in an hour")
        earliest_s = min(possible)
        if earliest_s <= now_s:
            return None
        wait_s = earliest_s - now_s
        return Refusal("duty_cycle", f"the duty cycle of {device} is used up: ask again in {wait_s:.1f} s", earliest_s)

    def record(self, device: str, subchannel: Subchannel, start_s: float, airtime_s: float) -> None:
        """Count a transmission that was granted."""
        band = regulated_by(subchannel)
        if band is not None:
            self._ledgers.setdefault((device, band.label), DutyCycleLedger(band)).record(start_s, airtime_s)

    def _earliest_s(self, device: str, band: SubBand | None, airtime_s: float, now_s: float) -> float | None:
        if band is None:
            return now_s
        ledger = self._ledgers.get((device, band.label))
        if ledger is None:
            return now_s if airtime_s <= band.duty_cycle * 3600.0 else None
        earliest_s = ledger.earliest_s(now_s, airtime_s)
        # Copies of one packet follow each other; what is still on the air does not refuse the next one.
        return now_s if earliest_s is not None and ledger.has_room(airtime_s, now_s) else earliest_s
