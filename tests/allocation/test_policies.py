"""The table of policies, each row against its own sentence."""

from __future__ import annotations

from random import Random

import pytest

from allocation.attempts import SlotGrid, Try, attempts_for, plan_attempts, settle
from allocation.policies import POLICIES, available, candidates, policy_named, ranked
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.status import ChannelStatus, detection_error_weight, posterior_busy

CHANNELS = [Subchannel(867.1e6 + 200e3 * i, 125e3) for i in range(8)]
GRID = SlotGrid(100.0, 0.1, 50)


def status(
    i: int, *, energy_db: float = -1.0, pf: float = 0.2, pm: float = 0.1, occupancy: float = 0.0
) -> ChannelStatus:
    """Subchannel `i`, `energy_db` relative to the threshold."""
    return ChannelStatus(CHANNELS[i], 0.0, -40.0 + energy_db, -42.0, -40.0, pf, pm, occupancy)


def test_available_is_per_subchannel_and_excludes_equality() -> None:
    statuses = [status(0, energy_db=-0.1), status(1, energy_db=0.0), status(2, energy_db=3.0)]
    assert [s.subchannel for s in available(statuses)] == [CHANNELS[0]]


def test_the_printed_weight_prefers_the_busier_channel_and_the_posterior_does_not() -> None:
    quiet, crowded = status(0, occupancy=0.05), status(1, occupancy=0.6)
    assert detection_error_weight(0.2, 0.1, 0.6) == pytest.approx(0.14)
    assert posterior_busy(0.2, 0.1, 0.6) == pytest.approx(0.06 / (0.06 + 0.32))
    by_weight = ranked([quiet, crowded], POLICIES["algorithm1"], {})
    by_posterior = ranked([quiet, crowded], POLICIES["posterior"], {})
    assert by_weight[0][0] is crowded
    assert by_posterior[0][0] is quiet


def test_candidates_keep_ties() -> None:
    order = ranked([status(i, occupancy=0.5 if i > 2 else 0.1) for i in range(8)], POLICIES["posterior"], {})
    assert candidates(order, 0.25) == tuple(CHANNELS[:3])
    assert candidates(order, 0.5) == tuple(CHANNELS)
    assert candidates((), 0.5) == ()


def test_algorithm1_draws_uniformly_over_the_available_cells() -> None:
    statuses = [status(i, energy_db=5.0 if i == 3 else -1.0) for i in range(8)]
    rng = Random(1)
    counts: dict[Try, int] = {}
    for _ in range(7000):
        plan = plan_attempts(statuses, GRID, POLICIES["algorithm1"], 5, rng)
        for drawn in plan.tries:
            counts[drawn] = counts.get(drawn, 0) + 1
    assert CHANNELS[3] not in {drawn.subchannel for drawn in counts}
    # 35,000 draws over 7 x 50 cells: chi-square with 349 degrees of freedom, mean 349, standard deviation 26.4.
    chi_square = sum((n - 100.0) ** 2 / 100.0 for n in counts.values()) + 100.0 * (350 - len(counts))
    assert abs(chi_square - 349.0) < 5 * 26.4


def test_random_access_asks_nobody() -> None:
    statuses = [status(i, energy_db=5.0) for i in range(8)]
    plan = plan_attempts(statuses, GRID, POLICIES["random"], 1, Random(1))
    assert plan.ranking.sensed
    assert set(plan.ranking.pool) == set(CHANNELS)


def test_nothing_available_draws_blindly_and_says_so() -> None:
    statuses = [status(i, energy_db=5.0) for i in range(8)]
    plan = plan_attempts(statuses, GRID, POLICIES["algorithm1"], 2, Random(1))
    assert not plan.ranking.sensed
    assert set(plan.ranking.pool) == set(CHANNELS)


def test_least_loaded_takes_the_emptiest() -> None:
    load = {CHANNELS[i]: i % 4 for i in range(8)}
    plan = plan_attempts([status(i) for i in range(8)], GRID, POLICIES["least-loaded"], 3, Random(1), load=load)
    assert plan.ranking.pool == (CHANNELS[0], CHANNELS[4])


def test_round_robin_goes_on_after_the_last() -> None:
    statuses = [status(i) for i in range(8)]
    plan = plan_attempts(statuses, GRID, POLICIES["round-robin"], 3, Random(1), last=CHANNELS[6])
    assert [drawn.subchannel for drawn in plan.tries] == [CHANNELS[7], CHANNELS[0], CHANNELS[1]]


def test_settle_takes_the_first_idle_try_or_forces_the_last() -> None:
    tries = [Try(CHANNELS[i], 0.0, 1.0) for i in range(3)]
    second = settle(tries, lambda drawn: drawn.subchannel == CHANNELS[1])
    nothing = settle(tries, lambda drawn: False)
    assert (second.taken, second.attempt, second.forced) == (tries[1], 2, False)
    assert (nothing.taken, nothing.attempt, nothing.forced) == (tries[2], 3, True)


def test_auto_attempts_against_direct_counting() -> None:
    # The smallest N with q^N <= 1 %, found by multiplying.
    for devices, cells in [(1, 1000), (50, 1000), (300, 1000), (900, 1000)]:
        n, failed = 1, devices / cells
        while failed > 0.01:
            n, failed = n + 1, failed * devices / cells
        assert attempts_for(devices, cells, 1e9, 1.0) == min(n, 32)
    assert attempts_for(900, 1000, 4.0, 1.0) == 4
    assert attempts_for(5000, 1000, 7.0, 1.0) == 7


def test_refusals() -> None:
    with pytest.raises(BadInput, match="unknown policy 'best'"):
        policy_named("best")
    with pytest.raises(BadInput, match="1 or more, got 0"):
        plan_attempts([status(0)], GRID, POLICIES["random"], 0, Random(1))
