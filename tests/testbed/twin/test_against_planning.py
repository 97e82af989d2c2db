"""The twin's gateways against `planning.simulate`, an independent simulator, where both model the same thing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from planning.simulate.engine import run
from planning.simulate.radio import CAPTURE_DB, NEEDED_SIR_DB, NEEDED_SNR_DB
from planning.simulate.results import mean_and_interval, per_run
from planning.simulate.scenario import Scenario
from testbed.twin.open_loop import NoBackend
from testbed.twin.reception import Rules
from testbed.twin.scene import DeviceGroup, Gateway, Propagation, Scene
from testbed.twin.site import TwinSite

RADIUS_M = 400.0
DEVICES = 300
PERIOD_S = 20.0
SECONDS = 300.0
SEEDS = (1, 2, 3, 4)


def twin_ratios(factor: int, rules: Rules, fading: str, paths: int) -> list[float]:
    """Delivery ratios of strangers around one gateway, one for each seed."""
    ratios = []
    for seed in SEEDS:
        group = DeviceGroup(
            name="d", count=DEVICES, controlled=False, spreading_factor=factor, payload_bytes=7, eirp_dbm=14.0,
            period_s=PERIOD_S, traffic="poisson", area=(RADIUS_M, RADIUS_M, RADIUS_M),
        )  # fmt: skip
        scene = Scene(
            name="s", seed=seed,
            propagation=Propagation(exponent=4.0, fading=fading, noise_figure_db=0.0),  # type: ignore[arg-type]
            gateways=(Gateway(name="g", x_m=RADIUS_M, y_m=RADIUS_M, demodulation_paths=paths),),
            device_groups=(group,),
        )  # fmt: skip
        site = TwinSite(scene, NoBackend(), rules)
        site.advance(SECONDS)
        ratio = site.tally.share().ratio
        assert ratio is not None
        ratios.append(ratio)
    return ratios


def planned(factor: int, **changes: Any) -> Scenario:
    """The same site as planning has it."""
    plain = Scenario(
        devices=DEVICES, subchannels=3, traffic="renewal", interval_s=PERIOD_S, duration_s=SECONDS, policy="random",
        spreading_factors=(factor,), payload_bytes=20, preamble_symbols=8.0, explicit_header=True, power_dbm=14.0,
        radius_m=RADIUS_M, runs=8, seed=5,
    )  # fmt: skip
    return plain.with_(**changes)


@pytest.mark.parametrize(
    ("factor", "capture"), [(7, False), (7, True), (9, True)], ids=["any overlap destroys", "SF7, radio", "SF9, radio"]
)
def test_delivery_ratio(factor: int, capture: bool) -> None:
    planning_snr = dict(NEEDED_SNR_DB)
    unlimited = dict.fromkeys(planning_snr, -200.0)
    if capture:
        rules = Rules(sensitivity_dbm=unlimited, needed_snr_db=planning_snr, needed_sir_db=dict(NEEDED_SIR_DB),
                      capture_db=CAPTURE_DB, inter_sf=False)  # fmt: skip
        twin = twin_ratios(factor, rules, "rayleigh", paths=8)
        scenario = planned(factor, capture=True, fading="rayleigh", demodulators=8)
    else:
        rules = Rules(sensitivity_dbm=unlimited, needed_snr_db=unlimited, capture_db=200.0, lock_symbols=None)
        twin = twin_ratios(factor, rules, "none", paths=1000)
        scenario = planned(factor)
    expected, (low, high) = mean_and_interval(per_run(scenario, run(scenario))["delivery_ratio"])
    mean, half = float(np.mean(twin)), 3.2 * float(np.std(twin, ddof=1)) / math.sqrt(len(twin))  # t(3), 95 %
    assert 0.05 < expected < 0.95
    # both intervals must meet; between the models a percent is allowed for what each does at the run's ends
    assert max(low - 0.01, mean - half) <= min(high + 0.01, mean + half), (twin, expected, low, high)
    assert abs(mean - expected) < 0.05
