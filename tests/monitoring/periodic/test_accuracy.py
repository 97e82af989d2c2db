"""How near the estimates come to the truth, on the traces of section 5 of paper E; and what the errata change."""

from __future__ import annotations

import numpy as np
import pytest

from monitoring.periodic.methods import METHODS, by_lattice, by_lattice_labelled
from monitoring.periodic.regression import nhm
from monitoring.periodic.synthetic import Trace, paper_trace


def errors(method: object, traces: list[Trace], outage: float, labelled: bool) -> tuple[float, float]:
    """Mean absolute error against the nominal and against the realised outage."""
    nominal, realised = [], []
    for trace in traces:
        times = trace.streams[0].times_s if labelled else trace.times_s
        truth = trace.streams[0].outage if labelled else trace.outage
        estimate = method(times, 25).outage  # type: ignore[operator]
        nominal.append(abs(estimate - outage))
        realised.append(abs(estimate - truth))
    return float(np.mean(nominal)), float(np.mean(realised))


def traces(seed: int, outage: float, count: int, applications: int, runs: int) -> list[Trace]:
    """Seeded traces of section 5."""
    rng = np.random.default_rng(seed)
    return [paper_trace(rng, outage, count, applications) for _ in range(runs)]


@pytest.mark.parametrize(("outage", "nominal_most"), [(0.3, 0.050), (0.5, 0.045)])
def test_labelled_streams_reach_the_binomial_floor(outage: float, nominal_most: float) -> None:
    drawn = traces(1, outage, 50, 1, 400)
    nominal, realised = errors(by_lattice_labelled, drawn, outage, labelled=True)
    assert nominal <= nominal_most
    assert realised <= 0.001


def test_two_unlabelled_applications_are_told_apart() -> None:
    drawn = traces(2, 0.3, 50, 2, 80)
    nominal, realised = errors(by_lattice, drawn, 0.3, labelled=False)
    assert nominal <= 0.045
    assert realised <= 0.006


def test_three_applications_and_the_option_of_equal_counts() -> None:
    _, realised = errors(by_lattice, traces(3, 0.2, 50, 3, 15), 0.2, labelled=False)
    assert realised <= 0.006
    rng = np.random.default_rng(4)
    equal = [paper_trace(rng, 0.3, 50, 2, second="count") for _ in range(15)]
    assert all(stream.times_s.size == 50 for trace in equal for stream in trace.streams)
    assert errors(by_lattice, equal, 0.3, labelled=False)[1] <= 0.01


def test_the_lattice_search_beats_the_papers_clustering_and_the_naive_method() -> None:
    drawn = traces(5, 0.3, 50, 2, 25)
    ours = errors(by_lattice, drawn, 0.3, labelled=False)[1]
    for name in ("spc", "goc", "naive"):
        assert errors(METHODS[name], drawn, 0.3, labelled=False)[1] > 3 * ours


def test_nhm_from_the_mean_gap_sticks_to_a_multiple_and_from_the_smallest_does_not() -> None:
    drawn = traces(6, 0.5, 50, 1, 150)
    assert errors(METHODS["nhm-mean"], drawn, 0.5, labelled=True)[1] > 0.03
    assert errors(METHODS["nhm"], drawn, 0.5, labelled=True)[1] <= 0.001
    # stuck means converged: another start would not have left
    stuck = [one for one in (trace.times_s for trace in drawn) if nhm(one, "mean").outage < nhm(one).outage - 0.1]
    assert stuck
    assert all(nhm(one, period_s=nhm(one, "mean").period_s).period_s > 1.1 * nhm(one).period_s for one in stuck)


def test_spc_finds_both_applications_when_nothing_is_lost() -> None:
    drawn = traces(7, 0.0, 50, 2, 20)
    found = [METHODS["spc"](trace.times_s, 10).clusters for trace in drawn]
    hit = [
        any(abs(cluster.period_s / trace.streams[0].period_s - 1) < 0.01 for cluster in clusters)
        for trace, clusters in zip(drawn, found, strict=True)
    ]
    assert np.mean(hit) > 0.8


def test_receptions_at_random_have_no_period(rng: np.random.Generator) -> None:
    found = [bool(by_lattice(np.cumsum(rng.exponential(600, 80))).clusters) for _ in range(40)]
    assert sum(found) <= 2


def test_the_floor_is_the_binomials(rng: np.random.Generator) -> None:
    # mean absolute deviation of a normal is sqrt(2/pi) standard deviations; n = 50/0.7 reports
    drawn = traces(8, 0.3, 50, 1, 400)
    realised = np.mean([abs(trace.outage - 0.3) for trace in drawn])
    assert realised == pytest.approx(np.sqrt(2 / np.pi) * np.sqrt(0.3 * 0.7 / (50 / 0.7)), rel=0.15)
