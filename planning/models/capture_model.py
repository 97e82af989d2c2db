"""Coverage, frame capture and demodulation paths of one gateway (paper B), in closed form.

The double sums over numbers of interferers, (B.13) to (B.25), are exponential series: averaged over Poisson numbers,
y^k becomes exp(-L (1 - y)). What is left is one integral over distance, done by Gauss-Legendre ring by ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import pdtr

from planning.models.airtimes import Floats
from planning.models.capture_cell import CO_SF_DB, COVERAGE_DB, INTER_SF_DB, Allocation, snr_at_1m_db
from planning.models.loss_queue import erlang_b
from spectrum.errors import BadInput

PATHS: Final = 8  # demodulation paths of the SX1301
CHANNELS: Final = 8
_NODES: Final = 6  # per ring; 24 change no digit of ten
_BISECTIONS: Final = 60
_NARROW: Final = 1e-12  # a ring of no width, where two borders meet

COVERAGE: Final = 10.0 ** (COVERAGE_DB / 10.0)
INTER_SF: Final = 10.0 ** (INTER_SF_DB / 10.0)
CO_SF: Final = 10.0 ** (CO_SF_DB / 10.0)


@dataclass(frozen=True, slots=True)
class Readings:
    """Where the paper can be read in two ways.

    inter_sf: `mended` asks for coverage too when only other spreading factors interfere, threshold
    max(Gamma_m, Gamma_int_m); `printed` is (B.20) as it stands, which forgets the SNR condition (B.8) and so is not
    the lower bound it is said to be. mixing: which SF an inter-SF interferer has, in (B.21) and (B.23), `load` by the
    loads L_p / L_int that make it overlap, `population` by the shares delta_p.
    """

    inter_sf: Literal["mended", "printed"] = "mended"
    mixing: Literal["load", "population"] = "load"


DEFAULT_READINGS: Final = Readings()


@dataclass(frozen=True, slots=True)
class Traffic:
    """devices: N, shape (...). rate_per_s: packets/s of one device, shape (...). airtimes_s: SF7..SF12, shape (6,)."""

    devices: npt.ArrayLike
    rate_per_s: npt.ArrayLike
    airtimes_s: Floats
    channels: int = CHANNELS

    def total_per_s(self) -> Floats:
        """lambda = N lambda_d over all channels, shape (...)."""
        rate, devices = np.asarray(self.rate_per_s, dtype=float), np.asarray(self.devices, dtype=float)
        if not np.all(rate > 0.0):
            raise BadInput(f"the rate of a device must be above 0 packets/s, got {np.min(rate):g}")
        if not np.all(devices >= 0.0):
            raise BadInput(f"the number of devices must be 0 or more, got {np.min(devices):g}")
        longest_s = float(np.max(self.airtimes_s))
        if not np.all(rate * longest_s < 1.0):
            raise BadInput(
                f"a device cannot send {np.max(rate):g} packets/s of {longest_s:.3g} s: "
                f"give a rate below {1.0 / longest_s:.3g} packets/s"
            )
        return np.asarray(rate * devices)


@dataclass(frozen=True, slots=True)
class Capture:
    """Answers of shape (...), by spreading factor (..., 6); an SF without devices has coverage and capture 0.

    coverage: CP (B.17). capture: FCP (B.25). drop: FDP (B.27). drop_erlang_b: the same load on a loss system.
    """

    sf_shares: Floats
    coverage_per_sf: Floats
    capture_per_sf: Floats
    drop: Floats
    drop_erlang_b: Floats
    path_load_shares: Floats
    total_per_s: Floats

    @property
    def coverage(self) -> Floats:
        """Mean over the devices."""
        return np.asarray((self.sf_shares * self.coverage_per_sf).sum(axis=-1))

    @property
    def capture(self) -> Floats:
        """Mean over the devices."""
        return np.asarray((self.sf_shares * self.capture_per_sf).sum(axis=-1))

    @property
    def success_per_sf(self) -> Floats:
        """FSP = FCP (1 - FDP), (B.12)."""
        return np.asarray(self.capture_per_sf * (1.0 - self.drop[..., np.newaxis]))

    @property
    def success(self) -> Floats:
        """Mean over the devices."""
        return np.asarray(self.capture * (1.0 - self.drop))

    def throughput_bytes_per_s(self, application_bytes: int) -> Floats:
        """(B.28): received bytes of LoRaWAN payload per second, over all channels."""
        return np.asarray(self.success * self.total_per_s * application_bytes)

    def throughput_per_sf_bytes_per_s(self, application_bytes: int) -> Floats:
        """(B.28) by spreading factor, shape (..., 6)."""
        return np.asarray(self.success_per_sf * self.sf_shares * self.total_per_s[..., np.newaxis] * application_bytes)


def capture(
    allocation: Allocation,
    traffic: Traffic,
    *,
    radius_m: float = 1000.0,
    readings: Readings = DEFAULT_READINGS,
    paths: int = PATHS,
) -> Capture:
    """Network-wide coverage, capture, drop for N devices under Rayleigh fading and path-loss exponent 4.

    Leading shapes of the allocation and of the traffic broadcast: one allocation over many loads, or the reverse.
    """
    total = traffic.total_per_s()
    geometry = _Geometry(allocation, radius_m)
    sf_shares = allocation.sf_shares
    coverage = geometry.mean(geometry.noise(COVERAGE))
    path_loads = sf_shares * traffic.airtimes_s * coverage
    offered = total * path_loads.sum(axis=-1)
    return Capture(
        sf_shares=sf_shares,
        coverage_per_sf=coverage,
        capture_per_sf=_captured(geometry, traffic, total / traffic.channels, sf_shares, readings),
        drop=drop_probability(offered, paths),
        drop_erlang_b=erlang_b(paths, offered),
        path_load_shares=path_loads / path_loads.sum(axis=-1, keepdims=True),
        total_per_s=total,
    )


class _Geometry:
    """What does not depend on the load: quadrature nodes in x, and who interferes from where.

    Arrays are (..., nodes, 6), the last axis being the spreading factor of the frame that is judged.
    """

    def __init__(self, allocation: Allocation, radius_m: float) -> None:
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        self._edges = allocation.edges
        self._widths = np.diff(self._edges)
        x = self._edges[..., :-1, np.newaxis] + self._widths[..., np.newaxis] * (nodes + 1.0) / 2.0
        self._x = x.reshape(*x.shape[:-2], -1)
        sf_shares = allocation.sf_shares[..., np.newaxis, :]
        # rings[k, m]: share of SF m's devices in ring k; the density within a ring is constant in x.
        self._rings = allocation.shares / np.where(sf_shares > 0.0, sf_shares, 1.0)
        density = self._rings[..., np.newaxis, :] * (weights / 2.0)[:, np.newaxis]
        self._density = density.reshape(*density.shape[:-3], -1, 6)
        self._inverse_snr = self._x**2 * radius_m**4 / 10.0 ** (snr_at_1m_db() / 10.0)

    def mean(self, values: Floats) -> Floats:
        """Mean of values (..., nodes, 6) over the positions of each SF's devices, shape (..., 6)."""
        return np.asarray((values * self._density).sum(axis=-2))

    def noise(self, thresholds: npt.ArrayLike) -> Floats:
        """P(SNR > threshold) at each node, exp(-threshold r^4 / c); thresholds: one, or one for each SF."""
        return np.asarray(np.exp(-np.asarray(thresholds) * self._inverse_snr[..., np.newaxis]))

    def survives(self, threshold: float) -> Floats:
        """(B.19): P(one interferer's power stays below signal / threshold), by the interferer's SF, (..., nodes, 6).

        The mean over y of y^2 / (y^2 + threshold x^2), in closed form for each ring of constant density.
        """
        a = np.sqrt(threshold) * self._x[..., np.newaxis]
        edges = self._edges[..., np.newaxis, :]
        narrow = self._widths < _NARROW
        mean = np.diff(edges - a * np.arctan(edges / a), axis=-1) / np.where(narrow, 1.0, self._widths)[..., None, :]
        return np.asarray(mean @ np.where(narrow[..., np.newaxis], 0.0, self._rings))


