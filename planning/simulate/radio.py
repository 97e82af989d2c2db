"""Reception by one or more gateways: path loss, shadowing, fading, capture, inter-SF interference, demodulation paths.

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
from planning.simulate.tallies import STREAM_FADING, STREAM_PLACES
from planning.simulate.traffic import (
    CLASS_MASK,
    CLASS_SHIFT,
    COUNTED,
    DEVICE_MASK,
    FOREIGN,
    SUBCHANNEL_MASK,
    SUBCHANNEL_SHIFT,
    count_delivery,
)
from spectrum.units import linear_from_db, mw_from_dbm

CARRIER_MHZ: Final = 868.0
THERMAL_NOISE_DBM_HZ: Final = -174.0  # kT at 290 K; the thesis takes a noise figure of 0 dB

CAPTURE_DB: Final = 6.0  # thesis, section 2.3 of paper B: over the sum of all interference and noise
# SNR that a frame needs (table B.1 of the thesis), and SIR over other spreading factors.
NEEDED_SNR_DB: Final = {7: -6.0, 8: -9.0, 9: -12.0, 10: -15.0, 11: -17.5, 12: -20.0}
NEEDED_SIR_DB: Final = {7: -7.5, 8: -9.0, 9: -13.5, 10: -15.0, 11: -18.0, 12: -22.5}
# Differential BPSK needs Eb/N0 = ln(1/(2 BER)); 9.2 (9.6 dB) loses 1 % of SigFox's frames of 208 bits.
SIGFOX_NEEDED_SNR_DB: Final = 9.6
SIGFOX_NOISE_BANDWIDTH_HZ: Final = 100.0

NEAREST_M: Final = 1.0  # the path loss is stated from 1 m on
GOLDEN_ANGLE: Final = math.pi * (3.0 - math.sqrt(5.0))
DEVICES_AT_ONCE: Final = 1_000_000
# Frames judged together: their columns and sums stay in the second-level cache.
FRAMES_AT_ONCE: Final = 8_192


def noise_mw(scenario: Scenario) -> float:
    """Thermal noise in the receiver's bandwidth."""
    bandwidth_hz = SIGFOX_NOISE_BANDWIDTH_HZ if scenario.technology == "sigfox" else scenario.bandwidth_hz
    return mw_from_dbm(THERMAL_NOISE_DBM_HZ + 10.0 * math.log10(bandwidth_hz))


