"""Which waveform a transmission has, and how it lies among the samples of a sensor."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectrum.lora import LoraModulation
from testbed.twin.air import Transmission
from testbed.waveforms.lora import lora_waveform
from testbed.waveforms.pieces import Waveform, carrier
from testbed.waveforms.sigfox import COUNTER_BITS, sigfox_waveform
from testbed.waveforms.wmbus import wmbus_waveform

# One turn in the kernels' units.
TURN: Final = 2.0**64
# No sample number of a stream comes near it: a century at 2.4 MS/s.
NEVER: Final = 1 << 53
# Times that only rounding tells apart fall on the same sample.
SAME_SAMPLE: Final = 1e-6


def modulation_of(transmission: Transmission) -> LoraModulation:
    """How a LoRa frame is modulated: explicit header, payload CRC in uplinks only (LoRaWAN 1.0.4, 3.1)."""
    assert transmission.spreading_factor is not None, "a LoRa frame has a spreading factor"
    return LoraModulation(
        transmission.spreading_factor,
        transmission.bandwidth_hz,
        transmission.coding_rate,
        crc=not transmission.downlink,
    )


def _lora(transmission: Transmission) -> Waveform:
    return lora_waveform(modulation_of(transmission), transmission.payload, inverted=transmission.downlink)


@lru_cache(maxsize=4096)
def endpoint_of(source: str) -> tuple[int, bytes]:
    """Identity and key of a SigFox endpoint, made of its name."""
    digest = hashlib.blake2b(source.encode(), digest_size=20).digest()
    return int.from_bytes(digest[:4]), digest[4:]


def _sigfox(transmission: Transmission) -> Waveform:
    """The counter is made of the payload, so that the three copies of a message have the same one."""
    identity, key = endpoint_of(transmission.source)
    counter = int.from_bytes(hashlib.blake2b(transmission.payload, digest_size=2).digest()) % (1 << COUNTER_BITS)
    return sigfox_waveform(transmission.payload, transmission.copy, identity=identity, counter=counter, key=key)


def _carrier(transmission: Transmission) -> Waveform:
    return carrier(transmission.airtime_s)


def _wmbus(transmission: Transmission) -> Waveform:
    return wmbus_waveform(transmission.airtime_s, transmission.transmission_id)


# A recording is no waveform of pieces; the ear plays its samples.
WAVEFORMS: Final[dict[str, Callable[[Transmission], Waveform]]] = {
    "lora": _lora,
    "sigfox": _sigfox,
    "carrier": _carrier,
    "burst": _carrier,
    "wmbus": _wmbus,
}


def fixed_turns(turns: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Turns in 2^-64 of a turn, modulo one turn."""
    nearest = turns - np.round(turns)  # -0.5 to 0.5
    return (np.clip(nearest, -0.5, 0.5 - 2.0**-54) * TURN).astype(np.int64).view(np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Pieces among the samples of a stream, as the kernel takes them: see kernels.add_pieces."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    phase: NDArray[np.uint64]
    frequency: NDArray[np.uint64]
    slope: NDArray[np.uint64]
    amplitude: NDArray[np.complex64]

    def columns(self) -> tuple[NDArray[Any], ...]:
        """All columns in the kernel's order."""
        return self.begins, self.ends, self.phase, self.frequency, self.slope, self.amplitude


def placed(waveform: Waveform, start_s: float, offset_hz: float, amplitude: complex, rate_hz: float) -> Placed:
    """A waveform that starts at start_s of a stream whose sample n is taken at n / rate_hz, moved by offset_hz.

    A piece fills the samples taken in [begins_s, ends_s). Within a piece the phase of sample begins + m is
    phase + m frequency + m (m - 1)/2 slope: the polynomial of pieces.Piece, by its differences.
    """
    begins = samples_at(start_s + waveform.begins_s, rate_hz)
    ends = samples_at(start_s + waveform.ends_s, rate_hz)
    into_s = begins / rate_hz - start_s  # time of the first sample since the waveform's start
    inside_s = into_s - waveform.begins_s
    own_hz = waveform.frequency_hz + waveform.slope_hz_s * inside_s
    turns = waveform.phase_turns + (waveform.frequency_hz + waveform.slope_hz_s * inside_s / 2.0) * inside_s
    slope = waveform.slope_hz_s / rate_hz**2
    return Placed(
        begins,
        ends,
        fixed_turns(turns + (offset_hz * into_s) % 1.0),
        fixed_turns((own_hz + offset_hz) / rate_hz + slope / 2.0),
        fixed_turns(slope),
        (waveform.amplitude * amplitude).astype(np.complex64),
    )


def samples_at(time_s: ArrayLike, rate_hz: float) -> NDArray[np.int64]:
    """Numbers of the first samples taken at or after times, in the shape of time_s; NEVER for infinite ones."""
    numbers = np.ceil(np.asarray(time_s) * rate_hz - SAME_SAMPLE)
    return np.asarray(np.minimum(numbers, float(NEVER)).astype(np.int64))


def passband(offset_hz: float, bandwidth_hz: float, rate_hz: float) -> float:
    """Amplitude that the dongle's filter leaves of a signal at offset_hz from the tuned frequency.

    1 within 0.45 of the rate, falling as a raised cosine to 0 where nothing of the signal lies in the band any more. A
    model of the decimation filter: sharper or blunter ones exist.
    """
    whole_hz, none_hz = 0.45 * rate_hz, 0.5 * rate_hz + bandwidth_hz / 2.0
    beyond = min(max((abs(offset_hz) - whole_hz) / (none_hz - whole_hz), 0.0), 1.0)
    return 0.5 * (1.0 + math.cos(math.pi * beyond)) if beyond < 1.0 else 0.0
