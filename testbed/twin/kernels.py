"""The loops of the ear that touch every sample, compiled. Imported only when something is heard (numba is heavy)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sensing.kernels import compiled

# Phases are whole numbers of 2^-64 turns, so that they wrap by themselves and any sample is reached without error. The
# upper bits choose an entry of the table, the rest turns it on by its tangent: error below 5e-6 of the amplitude.
TABLE_BITS: Final = 10
TABLE: Final = np.exp(2j * np.pi * np.arange(1 << TABLE_BITS) / (1 << TABLE_BITS)).astype(np.complex64)
ENTRY_SHIFT: Final = np.uint64(64 - TABLE_BITS)
REST_MASK: Final = np.uint64((1 << 64 - TABLE_BITS) - 1)
REST_RADIANS: Final = np.float32(2.0 * np.pi / 2.0**64)
HALF: Final = np.uint64(1) << np.uint64(63 - TABLE_BITS)

# The converter of an RTL2832U: bytes are offset binary around 127.5, full scale 127.5 steps (see sensing.source).
CONVERTER_STEPS: Final = np.float32(127.5)


@compiled
def add_pieces(
    iq: Any, first: Any, begins: Any, ends: Any, phase: Any, frequency: Any, slope: Any, amplitude: Any, table: Any
) -> None:
    """Add pieces of chirps to samples [first, first + N) of a stream, complex64, shape (N,).

    Of K pieces, shape (K,): begins, ends: sample numbers, int64; phase, frequency, slope: at the first sample, per
    sample and per sample squared, in 2^-64 turns, uint64; amplitude: complex64. A piece with a slope is shorter than
    2^32 samples.
    """
    for k in range(begins.size):
        low = max(begins[k], first)
        high = min(ends[k], first + iq.size)
        if low >= high:
            continue
        gone = np.uint64(low - begins[k])
        pairs = gone * (gone - np.uint64(1)) // np.uint64(2) if gone > 0 else np.uint64(0)
        turned = phase[k] + gone * frequency[k] + pairs * slope[k] + HALF
        step = frequency[k] + gone * slope[k]
        for i in range(low - first, high - first):
            entry = table[turned >> ENTRY_SHIFT]
            rest = (np.float32(turned & REST_MASK) - np.float32(HALF)) * REST_RADIANS
            iq[i] += amplitude[k] * np.complex64(
                complex(entry.real - entry.imag * rest, entry.imag + entry.real * rest)
            )
            turned += step
            step += slope[k]


@compiled
def add_shifted(iq: Any, source: Any, phase: Any, frequency: Any, amplitude: Any, table: Any) -> None:
    """Add `source`, complex64, shape (N,), moved by `frequency` (2^-64 turns a sample, uint64) from `phase` on."""
    turned = phase + HALF
    for i in range(iq.size):
        entry = table[turned >> ENTRY_SHIFT]
        iq[i] += amplitude * source[i] * entry
        turned += frequency


@compiled
def turn_randomly(iq: Any, steps: Any, deviation: Any, turned: Any, table: Any) -> Any:
    """Turn each sample by a Wiener phase: steps: standard normal, float32, shape (N,), times `deviation`.

    deviation: 2^-64 turns, float64. turned: phase before the first sample, uint64; that after the last comes back.
    """
    for i in range(iq.size):
        turned += np.uint64(np.int64(np.float64(steps[i]) * deviation))
        entry = table[turned >> ENTRY_SHIFT]
        rest = (np.float32(turned & REST_MASK) - np.float32(HALF)) * REST_RADIANS
        iq[i] *= np.complex64(complex(entry.real - entry.imag * rest, entry.imag + entry.real * rest))
    return turned


@compiled
def digitise(iq: Any, straight: Any, mirrored: Any, constant: Any, limit: Any, out: Any) -> Any:
    """Bytes of a dongle, uint8, shape (2N,), from samples, complex64, shape (N,); how many were clipped comes back.

    Each sample x becomes straight x + mirrored x* + constant; I and Q are limited to +-limit, then rounded to the
    nearest step.
    """
    clipped = 0
    for i in range(iq.size):
        sample = straight * iq[i] + mirrored * np.conj(iq[i]) + constant
        for part in range(2):
            value = sample.real if part == 0 else sample.imag
            if value > limit or value < -limit:
                clipped += 1
                value = min(max(value, -limit), limit)
            out[2 * i + part] = np.uint8(value * CONVERTER_STEPS + CONVERTER_STEPS + np.float32(0.5))
    return clipped


def warm_up() -> None:
    """Compile or load all loops now: a client that has just connected would not wait for it."""
    iq, none, whole = np.zeros(1, dtype=np.complex64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    add_pieces(iq, 0, none, none, whole, whole, whole, np.zeros(0, dtype=np.complex64), TABLE)
    add_shifted(iq, iq.copy(), np.uint64(0), np.uint64(0), np.complex64(0), TABLE)
    turn_randomly(iq, np.zeros(1, dtype=np.float32), 0.0, np.uint64(0), TABLE)
    unit, nothing = np.complex64(1), np.complex64(0)
    digitise(iq, unit, nothing, nothing, np.float32(1), np.empty(2, dtype=np.uint8))
