"""The truth beside the site model: frames drawn on the air, faded at every gateway, judged one by one.

Two rules. `sums`: power above Gamma_m + the summed interference of all frames that overlap at any time, the model's own
rule, which tests its averages and the correlation between gateways. `instants`: SNR above Gamma_m, and at every instant
above 6 dB times what of the same SF is on the air then and above Gamma_int times what of other SFs is, which tells what
the model's rule costs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planning.models.airtimes import Floats
from planning.models.capture_model import CO_SF, COVERAGE, INTER_SF
from planning.models.intervals import Estimate, of_share
from planning.models.site_model import SiteModel
from spectrum.errors import BadInput

RULES: Final = ("sums", "instants")
BATCHES: Final = 25

Integers = NDArray[np.int64]


def simulate_site(model: SiteModel, frames: int, rng: np.random.Generator, rule: str = "sums") -> list[Estimate]:
    """Success of each group's frames with its 99 % interval, from `frames` frames of random access on the air.

    Groups with access `pool` do not send here; their estimate is that of no frame, [0, 1].
    """
    if rule not in RULES:
        raise BadInput(f"the rule must be one of {', '.join(RULES)}, got {rule!r}")
    groups = [index for index, group in enumerate(model.groups) if group.access == "random"]
    if not groups:
        raise BadInput("no group of this site sends at random: there is nothing to simulate")
    drawn = _draw(model, groups, frames, rng)
    received = _judge(*drawn[2:], _paths(model), rule == "instants", COVERAGE, INTER_SF, CO_SF)
    received &= _left_alone(model, drawn[2], drawn[4], drawn[5], rng)
    owner = drawn[0]
    estimates = []
    for group in range(len(model.groups)):
        flags = received[owner == group]
        if len(flags) < 2 * BATCHES:
            estimates.append(Estimate(0.0, 0.0, 1.0))
            continue
        estimates.append(of_share([batch.mean() for batch in np.array_split(flags, BATCHES)], len(flags)))
    return estimates


def _paths(model: SiteModel) -> Integers:
    return np.array([gateway.paths for gateway in model.gateways], dtype=np.int64)


def _draw(
    model: SiteModel, groups: list[int], frames: int, rng: np.random.Generator
) -> tuple[Integers, Integers, Floats, Integers, Floats, Integers, Floats]:
    """Owner group, point, start_s, SF index, airtime_s, channel, faded power (frames, gateways); sorted by start."""
    rates = np.array([model.groups[g].devices / model.groups[g].period_s for g in groups])
    start = np.sort(rng.uniform(0.0, frames / rates.sum(), frames))
    owner = np.asarray(groups, dtype=np.int64)[rng.choice(len(groups), size=frames, p=rates / rates.sum())]
    snr, shares = model.mean_snr(), model.spreading_shares()
    point, factor = np.zeros(frames, dtype=np.int64), np.zeros(frames, dtype=np.int64)
    airtime, mean = np.zeros(frames), np.zeros((frames, len(model.gateways)))
    for group in groups:
        mine = np.flatnonzero(owner == group)
        point[mine] = rng.integers(len(shares[group]), size=len(mine))
        ends = np.cumsum(shares[group], axis=1)[point[mine]]
        factor[mine] = np.minimum((rng.random(len(mine))[:, None] > ends).sum(axis=1), 5)
        airtime[mine] = model.groups[group].airtimes_s[factor[mine]]
        mean[mine] = snr[group][point[mine]]
    channel = rng.integers(len(model.channels), size=frames)
    power = mean * rng.exponential(1.0, mean.shape)
    return owner, point, start, factor, airtime, channel, power


def _left_alone(
    model: SiteModel, start: Floats, airtime: Floats, channel: Integers, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Frames that no burst of others touches: on each channel bursts and gaps with exponential lengths alternate."""
    alone = np.ones(len(start), dtype=np.bool_)
    horizon = float((start + airtime).max())
    for index, busy in enumerate(model.occupancy):
        if busy <= 0.0:
            continue
        mine = np.flatnonzero(channel == index)
        if busy >= 1.0:
            alone[mine] = False
            continue
        gap_s = model.burst_s * (1.0 - busy) / busy
        cycles = int(1.5 * horizon / (gap_s + model.burst_s)) + 50
        lengths = np.stack([rng.exponential(gap_s, cycles), rng.exponential(model.burst_s, cycles)], axis=1)
        ends = np.cumsum(lengths.ravel())
        begins, finishes = ends[0::2], ends[1::2]
        following = np.searchsorted(finishes, start[mine])
        begins = np.concatenate([begins, [np.inf]])
        alone[mine] = begins[np.minimum(following, len(begins) - 1)] >= start[mine] + airtime[mine]
    return alone


@njit(cache=True)
def _judge(
    start: Floats,
    factor: Integers,
    airtime: Floats,
    channel: Integers,
    power: Floats,
    paths: Integers,
    instants: bool,
    coverage: Floats,
    inter_sf: Floats,
    co_sf: float,
) -> NDArray[np.bool_]:
    """Which frames at least one gateway receives."""
    frames, gateways = power.shape
    received = np.zeros(frames, dtype=np.bool_)
    ends = np.zeros((gateways, paths.max()))
    longest, first = airtime.max(), 0
    for i in range(frames):
        finish = start[i] + airtime[i]
        while start[first] + longest <= start[i]:
            first += 1
        last = i + 1
        while last < frames and start[last] < finish:
            last += 1
        for j in range(gateways):
            if power[i, j] <= coverage[factor[i]]:
                continue
            free = -1
            for path in range(paths[j]):
                if ends[j, path] <= start[i]:
                    free = path
                    break
            if free < 0:
                continue
            ends[j, free] = finish
            if instants:
                fine = _stands(start, factor, airtime, channel, power, i, j, first, last, inter_sf, co_sf)
            else:
                need = coverage[factor[i]]
                for k in range(first, last):
                    if k != i and channel[k] == channel[i] and start[k] + airtime[k] > start[i]:
                        same = factor[k] == factor[i]
                        need += (co_sf if same else inter_sf[factor[i]]) * power[k, j]
                fine = power[i, j] > need
            if fine:
                received[i] = True
    return received


@njit(cache=True)
def _stands(
    start: Floats,
    factor: Integers,
    airtime: Floats,
    channel: Integers,
    power: Floats,
    i: int,
    j: int,
    first: int,
    last: int,
    inter_sf: Floats,
    co_sf: float,
) -> bool:
    """Whether frame i stands at every instant: interference only grows where another frame starts."""
    for at in range(first, last):
        now = max(start[at], start[i])
        if channel[at] != channel[i] or start[at] + airtime[at] <= start[i]:
            continue
        co, inter = 0.0, 0.0
        for k in range(first, last):
            if k != i and channel[k] == channel[i] and start[k] <= now < start[k] + airtime[k]:
                if factor[k] == factor[i]:
                    co += power[k, j]
                else:
                    inter += power[k, j]
        if power[i, j] <= co_sf * co or power[i, j] <= inter_sf[factor[i]] * inter:
            return False
    return True
