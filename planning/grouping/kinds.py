"""Devices by kind: equal devices are one kind, and a kind placed at an admissible start is a pattern.

Lines, scores and prices depend on kinds and patterns alone, and there are few of them: 388 kinds in the high load of
table III, however many devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planning.grouping.traffic import IntArray, Traffic

WORD_BITS: Final = 64

# Options of all kinds that are looked at; with more, every kind keeps fewer, evenly spaced shifts.
MOST_OPTIONS: Final = 40_000

# Longest timeline that is held as a bit mask, slots; beyond it patterns are compared by gcd arithmetic.
LONGEST_MASK: Final = 4096


@dataclass(frozen=True)
class Kinds:
    """K kinds of M devices, and the P patterns they can take.

    interval, duration, start: int64 (K,), slots. kind: int64 (M,), of every device.
    device: int64 (M,), devices sorted by kind, then index; those of kind k lie at first_device[k]:first_device[k+1].
    option_pattern, option_shift: int64; those of kind k lie at first_option[k]:first_option[k+1], smallest shift
    first, negative before positive.
    pattern_*: int64 (P,); head, tail: free slots of one interval before the first and after the last slot in use.
    words: uint64 (P, W), the slots in use over the timeline; W = 0 when that is too long to hold.
    """

    interval: IntArray
    duration: IntArray
    start: IntArray
    kind: IntArray
    first_device: IntArray
    device: IntArray
    first_option: IntArray
    option_pattern: IntArray
    option_shift: IntArray
    pattern_interval: IntArray
    pattern_duration: IntArray
    pattern_start: IntArray
    head: IntArray
    tail: IntArray
    words: NDArray[np.uint64]
    timeline_slots: int

    @property
    def count(self) -> IntArray:
        """Devices of every kind, int64 (K,)."""
        return np.diff(self.first_device)


def shift_at(place: int) -> int:
    """Shifts in their order, smallest first, negative before positive: 0, -1, 1, -2, 2, ..."""
    return -(place + 1) // 2 if place % 2 else place // 2


def shifts_in_order(max_shift: int, interval: int) -> list[int]:
    """Shifts up to max_shift that lead to different starts, in their order."""
    return [shift_at(place) for place in range(min(2 * max_shift + 1, interval))]


def most_options_of(traffic: Traffic) -> int:
    """Options of a kind that keep those of all kinds within MOST_OPTIONS, at least 1."""
    return max(1, MOST_OPTIONS // _kinds(traffic)[1].size)


def admissible(traffic: Traffic, shift: IntArray, max_shift: int) -> IntArray:
    """Of every device the smallest shift to the same start, 0 where that is more than max_shift; int64 (M,)."""
    later = shift % traffic.interval
    nearest = np.where(2 * later >= traffic.interval, later - traffic.interval, later)
    return np.where(np.abs(nearest) <= max_shift, nearest, 0)


def kinds_of(
    traffic: Traffic, max_shift: int, *, clip: bool = False, most_options: int = 2**62, keep: IntArray | None = None
) -> Kinds:
    """Sort the devices into kinds and lay out their patterns.

    clip: a shift must leave the transmission within its interval instead of wrapping round it. most_options: of more
    shifts than this a kind keeps so many, 0 and others evenly spaced. keep: int64 (M,) or (n, M), shifts of
    every device that must remain among those of its kind.
    """
    kind, interval, duration, start = _kinds(traffic)
    device = np.argsort(kind, kind="stable")
    first_device = np.concatenate(([0], np.cumsum(np.bincount(kind, minlength=interval.size))))
    rows = zip(interval.tolist(), duration.tolist(), start.tolist(), strict=True)
    options = [_options(*row, max_shift, clip, most_options) for row in rows]
    if keep is not None:
        for k, few in enumerate(options):
            if len(few) == most_options:
                options[k] = sorted({*few, *np.unique(keep[..., kind == k]).tolist()}, key=_nearest)
    sizes = np.array([len(option) for option in options])
    option_kind = np.repeat(np.arange(interval.size), sizes)
    option_shift = np.array([shift for option in options for shift in option], dtype=np.int64)
    placed = Traffic(
        (),
        interval[option_kind],
        duration[option_kind],
        (start[option_kind] + option_shift) % interval[option_kind],
    )
    pattern, p_interval, p_duration, p_start = _kinds(placed)
    end = p_start + p_duration
    wraps = end > p_interval
    timeline = traffic.timeline_slots()
    return Kinds(
        interval=interval,
        duration=duration,
        start=start,
        kind=kind,
        first_device=first_device.astype(np.int64),
        device=device.astype(np.int64),
        first_option=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        option_pattern=pattern,
        option_shift=option_shift,
        pattern_interval=p_interval,
        pattern_duration=p_duration,
        pattern_start=p_start,
        head=np.where(wraps, 0, p_start),
        tail=np.where(wraps, 0, p_interval - end),
        words=_masks(p_interval, p_duration, p_start, timeline),
        timeline_slots=timeline,
    )


def options_of(kinds: Kinds, shift: IntArray) -> IntArray:
    """Option by which every device is shifted by `shift` or to the same start, int64 (M,); -1 where there is none."""
    option = np.full(shift.size, -1, dtype=np.int64)
    first, past = kinds.first_option[kinds.kind], kinds.first_option[kinds.kind + 1]
    interval = kinds.interval[kinds.kind]
    for place in range(int(np.diff(kinds.first_option).max())):
        here = first + place
        valid = (option < 0) & (here < past)
        same = valid & ((kinds.option_shift[np.where(valid, here, 0)] - shift) % interval == 0)
        option[same] = here[same]
    return option


def _options(interval: int, duration: int, start: int, max_shift: int, clip: bool, most: int) -> list[int]:
    count = min(2 * max_shift + 1, interval)
    if not clip:
        return [shift_at(place) for place in _spread(count, most)]
    within = [shift for shift in shifts_in_order(max_shift, interval) if 0 <= start + shift <= interval - duration]
    within = within if 0 in within else [0, *within]
    return [within[place] for place in _spread(len(within), most)]


def _spread(count: int, most: int) -> Sequence[int]:
    """Places 0 .. count - 1, or `most` of them, evenly spaced from 0 on."""
    if count <= most:
        return range(count)
    return [round(place * (count - 1) / (most - 1)) for place in range(most)] if most > 1 else [0]


def _nearest(shift: int) -> tuple[int, int]:
    """Order of shifts: smallest first, negative before positive."""
    return abs(shift), shift


def _kinds(traffic: Traffic) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Kind of every row, and interval, duration, start of every kind, sorted in that order."""
    intervals, i = np.unique(traffic.interval, return_inverse=True)
    durations, d = np.unique(traffic.duration, return_inverse=True)
    starts, s = np.unique(traffic.start, return_inverse=True)
    codes, kind = np.unique((i * durations.size + d) * starts.size + s, return_inverse=True)
    code, s = np.divmod(codes, starts.size)
    i, d = np.divmod(code, durations.size)
    return kind.astype(np.int64), intervals[i], durations[d], starts[s]


def _masks(interval: IntArray, duration: IntArray, start: IntArray, timeline: int) -> NDArray[np.uint64]:
    """Slots in use by every pattern over the timeline, uint64 (P, W), slot k in bit k % 64 of word k // 64."""
    if timeline > LONGEST_MASK:
        return np.zeros((interval.size, 0), dtype=np.uint64)
    width = -(-timeline // WORD_BITS)
    slots = np.arange(timeline)
    used = np.zeros((interval.size, width * WORD_BITS), dtype=np.uint8)
    used[:, :timeline] = (slots - start[:, None]) % interval[:, None] < duration[:, None]
    return np.packbits(used, axis=1, bitorder="little").view("<u8").astype(np.uint64)
