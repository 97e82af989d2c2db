"""One gateway's cell (paper B): thresholds, path loss, where the devices are and which spreading factor they use.

Distances appear as x = (r / R)^2, the share of the disc's area that lies nearer: a uniform disc is uniform in x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from planning.models.airtimes import Floats
from spectrum.errors import BadInput

# Table B.1, SF7..SF12, in dB: SNR to be covered, and SINR against other spreading factors.
COVERAGE_DB: Final = np.array([-6.0, -9.0, -12.0, -15.0, -17.5, -20.0])
INTER_SF_DB: Final = np.array([-7.5, -9.0, -13.5, -15.0, -18.0, -22.5])
# Section 2.3: SINR against the own spreading factor, above every inter-SF threshold.
CO_SF_DB: Final = 6.0

# These give table B.2's borders with nothing free (notes 3.B.1); the sensitivities of table B.1 do not.
BORDER_SENSITIVITY_DBM: Final = np.array([-123.0, -126.0, -129.0, -132.0, -134.5, -137.0])
POWER_DBM: Final = 14.0
CARRIER_MHZ: Final = 868.0
PATH_LOSS_EXPONENT: Final = 4.0

# Table B.2 as printed: SF7 ... SF12 of the distance allocation.
PRINTED_DISTANCE_SHARES: Final = np.array([0.2, 0.08, 0.11, 0.17, 0.19, 0.25])

ALLOCATIONS: Final = ("uniform", "distance", "equal-load", "optimised")
POPULATIONS: Final = ("disc", "concentrated")


def loss_at_1m_db(carrier_mhz: float = CARRIER_MHZ) -> float:
    """20 log10(f) - 28 dB. Printed: A(f) = f^2 10^-2.8 as a gain in (B.3); it is a loss, or c would exceed 200 dB."""
    return float(20.0 * np.log10(carrier_mhz) - 28.0)


def noise_dbm(bandwidth_hz: float = 125e3, noise_figure_db: float = 0.0) -> float:
    """Thermal noise: -174 dBm/Hz over the bandwidth."""
    return float(-174.0 + 10.0 * np.log10(bandwidth_hz) + noise_figure_db)


def snr_at_1m_db() -> float:
    """c of (B.3) in dB, with r in metres: 106.26 dB."""
    return POWER_DBM - loss_at_1m_db() - noise_dbm()


def border_radii_m() -> Floats:
    """Where the mean received power falls to each SF's sensitivity, l_7..l_12 in metres."""
    return np.asarray(10.0 ** ((POWER_DBM - loss_at_1m_db() - BORDER_SENSITIVITY_DBM) / (10.0 * PATH_LOSS_EXPONENT)))


