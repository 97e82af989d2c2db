"""The window of section 5, compiled: devices with a few packets each, placed one after another in random order.

Frames of one class (spreading factor) last equally long, T. Every subchannel and class has a row of cells of width T
that hold how many frames start there, the earliest and the latest start. Two frames overlap when their starts differ by
less than T, so a look at a cell and its two neighbours decides it, whatever the load: nothing is sorted.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planning.simulate.scenario import SLOT_GUARD, Scenario
from planning.simulate.streams import draw, key_of
from spectrum.errors import BadInput

# Columns of a tally, per run and class.
TALLIES: Final = (
    "transmissions",
    "unsuccessful",
    "collisions",
    "forced",
    "attempts",
    "delay_s",
    "messages",
    "messages_delivered",
    "held_back",
)
N_TALLIES: Final = len(TALLIES)
SENT, LOST, CLUSTERS, FORCED, ATTEMPTS, DELAY, MESSAGES, MESSAGES_OK, HELD = range(N_TALLIES)

# Earliest and latest offset in a cell without frames.
EARLIEST: Final = np.uint32(2**32 - 1)
LATEST: Final = np.uint32(0)
OFFSETS: Final = 2.0**32

# Tables beyond this many numbers lie outside the second-level cache: look this many frames ahead there.
FAR_CELLS: Final = 250_000
AHEAD: Final = 64

# A cell takes 8 bytes; more cells than this do not fit in 2 GB.
MOST_CELLS: Final = 200_000_000


class Rules(NamedTuple):
    """How frames are placed; the compiled form of a scenario's policy and errors."""

    attempts: int
    senses: bool
    rotates: bool
    least_loaded: bool
    fresh: bool
    slotted: bool
    pf: float
    pm: float
    lag_share: float  # part of all frames placed last that the controller does not see yet


class Air(NamedTuple):
    """Cells of all classes and subchannels. Row (f, c) starts at first_cell[f] + c * (cells[f] + 2), padded by one.

    A start is a cell and an offset in it, in units of T / 2^32. starts: earliest and latest offset in cell k at 2k and
    2k + 1, side by side for the cache; earliest > latest in an empty cell, earliest < latest where frames share it.
    """

    airtime_s: NDArray[np.float64]  # (F,)
    cells: NDArray[np.int64]  # (F,)
    first_cell: NDArray[np.int64]  # (F,)
    starts: NDArray[np.uint32]


class Frames(NamedTuple):
    """Frames of one run in the order of their placement; a message has one or more copies."""

    device_of_message: NDArray[np.int32]
    message: NDArray[np.int32]
    subchannel: NDArray[np.int32]
    cell: NDArray[np.int32]
    offset: NDArray[np.uint32]
    foreign: NDArray[np.bool_]  # met a stranger


def rules_of(scenario: Scenario) -> Rules:
    """The compiled form of the scenario's policy."""
    row = scenario.row
    return Rules(
        attempts=scenario.attempts if row.senses else 1,
        senses=row.senses,
        rotates=row.rotates,
        least_loaded=scenario.policy == "least-loaded",
        fresh=scenario.fresh,
        slotted=scenario.access == "slotted",
        pf=scenario.pf,
        pm=scenario.pm,
        lag_share=min(1.0, scenario.status_age_s / scenario.span_s),
    )


def new_air(scenario: Scenario) -> Air:
    """Empty cells for a window; refuses what does not fit in memory."""
    airtime_s = np.array(scenario.airtimes_s)
    cells = np.floor(scenario.window_s / airtime_s + SLOT_GUARD).astype(np.int64) + 1
    rows = (cells + 2) * scenario.subchannels
    total = int(rows.sum())
    if total > MOST_CELLS:
        raise BadInput(
            f"window / airtime x subchannels gives {total} cells, at most {MOST_CELLS} fit in memory: "
            "shorten --window, or use --traffic renewal"
        )
    first_cell = np.concatenate([[0], np.cumsum(rows)[:-1]]).astype(np.int64)
    return Air(airtime_s, cells, first_cell, np.tile(np.array([EARLIEST, LATEST]), total))


@njit(cache=True, nogil=True)
def packets_of(key, device, least, most, mean):
    """Packets of a device: uniform on least..most, or Poisson (by multiplication of uniforms) when mean is above 0."""
    own = key_of(key, device)
    if mean <= 0.0:
        return least + int(draw(own, 0) * (most - least + 1))
    floor, product, count = np.exp(-mean), draw(own, 0), 0
    while product > floor:
        count += 1
        product *= draw(own, count)
    return count


