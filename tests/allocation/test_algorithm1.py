"""Algorithm 1 of the RRM paper, line by line, against a plain version written from its text."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.attempts import SlotGrid, Try, plan_attempts, settle
from allocation.policies import POLICIES
from spectrum.eu868 import Subchannel
from spectrum.status import ChannelStatus

ALGORITHM1 = POLICIES["algorithm1"]


def status(number: int, energy: float, threshold: float, pf: float, pm: float, occupancy: float) -> ChannelStatus:
    """Subchannel `number` with an energy and a threshold in dBFS."""
    return ChannelStatus(Subchannel(867.1e6 + 200e3 * number, 125e3), 0.0, energy, -42.0, threshold, pf, pm, occupancy)


channels = st.lists(
    st.tuples(st.integers(-45, -35), st.floats(0.01, 0.5), st.floats(0.01, 0.5), st.floats(0.0, 1.0)),
    min_size=1,
    max_size=12,
).map(lambda rows: [status(i, float(e), -40.0, pf, pm, occupancy) for i, (e, pf, pm, occupancy) in enumerate(rows)])

taken_cells = st.sets(st.tuples(st.integers(0, 11), st.integers(0, 3)))


def algorithm_1(
    attempts: int, statuses: list[ChannelStatus], slots: int, taken: set[tuple[int, int]], rng: Random
) -> tuple[tuple[int, int], int, bool]:
    """The printed algorithm: ((slot number, subchannel number), attempts used, forced)."""
    # 1: set N; 2: obtain E_c for every c
    energies = {i: s.energy_dbfs for i, s in enumerate(statuses)}
    # 3-5: the available set X: those c with E_c < E_th (each c by itself)
    available = [i for i, s in enumerate(statuses) if energies[i] < s.threshold_dbfs]
    # 6: order X by Pm Pr(H1) + Pf Pr(H0)
    weight = {i: s.pm * s.occupancy + s.pf * (1 - s.occupancy) for i, s in enumerate(statuses)}
    x = sorted(available or range(len(statuses)), key=lambda i: (weight[i], i))
    # 7: the status of each of X is that of the database: `taken`
    cell = (0, 0)
    for i in range(1, attempts + 1):  # 8
        subchannel = x[rng.randrange(len(x))]  # 9: random slot and subchannel
        cell = (rng.randrange(slots), subchannel)
        if available and (cell[1], cell[0]) not in taken:  # 10: slot idle and subchannel available
            return cell, i, False  # 11: exit for loop
        # 13: the database is updated by whoever takes a cell
    return cell, attempts, True  # section 4: after N attempts a subchannel is forced


@given(channels, taken_cells, st.integers(1, 6), st.integers(0, 10_000))
@settings(max_examples=300, deadline=None)
def test_line_by_line(statuses: list[ChannelStatus], taken: set[tuple[int, int]], attempts: int, seed: int) -> None:
    slots, slot_s = 4, 0.5
    grid = SlotGrid(0.0, slot_s, slots)
    plan = plan_attempts(statuses, grid, ALGORITHM1, attempts, Random(seed))

    def is_idle(drawn: Try) -> bool:
        number = next(i for i, s in enumerate(statuses) if s.subchannel == drawn.subchannel)
        return plan.ranking.sensed and (number, round(drawn.start_s / slot_s)) not in taken

    outcome = settle(plan.tries, is_idle)
    (slot, number), used, forced = algorithm_1(attempts, statuses, slots, taken, Random(seed))
    assert outcome.taken.subchannel == statuses[number].subchannel
    assert round(outcome.taken.start_s / slot_s) == slot
    assert (outcome.attempt, outcome.forced) == (used, forced)


@given(channels)
@settings(max_examples=100, deadline=None)
def test_the_order_is_by_the_printed_weight(statuses: list[ChannelStatus]) -> None:
    plan = plan_attempts(statuses, SlotGrid(0.0, 1.0), ALGORITHM1, 1, Random(1))
    weights = [score for _, score in plan.ranking.order]
    assert weights == sorted(weights)
    assert {cell for cell, _ in plan.ranking.order} == {s.subchannel for s in statuses if not s.busy} or all(
        s.busy for s in statuses
    )
