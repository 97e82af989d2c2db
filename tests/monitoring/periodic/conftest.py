"""Streams with known truth, for the tests of monitoring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scene:
    """Reception times of one application and the number of reports sent from the first to the last of them."""

    times_s: NDArray[np.float64]
    sent: int

    @property
    def outage(self) -> float:
        """Realised outage."""
        return 1 - self.times_s.size / self.sent


DrawScene = Callable[..., Scene]


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded."""
    return np.random.default_rng(20)


@pytest.fixture
def draw(rng: np.random.Generator) -> DrawScene:
    """draw(slots, period_s, outage, jitter_share, start_s) -> Scene, with exponential delays."""

    def _draw(
        slots: int, period_s: float = 600.0, outage: float = 0.2, jitter: float = 0.01, start_s: float = 0.0
    ) -> Scene:
        heard = np.flatnonzero(rng.random(slots) >= outage)
        times = start_s + period_s * heard + rng.exponential(jitter * period_s, heard.size)
        return Scene(np.sort(times), int(heard[-1] - heard[0]) + 1)

    return _draw
