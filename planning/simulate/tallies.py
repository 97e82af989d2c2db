"""What the engines hand over: counts per run and class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

# First word of a stream's path under a seed: what the stream is for.
STREAM_WINDOW: Final = 0
STREAM_TRAFFIC: Final = 1
STREAM_POLICY: Final = 2
STREAM_PLACES: Final = 3
STREAM_FADING: Final = 4


@dataclass(frozen=True, slots=True)
class Tallies:
    """What came out of some runs of one scenario.

    counts: (R, F, TALLIES), see `window.TALLIES`. sent, delivered: frames per device over these runs, shape (D,) or
    empty. kernel_s: seconds of the simulation itself, compilation and set-up of the process left out.
    """

    counts: NDArray[np.float64]
    kernel_s: float
    sent: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    delivered: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))


def joined(parts: Sequence[Tallies]) -> Tallies:
    """Tallies of several runs as one: runs side by side, devices summed."""
    sent, delivered = parts[0].sent, parts[0].delivered
    for part in parts[1:]:
        sent, delivered = sent + part.sent, delivered + part.delivered
    counts = np.concatenate([part.counts for part in parts])
    return Tallies(counts, sum(part.kernel_s for part in parts), sent, delivered)
