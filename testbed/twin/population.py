"""The devices of a scene, one by one: places, spreading factors, names and keys, all from the scene and its seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from spectrum.lora import SPREADING_FACTORS
from testbed.twin.air import link_gain_db, noise_dbm, uniform
from testbed.twin.reception import NEEDED_SNR_DB, SENSITIVITY_DBM
from testbed.twin.scene import Gateway, Scene, Traffic

# What a device that chooses its spreading factor itself wants above the least that its gateway needs.
MARGIN_DB = 10.0


@dataclass(frozen=True, slots=True)
class Member:
    """One device on the map. number: from 0 through the whole scene. traffic: what it is and sends."""

    number: int
    name: str
    x_m: float
    y_m: float
    spreading_factor: int
    traffic: Traffic

    @property
    def dev_eui(self) -> int:
        """Its EUI; the block of addresses is for local use."""
        return 0x0200_0000_0000_0000 + self.number

    @property
    def dev_addr(self) -> int:
        """Its address when it is activated by personalization; prefix of an experimental network (NwkID 0)."""
        return 0x0100_0000 + self.number


def key_of(scene: Scene, member: Member, what: str) -> bytes:
    """A key of 16 bytes for one purpose: of this testbed only, and no secret."""
    return hashlib.blake2b(f"{scene.seed}\0{member.name}\0{what}".encode(), digest_size=16).digest()


def population(scene: Scene) -> tuple[Member, ...]:
    """All devices: those with a place of their own, then the groups in their order."""
    placed: list[tuple[str, float, float, Traffic]] = [(one.name, one.x_m, one.y_m, one) for one in scene.devices]
    for group in scene.device_groups:
        for i in range(1, group.count + 1):
            name = f"{group.name}-{i}"
            placed.append((name, *_place(scene, name, group.area), group))
    return tuple(
        Member(
            number, name, x_m, y_m, traffic.spreading_factor or _best_factor(scene, name, x_m, y_m, traffic), traffic
        )
        for number, (name, x_m, y_m, traffic) in enumerate(placed)
    )


def _place(scene: Scene, name: str, area: tuple[float, float, float] | None) -> tuple[float, float]:
    """Even over a disc (cut off at the map's edge), or over the map."""
    across, along = uniform(scene.seed, "place", name, 0), uniform(scene.seed, "place", name, 1)
    if area is None:
        return scene.map.width_m * across, scene.map.height_m * along
    x_m, y_m, radius_m = area
    away_m, angle = radius_m * math.sqrt(across), 2.0 * math.pi * along
    return (
        min(max(x_m + away_m * math.cos(angle), 0.0), scene.map.width_m),
        min(max(y_m + away_m * math.sin(angle), 0.0), scene.map.height_m),
    )


def _best_factor(scene: Scene, name: str, x_m: float, y_m: float, traffic: Traffic) -> int:
    """The lowest spreading factor that some gateway hears with MARGIN_DB to spare, else the highest."""
    for factor in SPREADING_FACTORS:
        for gateway in scene.gateways:
            level_dbm = traffic.eirp_dbm + link_gain_db(scene, name, (x_m, y_m), gateway) + gateway.antenna_gain_dbi
            if level_dbm >= least_dbm(scene, gateway, factor) + MARGIN_DB:
                return factor
    return SPREADING_FACTORS[-1]


def least_dbm(scene: Scene, gateway: Gateway, factor: int) -> float:
    """The weakest frame that a gateway can decode where nothing disturbs it."""
    figure_db = scene.propagation.noise_figure_db if gateway.noise_figure_db is None else gateway.noise_figure_db
    return max(SENSITIVITY_DBM[factor], noise_dbm(125e3, figure_db) + NEEDED_SNR_DB[factor])


def controlled(members: Sequence[Member], kind: str) -> tuple[Member, ...]:
    """The devices of one kind that are under the agent."""
    return tuple(one for one in members if one.traffic.kind == kind and one.traffic.controlled)
