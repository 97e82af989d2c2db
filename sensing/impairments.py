"""What is wrong with a receiver or a capture, as flags that an operator can read.

Flags never change a decision; they say why it may not deserve trust.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.floor import Floats
from sensing.power import Measured
from sensing.source import U8_SCALE, Tuning

# flag: what it tells an operator. docs/sensing.md says what to do about each.
FLAGS: Final = {
    "clipping": "the converter was driven beyond its scale: lower the gain",
    "dc": "a DC spike of a fifth of the energy here or more; its bins are masked: tune half a raster off",
    "image": "what is heard here may be the mirror image of a strong signal across the tuned frequency",
    "leakage": "what is heard here may have leaked over from a far stronger signal",
    "low_level": "the noise is under one step of the converter: raise the gain",
    "gain_step": "all subchannels fell together: an automatic gain control, or a gap in the signal",
    "agc": "the receiver's automatic gain control is on: levels mean nothing, set a gain",
    "rate_rounded": "the receiver does not run at the rate it was asked for",
    "center_rounded": "the receiver is not tuned where it was asked to",
    "samples_lost": "samples were lost before this interval",
    "nonstationary": "the noise swings more than noise of constant power: pf is not kept, see pf_measured",
    "always_on": "something never pauses here: the noise floor is taken from the neighbours",
    "floor_held": "no noise could be told from signals just now: the floor is an older one",
    "few_intervals": "the floor rests on fewer than ten intervals: take a longer recording or a shorter interval",
    "infeasible": "no threshold keeps both Pf and Pm at the SNR asked for",
}

CLIPPED_SHARE: Final = 1e-3
# A constant this strong beside the rest of its subchannel; signals at the tuned frequency spread over many bins.
DC_SHARE: Final = 0.2
# A mirror image this weak below its signal is what chance and rounding leave in a single interval.
LEAST_IMAGE: Final = 10 ** (-35 / 10)
# Share of the energy above the noise that the image or the leakage must explain.
EXPLAINED_SHARE: Final = 0.5
# What a strong signal leaves anywhere in the band, relative to itself: keying within a frame, the skirts of real
# transmitters and the phase noise of cheap tuners; the burst of wmbus_c_868.625M_2400k.cu8 raises the whole band so.
LEAK: Final = 10 ** (-35 / 10)
# All subchannels of an interval together fall by 0.8 dB: far more than chance does to the median of several.
FALL_RATIO: Final = 10 ** (-0.8 / 10)
FALL_DEVIATIONS: Final = 5.0
# Tuners and rate dividers are off by parts in 10^8 that nobody needs to hear of.
SAME_TUNING: Final = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Impairments:
    """Flags of R intervals: of the whole receiver, bool shape (R,), and of each subchannel, bool shape (R, C)."""

    receiver: dict[str, NDArray[np.bool_]]
    subchannel: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the subchannels lie: edges in Hz, shape (C,), and the column that mirrors each across the tuned frequency.

    mirror: int, shape (C,), -1 where no column overlaps the mirrored band.
    """

    low_hz: Floats
    high_hz: Floats
    mirror: NDArray[np.int64]
    around_center: NDArray[np.bool_]


def layout(low_hz: Floats, high_hz: Floats, center_hz: float, bin_hz: float) -> Layout:
    """Layout of subchannels, edges in ascending or any order."""
    mirrored_low, mirrored_high = 2 * center_hz - high_hz, 2 * center_hz - low_hz
    overlap = np.minimum(high_hz[None, :], mirrored_high[:, None]) - np.maximum(low_hz[None, :], mirrored_low[:, None])
    best = overlap.argmax(axis=1)
    own = np.arange(low_hz.size)
    mirror = np.where((overlap[own, best] > 0) & (best != own), best, -1)
    reach_hz = 2 * bin_hz
    return Layout(low_hz, high_hz, mirror, (low_hz - reach_hz <= center_hz) & (center_hz <= high_hz + reach_hz))


def find_impairments(
    measured: Measured,
    noise: Floats,
    busy: NDArray[np.bool_],
    where: Layout,
    lost: NDArray[np.bool_],
    *,
    least_samples: float,
    u8: bool,
) -> Impairments:
    """Flags of R intervals from what was measured in them and the noise it was judged with, shape (R, C).

    least_samples: fewest effective samples of a cell.
    """
    energies = measured.energies
    excess = np.where(busy, energies - noise, np.inf)
    dc = np.abs(measured.mean) ** 2
    rms_steps = np.sqrt(np.maximum(measured.power - dc, 0.0) / 2.0) * U8_SCALE
    fall = np.median(energies / noise, axis=1) < np.minimum(FALL_RATIO, 1.0 - FALL_DEVIATIONS / np.sqrt(least_samples))
    nothing = np.zeros(len(energies), dtype=np.bool_)
    return Impairments(
        receiver={
            "clipping": measured.clipped > CLIPPED_SHARE,
            "low_level": rms_steps < 1.0 if u8 else nothing,
            "gain_step": fall,
            "samples_lost": lost,
        },
        subchannel={
            "dc": (dc[:, None] > DC_SHARE * energies) & where.around_center,
            "image": _image(measured, energies, where) > EXPLAINED_SHARE * excess,
            "leakage": _leakage(energies - noise, where) > EXPLAINED_SHARE * excess,
        },
    )


def image_ratio(measured: Measured) -> Floats:
    """Power of the mirror image relative to its signal in each interval, shape (R,).

    x = s + a s* makes the mean of x^2 (the DC taken out) 2 a times the mean of |s|^2.
    """
    power = np.maximum(measured.power - np.abs(measured.mean) ** 2, 1e-30)
    amplitude = np.abs(measured.pseudo - measured.mean**2) / (2.0 * power)
    return np.asarray(np.minimum(amplitude, 1.0) ** 2)


def _image(measured: Measured, energies: Floats, where: Layout) -> Floats:
    ratio = image_ratio(measured)
    ratio = np.where(ratio > LEAST_IMAGE, ratio, 0.0)
    mirrored = np.where(where.mirror >= 0, energies[:, where.mirror], 0.0)
    return np.asarray(ratio[:, None] * mirrored * (mirrored > 10.0 * energies))


def _leakage(excess: Floats, where: Layout) -> Floats:
    """The most that the other subchannels may have left in each, shape (R, C)."""
    apart = np.maximum(where.low_hz[None, :] - where.high_hz[:, None], where.low_hz[:, None] - where.high_hz[None, :])
    others = apart > -1e-6 * (where.high_hz - where.low_hz)  # neither itself nor what it overlaps
    return np.asarray(np.maximum(excess, 0.0) @ np.where(others, LEAK, 0.0))


def tuning_flags(tuning: Tuning) -> tuple[str, ...]:
    """Flags that the receiver's own settings raise for every record."""
    rounded = {
        "rate_rounded": (tuning.asked_rate_hz, tuning.rate_hz),
        "center_rounded": (tuning.asked_center_hz, tuning.center_hz),
    }
    flags = [
        name
        for name, (asked, real) in rounded.items()
        if asked is not None and not math.isclose(asked, real, rel_tol=SAME_TUNING)
    ]
    return (*flags, "agc") if tuning.agc else tuple(flags)
