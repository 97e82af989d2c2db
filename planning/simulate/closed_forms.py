"""What theory says of the simulated systems: finite ALOHA, renewal traffic, the fluid limit of Algorithm 1.

Symbols as in the notes (1.4): P transmissions of length T in a window W, C subchannels, S slots. Starts of pure access
are uniform on [0, L], L = W - T. "Unsuccessful" counts every transmission that shares the air with another.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

# Relative error of the fluid limit's differential equation.
FLUID_TOLERANCE: Final = 1e-9


def slotted_unsuccessful(transmissions: int, slots: int, subchannels: int) -> float:
    """Mean number of unsuccessful transmissions of slotted random access: P (1 - (1 - 1/(S C))^(P-1))."""
    if transmissions < 1:
        return 0.0
    return transmissions * -math.expm1((transmissions - 1) * math.log1p(-1.0 / (slots * subchannels)))


def pure_unsuccessful(transmissions: int, airtime_s: float, window_s: float, subchannels: int) -> float:
    """Mean number of unsuccessful transmissions of pure random access in a window, edges included; needs 3 T <= W.

    A start at distance x from an edge is met by another on its subchannel with (T + min(x, T)) / (L C); the mean of
    (1 - that)^(P-1) over x, with a = 1 - T/(L C) and b = 1 - 2T/(L C), is the printed form of the notes.
    """
    if transmissions < 1:
        return 0.0
    length_s = window_s - airtime_s
    if 2 * airtime_s > length_s:
        raise ValueError(f"the closed form needs 2 T <= W - T, got T = {airtime_s} s and W = {window_s} s")
    others = transmissions - 1
    a = 1.0 - airtime_s / (length_s * subchannels)
    b = 1.0 - 2.0 * airtime_s / (length_s * subchannels)
    inside = (length_s - 2.0 * airtime_s) / length_s * b**others
    edges = 2.0 * subchannels / transmissions * (a**transmissions - b**transmissions)
    return transmissions * (1.0 - inside - edges)


def poisson_success(load: float, slotted: bool) -> float:
    """Success in the Poisson limit at G = P T / (W C) Erlang per subchannel: exp(-G) slotted, exp(-2G) pure."""
    return math.exp(-load if slotted else -2.0 * load)


def renewal_success_limit(devices: int, airtime_s: float, mean_gap_s: float) -> float:
    """Success of D devices on one subchannel and class, gap exponential after each end: exp(-2 (D-1) T / (m + T))."""
    return math.exp(-2.0 * (devices - 1) * airtime_s / (mean_gap_s + airtime_s))


def renewal_success(devices: int, airtime_s: float, mean_gap_s: float, subchannels: int = 1) -> float:
    """Exact success of the same system in its steady state, each frame on one of C subchannels at random.

    Another device is quiet at my start with m/(m+T) and then may begin once in my T; or it is on the air, out of my way
    with 1 - 1/C, ends uniformly within my T, and may begin once more in what is left of it.
    """
    hit = 1.0 / subchannels
    begins = -math.expm1(-airtime_s / mean_gap_s)
    quiet = mean_gap_s / (mean_gap_s + airtime_s)
    begins_again = 1.0 - mean_gap_s / airtime_s * begins
    missed = quiet * (1.0 - hit * begins) + (1.0 - quiet) * (1.0 - hit) * (1.0 - hit * begins_again)
    return missed ** (devices - 1)


def fluid_unsuccessful(load: float, attempts: int, pf: float = 0.0, pm: float = 0.0) -> float:
    """Unsuccessful share of slotted Algorithm 1 as the number of cells grows, at `load` = P / (S C) frames per cell.

    x_k is the share of cells that hold k frames; as frames are placed one by one, dx_k/dr = w_(k-1) - w_k with w_k the
    chance that the next lands in a k-cell. A draw falls in a k-cell with x_k and is kept when reported idle: an idle
    cell with 1 - Pf, a busy one with Pm; N draws, of which the last stands. Only x_0, x_1 matter for 1 - x_1 / load.
    """
    if load <= 0.0:
        return 0.0
    from scipy.integrate import solve_ivp

    def lands(x: float, empty: float, reported_idle: float) -> float:
        """Chance that a frame ends in cells of share x, which a look reports idle with `reported_idle`."""
        kept = empty * (1.0 - pf) + (1.0 - empty) * pm
        refused = 1.0 - kept
        before_last = (1.0 - refused ** (attempts - 1)) / kept if kept > 0.0 else float(attempts - 1)
        return x * reported_idle * before_last + refused ** (attempts - 1) * x

    def rates(_: float, state: np.ndarray) -> list[float]:
        empty, single = state
        leaves_empty = lands(empty, empty, 1.0 - pf)
        return [-leaves_empty, leaves_empty - lands(single, empty, pm)]

    path = solve_ivp(rates, (0.0, load), [1.0, 0.0], rtol=FLUID_TOLERANCE, atol=FLUID_TOLERANCE)
    return float(1.0 - path.y[1, -1] / load)


def capture_success(
    radius_m: float,
    exponent: float,
    link_at_1m: float,
    snr: float,
    sir: float,
    capture: float,
    load_same: float,
    load_others: float,
) -> float:
    """Success at one gateway in the middle of a disc, under Rayleigh fading (thesis, paper B; notes 3.B.4).

    Devices uniform in the disc, whatever their spreading factor. link_at_1m: transmit power / (loss at 1 m x noise).
    snr, sir, capture: thresholds, all linear, for noise, other spreading factors, the own one. load_same, load_others:
    mean number of frames that overlap a frame. Exact when snr <= sir, where the SIR condition holds the SNR one.
    """
    from scipy.integrate import quad

    def survives(distance_m: float, threshold: float) -> float:
        """Chance factor of one interferer anywhere: mean of 1 / (1 + threshold (r / r')^n)."""
        ratio = threshold * float(distance_m**exponent)

        def weighed(other_m: float) -> float:
            return 2.0 * other_m / radius_m**2 / (1.0 + ratio * float(other_m**-exponent))

        return float(quad(weighed, 0.0, radius_m)[0])

    def at(distance_m: float) -> float:
        noise = float(distance_m**exponent) / link_at_1m
        same = math.exp(-load_same * (1.0 - survives(distance_m, capture))) - math.exp(-load_same)
        both = math.exp(-load_others * (1.0 - survives(distance_m, capture))) - math.exp(-load_others)
        others = math.exp(-load_others * (1.0 - survives(distance_m, sir))) - math.exp(-load_others)
        alone = math.exp(-load_same - load_others) * math.exp(-snr * noise)
        disturbed = math.exp(-load_same) * others * math.exp(-max(snr, sir) * noise)
        captured: float = same * (math.exp(-load_others) + both) * math.exp(-capture * noise)
        return 2.0 * distance_m / radius_m**2 * (alone + disturbed + captured)

    return float(quad(at, 0.0, radius_m, limit=200)[0])
