"""Telegrams of wireless M-Bus meters (EN 13757-4, mode T, meter to other): FSK at 868.95 MHz, 100 kchip/s, +-50 kHz.

Frames of format A with their CRCs, sent without acknowledgement, of a meter and data that are random: a decoder reads
header and blocks, and finds nothing in the data.
"""

from __future__ import annotations

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
POSTAMBLE: Final = (0, 1)  # 2 to 8 chips (7.4.2.3)

# 3 out of 6: the six-chip word of each nibble, three ones in each (7.4.2.1, table 10).
THREE_OUT_OF_SIX: Final = (
    0b010110, 0b001101, 0b001110, 0b001011, 0b011100, 0b011001, 0b011010, 0b010011,
    0b101100, 0b100101, 0b100110, 0b100011, 0b110100, 0b110001, 0b110010, 0b101001,
)  # fmt: skip
BYTE_CHIPS: Final = 12

CRC_POLYNOMIAL: Final = 0x3D65  # start 0, inverted at the end (12.3)
SEND_NO_REPLY: Final = 0x44
MANUFACTURER: Final = 0x0532  # "AIR", five bits a letter (EN 13757-3)
WATER_METER: Final = 0x07
MANUFACTURER_SPECIFIC: Final = 0xA0  # the CI field: what follows is nobody else's business
FIRST_BLOCK_BYTES: Final = 10  # L, C, M, A
BLOCK_BYTES: Final = 16
MOST_DATA_BYTES: Final = 246  # L counts 255: C, M, A, and these


def block_crc(block: bytes) -> int:
    """CRC of one block."""
    register = 0
    for byte in block:
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1 ^ (CRC_POLYNOMIAL if register & 0x8000 else 0)) & 0xFFFF
    return register ^ 0xFFFF


def telegram(identity: int, data: bytes) -> bytes:
    """Frame format A (12.2): a block with length and address, then blocks of 16 bytes of data, each with its CRC.

    identity: eight decimal digits. data: from the CI field on.
    """
    if len(data) > MOST_DATA_BYTES:
        raise BadInput(f"a wM-Bus telegram carries at most {MOST_DATA_BYTES} bytes, got {len(data)}")
    address = MANUFACTURER.to_bytes(2, "little") + bytes.fromhex(f"{identity:08d}")[::-1] + bytes([1, WATER_METER])
    first = bytes([FIRST_BLOCK_BYTES - 1 + len(data), SEND_NO_REPLY]) + address
    blocks = [first, *(data[i : i + BLOCK_BYTES] for i in range(0, len(data), BLOCK_BYTES))]
    return b"".join(block + block_crc(block).to_bytes(2) for block in blocks)


def telegram_chips(frame: bytes) -> list[int]:
    """Chips of a frame: preamble, synchronisation, each byte's high nibble and low nibble, postamble."""
    words = [THREE_OUT_OF_SIX[nibble] for byte in frame for nibble in (byte >> 4, byte & 0xF)]
    coded = [word >> i & 1 for word in words for i in reversed(range(6))]
    return [*PREAMBLE, *SYNCHRONISATION, *coded, *POSTAMBLE]


def _chips(count: int, rng: np.random.Generator) -> list[int]:
    """`count` chips: telegrams as long as fit one after the other, and alternating chips where none fits any more."""
    chips: list[int] = []
    identity = int(rng.integers(0, 10**8))
    around = len(telegram_chips(b"")) + BYTE_CHIPS * (FIRST_BLOCK_BYTES + 2)
    while (left := (count - len(chips) - around) // BYTE_CHIPS) > 2:
        # Every 16 bytes of data bring two of CRC.
        size = min(left - 2 * -(-left // (BLOCK_BYTES + 2)), MOST_DATA_BYTES)
        chips += telegram_chips(telegram(identity, bytes([MANUFACTURER_SPECIFIC]) + rng.bytes(size - 1)))
    return chips + [i % 2 for i in range(count - len(chips))]


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
    """What a meter sends in `duration_s`: telegrams of up to 35 ms back to back."""
    count = round(duration_s * CHIP_RATE)
    if count < 1:
        raise BadInput(f"a telegram lasts at least one chip ({1 / CHIP_RATE:g} s), got {duration_s}")
    return waveform_of(_fsk(_chips(count, np.random.default_rng(seed))))