def _captured(
    geometry: _Geometry, traffic: Traffic, channel_per_s: Floats, sf_shares: Floats, readings: Readings
) -> Floats:
    """FCP by spreading factor, shape (..., 6); (B.24) with its sums done (notes 3.B.4)."""
    airtimes_s = traffic.airtimes_s
    # overlap[p, m]: load of SF p that a frame of SF m meets, per frame/s on the channel.
    overlap = (airtimes_s[:, np.newaxis] + airtimes_s) * sf_shares[..., :, np.newaxis]
    others = np.where(np.eye(6, dtype=bool), 0.0, overlap)
    weights = others if readings.mixing == "load" else np.where(np.eye(6, dtype=bool), 0.0, sf_shares[..., :, None])
    totals = weights.sum(axis=-2, keepdims=True)
    mixed = weights / np.where(totals > 0.0, totals, 1.0)
    rate = channel_per_s[..., np.newaxis, np.newaxis]
    co = rate * np.diagonal(overlap, axis1=-2, axis2=-1)[..., np.newaxis, :]
    inter = rate * others.sum(axis=-2)[..., np.newaxis, :]
    strong = geometry.survives(CO_SF)
    strong_inter = strong @ mixed
    only_inter = np.stack(
        [(geometry.survives(INTER_SF[m]) @ mixed[..., :, m, np.newaxis])[..., 0] for m in range(6)], axis=-1
    )
    inter_threshold = np.maximum(COVERAGE, INTER_SF) if readings.inter_sf == "mended" else INTER_SF

    no_co, no_inter = np.exp(-co), np.exp(-inter)
    some_co = np.exp(-co * (1.0 - strong)) - no_co
    some_inter = np.exp(-inter * (1.0 - only_inter)) - no_inter
    some_inter_strong = np.exp(-inter * (1.0 - strong_inter)) - no_inter
    return geometry.mean(
        no_co * no_inter * geometry.noise(COVERAGE)
        + no_co * some_inter * geometry.noise(inter_threshold)
        + some_co * (no_inter + some_inter_strong) * geometry.noise(CO_SF)
    )


def drop_probability(offered: npt.ArrayLike, paths: int = PATHS) -> Floats:
    """FDP by (B.27): the root f of f = P(Poisson(a (1 - f)) >= paths), a = offered load in paths; shape (...).

    The right side falls with f, so the root is unique; bisected. It overstates drops: a Poisson number of receptions
    has no upper end, a gateway has at most `paths`. Erlang's loss formula is the truth for Poisson detections.
    """
    load = np.asarray(offered, dtype=float)
    low, high = np.zeros_like(load), np.ones_like(load)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        above = 1.0 - pdtr(paths - 1, load * (1.0 - middle)) > middle
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray((low + high) / 2.0)
