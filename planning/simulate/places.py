"""Where devices and gateways are, and what of a device's power arrives: path loss and shadowing (notes 3.B.1)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from planning.simulate.scenario import Scenario
from planning.simulate.streams import root_key
from planning.simulate.tallies import STREAM_PLACES

CARRIER_MHZ: Final = 868.0
NEAREST_M: Final = 1.0  # the path loss is stated from 1 m on
GOLDEN_ANGLE: Final = math.pi * (3.0 - math.sqrt(5.0))
DEVICES_AT_ONCE: Final = 1_000_000


def path_loss_db(distance_m: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Loss at a distance: 20 log10(f_MHz) - 28 dB at 1 m, then 10 n dB a decade (notes 3.B.1)."""
    decades = np.log10(np.maximum(distance_m, NEAREST_M))
    return np.asarray(20.0 * math.log10(CARRIER_MHZ) - 28.0 + 10.0 * exponent * decades)


def gateway_places_m(count: int, radius_m: float) -> NDArray[np.float64]:
    """(G, 2) positions: one in the middle, several on a sunflower spiral that covers the disc evenly."""
    if count == 1:
        return np.zeros((1, 2))
    order = np.arange(count)
    distance_m, angle = radius_m * np.sqrt((order + 0.5) / count), order * GOLDEN_ANGLE
    return np.column_stack([distance_m * np.cos(angle), distance_m * np.sin(angle)])


def received_mw(scenario: Scenario, run: int) -> NDArray[np.float32]:
    """(D, G) mean power of every device at every gateway: devices uniform in the disc, log-normal shadowing."""
    rng = np.random.default_rng(int(root_key(scenario.seed, STREAM_PLACES, run)))
    gateways_m = gateway_places_m(scenario.gateways, scenario.radius_m)
    power_mw = np.empty((scenario.devices, scenario.gateways), np.float32)
    for first in range(0, scenario.devices, DEVICES_AT_ONCE):
        block = power_mw[first : first + DEVICES_AT_ONCE]
        distance_m = scenario.radius_m * np.sqrt(rng.random(len(block)))
        angle = rng.uniform(0.0, 2.0 * math.pi, len(block))
        device_x_m, device_y_m = distance_m * np.cos(angle), distance_m * np.sin(angle)
        for g, (x_m, y_m) in enumerate(gateways_m):
            away_m = np.hypot(device_x_m - x_m, device_y_m - y_m)
            level_dbm = scenario.power_dbm - path_loss_db(away_m, scenario.path_loss_exponent)
            level_dbm += scenario.shadowing_db * rng.standard_normal(len(block))
            block[:, g] = 10.0 ** (level_dbm / 10.0)
    if scenario.sf_order == "distance":  # the best heard get the lowest spreading factor
        power_mw = power_mw[np.argsort(-power_mw.max(axis=1), kind="stable")]
    return power_mw
