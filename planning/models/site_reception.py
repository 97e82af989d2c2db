"""How many frames of a site arrive: noise, interference, demodulation paths, others, at several gateways at once.

A frame of SF m with mean SNR s_j at gateway j is received there when its faded power exceeds
Gamma_m + 6 dB x (interferers of its SF) + Gamma_int_m x (those of other SFs), all Rayleigh-faded, and a path is free.
Averaged over fading and over Poisson numbers of interferers, at all gateways of a set S at once:

  P(S) = prod_{j in S} exp(-Gamma_m / s_j) exp(-sum_y L_y (1 - prod_{j in S} 1 / (1 + Gamma s_yj / s_j)))

with L_y = (T + T_y) lambda_y / channels the interferers from y that overlap the frame. The product over j stands inside
the sum over y: gateways hear the same interferers, so they fail together; the thesis multiplies their outages as if
they were independent. A frame is lost when no gateway receives it, by inclusion and exclusion over the sets.
Thresholds are those of paper B; asking for the sum of noise and interference, its (B.14)-(B.25), would demand 6 dB over
noise of every frame that any frame of its SF overlaps, however far away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from planning.models.airtimes import Floats
from planning.models.capture_model import CO_SF, COVERAGE, INTER_SF
from planning.models.loss_queue import erlang_b
from planning.models.site_model import Group, SiteModel

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.intp]

# Sets of gateways double with each; beyond its five strongest a group's frames are heard by nobody else in the model.
GATEWAYS_PER_GROUP: Final = 5

# Sums of the sets are made for so many pairs of frames at once: they stay in the processor's cache.
CELLS_AT_ONCE: Final = 1 << 16
# What is left of a point's rate on other SFs than its only one, after rounding.
LEAST_SHARE: Final = 1e-12

MECHANISMS: Final = ("collisions", "capture", "occupancy", "demodulation_paths")
ALL: Final = frozenset(MECHANISMS)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every point of a group with each spreading factor that is used there, shapes (N,), sorted by group.

    group: its index. point: its index among the points of all groups. factor: SF - 7. share: of the point's devices.
    """

    group: Integers
    point: Integers
    factor: Integers
    share: Floats


@dataclass(frozen=True, slots=True)
class Reception:
    """What of a site does not depend on the load: build once, ask for many loads and numbers of channels.

    shares: of SF7..SF12 at the points of each group, shapes (K, 6). heard_by: gateways that count for each group, shape
    (groups, H). sets: every set of those but the empty one, shape (sets, H). noise, co, inter: exponents of P(S) at
    load 1 and one channel, shapes (sets, N). undisturbed: by others, shape (N,). path_loads: erlang, shape (gateways,).
    """

    model: SiteModel
    shares: list[Floats]
    pairs: Pairs
    heard_by: Integers
    sets: Flags
    noise: Floats
    co: Floats
    inter: Floats
    undisturbed: Floats
    path_loads: Floats

    def success(self, load: float = 1.0, mechanisms: frozenset[str] = ALL, channels: float | None = None) -> Floats:
        """Probability that a frame is received by some gateway, shape (N,), with traffic times `load`.

        mechanisms: only these cost frames. channels: how many random access has, default all of the site's.
        """
        density = load / (len(self.model.channels) if channels is None else channels)
        free = 1.0 - self.drops(load) if "demodulation_paths" in mechanisms else np.ones(len(self.path_loads))
        exponent = np.zeros_like(self.noise)
        if "capture" in mechanisms:
            exponent += self.noise + density * self.inter
        if "collisions" in mechanisms:
            exponent += density * self.co
        all_free = np.where(self.sets, free[self.heard_by][:, np.newaxis, :], 1.0).prod(axis=2)
        signs = 2.0 * (self.sets.sum(axis=1) % 2) - 1.0
        received = np.einsum("sn,sn->n", (signs * all_free).T[:, self.pairs.group], np.exp(-exponent))
        received = np.clip(received, 0.0, 1.0)
        return received * self.undisturbed if "occupancy" in mechanisms else np.asarray(received, dtype=np.float64)

    def drops(self, load: float = 1.0) -> Floats:
        """Share of the audible frames that find no path at each gateway: Erlang-B, exact for Poisson arrivals."""
        paths = np.array([gateway.paths for gateway in self.model.gateways])
        return erlang_b(paths, load * self.path_loads)

    def group_success(
        self, load: float = 1.0, mechanisms: frozenset[str] = ALL, channels: float | None = None
    ) -> Floats:
        """Mean over the devices of each group, shape (groups,)."""
        summed = self._summed(self.pairs.group, self.success(load, mechanisms, channels), len(self.shares))
        return np.asarray(summed / [len(shares) for shares in self.shares], dtype=np.float64)

    def point_success(self) -> Floats:
        """Mean over the devices at each point of all groups, one group after the other, at today's load."""
        return self._summed(self.pairs.point, self.success(), sum(len(shares) for shares in self.shares))

    def factor_success(self, load: float, mechanisms: frozenset[str]) -> Floats:
        """Mean over the devices of each group on each SF, shape (groups, 6); NaN where there are none."""
        place = self.pairs.group * 6 + self.pairs.factor
        received = self._summed(place, self.success(load, mechanisms), 6 * len(self.shares))
        used = self._summed(place, np.ones(len(place)), 6 * len(self.shares))
        with np.errstate(invalid="ignore"):
            return np.asarray((received / used).reshape(-1, 6), dtype=np.float64)

    def _summed(self, place: Integers, values: Floats, count: int) -> Floats:
        return np.asarray(np.bincount(place, self.pairs.share * values, count), dtype=np.float64)


