"""A site's answer against the plain way to it: sums written out, every headroom bisected, every place tried."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from planning.models import site_answer
from planning.models.capture_model import CO_SF, COVERAGE, INTER_SF
from planning.models.loss_queue import erlang_b
from planning.models.site_answer import LEAST_LOAD, MOST_LOAD, SiteAnswer, changes, largest_load
from planning.models.site_model import Gateway, Group, SiteModel, disc_points_m, site_model
from planning.models.site_reception import ALL, MECHANISMS, Reception, reception
from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS, LORAWAN_EXTRA_CHANNELS
from spectrum.site_file import read_site

CHANNELS = (*LORAWAN_EXTRA_CHANNELS, *LORAWAN_DEFAULT_CHANNELS)
TOWN = Path(__file__).parents[3] / "hardware" / "sites" / "town.toml"


def some_site(gateways: int, plan: str, *, points: int = 4, scheduled: bool = True) -> SiteModel:
    """Three groups, of which one may be scheduled, under up to seven gateways."""
    places = [(0.0, 0.0), (900.0, 0.0), (0.0, 800.0), (-700.0, 100.0), (400.0, -900.0), (1500.0, 900.0), (0.0, 2000.0)]
    fixed = np.array([0.5, 0.0, 0.5, 0.0, 0.0, 0.0])
    groups = (
        Group("wide", 900, 400.0, 40, 1, "random", disc_points_m((0.0, 0.0), 1500.0, points)),
        Group("dense", 300, 60.0, 20, 1, "random", disc_points_m((600.0, 300.0), 500.0, points + 1), fixed),
        Group("third", 200, 600.0, 30, 4, "pool" if scheduled else "random", disc_points_m((0.0, 0.0), 700.0, points)),
    )
    stand = tuple(Gateway(f"g{index}", place, 8 - index) for index, place in enumerate(places[:gateways]))
    return SiteModel("some", groups, stand, CHANNELS, np.linspace(0.0, 0.2, 8), plan=plan)


def plain_success(model: SiteModel, group: int, load: float, channels: int) -> float:
    """P(some gateway receives) of one group, every sum of the module's formula as a loop."""
    snr, shares = model.mean_snr(), model.spreading_shares()
    heard = sorted(np.argsort(-np.log(snr[group]).mean(axis=0))[:5].tolist())
    drops = plain_drops(model, load)
    mine, total = model.groups[group], 0.0
    for x, m in zip(*np.nonzero(shares[group]), strict=True):
        received = 0.0
        for size in range(1, len(heard) + 1):
            for members in combinations(heard, size):
                exponent = sum(COVERAGE[m] / snr[group][x, j] for j in members)
                if mine.access == "random":
                    exponent += load / channels * plain_interference(model, group, int(x), int(m), members)
                free = math.prod(1.0 - drops[j] for j in members)
                received += (-1) ** (size + 1) * free * math.exp(-exponent)
        busy = np.minimum(model.occupancy, 1.0)
        alone = np.mean((1 - busy) * np.exp(-busy / (1 - busy) / model.burst_s * mine.airtimes_s[m]))
        total += shares[group][x, m] * min(max(received, 0.0), 1.0) * alone
    return total / len(shares[group])


def plain_interference(model: SiteModel, group: int, x: int, m: int, members: tuple[int, ...]) -> float:
    """Exponent of the frames of others, at load 1 and one channel."""
    snr, shares, total = model.mean_snr(), model.spreading_shares(), 0.0
    for y, other in enumerate(model.groups):
        if other.access == "pool":
            continue
        devices = other.devices - (1 if y == group else 0)
        for point, k in zip(*np.nonzero(shares[y]), strict=True):
            rate = devices / len(shares[y]) / other.period_s * shares[y][point, k]
            threshold = CO_SF if k == m else INTER_SF[m]
            kept = math.prod(1.0 / (1.0 + threshold * snr[y][point, j] / snr[group][x, j]) for j in members)
            total += rate * (model.groups[group].airtimes_s[m] + other.airtimes_s[k]) * (1.0 - kept)
    return total


def plain_drops(model: SiteModel, load: float) -> list[float]:
    drops = []
    for j, gateway in enumerate(model.gateways):
        erlang = 0.0
        for group, snr, shares in zip(model.groups, model.mean_snr(), model.spreading_shares(), strict=True):
            if group.access == "random":
                rates = group.devices / len(shares) / group.period_s * shares * group.airtimes_s
                erlang += float((rates * np.exp(-COVERAGE / snr[:, j, None])).sum())
        drops.append(float(erlang_b(gateway.paths, load * erlang)))
    return drops


