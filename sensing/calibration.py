"""From dBFS to dBm, per dongle: a gain table, a frequency error, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# How far apart two gains are that a dongle reports for the same setting.
SAME_GAIN_DB: Final = 0.05


@dataclass(frozen=True, slots=True)
class Calibration:
    """ppm: how far the dongle's oscillator runs high, so that tuned x is really x (1 + ppm 1e-6).

    offsets_db: dBm of a signal at full scale, by tuner gain in dB; None stands for a gain that is not known.
    """

    dongle: str
    ppm: float = 0.0
    offsets_db: tuple[tuple[float | None, float], ...] = ()

    def offset_db(self, gain_db: float | None) -> float | None:
        """What to add to dBFS for dBm at this gain; None when the gain was never calibrated (nothing is guessed)."""
        for known_db, offset_db in self.offsets_db:
            if known_db is None or gain_db is None:
                if known_db is gain_db:
                    return offset_db
            elif abs(known_db - gain_db) <= SAME_GAIN_DB:
                return offset_db
        return None

    def with_level(self, gain_db: float | None, offset_db: float) -> Calibration:
        """The same with one gain measured anew."""
        others = tuple(entry for entry in self.offsets_db if not _same_gain(entry[0], gain_db))
        ordered = sorted([*others, (gain_db, offset_db)], key=lambda entry: -1e9 if entry[0] is None else entry[0])
        return Calibration(self.dongle, self.ppm, tuple(ordered))


def _same_gain(first_db: float | None, second_db: float | None) -> bool:
    if first_db is None or second_db is None:
        return first_db is second_db
    return abs(first_db - second_db) <= SAME_GAIN_DB
