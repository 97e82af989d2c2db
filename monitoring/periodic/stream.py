"""One stream of receptions - a device, or one labelled application of it - as it comes.

Known applications are followed in O(1). While a stream is young its applications are learned anew at a few sizes;
later only when receptions fit no application or the slots received hide another structure.
"""

from __future__ import annotations

import math
from array import array
from bisect import insort
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from monitoring.periodic.kpi import SilenceRule, alarm_level
from monitoring.periodic.lattice import Floats
from monitoring.periodic.learning import (
    REPEAT_SHARE,
    Change,
    Learned,
    irregular,
    learn,
    one_application,
    succeed,
)
from monitoring.periodic.model import FALSE_ALARM
from monitoring.periodic.search import WINDOW
from monitoring.periodic.tracker import Track

# Receptions kept; numbers of them at which a young stream is learned anew. A label needs less to show a period.
RECENT: Final = 64
LEARN_AT: Final = frozenset((8, 12, 16, 24, 32, 48, RECENT))
LEARN_AT_LABELLED: Final = frozenset((3, 5, 8, 16, 32, RECENT))
# Below this many receptions most must be explained for unlabelled applications to be believed.
CAUTIOUS_BELOW: Final = 32
CAUTIOUS_SHARE: Final = 0.75
# A grown stream is looked at every CHECK_EVERY receptions, and learned anew with this share of strays.
CHECK_EVERY: Final = 16
STRAY_SHARE: Final = 0.25
# An application with fewer slots than this in the receptions kept cannot be learned from them: it is left alone.
SLOW_SLOTS: Final = 16
# An application is the same one if period and phase agree this well (shares of the period).
SAME_PERIOD: Final = 0.02
# Receptions at the known period but another phase that make a phase jump.
JUMP_RECEPTIONS: Final = 3


