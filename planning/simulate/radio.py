"""Reception by one or more gateways: fading, capture, inter-SF interference, demodulation paths.

Constants are those of the thesis (paper B, table B.1) with the notes' reading of them (3.B.1). A gateway decodes a
frame when, with power P there, noise N, and I the powers of the frames that overlap its critical part, summed:

- P >= G_m N: it is heard;
- beside other spreading factors, P >= Gint_m (I_other + N): they are noise to it;
- beside its own one, P >= 6 dB I_same, over those that are heard there too (rule `sir`). The thesis (B.9, B.10) asks
  for P >= 6 dB (I_same + I_other + N) over all (rule `sinr`): then even the faintest one raises the SNR needed to 6 dB;
- a demodulation path is free when it starts.

What ends before the last `lock_symbols` of the preamble begin does no harm: the receiver locks on to four clean
symbols. Any gateway is enough.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planning.simulate import window
from planning.simulate.scenario import SLOT_GUARD, Scenario
from planning.simulate.streams import GAMMA, exponential, mix, root_key
from planning.simulate.tallies import STREAM_FADING
from planning.simulate.traffic import (
    CLASS_MASK,
    CLASS_SHIFT,
    COUNTED,
    DEVICE_MASK,
    FOREIGN,
    SUBCHANNEL_MASK,
    SUBCHANNEL_SHIFT,
    book,
)
from spectrum.units import linear_from_db, mw_from_dbm

THERMAL_NOISE_DBM_HZ: Final = -174.0  # kT at 290 K; the thesis takes a noise figure of 0 dB

CAPTURE_DB: Final = 6.0  # thesis, section 2.3 of paper B: over the sum of all interference and noise
# SNR that a frame needs (table B.1 of the thesis), and SIR over other spreading factors.
NEEDED_SNR_DB: Final = {7: -6.0, 8: -9.0, 9: -12.0, 10: -15.0, 11: -17.5, 12: -20.0}
NEEDED_SIR_DB: Final = {7: -7.5, 8: -9.0, 9: -13.5, 10: -15.0, 11: -18.0, 12: -22.5}
# Differential BPSK needs Eb/N0 = ln(1/(2 BER)); 9.2 (9.6 dB) loses 1 % of SigFox's frames of 208 bits.
SIGFOX_NEEDED_SNR_DB: Final = 9.6
SIGFOX_NOISE_BANDWIDTH_HZ: Final = 100.0

# Frames judged together: their columns and sums stay in the second-level cache.
FRAMES_AT_ONCE: Final = 8_192


def noise_mw(scenario: Scenario) -> float:
    """Thermal noise in the receiver's bandwidth."""
    bandwidth_hz = SIGFOX_NOISE_BANDWIDTH_HZ if scenario.technology == "sigfox" else scenario.bandwidth_hz
    return mw_from_dbm(THERMAL_NOISE_DBM_HZ + 10.0 * math.log10(bandwidth_hz))


class Thresholds(NamedTuple):
    """Linear power ratios and times per class, shape (F,)."""

    airtime_s: NDArray[np.float64]
    reach_s: NDArray[np.float64]
    critical_s: NDArray[np.float64]  # what ends before this time after the start is harmless
    snr: NDArray[np.float64]
    sir: NDArray[np.float64]


def thresholds(scenario: Scenario) -> Thresholds:
    """The receiver's thresholds for the classes of a scenario."""
    airtime_s = np.array(scenario.airtimes_s)
    guard = SLOT_GUARD if scenario.access == "slotted" else 0.0
    if scenario.technology == "sigfox":
        snr_db, sir_db, critical_s = [SIGFOX_NEEDED_SNR_DB], [0.0], [0.0]
    else:
        snr_db = [NEEDED_SNR_DB[sf] for sf in scenario.spreading_factors]
        sir_db = [NEEDED_SIR_DB[sf] for sf in scenario.spreading_factors]
        clean = max(0.0, scenario.preamble_symbols - scenario.lock_symbols) if scenario.capture else 0.0
        critical_s = [clean * scenario.modulation(sf).symbol_s for sf in scenario.spreading_factors]
    return Thresholds(
        airtime_s,
        airtime_s * (1.0 - guard),
        np.minimum(critical_s, airtime_s),
        np.array([linear_from_db(value) for value in snr_db]),
        np.array([linear_from_db(value) for value in sir_db]),
    )


