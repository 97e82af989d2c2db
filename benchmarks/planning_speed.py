"""How long the planning models take: one answer after import, and 10,000 points at once.

    OPENBLAS_NUM_THREADS=1 python benchmarks/planning_speed.py

Prints the machine, the median processor time of 15 runs (others may run beside), and the ratio to a loop over single
answers.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np

from planning.models.capture_answer import CaptureQuestion, allocation_for, answer_capture
from planning.models.capture_model import Traffic, capture
from planning.models.collisions_answer import answer_collisions
from planning.models.collisions_model import Network, correlated_outage, gateways
from planning.models.latency_answer import LatencyQuestion, answer_latency
from planning.models.latency_model import duty_bands, half_mmc_wait_s
from planning.models.latency_waits import exact_wait_s, refined

POINTS = 10_000
RUNS = 15


def median_ms(work: Callable[[], object], runs: int = RUNS) -> float:
    """Median processor time in milliseconds, the first run left out."""
    work()
    times = []
    for _ in range(runs):
        begin = time.process_time()
        work()
        times.append(1e3 * (time.process_time() - begin))
    return statistics.median(times)


def main() -> None:
    """Two tables: single answers, and many points at once."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}")
    links = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.0], [0.5, 0.0, 0.0]])
    network = Network(links)
    single: dict[str, Callable[[], object]] = {}
    for names in ("G", "G,G1", "G,G2", "G,G1,G2,G3,G4"):
        question = LatencyQuestion(duty_bands(names.split(",")))
        rate = 0.5 * question.capacity_per_s()
        single[f"latency {names}"] = lambda question=question, rate=rate: answer_latency(question, rate)
        single[f"latency {names}, jockeying"] = lambda question=question, rate=rate: answer_latency(
            question, rate, "jockeying"
        )
    for name in ("uniform", "distance", "equal-load", "optimised"):
        single[f"capture {name}"] = lambda name=name: answer_capture(CaptureQuestion(1200, name))
    single["collisions, 3 gateways"] = lambda: answer_collisions(network, [500], 1 / 600)
    wide = Network(np.full((3, 16), 0.4))
    single["collisions, 16 gateways"] = lambda: answer_collisions(wide, [500], 1 / 600)
    print("\n| one answer | ms |\n| --- | --- |")
    for name, work in single.items():
        print(f"| {name} | {median_ms(work):.1f} |")

    alike, unlike = duty_bands(["G", "G1"]), duty_bands(["G", "G2"])
    loads = np.linspace(0.001, 0.99, POINTS)
    counts = np.linspace(1.0, 5000.0, POINTS)
    distance = allocation_for(CaptureQuestion(1200, "distance"))
    airtimes_s = CaptureQuestion(1200).airtimes_s
    rates = counts[:, np.newaxis] * np.ones(3) / 600

    def outage(at: np.ndarray) -> object:
        return correlated_outage(network, gateways(network, at), at)

    swept: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "half M/M/c, G,G2": (
            lambda: half_mmc_wait_s(unlike, 4.07, loads * 0.0027),
            lambda: half_mmc_wait_s(unlike, 4.07, loads[:1] * 0.0027),
        ),
        "exact M/D/c, G,G1": (
            lambda: exact_wait_s(alike, 4.07, loads * 0.0049),
            lambda: exact_wait_s(alike, 4.07, loads[:1] * 0.0049),
        ),
        "refined, G,G2": (
            lambda: refined(unlike, 4.07, loads * 0.0027),
            lambda: refined(unlike, 4.07, loads[:1] * 0.0027),
        ),
        "capture, distance": (
            lambda: capture(distance, Traffic(counts, 1 / 600, airtimes_s)),
            lambda: capture(distance, Traffic(counts[:1], 1 / 600, airtimes_s)),
        ),
        "collisions, 3 gateways": (lambda: outage(rates), lambda: outage(rates[:1])),
    }
    print(f"\n| {POINTS} points | ms | a loop over single points would take |\n| --- | --- | --- |")
    for name, (many, one) in swept.items():
        together, alone = median_ms(many, 3), median_ms(one)
        print(f"| {name} | {together:.0f} | {alone * POINTS / together:.0f} times as long |")


if __name__ == "__main__":
    main()
