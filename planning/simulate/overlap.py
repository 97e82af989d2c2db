"""Reception when any overlap destroys: frames of one subchannel and class that share the air are lost, compiled."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planning.simulate.traffic import (
    CLASS_MASK,
    CLASS_SHIFT,
    COUNTED,
    FOREIGN,
    SUBCHANNEL_MASK,
    SUBCHANNEL_SHIFT,
    book,
    count_delivery,
)

# Frames that got through are booked so many together: the processor then waits for many devices at once.
BOOKED_AT_ONCE: Final = 1024


class Latest(NamedTuple):
    """The latest frame of each subchannel and class, index subchannel * F + class; its fate is still open."""

    start_s: NDArray[np.float64]
    word: NDArray[np.int64]
    lost: NDArray[np.bool_]  # also once it is booked
    met: NDArray[np.bool_]  # an earlier frame
    clusters: NDArray[np.int64]  # (F,) chains of overlapping frames that began with a counted frame


def new_latest(subchannels: int, classes: int) -> Latest:
    """No frame yet anywhere: a lost one that nobody counts."""
    size = subchannels * classes
    words, lost, met = np.zeros(size, np.int64), np.ones(size, np.bool_), np.zeros(size, np.bool_)
    return Latest(np.full(size, -np.inf), words, lost, met, np.zeros(classes, np.int64))


@njit(cache=True, nogil=True)
def receive(starts, words, n, reach_s, latest, delivered, messages_delivered, arrived):
    """Take n frames in order of start. Equal airtimes per class: if a frame meets any, it meets the latest.

    reach_s: (F,) starts closer than this overlap.
    """
    last_start, last_word, last_lost, last_met, clusters = latest
    classes = reach_s.size
    got_through, n_through = np.empty(BOOKED_AT_ONCE, np.int64), 0
    for i in range(n):
        word = words[i]
        f = word >> CLASS_SHIFT & CLASS_MASK
        k = (word >> SUBCHANNEL_SHIFT & SUBCHANNEL_MASK) * classes + f
        meets = starts[i] < last_start[k] + reach_s[f]
        got_through[n_through] = last_word[k]  # without a jump, which nobody could predict
        n_through += not (meets | last_lost[k])
        if n_through == BOOKED_AT_ONCE:
            book(got_through, n_through, delivered, messages_delivered, arrived)
            n_through = 0
        clusters[f] += meets and not last_met[k] and last_word[k] & COUNTED != 0
        last_start[k] = starts[i]
        last_word[k] = word
        last_met[k] = meets
        last_lost[k] = meets or word & FOREIGN != 0
    book(got_through, n_through, delivered, messages_delivered, arrived)


@njit(cache=True, nogil=True)
def settle(until_s, reach_s, latest, delivered, messages_delivered, arrived):
    """Book the latest frames that nothing starting at until_s or after can meet."""
    last_start, last_word, last_lost, _, _ = latest
    classes = reach_s.size
    for k in range(last_start.size):
        if not last_lost[k] and last_start[k] + reach_s[k % classes] <= until_s:
            count_delivery(last_word[k], delivered, messages_delivered, arrived)
            last_lost[k] = True
