"""IQ to energy per subchannel per sensing interval: windowed, overlapped FFT frames, summed over bins (eq. 1).

The energy of a subchannel is taken from FFT bins, never by decimating without a filter, which would fold the whole
captured band into it (notes 1.2.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.freedom import effective_samples
from sensing.source import U8_CENTER, U8_SCALE, IqArray, Tuning, complex64_of
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel

# 1920 points at 2.4 MS/s: exactly 100 bins in 125 kHz (notes 1.2.1).
BIN_HZ: Final = 1250.0
# Frames in an interval below which shorter frames (wider bins) are taken instead.
MIN_FRAMES: Final = 4
# A Hann window spreads a constant over the bin of the tuned frequency and one on each side; these are never counted.
DC_BINS: Final = 1
# Frames transformed together: enough to hide the cost of a call, few enough to stay in the cache.
BATCH_SAMPLES: Final = 24 * 1920


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
    """Frames for a rate and a sensing interval: rate/bin_hz points, or shorter where fewer than four would fit.

    Where that number has large prime factors, a slightly smaller one that transforms fast is taken.
    """
    if not rate_hz > 0 or not interval_s > 0 or not bin_hz > 0:
        raise BadInput(f"rate, interval and bin width must be above 0, got {rate_hz} Hz, {interval_s} s, {bin_hz} Hz")
    interval_samples = round(interval_s * rate_hz)
    points = int(min(rate_hz / bin_hz, 2.0 * interval_samples / (MIN_FRAMES + 1)) + 1e-6)
    if points < 16:
        raise BadInput(f"a sensing interval of {interval_s * 1e3:g} ms is too short for {rate_hz:g} samples a second")
    points = next(size for size in range(points, 0, -1) if size % 2 == 0 and _is_smooth(size))
    per_interval = 1 + (interval_samples - points) // (points // 2)
    return Frames(rate_hz, points, per_interval, interval_samples)


def _is_smooth(size: int) -> bool:
    """Whether a transform of this size is fast: no prime factor above 7."""
    for factor in (2, 3, 5, 7):
        while size % factor == 0:
            size //= factor
    return size == 1


@dataclass(frozen=True, slots=True)
class Columns:
    """The bins of each subchannel, in ascending frequency with bin points/2 at the tuned frequency.

    first, last: int64, shape (C,), bins [first, last). kept: bool, shape (points,), False at the masked DC bins.
    scale: shape (C,), makes up for masked bins. samples: shape (C,), effective independent samples of one energy.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    kept: NDArray[np.bool_]
    scale: NDArray[np.float64]
    samples: NDArray[np.float64]


