"""LoRa from bytes to symbols: whitening, CRC, header, Hamming code, diagonal interleaver, Gray mapping.

Semtech never published the coding. It is described, and confirmed with Semtech's chips, by J. Tapparel et al., "An
Open-Source LoRa Physical Layer Prototype on GNU Radio" (SPAWC 2020), here [T], and by Z. Xu et al., "From Demodulation
to Decoding: Toward Complete LoRa PHY Understanding and Implementation" (ACM TOSN 18, 2022), here [X]. Both agree in all
that follows; how many symbols there are is the datasheet's formula (spectrum.lora).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spectrum.errors import BadInput
from spectrum.lora import LoraModulation, payload_symbols

MOST_PAYLOAD_BYTES: Final = 255  # the header's length field has 8 bits

# The header, or without one the first SF - 2 nibbles, goes out in 8 symbols of 4/8, whatever the rest has ([X] 4.2).
HEADER_CODING_RATE: Final = 4
HEADER_NIBBLES: Final = 5
REDUCED_BITS: Final = 2  # bits that a symbol of reduced rate carries less

# Feedback of the whitening register, x^8 + x^6 + x^5 + x^4 + 1, and where it starts ([X] 4.5).
WHITENING_TAPS: Final = 0b10111000
WHITENING_START: Final = 0xFF

CRC_POLYNOMIAL: Final = 0x1021  # x^16 + x^12 + x^5 + 1, register starting at 0 ([X] 4.6)

# Which of the 12 bits of length and flags each bit of the header's checksum adds up, most significant first ([X] 4.4).
HEADER_CHECKSUM: Final = (0b1111_0000_0000, 0b1000_1110_0001, 0b0100_1001_1010, 0b0010_0101_0111, 0b0001_0010_1111)

# Data bits that each parity bit adds up; 4/5 has one over all four ([T] II-B).
PARITY: Final = (0b0111, 0b1110, 0b1011, 0b1101)
PARITY_4_5: Final = 0b1111


def _parity(bits: int) -> int:
    return bits.bit_count() & 1


def whitened(data: bytes) -> bytes:
    """Payload bytes added to the register's sequence FF FE FC F8 F0 E1 ...; the same again takes it away."""
    register, out = WHITENING_START, bytearray()
    for byte in data:
        out.append(byte ^ register)
        register = (register << 1 | _parity(register & WHITENING_TAPS)) & 0xFF
    return bytes(out)


def payload_crc(payload: bytes) -> int:
    """CRC of the payload: that of all but the last two bytes, to which those two are added ([X] 4.6)."""
    if len(payload) < 2:
        return int.from_bytes(payload)
    register = 0
    for byte in payload[:-2]:
        register ^= byte << 8
        for _ in range(8):
            register = register << 1 ^ (CRC_POLYNOMIAL if register & 0x8000 else 0)
        register &= 0xFFFF
    return register ^ int.from_bytes(payload[-2:])


def header_nibbles(payload_bytes: int, coding_rate: int, crc: bool) -> list[int]:
    """Length (high nibble first), coding rate and CRC flag, and five bits of checksum in two nibbles."""
    fields = payload_bytes << 4 | coding_rate << 1 | crc
    checksum = 0
    for row in HEADER_CHECKSUM:
        checksum = checksum << 1 | _parity(fields & row)
    return [fields >> 8, fields >> 4 & 0xF, fields & 0xF, checksum >> 4, checksum & 0xF]


def codeword(nibble: int, coding_rate: int) -> int:
    """Code word of 4 + coding_rate bits: the data, least significant bit first, then the parity bits."""
    data = sum((nibble >> i & 1) << 3 - i for i in range(4))
    if coding_rate == 1:
        return data << 1 | _parity(nibble & PARITY_4_5)
    for mask in PARITY[:coding_rate]:
        data = data << 1 | _parity(nibble & mask)
    return data


def interleaved(words: Sequence[int], coding_rate: int) -> list[int]:
    """Symbols of len(words) bits, one for each bit of the words: symbol i holds bit i of every word, turned by i.

    Bit j of symbol i, counted from the most significant, is bit i of word (i - j - 1) mod len(words) ([T] II-B).
    """
    rows, length = len(words), 4 + coding_rate
    symbols = []
    for i in range(length):
        symbol = 0
        for j in range(rows):
            symbol = symbol << 1 | words[(i - j - 1) % rows] >> length - 1 - i & 1
        symbols.append(symbol)
    return symbols


def gray_decoded(value: int) -> int:
    """The number whose Gray code is `value`: neighbouring chirps then differ in one bit."""
    number = 0
    while value:
        number ^= value
        value >>= 1
    return number


def shift_of(symbol: int, spreading_factor: int, reduced: bool) -> int:
    """By how many chips the up-chirp is shifted; at reduced rate by four times as many, and one more in any case."""
    return (gray_decoded(symbol) << (REDUCED_BITS if reduced else 0)) + 1 & (1 << spreading_factor) - 1


def payload_nibbles(payload: bytes, crc: bool) -> list[int]:
    """Whitened payload, then CRC (not whitened, low byte first), low nibble of each byte first."""
    data = whitened(payload) + (payload_crc(payload).to_bytes(2, "little") if crc else b"")
    return [half for byte in data for half in (byte & 0xF, byte >> 4)]


def symbols_of(modulation: LoraModulation, payload: bytes) -> list[int]:
    """Shifts in chips of the symbols after preamble and delimiter; as many as `spectrum.lora.payload_symbols` says."""
    if len(payload) > MOST_PAYLOAD_BYTES:
        raise BadInput(f"a LoRa payload has at most {MOST_PAYLOAD_BYTES} bytes, got {len(payload)}")
    factor, rate = modulation.spreading_factor, modulation.coding_rate
    header = header_nibbles(len(payload), rate, modulation.crc) if modulation.explicit_header else []
    nibbles = header + payload_nibbles(payload, modulation.crc)
    first, step = factor - REDUCED_BITS, factor - REDUCED_BITS * modulation.low_data_rate_used
    blocks = (payload_symbols(modulation, len(payload)) - 8) // (rate + 4)
    nibbles += [0] * (first + step * blocks - len(nibbles))
    words = [codeword(nibble, HEADER_CODING_RATE) for nibble in nibbles[:first]]
    shifts = [shift_of(symbol, factor, True) for symbol in interleaved(words, HEADER_CODING_RATE)]
    for start in range(first, len(nibbles), step):
        words = [codeword(nibble, rate) for nibble in nibbles[start : start + step]]
        shifts += [shift_of(one, factor, modulation.low_data_rate_used) for one in interleaved(words, rate)]
    return shifts
