"""The rtl_tcp protocol: bytes in, values out, no socket.

The server speaks first: 12 bytes, `RTL0`, tuner type and number of gain steps (big endian). Then it sends samples
(cu8) without framing for as long as the connection lasts, while the client may send commands of 5 bytes: a code and a
32-bit parameter (big endian). Nothing is ever acknowledged, and there is no authentication. (librtlsdr, rtl_tcp.c.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sensing.rtl2832 import R820T_GAINS_DB
from spectrum.errors import BadInput

MAGIC: Final = b"RTL0"
HEADER: Final = struct.Struct(">4sII")
COMMAND: Final = struct.Struct(">BI")
DEFAULT_PORT: Final = 1234

# What rtl_tcp is set to until a client says otherwise.
START_CENTER_HZ: Final = 100e6
START_RATE_HZ: Final = 2.048e6


class Tuner(IntEnum):
    """Tuner types by librtlsdr's numbers."""

    UNKNOWN = 0
    E4000 = 1
    FC0012 = 2
    FC0013 = 3
    FC2580 = 4
    R820T = 5
    R828D = 6


class Code(IntEnum):
    """What a command sets; parameters in Hz, ppm (two's complement), tenths of dB, or 0 and 1."""

    CENTER = 0x01
    RATE = 0x02
    GAIN_MODE = 0x03  # 1 manual, 0 automatic
    GAIN = 0x04
    PPM = 0x05
    IF_GAIN = 0x06
    TEST_MODE = 0x07
    AGC = 0x08
    DIRECT_SAMPLING = 0x09
    OFFSET_TUNING = 0x0A
    RTL_CRYSTAL = 0x0B
    TUNER_CRYSTAL = 0x0C
    GAIN_BY_INDEX = 0x0D
    BIAS_TEE = 0x0E


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the server says first."""

    tuner: Tuner
    gain_count: int

    @property
    def gains_db(self) -> tuple[float, ...]:
        """The tuner's gain steps, lowest first; empty for a tuner whose table is not known here."""
        known = self.tuner in (Tuner.R820T, Tuner.R828D) and self.gain_count == len(R820T_GAINS_DB)
        return R820T_GAINS_DB if known else ()


def pack_greeting(greeting: Greeting) -> bytes:
    """The 12 bytes that open a connection."""
    return HEADER.pack(MAGIC, greeting.tuner, greeting.gain_count)


def unpack_greeting(data: bytes) -> Greeting:
    """The greeting in 12 bytes; BadInput when they are not rtl_tcp's."""
    if len(data) != HEADER.size or not data.startswith(MAGIC):
        raise BadInput(
            f"expected 12 bytes that begin with RTL0, got {data[:12]!r}: is this an rtl_tcp server? "
            "(pyrtlsdr's own TCP server speaks another protocol)"
        )
    _, tuner, gain_count = HEADER.unpack(data)
    return Greeting(Tuner(tuner) if tuner in Tuner._value2member_map_ else Tuner.UNKNOWN, gain_count)


def pack_command(code: Code, value: int) -> bytes:
    """One command; a negative value goes as two's complement."""
    return COMMAND.pack(code, value & 0xFFFFFFFF)


class CommandReader:
    """Commands out of a stream of bytes, however it is cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """(code, parameter) of every command that `data` completes; codes nobody knows are handed out too."""
        data = self._rest + data
        whole = len(data) // COMMAND.size * COMMAND.size
        self._rest = data[whole:]
        return [(code, value) for code, value in COMMAND.iter_unpack(data[:whole])]
