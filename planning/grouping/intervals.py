"""Means with their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

# Two-sided.
CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean and the half width of its 95 % confidence interval (Student's t), in the unit of the values."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.half:.2f}"


def mean_of(values: Sequence[float]) -> Mean:
    """Mean of independent values; a single one has no interval (nan)."""
    from scipy.special import stdtrit

    sample = np.asarray(values, dtype=float)
    if sample.size < 2:
        return Mean(float(sample.mean()), float("nan"))
    quantile = float(stdtrit(sample.size - 1, (1.0 + CONFIDENCE) / 2.0))
    return Mean(float(sample.mean()), quantile * float(sample.std(ddof=1)) / float(np.sqrt(sample.size)))
