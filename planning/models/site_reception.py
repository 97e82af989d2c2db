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

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from planning.models.airtimes import Floats
from planning.models.capture_model import CO_SF, COVERAGE, INTER_SF
from planning.models.loss_queue import erlang_b
from planning.models.site_model import SiteModel

# Sets of gateways double with each; beyond its five strongest a group's frames are heard by nobody else in the model.
GATEWAYS_PER_GROUP: Final = 5

MECHANISMS: Final = ("collisions", "capture", "occupancy", "demodulation_paths")
ALL: Final = frozenset(MECHANISMS)


@dataclass(frozen=True, slots=True)
class _Sets:
    """One group's frames at every set of its gateways, at load 1 and one channel; shapes (sets, K, 6).

    members: gateways of each set. noise, co, inter: exponents of P(S).
    """

    members: tuple[tuple[int, ...], ...]
    noise: Floats
    co: Floats
    inter: Floats


@dataclass(frozen=True, slots=True)
class Reception:
    """What of a site does not depend on the load: build once, ask for many loads and numbers of channels."""

    model: SiteModel
    shares: list[Floats]
    sets: list[_Sets]
    path_loads: Floats

    def success(
        self, load: float = 1.0, mechanisms: frozenset[str] = ALL, channels: float | None = None
    ) -> list[Floats]:
        """Probability that a frame is received by some gateway, shapes (K, 6), with traffic times `load`.

        mechanisms: only these cost frames. channels: how many random access has, default all of the site's.
        """
        count = float(len(self.model.channels)) if channels is None else channels
        free = 1.0 - self.drops(load) if "demodulation_paths" in mechanisms else np.ones(len(self.path_loads))
        return [
            self._of_sets(sets, load / count, free, mechanisms) * self._undisturbed(index, load, mechanisms)
            for index, sets in enumerate(self.sets)
        ]

    def drops(self, load: float = 1.0) -> Floats:
        """Share of the audible frames that find no path at each gateway: Erlang-B, exact for Poisson arrivals."""
        paths = np.array([gateway.paths for gateway in self.model.gateways])
        return erlang_b(paths, load * self.path_loads)

    def group_success(
        self, load: float = 1.0, mechanisms: frozenset[str] = ALL, channels: float | None = None
    ) -> Floats:
        """Mean over the devices of each group, shape (groups,)."""
        per_point = self.success(load, mechanisms, channels)
        return np.array([float((p * s).sum(axis=1).mean()) for p, s in zip(per_point, self.shares, strict=True)])

    def _of_sets(self, sets: _Sets, density: float, free: Floats, mechanisms: frozenset[str]) -> Floats:
        exponent = np.zeros_like(sets.noise)
        if "capture" in mechanisms:
            exponent = exponent + sets.noise + density * sets.inter
        if "collisions" in mechanisms:
            exponent = exponent + density * sets.co
        signs = [(-1.0) ** (len(members) + 1) * np.prod(free[list(members)]) for members in sets.members]
        received = np.tensordot(np.asarray(signs), np.exp(-exponent), axes=1)
        return np.asarray(np.clip(received, 0.0, 1.0), dtype=np.float64)

    def _undisturbed(self, group: int, load: float, mechanisms: frozenset[str]) -> Floats:
        """Probability that others leave a frame alone, shape (6,), mean over the channels.

        Others are busy a share q of the time in bursts of mean length b, with exponential gaps: a frame of T starts in
        a gap and ends before it does with (1-q) exp(-q T / ((1-q) b)).
        """
        if "occupancy" not in mechanisms:
            return np.ones(6)
        busy = np.minimum(self.model.occupancy, 1.0)[:, None]
        airtimes = self.model.groups[group].airtimes_s
        with np.errstate(divide="ignore"):
            rate = np.where(busy < 1.0, busy / (1.0 - busy), np.inf) / self.model.burst_s
        return np.asarray(((1.0 - busy) * np.exp(-rate * airtimes)).mean(axis=0), dtype=np.float64)