@njit(cache=True, nogil=True)
def list_frames(key, classes, law, limits, copies, tally):
    """Devices and messages of all frames of a run, in random order; counts what the duty cycle holds back."""
    least, most, mean = law
    total = 0
    for device in range(classes.size):
        wanted = packets_of(key, device, least, most, mean)
        total += min(wanted, limits[classes[device]])
    device_of_message = np.empty(total, np.int32)
    at = 0
    for device in range(classes.size):
        wanted = packets_of(key, device, least, most, mean)
        sent = min(wanted, limits[classes[device]])
        tally[classes[device], HELD] += wanted - sent
        tally[classes[device], MESSAGES] += sent
        device_of_message[at : at + sent] = device
        at += sent
    size = total * copies
    message = np.empty(size, np.int32)
    shuffle = key_of(key, classes.size)
    for i in range(size):  # Fisher-Yates, from the inside out
        j = int(draw(shuffle, i) * (i + 1))
        message[i] = message[j]
        message[j] = i // copies
    subchannel, cell = np.empty(size, np.int32), np.empty(size, np.int32)
    return Frames(device_of_message, message, subchannel, cell, np.empty(size, np.uint32), np.zeros(size, np.bool_))


@njit(cache=True, nogil=True)
def touched(starts, k, offset, slotted):
    """Whether a frame at this offset of cell k shares the air with a placed one of its class in the cells around."""
    if starts[2 * k] <= starts[2 * k + 1]:
        return True
    return not slotted and (starts[2 * k - 1] > offset or starts[2 * k + 2] < offset)


@njit(cache=True, nogil=True)
def met_by_other_class(starts, row, cells, airtime_s, start_s, end_s):
    """Whether any frame of a row of another airtime shares [start_s, end_s)."""
    since_s = start_s - airtime_s * (1.0 - SLOT_GUARD)
    end_s -= SLOT_GUARD * airtime_s
    for cell in range(max(int(since_s / airtime_s), 0), min(int(end_s / airtime_s), cells - 1) + 1):
        k = row + cell
        if (
            starts[2 * k] <= starts[2 * k + 1]
            and (cell + starts[2 * k + 1] / OFFSETS) * airtime_s > since_s
            and (cell + starts[2 * k] / OFFSETS) * airtime_s < end_s
        ):
            return True
    return False


@njit(cache=True, nogil=True)
def met_by_any_other_class(air, f, c, start_s, end_s):
    """Whether a frame of class f would share the air with a placed one of any other class on its subchannel."""
    for g in range(air.cells.size):
        row = air.first_cell[g] + c * (air.cells[g] + 2) + 1
        if g != f and met_by_other_class(air.starts, row, air.cells[g], air.airtime_s[g], start_s, end_s):
            return True
    return False


@njit(cache=True, nogil=True)
def insert(starts, k, offset):
    """Place a frame; a second one always makes the latest offset differ from the earliest."""
    if starts[2 * k] > starts[2 * k + 1]:
        starts[2 * k] = offset
        starts[2 * k + 1] = offset
    else:
        earliest = starts[2 * k]
        starts[2 * k + 1] = max(starts[2 * k + 1], offset, earliest + np.uint32(1))
        starts[2 * k] = min(earliest, offset)


@njit(cache=True, nogil=True)
def least_loaded(u, pool, load):
    """One of the subchannels with the least load, at random."""
    least = load[pool].min()
    ties = pool[load[pool] == least]
    return ties[int(u * ties.size)]


@njit(cache=True, nogil=True)
def look_ahead(key, i, message, device_of_message, classes, air, window_s, pool, slotted):
    """Read the cells that the next frames will try first, all at once: the memory answers while others are computed."""
    first_cell, cells, airtimes, starts = air.first_cell, air.cells, air.airtime_s, air.starts
    total = np.uint64(0)
    for k in range(i, min(i + AHEAD, message.size)):
        own = key_of(key, k)
        f = classes[device_of_message[message[k]]]
        c = pool[int(draw(own, 0) * pool.size)]
        u = draw(own, 1)
        length = window_s / airtimes[f]
        cell = int(u * int(length + SLOT_GUARD)) if slotted else int(u * (length - 1.0))
        total += starts[2 * (first_cell[f] + c * (cells[f] + 2) + 1 + cell)]
    return total


