"""SigFox uplink frames (RC1): bits of the three copies, and DBPSK at 100 bit/s.

Layout and codes are those of "Sigfox connected objects: Radio specifications" (section 3, uplink) as carried out by the
open endpoint library that UnaBiz published; the airtime is `spectrum.sigfox.airtime_s`.

    preamble 19 | type 13 | length 2 | both ways 1 | 0 | counter 12 | identity 32 | payload and authentication | CRC 16

The first copy is sent plain, the second and third through a convolutional code of rate 1 (7 and 5 in octal).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from spectrum.errors import BadInput
from spectrum.sigfox import BIT_RATE, COPIES, MAX_PAYLOAD_BYTES, PAYLOAD_CLASSES_BYTES
from testbed.waveforms.pieces import Piece, Waveform, waveform_of

PREAMBLE_BITS: Final = 19  # 1010...1
TYPE_BITS: Final = 13
COUNTER_BITS: Final = 12

# Frame types by payload class (0, 1, 4, 8, 12 bytes), one for each copy: they also tell a receiver the code.
FRAME_TYPES: Final = (
    (0x006B, 0x06E0, 0x0034),
    (0x008D, 0x00D2, 0x0302),
    (0x035F, 0x0598, 0x05A3),
    (0x0611, 0x06BF, 0x072C),
    (0x094C, 0x0971, 0x0997),
)

# Which of the last three bits each copy adds up: the bit itself; it and the two before; it and the one before the last.
CODES: Final = ((0,), (0, 1, 2), (0, 2))

CRC_POLYNOMIAL: Final = 0x1021
CRC_INVERSION: Final = 0xFFFF
AUTHENTICATION_BYTES: Final = 2  # and as many more as the payload lacks to its class

# How long the amplitude takes from one phase through 0 to the opposite one. A tenth of a bit keeps the signal below
# -40 dB beyond 2 kHz; the specification leaves the shape to the maker.
TRANSITION_S: Final = 1e-3


def _bits(value: int, count: int) -> list[int]:
    return [value >> i & 1 for i in reversed(range(count))]


def crc16(data: bytes) -> int:
    """CRC over everything from the length field to the authentication, inverted."""
    register = 0
    for byte in data:
        register ^= byte << 8
        for _ in range(8):
            register = register << 1 ^ (CRC_POLYNOMIAL if register & 0x8000 else 0)
        register &= 0xFFFF
    return register ^ CRC_INVERSION


def authentication(key: bytes, message: bytes, size: int) -> bytes:
    """First `size` bytes of the AES-128 CBC-MAC of the message, which is repeated until it fills whole blocks."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    blocks = math.ceil(len(message) / 16)
    padded = (message * (blocks * 16 // len(message) + 1))[: blocks * 16]
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return (encryptor.update(padded) + encryptor.finalize())[-16:][:size]


def convolved(bits: Sequence[int], copy: int) -> list[int]:
    """Bits of a copy: each is a sum of this bit and some of the two before it, which start as 0."""
    delayed = [0, 0, *bits]
    return [sum(delayed[i + 2 - back] for back in CODES[copy]) & 1 for i in range(len(bits))]


def frame_of(payload: bytes, copy: int, *, identity: int, counter: int, key: bytes) -> list[int]:
    """Bits of one copy (0 to 2) of a message of up to 12 bytes; as many as `spectrum.sigfox.frame_bits` says.

    identity: 32 bits. counter: of messages, modulo 4096. key: AES key of the endpoint, 16 bytes. A message without
    payload carries its one bit as 1.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise BadInput(f"a SigFox payload has at most {MAX_PAYLOAD_BYTES} bytes, got {len(payload)}")
    if copy not in range(COPIES):
        raise BadInput(f"a SigFox message has the copies 0 to {COPIES - 1}, got {copy}")
    number, carried = next((i, size) for i, size in enumerate(PAYLOAD_CLASSES_BYTES) if size >= len(payload))
    missing = carried - len(payload)
    length_field = missing if payload else 0b11  # no payload: one bit, which is set
    flags = length_field << COUNTER_BITS + 2 | counter % (1 << COUNTER_BITS)
    message = flags.to_bytes(2) + identity.to_bytes(4) + payload
    message += authentication(key, message, AUTHENTICATION_BYTES + missing)
    message += crc16(message).to_bytes(2)
    content = [bit for byte in message for bit in _bits(byte, 8)]
    opening = [1 - i % 2 for i in range(PREAMBLE_BITS)] + _bits(FRAME_TYPES[number][copy], TYPE_BITS)
    return opening + convolved(content, copy)


def _dbpsk(bits: Sequence[int], bit_s: float, transition_s: float) -> Iterator[Piece]:
    """Signs held between transitions, and cosine-shaped transitions around the borders of bits.

    The frame rises along a quarter of a sine and falls along a quarter of a cosine.
    """
    half_s, phase = transition_s / 2.0, 0.0
    held_s, end_s = half_s, len(bits) * bit_s
    yield from _cosine(0.0, half_s, 0.25, -0.25, 0.25)
    for i, bit in enumerate(bits):
        if bit == 0 and i > 0:
            border_s = i * bit_s
            yield Piece(held_s, border_s - half_s, phase)
            yield from _cosine(border_s - half_s, border_s + half_s, 0.5, phase, phase)
            held_s, phase = border_s + half_s, (phase + 0.5) % 1.0
    yield Piece(held_s, end_s - half_s, phase)
    yield from _cosine(end_s - half_s, end_s, 0.25, phase, phase)


def _cosine(begins_s: float, ends_s: float, turns: float, forwards: float, backwards: float) -> Iterator[Piece]:
    """`turns` of a cosine as two pieces of half the amplitude that turn against each other from the two phases."""
    frequency_hz = turns / (ends_s - begins_s)
    yield Piece(begins_s, ends_s, forwards, frequency_hz, amplitude=0.5)
    yield Piece(begins_s, ends_s, backwards, -frequency_hz, amplitude=0.5)


@lru_cache(maxsize=256)
def sigfox_waveform(payload: bytes, copy: int, *, identity: int, counter: int, key: bytes) -> Waveform:
    """One copy as DBPSK: a 0 turns the phase by half a turn at the beginning of its bit, a 1 leaves it."""
    bits = frame_of(payload, copy, identity=identity, counter=counter, key=key)
    return waveform_of(_dbpsk(bits, 1.0 / BIT_RATE, TRANSITION_S))
