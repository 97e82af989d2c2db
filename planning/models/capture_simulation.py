"""The truth for paper B: frames, fading and demodulation paths drawn at random, judged at every instant."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from planning.models.airtimes import Floats
from planning.models.capture_cell import Allocation, snr_at_1m_db
from planning.models.capture_model import CO_SF, COVERAGE, INTER_SF, PATHS, Traffic
from planning.models.intervals import Estimate, frames_of_replication, of_share
from spectrum.lora import SPREADING_FACTORS

BANDWIDTH_HZ: Final = 125e3

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CaptureEstimate:
    """Network-wide estimates over replications, and plain means by spreading factor (nan without frames)."""

    coverage: Estimate
    capture: Estimate
    drop: Estimate
    success: Estimate
    per_sf: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class _Frames:
    """Frames on the air, sorted by channel, then start. snr: at the gateway, linear; all of shape (frames,)."""

    start_s: Floats
    spreading: Integers
    snr: Floats
    channel: Integers


def simulate_capture(
    allocation: Allocation,
    traffic: Traffic,
    rng: np.random.Generator,
    *,
    radius_m: float = 1000.0,
    paths: int = PATHS,
    frames: int = 20_000,
    replications: int = 10,
    advance: Callable[[], object] = lambda: None,
) -> CaptureEstimate:
    """Simulate one gateway; traffic is one point, not an array.

    Every frame is a Poisson arrival of a device at a random place, with Rayleigh fading constant over the frame. It is
    captured when the conditions of section 2.3 hold at every instant: SNR above Gamma_m, and the SINR against what
    really overlaps then. It is detected after four clean preamble symbols in a row and takes a path until its end.
    `drop` is the share of detected frames that find no path.
    """
    longest_s, total_per_s = float(traffic.airtimes_s.max()), float(traffic.total_per_s())
    frames = frames_of_replication(frames, total_per_s, traffic.channels, longest_s)
    rows = []
    for _ in range(replications):
        drawn = _draw(allocation, traffic, rng, radius_m, frames)
        rows.append(_judge(drawn, traffic.airtimes_s, paths))
        advance()
    network = np.array([row[0] for row in rows])
    per_sf = np.array([row[1] for row in rows])
    sent, covered, captured_frames, received, detected, dropped = per_sf.sum(axis=0).T
    with np.errstate(invalid="ignore"):
        means = {
            "coverage": covered / sent,
            "capture": captured_frames / sent,
            "drop": dropped / detected,
            "success": received / sent,
        }
    # Edges of the horizon are not counted; nine tenths are, and most of these are detected.
    coverage, captured, drop, success = (of_share(column, frames * replications // 2) for column in network.T)
    return CaptureEstimate(coverage, captured, drop, success, means)


def _draw(allocation: Allocation, traffic: Traffic, rng: np.random.Generator, radius_m: float, frames: int) -> _Frames:
    horizon_s = frames / float(traffic.total_per_s())
    start_s = rng.uniform(0.0, horizon_s, frames)
    channel = rng.integers(traffic.channels, size=frames)
    cell = rng.choice(allocation.shares.size, size=frames, p=(allocation.shares / allocation.shares.sum()).ravel())
    ring, spreading = np.divmod(cell, 6)
    x = allocation.edges[ring] + rng.random(frames) * np.diff(allocation.edges)[ring]
    power = rng.exponential(1.0, frames)
    snr = power * 10.0 ** (snr_at_1m_db() / 10.0) / (radius_m**4 * np.maximum(x, 1e-12) ** 2)
    order = np.lexsort((start_s, channel))
    return _Frames(start_s[order], spreading[order], snr[order], channel[order])


def _judge(frames: _Frames, airtimes_s: Floats, paths: int) -> tuple[Floats, Floats]:
    """(coverage, capture, drop, success), and by SF how many frames were sent, covered, captured, received, detected,
    dropped, shape (6, 6); the edges of the horizon are left out.
    """
    from planning.models.capture_kernels import judge_channel

    symbol_s = 2.0 ** np.array(SPREADING_FACTORS) / BANDWIDTH_HZ
    captured = np.zeros(frames.start_s.size, dtype=np.bool_)
    detected_s = np.full(frames.start_s.size, np.inf)
    for channel in np.unique(frames.channel):
        on = frames.channel == channel
        captured[on], detected_s[on] = judge_channel(
            frames.start_s[on], frames.spreading[on], frames.snr[on], airtimes_s, symbol_s, COVERAGE, INTER_SF, CO_SF
        )
    end_s = frames.start_s + airtimes_s[frames.spreading]
    got_path = assign_paths(detected_s, end_s, paths)
    longest_s = float(airtimes_s.max())
    kept = (frames.start_s > 3.0 * longest_s) & (frames.start_s < frames.start_s.max() - longest_s)
    covered = frames.snr > COVERAGE[frames.spreading]
    received = captured & got_path
    detected = np.isfinite(detected_s) & kept
    network = np.array(
        [
            covered[kept].mean(),
            captured[kept].mean(),
            1.0 - got_path[detected].mean() if detected.any() else 0.0,
            received[kept].mean(),
        ]
    )
    counts = [
        np.bincount(frames.spreading[kept], weights=values[kept], minlength=6)
        for values in (np.ones_like(frames.snr), covered, captured, received, detected, detected & ~got_path)
    ]
    return network, np.stack(counts, axis=-1)


def assign_paths(detected_s: Floats, end_s: Floats, paths: int) -> npt.NDArray[np.bool_]:
    """Which frames get a demodulation path, first detected first served; detected_s is inf for the undetected."""
    got = np.zeros(detected_s.size, dtype=np.bool_)
    busy: list[float] = []
    for frame in np.argsort(detected_s, kind="stable"):
        now_s = detected_s[frame]
        if not np.isfinite(now_s):
            break
        while busy and busy[0] <= now_s:
            heapq.heappop(busy)
        if len(busy) < paths:
            heapq.heappush(busy, float(end_s[frame]))
            got[frame] = True
    return got


def simulate_frame_capture(
    allocation: Allocation,
    traffic: Traffic,
    spreading: int,
    rng: np.random.Generator,
    *,
    radius_m: float = 1000.0,
    trials: int = 20_000,
    model_rule: bool = False,
) -> tuple[float, float]:
    """FCP of one SF (index 0..5 for SF7..SF12) by drawing whole frames, as section 3 counts: mean, standard error.

    Every interferer that touches the frame counts over all of it. Poisson numbers, places and fadings are drawn, so
    this holds the algebra of (B.13) to (B.25). model_rule: with inter-SF interference alone, ask what the closed form
    asks, signal > max(Gamma_m, Gamma_int_m) noise + Gamma_int_m interference; otherwise for the two conditions of
    section 2.3 themselves, which is less: so the closed form is a lower bound.
    """
    shares, airtimes_s = allocation.sf_shares, traffic.airtimes_s
    overlap = (airtimes_s + airtimes_s[spreading]) * shares * float(traffic.total_per_s()) / traffic.channels

    def snrs(factor: int, count: int) -> Floats:
        density = allocation.shares[:, factor]
        ring = rng.choice(density.size, size=count, p=density / density.sum())
        x = allocation.edges[ring] + rng.random(count) * np.diff(allocation.edges)[ring]
        return np.asarray(rng.exponential(1.0, count) * 10.0 ** (snr_at_1m_db() / 10.0) / (radius_m**4 * x**2))

    signal = snrs(spreading, trials)
    sums, present = np.zeros((2, trials)), np.zeros((2, trials), dtype=bool)
    for factor in np.flatnonzero(shares > 0):
        numbers = rng.poisson(overlap[factor], trials)
        owner = np.repeat(np.arange(trials), numbers)
        kind = int(factor != spreading)
        sums[kind] += np.bincount(owner, weights=snrs(int(factor), owner.size), minlength=trials)
        present[kind] |= numbers > 0
    noise = max(INTER_SF[spreading], COVERAGE[spreading]) if model_rule else INTER_SF[spreading]
    good = signal > COVERAGE[spreading]
    good &= ~present[0] | (signal > CO_SF * (1.0 + sums.sum(axis=0)))
    good &= present[0] | ~present[1] | (signal > noise + INTER_SF[spreading] * sums[1])
    return float(good.mean()), float(good.std() / np.sqrt(trials))
