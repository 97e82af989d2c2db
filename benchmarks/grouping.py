"""How near and how fast `airshed group` is: the tables of docs/grouping.md.

    python benchmarks/grouping.py [static] [small] [large] [speed] [mixes]     (default: all)

Networks that change are measured by `airshed group figures --figure 13 --with-best`. Traffic of table III but for
`mixes`. Every figure is a mean over independent networks with its 95 % confidence interval, or a median. Time limits
are of processor time on one core, which other work on the machine disturbs less. The seeds are none that anything
was tuned on.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from planning.grouping.assignment import check, previous_of
from planning.grouping.best import Clock, best
from planning.grouping.dynamic import hda
from planning.grouping.exact import exact
from planning.grouping.experiments import Setting, changed_network, measured
from planning.grouping.initial import hia
from planning.grouping.intervals import mean_of
from planning.grouping.traffic import generate, write_devices

LOADS = ("low", "medium", "high")
SHIFTS = (0, 3)
LIMIT_S = {"low": 25.0, "medium": 15.0, "high": 3.0}
FIRST_SEED = 3000
# Intervals in minutes that do not divide one another; the last two have a timeline of 1001 and 60 slots.
MIXES = ((6, 10, 15), (4, 6, 9), (10, 15, 20, 30), (7, 11, 13), (12, 15, 20))


def limited(seconds: float) -> Clock:
    """A clock of processor time."""
    return Clock(time.process_time, time.process_time() + seconds)


def static(runs: int) -> None:
    """Saving of hia and best at M = 500, the gap to the proved bound, and seconds."""
    print(f"\nM = 500, {runs} networks, seeds from {FIRST_SEED}; networks by gap in lines: 0, 1, 2, ...")
    print("load    shift  saving hia, %    saving best, %   gaps          processor s: median, longest; limit")
    for load in LOADS:
        for tau in SHIFTS:
            first, lines, gaps, seconds = [], [], [], []
            for seed in range(FIRST_SEED, FIRST_SEED + runs):
                traffic = generate(500, load, np.random.default_rng(seed))
                began = time.process_time()
                answer = best(traffic, tau, limited(LIMIT_S[load]))
                seconds.append(time.process_time() - began)
                check(traffic, answer.assignment, tau)
                first.append(hia(traffic, tau).lines)
                lines.append(answer.assignment.lines)
                gaps.append(answer.assignment.lines - answer.lower_bound)
            print(
                f"{load:7} {tau:5}  {_saving(first, 500):16} {_saving(lines, 500):16} "
                f"{np.bincount(gaps).tolist()!s:12} "
                f"{statistics.median(seconds):6.2f} {max(seconds):6.2f} {LIMIT_S[load]:4.0f}",
                flush=True,
            )


def _saving(lines: Sequence[int], devices: int) -> str:
    return str(mean_of([100 * (devices - value) / devices for value in lines]))


def large(runs: int) -> None:
    """The whole command for 100,000 devices: loading, reading the file, grouping, checking, printing JSON."""
    print(
        f"\nM = 100000, {runs} networks: `airshed group DEVICES.csv --max-shift SHIFT --json` as a process of its own"
    )
    print("load    shift  saving best, %   gap, points of saving (longest)   wall s  processor s (medians)")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "devices.csv"
        for load in LOADS:
            for tau in SHIFTS:
                lines, gaps, walls, cpus = [], [], [], []
                for seed in range(FIRST_SEED, FIRST_SEED + runs):
                    write_devices(path, generate(100_000, load, np.random.default_rng(seed)))
                    before, began = _children_s(), time.perf_counter()
                    words = [sys.executable, "airshed.py", "group", str(path), "--max-shift", str(tau), "--json"]
                    told = subprocess.run(words, check=True, capture_output=True).stdout
                    walls.append(time.perf_counter() - began)
                    cpus.append(_children_s() - before)
                    record = json.loads(told)
                    lines.append(record["lines"])
                    gaps.append(100 * record["gap"] / 100_000)
                print(
                    f"{load:7} {tau:5}  {_saving(lines, 100_000):16} {max(gaps):.4f} {statistics.median(walls):32.1f} "
                    f"{statistics.median(cpus):8.1f}",
                    flush=True,
                )


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def small(runs: int) -> None:
    """HIA beside the optimum at the paper's sizes: points of saving between them, and how often it is proved."""
    sizes = (5, 10, 15, 20, 25, 30, 40, 50)
    print(f"\nM = {sizes}, {runs} networks each")
    for load in LOADS:
        for tau in SHIFTS:
            gaps, proved = [], 0
            for seed in range(runs):
                pairs = [(measured(Setting(load, m, tau), "hia", seed), measured(Setting(load, m, tau), "exact", seed))
                         for m in sizes]  # fmt: skip
                found = [better.saving_percent(0) - first.saving_percent(0) for first, better in pairs]
                gaps.append(float(np.mean(found)))
                proved += sum(better.proved for _, better in pairs)
            print(f"{load:7} {tau:5}  gap {mean_of(gaps)} points, proved {proved} of {runs * len(sizes)}", flush=True)


