"""A site as the planner sees it: groups of devices on the ground, gateways, channels, and who uses which SF."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from planning.models.airtimes import Floats, airtimes_s
from planning.models.capture_cell import PATH_LOSS_EXPONENT, border_radii_m, snr_at_1m_db
from planning.models.latency_model import DutyBand
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel, sub_band_at
from spectrum.lora import SPREADING_FACTORS
from spectrum.site_file import GatewayTable, Site, TrafficTable

# A group is laid out on so many points of equal area; docs/planning.md says what the rest of the continuum costs.
POINTS_PER_GROUP: Final = 48
POINTS_IN_ALL: Final = 480
GOLDEN_ANGLE: Final = math.pi * (3.0 - math.sqrt(5.0))
NEAREST_M: Final = 1.0

# Borders of the distance rule are also tried shrunk and stretched by these factors (plan `fitted`).
BORDER_SCALES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0)


@lru_cache(maxsize=256)
def _airtimes_s(payload_bytes: int, coding_rate: int) -> Floats:
    """The same few frames are asked for thousands of times in a search."""
    return airtimes_s(payload_bytes, coding_rate)


@dataclass(frozen=True, slots=True)
class Group:
    """Alike devices. points_m: where they are, shape (K, 2), equally many at each point.

    fixed_shares: share of the devices on SF7..SF12, shape (6,), or None where the site's plan decides.
    """

    name: str
    devices: int
    period_s: float
    payload_bytes: int
    coding_rate: int
    access: str
    points_m: Floats
    fixed_shares: Floats | None = None

    @property
    def airtimes_s(self) -> Floats:
        """Airtime of a frame on SF7..SF12, shape (6,)."""
        return _airtimes_s(self.payload_bytes, self.coding_rate)

    def coarser(self, points: int) -> Group:
        """The group laid out on fewer points: a disc with the same middle and the same mean square distance to it."""
        if points >= len(self.points_m):
            return self
        middle = self.points_m.mean(axis=0)
        radius_m = math.sqrt(2.0 * float(((self.points_m - middle) ** 2).sum(axis=1).mean()))
        return replace(self, points_m=disc_points_m((float(middle[0]), float(middle[1])), radius_m, points))


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway: where, and how many frames it demodulates at once."""

    name: str
    position_m: tuple[float, float]
    paths: int = 8


