"""Synthetic IQ with a known truth: noise, LoRa-like bursts, carriers and SigFox tones, as a dongle would deliver it.

Seeded, and independent of block sizes: chunk i of a scene is the same whoever asks for it. The noise is fresh for
every chunk (nothing is reused), so its statistics hold over any length. What it is not: LoRa frames are chirps with
random symbols, without header or coding; SigFox frames are DBPSK of random bits at 100 bit/s; there is no fading.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensing.source import IqBlock, SourceContext, Tuning, u8_of
from spectrum.errors import BadInput
from spectrum.eu868 import LORA_BANDWIDTH_HZ, Subchannel
from spectrum.lora import SYNC_SYMBOLS, LoraModulation, airtime_s, payload_symbols
from spectrum.units import linear_from_db

CHUNK_S: Final = 0.1
PHASE_STEPS: Final = 4096  # table of one turn: phase error below 1e-3 rad, far under a step of 8 bits


@dataclass(frozen=True, slots=True)
class LoraTraffic:
    """Frames of one modulation on one subchannel: a Poisson stream with `duty` of the time on the air on average.

    snr_db: signal to noise in the subchannel. Overlapping frames add up.
    """

    subchannel: Subchannel
    duty: float
    snr_db: float = 15.0
    spreading_factor: int = 7
    phy_payload_bytes: int = 24

    @property
    def modulation(self) -> LoraModulation:
        """The modulation; its bandwidth is the subchannel's."""
        return LoraModulation(self.spreading_factor, self.subchannel.bandwidth_hz)

    @property
    def airtime_s(self) -> float:
        """Length of one frame."""
        return airtime_s(self.modulation, self.phy_payload_bytes)


@dataclass(frozen=True, slots=True)
class Carrier:
    """A continuous sinusoid; snr_db against the noise in 125 kHz."""

    frequency_hz: float
    snr_db: float = 15.0


@dataclass(frozen=True, slots=True)
class SigfoxFrame:
    """One SigFox-like frame: DBPSK at 100 bit/s from start_s; snr_db against the noise in 100 Hz."""

    frequency_hz: float
    start_s: float
    airtime_s: float = 2.08
    snr_db: float = 20.0


