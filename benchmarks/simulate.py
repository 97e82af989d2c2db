"""How fast `airshed simulate` is: kernel time, transmissions a second, memory, start-up; beside a peer if one is given.

    python benchmarks/simulate.py [--cases day,capture,...] [--repeats 3] [--scale 1.0] [--json]
    python benchmarks/simulate.py --cases window --peer 'python my_simulator.py --devices 1000'

Every case is one command in a fresh process on one core. Printed are medians over the repeats: wall time and user CPU
time of the whole process, the report's own kernel_s and transmissions_per_s, and the process's peak memory. A peer's
command runs in turn with each case, and the ratio of wall times is the median over the pairs. --scale shortens the
simulated time of the large cases.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]

LARGE: Final = "--traffic renewal --interval 1000 --subchannels 10"
FRAMES: Final = "--spreading-factor 7,8,9,10,11,12 --preamble 8 --payload 20 --header"

# name: (what it is, options of `airshed simulate`, simulated seconds or None when --scale has no meaning)
CASES: Final = {
    "day": (
        "1 M devices, 10 subchannels, 6 SF, a day",
        f"lora --devices 1000000 --policy random {LARGE} {FRAMES}",
        86_400,
    ),
    "capture": (
        "the same with capture at 3 gateways",
        f"lora --devices 1000000 --policy random --gateways 3 --capture {LARGE} {FRAMES}",
        20_000,
    ),
    "capture-100k": (
        "100 000 devices with capture at 3 gateways",
        f"lora --devices 100000 --policy random --gateways 3 --capture {LARGE} {FRAMES}",
        200_000,
    ),
    "everything": (
        "1 M devices, 3 gateways, capture, inter-SF, 8 paths, shadowing",
        f"lora --devices 1000000 --policy random --gateways 3 --capture --inter-sf --demodulators 8 --shadowing 8 "
        f"{LARGE} {FRAMES}",
        10_000,
    ),
    "algorithm1": (
        "Algorithm 1, N = 5, 1 M devices on a time line, 100 subchannels",
        "lora --devices 1000000 --attempts 5 --traffic renewal --interval 1000 --subchannels 100",
        20_000,
    ),
    "algorithm1-window": (
        "Algorithm 1, N = 5, 1 M devices in a window, 16 subchannels",
        "lora --devices 1000000 --attempts 5 --runs 4",
        None,
    ),
    "algorithm1-wide": (
        "Algorithm 1, N = 5, 1 M devices in a window, 3000 subchannels",
        "lora --devices 1000000 --attempts 5 --subchannels 3000 --runs 4",
        None,
    ),
    "ten-million": (
        "10 M devices, an hour",
        f"lora --devices 10000000 --policy random {LARGE} {FRAMES}",
        3_600,
    ),
    "window": ("1000 devices in a window, 1000 runs", "lora --devices 1000 --attempts 2 --runs 1000", None),
    "section5": (
        "sweep of section 5: 3 policies x 2 duty cycles x 8 sizes x 100 runs",
        "lora --sweep attempts=1,2,5 --sweep duty-cycle=0.02,0.009 --sweep devices=50,100,200,400,600,800,900,1000 "
        "--duty-reading accesses --runs 100",
        None,
    ),
}  # fmt: skip


def run_once(command: Sequence[str], one_core: bool) -> dict[str, Any]:
    """Run a command to its end; wall and CPU seconds, peak memory, its output."""
    core = {min(os.sched_getaffinity(0))} if one_core and hasattr(os, "sched_getaffinity") else None
    with tempfile.TemporaryFile() as output:
        began_s = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            if core:
                os.sched_setaffinity(0, core)
            os.chdir(ROOT)
            os.dup2(output.fileno(), 1)
            try:
                os.execvp(command[0], command)
            finally:
                os._exit(127)
        _, status, usage = os.wait4(pid, 0)
        wall_s = time.perf_counter() - began_s
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if status != 0:
        raise SystemExit(f"failed with status {os.waitstatus_to_exitcode(status)}: {shlex.join(command)}")
    return {"wall_s": wall_s, "user_s": usage.ru_utime, "peak_mb": usage.ru_maxrss / 1024, "text": text}


def own_command(options: str, duration_s: float | None, scale: float) -> list[str]:
    """The command of a case."""
    words = [sys.executable, "-m", "airshed", "simulate", *shlex.split(options), "--jobs", "1", "--json"]
    return words + (["--duration", str(duration_s * scale)] if duration_s is not None else [])


def measure(name: str, repeats: int, scale: float, peer: str | None) -> dict[str, Any]:
    """Medians of one case, after one run that may compile."""
    says, options, duration_s = CASES[name]
    command = own_command(options, duration_s, scale)
    run_once(own_command(options, duration_s and 1.0, 1.0), one_core=True)
    mine, theirs = [], []
    for _ in range(repeats):
        mine.append(run_once(command, one_core=True))
        if peer:
            theirs.append(run_once(shlex.split(peer), one_core=True))
    reports = [[json.loads(line) for line in found["text"].splitlines()] for found in mine]
    kernels_s = [sum(report["kernel_s"] for report in lines) for lines in reports]
    sent = [sum(report["transmissions"] * report["runs"] for report in lines) for lines in reports]
    row: dict[str, Any] = {
        "case": name,
        "what": says,
        "transmissions": sent[0],
        "kernel_s": statistics.median(kernels_s),
        "transmissions_per_s": statistics.median(n / s for n, s in zip(sent, kernels_s, strict=True)),
    }
    row |= {key: statistics.median(found[key] for found in mine) for key in ("wall_s", "user_s", "peak_mb")}
    if peer:
        ratios = [other["wall_s"] / own["wall_s"] for own, other in zip(mine, theirs, strict=True)]
        row["peer_wall_s"] = statistics.median(found["wall_s"] for found in theirs)
        row["peer_over_airshed"] = statistics.median(ratios)
    return row


def main() -> None:
    """Measure the chosen cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES), help=f"of {', '.join(CASES)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the simulated time of the large cases")
    parser.add_argument("--peer", metavar="COMMAND", help="another simulator's command, run in turn with every case")
    parser.add_argument("--json", action="store_true", help="one object a line")
    given = parser.parse_args()
    chosen = given.cases.split(",")
    if unknown := [name for name in chosen if name not in CASES]:
        parser.error(f"unknown case {unknown[0]!r}: expected some of {', '.join(CASES)}")
    if given.repeats < 1 or given.scale <= 0:
        parser.error("--repeats must be 1 or more and --scale above 0")
    machine = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    if not given.json:
        print(f"machine: {machine}; one core, median of {given.repeats}")
    for name in chosen:
        row = measure(name, given.repeats, given.scale, given.peer)
        if given.json:
            print(json.dumps({"machine": machine, **row}), flush=True)
            continue
        print(
            f"{name:18} kernel {row['kernel_s']:6.2f} s  {row['transmissions_per_s'] / 1e6:6.2f} M tx/s  "
            f"wall {row['wall_s']:6.2f} s  user {row['user_s']:6.2f} s  {row['peak_mb']:6.0f} MB  {row['what']}"
        )
        if given.peer:
            print(f"{'':18} peer {row['peer_wall_s']:.2f} s: {row['peer_over_airshed']:.2f} times as long")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
