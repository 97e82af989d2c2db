"""A waveform as pieces of chirps: in each, amplitude is constant and phase a polynomial of second degree in time.

LoRa, DBPSK, FSK and carriers all are such waveforms, whatever rate they are sampled at later. Pieces may overlap; they
add up, so a cosine-shaped transition is two pieces of half the amplitude.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectrum.errors import BadInput

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece: from begins_s to ends_s after the waveform's start, amplitude x exp(2 pi i p(u)), u = t - begins_s,
    p(u) = phase_turns + frequency_hz u + slope_hz_s u^2 / 2. Frequencies are relative to the carrier.
    """

    begins_s: float
    ends_s: float
    phase_turns: float = 0.0
    frequency_hz: float = 0.0
    slope_hz_s: float = 0.0
    amplitude: float = 1.0

    @property
    def end_turns(self) -> float:
        """Phase at its end, where the next piece goes on when the phase is to be continuous."""
        length_s = self.ends_s - self.begins_s
        return (self.phase_turns + (self.frequency_hz + self.slope_hz_s * length_s / 2.0) * length_s) % 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """K pieces as columns of shape (K,), named as in Piece. duration_s: until the end of the last, may be infinite."""

    begins_s: Floats
    ends_s: Floats
    phase_turns: Floats
    frequency_hz: Floats
    slope_hz_s: Floats
    amplitude: Floats

    @property
    def duration_s(self) -> float:
        """Seconds from its start to the end of the last piece."""
        return float(self.ends_s.max())


def waveform_of(pieces: Iterable[Piece]) -> Waveform:
    """Pieces put together; BadInput without any."""
    rows = [
        (one.begins_s, one.ends_s, one.phase_turns, one.frequency_hz, one.slope_hz_s, one.amplitude) for one in pieces
    ]
    if not rows:
        raise BadInput("a waveform needs at least one piece, got none")
    columns = np.array(rows, dtype=np.float64).T
    return Waveform(*(np.ascontiguousarray(column) for column in columns))


def carrier(duration_s: float = math.inf) -> Waveform:
    """A sinusoid at the carrier frequency itself: a continuous interferer, or one burst of a periodic one."""
    if not duration_s > 0:
        raise BadInput(f"a carrier lasts more than 0 s, got {duration_s}")
    return waveform_of([Piece(0.0, duration_s)])
