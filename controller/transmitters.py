"""Duty cycle of every transmitter, kept in the database: which sub-band it may still use, and when it may ask again.

What a transmitter has sent is a small record by its name, so that a restarted controller and a second one know it too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from controller.requests import Refusal
from spectrum.duty_cycle import DutyCycleLedger
from spectrum.eu868 import SUB_BANDS, SubBand, Subchannel, sub_band_at

KIND: Final = "airtime"

Ledgers = dict[str, DutyCycleLedger]


@lru_cache(maxsize=4096)
def regulated_by(subchannel: Subchannel) -> SubBand | None:
    """The sub-band a subchannel lies in; None outside EU868, where no limit is known (a recording of another band)."""
    return sub_band_at(subchannel.center_hz, subchannel.bandwidth_hz)


class Transmitters:
    """The ledgers of the transmitters of one round of requests: loaded, asked, written back."""

    def __init__(self, database: ChannelStatusDatabase, site: str, names: Iterable[str], now_s: float) -> None:
        self._database = database
        self._site = site
        self._now_s = now_s
        self._ledgers: defaultdict[str, Ledgers] = defaultdict(dict)
        self._read: dict[str, bytes] = {}
        self._changed: set[str] = set()
        self.load(sorted(set(names)))

    def load(self, names: Sequence[str]) -> None:
        """Take what the database holds of these, forgetting what was recorded since; raises DatabaseAway."""
        kept = self._database.get_some(self._site, KIND, names)
        for name in names:
            self._ledgers.pop(name, None)
            self._read.pop(name, None)
        for name, data in kept.items():
            self._ledgers[name] = ledgers_of(data)
        self._read.update(kept)

    def may_send(self, name: str, band: SubBand | None, airtime_s: float) -> bool:
        """Whether `airtime_s` more may start now in a sub-band (None: nobody regulates it)."""
        if band is None:
            return True
        ledger = self._ledgers[name].get(band.label) if name in self._ledgers else None
        if ledger is None:
            return airtime_s <= band.duty_cycle * 3600.0
        return ledger.has_room(airtime_s, self._now_s)

    def objection(self, name: str, bands: Sequence[SubBand | None], airtime_s: float) -> Refusal | None:
        """A refusal when none of the sub-bands has room for `airtime_s` now, with the time when one has."""
        if any(self.may_send(name, band, airtime_s) for band in bands):
            return None
        ledgers = self._ledgers[name]
        regulated = [band for band in bands if band is not None]
        times = [ledgers.get(b.label, DutyCycleLedger(b)).earliest_s(self._now_s, airtime_s) for b in regulated]
        possible = [time_s for time_s in times if time_s is not None]
        if not possible:
            return Refusal("duty_cycle", f"{airtime_s:.3f} s on the air is more than any sub-band allows in an hour")
        wait_s = min(possible) - self._now_s
        return Refusal("duty_cycle", f"the duty cycle of {name} is used up: ask again in {wait_s:.1f} s", min(possible))

    def record(self, name: str, subchannel: Subchannel, start_s: float, airtime_s: float) -> None:
        """Count a transmission that was granted."""
        band = regulated_by(subchannel)
        if band is not None:
            ledger = self._ledgers[name].setdefault(band.label, DutyCycleLedger(band))
            ledger.record(records.whole(start_s), records.whole(airtime_s))
            self._changed.add(name)

    def counted(self, name: str, subchannel: Subchannel, start_s: float, airtime_s: float) -> bool:
        """Whether a transmission of that start and length is counted already, or none needs to be."""
        band = regulated_by(subchannel)
        ledger = self._ledgers[name].get(band.label) if band is not None else None
        return band is None or (
            ledger is not None and (records.whole(start_s), records.whole(airtime_s)) in ledger.sent
        )

    def keep(self) -> frozenset[str]:
        """Write the changed ledgers back, except those another controller has changed since they were read.

        Returns the names of the latter: load them and count again. Raises DatabaseAway.
        """
        values = {name: ledgers_json(self._ledgers[name]) for name in sorted(self._changed)}
        read = {name: (self._read.get(name), value) for name, value in values.items()}
        self._changed.clear()
        return self._database.exchange(self._site, KIND, read)


def ledgers_json(ledgers: Ledgers) -> bytes:
    """Ledgers as JSON: for each sub-band the transmissions as [start, airtime] in microseconds."""
    return records.encode(
        {
            label: [
                (records.microseconds(start_s), records.microseconds(airtime_s)) for start_s, airtime_s in ledger.sent
            ]
            for label, ledger in ledgers.items()
        }
    )


def ledgers_of(data: bytes) -> Ledgers:
    """The ledgers of `ledgers_json`."""
    ledgers: Ledgers = {}
    for label, sent in records.decode(data).items():
        ledger = ledgers[label] = DutyCycleLedger(SUB_BANDS[label])
        for start_us, airtime_us in sent:
            ledger.record(start_us / 1e6, airtime_us / 1e6)
    return ledgers