def bisected(fits: Callable[[float], bool]) -> float:
    """Largest load that fits, by halving alone."""
    if not fits(LEAST_LOAD):
        return 0.0
    if fits(MOST_LOAD):
        return math.inf
    low, high = math.log(LEAST_LOAD), math.log(MOST_LOAD)
    for _ in range(30):
        middle = (low + high) / 2.0
        low, high = (middle, high) if fits(math.exp(middle)) else (low, middle)
    return math.exp(low)


@pytest.mark.parametrize(("gateways", "plan"), [(1, "distance"), (3, "uniform"), (3, "equal-load"), (7, "distance")])
def test_success_is_the_sum_written_out(gateways: int, plan: str) -> None:
    model = some_site(gateways, plan, points=3)
    ready = reception(model)
    for load, channels in ((1.0, 8), (7.0, 5)):
        found = ready.group_success(load, ALL, channels)
        assert found == pytest.approx([plain_success(model, group, load, channels) for group in range(3)], abs=1e-12)


@pytest.mark.parametrize("plan", ["distance", "uniform"])
@pytest.mark.parametrize("target", [0.05, 0.3])
def test_headroom_and_mechanisms_are_those_of_bisection(plan: str, target: float) -> None:
    answer = SiteAnswer(some_site(3, plan), target)
    channels = len(CHANNELS) - answer.pool.reserved
    random = np.array([True, True, False])
    expected = {}
    for name in MECHANISMS:
        expected[name] = bisected(
            lambda load, name=name: (
                float(  # type: ignore[misc]
                    (1.0 - answer.reception.group_success(load, frozenset({name}), channels))[random].max()
                )
                <= target
            )
        )
    found = {one.name: one.headroom for one in answer.mechanisms}
    for name, headroom in expected.items():
        assert found[name] == pytest.approx(headroom, rel=3e-6), name

    def fits(load: float) -> bool:
        pool = answer.pool_demand.at(target, load)
        left = len(CHANNELS) - pool.reserved
        if pool.infeasible or left < 1:
            return False
        lost = np.where(random, 1.0 - answer.reception.group_success(load, ALL, left), pool.outage)
        return float(lost.max()) <= target

    assert answer.headroom == pytest.approx(min(found["duty_cycle"], bisected(fits)), rel=3e-6)
    assert answer.limiting == answer.mechanisms[0].name


def test_the_limiting_mechanism_of_every_change_heads_its_list() -> None:
    table = read_site(TOWN)
    for target in (0.02, 0.1, 0.5):
        answer = SiteAnswer(site_model(table, np.zeros(len(table.spectrum.lora)), 0.1, "distance"), target)
        for change in changes(answer):
            assert change.after.limiting == change.after.mechanisms[0].name


def test_a_load_is_found_where_the_excess_jumps_or_never_comes() -> None:
    assert largest_load(lambda load: -1.0 if load < 3.0 else 50.0) == pytest.approx(3.0, rel=3e-6)
    assert largest_load(lambda _: 1.0) == 0.0
    assert largest_load(lambda _: -1.0) == math.inf


def test_few_loads_and_sites_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The town with all its changes: a bisection each took 561 looks at a load, and five times the work in each."""
    looks, built = 0, 0
    success, build = Reception.success, site_answer.reception

    def counted(self: Reception, *arguments: object) -> np.ndarray:
        nonlocal looks
        looks += 1
        return success(self, *arguments)  # type: ignore[arg-type]

    def counted_build(model: SiteModel) -> Reception:
        nonlocal built
        built += 1
        return build(model)

    monkeypatch.setattr(Reception, "success", counted)
    monkeypatch.setattr(site_answer, "reception", counted_build)
    table = read_site(TOWN)
    answer = SiteAnswer(site_model(table, np.zeros(len(table.spectrum.lora)), 0.1, "distance"), 0.1)
    answer.as_json()
    for change in changes(answer):
        change.as_json(answer)
    assert built <= 1 + 26 + 1 + 2 + 11
    assert looks <= 380


def test_a_screened_site_chooses_a_place_as_good_as_trying_all(monkeypatch: pytest.MonkeyPatch) -> None:
    model = replace(some_site(3, "distance", points=16, scheduled=False), border_scale=1.0)
    answer = SiteAnswer(model, 0.1)
    monkeypatch.setattr(site_answer, "SCREENED_ABOVE", math.inf)
    tried = {change.name: change.after for change in changes(answer)}
    monkeypatch.setattr(site_answer, "SCREENED_ABOVE", 0.0)
    monkeypatch.setattr(site_answer, "SCREENED_POINTS", 24)
    for change in changes(answer):
        gained = answer.worst_outage - tried[change.name].worst_outage
        assert change.after.worst_outage <= tried[change.name].worst_outage + 0.15 * abs(gained) + 1e-12
        assert all(len(group.points_m) >= 16 for group in change.after.model.groups)  # said of the whole site