def path_loss_db(distance_m: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Loss at a distance: 20 log10(f_MHz) - 28 dB at 1 m, then 10 n dB a decade (notes 3.B.1)."""
    decades = np.log10(np.maximum(distance_m, NEAREST_M))
    return np.asarray(20.0 * math.log10(CARRIER_MHZ) - 28.0 + 10.0 * exponent * decades)


def gateway_places_m(count: int, radius_m: float) -> NDArray[np.float64]:
    """(G, 2) positions: one in the middle, several on a sunflower spiral that covers the disc evenly."""
    if count == 1:
        return np.zeros((1, 2))
    order = np.arange(count)
    distance_m, angle = radius_m * np.sqrt((order + 0.5) / count), order * GOLDEN_ANGLE
    return np.column_stack([distance_m * np.cos(angle), distance_m * np.sin(angle)])


def received_mw(scenario: Scenario, run: int) -> NDArray[np.float32]:
    """(D, G) mean power of every device at every gateway: devices uniform in the disc, log-normal shadowing."""
    rng = np.random.default_rng(int(root_key(scenario.seed, STREAM_PLACES, run)))
    gateways_m = gateway_places_m(scenario.gateways, scenario.radius_m)
    power_mw = np.empty((scenario.devices, scenario.gateways), np.float32)
    for first in range(0, scenario.devices, DEVICES_AT_ONCE):
        block = power_mw[first : first + DEVICES_AT_ONCE]
        distance_m = scenario.radius_m * np.sqrt(rng.random(len(block)))
        angle = rng.uniform(0.0, 2.0 * math.pi, len(block))
        for g, (x_m, y_m) in enumerate(gateways_m):
            away_m = np.hypot(distance_m * np.cos(angle) - x_m, distance_m * np.sin(angle) - y_m)
            level_dbm = scenario.power_dbm - path_loss_db(away_m, scenario.path_loss_exponent)
            level_dbm += scenario.shadowing_db * rng.standard_normal(len(block))
            block[:, g] = 10.0 ** (level_dbm / 10.0)
    if scenario.sf_order == "distance":  # the best heard get the lowest spreading factor
        power_mw = power_mw[np.argsort(-power_mw.max(axis=1), kind="stable")]
    return power_mw


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

    path_ends_s: (G, paths) when each demodulation path comes free; no paths stand for as many as one likes.
    """
    out_starts, out_words, out_power, out_heard, out_path = buffer
    gateways, paths = path_ends_s.shape
    for i in range(n):  # by itself, so that the processor can wait for many devices' levels at once
        device = words[i] & DEVICE_MASK
        for g in range(gateways):
            out_power[at + i, g] = mean_mw[device, g]
    for i in range(n):
        word, start_s = words[i], starts[i]
        f = word >> CLASS_SHIFT & CLASS_MASK
        heard = got = np.uint64(0)
        state = mix(fading_key + np.uint64(word & DEVICE_MASK) * GAMMA)
        state += np.uint64(np.int64(start_s * 1048576.0)) * GAMMA
        for g in range(gateways):
            power = out_power[at + i, g]
            if fading:
                state += GAMMA
                power *= exponential(mix(state))
                out_power[at + i, g] = power
            if power >= snr[f] * noise:
                bit = np.uint64(1) << np.uint64(g)
                heard |= bit
                if paths == 0 or take_path(path_ends_s[g], start_s, start_s + airtime_s[f]):
                    got |= bit
        out_starts[at + i], out_words[at + i], out_heard[at + i], out_path[at + i] = start_s, word, heard, got


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
def survives(own, g, f, low, high, across_any, same_sum, power_sum, noise, sir, ratio, capture, with_noise):
    """Whether a frame of power `own` beats, at gateway g, the frames low[p]..high[p] - 1 of each class p."""
    across = 0.0
    if across_any:
        for p in range(low.size):
            if p != f:
                across += power_sum[high[p], g] - power_sum[low[p], g]
        if own < sir * (across + noise):
            return False
    if high[f] - low[f] == 1:  # itself
        return True
    among = same_sum[high[f], g] - same_sum[low[f], g]
    if not capture:
        return among == 1.0
    among = max(among - own, 0.0)
    return own >= ratio * (among + across + noise if with_noise else among)


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
    classes, gateways = reach_s.size, power.shape[1]
    heads, order = by_cell(buffer, n, classes, subchannels)
    cell_starts, same_sum, power_sum = in_cells(buffer, order, capture, with_noise, inter_sf)
    low, high = np.empty(classes, np.int64), np.empty(classes, np.int64)
    for cell in range(subchannels * classes):
        f = cell % classes
        base = cell - f
        low[:] = heads[base : base + classes]
        high[:] = low
        for k in range(heads[cell], heads[cell + 1]):
            i = order[k]
            if i < first or i >= last:
                continue
            start_s, end_s, bits = cell_starts[k], cell_starts[k] + reach_s[f], path[i]
            met_before = k > heads[cell] and cell_starts[k - 1] > start_s - reach_s[f]
            goes_on = k + 1 < heads[cell + 1] and cell_starts[k + 1] < end_s
            clusters[f] += goes_on and not met_before and words[i] & COUNTED != 0
            if bits == 0 or words[i] & FOREIGN:
                continue
            across_any = False
            for p in range(classes):
                if p == f or inter_sf:
                    stop = heads[base + p + 1]
                    since_s = start_s + critical_s[f] - reach_s[p]
                    while low[p] < stop and cell_starts[low[p]] <= since_s:
                        low[p] += 1
                    high[p] = max(high[p], low[p])
                    while high[p] < stop and cell_starts[high[p]] < end_s:
                        high[p] += 1
                    across_any |= p != f and high[p] > low[p]
            for g in range(gateways):
                if bits >> np.uint64(g) & np.uint64(1) == 0:
                    continue
                own = power[i, g]
                if survives(
                    own, g, f, low, high, across_any, same_sum, power_sum, noise, sir[f], ratio, capture, with_noise
                ):  # fmt: skip
                    count_delivery(words[i], delivered, messages_delivered, arrived)
                    break


class RadioReceiver:
    """Gateways that hear frames as the radio model says; keeps what is open from slice to slice."""

    def __init__(self, scenario: Scenario, run: int, mean_mw: NDArray[np.float32], booked: Booked) -> None:
        """mean_mw: (D, G), see `received_mw`. booked: delivered, messages delivered, arrived, see `Devices`."""
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