Booked = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]


class Buffer(NamedTuple):
    """Frames in order of start: some decided ones that can still interfere, then those whose fate is open."""

    starts: NDArray[np.float64]
    words: NDArray[np.int64]
    power_mw: NDArray[np.float64]  # (n, G)
    heard: NDArray[np.uint64]  # bit g: above the noise threshold at gateway g
    path: NDArray[np.uint64]  # bit g: got a demodulation path there


def empty_buffer(gateways: int, size: int = 0) -> Buffer:
    """Room for frames."""
    bits = np.zeros(size, np.uint64)
    return Buffer(np.zeros(size), np.zeros(size, np.int64), np.zeros((size, gateways)), bits, bits.copy())


@njit(cache=True, nogil=True)
def arrive(starts, words, n, mean_mw, noise, snr, airtime_s, fading_key, fading, path_ends_s, buffer, at):
    """Put n frames behind the first `at` of the buffer: their power, who hears them, who has a path for them.

    path_ends_s: (G, paths) when each demodulation path comes free; no paths stand for as many as one likes. One thing
    after the other for all frames: the processor then waits for many devices' levels at once.
    """
    power = buffer.power_mw[at : at + n]
    buffer.starts[at : at + n] = starts[:n]
    buffer.words[at : at + n] = words[:n]
    for i in range(n):
        device = words[i] & DEVICE_MASK
        for g in range(power.shape[1]):
            power[i, g] = mean_mw[device, g]
    if fading:
        fade(starts, words, power, fading_key)
    heard, path = buffer.heard[at : at + n], buffer.path[at : at + n]
    hear(words, power, noise, snr, heard)
    path[:] = heard
    if path_ends_s.shape[1] > 0:
        take_paths(starts, words, airtime_s, path_ends_s, path)


@njit(cache=True, nogil=True)
def fade(starts, words, power_mw, fading_key):
    """Rayleigh fading: each frame's power at each gateway times an exponential, from a stream of the frame's own."""
    for i in range(power_mw.shape[0]):
        state = mix(fading_key + np.uint64(words[i] & DEVICE_MASK) * GAMMA)
        state += np.uint64(np.int64(starts[i] * 1048576.0)) * GAMMA
        for g in range(power_mw.shape[1]):
            state += GAMMA
            power_mw[i, g] *= exponential(mix(state))


@njit(cache=True, nogil=True)
def hear(words, power_mw, noise, snr, heard):
    """Set bit g of each frame that is above the noise threshold at gateway g."""
    needed_mw = snr * noise
    for i in range(heard.size):
        least_mw = needed_mw[words[i] >> CLASS_SHIFT & CLASS_MASK]
        bits = np.uint64(0)
        for g in range(power_mw.shape[1]):
            bits |= np.uint64(power_mw[i, g] >= least_mw) << np.uint64(g)
        heard[i] = bits


@njit(cache=True, nogil=True)
def take_paths(starts, words, airtime_s, path_ends_s, path):
    """Of the gateways that hear a frame (its bits in `path`), keep those that have a demodulation path free."""
    for i in range(path.size):
        if path[i] == 0:
            continue
        end_s = starts[i] + airtime_s[words[i] >> CLASS_SHIFT & CLASS_MASK]
        for g in range(path_ends_s.shape[0]):
            bit = np.uint64(1) << np.uint64(g)
            if path[i] & bit and not take_path(path_ends_s[g], starts[i], end_s):
                path[i] ^= bit


@njit(cache=True, nogil=True)
def take_path(path_ends_s, start_s, end_s):
    """Whether one of a gateway's demodulation paths is free; it is then taken until end_s."""
    for k in range(path_ends_s.size):
        if path_ends_s[k] <= start_s:
            path_ends_s[k] = end_s
            return True
    return False


@njit(cache=True, nogil=True)
def by_cell(buffer, n, classes, subchannels):
    """Stable order of frames by subchannel and class: (first position of each cell, frame at each position)."""
    words = buffer.words
    heads = np.zeros(subchannels * classes + 1, np.int64)
    for i in range(n):
        cell = (words[i] >> SUBCHANNEL_SHIFT & SUBCHANNEL_MASK) * classes + (words[i] >> CLASS_SHIFT & CLASS_MASK)
        heads[cell + 1] += 1
    for cell in range(subchannels * classes):
        heads[cell + 1] += heads[cell]
    order = np.empty(n, np.int64)
    fill = heads.copy()
    for i in range(n):
        cell = (words[i] >> SUBCHANNEL_SHIFT & SUBCHANNEL_MASK) * classes + (words[i] >> CLASS_SHIFT & CLASS_MASK)
        order[fill[cell]] = i
        fill[cell] += 1
    return heads, order


