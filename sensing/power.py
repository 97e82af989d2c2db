"""IQ to energy per subchannel per sensing interval: windowed, overlapped FFT frames, summed over bins (eq. 1).

The energy of a subchannel is taken from FFT bins, never by decimating without a filter, which would fold the whole
captured band into it (notes 1.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sensing.source import IqArray, Tuning, complex64_of
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel

# 1920 points at 2.4 MS/s: exactly 100 bins in 125 kHz (notes 1.2.1).
BIN_HZ: Final = 1250.0
# Frames in an interval below which shorter frames (wider bins) are taken instead.
MIN_FRAMES: Final = 4


@dataclass(frozen=True)
class Frames:
    """How a stream is cut: Hann frames of `points` samples, each half over the next, `per_interval` of them together.

    A sensing interval holds whole frames only and intervals share no sample, so that noise in two of them is
    independent. rate_hz/points is the width of a bin.
    """

    rate_hz: float
    points: int
    per_interval: int
    interval_samples: int

    @property
    def hop(self) -> int:
        """Samples from one frame to the next: half a frame."""
        return self.points // 2

    @property
    def bin_hz(self) -> float:
        """Width of a bin in Hz."""
        return self.rate_hz / self.points

    @property
    def interval_s(self) -> float:
        """Length of a sensing interval in seconds, as it really is."""
        return self.interval_samples / self.rate_hz

    @cached_property
    def window(self) -> NDArray[np.float32]:
        """Hann window, float32, shape (points,), scaled so that the bins of a frame add up to its mean power."""
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(self.points) / self.points)
        scaled: NDArray[np.float32] = (window / np.sqrt(self.points * np.sum(window**2))).astype(np.float32)
        return scaled


def plan_frames(rate_hz: float, interval_s: float = 0.010, bin_hz: float = BIN_HZ) -> Frames:
    """Frames for a rate and a sensing interval: rate/1250 points, or shorter where fewer than four would fit."""
    if not rate_hz > 0 or not interval_s > 0:
        raise BadInput(f"rate and sensing interval must be above 0, got {rate_hz} Hz and {interval_s} s")
    interval_samples = round(interval_s * rate_hz)
    bin_hz = max(bin_hz, (MIN_FRAMES + 1) / 2.0 / interval_s)
    points = 2 * round(rate_hz / bin_hz / 2.0)
    if points < 8:
        raise BadInput(f"a sensing interval of {interval_s * 1e3:g} ms is too short for {rate_hz:g} samples a second")
    per_interval = 1 + (interval_samples - points) // (points // 2)
    return Frames(rate_hz, points, per_interval, interval_samples)


def bin_ranges(frames: Frames, tuning: Tuning, subchannels: tuple[Subchannel, ...]) -> NDArray[np.int64]:
    """First and last+1 bin of each subchannel in ascending frequency (bin 0 lowest), int64, shape (C, 2)."""
    edges = np.array([[sub.low_hz, sub.high_hz] for sub in subchannels]).reshape(-1, 2) - tuning.center_hz
    bins = np.ceil(edges / frames.bin_hz - 1e-6).astype(np.int64) + frames.points // 2
    if np.any(bins < 0) or np.any(bins > frames.points) or np.any(bins[:, 0] >= bins[:, 1]):
        raise BadInput(
            f"every subchannel must lie inside the captured {tuning.rate_hz / 1e6:g} MHz around "
            f"{tuning.center_hz / 1e6:g} MHz and be wider than {frames.bin_hz:g} Hz"
        )
    return bins


def interval_energies(samples: IqArray, frames: Frames, bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """Energy (eq. 1) of every whole interval in `samples`, relative to full scale: float64, shape (intervals, C)."""
    iq = complex64_of(samples)
    count = iq.size // frames.interval_samples
    energies = np.empty((count, len(bins)))
    for index in range(count):
        part = iq[index * frames.interval_samples : (index + 1) * frames.interval_samples]
        cut = np.lib.stride_tricks.sliding_window_view(part, frames.points)[:: frames.hop][: frames.per_interval]
        spectra = scipy.fft.fft(cut * frames.window, axis=1, overwrite_x=True)
        power = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
        total = np.concatenate([[0.0], np.cumsum(np.fft.fftshift(power), dtype=np.float64)])
        energies[index] = total[bins[:, 1]] - total[bins[:, 0]]
    return energies
