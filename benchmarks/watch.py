"""Speed of `airshed watch`: the paper's case study as a batch, and a city of devices online; on one core.

    python benchmarks/watch.py [--repeats 3] [--devices 100000] [--reports 12]

Batch: 1,048,576 receptions of 4,522 smart meters from a Parquet file to one JSON object a device, the whole process
timed; with six concentrators, whose copies are merged, and with one application a device and no copies. Online:
devices that report every ten minutes and lose a tenth; the time of one reception while devices are learned and after,
with the share of a core that so many devices need, the size of a device's state, and the time to save and restore it.
Target: the batch within 60 s, the devices on one core with room to spare.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from monitoring.periodic.spc import goc
from monitoring.periodic.stream import analyse
from monitoring.periodic.synthetic import paper_trace
from monitoring.periodic.watcher import Reception, Watcher

METERS: Final = 4522
RECEPTIONS: Final = 1_048_576
BATCH_TARGET_S: Final = 60.0
PERIOD_S: Final = 600.0
LOSS: Final = 0.1
START_S: Final = 1_800_000_000.0


def machine() -> str:
    """One line on where this ran."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}"


def single_fleet(path: Path) -> None:
    """The same number of meters and rows, every row a report: no gateways, outage 0 to 50 %."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    each = RECEPTIONS // METERS + 1
    outage = rng.uniform(0, 0.5, METERS)
    period = rng.normal(10_800, 60, METERS)
    slots = np.cumsum(rng.negative_binomial(1, (1 - outage)[:, None], (METERS, each)) + 1, axis=1)
    times = (
        START_S + rng.uniform(0, 10_800, METERS)[:, None] + period[:, None] * slots + rng.exponential(20, slots.shape)
    )
    device = np.repeat(np.arange(METERS), each)
    order = np.argsort(times.ravel(), kind="stable")[:RECEPTIONS]
    names = pa.array([f"m{number}" for number in range(METERS)])
    pq.write_table(pa.table({"device": names.take(pa.array(device[order])), "time_s": times.ravel()[order]}), path)


def run_batch(path: Path) -> tuple[float, float]:
    """Wall seconds and CPU seconds of the whole command on a file, held to one core."""
    program = "import sys; from airshed import main; sys.argv = ['airshed', 'watch', sys.argv[1], '--json']; main()"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    core = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(core), sys.executable, "-c", program, str(path)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    wall_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.stdout.count("\n") != METERS:
        raise SystemExit(f"expected {METERS} objects, got {done.stdout.count(chr(10))}")
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def batch(repeats: int) -> None:
    """The paper's case study, two ways."""
    with tempfile.TemporaryDirectory() as folder:
        fleet, single = Path(folder) / "fleet.parquet", Path(folder) / "single.parquet"
        make = "import sys; from airshed import main; sys.argv = ['airshed', *sys.argv[1:]]; main()"
        arguments = ["watch", "--synthetic", "fleet", "--out", str(fleet)]
        subprocess.run([sys.executable, "-c", make, *arguments], check=True, capture_output=True)
        single_fleet(single)
        for name, path in (("six concentrators", fleet), ("every row a report", single)):
            runs = [run_batch(path) for _ in range(repeats)]
            wall, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
            print(
                f"batch, {RECEPTIONS:,} receptions of {METERS:,} meters, {name}: median {wall:.1f} s wall, "
                f"{cpu:.1f} s CPU "
                f"(target {BATCH_TARGET_S:.0f} s, ratio {wall / BATCH_TARGET_S:.2f})"
            )


def online(devices: int, reports: int) -> None:
    """One reception while learning and after; a whole city for the memory."""
    sample = 2000
    rng = np.random.default_rng(2)
    learning, steady = timed_receptions(rng, Watcher(), sample, 70), Watcher()
    timed_receptions(rng, steady, sample, 70)
    after = timed_receptions(np.random.default_rng(3), steady, sample, 30, first=70)
    load = devices / PERIOD_S
    print(f"online, a device's first 70 reports: {learning * 1e6:.0f} us a reception")
    print(
        f"online, known devices: {after * 1e6:.0f} us a reception; {devices:,} devices every {PERIOD_S:.0f} s need "
        f"{load * after:.2%} of a core, {load * learning:.2%} while all are learned"
    )
    began = time.process_time()
    states = steady.changed()
    packed = time.process_time() - began
    began = time.process_time()
    Watcher().restore(states)
    restored = time.process_time() - began
    size = statistics.mean(map(len, states.values()))
    print(
        f"state: {size:.0f} bytes a device, {packed / sample * 1e6:.0f} us to pack, "
        f"{restored / sample * 1e6:.0f} us to restore"
    )
    memory(rng, devices, reports)


def memory(rng: np.random.Generator, devices: int, reports: int) -> None:
    """All devices in one watcher: resident memory, the time of a reception and of a tick."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    city = Watcher()
    each = timed_receptions(rng, city, devices, reports)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    began = time.process_time()
    alarms = city.tick(START_S + PERIOD_S * (reports + 20))
    ticked = time.process_time() - began
    print(
        f"city: {devices:,} devices with {reports} reports each: {each * 1e6:.0f} us a reception, {grown:.0f} MiB; "
        f"one tick that finds {len(alarms):,} devices silent: {ticked:.1f} s"
    )


def timed_receptions(rng: np.random.Generator, watcher: Watcher, devices: int, reports: int, first: int = 0) -> float:
    """CPU seconds a reception, in the order of time, one round of reports after the other."""
    phase = np.random.default_rng(7).uniform(0, PERIOD_S, devices)
    spent, count = 0.0, 0
    for report in range(first, first + reports):
        heard = np.flatnonzero(rng.random(devices) >= LOSS)
        times = START_S + phase[heard] + PERIOD_S * report + rng.exponential(3, heard.size)
        order = np.argsort(times)
        batch_of = [
            Reception(f"d{d}", t, "g") for d, t in zip(heard[order].tolist(), times[order].tolist(), strict=True)
        ]
        began = time.process_time()
        for reception in batch_of:
            watcher.receive(reception)
        spent += time.process_time() - began
        count += len(batch_of)
    return spent / count


def against_paper() -> None:
    """Ours against GOC on the same traces, the paper's figure E.6 at 30 % outage."""
    rng = np.random.default_rng(4)
    for count in (50, 100):
        traces = [paper_trace(rng, 0.3, count, 2).times_s for _ in range(15)]
        analyse(traces[0]), goc(traces[0])
        seconds = {}
        for name, method in (("lattice", analyse), ("goc", goc)):
            began = time.process_time()
            for times in traces:
                method(times)  # type: ignore[operator]
            seconds[name] = (time.process_time() - began) / len(traces)
        ratio = seconds["goc"] / seconds["lattice"]
        print(
            f"two unlabelled applications, {count} receptions: lattice {seconds['lattice'] * 1e3:.0f} ms, "
            f"goc {seconds['goc'] * 1e3:.0f} ms, goc/lattice {ratio:.2f}"
        )


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each batch")
    parser.add_argument("--devices", type=int, default=100_000, help="devices online")
    parser.add_argument("--reports", type=int, default=12, help="reports of each device in the city")
    options = parser.parse_args()
    print(machine())
    batch(options.repeats)
    online(options.devices, options.reports)
    against_paper()


if __name__ == "__main__":
    main()