def reception(model: SiteModel) -> Reception:
    """Prepare a site: who interferes with whom, at every set of gateways."""
    shares, snr = model.spreading_shares(), np.concatenate(model.mean_snr())
    group_of = np.repeat(np.arange(len(shares)), [len(group) for group in shares])
    rates = np.concatenate([_rates(group, own) for group, own in zip(model.groups, shares, strict=True)])
    airtimes = np.array([group.airtimes_s for group in model.groups])
    point, factor = np.nonzero(np.concatenate(shares))
    pairs = Pairs(group_of[point], point, factor, np.concatenate(shares)[point, factor])
    heard_by = _strongest(snr, group_of, len(shares))
    sets = (np.arange(1, 2 ** heard_by.shape[1])[:, np.newaxis] >> np.arange(heard_by.shape[1])) % 2 == 1
    own = np.take_along_axis(snr[point], heard_by[pairs.group], axis=1)
    noise = (sets @ (1.0 / own).T) * COVERAGE[factor]
    senders = np.flatnonzero(rates.any(axis=1))
    devices = np.array([group.devices for group in model.groups])
    others = _Others(group_of[senders], rates[senders], snr[senders], airtimes, 1.0 - 1.0 / devices)
    co, inter = _interference(pairs, own, heard_by, others)
    loads = rates * airtimes[group_of]
    path_loads = np.einsum("km,kmj->j", loads, np.exp(-COVERAGE[:, np.newaxis] / snr[:, np.newaxis, :]))
    undisturbed = _undisturbed(model, airtimes)[pairs.group, factor]
    return Reception(model, shares, pairs, heard_by, sets, noise, co, inter, undisturbed, path_loads)


@dataclass(frozen=True, slots=True)
class _Others:
    """Whoever sends at random, Q points of all groups. group: shape (Q,). rates: frames/s by SF, shape (Q, 6).

    snr: at every gateway, shape (Q, gateways). airtimes: of all groups, shape (groups, 6). without_itself: the share of
    its group's traffic that a device meets, not being hurt by its own frames, shape (groups,).
    """

    group: Integers
    rates: Floats
    snr: Floats
    airtimes: Floats
    without_itself: Floats


