"""The truth for paper A: a discrete-event simulation of the LoRaMAC scheduler, packet by packet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from planning.models.airtimes import Floats
from planning.models.intervals import Estimate, of_replications
from planning.models.latency_model import DutyBand, pacing_s

# A band that comes free at the very instant is free (notes 3.A.6); rounding of sums of airtimes stays below this.
TIE_IN_AIRTIMES: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Schedule:
    """What one device sent. arrivals_s, starts_s: shape (packets,); band and channel: integer, shape (packets,)."""

    arrivals_s: Floats
    starts_s: Floats
    band: npt.NDArray[np.int64]
    channel: npt.NDArray[np.int64]

    def after(self, time_s: float) -> Schedule:
        """The packets that arrived after a warm-up."""
        kept = self.arrivals_s > time_s
        return Schedule(self.arrivals_s[kept], self.starts_s[kept], self.band[kept], self.channel[kept])


@dataclass(frozen=True, slots=True)
class LatencyEstimate:
    """Mean wait in seconds and the share of packets per band, each over independent replications."""

    wait_s: Estimate
    ratios: tuple[Estimate, ...]


def schedule(
    arrivals_s: Floats,
    draws: Floats,
    bands: Sequence[DutyBand],
    airtime_s: float,
    *,
    aggregated_duty_cycle: float = 1.0,
    receive_s: float = 0.0,
) -> Schedule:
    """Run the scheduler of one device over its packets; draws: uniform on [0, 1), one a packet.

    Step 3 of section 3 of the paper: a free band is taken by a channel drawn among the channels of all free bands;
    without one the packet goes to the band that frees first. Steps 1 (receive windows) and 2 (aggregated duty cycle)
    apply when asked for.
    """
    starts_s = np.empty_like(arrivals_s)
    chosen = np.empty((2, arrivals_s.size), dtype=np.int64)
    holds_s = np.array([airtime_s / band.duty_cycle for band in bands])
    channels = np.array([band.channels for band in bands], dtype=np.int64)
    pacing = pacing_s(airtime_s, aggregated_duty_cycle, receive_s)
    _compiled()(arrivals_s, draws, holds_s, channels, pacing, TIE_IN_AIRTIMES * airtime_s, starts_s, chosen)
    return Schedule(arrivals_s, starts_s, chosen[0], chosen[1])


def _schedule(
    arrivals: Floats,
    draws: Floats,
    holds: Floats,
    channels: npt.NDArray[np.int64],
    pacing: float,
    tie: float,
    starts: Floats,
    chosen: npt.NDArray[np.int64],
) -> None:
    free_at = np.zeros(holds.size)
    device_free = 0.0
    for packet in range(arrivals.size):
        start = max(arrivals[packet], device_free)
        start = max(start, free_at.min() - tie)
        candidates = 0
        for band in range(holds.size):
            if free_at[band] <= start + tie:
                candidates += channels[band]
        channel = int(draws[packet] * candidates)
        for band in range(holds.size):
            if free_at[band] <= start + tie:
                if channel < channels[band]:
                    break
                channel -= channels[band]
        start = max(start, free_at[band])
        starts[packet] = start
        chosen[0, packet] = band
        chosen[1, packet] = channel
        free_at[band] = start + holds[band]
        device_free = start + pacing


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    from numba import njit

    kernel: Any = njit(cache=True)(_schedule)
    compiled: Callable[..., None] = kernel
    return compiled


def simulate_latency(
    bands: Sequence[DutyBand],
    airtime_s: float,
    rate_per_s: float,
    rng: np.random.Generator,
    *,
    packets: int = 20_000,
    replications: int = 20,
    aggregated_duty_cycle: float = 1.0,
    receive_s: float = 0.0,
    advance: Callable[[], object] = lambda: None,
) -> LatencyEstimate:
    """Mean wait and service ratios of one device; a fifth of each replication warms up and is not counted."""
    waits, ratios = [], []
    for _ in range(replications):
        arrivals_s = np.cumsum(rng.exponential(1.0 / rate_per_s, packets))
        sent = schedule(
            arrivals_s,
            rng.random(packets),
            bands,
            airtime_s,
            aggregated_duty_cycle=aggregated_duty_cycle,
            receive_s=receive_s,
        ).after(float(arrivals_s[packets // 5]))
        waits.append(float((sent.starts_s - sent.arrivals_s).mean()))
        ratios.append(np.bincount(sent.band, minlength=len(bands)) / sent.band.size)
        advance()
    return LatencyEstimate(of_replications(waits), tuple(of_replications(share) for share in np.transpose(ratios)))


def simulate_collisions(
    bands: Sequence[DutyBand],
    airtime_s: float,
    rate_per_s: float,
    devices: int,
    rng: np.random.Generator,
    *,
    packets_each: int = 400,
    replications: int = 10,
    aggregated_duty_cycle: float = 1.0,
    receive_s: float = 0.0,
    advance: Callable[[], object] = lambda: None,
) -> tuple[Estimate, ...]:
    """Share of packets per band that overlap a packet of another device on their channel, all devices on one SF."""
    shares = []
    for _ in range(replications):
        sent = [
            schedule(
                np.cumsum(rng.exponential(1.0 / rate_per_s, packets_each)),
                rng.random(packets_each),
                bands,
                airtime_s,
                aggregated_duty_cycle=aggregated_duty_cycle,
                receive_s=receive_s,
            )
            for _ in range(devices)
        ]
        begin_s, end_s = 0.2 * packets_each / rate_per_s, min(float(one.starts_s[-1]) for one in sent)
        shares.append(_collided_shares(sent, airtime_s, begin_s, end_s, len(bands)))
        advance()
    return tuple(of_replications(share) for share in np.transpose(shares))


def _collided_shares(
    sent: Sequence[Schedule], airtime_s: float, begin_s: float, end_s: float, bands: int
) -> list[float]:
    """Collided share per band among the packets that start in [begin, end); a device never overlaps itself here."""
    starts_s = np.concatenate([one.starts_s for one in sent])
    band = np.concatenate([one.band for one in sent])
    channel = np.concatenate([one.channel for one in sent])
    order = np.lexsort((starts_s, channel, band))
    starts_s, band, channel = starts_s[order], band[order], channel[order]
    overlaps = (np.diff(starts_s) < airtime_s) & (np.diff(band) == 0) & (np.diff(channel) == 0)
    collided = np.zeros(starts_s.size, dtype=bool)
    collided[1:] |= overlaps
    collided[:-1] |= overlaps
    counted = (starts_s >= begin_s) & (starts_s < end_s)
    in_bands = [collided[counted & (band == index)] for index in range(bands)]
    return [float(inside.mean()) if inside.size else 0.0 for inside in in_bands]
