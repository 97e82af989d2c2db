"""Lines being filled: what each carries, what still fits, how a newcomer would score. Kernels, updated in place."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.grouping.arithmetic import Patterns, addition_score, common_timeline, compiled, meet
from planning.grouping.assignment import NOWHERE
from planning.grouping.traffic import IntArray


class Lines(NamedTuple):
    """G lines and the M devices they may carry, int64 unless said otherwise.

    base: LCM that every line starts from, shape (1,). timeline, head, tail: (G,), see addition_score; an empty line
    has head = tail = -1. used: float64 (G,), slots in use of the timeline. union: uint64 (G, W), slots in use as a
    mask; W = 0 where the timeline is too long to hold. first: (G,), a device of the line or -1; following: (M,), the
    next device of the same line or -1. pattern, line: (M,), of every device, -1 while it has none.
    """

    base: IntArray
    timeline: IntArray
    head: IntArray
    tail: IntArray
    used: NDArray[np.float64]
    union: NDArray[np.uint64]
    first: IntArray
    following: IntArray
    pattern: IntArray
    line: IntArray


def empty_lines(lines: int, devices: int, width: int, base_timeline: int = 1) -> Lines:
    """Room for `lines` lines of `devices` devices, with masks of `width` words."""
    none = np.full(lines, -1, dtype=np.int64)
    nowhere = np.full(devices, NOWHERE, dtype=np.int64)
    return Lines(
        base=np.array([base_timeline], dtype=np.int64),
        timeline=np.full(lines, base_timeline, dtype=np.int64),
        head=none.copy(),
        tail=none.copy(),
        used=np.zeros(lines),
        union=np.zeros((lines, width), dtype=np.uint64),
        first=none.copy(),
        following=nowhere.copy(),
        pattern=nowhere.copy(),
        line=nowhere.copy(),
    )


@compiled
def free_of(words: NDArray[np.uint64], pattern: int, union: NDArray[np.uint64]) -> bool:
    """Whether a pattern's mask and a line's have no slot in common: one AND a word."""
    for word in range(union.size):  # noqa: SIM110 - numba compiles no generators
        if words[pattern, word] & union[word]:
            return False
    return True


@compiled
def fits(patterns: Patterns, lines: Lines, line: int, pattern: int, newest: int = 2**62) -> bool:
    """Whether `pattern` meets nothing on `line`: by mask, or pattern by pattern where no mask is held.

    newest: when the pattern is known to fit the others, how many of the last joined it must still be held against.
    """
    if lines.union.shape[1]:
        return free_of(patterns.words, pattern, lines.union[line])
    device = lines.first[line]
    while device >= 0 and newest > 0:
        newest -= 1
        if meet(patterns, pattern, lines.pattern[device]) > 0:
            return False
        device = lines.following[device]
    return True


@compiled
def extended(
    now: tuple[int, int, int, float], interval: int, duration: int, head: int, tail: int
) -> tuple[int, int, int, float]:
    """(timeline, head, tail, used) of a line that was `now`, with one more pattern; head is -1 for an empty line."""
    timeline = common_timeline(now[0], interval)
    used = now[3] * (timeline // now[0]) + float(duration) * (timeline // interval)
    if now[1] < 0:
        return timeline, head, tail, used
    return timeline, min(now[1], head), min(now[2], tail), used


@compiled
def score_added(
    now: tuple[int, int, int, float], interval: int, duration: int, head: int, tail: int
) -> tuple[float, float, float]:
    """Addition score of a line that was `now`, with one more pattern."""
    timeline, head, tail, used = extended(now, interval, duration, head, tail)
    return addition_score(timeline, head, tail, used)


@compiled
def join(patterns: Patterns, lines: Lines, line: int, device: int, pattern: int) -> None:
    """Put `device` on `line` as `pattern`."""
    now = (lines.timeline[line], lines.head[line], lines.tail[line], lines.used[line])
    p = patterns
    grown = extended(now, p.interval[pattern], p.duration[pattern], p.head[pattern], p.tail[pattern])
    lines.timeline[line], lines.head[line], lines.tail[line], lines.used[line] = grown
    for word in range(lines.union.shape[1]):
        lines.union[line, word] |= patterns.words[pattern, word]
    lines.following[device] = lines.first[line]
    lines.first[line] = device
    lines.pattern[device], lines.line[device] = pattern, line


@compiled
def leave(patterns: Patterns, lines: Lines, device: int) -> None:
    """Take `device` off its line, whose state is built anew from the devices that stay."""
    line = lines.line[device]
    staying = lines.first[line]
    lines.first[line] = -1
    lines.timeline[line], lines.head[line], lines.tail[line], lines.used[line] = lines.base[0], -1, -1, 0.0
    lines.union[line, :] = 0
    while staying >= 0:
        following = lines.following[staying]
        if staying != device:
            join(patterns, lines, line, staying, lines.pattern[staying])
        staying = following
    lines.pattern[device] = lines.line[device] = lines.following[device] = -1


def members(lines: Lines, line: int) -> list[int]:
    """Devices of `line`, in no special order."""
    listed: list[int] = []
    device: Any = lines.first[line]
    while device >= 0:
        listed.append(int(device))
        device = lines.following[device]
    return listed