def plan_columns(frames: Frames, tuning: Tuning, subchannels: tuple[Subchannel, ...]) -> Columns:
    """Which bins make up each subchannel; BadInput for one outside the captured band or narrower than a few bins."""
    edges = np.array([[sub.low_hz, sub.high_hz] for sub in subchannels]).reshape(-1, 2) - tuning.center_hz
    bins = np.ceil(edges / frames.bin_hz - 1e-6).astype(np.int64) + frames.points // 2
    first, last = bins[:, 0].copy(), bins[:, 1].copy()
    kept = np.ones(frames.points, dtype=np.bool_)
    kept[frames.points // 2 - DC_BINS : frames.points // 2 + DC_BINS + 1] = False
    used = np.array([np.count_nonzero(kept[max(0, low) : high]) for low, high in bins])
    for subchannel, (low, high), count in zip(subchannels, bins, used, strict=True):
        if low < 0 or high > frames.points:
            raise BadInput(
                f"subchannel {subchannel.name} lies outside the captured {tuning.rate_hz / 1e6:g} MHz around "
                f"{tuning.center_hz / 1e6:g} MHz"
            )
        if count < 1:
            raise BadInput(f"subchannel {subchannel.name} is too narrow for bins of {frames.bin_hz:g} Hz or all DC")
    samples = np.empty(len(bins))
    known: dict[bytes, float] = {}
    for index, (low, high) in enumerate(bins):
        mask = kept[low:high]
        if mask.tobytes() not in known:
            whole = np.zeros(frames.points, dtype=np.bool_)
            whole[: mask.size] = mask
            known[mask.tobytes()] = effective_samples(frames.window, frames.hop, frames.per_interval, whole)
        samples[index] = known[mask.tobytes()]
    return Columns(first, last, kept, (last - first) / used, samples)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What T whole intervals held.

    energies: float64, shape (T, C), relative to a full-scale sinusoid. power, mean, pseudo: shape (T,): mean |x|^2,
    mean x (complex, the DC) and mean x^2 (complex, 0 for a balanced receiver). clipped: shape (T,), share of the I
    and Q values at the end of the scale.
    """

    energies: NDArray[np.float64]
    power: NDArray[np.float64]
    mean: NDArray[np.complex128]
    pseudo: NDArray[np.complex128]
    clipped: NDArray[np.float64]

    def rows(self, which: slice) -> Measured:
        """Some of the intervals."""
        return Measured(
            self.energies[which], self.power[which], self.mean[which], self.pseudo[which], self.clipped[which]
        )

    def then(self, more: Measured) -> Measured:
        """These intervals, then more."""
        return Measured(
            np.concatenate([self.energies, more.energies]),
            np.concatenate([self.power, more.power]),
            np.concatenate([self.mean, more.mean]),
            np.concatenate([self.pseudo, more.pseudo]),
            np.concatenate([self.clipped, more.clipped]),
        )


class EnergyMeter:
    """Measures intervals with buffers of its own, so that a long stream allocates next to nothing.

    fft: `scipy`, `fftw` (needs the extra `fast`), or `auto` for the faster one installed. bins: further columns that
    are only shown, not judged; `shown`, shape (T, B), has their power in the intervals measured last.
    """

    def __init__(self, frames: Frames, columns: Columns, fft: str = "auto", bins: Columns | None = None) -> None:
        self.frames = frames
        self.columns = columns
        self.shown = np.empty((0, 0 if bins is None else bins.first.size))
        both = (columns,) if bins is None else (columns, bins)
        self._first, self._last, self._scale = (
            np.concatenate([getattr(one, name) for one in both]) for name in ("first", "last", "scale")
        )
        batch = max(1, BATCH_SAMPLES // (frames.per_interval * frames.points))
        self._batch = batch
        # Every second sample negated: the spectrum comes out in ascending frequency, DC in the middle.
        turned = frames.window * np.where(np.arange(frames.points) % 2, -1.0, 1.0)
        self._window = np.repeat(turned, 2).astype(np.float32)
        self._cut, self._transform = _plan_fft(fft, (batch * frames.per_interval, frames.points))

    def measure(self, samples: IqArray) -> Measured:
        """All whole intervals in `samples` (bytes or complex64, see IqBlock); the rest is left unread."""
        from sensing import kernels

        frames, columns = self.frames, self.columns
        values: IqArray | NDArray[np.float32]
        if samples.dtype == np.uint8:
            values, center, scale, rail = samples, U8_CENTER, U8_SCALE, U8_SCALE
        else:
            values, center, scale, rail = samples.view(np.float32), 0.0, 1.0, 0.9999
        step = 2 * frames.interval_samples
        count = values.size // step
        energies = np.empty((count, self._first.size))
        moments = np.empty((count, 6))
        kernels.moments(values[: count * step], step, np.float32(center), np.float32(rail), moments)
        window = self._window / np.float32(scale)
        for start in range(0, count, self._batch):
            stop = min(count, start + self._batch)
            part = values[start * step : stop * step]
            kernels.cut_frames(part, np.float32(center), window, frames.per_interval, step, self._cut.view(np.float32))
            spectra = self._transform().view(np.float32)
            kernels.sum_bins(
                spectra, frames.per_interval, columns.kept, self._first, self._last, self._scale, energies[start:stop],
            )  # fmt: skip
        total = moments / (frames.interval_samples * np.array([scale, scale, scale**2, scale**2, scale**2, 2.0]))
        judged = columns.first.size
        if judged < self._first.size:
            self.shown = energies[:, judged:]
            energies = energies[:, :judged].copy()
        return Measured(
            energies=energies,
            power=total[:, 2] + total[:, 3],
            mean=total[:, 0] + 1j * total[:, 1],
            pseudo=total[:, 2] - total[:, 3] + 2j * total[:, 4],
            clipped=total[:, 5],
        )


def plain_energies(samples: IqArray, frames: Frames, columns: Columns) -> NDArray[np.float64]:
    """The slow truth that EnergyMeter is held against: one frame after the other, in double precision."""
    iq = complex64_of(samples).astype(np.complex128)
    count = iq.size // frames.interval_samples
    energies = np.empty((count, len(columns.first)))
    for interval in range(count):
        power = np.zeros(frames.points)
        for frame in range(frames.per_interval):
            start = interval * frames.interval_samples + frame * frames.hop
            power += np.abs(np.fft.fftshift(np.fft.fft(iq[start : start + frames.points] * frames.window))) ** 2
        for column, (first, last) in enumerate(zip(columns.first, columns.last, strict=True)):
            bins = power[first:last][columns.kept[first:last]]
            energies[interval, column] = bins.sum() / frames.per_interval * columns.scale[column]
    return energies


def _plan_fft(name: str, shape: tuple[int, int]) -> tuple[NDArray[np.complex64], Callable[[], NDArray[np.complex64]]]:
    """A buffer of `shape` and a function that transforms its rows in place."""
    if name == "auto":
        name = "fftw" if _has_fftw() else "scipy"
    try:
        plan = FFTS[name]
    except KeyError:
        raise BadInput(f"unknown FFT {name!r}: expected auto, {', '.join(FFTS)}") from None
    return plan(shape)


def _has_fftw() -> bool:
    from importlib.util import find_spec

    return find_spec("pyfftw") is not None


def _plan_scipy(shape: tuple[int, int]) -> tuple[NDArray[np.complex64], Callable[[], NDArray[np.complex64]]]:
    import scipy.fft

    cut = np.zeros(shape, dtype=np.complex64)

    def transform() -> NDArray[np.complex64]:
        spectra: NDArray[np.complex64] = scipy.fft.fft(cut, axis=1, overwrite_x=True)
        return spectra

    return cut, transform


def _plan_fftw(shape: tuple[int, int]) -> tuple[NDArray[np.complex64], Callable[[], NDArray[np.complex64]]]:
    try:
        import pyfftw
    except ImportError:
        raise BadInput("the FFT `fftw` needs pyFFTW: install airshed with its extra `fast`") from None

    cut = pyfftw.zeros_aligned(shape, dtype="complex64")
    plan = pyfftw.FFTW(cut, cut, axes=(1,), flags=("FFTW_MEASURE",), threads=1)

    def transform() -> NDArray[np.complex64]:
        plan.execute()
        spectra: NDArray[np.complex64] = cut
        return spectra

    return cut, transform


FFTS: Final = {"scipy": _plan_scipy, "fftw": _plan_fftw}