@njit(cache=True, nogil=True)
def place_all(key, frames, classes, air, window_s, pool, occupancy, rules, tally):
    """Lines 8 to 14 of Algorithm 1 for every frame: up to N draws, the first reported idle, else the last stands."""
    device_of_message, message, subchannel, cells, offsets, foreign_hit = frames
    starts = air.starts
    attempts, senses, slotted, pf, pm = rules.attempts, rules.senses, rules.slotted, rules.pf, rules.pm
    one_class = air.cells.size == 1
    lag = int(np.ceil(rules.lag_share * message.size)) + 1  # what was placed one step before is seen at the earliest
    load = np.zeros(occupancy.size, np.int64)
    after = 0
    f = 0
    touched_cells = np.uint64(0)
    far = air.starts.size > FAR_CELLS and not (rules.rotates or rules.least_loaded)
    for i in range(message.size + lag):
        if far and i % AHEAD == 0:
            touched_cells += look_ahead(key, i, message, device_of_message, classes, air, window_s, pool, slotted)
        if i >= lag:  # the controller sees another of the frames it has placed
            k = i - lag
            g = classes[device_of_message[message[k]]]
            row = air.first_cell[g] + subchannel[k] * (air.cells[g] + 2) + 1
            insert(starts, row + cells[k], offsets[k])
            load[subchannel[k]] += 1
        if i >= message.size:
            continue
        if not one_class:
            f = classes[device_of_message[message[i]]]
        airtime_s = air.airtime_s[f]
        length = window_s / airtime_s
        slots = int(length + SLOT_GUARD)
        own = key_of(key, i)
        first_position = 0.0
        taken = False
        tries = attempts
        for j in range(attempts + rules.fresh):
            if rules.rotates:
                c = pool[(after + j) % pool.size]
            elif rules.least_loaded:
                c = least_loaded(draw(own, 4 * j), pool, load)
            else:
                c = pool[int(draw(own, 4 * j) * pool.size)]
            u = draw(own, 4 * j + 1)
            position = np.floor(u * slots) if slotted else u * (length - 1.0)
            cell = int(position)
            offset = np.uint32((position - cell) * OFFSETS)
            foreign = occupancy[c] > 0.0 and draw(own, 4 * j + 3) < occupancy[c]
            if j == 0:
                first_position = position
            if not senses or j == attempts:
                break
            row = air.first_cell[f] + c * (air.cells[f] + 2) + 1
            met = foreign or touched(starts, row + cell, offset, slotted)
            if not (met or one_class):
                met = met_by_any_other_class(air, f, c, position * airtime_s, (position + 1.0) * airtime_s)
            chance = pm if met else 1.0 - pf  # of being reported idle
            taken = chance >= 1.0 or (chance > 0.0 and draw(own, 4 * j + 2) < chance)
            if taken:
                tries = j + 1
                break
        subchannel[i], cells[i], offsets[i], foreign_hit[i] = c, cell, offset, foreign
        if rules.rotates:
            after = np.searchsorted(pool, c) + 1
        tally[f, ATTEMPTS] += tries
        tally[f, FORCED] += senses and not taken
        tally[f, DELAY] += abs(position - first_position) * airtime_s
    return touched_cells


@njit(cache=True, nogil=True)
def judge(frames, classes, air, copies, slotted, tally, sent, delivered):
    """Count frames that share the air with another of their class, and messages of which a copy got through."""
    device_of_message, message, subchannel, cells, offsets, foreign_hit = frames
    starts = air.starts
    arrived = np.zeros(device_of_message.size, np.bool_)
    for i in range(message.size):
        device = device_of_message[message[i]]
        f = classes[device]
        k = air.first_cell[f] + subchannel[i] * (air.cells[f] + 2) + 1 + cells[i]
        offset = offsets[i]
        reached = not slotted and starts[2 * k - 1] > offset
        reaches = starts[2 * k] < starts[2 * k + 1] or (not slotted and starts[2 * k + 2] < offset)
        alone = not (reached or reaches or foreign_hit[i])
        tally[f, SENT] += 1
        tally[f, LOST] += not alone
        # A chain of overlapping frames is counted at its earliest one; slots are counted when they are emptied.
        tally[f, CLUSTERS] += not slotted and reaches and not reached and offset == starts[2 * k]
        if alone and not arrived[message[i]]:
            arrived[message[i]] = True
            tally[f, MESSAGES_OK] += 1
        if sent.size:
            sent[device] += 1
            delivered[device] += alone


@njit(cache=True, nogil=True)
def clear(frames, classes, air, slotted, tally):
    """Empty the cells that the run has used; shared slots are counted on the way."""
    device_of_message, message, subchannel, cells, _, _ = frames
    starts = air.starts
    for i in range(message.size):
        f = classes[device_of_message[message[i]]]
        k = air.first_cell[f] + subchannel[i] * (air.cells[f] + 2) + 1 + cells[i]
        tally[f, CLUSTERS] += slotted and starts[2 * k] < starts[2 * k + 1]
        starts[2 * k] = EARLIEST
        starts[2 * k + 1] = LATEST


@njit(cache=True, nogil=True)
def window_runs(keys, classes, law, limits, copies, air, window_s, pool, occupancy, rules, tallies, sent, delivered):
    """All runs of a scenario, one after another.

    keys: (R,) one per run. classes: (D,) class of each device. pool: subchannels that tries are drawn from, in order of
    frequency. occupancy: (C,). tallies: (R, F, TALLIES), added to. sent, delivered: (D,) added to, or empty.
    """
    for r in range(keys.size):
        frames = list_frames(keys[r], classes, law, limits, copies, tallies[r])
        place_all(keys[r], frames, classes, air, window_s, pool, occupancy, rules, tallies[r])
        judge(frames, classes, air, copies, rules.slotted, tallies[r], sent, delivered)
        clear(frames, classes, air, rules.slotted, tallies[r])


@njit(cache=True, nogil=True)
def place_one_run(key, classes, law, limits, copies, air, window_s, pool, occupancy, rules, tally):
    """Frames of one run with their starts and subchannels, for a reception that is judged elsewhere."""
    frames = list_frames(key, classes, law, limits, copies, tally)
    place_all(key, frames, classes, air, window_s, pool, occupancy, rules, tally)
    clear(frames, classes, air, False, tally)
    return frames
