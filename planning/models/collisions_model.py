"""Several gateways, symbol-wise collisions, demodulation paths and the outage of devices (paper C)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from planning.models.airtimes import Floats, airtimes_s
from planning.models.loss_queue import erlang_b
from planning.models.symbol_collisions import approximate_cdf, first_symbol_cdf
from spectrum.errors import BadInput
from spectrum.lora import SPREADING_FACTORS

# Table C.1: most frames of SF (column) on the air with which a frame of SF (row) survives; SF7 to SF12.
TOLERATED: Final = np.array(
    [
        [0, 6, 7, 7, 7, 7],
        [12, 0, 12, 15, 19, 19],
        [31, 19, 0, 19, 25, 31],
        [79, 63, 50, 0, 50, 63],
        [158, 158, 125, 99, 0, 99],
        [316, 316, 316, 251, 199, 0],
    ]
)
PATHS: Final = 8  # demodulation paths of the SX1301
SYMBOL_S: Final = 2.0 ** np.array(SPREADING_FACTORS) / 125e3
# Every subset of the gateways that hear a group is summed: 2^16 of them.
MOST_GATEWAYS: Final = 16


@dataclass(frozen=True, slots=True)
class Frame:
    """What devices send. preamble_symbols: all of the preamble (the paper counts 8, without the 4.25 of sync word)."""

    payload_bytes: int = 50
    coding_rate: int = 4
    preamble_symbols: float = 8

    @property
    def airtimes_s(self) -> Floats:
        """Airtime in seconds of SF7..SF12, shape (6,)."""
        return airtimes_s(self.payload_bytes, self.coding_rate, self.preamble_symbols)

    def symbols(self, reference: int) -> int:
        """n_ref: symbols of a frame, the last one whole (index 0..5 for SF7..SF12)."""
        return ceil(float(self.airtimes_s[reference] / SYMBOL_S[reference]) - 1e-9)

    def interfering_symbols(self, reference: int, interfering: int) -> int:
        """n_int: length of an interfering frame in symbols of the reference frame, rounded up."""
        return ceil(float(self.airtimes_s[interfering] / SYMBOL_S[reference]) - 1e-9)


@dataclass(frozen=True, slots=True)
class Gateways:
    """Per gateway and spreading factor, shape (..., gateways, 6), but for demodulated: (..., gateways).

    preamble, payload: P(no symbol fails), of the preamble's first symbol and of the frame. own_sf: the part of payload
    that frames of the own spreading factor leave. demodulated: P(a path is free).
    """

    preamble: Floats
    payload: Floats
    own_sf: Floats
    demodulated: Floats
    sf_shares: Floats

    @property
    def outage_per_sf(self) -> Floats:
        """(C.10) by spreading factor: 1 - P(a path is free) P(payload)."""
        return np.asarray(1.0 - self.demodulated[..., np.newaxis] * self.payload)

    @property
    def outage(self) -> Floats:
        """(C.7) and (C.10), averaged over the spreading factors, shape (..., gateways)."""
        return np.asarray(self.outage_per_sf @ self.sf_shares)


@dataclass(frozen=True, slots=True)
class Network:
    """links: P(gateway hears a frame of a group), shape (groups, gateways). sf_shares: alpha_m, shape (6,)."""

    links: Floats
    frame: Frame = Frame()
    channels: int = 8
    paths: int = PATHS
    sf_shares: Floats | None = None

    def __post_init__(self) -> None:
        if self.links.ndim != 2 or 0 in self.links.shape:
            raise BadInput(f"links are a matrix of groups by gateways, got shape {self.links.shape}")
        if not np.all((self.links >= 0.0) & (self.links <= 1.0)):
            raise BadInput("a link probability must be 0 to 1")
        if self.channels < 1 or self.paths < 1:
            raise BadInput(f"expected 1 channel and 1 path at least, got {self.channels} and {self.paths}")
        if not np.isclose(self.alpha.sum(), 1.0) or np.any(self.alpha < 0.0):
            raise BadInput(f"the shares of the spreading factors must be 0 or more and sum to 1, got {self.alpha}")

    @property
    def alpha(self) -> Floats:
        """Share of the devices on each spreading factor; a sixth each by default."""
        return np.full(6, 1.0 / 6.0) if self.sf_shares is None else self.sf_shares


def group_rates(devices: npt.ArrayLike, rate_per_s: npt.ArrayLike) -> Floats:
    """lambda_E: frames/s of each group, shape (..., groups), refusing what is no rate."""
    rate, count = np.asarray(rate_per_s, dtype=float), np.asarray(devices, dtype=float)
    if not np.all(rate > 0.0):
        raise BadInput(f"the rate of a device must be above 0 frames/s, got {np.min(rate):g}")
    if not np.all(count >= 0.0):
        raise BadInput(f"the devices of a group must be 0 or more, got {np.min(count):g}")
    return np.asarray(rate * count)


def gateways(network: Network, rates_per_s: Floats) -> Gateways:
    """What each gateway receives; rates_per_s: of the groups, shape (..., groups).

    lambda_G_j = sum_i p_ij lambda_E_i (printed: p_ij lambda_G_i). Collisions by the mended approximation of S_max,
    which is exact where it decides: for the own spreading factor, of which table C.1 tolerates none.
    Printed (C.9): the sum from x = 1. Computed: from x = 0, as Erlang-B has it.
    """
    heard = rates_per_s @ network.links
    alpha, frame = network.alpha, network.frame
    shape = (*heard.shape, 6)
    preamble, others, own = np.ones(shape), np.ones(shape), np.ones(shape)
    for reference in range(6):
        n_ref = frame.symbols(reference)
        for interfering in np.flatnonzero(alpha > 0.0):
            n_int = frame.interfering_symbols(reference, int(interfering))
            tolerated = int(TOLERATED[reference, interfering])
            rate = SYMBOL_S[reference] * heard * alpha[interfering] / network.channels
            preamble[..., reference] *= first_symbol_cdf(rate, n_int, tolerated)
            survived = own if reference == interfering else others
            survived[..., reference] *= approximate_cdf(rate, n_int, n_ref, tolerated)
    detected = heard * (preamble @ (alpha * frame.airtimes_s))
    return Gateways(preamble, own * others, own, 1.0 - erlang_b(network.paths, detected), alpha)


def independent_outage(network: Network, at: Gateways) -> Floats:
    """Device outage if gateways failed independently, per group, shape (..., groups).

    Printed (C.14): prod_j (1 - p_ij G_out_j). Computed: prod_j (1 - p_ij (1 - G_out_j)), for a device is out when no
    gateway both hears and receives it; per spreading factor, then averaged. The factors (C.11) to (C.13) carry the
    same slip.
    """
    received = 1.0 - at.outage_per_sf
    lost = 1.0 - network.links[..., np.newaxis] * received[..., np.newaxis, :, :]
    return np.asarray(np.prod(lost, axis=-2) @ network.alpha)


def correlated_outage(network: Network, at: Gateways, rates_per_s: Floats) -> Floats:
    """Device outage with gateways that hear the same interferers, per group, shape (..., groups).

    By inclusion and exclusion over the sets S of gateways that all receive a frame (notes 3.C.4): a frame of group q
    on the same channel and spreading factor spoils S when any gateway of S hears it, with probability
    1 - prod_(j in S) (1 - p_qj), so P(S clean) = exp(-sum_q mu_q (1 - prod_(j in S) (1 - p_qj))) with
    mu_q = 2 T_m lambda_E_q alpha_m / c. Exact for the own spreading factor without blocking; other spreading factors
    and blocking, both small here, enter as independent factors of each gateway.
    """
    return outage_by_gateways(network, at, rates_per_s)[..., -1, :]


def outage_by_gateways(network: Network, at: Gateways, rates_per_s: Floats) -> Floats:
    """`correlated_outage` with the first 1, 2, ... gateways of the links, shape (..., gateways, groups).

    Subset number s holds gateway j when bit j of s is set, so the first g gateways are the subsets below 2^g.
    """
    groups, count = network.links.shape
    if count > MOST_GATEWAYS:
        raise BadInput(f"{count} gateways are more than the {MOST_GATEWAYS} solved exactly: use --method simulation")
    silent = _over_subsets(1.0 - network.links.T)
    coefficients = _over_subsets(-network.links.T)
    met = 2.0 * network.frame.airtimes_s * network.alpha / network.channels
    rest = at.payload / np.where(at.own_sf > 0.0, at.own_sf, 1.0) * at.demodulated[..., np.newaxis]
    outage = np.zeros((*rates_per_s.shape[:-1], count, groups))
    for m in np.flatnonzero(network.alpha > 0.0):
        together = np.exp((rates_per_s @ (silent.T - 1.0)) * met[m])
        together *= np.moveaxis(_over_subsets(np.moveaxis(rest[..., m], -1, 0)), 0, -1)
        total = together[..., :1] * coefficients[0]
        for gateway in range(count):
            added = slice(2**gateway, 2 ** (gateway + 1))
            total = total + together[..., added] @ coefficients[added]
            outage[..., gateway, :] += network.alpha[m] * total
    return np.clip(outage, 0.0, 1.0)


def _over_subsets(values: Floats) -> Floats:
    """Product of values over every subset of their first axis, shape (2^n, ...) for (n, ...); 1 for none."""
    products = np.ones((1, *values.shape[1:]))
    for value in values:
        products = np.concatenate([products, products * value])
    return products