@njit(cache=True, nogil=True)
def in_cells(buffer, order, capture, with_noise, inter_sf):
    """Starts, and running sums of what the frames do to others, (n + 1, G), in order of cell.

    To their own class: their power where they are heard (everywhere, with_noise); without capture, 1 where heard. To
    other classes: their power; empty unless inter_sf.
    """
    starts, _, power, heard, _ = buffer
    n, gateways = order.size, power.shape[1]
    cell_starts = np.empty(n)
    same_sum = np.zeros((n + 1, gateways))
    power_sum = np.zeros((n + 1 if inter_sf else 1, gateways))
    for k in range(n):
        i = order[k]
        cell_starts[k] = starts[i]
        for g in range(gateways):
            is_heard = np.int64(heard[i] >> np.uint64(g) & np.uint64(1))
            harm = power[i, g] if capture else 1.0
            same_sum[k + 1, g] = same_sum[k, g] + (harm if is_heard or with_noise else 0.0)
        if inter_sf:
            for g in range(gateways):
                power_sum[k + 1, g] = power_sum[k, g] + power[i, g]
    return cell_starts, same_sum, power_sum


@njit(cache=True, nogil=True)
def survives(own, alone, among, across_any, across, noise, sir, ratio, capture, with_noise):
    """Whether a frame of power `own` beats what disturbs it at one gateway. No jumps: nobody could predict them.

    among: what its own class does there, itself included; alone: it is itself only. across: power of other classes.
    """
    if capture:
        rest = max(among - own, 0.0)
        stands = own >= ratio * (rest + across + noise if with_noise else rest)
    else:
        stands = among == 1.0
    return (alone | stands) & ((not across_any) | (own >= sir * (across + noise)))


@njit(cache=True, nogil=True)
def decoded(
    power_mw, bits, f, low, high, across_any, same_sum, power_sum, noise, sir, ratio, capture, with_noise
):  # fmt: skip
    """Whether a frame gets through at one of the gateways in `bits`, beside frames low[p]..high[p] - 1 of each class p.

    power_mw: (G,) its own power.
    """
    from_k, to_k, through = low[f], high[f], False
    for g in range(power_mw.size):
        across = 0.0
        if across_any:
            for p in range(low.size):
                if p != f:
                    across += power_sum[high[p], g] - power_sum[low[p], g]
        among = same_sum[to_k, g] - same_sum[from_k, g]
        stands = survives(
            power_mw[g], to_k - from_k == 1, among, across_any, across, noise, sir, ratio, capture, with_noise
        )
        through |= (bits >> np.uint64(g) & np.uint64(1) != 0) & stands
    return through


@njit(cache=True, nogil=True)
def advance(cell_starts, at, stop, until_s, including):
    """Step on from position `at`, to `stop` at most, over what starts before until_s (or at it: including)."""
    while at < stop and (cell_starts[at] < until_s or (including and cell_starts[at] == until_s)):
        at += 1
    return at


