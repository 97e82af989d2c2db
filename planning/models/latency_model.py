"""Latency of class A LoRaWAN under duty cycle (paper A of the thesis): service rates, waits, ratios, collisions.

A device sends `rate` packets a second (Poisson). In sub-band i it may start every T / delta_i seconds, so the bands
are servers of rate mu_i = delta_i / T. A packet that finds bands free takes a channel uniformly among the channels of
all free bands; one that finds none waits, first come first served, for the first band to come free.

Shapes: every function takes rates of shape (...) and returns arrays of shape (...) or (..., bands).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from planning.models.airtimes import Floats
from spectrum.errors import BadInput
from spectrum.eu868 import sub_band

# 125 kHz channels per sub-band, as the thesis counts them (notes, section 3).
CHANNELS: Final = {"L": 15, "M": 3, "N": 2, "P": 1, "Q": 1, "R": 1}

# The chain is solved in blocks so that 2^bands x 2^bands systems of many rates fit in memory.
_BLOCK: Final = 2048


@dataclass(frozen=True, slots=True)
class DutyBand:
    """A sub-band as the scheduler sees it: its name as given, duty cycle (fraction) and number of channels."""

    name: str
    duty_cycle: float
    channels: int


def duty_bands(names: Sequence[str], channels: Sequence[int] | None = None) -> tuple[DutyBand, ...]:
    """Sub-bands by label (L) or by the thesis' name (G); `channels` replaces the thesis' channel counts."""
    if not names:
        raise BadInput("name at least one sub-band, e.g. G,G1")
    labels = [sub_band(name).label for name in names]
    if len(set(labels)) < len(labels):
        raise BadInput(f"each sub-band may be named once, got {','.join(names)} (G is L, G1 is M, ...)")
    if {"Q", "R"} <= set(labels):
        raise BadInput("G4 (Q) and G4* (R) are the same frequencies under two regimes: choose one")
    if channels is None:
        unknown = [name for name, label in zip(names, labels, strict=True) if label not in CHANNELS]
        if unknown:
            raise BadInput(f"sub-band {unknown[0]} has no channel plan here: give the counts with --channels")
        channels = [CHANNELS[label] for label in labels]
    if len(channels) != len(names) or min(channels) < 1:
        raise BadInput(f"expected {len(names)} channel counts of 1 or more, got {','.join(map(str, channels))}")
    return tuple(DutyBand(name, sub_band(name).duty_cycle, count) for name, count in zip(names, channels, strict=True))


def service_rates_per_s(bands: Sequence[DutyBand], airtime_s: npt.ArrayLike) -> Floats:
    """mu_i = delta_i / T (A.1), shape (..., bands) for airtimes of shape (...)."""
    duty_cycles = np.array([band.duty_cycle for band in bands])
    return np.asarray(duty_cycles / np.asarray(airtime_s, dtype=float)[..., np.newaxis])


def capacity_per_s(
    bands: Sequence[DutyBand], airtime_s: float, aggregated_duty_cycle: float = 1.0, receive_s: float = 0.0
) -> float:
    """Packets a second one device can send: sum of delta_i / T, or the slower of steps 1 and 2 of the scheduler."""
    regulatory = sum(band.duty_cycle for band in bands) / airtime_s
    pacing = pacing_s(airtime_s, aggregated_duty_cycle, receive_s)
    return min(regulatory, 1.0 / pacing) if pacing > 0.0 else regulatory


def pacing_s(airtime_s: float, aggregated_duty_cycle: float, receive_s: float) -> float:
    """Least time between two starts by steps 1 and 2: receive windows (0: not modelled) and aggregated duty cycle.

    Without either it is 0: the thesis' model of step 3 lets two bands send at the same time.
    """
    if not 0.0 < aggregated_duty_cycle <= 1.0:
        raise BadInput(f"the aggregated duty cycle is above 0 and at most 1, got {aggregated_duty_cycle:g}")
    if not 0.0 <= receive_s < np.inf:
        raise BadInput(f"the receive windows last 0 s or more, got {receive_s:g}")
    aggregated_s = airtime_s / aggregated_duty_cycle if aggregated_duty_cycle < 1.0 else 0.0
    return max(aggregated_s, airtime_s + receive_s if receive_s > 0.0 else 0.0)


@dataclass(frozen=True, slots=True)
class BandUse:
    """Steady state of the sub-bands. all_busy: P(every band busy), shape (...); ratios: r_i, shape (..., bands)."""

    all_busy: Floats
    ratios: Floats


def band_use(bands: Sequence[DutyBand], airtime_s: float, rates_per_s: npt.ArrayLike) -> BandUse:
    """Exact chain over sets of busy bands with exponential service, and the service ratios (A.4).

    An arrival takes idle band i with weight n_i; with all bands busy the queue is geometric with ratio
    rho = lambda / sum(mu), so the infinite chain has 2^bands unknowns. The thesis cuts it at queues of 1000 instead.
    r_i = mu_i (1 - p_i_idle) / lambda, as printed in (A.4).
    """
    rates = np.asarray(rates_per_s, dtype=float)
    mu = service_rates_per_s(bands, airtime_s)
    check_rates(rates, float(mu.sum()), "the capacity of these sub-bands")
    flat = rates.reshape(-1)
    blocks = [_busy_sets(bands, mu, flat[i : i + _BLOCK]) for i in range(0, flat.size, _BLOCK)]
    sets = np.concatenate(blocks) if blocks else np.zeros((0, 2 ** len(bands)))
    members = _members(len(bands))
    ratios = (sets @ members) * mu / flat[:, np.newaxis]
    return BandUse(sets[:, -1].reshape(rates.shape), ratios.reshape(*rates.shape, len(bands)))


def _members(count: int) -> Floats:
    """members[s, i] = 1 when band i is in the set with bit pattern s, shape (2^count, count)."""
    return ((np.arange(2**count)[:, np.newaxis] >> np.arange(count)) & 1).astype(float)


def _busy_sets(bands: Sequence[DutyBand], mu: Floats, rates: Floats) -> Floats:
    """P(set of busy bands), the last one including its queue, shape (rates, 2^bands)."""
    count = len(bands)
    size = 2**count
    members = _members(count)
    channels = np.array([band.channels for band in bands], dtype=float)
    arrivals, departures = np.zeros((size, size)), np.zeros((size, size))
    for busy in range(size):
        idle_channels = ((1.0 - members[busy]) * channels).sum()
        for band in range(count):
            if members[busy, band]:
                departures[busy, busy ^ (1 << band)] = mu[band]
            else:
                arrivals[busy, busy | (1 << band)] = channels[band] / idle_channels
    generator = rates[:, np.newaxis, np.newaxis] * (arrivals - np.diag(arrivals.sum(axis=1)))
    generator = generator + departures - np.diag(departures.sum(axis=1))
    rho = rates / mu.sum()
    # One balance equation is redundant: the normalisation, queue included, takes its place.
    system = np.swapaxes(generator, 1, 2).copy()
    system[:, 0, :] = 1.0
    system[:, 0, -1] = 1.0 / (1.0 - rho)
    right = np.zeros((rates.size, size, 1))
    right[:, 0] = 1.0
    sets = np.linalg.solve(system, right)[..., 0]
    sets[:, -1] /= 1.0 - rho
    return sets


def half_mmc_wait_s(bands: Sequence[DutyBand], airtime_s: float, rates_per_s: npt.ArrayLike) -> Floats:
    """Mean wait in seconds by the thesis' rule of thumb: half the wait of the unlike M/M/c queue.

    Printed (A.3): p_busy_all / (2 (sum mu_i + lambda)), called the wait in sub-band i. Computed:
    p_busy_all / (2 (sum mu_i - lambda)), the same for every band. A queue that drains at sum(mu) and fills at lambda
    has the difference in its denominator; for one band the mended form is M/D/1 exactly, the printed one is not.
    """
    rates = np.asarray(rates_per_s, dtype=float)
    busy = band_use(bands, airtime_s, rates).all_busy
    total = float(service_rates_per_s(bands, airtime_s).sum())
    return np.asarray(busy / (2.0 * (total - rates)))


def ratio_limits(bands: Sequence[DutyBand]) -> tuple[Floats, Floats]:
    """(A.5) and (A.6): service ratios for lambda -> 0 (by channels) and at capacity (by duty cycles).

    For G and G1 the first is 15/18 = 0.833; the thesis prints .834.
    """
    channels = np.array([band.channels for band in bands], dtype=float)
    duty_cycles = np.array([band.duty_cycle for band in bands])
    return channels / channels.sum(), duty_cycles / duty_cycles.sum()


def collision_probabilities(
    bands: Sequence[DutyBand],
    airtime_s: npt.ArrayLike,
    rates_per_s: npt.ArrayLike,
    ratios: Floats,
    devices: npt.ArrayLike,
    share: float = 1.0,
) -> Floats:
    """P(a packet in band i overlaps one of another device on its channel and SF), shape (..., bands).

    `share`: fraction p_SF of the devices that use this SF. Load (A.7): L_i = lambda r_i T M p_SF / n_i.
    Printed (A.8): p_col = exp(-2 L). Computed: 1 - exp(-2 L (M - 1) / M). The printed form is the probability of
    success, and a device does not collide with itself.
    """
    if not 0.0 <= share <= 1.0:
        raise BadInput(f"the share of devices on a spreading factor is 0 to 1, got {share:g}")
    others = np.asarray(devices, dtype=float)[..., np.newaxis] - 1.0
    channels = np.array([band.channels for band in bands], dtype=float)
    per_device = (np.asarray(rates_per_s, dtype=float) * np.asarray(airtime_s, dtype=float))[..., np.newaxis]
    return np.asarray(-np.expm1(-2.0 * per_device * ratios * others * share / channels))


def check_rates(rates_per_s: Floats, capacity: float, what: str) -> None:
    """Refuse rates that are not above 0 or that reach the capacity: no steady state exists."""
    if not np.all(rates_per_s > 0.0):
        raise BadInput(f"the rate of a device must be above 0 packets/s, got {np.min(rates_per_s):g}")
    if not np.all(rates_per_s < capacity):
        raise BadInput(
            f"{np.max(rates_per_s):g} packets/s reach or pass {what}, {capacity:g} packets/s: "
            "lower the rate, shorten the packet or add a sub-band"
        )
