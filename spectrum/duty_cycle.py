"""The duty-cycle ledger: airtime per transmitter and sub-band over a sliding hour (notes 6.1)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from spectrum.errors import BadInput
from spectrum.eu868 import SubBand

WINDOW_S: Final = 3600.0

# Seconds since the epoch resolve a quarter of a microsecond; a request exactly at the limit is allowed.
TOLERANCE_S: Final = 2e-6


@dataclass(slots=True)
class DutyCycleLedger:
    """Transmissions of one transmitter in one sub-band, oldest first, as (start_s, airtime_s).

    A request is judged over every window of an hour that it could lie in up to its own end: what counts is the time
    really on the air inside the window, so a transmission leaves the window little by little. A transmitter sends one
    frame at a time, so the fullest window always ends with a transmission.
    """

    sub_band: SubBand
    window_s: float = WINDOW_S
    _sent: deque[tuple[float, float]] = field(default_factory=deque)

    @property
    def budget_s(self) -> float:
        """Seconds on the air allowed in any window."""
        return self.sub_band.duty_cycle * self.window_s

    @property
    def sent(self) -> tuple[tuple[float, float], ...]:
        """Transmissions that still matter, oldest first, as (start_s, airtime_s)."""
        return tuple(self._sent)

    def used_s(self, now_s: float) -> float:
        """Seconds on the air in (now - window, now], future transmissions included in full."""
        opens_s = now_s - self.window_s
        return sum(max(0.0, start_s + airtime_s - max(start_s, opens_s)) for start_s, airtime_s in self._sent)

    def earliest_s(self, now_s: float, airtime_s: float) -> float | None:
        """The first time >= now at which `airtime_s` may start, or None when it never fits in the budget."""
        _check_airtime(airtime_s)
        if airtime_s > self.budget_s + TOLERANCE_S:
            return None
        start_s = max(now_s, sum(self._sent[-1])) if self._sent else now_s
        return start_s + self._wait_s(start_s, airtime_s)

    def has_room(self, airtime_s: float, now_s: float) -> bool:
        """Whether `airtime_s` may start at `now_s`, even while an earlier copy is still on the air."""
        return self.used_s(now_s + airtime_s) + airtime_s <= self.budget_s + TOLERANCE_S

    def _wait_s(self, start_s: float, airtime_s: float) -> float:
        """How long after `start_s` the window ending with the new transmission holds no more than the budget."""
        opens_s = start_s + airtime_s - self.window_s
        excess_s = self.used_s(opens_s + self.window_s) + airtime_s - self.budget_s
        if excess_s <= TOLERANCE_S:
            return 0.0
        cursor_s = opens_s
        for sent_s, sent_airtime_s in self._sent:
            end_s = sent_s + sent_airtime_s
            if end_s <= cursor_s:
                continue
            cursor_s = max(cursor_s, sent_s)
            leaving_s = end_s - cursor_s
            if leaving_s >= excess_s - TOLERANCE_S:
                return cursor_s + excess_s - opens_s
            excess_s -= leaving_s
            cursor_s = end_s
        return cursor_s - opens_s

    def record(self, start_s: float, airtime_s: float) -> None:
        """Count a transmission. Starts may not go back in time by more than a window."""
        _check_airtime(airtime_s)
        while self._sent and sum(self._sent[0]) <= start_s - 2 * self.window_s:
            self._sent.popleft()
        if self._sent and start_s < self._sent[-1][0]:
            self._sent = deque(sorted([*self._sent, (start_s, airtime_s)]))
        else:
            self._sent.append((start_s, airtime_s))


def _check_airtime(airtime_s: float) -> None:
    if not airtime_s > 0:
        raise BadInput(f"airtime must be above 0 s, got {airtime_s}")


def off_time_s(airtime_s: float, duty_cycle: float) -> float:
    """Silence after a transmission under the off-time rule: T (1/d - 1) (notes 1.4 X2)."""
    if not 0.0 < duty_cycle <= 1.0:
        raise BadInput(f"a duty cycle is a fraction above 0 and at most 1, got {duty_cycle}")
    return airtime_s * (1.0 / duty_cycle - 1.0)
