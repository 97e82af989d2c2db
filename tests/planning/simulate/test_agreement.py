"""Simulation against theory: closed forms in more than a hundred cells, judged by their standard scores together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from planning.models.loss_queue import erlang_b
from planning.simulate import closed_forms as theory
from planning.simulate import engine, places, radio
from planning.simulate.results import per_run
from planning.simulate.scenario import Scenario
from spectrum.units import linear_from_db

# Every cell has a seed of its own: cells that share one would deviate together.
SEEDS = itertools.count(1)

# Names and standard scores of cells; a score compares run by run, so that random numbers of packets do not matter.
Cell = tuple[str, float]


def score(differences: np.ndarray) -> float:
    """Mean over its standard error, over runs."""
    return float(differences.mean() / (differences.std(ddof=1) / math.sqrt(differences.size)))


def window_cells() -> Iterator[Cell]:
    """Random access in a window: exact for any population, edges included."""
    for access in ("slotted", "pure"):
        for subchannels, devices_list in ((1, (40, 80, 160)), (5, (80, 200, 500, 1000)), (16, (200, 500, 1000, 2000))):
            for devices in devices_list:
                for airtime_s in (0.020, 0.066048, 0.4, 2.08):
                    for packets in ((1, 1), (1, 2)):
                        scenario = Scenario(
                            devices=devices, subchannels=subchannels, access=access, packets=packets, policy="random",
                            fixed_airtime_s=airtime_s, runs=120, seed=next(SEEDS),
                        )  # fmt: skip
                        found = per_run(scenario, engine.run(scenario))
                        slots = int(60.0 / airtime_s + 1e-6)

                        def expected(count: int, s: Scenario = scenario, slots: int = slots) -> float:
                            if s.access == "slotted":
                                return theory.slotted_unsuccessful(count, slots, s.subchannels)
                            return theory.pure_unsuccessful(count, s.airtimes_s[0], 60.0, s.subchannels)

                        means = np.array([expected(int(count)) for count in found["transmissions"]])
                        if 3.0 < means.mean() < 0.97 * found["transmissions"].mean():
                            name = f"{access} D={devices} C={subchannels} T={airtime_s} packets={packets}"
                            yield name, score(found["unsuccessful"] - means)


def renewal_cells() -> Iterator[Cell]:
    """Renewal traffic against the exact success of its steady state."""
    for devices, subchannels, airtime_s, gap_s in (
        (10, 1, 1.0, 20.0), (10, 1, 1.0, 100.0), (50, 1, 0.066048, 10.0), (50, 5, 0.4, 10.0), (200, 1, 0.02, 30.0),
        (200, 16, 2.08, 60.0), (500, 5, 0.1, 60.0), (4, 1, 2.0, 3.0), (4, 2, 2.0, 3.0), (1000, 10, 0.2, 100.0),
        (3, 1, 0.5, 0.2), (30, 3, 0.5, 5.0),
    ):  # fmt: skip
        scenario = Scenario(
            devices=devices, subchannels=subchannels, policy="random", traffic="renewal", interval_s=gap_s,
            fixed_airtime_s=airtime_s, duration_s=200.0 * gap_s / devices + 60.0 * airtime_s, runs=300,
            seed=next(SEEDS),
        )  # fmt: skip
        found = per_run(scenario, engine.run(scenario))
        success = theory.renewal_success(devices, airtime_s, gap_s, subchannels)
        delivered = found["transmissions"] - found["unsuccessful"]
        yield f"renewal D={devices} C={subchannels}", score(delivered - success * found["transmissions"])


def fluid_cells() -> Iterator[Cell]:
    """Algorithm 1 in slots with many cells, at several loads, N, and pairs of sensing errors."""
    slots, subchannels = 1000, 24
    for load in (0.1, 0.3, 0.6, 1.0, 1.6):
        for attempts in (1, 2, 5):
            for pf, pm in ((0.0, 0.0), (0.2, 0.1)):
                devices = round(load * slots * subchannels)
                scenario = Scenario(
                    devices=devices, subchannels=subchannels, access="slotted", packets=(1, 1), attempts=attempts,
                    pf=pf, pm=pm, fixed_airtime_s=0.06, runs=24, seed=next(SEEDS),
                )  # fmt: skip
                expected = devices * theory.fluid_unsuccessful(load, attempts, pf, pm)
                if expected > 25.0:
                    found = per_run(scenario, engine.run(scenario))
                    yield f"fluid load={load} N={attempts} Pf={pf}", score(found["unsuccessful"] - expected)


def capture_cells() -> Iterator[Cell]:
    """Capture and inter-SF interference under Rayleigh fading at one gateway."""
    for devices in (200, 800):
        for radius_m in (300.0, 900.0):
            scenario = Scenario(
                devices=devices, subchannels=1, policy="random", traffic="renewal", interval_s=60.0, duration_s=120.0,
                spreading_factors=(8, 10), payload_bytes=20, capture=True, capture_rule="sinr", inter_sf=True,
                fading="rayleigh",
                radius_m=radius_m, lock_symbols=10.0, runs=60, seed=next(SEEDS),
            )  # fmt: skip
            tallies = engine.run(scenario)
            link = linear_from_db(10.0 - float(places.path_loss_db(np.array(1.0), 4.0))) / radio.noise_mw(scenario)
            limits = radio.thresholds(scenario)
            for kind, airtime_s in enumerate(scenario.airtimes_s):
                rates = [devices / 2 / (60.0 + t) for t in scenario.airtimes_s]
                success = theory.capture_success(
                    radius_m, 4.0, link, limits.snr[kind], limits.sir[kind], linear_from_db(radio.CAPTURE_DB),
                    2.0 * airtime_s * rates[kind], (airtime_s + scenario.airtimes_s[1 - kind]) * rates[1 - kind],
                )  # fmt: skip
                found = per_run(scenario, tallies, kind)
                delivered = found["transmissions"] - found["unsuccessful"]
                name = f"capture D={devices} R={radius_m} SF{scenario.spreading_factors[kind]}"
                yield name, score(delivered - success * found["transmissions"])


@cache
def all_cells() -> tuple[Cell, ...]:
    return (*window_cells(), *renewal_cells(), *fluid_cells(), *capture_cells())


def test_every_cell_is_within_four_standard_errors() -> None:
    cells = all_cells()
    assert len(cells) >= 100
    assert [cell for cell in cells if not abs(cell[1]) <= 4.0] == []


def test_scores_are_neither_too_wide_nor_too_narrow() -> None:
    scores = np.array([value for _, value in all_cells()])
    assert 0.9 <= math.sqrt((scores**2).mean()) <= 1.1


def test_demodulation_paths_block_as_erlang_says() -> None:
    """Many devices, so many subchannels that next to nothing collides: what is lost finds eight paths busy."""
    scenario = Scenario(
        devices=5000, subchannels=60_000, policy="random", traffic="renewal", interval_s=100.0, duration_s=100.0,
        fixed_airtime_s=0.12, demodulators=8, radius_m=10.0, runs=40, seed=4,
    )  # fmt: skip
    found = per_run(scenario, engine.run(scenario))
    load = 5000 * 0.12 / 100.12
    lost = 1.0 - (1.0 - float(erlang_b(8, load))) * math.exp(-2.0 * load / 60_000)
    assert abs(score(found["unsuccessful"] - lost * found["transmissions"])) < 4.0


def test_a_wrong_formula_would_be_noticed() -> None:
    """The same scores with eq. P (1 - exp(-G)) instead of exp(-2G): far outside."""
    scenario = Scenario(devices=2000, packets=(1, 1), policy="random", runs=50)
    found = per_run(scenario, engine.run(scenario))
    wrong = 2000 * (1.0 - theory.poisson_success(2000 * scenario.airtimes_s[0] / 60.0 / 16, slotted=True))
    assert abs(score(found["unsuccessful"] - wrong)) > 20.0


def test_pure_form_is_the_mean_over_edges() -> None:
    """The printed form against direct integration of (1 - overlap(x) / (L C))^(P-1) over the start x."""
    from scipy.integrate import quad

    transmissions, airtime_s, window_s, subchannels = 37, 2.08, 60.0, 3
    length_s = window_s - airtime_s

    def missed(x: float) -> float:
        around_s = min(x, airtime_s) + min(length_s - x, airtime_s)
        return float((1.0 - around_s / (length_s * subchannels)) ** (transmissions - 1))

    alone = quad(missed, 0.0, length_s, points=[airtime_s, length_s - airtime_s])[0] / length_s
    expected = transmissions * (1.0 - alone)
    assert theory.pure_unsuccessful(transmissions, airtime_s, window_s, subchannels) == pytest.approx(
        expected, rel=1e-9
    )


def test_renewal_limit_is_the_limit() -> None:
    exact = theory.renewal_success(1000, 0.05, 1000.0)
    assert exact == pytest.approx(theory.renewal_success_limit(1000, 0.05, 1000.0), rel=1e-5)


def test_fluid_limit_of_one_attempt_is_slotted_aloha() -> None:
    assert theory.fluid_unsuccessful(0.7, 1) == pytest.approx(1.0 - math.exp(-0.7), abs=1e-7)
