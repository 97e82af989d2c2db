"""Traffic on a time line, compiled: who sends when, slice by slice, and the slice put in order of time.

A frame is a start (seconds) and a word that says who sent it where: bits 0-31 device, 32-47 subchannel, 48-52 number of
the message modulo 32, 53-55 class, 56 met a stranger, 57 the frame counts, 58 its message counts (it began inside the
time that is measured). A device holds the time it is ready next and the state of its own random stream, so what it
sends does not depend on how time is cut.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planning.simulate.streams import GAMMA, exponential, key_of, mix, unit

DEVICE_MASK: Final = 0xFFFFFFFF
SUBCHANNEL_SHIFT: Final = 32
SUBCHANNEL_MASK: Final = 0xFFFF
MESSAGE_SHIFT: Final = 48
MESSAGE_MASK: Final = 31
CLASS_SHIFT: Final = 53
CLASS_MASK: Final = 7
FOREIGN: Final = 1 << 56
COUNTED: Final = 1 << 57
MESSAGE_COUNTED: Final = 1 << 58

# Messages of one device that may be on their way to the tally at once: half of what five bits can tell apart.
MESSAGES_APART: Final = 16


class Source(NamedTuple):
    """Traffic of one class of devices."""

    kind: int  # the class index, bits 53-55
    first: int  # first device
    last: int  # one past the last
    airtime_s: float
    interval_s: float  # mean gap after an end (renewal), or start to start (periodic)
    least_gap_s: float
    periodic: bool
    slotted: bool
    copies: int
    copy_gap_s: float


class Devices(NamedTuple):
    """State of all devices, each shape (D,)."""

    ready_s: NDArray[np.float64]
    stream: NDArray[np.uint64]
    message: NDArray[np.uint32]  # number of the message << 4 | counts << 3 | copy; empty when a message is one frame
    sent: NDArray[np.uint32]
    delivered: NDArray[np.uint32]
    messages_sent: NDArray[np.uint32]  # or empty
    messages_delivered: NDArray[np.uint32]  # or empty
    arrived: NDArray[np.uint32]  # bit (number mod 32): a copy of that message got through; or empty


@njit(cache=True, nogil=True)
def next_slot(time_s, airtime_s, slotted):
    """The start of the slot at or after a time; the time itself under pure access."""
    return np.ceil(time_s / airtime_s - 1e-9) * airtime_s if slotted else time_s


@njit(cache=True, nogil=True)
def begin(key, source, from_s, ready_s, stream):
    """When every device is ready for the first time after from_s, in the steady state of its traffic.

    Renewal: a device is inside a message with the share of time that messages take, and first has to end it. A gap is
    max(Exp(m), g): its first g are followed by what an exponential has beyond g, the rest is memoryless.
    """
    message_s = source.copies * source.airtime_s + (source.copies - 1) * source.copy_gap_s
    mean_s, least_s = source.interval_s, source.least_gap_s
    cycle_s = message_s + least_s + mean_s * np.exp(-least_s / mean_s)
    for device in range(source.first, source.last):
        state = key_of(key, device) + GAMMA
        u = unit(mix(state))
        state += GAMMA
        gap_s = mean_s * exponential(mix(state))
        left_s = u * cycle_s
        if source.periodic:
            wait_s = u * source.interval_s
        elif left_s < message_s:
            wait_s = left_s + max(gap_s, least_s)
        elif left_s < message_s + least_s:
            wait_s = left_s - message_s + max(gap_s - least_s, 0.0)
        else:
            wait_s = gap_s
        ready_s[device] = from_s + wait_s
        stream[device] = state


@njit(cache=True, nogil=True)
def generate(source, devices, at, until_s, count_from_s, count_to_s, subchannels, starts, words, n):
    """Frames that start before until_s, from device `at` on, in order of device.

    subchannels: (m,) one is drawn for each frame. starts, words: filled from n on. Returns (n, next device): a device
    before source.last means that the arrays are full, and the call is to be repeated with larger ones.
    """
    ready, stream, message, sent = devices.ready_s, devices.stream, devices.message, devices.sent
    messages_sent, arrived = devices.messages_sent, devices.arrived
    airtime_s, interval_s, least_gap_s = source.airtime_s, source.interval_s, source.least_gap_s
    periodic, slotted, copies, copy_gap_s = source.periodic, source.slotted, source.copies, source.copy_gap_s
    kind = np.int64(source.kind) << CLASS_SHIFT
    choices = subchannels.size
    for device in range(max(at, source.first), source.last):
        ready_s = ready[device]
        if ready_s >= until_s:
            continue
        start_s = next_slot(ready_s, airtime_s, slotted)
        state = stream[device]
        while start_s < until_s:
            if n == starts.size:
                ready[device], stream[device] = ready_s, state
                return n, device
            state += GAMMA
            word = kind | np.int64(subchannels[int(unit(mix(state)) * choices)]) << SUBCHANNEL_SHIFT | device
            counted = count_from_s <= start_s < count_to_s
            sent[device] += counted
            word |= counted * (COUNTED | MESSAGE_COUNTED)
            ends = True
            if copies > 1:
                number = np.int64(message[device])
                copy, serial = number & 7, number >> 4
                if copy == 0:
                    messages_sent[device] += counted
                    stale = np.uint32((serial + MESSAGES_APART) & MESSAGE_MASK)
                    arrived[device] &= ~(np.uint32(1) << stale)
                    number |= np.int64(counted) << 3
                word = word & ~MESSAGE_COUNTED | (number >> 3 & 1) * MESSAGE_COUNTED
                word |= (serial & MESSAGE_MASK) << MESSAGE_SHIFT
                ends = copy + 1 == copies
                message[device] = (serial + 1) << 4 if ends else number + 1
            starts[n], words[n] = start_s, word
            n += 1
            if not ends:
                ready_s += airtime_s + copy_gap_s
            elif periodic:
                ready_s += interval_s - (copies - 1) * (airtime_s + copy_gap_s)
            else:
                state += GAMMA
                ready_s = start_s + airtime_s + max(interval_s * exponential(mix(state)), least_gap_s)
            start_s = next_slot(ready_s, airtime_s, slotted)
        ready[device], stream[device] = ready_s, state
    return n, source.last


@njit(cache=True, nogil=True)
def sort_by_start(starts, words, n, from_s, until_s, heads, sorted_starts, sorted_words):
    """Order n frames of one slice by start: a counting sort into as many buckets as `heads` has, then insertion."""
    buckets = heads.size
    scale = buckets / (until_s - from_s)
    heads[:] = 0
    for i in range(n):
        heads[min(max(int((starts[i] - from_s) * scale), 0), buckets - 1)] += 1
    total = 0
    for b in range(buckets):
        count = heads[b]
        heads[b] = total
        total += count
    for i in range(n):
        b = min(max(int((starts[i] - from_s) * scale), 0), buckets - 1)
        k = heads[b]
        heads[b] = k + 1
        sorted_starts[k] = starts[i]
        sorted_words[k] = words[i]
    for i in range(1, n):
        start_s = sorted_starts[i]
        if start_s < sorted_starts[i - 1]:
            word = sorted_words[i]
            j = i - 1
            while j >= 0 and sorted_starts[j] > start_s:
                sorted_starts[j + 1] = sorted_starts[j]
                sorted_words[j + 1] = sorted_words[j]
                j -= 1
            sorted_starts[j + 1] = start_s
            sorted_words[j + 1] = word


@njit(cache=True, nogil=True)
def count_delivery(word, delivered, messages_delivered, arrived):
    """Book one frame that got through."""
    device = word & DEVICE_MASK
    delivered[device] += word & COUNTED != 0
    if arrived.size and word & MESSAGE_COUNTED:
        bit = np.uint32(1) << np.uint32((word >> MESSAGE_SHIFT) & MESSAGE_MASK)
        if not arrived[device] & bit:
            arrived[device] |= bit
            messages_delivered[device] += 1


@njit(cache=True, nogil=True)
def book(words, n, delivered, messages_delivered, arrived):
    """Book n frames that got through."""
    for i in range(n):
        count_delivery(words[i], delivered, messages_delivered, arrived)
