"""Sample formats of recordings: how bytes become the samples of a block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.source import IqArray
from spectrum.errors import BadInput

# Complex floats are meant to reach about 1; what lies beyond this is some other format read as floats.
ABSURD_LEVEL: Final = 1e6


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """A format: `stored` is the numpy type of one I or Q value in the file, `decode` turns a flat run of them into
    samples of a block (see IqBlock)."""

    name: str
    summary: str
    stored: str
    decode: Callable[[NDArray[np.generic]], IqArray]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one complex sample."""
        return 2 * np.dtype(self.stored).itemsize


def _bytes_as_they_are(values: NDArray[np.generic]) -> IqArray:
    return values.astype(np.uint8, copy=False)


def _signed_bytes(values: NDArray[np.generic]) -> IqArray:
    # Offset binary again, as the converter of a HackRF delivered it: -128..127 become 0..255.
    return np.bitwise_xor(values.view(np.uint8), np.uint8(0x80))


def _scaled(full_scale: float) -> Callable[[NDArray[np.generic]], IqArray]:
    def decode(values: NDArray[np.generic]) -> IqArray:
        floats = values.astype(np.float32)
        floats *= np.float32(1.0 / full_scale)
        return floats.view(np.complex64)

    return decode


def _floats(values: NDArray[np.generic]) -> IqArray:
    floats = values.astype(np.float32, copy=False)
    largest = np.abs(floats).max(initial=0.0)
    if not largest <= ABSURD_LEVEL:  # NaN is not
        bad = int(np.flatnonzero(~(np.abs(floats) <= ABSURD_LEVEL))[0])
        raise BadSample(bad // 2, float(floats[bad]))
    return floats.view(np.complex64)


class BadSample(Exception):
    """A value that is no sample: `index` counts complex samples within the run that was decoded."""

    def __init__(self, index: int, value: float) -> None:
        super().__init__(index, value)
        self.index = index
        self.value = value


# Full scale of cu8 is 127.5 steps here; SigMF's own reader takes 128, which is 0.034 dB lower.
FORMATS: Final = {
    entry.name: entry
    for entry in (
        SampleFormat("cu8", "unsigned bytes around 127.5 (rtl_sdr, rtl_433)", "u1", _bytes_as_they_are),
        SampleFormat("cs8", "signed bytes (hackrf_transfer)", "i1", _signed_bytes),
        SampleFormat("cs16", "signed 16-bit, little-endian", "<i2", _scaled(2.0**15)),
        SampleFormat("cs16be", "signed 16-bit, big-endian", ">i2", _scaled(2.0**15)),
        SampleFormat("cs32", "signed 32-bit, little-endian", "<i4", _scaled(2.0**31)),
        SampleFormat("cf32", "32-bit floats, full scale 1 (GNU Radio, gqrx)", "<f4", _floats),
        SampleFormat("cf32be", "32-bit floats, big-endian", ">f4", _floats),
        SampleFormat("cf64", "64-bit floats, little-endian", "<f8", _floats),
    )
}

# Endings of file names, beside the formats' own names.
ENDINGS: Final = {
    "cfile": "cf32",
    "fc32": "cf32",
    "complex": "cf32",
    "complex16u": "cu8",
    "complex16s": "cs8",
    "complex32s": "cs16",
    "sc8": "cs8",
    "sc16": "cs16",
    "cs16le": "cs16",
    "ci8": "cs8",
    "ci16": "cs16",
}


def format_named(name: str) -> SampleFormat:
    """The format of that name, or BadInput with those there are."""
    try:
        return FORMATS[ENDINGS.get(name, name)]
    except KeyError:
        raise BadInput(f"unknown sample format {name!r}: expected one of {', '.join(FORMATS)}") from None