@dataclass(slots=True)
class StreamState:
    """Applications followed, the latest receptions (ascending), and counts.

    strays: receptions of no application since they were last learned; quiet: checks to skip after fruitless learning.
    """

    labelled: bool = False
    false_alarm: float = FALSE_ALARM
    tracks: list[Track] = field(default_factory=list)
    recent_s: array[float] = field(default_factory=lambda: array("d"))
    stray_s: list[float] = field(default_factory=list)
    receptions: int = 0
    repeats: int = 0
    late: int = 0
    strays: int = 0
    recent_strays: int = 0
    quiet: int = 0
    patience: int = 1

    @classmethod
    def of(cls, learned: Learned, times_s: Floats, labelled: bool, false_alarm: float) -> StreamState:
        """The state after a batch."""
        state = cls(labelled, false_alarm, list(learned.tracks), array("d", times_s[-RECENT:].tolist()))
        state.receptions = int(times_s.size)
        state.repeats = learned.repeats
        state.strays = int(learned.rest_s.size)
        return state

    def receive(self, time_s: float) -> list[Change]:
        """Count one reception; returns what changed: learned, period_changed, phase_jump, silence, degraded, ..."""
        self.receptions += 1
        self._remember(time_s)
        track = self._sender(time_s)
        changes: list[Change] = []
        if track is not None:
            changes = self._take(track, time_s)
        elif any(0 <= time_s - one.last_s < REPEAT_SHARE * one.period_s for one in self.tracks):
            self.repeats += 1
        else:
            self.strays += 1
            self.recent_strays += 1
            self.stray_s = [*self.stray_s[1 - JUMP_RECEPTIONS :], time_s]
            changes = self._jump()
        return changes + self._learn()

    def _remember(self, time_s: float) -> None:
        if self.recent_s and time_s < self.recent_s[-1]:
            insort(self.recent_s, time_s)
        else:
            self.recent_s.append(time_s)
        if len(self.recent_s) > RECENT:
            del self.recent_s[0]

    def _sender(self, time_s: float) -> Track | None:
        best, most = None, -math.inf
        for track in self.tracks:
            gain = track.gain(time_s)
            if gain > most:
                best, most = track, gain
        return best

    def _take(self, track: Track, time_s: float) -> list[Change]:
        slots, _ = track.locate(time_s)
        if slots < 0:
            track.take_late(time_s, slots)
            self.late += 1
            return []
        before_s = track.last_s
        silence = track.take(time_s, track.losses.limit(track.received))
        change = track.judge(0 if silence else slots - 1, 1, alarm_level(self.false_alarm))
        changes = [Change(change, time_s, {"outage": track.outage})] if change else []
        if silence:
            changes.append(Change("silence", time_s, {"from_s": before_s, "missed": float(silence)}))
        return changes

    def _jump(self) -> list[Change]:
        """The last strays keep the period of a lost application at another phase: it has jumped."""
        if len(self.stray_s) < JUMP_RECEPTIONS:
            return []
        for track in self.tracks:
            turns = [(b - a) / track.period_s for a, b in zip(self.stray_s, self.stray_s[1:], strict=False)]
            if track.last_s < self.stray_s[0] and all(t > 0.5 and abs(t - round(t)) < 0.05 for t in turns):
                began_s = self.stray_s[0]
                shift_s = track.jump(began_s, track.losses.limit(track.received))
                for time_s in self.stray_s:
                    self._take(track, time_s)
                self.strays -= JUMP_RECEPTIONS
                self.recent_strays = 0
                self.stray_s = []
                return [Change("phase_jump", began_s, {"period_s": track.period_s, "shift_s": shift_s})]
        return []

    def _learn(self) -> list[Change]:
        if self.receptions <= RECENT:
            due = self.receptions in (LEARN_AT_LABELLED if self.labelled else LEARN_AT)
            return self._learn_all() if due else []
        if self.receptions % CHECK_EVERY or not self._suspicious():
            return []
        if self.quiet:
            self.quiet -= 1
            return []
        return self._learn_recent()

    def _suspicious(self) -> bool:
        enough = len(self.stray_s) == JUMP_RECEPTIONS
        if not self.tracks or (enough and self.recent_strays >= STRAY_SHARE * CHECK_EVERY):
            return True
        return any(one.received >= CHECK_EVERY and irregular(one.recent_slots()) for one in self.tracks)

    def _learn_all(self) -> list[Change]:
        """All receptions so far are still kept: begin anew from them."""
        times_s = np.array(self.recent_s)
        learned = learn(times_s, self.labelled, self.false_alarm)
        explained = times_s.size - learned.rest_s.size
        if not learned.tracks or (times_s.size < CAUTIOUS_BELOW and explained < CAUTIOUS_SHARE * times_s.size):
            return []
        known = list(self.tracks)
        fresh = [one for one in learned.tracks if not any(_same(before, one) for before in known)]
        # what was told at an earlier size is not told again
        changes = [one for one in learned.changes if not known or (fresh and one.kind != "silence")]
        if not changes or not known:
            changes += [_learned(one) for one in fresh]
        self.tracks = list(learned.tracks)
        self.repeats = learned.repeats
        self.strays = int(learned.rest_s.size)
        self.recent_strays = 0
        return changes

    def _learn_recent(self) -> list[Change]:
        """Learn from the receptions kept; applications that are still as they were keep their state."""
        span_s = self.recent_s[-1] - self.recent_s[0]
        slow = [one for one in self.tracks if span_s < SLOW_SLOTS * one.period_s]
        times_s = np.array([t for t in self.recent_s if not any(_at_slot(one, t) for one in slow)])
        learned = learn(times_s, self.labelled, self.false_alarm)
        fresh = [one for one in learned.tracks if not any(_same(known, one) for known in self.tracks)]
        faster = [one for one in self.tracks if one not in slow]
        gone = [one for one in faster if not any(_same(one, known) for known in learned.tracks)]
        if not fresh or 2 * learned.rest_s.size > times_s.size:
            self.patience = min(2 * self.patience, 16)
            self.quiet = self.patience
            return []
        self.patience = 1
        self.strays = max(0, self.strays - self.recent_strays) + int(learned.rest_s.size)
        self.recent_strays = 0
        self.stray_s = []
        return self._replace(gone, fresh, times_s)

    def _replace(self, gone: list[Track], fresh: list[Track], times_s: Floats) -> list[Change]:
        changes: list[Change] = []
        for track in fresh:
            heirless = [one for one in gone if one in self.tracks]
            if not heirless:
                changes.append(_learned(track))
                self.tracks.append(track)
                continue
            before = min(heirless, key=lambda one: abs(math.log(one.period_s / track.period_s)))
            self.tracks.remove(before)
            _take_back(before, times_s[times_s >= track.first_s])
            changes += succeed(before, track)
            self.tracks.append(track)
        for one in gone:
            # what nobody carries on and the latest receptions do not show is over; its counts stay with the first
            if one in self.tracks and one.locate(float(times_s[-1]))[0] > 1:
                self.tracks.remove(one)
                self.tracks[0].received += one.received
                self.tracks[0].missed += one.missed
        return changes

    def pack(self) -> list[Any]:
        """Plain values, for `unpack`."""
        tracks = [track.pack() for track in self.tracks]
        counts = [self.receptions, self.repeats, self.late, self.strays, self.recent_strays, self.quiet, self.patience]
        return [self.labelled, self.false_alarm, tracks, self.recent_s.tolist(), self.stray_s, counts]

    @classmethod
    def unpack(cls, values: list[Any]) -> StreamState:
        """The stream that was packed."""
        labelled, false_alarm, tracks, recent_s, stray_s, counts = values
        unpacked = [Track.unpack(one) for one in tracks]
        return cls(labelled, false_alarm, unpacked, array("d", recent_s), list(stray_s), *counts)


