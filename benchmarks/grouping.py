"""How near and how fast `airshed group` is: the tables of docs/grouping.md.

    python benchmarks/grouping.py [static] [small] [large] [speed] [dynamic]     (default: all but dynamic)

Traffic of table III. Every figure is a mean over independent networks with its 95 % confidence interval, or a median
of seconds. Time limits are of processor time, which other work on the machine disturbs less; `user` is what was used.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from planning.grouping.assignment import changed_devices, check
from planning.grouping.best import Answer, Clock, best
from planning.grouping.dynamic import hda
from planning.grouping.experiments import Setting, initial, moments
from planning.grouping.initial import hia
from planning.grouping.intervals import mean_of
from planning.grouping.regroup import best_regrouping
from planning.grouping.traffic import generate

LOADS = ("low", "medium", "high")
SHIFTS = (0, 3)
LIMIT_S = {"low": 25.0, "medium": 15.0, "high": 3.0}


def timed(work: Callable[[], Answer]) -> tuple[Answer, float, float]:
    """(answer, wall seconds, processor seconds)."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return answer, time.perf_counter() - wall, time.process_time() - cpu


def static(devices: int, runs: int, limits: dict[str, float]) -> None:
    """Saving of hia and best, the gap to the proved bound, and seconds."""
    print(f"\nM = {devices}, {runs} networks")
    print("load    shift  saving hia, %    saving best, %   gap, lines (each)              wall s  user s (medians)")
    for load in LOADS:
        for tau in SHIFTS:
            rows = []
            for seed in range(1, runs + 1):
                traffic = generate(devices, load, np.random.default_rng(seed))
                answer, wall, cpu = timed(
                    lambda t=traffic, s=tau, x=limits[load]: best(
                        t, s, Clock(time.process_time, time.process_time() + x)
                    )
                )
                check(traffic, answer.assignment, tau)
                lines = answer.assignment.lines
                rows.append((hia(traffic, tau).lines, lines, lines - answer.lower_bound, wall, cpu))
            first, better, gaps, walls, cpus = map(list, zip(*rows, strict=True))
            shown = " ".join(map(str, gaps))
            print(
                f"{load:7} {tau:5}  {_saving(first, devices):16} {_saving(better, devices):16} {shown:30} "
                f"{statistics.median(walls):6.2f}  {statistics.median(cpus):6.2f}",
                flush=True,
            )


def _saving(lines: Sequence[int], devices: int) -> str:
    return str(mean_of([100 * (devices - value) / devices for value in lines]))


def small(runs: int) -> None:
    """HIA beside the optimum at the paper's sizes: points of saving between them, and how often it is proved."""
    sizes = (5, 10, 15, 20, 25, 30, 40, 50)
    print(f"\nM = {sizes}, {runs} networks each")
    for load in LOADS:
        for tau in SHIFTS:
            gaps, proved = [], 0
            for seed in range(runs):
                pairs = [(initial(Setting(load, m, tau), "hia", seed), initial(Setting(load, m, tau), "best", seed))
                         for m in sizes]  # fmt: skip
                gaps.append(float(np.mean([better.saving_percent - first.saving_percent for first, better in pairs])))
                proved += sum(better.proved for _, better in pairs)
            print(f"{load:7} {tau:5}  gap {mean_of(gaps)} points, proved {proved} of {runs * len(sizes)}", flush=True)


def speed() -> None:
    """HIA after compilation."""
    print("\nHIA, seconds after compilation (median of 5; load high, shifts up to 3)")
    hia(generate(50, "high", np.random.default_rng(1)), 3)
    for devices in (500, 100_000):
        traffic = generate(devices, "high", np.random.default_rng(1))
        taken = []
        for _ in range(5):
            began = time.process_time()
            hia(traffic, 3)
            taken.append(time.process_time() - began)
        print(f"M = {devices}: {statistics.median(taken):.4f}")


def dynamic(runs: int, count: int) -> None:
    """Chains of moments at 10 %: saving and updated identities by method, and the best method beside HDA."""
    print(f"\nM = 500, 10 % leave and join, {runs} networks of {count} moments")
    print("load    shift  method    saving, %        updated, %       s a moment")
    for load in LOADS:
        for tau in SHIFTS:
            setting = Setting(load, 500, tau, leaving=50, joining=50, moments=count)
            for method in ("hda", "hda-nosr", "best"):
                savings, changed, seconds = [], [], []
                for seed in range(1, runs + 1):
                    rows = list(moments(setting, method, seed))
                    savings.append(np.mean([100 * (500 - a.lines) / 500 for _, a, _, _ in rows]))
                    changed.append(np.mean([changed_devices(t, a, b) / 5 for t, a, b, _ in rows if b is not None]))
                    seconds.append(np.mean([took for _, _, b, took in rows if b is not None]))
                print(
                    f"{load:7} {tau:5}  {method:9} {mean_of(savings)!s:16} {mean_of(changed)!s:16} "
                    f"{np.mean(seconds):.3f}",
                    flush=True,
                )


def dominated(count: int) -> None:
    """How often, over `count` moments at 10 to 50 %, best had more lines or more changes than HDA from one state."""
    worse = tried = 0
    for load in LOADS:
        for tau in SHIFTS:
            for share in (0.1, 0.2, 0.3, 0.4, 0.5):
                churn = int(500 * share)
                setting = Setting(load, 500, tau, leaving=churn, joining=churn, moments=count)
                for traffic, _, before, _ in moments(setting, "hda", 7):
                    if before is None:
                        continue
                    clock = Clock(time.monotonic, time.monotonic() + 20.0)
                    answer = best_regrouping(traffic, tau, before, clock).assignment
                    rival = hda(traffic, tau, before)
                    tried += 1
                    worse += answer.lines > rival.lines or changed_devices(traffic, answer, before) > changed_devices(
                        traffic, rival, before
                    )
    print(f"\nworse than HDA in lines or in changes: {worse} of {tried} moments")


def main(parts: Sequence[str]) -> None:
    print(platform.platform(), platform.python_version(), f"{os.cpu_count()} cores", f"load {os.getloadavg()[0]:.1f}")
    chosen = parts or ("static", "small", "large", "speed")
    best(generate(30, "high", np.random.default_rng(1)), 3, Clock(time.monotonic, time.monotonic() + 30))
    if "speed" in chosen:
        speed()
    if "static" in chosen:
        static(500, 10, LIMIT_S)
    if "small" in chosen:
        small(8)
    if "large" in chosen:
        static(100_000, 3, dict.fromkeys(LOADS, 5.0))
    if "dynamic" in chosen:
        dynamic(5, 20)
        dominated(3)


if __name__ == "__main__":
    main(sys.argv[1:])