def speed() -> None:
    """HIA and HDA after compilation."""
    print(
        "\nprocessor seconds after compilation (median of 3), load high, shifts up to 3; HDA after 10 % left and joined"
    )
    for devices in (50, 500, 20_000, 100_000):
        traffic = generate(devices, "high", np.random.default_rng(FIRST_SEED))
        before = previous_of(traffic, hia(traffic, 3))
        churn = Setting("high", devices, 3, leaving=devices // 10, joining=devices // 10)
        now = changed_network(traffic, churn, np.random.default_rng(2), devices + 1)
        ways = {
            "hia": lambda: hia(traffic, 3),  # noqa: B023
            "hda-nosr": lambda: hda(now, 3, before, smart_removal=False),  # noqa: B023
            "hda": lambda: hda(now, 3, before),  # noqa: B023
        }
        for name, way in ways.items():
            taken = []
            for _ in range(3):
                began = time.process_time()
                way()
                taken.append(time.process_time() - began)
            # The smallest network only compiles.
            if devices > 50:
                print(f"M = {devices:6} {name:9} {statistics.median(taken):8.3f}", flush=True)


def mixes(runs: int) -> None:
    """Intervals that do not divide one another: gaps at M = 100, and best beside the exact model at M = 14."""
    print(f"\nother intervals, {runs} networks; networks by gap in lines at M = 100 after at most 10 processor seconds")
    print("intervals        load    shift  saving hia, %    saving best, %   gaps             best = exact, M = 14")
    for intervals in MIXES:
        for load in ("low", "high"):
            for tau in (0, 2):
                first, lines, gaps, same, proved = [], [], [], 0, 0
                for seed in range(FIRST_SEED, FIRST_SEED + runs):
                    traffic = generate(100, load, np.random.default_rng(seed), intervals=intervals)
                    answer = best(traffic, tau, limited(10.0))
                    check(traffic, answer.assignment, tau)
                    first.append(hia(traffic, tau).lines)
                    lines.append(answer.assignment.lines)
                    gaps.append(answer.assignment.lines - answer.lower_bound)
                    few = generate(14, load, np.random.default_rng(seed), intervals=intervals)
                    found = exact(few, tau, 10.0)
                    if found is not None and found.proved:
                        proved += 1
                        same += best(few, tau, limited(10.0)).assignment.lines == found.assignment.lines
                print(
                    f"{intervals!s:16} {load:7} {tau:5}  {_saving(first, 100):16} {_saving(lines, 100):16} "
                    f"{np.bincount(gaps).tolist()!s:16} {same} of {proved}",
                    flush=True,
                )


def main(parts: Sequence[str]) -> None:
    print(platform.platform(), platform.python_version(), f"{os.cpu_count()} cores", f"load {os.getloadavg()[0]:.1f}")
    chosen = parts or ("speed", "static", "small", "large", "mixes")
    best(generate(30, "high", np.random.default_rng(1)), 3, limited(30.0))
    if "speed" in chosen:
        speed()
    if "static" in chosen:
        static(60)
    if "small" in chosen:
        small(8)
    if "large" in chosen:
        large(3)
    if "mixes" in chosen:
        mixes(6)


if __name__ == "__main__":
    main(sys.argv[1:])