def _learned(track: Track) -> Change:
    return Change("learned", track.last_s, {"period_s": track.period_s, "outage": track.outage})


def _same(one: Track, other: Track) -> bool:
    if abs(one.period_s - other.period_s) > SAME_PERIOD * other.period_s:
        return False
    _, apart = one.locate(other.slot_s)
    return abs(apart) < max(one.gate_s, other.gate_s)


def _at_slot(track: Track, time_s: float) -> bool:
    slot, apart = track.locate(time_s)
    return slot <= 0 and abs(apart) < 6 * track.jitter_s and bool(track.seen >> min(-slot, 64) & 1)


def _take_back(track: Track, times_s: Floats) -> None:
    """Uncount what a track made of receptions that were another's: `times_s` and what it missed among them."""
    located = [track.locate(float(t)) for t in times_s]
    slots = {slot for slot, apart in located if slot <= 0 and abs(apart) <= track.gate_s}
    if not slots or len(slots) >= track.received:
        return
    earlier = [slot for slot in range(min(slots) - 1, min(slots) - 64, -1) if track.seen >> -slot & 1]
    begin = max(earlier) + 1 if earlier else min(slots)
    sent = 1 - begin
    track.received -= len(slots)
    missed = min(track.missed, sent - len(slots))
    track.missed -= missed
    track.losses = SilenceRule(max(0, track.losses.runs - len(slots)), max(0, track.losses.missed - missed))
    track.slot_s += (begin - 1) * track.period_s
    track.last_s = min(track.last_s, track.slot_s)


def analyse(
    times_s: Floats,
    labelled: bool = False,
    false_alarm: float = FALSE_ALARM,
    resolution_s: float = 0.0,
    least_receptions: int = 3,
) -> tuple[StreamState, list[Change]]:
    """A whole stream at once (ascending): one application in one stroke, else the first WINDOW receptions by search
    and the others as they came."""
    window = times_s
    if times_s.size > WINDOW and one_application(times_s, labelled, resolution_s) is None:
        window = times_s[:WINDOW]
    learned = learn(window, labelled, false_alarm, resolution_s, least_receptions)
    state = StreamState.of(learned, window, labelled, false_alarm)
    changes = list(learned.changes)
    for time_s in times_s[window.size :].tolist():
        changes += state.receive(time_s)
    return state, changes
