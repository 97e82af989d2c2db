"""The same sweep through threads and through a Dask cluster, in any split."""

from __future__ import annotations

import numpy as np
import pytest

from planning.simulate import engine, sweep
from planning.simulate.scenario import Scenario
from spectrum.errors import Failed

SCENARIOS = [
    Scenario(devices=60, attempts=2, runs=7),
    Scenario(devices=40, traffic="renewal", interval_s=5.0, duration_s=60.0, policy="random", runs=3),
]


def test_threads_give_what_one_worker_gives() -> None:
    with sweep.local_executor(3) as executor:
        found = sweep.run_all(SCENARIOS, executor, 3, by_device=True)
    for scenario, tallies in zip(SCENARIOS, found, strict=True):
        alone = engine.run(scenario, by_device=True)
        assert np.array_equal(alone.counts, tallies.counts)
        assert np.array_equal(alone.delivered, tallies.delivered)


def test_a_cluster_gives_the_same() -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (extra `cluster`)")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=None
        ) as cluster,
        sweep.cluster_executor(cluster.scheduler_address) as executor,
    ):
        found = sweep.run_all(SCENARIOS, executor, 2)
    for scenario, tallies in zip(SCENARIOS, found, strict=True):
        assert np.array_equal(engine.run(scenario).counts, tallies.counts)


def test_a_silent_cluster_is_one_clear_line() -> None:
    pytest.importorskip("distributed", reason="Dask is not installed (extra `cluster`)")
    with pytest.raises(Failed, match="no Dask scheduler"), sweep.cluster_executor("tcp://127.0.0.1:9", wait="1s"):
        pass


def test_progress_counts_every_run() -> None:
    done: list[float] = []
    with sweep.local_executor(2) as executor:
        sweep.run_all(SCENARIOS, executor, 2, done.append)
    assert sum(done) == 10


def test_runs_are_split_without_loss() -> None:
    for count in (1, 2, 7, 100):
        parts = sweep.split(range(count), 8)
        assert [run for part in parts for run in part] == list(range(count))


def test_a_grid_takes_every_combination() -> None:
    grid = sweep.grid({"devices": 10}, {"attempts": [1, 2], "subchannels": [3, 4, 5]})
    assert [(s.attempts, s.subchannels) for s in grid] == [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)]