@dataclass(frozen=True, slots=True)
class SiteModel:
    """All of it. occupancy: Pr(H1) by others on each channel, shape (channels,); burst_s: mean length of their frames.

    plan: how SFs are given where a group does not fix its own; a key of PLANS. border_scale: for `distance`.
    """

    name: str
    groups: tuple[Group, ...]
    gateways: tuple[Gateway, ...]
    channels: tuple[Subchannel, ...]
    occupancy: Floats
    burst_s: float = 0.1
    plan: str = "distance"
    border_scale: float = 1.0

    def mean_snr(self) -> list[Floats]:
        """Linear mean SNR of each group's points at each gateway, shapes (K, gateways): c / r^4 of paper B."""
        places = np.array([gateway.position_m for gateway in self.gateways], dtype=np.float64)
        at_1m = 10.0 ** (snr_at_1m_db() / 10.0)
        return [at_1m / _distances_m(group.points_m, places) ** PATH_LOSS_EXPONENT for group in self.groups]

    def spreading_shares(self) -> list[Floats]:
        """Share of the devices at each point on SF7..SF12, shapes (K, 6), rows sum to 1."""
        return [self._shares_of(group) for group in self.groups]

    def duty_bands(self) -> tuple[DutyBand, ...]:
        """The regulatory sub-bands that the channels lie in, with how many there are in each."""
        labels: dict[str, list[float]] = {}
        for channel in self.channels:
            band = sub_band_at(channel.center_hz, channel.bandwidth_hz)
            if band is None:
                raise BadInput(f"channel {channel.name} lies in no EU868 sub-band: mend spectrum.lora_center_hz")
            labels.setdefault(band.label, []).append(band.duty_cycle)
        return tuple(DutyBand(label, duty[0], len(duty)) for label, duty in labels.items())

    def with_gateway(self, position_m: tuple[float, float]) -> SiteModel:
        """The same site with one more gateway."""
        return replace(self, gateways=(*self.gateways, Gateway("one more", position_m)))

    @property
    def size(self) -> float:
        """Sums of interference an answer takes, roughly: pairs of points at every set of gateways."""
        return float(sum(len(group.points_m) for group in self.groups) ** 2 * 2 ** min(5, len(self.gateways)))

    def coarser(self, points: int) -> SiteModel:
        """The same site laid out on `points` points in all, three a group at least."""
        each = max(3, points // len(self.groups))
        return replace(self, groups=tuple(group.coarser(each) for group in self.groups))

    def _shares_of(self, group: Group) -> Floats:
        if group.fixed_shares is not None:
            return np.tile(group.fixed_shares, (len(group.points_m), 1))
        places = np.array([gateway.position_m for gateway in self.gateways], dtype=np.float64)
        nearest_m = _distances_m(group.points_m, places).min(axis=1)
        return PLANS[self.plan](group, nearest_m, self.border_scale)


def _by_distance(_group: Group, nearest_m: Floats, scale: float) -> Floats:
    """The lowest SF whose sensitivity the mean power at the nearest gateway meets (`distance` of paper B)."""
    chosen = np.searchsorted(scale * border_radii_m()[:-1], nearest_m)
    return np.asarray(np.eye(6)[chosen], dtype=np.float64)


def _evenly(_group: Group, nearest_m: Floats, _scale: float) -> Floats:
    """A sixth of the devices everywhere on each SF (`uniform`)."""
    return np.full((len(nearest_m), 6), 1.0 / 6.0)


def _by_load(group: Group, nearest_m: Floats, _scale: float) -> Floats:
    """As much airtime on each SF, the lower ones nearer (`equal-load`)."""
    ends = np.cumsum((1.0 / group.airtimes_s) / (1.0 / group.airtimes_s).sum())
    starts = np.concatenate([[0.0], ends[:-1]])
    rank = np.argsort(np.argsort(nearest_m, kind="stable"), kind="stable") / len(nearest_m)
    width = 1.0 / len(nearest_m)
    low = np.maximum(rank[:, None], starts)
    high = np.minimum(rank[:, None] + width, ends)
    return np.asarray(np.maximum(high - low, 0.0) / width, dtype=np.float64)


# name: shares of SF7..SF12 at points, of (group, metres to the nearest gateway, border scale)
PLANS: Final[dict[str, Callable[[Group, Floats, float], Floats]]] = {
    "distance": _by_distance,
    "uniform": _evenly,
    "equal-load": _by_load,
}


def site_model(site: Site, occupancy: Floats, burst_s: float, plan: str) -> SiteModel:
    """The planner's view of a site file. occupancy: by others, shape (LoRa channels,)."""
    if not site.traffic:
        raise BadInput(
            "the site has no [[traffic]]: describe its groups of devices (name, devices, period_s, payload_bytes)"
        )
    if not site.gateway:
        raise BadInput("the site has no [[gateway]]: add at least one with its position_m")
    if not site.spectrum.lora:
        raise BadInput("the site has no LoRa subchannel left: see spectrum.lora_center_hz and banned_hz")
    if plan not in PLANS:
        raise BadInput(f"the spreading factor plan must be one of {', '.join(PLANS)}, got {plan!r}")
    if not (math.isfinite(burst_s) and burst_s > 0.0):
        raise BadInput(f"the mean burst of others must be above 0 s, got {burst_s}")
    each = max(12, min(POINTS_PER_GROUP, POINTS_IN_ALL // len(site.traffic)))
    return SiteModel(
        site.name,
        tuple(_group(table, each) for table in site.traffic),
        tuple(_gateway(table, len(site.gateway)) for table in site.gateway),
        site.spectrum.lora,
        occupancy,
        burst_s,
        plan,
    )


def disc_points_m(center_m: tuple[float, float], radius_m: float, count: int) -> Floats:
    """`count` points of equal area in a disc, on a sunflower spiral, shape (count, 2)."""
    k = np.arange(count)
    radius, angle = radius_m * np.sqrt((k + 0.5) / count), k * GOLDEN_ANGLE
    return np.stack([center_m[0] + radius * np.cos(angle), center_m[1] + radius * np.sin(angle)], axis=1)


def _group(table: TrafficTable, points: int) -> Group:
    return Group(
        table.name,
        table.devices,
        table.period_s,
        table.payload_bytes,
        table.coding_rate,
        table.access,
        disc_points_m(table.position_m, table.radius_m, points),
        _fixed_shares(table),
    )


def _fixed_shares(table: TrafficTable) -> Floats | None:
    factors: Sequence[int] = table.spreading_factors
    if not factors:
        if table.shares:
            raise BadInput(f"traffic {table.name!r} has shares but no spreading_factors")
        return None
    if len(set(factors)) < len(factors):
        raise BadInput(f"traffic {table.name!r} names a spreading factor twice")
    shares = table.shares or (1.0 / len(factors),) * len(factors)
    if len(shares) != len(factors) or not math.isclose(math.fsum(shares), 1.0, abs_tol=1e-6):
        raise BadInput(
            f"traffic {table.name!r} needs one share for each of its {len(factors)} spreading factors, summing to 1"
        )
    fixed = np.zeros(6)
    for factor, share in zip(factors, shares, strict=True):
        fixed[SPREADING_FACTORS.index(factor)] = share
    return fixed


def _gateway(table: GatewayTable, count: int) -> Gateway:
    if table.position_m is None and count > 1:
        raise BadInput(f"gateway {table.name!r} needs position_m = [east, north]: the site has {count} gateways")
    return Gateway(table.name, table.position_m or (0.0, 0.0), table.demodulation_paths)


def _distances_m(points_m: Floats, places_m: Floats) -> Floats:
    """Metres from each point to each place, shape (points, places), at least 1 m."""
    distances = np.hypot(*(points_m[:, None, :] - places_m[None, :, :]).transpose(2, 0, 1))
    return np.asarray(np.maximum(distances, NEAREST_M), dtype=np.float64)
