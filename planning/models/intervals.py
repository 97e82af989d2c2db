"""Confidence intervals of simulated means and shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spectrum.errors import BadInput

LEVEL: Final = 0.99

# A replication spans this many of the longest frames, or what its edges cut off would be most of it.
SHORTEST_HORIZON: Final = 20.0
MOST_FRAMES: Final = 2_000_000  # of a replication: a few hundred megabytes
MOST_MET: Final = 400.0  # frames that one frame meets on its channel: the work grows with their square


@dataclass(frozen=True, slots=True)
class Estimate:
    """A simulated mean with its two-sided confidence interval."""

    mean: float
    low: float
    high: float

    def holds(self, value: float, slack: float = 0.0) -> bool:
        """Whether `value` lies in the interval widened by `slack` on both sides."""
        return self.low - slack <= value <= self.high + slack

    def as_list(self) -> list[float]:
        """[low, high], for JSON."""
        return [self.low, self.high]


def frames_of_replication(frames: int, total_per_s: float, channels: int, longest_s: float) -> int:
    """At least `frames`, and enough for a horizon of many frames; BadInput when the air is too dense to simulate."""
    needed = max(frames, int(SHORTEST_HORIZON * longest_s * total_per_s))
    met = 2.0 * longest_s * total_per_s / channels
    if needed > MOST_FRAMES or met > MOST_MET:
        raise BadInput(
            f"{total_per_s:g} frames/s are too many to simulate (a frame would meet {met:.0f} others on its channel, "
            f"{MOST_MET:.0f} at most): use the model, or fewer devices"
        )
    return needed


def of_replications(samples: npt.ArrayLike, level: float = LEVEL) -> Estimate:
    """Mean of independent replications with Student's interval; samples: shape (replications,), at least 2."""
    from scipy.stats import t as student

    values = np.asarray(samples, dtype=float)
    mean = float(values.mean())
    half = float(student.ppf(0.5 + level / 2, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size))
    return Estimate(mean, mean - half, mean + half)


def of_share(shares: npt.ArrayLike, trials: int, level: float = LEVEL) -> Estimate:
    """Mean of shares from equal groups, within [0, 1]; `trials` independent trials in all bound it from above.

    Where nothing was seen the groups have no spread, yet the true share may be anything that shows nothing in `trials`
    trials with a probability of 1 - level or more: up to -log(1 - level) / trials.
    """
    drawn = of_replications(shares, level)
    most = max(drawn.high, -float(np.log(1.0 - level)) / trials)
    return Estimate(drawn.mean, max(0.0, drawn.low), min(1.0, most))
