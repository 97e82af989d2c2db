"""Algorithm 1 on a time line, compiled: every frame asks when it is ready, attempt by attempt, in order of time."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planning.simulate.scenario import Scenario
from planning.simulate.streams import GAMMA, mix, unit
from planning.simulate.traffic import (
    CLASS_MASK,
    CLASS_SHIFT,
    COUNTED,
    FOREIGN,
    SUBCHANNEL_MASK,
    SUBCHANNEL_SHIFT,
    next_slot,
)

# Random numbers made together (enough that making them is vectorised, few enough for the first-level cache), and how
# many one attempt takes at most: a subchannel, a stranger, a sensing error.
DRAWS_AT_ONCE: Final = 1024
DRAWS_OF_ATTEMPT: Final = 3

ASKED, FORCED, ATTEMPTS, DELAY = range(4)
N_ASKED = 4


class Desk(NamedTuple):
    """What the controller remembers between slices.

    Busy periods: per subchannel the end of the latest, all that an up-to-date picture needs; for an older picture also
    a ring of merged spells on the air, oldest first; head and tail count up for ever.
    """

    stream: NDArray[np.uint64]  # (1,)
    after: NDArray[np.int64]  # (1,) position in the pool of the subchannel after the last allocated one
    latest_end_s: NDArray[np.float64]  # (C,)
    begins_s: NDArray[np.float64]  # (C, ring)
    ends_s: NDArray[np.float64]  # (C, ring)
    head: NDArray[np.int64]  # (C,)
    tail: NDArray[np.int64]  # (C,)
    load: NDArray[np.int64]  # (C,) frames on the air


class Queue(NamedTuple):
    """First in, first out per class: time, word and two more columns, shape (F, size); entries head[f] to tail[f]."""

    time_s: NDArray[np.float64]
    word: NDArray[np.int64]
    asked_s: NDArray[np.float64]
    behind: NDArray[np.int64]  # attempts already made
    head: NDArray[np.int64]
    tail: NDArray[np.int64]


def new_queue(classes: int) -> Queue:
    """An empty queue."""
    floats, words = np.zeros((classes, 0)), np.zeros((classes, 0), np.int64)
    ends = np.zeros(classes, np.int64)
    return Queue(floats, words, floats.copy(), words.copy(), ends, ends.copy())


def new_desk(key: np.uint64, scenario: Scenario) -> Desk:
    """A controller that has seen nothing yet."""
    # Each new period is appended right after a look that drops those older than the status age. A power of two, so
    # that a mask finds the place in the ring.
    ring = int(scenario.status_age_s / min(scenario.airtimes_s)) + 4
    shape = (scenario.subchannels, 1 << (ring - 1).bit_length())
    counts = np.zeros(scenario.subchannels, np.int64)
    stream, after = np.array([key], np.uint64), np.zeros(1, np.int64)
    latest_end_s = np.full(scenario.subchannels, -np.inf)
    return Desk(stream, after, latest_end_s, np.zeros(shape), np.zeros(shape), counts, counts.copy(), counts.copy())


@njit(cache=True, nogil=True)
def with_room(queue, extra):
    """The same queue with room for `extra` more entries per class."""
    classes = queue.head.size
    size = (queue.tail - queue.head).max() + extra
    times, words = np.empty((classes, size)), np.empty((classes, size), np.int64)
    asked, behind = np.empty((classes, size)), np.empty((classes, size), np.int64)
    tail = np.zeros(classes, np.int64)
    for f in range(classes):
        for i in range(queue.head[f], queue.tail[f]):
            times[f, tail[f]], words[f, tail[f]] = queue.time_s[f, i], queue.word[f, i]
            asked[f, tail[f]], behind[f, tail[f]] = queue.asked_s[f, i], queue.behind[f, i]
            tail[f] += 1
    return Queue(times, words, asked, behind, np.zeros(classes, np.int64), tail)


@njit(cache=True, nogil=True)
def push(queue, f, time_s, word, asked_s, behind):
    """Append an entry; times of one class never go back."""
    at = queue.tail[f]
    queue.time_s[f, at], queue.word[f, at] = time_s, word
    queue.asked_s[f, at], queue.behind[f, at] = asked_s, behind
    queue.tail[f] = at + 1


@njit(cache=True, nogil=True)
def earliest(queue):
    """(class, time) of the entry due first; (-1, infinity) when there is none."""
    best, best_s = -1, np.inf
    for f in range(queue.head.size):
        if queue.head[f] < queue.tail[f] and queue.time_s[f, queue.head[f]] < best_s:
            best, best_s = f, queue.time_s[f, queue.head[f]]
    return best, best_s


@njit(cache=True, nogil=True)
def looks_busy(begins_s, ends_s, head, tail, c, time_s):
    """Whether subchannel c carried a frame at a time; times asked of one subchannel never go back."""
    mask = begins_s.shape[1] - 1
    at = head[c]
    while at < tail[c] and ends_s[c, at & mask] <= time_s:
        at += 1
    head[c] = at
    return at < tail[c] and begins_s[c, at & mask] <= time_s


@njit(cache=True, nogil=True)
def note_busy(begins_s, ends_s, head, tail, c, start_s, end_s):
    """Remember that subchannel c is on the air for [start_s, end_s); starts come in order."""
    mask = begins_s.shape[1] - 1
    last = (tail[c] - 1) & mask
    if tail[c] > head[c] and start_s <= ends_s[c, last]:
        ends_s[c, last] = max(ends_s[c, last], end_s)
        return
    begins_s[c, tail[c] & mask] = start_s
    ends_s[c, tail[c] & mask] = end_s
    tail[c] += 1


@njit(cache=True, nogil=True)
def fill(state, draws):
    """The next uniforms of a stream."""
    for k in range(draws.size):
        draws[k] = unit(mix(state + np.uint64(k + 1) * GAMMA))


@njit(cache=True, nogil=True)
def report(draws, drawn, seen_busy, occupancy, pf, pm):
    """What the sensors say of one subchannel: (draws taken, reported idle, a stranger is there)."""
    foreign = False
    if occupancy > 0.0:
        foreign = draws[drawn] < occupancy
        drawn += 1
    chance = pm if seen_busy or foreign else 1.0 - pf
    if 0.0 < chance < 1.0:
        return drawn + 1, draws[drawn] < chance, foreign
    return drawn, chance >= 1.0, foreign


@njit(cache=True, nogil=True)
def least_loaded(u, pool, load):
    """One of the subchannels of the pool with the least load, at random."""
    least, ties = load[pool[0]], 0
    for c in pool:
        if load[c] < least:
            least, ties = load[c], 0
        ties += load[c] == least
    wanted = int(u * ties)
    for c in pool:
        wanted -= load[c] == least
        if wanted < 0:
            return c
    return pool[0]


@njit(cache=True, nogil=True)
def end_frames(on_air, load, time_s):
    """Take what has ended by a time off the load."""
    while True:
        f, end_s = earliest(on_air)
        if end_s > time_s:
            return
        load[on_air.word[f, on_air.head[f]]] -= 1
        on_air.head[f] += 1


@njit(cache=True, nogil=True)
def allocate(
    starts,
    words,
    n,
    until_s,
    waiting,
    on_air,
    desk,
    reach_s,
    airtime_s,
    delay_s,
    age_s,
    pool,
    occupancy,
    rules,
    asked,
    out_starts,
    out_words,
):
    """Answer everything that is due before until_s, in order of time; returns (frames out, waiting, on_air).

    Attempt i looks at a subchannel at the time the frame would start, or rather at what the controller knew age_s
    before; a busy one costs delay_s until the next attempt. After N the last draw stands (or, fresh, a new one does).
    out_starts, out_words: room for n and all that wait. asked: (F, 4) tally, added to.
    """
    if delay_s > 0.0:
        waiting = with_room(waiting, n)
    if rules.least_loaded:
        on_air = with_room(on_air, n + (waiting.tail - waiting.head).sum())
    stream, last_position, latest_end_s, begins_s, ends_s, head, tail, load = desk
    attempts, senses, rotates, by_load, fresh, slotted, pf, pm, _ = rules
    state, after = stream[0], last_position[0]
    draws, drawn = np.empty(DRAWS_AT_ONCE), 0
    fill(state, draws)
    i = out = 0
    while True:
        f, time_s = -1, np.inf
        if delay_s > 0.0:
            f, time_s = earliest(waiting)
        if i < n and starts[i] <= time_s:
            time_s, word, asked_s, behind = starts[i], words[i], starts[i], 0
            f = word >> CLASS_SHIFT & CLASS_MASK
            i += 1
        elif time_s < until_s:
            at = waiting.head[f]
            word, asked_s, behind = waiting.word[f, at], waiting.asked_s[f, at], waiting.behind[f, at]
            waiting.head[f] = at + 1
        else:
            break
        if by_load:
            end_frames(on_air, load, time_s)
        while True:
            if drawn + DRAWS_OF_ATTEMPT > draws.size:
                state += np.uint64(drawn) * GAMMA
                drawn = 0
                fill(state, draws)
            if rotates:
                c = pool[(after + behind) % pool.size]
            else:
                u = draws[drawn]
                drawn += 1
                c = least_loaded(u, pool, load) if by_load else pool[int(u * pool.size)]
            if age_s > 0.0:
                seen_busy = looks_busy(begins_s, ends_s, head, tail, c, time_s - age_s)
            else:
                seen_busy = latest_end_s[c] > time_s
            drawn, idle, foreign = report(draws, drawn, seen_busy, occupancy[c], pf, pm)
            behind += 1
            if idle or not senses or behind >= attempts + fresh or (delay_s > 0.0 and behind < attempts):
                break
        if not idle and behind < attempts:
            push(waiting, f, next_slot(time_s + delay_s, airtime_s[f], slotted), word, asked_s, behind)
            continue
        if rotates:
            after = np.searchsorted(pool, c) + 1
        latest_end_s[c] = max(latest_end_s[c], time_s + reach_s[f])
        if age_s > 0.0:
            note_busy(begins_s, ends_s, head, tail, c, time_s, time_s + reach_s[f])
        if by_load:
            load[c] += 1
            push(on_air, f, time_s + reach_s[f], c, time_s, 0)
        out_starts[out] = time_s
        word = word & ~(SUBCHANNEL_MASK << SUBCHANNEL_SHIFT) | np.int64(c) << SUBCHANNEL_SHIFT
        out_words[out] = word | foreign * FOREIGN
        out += 1
        if word & COUNTED:
            asked[f, ASKED] += 1
            asked[f, FORCED] += senses and (behind > attempts or not idle)
            asked[f, ATTEMPTS] += min(behind, attempts)
            asked[f, DELAY] += time_s - asked_s
    stream[0], last_position[0] = state + np.uint64(drawn) * GAMMA, after
    return out, waiting, on_air