def _interference(pairs: Pairs, own: Floats, heard_by: Integers, others: _Others) -> tuple[Floats, Floats]:
    """Exponents of P(S) by frames of the own and of the other SFs, each of shape (sets, N)."""
    counts = 2 ** own.shape[1] - 1
    co, inter = np.zeros((counts, len(own))), np.zeros((counts, len(own)))
    loads = others.rates * others.airtimes[others.group]
    sends = np.isin(pairs.group, others.group)  # a slot of the pool has no interferers
    for m in range(6):
        mine = np.flatnonzero(sends & (pairs.factor == m))
        same, rest = (others.rates[:, m], loads[:, m]), (
            others.rates.sum(axis=1) - others.rates[:, m], loads.sum(axis=1) - loads[:, m]
        )  # fmt: skip
        for exponents, threshold, (rate, load) in ((co, CO_SF, same), (inter, INTER_SF[m], rest)):
            senders = np.flatnonzero(rate > LEAST_SHARE * others.rates.sum(axis=1))
            if not len(mine) or not len(senders):
                continue
            step = max(1, CELLS_AT_ONCE // (counts * len(senders)))
            for begin in range(0, len(mine), step):
                some = mine[begin : begin + step]
                exponents[:, some] = _hurt(
                    pairs.group[some], own[some], heard_by, others, senders, threshold, rate, load, m
                )
    return co, inter


def _hurt(
    group: Integers,
    own: Floats,
    heard_by: Integers,
    others: _Others,
    senders: Integers,
    threshold: float,
    rate: Floats,
    load: Floats,
    m: int,
) -> Floats:
    """sum_y (T + T_y) lambda_y (1 - prod_{j in S} 1 / (1 + threshold s_yj / s_j)), shape (sets, own points)."""
    same = group[:, np.newaxis] == others.group[senders]
    met = others.airtimes[group, m][:, np.newaxis] * rate[senders] + load[senders]
    met = np.where(same, met * others.without_itself[group][:, np.newaxis], met)
    survives = np.empty((2 ** own.shape[1], *met.shape))
    survives[0] = 1.0
    for j in range(own.shape[1]):
        heard = others.snr[senders].T[heard_by[group, j]]
        one = 1.0 / (1.0 + threshold * heard / own[:, j, np.newaxis])
        np.multiply(survives[: 2**j], one, out=survives[2**j : 2 ** (j + 1)])
    return np.asarray(
        met.sum(axis=1) - np.matmul(survives[1:].transpose(1, 0, 2), met[:, :, np.newaxis])[:, :, 0].T, dtype=np.float64
    )


def _rates(group: Group, shares: Floats) -> Floats:
    """Frames per second from each point on each SF, shape (K, 6); pool members do not send at random."""
    if group.access == "pool":
        return np.zeros_like(shares)
    return shares * (group.devices / len(shares) / group.period_s)


def _strongest(snr: Floats, group_of: Integers, groups: int) -> Integers:
    """The gateways that hear each group best, in order of their index, shape (groups, H)."""
    if snr.shape[1] <= GATEWAYS_PER_GROUP:
        return np.tile(np.arange(snr.shape[1]), (groups, 1))
    means = np.array([np.log(snr[group_of == group]).mean(axis=0) for group in range(groups)])
    return np.sort(np.argsort(-means, axis=1)[:, :GATEWAYS_PER_GROUP], axis=1)


def _undisturbed(model: SiteModel, airtimes: Floats) -> Floats:
    """Probability that others leave a frame alone, shape (groups, 6), mean over the channels.

    Others are busy a share q of the time in bursts of mean length b, with exponential gaps: a frame of T starts in a
    gap and ends before it does with (1-q) exp(-q T / ((1-q) b)).
    """
    busy = np.minimum(model.occupancy, 1.0)
    with np.errstate(divide="ignore"):
        rate = np.where(busy < 1.0, busy / (1.0 - busy), np.inf) / model.burst_s
    return np.asarray(((1.0 - busy) * np.exp(-airtimes[:, :, np.newaxis] * rate)).mean(axis=2), dtype=np.float64)


def others_occupancy(model: SiteModel, measured: npt.ArrayLike) -> Floats:
    """Pr(H1) by others where a sensor heard everybody: idle = idle of others x idle of our own random access."""
    carried = 0.0
    for group, shares in zip(model.groups, model.spreading_shares(), strict=True):
        if group.access == "random":
            carried += group.devices / group.period_s * float(shares.mean(axis=0) @ group.airtimes_s)
    own_idle = np.exp(-carried / len(model.channels))
    others = 1.0 - (1.0 - np.asarray(measured, dtype=np.float64)) / own_idle
    return np.asarray(np.clip(others, 0.0, 1.0), dtype=np.float64)