@njit(cache=True, nogil=True)
def decide(
    buffer, n, first, last, subchannels, thresholds, noise, ratio, capture, with_noise, inter_sf,
    delivered, messages_delivered, arrived, clusters,
):  # fmt: skip
    """Judge frames first..last - 1 of the buffer; all n that can interfere with them are there.

    Interferers of a frame in a cell are a run of that cell's frames, and its ends only move forward from one frame to
    the next, so that running sums give the interference of each at once.
    """
    _, words, power, _, path = buffer
    _, reach_s, critical_s, _, sir = thresholds
    classes = reach_s.size
    heads, order = by_cell(buffer, n, classes, subchannels)
    cell_starts, same_sum, power_sum = in_cells(buffer, order, capture, with_noise, inter_sf)
    low, high = np.empty(classes, np.int64), np.empty(classes, np.int64)
    got_through, n_through = np.empty(max(last - first, 0) + 1, np.int64), 0
    for cell in range(subchannels * classes):
        f = cell % classes
        base = cell - f
        low[:] = heads[base : base + classes]
        high[:] = low
        met_from, met_to = (0, classes) if inter_sf else (f, f + 1)
        for k in range(heads[cell], heads[cell + 1]):
            i = order[k]
            if i < first or i >= last:
                continue
            start_s, end_s, bits, word = cell_starts[k], cell_starts[k] + reach_s[f], path[i], words[i]
            met_before = k > heads[cell] and cell_starts[k - 1] > start_s - reach_s[f]
            goes_on = k + 1 < heads[cell + 1] and cell_starts[k + 1] < end_s
            clusters[f] += goes_on and not met_before and word & COUNTED != 0
            if bits == 0 or word & FOREIGN:
                continue
            across_any = False
            for p in range(met_from, met_to):
                stop = heads[base + p + 1]
                low[p] = advance(cell_starts, low[p], stop, start_s + critical_s[f] - reach_s[p], True)
                high[p] = advance(cell_starts, max(high[p], low[p]), stop, end_s, False)
                across_any |= p != f and high[p] > low[p]
            got_through[n_through] = word
            n_through += decoded(
                power[i], bits, f, low, high, across_any, same_sum, power_sum, noise, sir[f], ratio, capture, with_noise
            )
    book(got_through, n_through, delivered, messages_delivered, arrived)


class RadioReceiver:
    """Gateways that hear frames as the radio model says; keeps what is open from slice to slice."""

    def __init__(self, scenario: Scenario, run: int, mean_mw: NDArray[np.float32], booked: Booked) -> None:
        """mean_mw: (D, G), see `places.received_mw`. booked: delivered, messages delivered, arrived, see `Devices`."""
        self.scenario, self.mean_mw, self.booked = scenario, mean_mw, booked
        self.thresholds = thresholds(scenario)
        self.noise_mw = noise_mw(scenario)
        self.fading_key = root_key(scenario.seed, STREAM_FADING, run)
        self.path_ends_s = np.full((scenario.gateways, scenario.demodulators), -np.inf)
        self.clusters = np.zeros(len(scenario.classes), np.int64)
        self.buffer = empty_buffer(scenario.gateways)
        self.kept = self.decided = 0  # frames in the buffer, and how many of them are decided

    def take(self, starts: NDArray[np.float64], words: NDArray[np.int64], count: int, until_s: float) -> None:
        """Frames in order of start, all that start before until_s."""
        low = 0
        while count - low > (helping := max(FRAMES_AT_ONCE, 2 * self.kept)):
            high = low + helping
            self._take(starts[low:high], words[low:high], float(starts[high]))
            low = high
        self._take(starts[low:count], words[low:count], until_s)

    def _take(self, starts: NDArray[np.float64], words: NDArray[np.int64], until_s: float) -> None:
        count = starts.size
        self._make_room(self.kept + count)
        arrive(
            starts, words, count, self.mean_mw, self.noise_mw, self.thresholds.snr, self.thresholds.airtime_s,
            self.fading_key, self.scenario.fading == "rayleigh", self.path_ends_s, self.buffer, self.kept,
        )  # fmt: skip
        n = self.kept + count
        longest_s = float(self.thresholds.airtime_s.max())
        ready = int(np.searchsorted(self.buffer.starts[:n], until_s - longest_s))
        decide(
            self.buffer, n, self.decided, ready, self.scenario.subchannels, self.thresholds, self.noise_mw,
            linear_from_db(CAPTURE_DB), self.scenario.capture, self.scenario.capture_rule == "sinr",
            self.scenario.inter_sf, *self.booked, self.clusters,
        )  # fmt: skip
        old = int(np.searchsorted(self.buffer.starts[:n], until_s - 2.0 * longest_s))
        for column in self.buffer:
            column[: n - old] = column[old:n].copy()
        self.kept, self.decided = n - old, ready - old

    def finish(self, counts: NDArray[np.float64]) -> None:
        """Nothing comes any more."""
        counts[:, window.CLUSTERS] += self.clusters

    def _make_room(self, size: int) -> None:
        if self.buffer.starts.size >= size:
            return
        larger = empty_buffer(self.scenario.gateways, 2 * size)
        for new, old in zip(larger, self.buffer, strict=True):
            new[: self.kept] = old[: self.kept]
        self.buffer = larger