@dataclass(frozen=True, slots=True)
class Burst:
    """A burst of the truth: on the air from start_s to end_s on a subchannel."""

    subchannel: Subchannel
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Scene:
    """What is on the air and in the receiver.

    noise_dbfs: noise in 125 kHz relative to a full-scale sinusoid. rolloff_db: how much lower the gain is at the very
    edge of the captured band (raised cosine over the outer eighth on each side). drift_db and drift_period_s: the
    gain swings sinusoidally by +-drift_db. dc: a constant added to every sample. image_db: level of the mirror image
    that an IQ imbalance leaves, below the signal (e.g. -30).
    """

    tuning: Tuning
    noise_dbfs: float = -36.0
    lora: tuple[LoraTraffic, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    sigfox: tuple[SigfoxFrame, ...] = ()
    rolloff_db: float = 0.0
    drift_db: float = 0.0
    drift_period_s: float = 20.0
    dc: complex = 0.0
    image_db: float | None = None
    seed: int = 1
    _schedules: dict[tuple[int, int], tuple[float, ...]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for traffic in self.lora:
            if not 0.0 <= traffic.duty < 1.0:
                raise BadInput(f"the duty of LoRa traffic must be 0 or more and below 1, got {traffic.duty}")

    @cached_property
    def chunk_samples(self) -> int:
        """Samples of one chunk, the unit in which the scene is drawn."""
        return max(1, round(CHUNK_S * self.tuning.rate_hz))

    def truth(self, start_s: float, end_s: float) -> list[Burst]:
        """All LoRa bursts that overlap [start_s, end_s), by start."""
        bursts = [
            Burst(traffic.subchannel, begins_s, begins_s + traffic.airtime_s)
            for index, traffic in enumerate(self.lora)
            for begins_s in self._starts(index, start_s, end_s)
        ]
        return sorted(bursts, key=lambda burst: burst.start_s)

    def chunk(self, index: int) -> NDArray[np.complex64]:
        """Samples [index, index + 1) x chunk_samples of the scene, complex64, before the converter's rounding."""
        rng = np.random.default_rng([self.seed, 0, index])
        iq = self._noise(rng)
        first = index * self.chunk_samples
        for number, traffic in enumerate(self.lora):
            self._add_lora(iq, first, number, traffic)
        for carrier in self.carriers:
            amplitude = self._amplitude(carrier.snr_db, LORA_BANDWIDTH_HZ)
            iq += np.float32(amplitude) * self._sinusoid(carrier.frequency_hz, first, iq.size)
        for number, frame in enumerate(self.sigfox):
            self._add_sigfox(iq, first, number, frame)
        self._distort(iq, first)
        return iq

    def _noise(self, rng: np.random.Generator) -> NDArray[np.complex64]:
        sigma = math.sqrt(linear_from_db(self.noise_dbfs) * self.tuning.rate_hz / LORA_BANDWIDTH_HZ / 2.0)
        parts = rng.standard_normal(2 * self.chunk_samples, dtype=np.float32)
        parts *= np.float32(sigma)
        return parts.view(np.complex64)

    def _amplitude(self, snr_db: float, bandwidth_hz: float) -> float:
        noise = linear_from_db(self.noise_dbfs) * bandwidth_hz / LORA_BANDWIDTH_HZ
        return math.sqrt(noise * linear_from_db(snr_db))

    def _sinusoid(self, frequency_hz: float, first: int, count: int) -> NDArray[np.complex64]:
        turns_per_sample = (frequency_hz - self.tuning.center_hz) / self.tuning.rate_hz
        start = math.fmod(turns_per_sample * first, 1.0)
        return _turn((start + turns_per_sample * np.arange(count)) % 1.0)

    def _starts(self, index: int, start_s: float, end_s: float) -> list[float]:
        """Starts of the frames of traffic `index` that overlap [start_s, end_s)."""
        length_s = self.lora[index].airtime_s
        seconds = range(max(0, math.floor(start_s - length_s)), max(0, math.ceil(end_s)))
        return [
            begins_s
            for second in seconds
            for begins_s in self._schedule(index, second)
            if begins_s < end_s and begins_s + length_s > start_s
        ]

    def _schedule(self, index: int, second: int) -> tuple[float, ...]:
        known = self._schedules.get((index, second))
        if known is None:
            rng = np.random.default_rng([self.seed, 1, index, second])
            count = rng.poisson(self.lora[index].duty / self.lora[index].airtime_s)
            known = tuple(sorted(second + rng.random(count)))
            if len(self._schedules) > 4096:
                self._schedules.clear()
            self._schedules[(index, second)] = known
        return known

    def _add_lora(self, iq: NDArray[np.complex64], first: int, number: int, traffic: LoraTraffic) -> None:
        rate_hz = self.tuning.rate_hz
        starts = self._starts(number, first / rate_hz, (first + iq.size) / rate_hz)
        if not starts:
            return
        offset_hz = traffic.subchannel.center_hz - self.tuning.center_hz
        frame = lora_frame(traffic.modulation, traffic.phy_payload_bytes, rate_hz, offset_hz, self.seed + number)
        amplitude = self._amplitude(traffic.snr_db, traffic.subchannel.bandwidth_hz)
        for begins_s in starts:
            at = round(begins_s * rate_hz) - first
            low, high = max(0, at), min(iq.size, at + frame.size)
            turn = np.exp(2j * np.pi * (begins_s * 1e6 % 1.0))  # a phase of its own for each frame
            iq[low:high] += np.complex64(amplitude * turn) * frame[low - at : high - at]

    def _add_sigfox(self, iq: NDArray[np.complex64], first: int, number: int, frame: SigfoxFrame) -> None:
        rate_hz = self.tuning.rate_hz
        at = round(frame.start_s * rate_hz) - first
        low, high = max(0, at), min(iq.size, at + round(frame.airtime_s * rate_hz))
        if high <= low:
            return
        bits = np.random.default_rng([self.seed, 2, number]).integers(0, 2, math.ceil(frame.airtime_s * 100.0) + 1)
        signs = (1.0 - 2.0 * (np.cumsum(bits) % 2)).astype(np.float32)
        symbol = ((np.arange(low, high) - at) * (100.0 / rate_hz)).astype(np.intp)
        amplitude = np.float32(self._amplitude(frame.snr_db, 100.0))
        iq[low:high] += amplitude * signs[symbol] * self._sinusoid(frame.frequency_hz, first + low, high - low)

    def _distort(self, iq: NDArray[np.complex64], first: int) -> None:
        """What the receiver does to all it hears, in place."""
        if self.rolloff_db:
            spectrum = np.fft.fft(iq)
            spectrum *= _rolloff(iq.size, self.rolloff_db)
            iq[:] = np.fft.ifft(spectrum)
        if self.drift_db:
            time_s = (first + np.arange(iq.size)) / self.tuning.rate_hz
            swing_db = self.drift_db * np.sin(2 * np.pi * time_s / self.drift_period_s)
            iq *= (10.0 ** (swing_db / 20.0)).astype(np.float32)
        if self.image_db is not None:
            iq += np.float32(10.0 ** (self.image_db / 20.0)) * np.conj(iq)
        if self.dc:
            iq += np.complex64(self.dc)


class SyntheticSource(SourceContext):
    """A scene as a source: `seconds` of it in bytes (or complex64 when `as_bytes` is False), never-ending when None."""

    def __init__(self, scene: Scene, seconds: float | None = None, *, as_bytes: bool = True) -> None:
        if seconds is not None and not seconds > 0:
            raise BadInput(f"a synthetic source lasts more than 0 s, got {seconds}")
        self.scene = scene
        self._seconds = seconds
        self._as_bytes = as_bytes

    @property
    def name(self) -> str:
        return "synthetic"

    @property
    def tuning(self) -> Tuning:
        return self.scene.tuning

    def blocks(self) -> Iterator[IqBlock]:
        """Blocks of one chunk (0.1 s); the last may be shorter."""
        rate_hz, step = self.tuning.rate_hz, self.scene.chunk_samples
        left = math.inf if self._seconds is None else round(self._seconds * rate_hz)
        index = 0
        while left > 0:
            iq = self.scene.chunk(index)
            if left < iq.size:
                iq = iq[: int(left)]
            first = index * step
            yield IqBlock(u8_of(iq) if self._as_bytes else iq, first, first / rate_hz)
            left -= iq.size
            index += 1


@lru_cache(maxsize=64)
def lora_frame(
    modulation: LoraModulation, phy_payload_bytes: int, rate_hz: float, offset_hz: float, seed: int
) -> NDArray[np.complex64]:
    """A frame of unit amplitude, complex64, shape (airtime x rate,): up-chirps, two down-chirps and a quarter, symbols.

    Chirps run from -BW/2 to +BW/2 around `offset_hz` and wrap; the symbols are random.
    """
    rng = np.random.default_rng(seed)
    chips = 2**modulation.spreading_factor
    length_s = airtime_s(modulation, phy_payload_bytes)
    preamble = math.ceil(modulation.preamble_symbols)
    symbols = np.zeros(preamble + math.ceil(SYNC_SYMBOLS) + payload_symbols(modulation, phy_payload_bytes) + 1)
    symbols[preamble:] = rng.integers(0, chips, symbols.size - preamble)
    time = np.arange(round(length_s * rate_hz)) / rate_hz / modulation.symbol_s  # in symbols
    number = time.astype(np.intp)
    sweep = (time - number + symbols[number] / chips) % 1.0 - 0.5  # -0.5..0.5 of the bandwidth
    down = (number >= preamble + 2) & (number < preamble + math.ceil(SYNC_SYMBOLS))
    frequency_hz = np.where(down, -sweep, sweep) * modulation.bandwidth_hz + offset_hz
    return _turn(np.cumsum(frequency_hz / rate_hz) % 1.0)


@lru_cache(maxsize=1)
def _turn_table() -> NDArray[np.complex64]:
    table: NDArray[np.complex64] = np.exp(2j * np.pi * np.arange(PHASE_STEPS) / PHASE_STEPS).astype(np.complex64)
    return table


def _turn(turns: NDArray[np.floating[Any]]) -> NDArray[np.complex64]:
    """exp(2 pi i turns) for turns in [0, 1), from a table."""
    return _turn_table()[(turns * PHASE_STEPS).astype(np.intp) % PHASE_STEPS]


@lru_cache(maxsize=4)
def _rolloff(count: int, rolloff_db: float) -> NDArray[np.float32]:
    """Gain over the FFT bins of a chunk: 0 dB inside, falling to -rolloff_db at the edges of the band."""
    edge = np.clip((np.abs(np.fft.fftfreq(count)) - 0.375) / 0.125, 0.0, 1.0)
    loss_db = rolloff_db * (1.0 - np.cos(np.pi * edge)) / 2.0
    gain: NDArray[np.float32] = (10.0 ** (-loss_db / 20.0)).astype(np.float32)
    return gain
