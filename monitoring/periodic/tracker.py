"""Following one known application, reception by reception, in O(1).

The schedule is followed by an alpha-beta filter whose gains start as least squares over a growing memory and then
keep a floor; the phase gain rises when errors keep their sign (Trigg and Leach, 1967), so that clock drift and
schedules that restart at every report are followed and jitter is averaged.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from monitoring.periodic.kpi import Degradation, SilenceRule, misses_due
from monitoring.periodic.model import ApplicationKpi

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Floors of the gains of phase and period: memory of about 40 receptions for phase, some hundred for the period.
PHASE_GAIN: Final = 0.05
PERIOD_GAIN: Final = 2e-4
LARGEST_PHASE_GAIN: Final = 0.5
SMOOTHING: Final = 0.1
# How many slots back a late reception can still be put right.
MEMORY_SLOTS: Final = 64
# Gate around a scheduled instant, in jitter scales and as shares of the period (eq. E.7 allows a quarter).
GATE_JITTERS: Final = 12.0
GATE_LEAST: Final = 0.05
GATE_MOST: Final = 0.25
# With more jitter than this share of the period the gate opens to nearly half a period.
NOISY: Final = 0.05
GATE_NOISY: Final = 0.45


@dataclass(slots=True)
class Track:
    """State of one application. slot_s: filtered instant of the last received slot; seen: bit k = slot k back."""

    period_s: float
    slot_s: float
    jitter_s: float
    first_s: float
    last_s: float
    received: int
    missed: int = 0
    silent_s: float = 0.0
    seen: int = 1
    error_s: float = 0.0
    application: str | None = None
    degraded: bool = False
    losses: SilenceRule = field(default_factory=SilenceRule)
    trend: Degradation = field(default_factory=Degradation)

    @property
    def outage(self) -> float:
        """Posterior mean of the outage, never 0 or 1."""
        return (self.missed + 0.5) / (self.received + self.missed + 1)

    @property
    def gate_s(self) -> float:
        """Half-width around a scheduled instant in which a reception can be this application's."""
        most = GATE_MOST if self.jitter_s < NOISY * self.period_s else GATE_NOISY
        return min(max(GATE_JITTERS * self.jitter_s, GATE_LEAST * self.period_s), most * self.period_s)

    def locate(self, time_s: float) -> tuple[int, float]:
        """(slots since the last received one, signed distance to that slot's instant)."""
        offset = time_s - self.slot_s
        slots = round(offset / self.period_s)
        return slots, offset - slots * self.period_s

    def gain(self, time_s: float) -> float:
        """Log-likelihood that this application sent it, against not being received; -inf outside gate or if taken."""
        slots, apart = self.locate(time_s)
        if abs(apart) > self.gate_s or self._taken(slots):
            return -math.inf
        p = self.outage
        return math.log((1 - p) / p) - math.log(2 * self.jitter_s) - abs(apart) / self.jitter_s

    def _taken(self, slots: int) -> bool:
        if slots > 0:
            return False
        return -slots >= MEMORY_SLOTS or bool(self.seen >> -slots & 1)

    def take_late(self, time_s: float, slots: int) -> None:
        """A reception that came out of order: its slot was counted as missed, and was not."""
        self.seen |= 1 << -slots
        self.received += 1
        if self.missed > 0 and time_s > self.first_s:
            self.missed -= 1
        self.first_s = min(self.first_s, time_s)

    def take(self, time_s: float, silence_after: float) -> int:
        """Count a reception in a new slot and learn from it; returns the length of a silence that it ended, or 0.

        silence_after: shortest run of misses that is a silence and no outage.
        """
        slots, apart = self.locate(time_s)
        run = slots - 1
        silence = run if run >= silence_after else 0
        if silence:
            self.silent_s += run * self.period_s
        elif run:
            self.missed += run
            self.losses = self.losses.with_run(run)
        self._steer(slots, apart)
        self.seen = (self.seen << slots | 1) & ((1 << MEMORY_SLOTS) - 1) if slots < MEMORY_SLOTS else 1
        self.received += 1
        self.last_s = time_s
        return silence

    def jump(self, time_s: float, silence_after: float) -> float:
        """Move the schedule so that `time_s` is its next instant; returns by how much it moved, in seconds."""
        _, shift_s = self.locate(time_s)
        run = max(0, round((time_s - self.slot_s) / self.period_s) - 1)
        self.slot_s = time_s - self.period_s
        self.seen = (self.seen << run) & ((1 << MEMORY_SLOTS) - 1)
        self.error_s = 0.0
        if run >= silence_after:
            self.silent_s += run * self.period_s
        elif run:
            self.missed += run
            self.losses = self.losses.with_run(run)
        return shift_s

    def judge(self, missed: int, received: int, alarm: float) -> str | None:
        """Count slots into the trend of losses; `degraded` or `recovered` when that changes, else None."""
        peak = self.trend.update(missed, received)
        if not self.degraded and peak >= alarm:
            self.degraded = True
            return "degraded"
        if self.degraded and self.trend.level == 0.0:
            self.degraded = False
            return "recovered"
        return None

    def _steer(self, slots: int, apart_s: float) -> None:
        n = self.received + 1
        self.error_s += SMOOTHING * (apart_s - self.error_s)
        size = self.jitter_s + SMOOTHING * (abs(apart_s) - self.jitter_s)
        self.jitter_s = max(size, 5e-4 * self.period_s)
        steady = max(PHASE_GAIN, 2 * (2 * n - 1) / (n * (n + 1)))
        persistent = abs(self.error_s) / self.jitter_s if abs(self.error_s) > 0.5 * self.jitter_s else 0.0
        phase_gain = min(max(steady, persistent), LARGEST_PHASE_GAIN)
        period_gain = max(PERIOD_GAIN, 6 / (n * (n + 1)))
        self.slot_s += slots * self.period_s + phase_gain * apart_s
        self.period_s += period_gain * apart_s / slots

    def recent_slots(self) -> NDArray[np.int64]:
        """Slots received among the last MEMORY_SLOTS, ascending, the latest at MEMORY_SLOTS - 1."""
        import numpy as np

        bits = [back for back in range(MEMORY_SLOTS) if self.seen >> back & 1]
        return MEMORY_SLOTS - 1 - np.array(bits[::-1], dtype=np.int64)

    def kpi(self, now_s: float) -> ApplicationKpi:
        """What is known of it at `now_s`."""
        return ApplicationKpi(
            period_s=self.period_s,
            phase_s=self.slot_s % self.period_s,
            received=self.received,
            missed=self.missed,
            application=self.application,
            jitter_s=self.jitter_s,
            first_s=self.first_s,
            last_s=self.last_s,
            next_s=self.slot_s + self.period_s,
            silent_s=self.silent_s,
            overdue=misses_due(now_s, self.slot_s, self.period_s),
            persistence=self.losses.persistence if self.losses.runs else 0.0,
            degraded=self.degraded,
        )

    def pack(self) -> list[Any]:
        """Plain values in a fixed order, for `unpack`."""
        return list(astuple(self))

    @classmethod
    def unpack(cls, values: list[Any]) -> Track:
        """The track that was packed."""
        track = cls(*values[:-2])
        track.losses, track.trend = SilenceRule(*values[-2]), Degradation(*values[-1])
        return track
