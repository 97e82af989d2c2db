"""Many scenarios at once: on all cores through a standard executor, or on a Dask cluster through the same door."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from planning.simulate import engine, results
from planning.simulate.scenario import Scenario
from planning.simulate.tallies import Tallies, joined
from spectrum.errors import Failed

# A scenario's runs are split so that every worker gets about this many parts in all.
PARTS_PER_WORKER: Final = 4


def grid(base: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> list[Scenario]:
    """Every combination of the axes' values over the base fields, the last axis fastest.

    A policy of None is Algorithm 1, or random access where one attempt makes them the same.
    """
    combinations = [{**base, **dict(zip(axes, values, strict=True))} for values in itertools.product(*axes.values())]
    for fields in combinations:
        if fields.get("policy") is None:
            fields["policy"] = "algorithm1" if fields.get("attempts", 1) > 1 else "random"
    return [Scenario(**fields) for fields in combinations]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def local_executor(jobs: int) -> Iterator[Executor]:
    """Threads suffice: the kernels release the interpreter lock, and share compiled code and memory."""
    with ThreadPoolExecutor(jobs) as executor:
        yield executor


@contextmanager
def cluster_executor(address: str, wait: str = "10s") -> Iterator[Executor]:
    """A Dask cluster (extra `cluster`) behind the interface of the standard library's executors."""
    try:
        from distributed import Client
    except ImportError:
        raise Failed("--cluster needs Dask: install airshed[cluster]") from None
    try:
        client: Any = Client(address, timeout=wait, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise Failed(f"no Dask scheduler answers at {address}: {error or 'timeout'}") from None
    with client, client.get_executor() as executor:
        yield executor


def run_all(
    scenarios: Sequence[Scenario],
    executor: Executor,
    workers: int,
    advance: Callable[[float], object] = lambda runs: None,
    *,
    by_device: bool = False,
) -> list[Tallies]:
    """Tallies of every scenario, in order. `advance` is told the runs that are done."""
    parts_each = max(1, PARTS_PER_WORKER * workers // len(scenarios))
    tasks = [(index, runs) for index, s in enumerate(scenarios) for runs in split(range(s.runs), parts_each)]
    futures: list[Future[Tallies]] = []
    for index, runs in tasks:
        future = executor.submit(engine.run, scenarios[index], runs, by_device=by_device)
        future.add_done_callback(partial(_tell, advance, len(runs)))
        futures.append(future)
    parts: list[list[Tallies]] = [[] for _ in scenarios]
    for (index, _), future in zip(tasks, futures, strict=True):
        parts[index].append(future.result())
    return [joined(found) for found in parts]


def _tell(advance: Callable[[float], object], runs: int, _: Future[Tallies]) -> None:
    advance(runs)


def split(runs: range, parts: int) -> list[range]:
    """The runs in at most `parts` stretches of about equal length."""
    count = min(parts, len(runs))
    edges = [len(runs) * i // count for i in range(count + 1)]
    return [runs[low:high] for low, high in itertools.pairwise(edges)]


def reports(scenarios: Sequence[Scenario], tallies: Sequence[Tallies]) -> list[dict[str, Any]]:
    """One report per scenario."""
    return [results.summary(scenario, found) for scenario, found in zip(scenarios, tallies, strict=True)]
