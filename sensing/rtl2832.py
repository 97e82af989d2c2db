"""What every dongle with an RTL2832U has in common, however it is reached: rates, tuning range, gain steps.

Numbers are those of librtlsdr (rtlsdr_set_sample_rate; r82xx tuner), which all dongles follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spectrum.errors import BadInput

CRYSTAL_HZ: Final = 28.8e6

# What the resampler can do; above 2.4 MS/s USB begins to lose samples.
RATES_HZ: Final = ((225_001.0, 300_000.0), (900_001.0, 3_200_000.0))

# The R820T and R828D tune from here to there.
CENTERS_HZ: Final = (24e6, 1766e6)

# Gain steps of the R820T, R820T2 and R828D in dB.
R820T_GAINS_DB: Final = (
    0.0, 0.9, 1.4, 2.7, 3.7, 7.7, 8.7, 12.5, 14.4, 15.7, 16.6, 19.7, 20.7, 22.9, 25.4, 28.0, 29.7, 32.8, 33.8, 36.4,
    37.2, 38.6, 40.2, 42.1, 43.4, 43.9, 44.5, 48.0, 49.6,
)  # fmt: skip

# About the middle of the range: the noise of the air then spans a few steps of the converter.
DEFAULT_GAIN_DB: Final = 25.0


def real_rate_hz(asked_hz: float) -> float:
    """The rate that an RTL2832U really samples at when asked for `asked_hz`: its ratio to the crystal has 26 bits."""
    scaled = CRYSTAL_HZ * 2**22
    ratio = int(scaled / int(asked_hz)) & 0x0FFFFFFC
    return scaled / (ratio | (ratio & 0x08000000) << 1)


def nearest_gain_db(asked_db: float, steps_db: Sequence[float]) -> float:
    """The step nearest to what was asked for: 25 becomes 25.4."""
    return min(steps_db, key=lambda step_db: abs(step_db - asked_db))


def check_tuning(center_hz: float, rate_hz: float) -> None:
    """BadInput when an RTL2832U with an R820T cannot do this."""
    if not any(low <= rate_hz <= high for low, high in RATES_HZ):
        raise BadInput(
            f"an RTL2832U samples at 225001 to 300000 or 900001 to 3200000 Hz, got {rate_hz:g}: "
            "2.4e6 is the highest that USB carries without losses"
        )
    if not CENTERS_HZ[0] <= center_hz <= CENTERS_HZ[1]:
        raise BadInput(f"an R820T tunes to 24 MHz to 1766 MHz, got {center_hz / 1e6:g} MHz")