@dataclass(frozen=True, slots=True)
class Population:
    """Where devices are. edges: x of ring borders, shape (rings + 1,), from 0 to 1. masses: shares, shape (rings,)."""

    edges: Floats
    masses: Floats

    @property
    def _cumulated(self) -> Floats:
        return np.concatenate([[0.0], np.cumsum(self.masses)])

    def nearer_than(self, x: Floats) -> Floats:
        """Share of the devices within x."""
        return np.asarray(np.interp(x, self.edges, self._cumulated))

    def border_of(self, nearer: Floats) -> Floats:
        """x within which a share `nearer` of the devices lies."""
        return np.asarray(np.interp(nearer, self._cumulated, self.edges))


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who uses which spreading factor. edges: as in Population; shares[ring, m]: fraction of all devices, sum 1.

    Several allocations at once have leading axes: edges (..., rings + 1), shares (..., rings, 6).
    """

    edges: Floats
    shares: Floats

    @property
    def sf_shares(self) -> Floats:
        """delta_m, shape (..., 6)."""
        return np.asarray(self.shares.sum(axis=-2))


def disc_population() -> Population:
    """Devices uniform over the disc."""
    return Population(np.array([0.0, 1.0]), np.array([1.0]))


def concentrated_population(airtimes_s: Floats, radius_m: float) -> Population:
    """The population of the thesis' equal-load allocation: shares 1/T_m normalised in the annuli of `distance`.

    Far denser near the gateway than a disc. Printed: "such that sum(delta_m l_m) = 1"; computed: sum(delta_m) = 1,
    as shares must.
    """
    edges, shares = _annulus_edges(radius_m), _equal_load_shares(airtimes_s)
    # In a small cell the outer annuli lie beyond its edge: their devices are in the outermost one that is left.
    inside = int(np.searchsorted(edges, 1.0))
    return Population(edges[: inside + 1], np.append(shares[: inside - 1], shares[inside - 1 :].sum()))


def _annulus_edges(radius_m: float) -> Floats:
    borders = np.minimum((border_radii_m() / radius_m) ** 2, 1.0)
    borders[-1] = 1.0  # SF12 serves whatever is left: l_12 = R
    return np.concatenate([[0.0], borders])


def _equal_load_shares(airtimes_s: Floats) -> Floats:
    """delta_m = (1 / T_m) / sum(1 / T): every spreading factor is on the air equally long.

    The digits of table B.2 (.47 .25 .14 .08 .04 .02) are those of 63 bytes, CR 1, 12 + 4.25 symbols, without DE.
    """
    return np.asarray((1.0 / airtimes_s) / (1.0 / airtimes_s).sum())


def ordered_allocation(population: Population, sf_shares: Floats) -> Allocation:
    """SF7 to the nearest share of the devices, SF8 to the next, and so on; sf_shares: shape (..., 6), sum 1."""
    limits = np.concatenate([np.zeros((*sf_shares.shape[:-1], 1)), np.cumsum(sf_shares, axis=-1)], axis=-1)
    limits[..., -1] = 1.0
    fixed = np.broadcast_to(population.edges, (*sf_shares.shape[:-1], population.edges.size))
    edges = np.sort(np.concatenate([fixed, population.border_of(limits[..., 1:-1])], axis=-1), axis=-1)
    nearer = population.nearer_than(edges)[..., np.newaxis]
    low, high = (
        np.maximum(nearer[..., :-1, :], limits[..., np.newaxis, :-1]),
        np.minimum(nearer[..., 1:, :], limits[..., np.newaxis, 1:]),
    )
    return Allocation(edges, np.maximum(high - low, 0.0))


def uniform_allocation(population: Population) -> Allocation:
    """Every device draws its spreading factor: a sixth each, everywhere."""
    return Allocation(population.edges, np.repeat(population.masses[:, np.newaxis] / 6.0, 6, axis=1))


def distance_allocation(population: Population, radius_m: float) -> Allocation:
    """The lowest spreading factor whose sensitivity the mean received power meets."""
    borders = _annulus_edges(radius_m)
    return ordered_allocation(population, np.diff(population.nearer_than(borders)))


def printed_distance_allocation(radius_m: float) -> Allocation:
    """Table B.2's rounded shares in the exact annuli, to reproduce the thesis; they are not areas of rings."""
    if radius_m < border_radii_m()[-2]:
        raise BadInput(f"the printed shares belong to a cell of 1000 m, got {radius_m:g} m")
    return Allocation(_annulus_edges(radius_m), np.diag(PRINTED_DISTANCE_SHARES))


def population_of(name: str, airtimes_s: Floats, radius_m: float) -> Population:
    """A population by name: `disc` or `concentrated`."""
    if name == "disc":
        return disc_population()
    if name == "concentrated":
        return concentrated_population(airtimes_s, radius_m)
    raise BadInput(f"the population is {' or '.join(POPULATIONS)}, got {name!r}")


def allocation_of(name: str, population: Population, airtimes_s: Floats, radius_m: float) -> Allocation:
    """An allocation by name, all but `optimised`, which depends on the load too."""
    if name == "uniform":
        return uniform_allocation(population)
    if name == "distance":
        return distance_allocation(population, radius_m)
    if name == "equal-load":
        return ordered_allocation(population, _equal_load_shares(airtimes_s))
    raise BadInput(f"the allocation is one of {', '.join(ALLOCATIONS)}, got {name!r}")