def reception(model: SiteModel) -> Reception:
    """Prepare a site: who interferes with whom, at every set of gateways."""
    snr, shares = model.mean_snr(), model.spreading_shares()
    rates = [_rates(model, group, shares[group]) for group in range(len(model.groups))]
    airtimes = [np.broadcast_to(group.airtimes_s, rate.shape) for group, rate in zip(model.groups, rates, strict=True)]
    sets = [_sets_of(group, model, snr, rates, airtimes) for group in range(len(model.groups))]
    heard = sum(
        np.einsum("km,km,kmj->j", rate, airtime, np.exp(-COVERAGE[:, None] / ratio[:, None, :]))
        for rate, airtime, ratio in zip(rates, airtimes, snr, strict=True)
    )
    return Reception(model, shares, sets, np.asarray(heard, dtype=np.float64))


def _rates(model: SiteModel, group: int, shares: Floats) -> Floats:
    """Frames per second from each point on each SF, shape (K, 6); pool members do not send at random."""
    members = model.groups[group]
    if members.access == "pool":
        return np.zeros_like(shares)
    return shares * (members.devices / len(shares) / members.period_s)


def _sets_of(group: int, model: SiteModel, snr: list[Floats], rates: list[Floats], airtimes: list[Floats]) -> _Sets:
    own, airtime = snr[group], airtimes[group][0]
    strongest = np.argsort(-np.log(own).mean(axis=0))[:GATEWAYS_PER_GROUP]
    members = tuple(_all_sets(sorted(int(j) for j in strongest)))
    noise = np.stack([_noise(own, chosen) for chosen in members])
    senders = [y for y, rate in enumerate(rates) if rate.any()]
    if group not in senders:  # a slot of the pool has no interferers
        return _Sets(members, noise, np.zeros_like(noise), np.zeros_like(noise))
    others = [rates[y] * _without_itself(model, group, y) for y in senders]
    rate = np.concatenate(others)
    load = np.concatenate([r * airtimes[y] for r, y in zip(others, senders, strict=True)])
    elsewhere, elsewhere_load = _other_factors(rate), _other_factors(load)
    ratio = np.concatenate([snr[y] for y in senders])[None, :, :] / own[:, None, :]
    survives_co = 1.0 / (1.0 + CO_SF * ratio)
    survives_inter = [1.0 / (1.0 + threshold * ratio) for threshold in INTER_SF]
    co, inter = np.empty_like(noise), np.empty_like(noise)
    for index, chosen in enumerate(members):
        hurt = 1.0 - survives_co[:, :, list(chosen)].prod(axis=2)
        co[index] = (hurt @ rate) * airtime + hurt @ load
        for m in range(6):
            hurt = 1.0 - survives_inter[m][:, :, list(chosen)].prod(axis=2)
            inter[index, :, m] = (hurt @ elsewhere[:, m]) * airtime[m] + hurt @ elsewhere_load[:, m]
    return _Sets(members, noise, co, inter)


def _without_itself(model: SiteModel, group: int, other: int) -> float:
    """A device does not interfere with itself: the share of a group's traffic that one of its members meets."""
    devices = model.groups[other].devices
    return (devices - 1) / devices if other == group else 1.0


def _noise(own: Floats, chosen: tuple[int, ...]) -> Floats:
    """sum over the set of Gamma_m / s_j, shape (K, 6)."""
    return np.asarray((1.0 / own[:, list(chosen)]).sum(axis=1)[:, None] * COVERAGE, dtype=np.float64)


def _other_factors(values: Floats) -> Floats:
    """For each SF the sum over the other five, shape (points, 6)."""
    return np.asarray(values.sum(axis=1, keepdims=True) - values, dtype=np.float64)


def _all_sets(gateways: list[int]) -> Iterator[tuple[int, ...]]:
    """Every set of one gateway or more."""
    for size in range(1, len(gateways) + 1):
        yield from combinations(gateways, size)


def others_occupancy(model: SiteModel, measured: npt.ArrayLike) -> Floats:
    """Pr(H1) by others where a sensor heard everybody: idle = idle of others x idle of our own random access."""
    carried = 0.0
    for group, shares in zip(model.groups, model.spreading_shares(), strict=True):
        if group.access == "random":
            carried += group.devices / group.period_s * float(shares.mean(axis=0) @ group.airtimes_s)
    own_idle = np.exp(-carried / len(model.channels))
    others = 1.0 - (1.0 - np.asarray(measured, dtype=np.float64)) / own_idle
    return np.asarray(np.clip(others, 0.0, 1.0), dtype=np.float64)
