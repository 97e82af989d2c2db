"""Telegrams like those of wireless M-Bus meters (EN 13757-4, mode T, meter to other): FSK at 868.95 MHz.

The radio side is the standard's: 100 kchip/s, +-50 kHz, preamble of 19 times 01, synchronisation 0000111101, 3 out of 6
coding. What is coded is random bytes: an interferer that keys as a meter does, not a telegram that a meter would send.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from spectrum.errors import BadInput
from testbed.waveforms.pieces import Piece, Waveform, waveform_of

CHIP_RATE: Final = 100e3  # chip/s (7.1, table 7)
DEVIATION_HZ: Final = 50e3  # typical (7.1, table 7); chips of 1 are the upper frequency
PREAMBLE: Final = (0, 1) * 19  # the least there is (7.4.2.3)
SYNCHRONISATION: Final = (0, 0, 0, 0, 1, 1, 1, 1, 0, 1)

# 3 out of 6: the six-chip word of each nibble, three ones in each (7.4.2.1, table 10).
THREE_OUT_OF_SIX: Final = (
    0b010110, 0b001101, 0b001110, 0b001011, 0b011100, 0b011001, 0b011010, 0b010011,
    0b101100, 0b100101, 0b100110, 0b100011, 0b110100, 0b110001, 0b110010, 0b101001,
)  # fmt: skip


def telegram_chips(payload: bytes) -> list[int]:
    """Chips of a telegram: preamble, synchronisation, then each byte's high nibble and low nibble."""
    words = [THREE_OUT_OF_SIX[nibble] for byte in payload for nibble in (byte >> 4, byte & 0xF)]
    return [*PREAMBLE, *SYNCHRONISATION, *(word >> i & 1 for word in words for i in reversed(range(6)))]


def _fsk(chips: Sequence[int]) -> Iterator[Piece]:
    """Runs of equal chips, with continuous phase."""
    start, phase = 0, 0.0
    for i in range(1, len(chips) + 1):
        if i == len(chips) or chips[i] != chips[start]:
            frequency_hz = DEVIATION_HZ if chips[start] else -DEVIATION_HZ
            piece = Piece(start / CHIP_RATE, i / CHIP_RATE, phase, frequency_hz)
            yield piece
            start, phase = i, piece.end_turns


@lru_cache(maxsize=64)
def wmbus_waveform(duration_s: float, seed: int) -> Waveform:
    """A telegram of random bytes that lasts `duration_s`, cut off within a byte if need be."""
    chips = round(duration_s * CHIP_RATE)
    if chips < 1:
        raise BadInput(f"a telegram lasts at least one chip ({1 / CHIP_RATE:g} s), got {duration_s}")
    payload = np.random.default_rng(seed).bytes(max(1, math.ceil(chips / 12)))
    return waveform_of(_fsk(telegram_chips(payload)[:chips]))
