"""What a sensor of a scene hears, as the bytes of its dongle: all that is on the air, noise, and its own impairments.

Chunks of 10 ms are made one after another and depend on nothing but the scene, the sensor and the seed; blocks of any
length are cut from them. A sample taken at time t of the scene holds every transmission at its received power.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.source import U8_SCALE
from testbed.twin import emissions
from testbed.twin.air import THERMAL_NOISE_DBM_HZ, Transmission, received_power_dbm, uniform
from testbed.twin.emissions import Placed, fixed_turns, passband, placed, samples_at
from testbed.twin.scene import Impairments, Scene, Sensor

CHUNK_S: Final = 0.01

# What the converter's rounding adds to a complex sample whose noise spans a step or more: 1/12 of a step squared in I
# and in Q (Bennett 1948).
ROUNDING_POWER: Final = 2.0 / 12.0 / U8_SCALE**2

Transmissions = Callable[[float, float], Sequence[Transmission]]


@dataclass(frozen=True, slots=True, eq=False)
class _Playing:
    """A recording on the air: its samples from sample number `begins` on, again and again until `ends`."""

    iq: NDArray[np.complex64]
    begins: int
    ends: int
    phase: np.uint64
    frequency: np.uint64
    amplitude: np.complex64


@dataclass(frozen=True, slots=True)
class Converter:
    """What becomes of a sample between mixer and bytes: straight x + mirrored x* + constant, limited to +-limit."""

    straight: np.complex64
    mirrored: np.complex64
    constant: np.complex64
    limit: np.float32


def converter(impairments: Impairments) -> Converter:
    """The converter with a sensor's impairments.

    With Q's gain g and phase error p against I, x becomes (1 + g e^-jp)/2 x + (1 - g e^jp)/2 x* (M. Valkama et al.,
    "Advanced Methods for I/Q Imbalance Compensation", IEEE Trans. Signal Processing 49, 2001, eq. 3); both are then
    scaled so that the power of the signal stays as it was.
    """
    gain = 10.0 ** (impairments.iq_gain_db / 20.0)
    turn = math.radians(impairments.iq_phase_deg)
    skew = gain * complex(math.cos(turn), math.sin(turn))
    straight, mirrored = (1.0 + skew.conjugate()) / 2.0, (1.0 - skew) / 2.0
    scale = 1.0 / abs(straight)
    offset = impairments.dc_offset_dbfs
    constant = 0.0 if offset is None else 10.0 ** (offset / 20.0) * complex(1.0, 1.0) / math.sqrt(2.0)
    limit = 10.0 ** (impairments.clip_dbfs / 20.0)
    return Converter(
        np.complex64(straight * scale), np.complex64(mirrored * scale), np.complex64(constant), np.float32(limit)
    )


class Ear:
    """One sensor's stream from scene time from_s on. `chunk()` makes the next 10 ms; `skip()` leaves them out.

    transmissions: gives all that is on the air at any time of [t0, t1); asked once a chunk, ahead of it. sensor: with
    the gain and centre it is tuned to. seed: None for the scene's. clipped: I and Q values that were cut off so far.
    """

    def __init__(
        self,
        scene: Scene,
        sensor: Sensor,
        transmissions: Transmissions,
        *,
        seed: int | None = None,
        from_s: float = 0.0,
    ) -> None:
        self.scene, self.sensor, self.from_s = scene, sensor, from_s
        self.seed = scene.seed if seed is None else seed
        error = 1.0 + sensor.impairments.ppm * 1e-6
        # A crystal that runs high by ppm tunes high and samples fast by as much.
        self.real_center_hz, self.real_rate_hz = sensor.center_hz * error, sensor.rate_hz * error
        self.chunk_samples = max(1, round(CHUNK_S * sensor.rate_hz))
        self.clipped = 0
        self._transmissions = transmissions
        self._converter = converter(sensor.impairments)
        self._name_key = round(uniform("ear", sensor.name) * 2**63)
        self._index = 0
        self._oscillator = np.uint64(0)  # its phase, in 2^-64 turns
        self._heard: dict[int, Placed | _Playing | None] = {}

    @property
    def noise_dbm_hz(self) -> float:
        """Noise density at the antenna: thermal, and the receiver's own."""
        figure_db = self.sensor.noise_figure_db
        return THERMAL_NOISE_DBM_HZ + (self.scene.propagation.noise_figure_db if figure_db is None else figure_db)

    @property
    def noise_power(self) -> float:
        """Power of the noise in a sample before it is rounded, of full scale."""
        return self._power(self.noise_dbm_hz + 10.0 * math.log10(self.sensor.rate_hz))

    def noise_dbfs(self, bandwidth_hz: float) -> float:
        """Noise over a bandwidth as the bytes hold it, that of rounding included."""
        share = bandwidth_hz / self.sensor.rate_hz
        return 10.0 * math.log10((self.noise_power + ROUNDING_POWER) * share)

    def level_dbfs(self, transmission: Transmission) -> float:
        """Level of a transmission in this sensor's samples: received power, less full scale and the filter's loss."""
        offset_hz = transmission.center_hz - self.real_center_hz
        gain = passband(offset_hz, transmission.bandwidth_hz, self.real_rate_hz)
        if gain == 0.0:
            return -math.inf
        received_dbm = received_power_dbm(self.scene, transmission, self.sensor)
        return received_dbm - self.sensor.full_scale_dbm + 20.0 * math.log10(gain)

    def snr_db(self, transmission: Transmission) -> float:
        """Its level over the noise in its own bandwidth."""
        return self.level_dbfs(transmission) - self.noise_dbfs(transmission.bandwidth_hz)

    def sample_at(self, time_s: float) -> int:
        """Number of the first sample taken at or after a time of the scene."""
        return int(samples_at(time_s - self.from_s, self.real_rate_hz))

    def chunk(self) -> NDArray[np.uint8]:
        """The next chunk as bytes, shape (2 chunk_samples,)."""
        from testbed.twin import kernels

        iq = self._mixed()
        out = np.empty(2 * iq.size, dtype=np.uint8)
        made = self._converter
        self.clipped += int(kernels.digitise(iq, made.straight, made.mirrored, made.constant, made.limit, out))
        self._index += 1
        return out

    def skip(self, chunks: int) -> None:
        """Leave the next chunks out, as when nobody had the time to make them."""
        self._index += chunks

    def move_to(self, time_s: float) -> None:
        """Let the next chunk begin at another time of the scene: its clock was set."""
        self.from_s = time_s - self._index * self.chunk_samples / self.real_rate_hz
        self._heard.clear()

    def blocks(self, samples: int) -> Iterator[NDArray[np.uint8]]:
        """Chunks cut anew into blocks of so many samples, uint8, shape (2 samples,), without end."""
        left = np.empty(0, dtype=np.uint8)
        while True:
            while left.size < 2 * samples:
                left = np.concatenate([left, self.chunk()])
            yield left[: 2 * samples]
            left = left[2 * samples :]

    def _power(self, level_dbm: float) -> float:
        return float(10.0 ** ((level_dbm - self.sensor.full_scale_dbm) / 10.0))

    def _mixed(self) -> NDArray[np.complex64]:
        """The next chunk at the converter, complex64, shape (chunk_samples,), full scale 1."""
        from testbed.twin import kernels

        rng = np.random.Generator(np.random.SFC64([self.seed, self._name_key, self._index]))
        parts = rng.standard_normal(2 * self.chunk_samples, dtype=np.float32)
        parts *= np.float32(math.sqrt(self.noise_power / 2.0))
        iq = parts.view(np.complex64)
        first = self._index * self.chunk_samples
        for heard in self._on_air(first):
            if isinstance(heard, Placed):
                kernels.add_pieces(iq, first, *heard.columns(), kernels.TABLE)
            else:
                _play(iq, first, heard)
        if self.sensor.impairments.phase_noise_hz > 0.0:
            # A Wiener phase of linewidth B grows by a variance of 2 pi B / rate a sample (A. Demir, 2000).
            radians = math.sqrt(2.0 * math.pi * self.sensor.impairments.phase_noise_hz / self.real_rate_hz)
            steps = rng.standard_normal(iq.size, dtype=np.float32)
            deviation = radians / (2.0 * math.pi) * emissions.TURN
            self._oscillator = np.uint64(kernels.turn_randomly(iq, steps, deviation, self._oscillator, kernels.TABLE))
        return iq

    def _on_air(self, first: int) -> list[Placed | _Playing]:
        """What the chunk holds; what is over is forgotten."""
        times_s = [self.from_s + n / self.real_rate_hz for n in (first, first + self.chunk_samples)]
        on_air = self._transmissions(*times_s)
        self._heard = {
            one.transmission_id: self._heard[one.transmission_id]
            if one.transmission_id in self._heard
            else self._place(one)
            for one in on_air
        }
        return [heard for heard in self._heard.values() if heard is not None]

    def _place(self, transmission: Transmission) -> Placed | _Playing | None:
        """A transmission among this sensor's samples; None when it is out of band."""
        level_dbfs = self.level_dbfs(transmission)
        if level_dbfs == -math.inf:
            return None
        turns = uniform(self.scene.seed, "phase", transmission.transmission_id, self.sensor.name)
        amplitude = 10.0 ** (level_dbfs / 20.0) * complex(math.cos(2 * math.pi * turns), math.sin(2 * math.pi * turns))
        offset_hz = transmission.center_hz - self.real_center_hz
        start_s = transmission.start_s - self.from_s
        if transmission.kind == "recording":
            return self._playing(transmission, start_s, offset_hz, amplitude)
        waveform = emissions.WAVEFORMS[transmission.kind](transmission)
        return placed(waveform, start_s, offset_hz, amplitude, self.real_rate_hz)

    def _playing(self, transmission: Transmission, start_s: float, offset_hz: float, amplitude: complex) -> _Playing:
        from testbed.waveforms.recorded import recorded_iq

        assert transmission.file is not None, "a recording on the air has a file"
        begins, ends = samples_at([start_s, start_s + transmission.airtime_s], self.real_rate_hz)
        return _Playing(
            recorded_iq(transmission.file, self.sensor.rate_hz),
            int(begins),
            int(ends),
            fixed_turns(np.array([offset_hz * (begins / self.real_rate_hz - start_s) % 1.0]))[0],
            fixed_turns(np.array([offset_hz / self.real_rate_hz]))[0],
            np.complex64(amplitude),
        )


def _play(iq: NDArray[np.complex64], first: int, playing: _Playing) -> None:
    from testbed.twin import kernels

    low, high = max(playing.begins, first), min(playing.ends, first + iq.size)
    while low < high:
        at = (low - playing.begins) % playing.iq.size
        count = min(high - low, playing.iq.size - at)
        with np.errstate(over="ignore"):
            phase = playing.phase + playing.frequency * np.uint64(low - playing.begins)
        kernels.add_shifted(
            iq[low - first : low - first + count], playing.iq[at : at + count], phase, playing.frequency,
            playing.amplitude, kernels.TABLE,
        )  # fmt: skip
        low += count
