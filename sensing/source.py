"""The one door for IQ: what a dongle, a file, a socket and a synthetic scene all look like to the rest of the room.

A source is a context manager that hands out blocks of IQ, each with the index and the time of its first sample and
the running count of samples that were lost before it. Samples are complex64, or uint8 as a dongle delivers them; the
fast path never converts whole blocks of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

# Bytes of an RTL2832U are offset binary around 127.5, so that 0 and 255 are -1 and +1 (notes 1.2.5).
# SigMF's own reader scales cu8 by (u - 128)/128 instead: 0.034 dB lower, and with a DC of half a step.
U8_CENTER: Final = 127.5
U8_SCALE: Final = 127.5

IqArray = NDArray[np.uint8] | NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a receiver is really set to, beside what it was asked for.

    gain_db: the tuner gain really set (a dongle asked for 25 dB sets 25.4); None when unknown, as in most recordings.
    agc: whether the receiver changes its gain by itself; None when unknown.
    asked_center_hz, asked_rate_hz: the request, where the hardware rounded it; None when nothing was rounded.
    """

    center_hz: float
    rate_hz: float
    gain_db: float | None = None
    agc: bool | None = None
    asked_center_hz: float | None = None
    asked_rate_hz: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class IqBlock:
    """A run of consecutive samples.

    samples: uint8, shape (2N,), I and Q interleaved, offset binary around 127.5; or complex64, shape (N,), where a
        complex sinusoid at full scale has magnitude 1.
    first_sample: index of the first sample since the source was opened, lost samples included, so that
        block.first_sample + block.count == next.first_sample exactly when nothing was lost between them.
    time_s: time of the first sample: seconds since the epoch (live) or since the first sample (recording, synthetic).
    lost_samples: samples lost since the source was opened, up to this block; never decreases.
    """

    samples: IqArray
    first_sample: int
    time_s: float
    lost_samples: int = 0

    @property
    def count(self) -> int:
        """Complex samples in the block."""
        return self.samples.size // 2 if self.samples.dtype == np.uint8 else self.samples.size

    def complex64(self) -> NDArray[np.complex64]:
        """The samples as complex64, shape (N,)."""
        return complex64_of(self.samples)


class IqSource(Protocol):
    """Where IQ comes from. Opened by its constructor, closed by `close` or at the end of its `with` block.

    Reading raises Failed when the source dies (a dongle unplugged, a peer gone) and BadInput when what it delivers is
    no IQ; it ends without an error where a recording ends. `close` may be called from another thread, and twice.
    """

    @property
    def name(self) -> str:
        """How an operator knows the source: a dongle's serial, a file's name, a host and port."""
        ...

    @property
    def tuning(self) -> Tuning:
        """What the receiver is set to; does not change while the source is open."""
        ...

    def blocks(self) -> Iterator[IqBlock]:
        """Blocks in the order of their samples, of any length of at least one sample."""
        ...

    def close(self) -> None:
        """Let go of the device, file or socket."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any: ...


class SourceContext:
    """Mixin of the sources here: `with` closes."""

    def close(self) -> None:
        """Nothing to let go of, unless a source says otherwise."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_U8_TABLE: Final = ((np.arange(256) - U8_CENTER) / U8_SCALE).astype(np.float32)


def complex64_of(samples: IqArray) -> NDArray[np.complex64]:
    """Samples of a block as complex64, shape (N,): bytes through a table of 256 entries, complex64 as it is."""
    if samples.dtype != np.uint8:
        return samples.astype(np.complex64, copy=False)
    return _U8_TABLE[samples].view(np.complex64)


def u8_of(iq: NDArray[np.complex64]) -> NDArray[np.uint8]:
    """Complex samples, shape (N,), as a dongle's bytes, shape (2N,): rounded to the nearest step, clipped at 0, 255."""
    parts = np.ascontiguousarray(iq, dtype=np.complex64).view(np.float32) * np.float32(U8_SCALE)
    parts += np.float32(U8_CENTER + 0.5)  # truncation below then rounds to the nearest
    np.clip(parts, 0.0, 255.0, out=parts)
    return parts.astype(np.uint8)
