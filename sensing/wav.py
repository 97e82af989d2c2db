"""Two-channel WAV files with I on the left and Q on the right, as receivers write them (RIFF/WAVE, and RF64)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from spectrum.errors import BadInput

# Format tags of the fmt chunk: PCM, IEEE float, and "see the sub-format".
_PCM: Final = 0x0001
_FLOAT: Final = 0x0003
_EXTENSIBLE: Final = 0xFFFE
_FORMATS: Final = {
    (_PCM, 8): "cu8",
    (_PCM, 16): "cs16",
    (_PCM, 32): "cs32",
    (_FLOAT, 32): "cf32",
    (_FLOAT, 64): "cf64",
}
# Lengths that a recorder leaves behind that never came back to fill in the true one.
_UNKNOWN_LENGTHS: Final = (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class WavHeader:
    """Where the samples lie and what they are. center_hz: from an `auxi` chunk (SDRuno, HDSDR), else None."""

    format_name: str
    rate_hz: float
    center_hz: float | None
    start_byte: int
    length_bytes: int | None  # None: up to the end of the file


def read_wav_header(path: Path) -> WavHeader:
    """Header of a two-channel WAV; BadInput says what is wrong with any other file."""
    with path.open("rb") as file:
        start = file.read(12)
        if len(start) < 12 or start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
            raise BadInput(f"{path} is no WAV file: expected it to begin with RIFF....WAVE")
        return _read_chunks(file, path)


def _read_chunks(file: BinaryIO, path: Path) -> WavHeader:
    found: tuple[str, float] | None = None
    center_hz = None
    long_length: int | None = None
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind == b"data":
            if found is None:
                raise BadInput(f"{path}: the WAV has no fmt chunk before its data")
            return WavHeader(found[0], found[1], center_hz, file.tell(), _checked(length, long_length, file, path))
        body = file.read(length + length % 2)  # chunks are padded to an even length
        if kind == b"fmt ":
            found = _format(body, path)
        elif kind == b"auxi" and len(body) >= 36:
            center_hz = float(struct.unpack_from("<I", body, 32)[0]) or None
        elif kind == b"ds64" and len(body) >= 16:
            long_length = struct.unpack_from("<Q", body, 8)[0]
    raise BadInput(f"{path}: the WAV ends before its data chunk")


def _format(body: bytes, path: Path) -> tuple[str, float]:
    """Sample format and rate from the body of a fmt chunk."""
    if len(body) < 16:
        raise BadInput(f"{path}: the WAV's fmt chunk has {len(body)} bytes, expected at least 16")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= 26:
        (tag,) = struct.unpack_from("<H", body, 24)
    if channels != 2:
        raise BadInput(f"{path}: an IQ recording has two channels, this WAV has {channels}")
    if (tag, bits) not in _FORMATS:
        raise BadInput(f"{path}: WAV samples of {bits} bits with format tag {tag} are not known; use 8, 16 or 32 bits")
    return _FORMATS[tag, bits], float(rate_hz)


def _checked(length: int, long_length: int | None, file: BinaryIO, path: Path) -> int | None:
    if long_length is not None:
        length = long_length
    if length in _UNKNOWN_LENGTHS:
        return None
    there = path.stat().st_size - file.tell()
    if there < length:
        raise BadInput(f"{path} is truncated: its header promises {length} bytes of samples, {there} are there")
    return length
