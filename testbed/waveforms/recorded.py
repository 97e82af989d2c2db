"""A recording as something on the air: its samples at another rate, ready to be placed and scaled."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.files import FileSource, find_recording
from spectrum.errors import BadInput

MOST_SAMPLES: Final = 1 << 24  # 128 MiB of complex64, before and after resampling
MOST_RATIO: Final = 1 << 12  # of the rates, in lowest terms


@lru_cache(maxsize=8)
def recorded_iq(path: str, rate_hz: float) -> NDArray[np.complex64]:
    """All samples of a recording at `rate_hz`, complex64, shape (N,), full scale 1, its centre at 0 Hz.

    Resampled by a polyphase filter. BadInput when it is longer than MOST_SAMPLES, or the rates have no simple ratio.
    """
    from scipy.signal import resample_poly

    with FileSource(find_recording(path)) as source:
        blocks, count = [], 0
        for block in source.blocks():
            blocks.append(block.complex64())
            count += block.count
            if count * max(1.0, rate_hz / source.tuning.rate_hz) > MOST_SAMPLES:
                raise BadInput(f"{path} is too long to be an interferer: more than {MOST_SAMPLES} samples, cut it")
        own_hz = source.tuning.rate_hz
    if not blocks:
        raise BadInput(f"{path} holds no samples, so it cannot be an interferer")
    up, down = round(rate_hz), round(own_hz)
    common = math.gcd(up, down)
    if max(up, down) // common > MOST_RATIO:
        raise BadInput(f"{path} has {own_hz:g} samples a second, which has no simple ratio to {rate_hz:g}")
    iq = np.concatenate(blocks)
    if up == down:
        return iq
    resampled: NDArray[np.complex64] = resample_poly(iq, up // common, down // common).astype(np.complex64)
    return resampled
