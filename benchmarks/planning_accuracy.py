"""How far the planning models lie from their truth: the tables of docs/planning.md for latency, capture, collisions.

    python benchmarks/planning_accuracy.py [latency] [capture] [collisions]

Seeded; about half a minute of CPU for all three. Intervals are of 99 %.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np

from planning.models.airtimes import airtimes_s
from planning.models.capture_answer import CaptureQuestion, answer_capture
from planning.models.capture_cell import ALLOCATIONS
from planning.models.capture_simulation import simulate_capture
from planning.models.collisions_model import Network, correlated_outage, gateways, independent_outage
from planning.models.collisions_simulation import simulate_collisions as simulate_gateways
from planning.models.latency_answer import LatencyQuestion, best_method, ratios_by, waits_by
from planning.models.latency_model import band_use, collision_probabilities, duty_bands, half_mmc_wait_s
from planning.models.latency_simulation import LatencyEstimate, simulate_collisions, simulate_latency
from planning.models.latency_waits import refined
from planning.models.symbol_collisions import approximate_cdf, exact_cdf, whole_frame_cdf

LOADS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)
COMBINATIONS = ("G", "G,G1", "G,G2", "G,G3", "G,G4", "G,G1,G2", "G,G1,G2,G3", "G,G1,G2,G3,G4")
PACED = (
    ("G,G4", 0.05),
    ("G,G1", 0.01),
    ("G,G1", 0.015),
    ("G,G1", 0.05),
    ("G,G2", 0.05),
    ("G,G3", 0.1),
    ("G,G1,G3", 0.105),
)
LINKS = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.0], [0.5, 0.0, 0.0]])


def say(*cells: object) -> None:
    """One row of a table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def head(*cells: str) -> None:
    """The head of a table."""
    print()
    say(*cells)
    say(*("---" for _ in cells))


def worst(errors: Iterable[float], at: Iterable[object], form: str) -> str:
    """The error farthest from 0 and where it is."""
    error, where = max(zip(errors, at, strict=True), key=lambda pair: abs(pair[0]))
    return f"{error:{form}} at {where}"


def truth_of(question: LatencyQuestion, rates: Iterable[float], rng: np.random.Generator) -> list[LatencyEstimate]:
    """Simulated waits and ratios, long enough that rare waits are seen."""
    return [
        simulate_latency(
            question.bands,
            question.airtime_s(),
            rate,
            rng,
            packets=150_000,
            replications=20,
            aggregated_duty_cycle=question.aggregated_duty_cycle,
        )
        for rate in rates
    ]


def latency(rng: np.random.Generator) -> None:
    """Waits, service ratios and collisions of paper A."""
    head("bands", "half M/M/c", "refined", "interval of the simulation", "ratio, chain (A.4)", "ratio, refined")
    for names in COMBINATIONS:
        question = LatencyQuestion(duty_bands(names.split(",")))
        rates = np.array(LOADS) * question.capacity_per_s()
        truth = truth_of(question, rates, rng)
        waits = np.array([estimate.wait_s.mean for estimate in truth])
        widths = np.array([estimate.wait_s.high for estimate in truth]) / waits - 1
        ratios = np.array([[ratio.mean for ratio in estimate.ratios] for estimate in truth])
        fine = refined(question.bands, question.airtime_s(), rates)
        half = half_mmc_wait_s(question.bands, question.airtime_s(), rates)
        chain = band_use(question.bands, question.airtime_s(), rates).ratios
        say(
            names,
            worst(half / waits - 1, LOADS, "+.1%"),
            worst(fine.wait_s / waits - 1, LOADS, "+.1%"),
            f"{widths.min():.1%} to {widths.max():.1%}",
            worst(np.abs(chain - ratios).max(axis=1), LOADS, ".4f"),
            worst(np.abs(fine.ratios - ratios).max(axis=1), LOADS, ".4f"),
        )
    head("bands, aggregated duty cycle", "published wait", "service ratio")
    for names, limit in PACED:
        question = LatencyQuestion(duty_bands(names.split(",")), aggregated_duty_cycle=limit)
        rates = np.array(LOADS) * question.capacity_per_s()
        truth = truth_of(question, rates, rng)
        waits = np.array([estimate.wait_s.mean for estimate in truth])
        ratios = np.array([[ratio.mean for ratio in estimate.ratios] for estimate in truth])
        published = waits_by(question, rates, best_method(question.bands))
        errors = np.abs(ratios_by(question, rates) - ratios).max(axis=1)
        say(f"{names}, {limit:g}", worst(published / waits - 1, LOADS, "+.1%"), worst(errors, LOADS, ".4f"))
    head("bands, devices", "collision probability, largest error", "largest half interval")
    for names, devices in (("G", 200), ("G1", 60), ("G,G1", 60), ("G,G2", 60), ("G,G3", 20), ("G4", 3)):
        bands = duty_bands(names.split(","))
        question = LatencyQuestion(bands)
        errors, spreads = [], []
        for load in LOADS:
            rate = load * question.capacity_per_s()
            found = simulate_collisions(bands, question.airtime_s(), rate, devices, rng, packets_each=600)
            ratios = ratios_by(question, np.array([rate]))[0]
            model = collision_probabilities(bands, question.airtime_s(), rate, ratios, devices)
            errors.append(max((model - [one.mean for one in found]).tolist(), key=abs))
            spreads.append(max(one.high - one.mean for one in found))
        say(f"{names}, {devices}", worst(errors, LOADS, "+.4f"), f"{max(spreads):.4f}")


def capture(rng: np.random.Generator) -> None:
    """Coverage, capture and drops of paper B."""
    head(
        "allocation",
        "devices",
        "coverage",
        "capture",
        "simulated",
        "drop (B.27)",
        "Erlang-B",
        "simulated",
        "success",
        "simulated",
    )
    for name in ALLOCATIONS:
        for devices in (300, 1200, 3000):
            question = CaptureQuestion(devices, name)
            answer = answer_capture(question)
            truth = simulate_capture(answer.allocation, question.traffic, rng, replications=20)
            model = answer.result
            say(
                name,
                devices,
                f"{float(model.coverage):.3f}",
                f"{float(model.capture):.3f}",
                f"{truth.capture.mean:.3f}",
                f"{float(model.drop):.4f}",
                f"{float(model.drop_erlang_b):.4f}",
                f"{truth.drop.mean:.4f}",
                f"{float(model.success):.3f}",
                f"{truth.success.mean:.3f} ± {truth.success.high - truth.success.mean:.3f}",
            )


def collisions(rng: np.random.Generator) -> None:
    """The largest number of interferers and the outages of paper C."""
    frame = 96  # symbols of 50 bytes on SF12 at CR 4
    head("starts per symbol x n_int", "approximation, largest error of P(S_max <= x)", "whole frame F")
    for product in (0.01, 0.1, 0.3, 1.0, 3.0, 10.0):
        rate, counts = product / frame, range(int(6 + 2.5 * product))
        exact = np.array([exact_cdf(rate, frame, frame, x) for x in counts])
        approximate = [float(approximate_cdf(rate, frame, frame, x)) for x in counts]
        whole = [float(whole_frame_cdf(rate, frame, frame, x)) for x in counts]
        say(product, worst(approximate - exact, counts, "+.4f"), worst(whole - exact, counts, "+.4f"))
    head(
        "devices per group",
        "device outage E1",
        "correlated",
        "independent",
        "gateway outage G1",
        "model",
        "blocking G1",
        "Erlang-B",
    )
    for devices in (100, 500, 1000, 1500, 2000):
        network, rates = Network(LINKS), np.full(3, devices / 600)
        truth = simulate_gateways(network, rates, rng, replications=20)
        at = gateways(network, rates)
        device, gateway = truth.device_outage[0], truth.gateway_outage[0]
        say(
            devices,
            f"{device.mean:.4f} ± {device.high - device.mean:.4f}",
            f"{correlated_outage(network, at, rates)[0]:.4f}",
            f"{independent_outage(network, at)[0]:.4f}",
            f"{gateway.mean:.4f} ± {gateway.high - gateway.mean:.4f}",
            f"{at.outage[0]:.4f}",
            f"{truth.blocked[0].mean:.4f}",
            f"{1 - at.demodulated[0]:.4f}",
        )


TABLES = {"latency": latency, "capture": capture, "collisions": collisions}


def main() -> None:
    """Print the tables that were asked for, all without a name."""
    asked = sys.argv[1:] or list(TABLES)
    if not set(asked) <= set(TABLES):
        sys.exit(f"usage: planning_accuracy.py [{'] ['.join(TABLES)}]")
    print(f"SF12, 63 bytes, CR 4: {airtimes_s(63, 4)[-1]:.6f} s. Seed 1.")
    for name in asked:
        TABLES[name](np.random.default_rng(1))


if __name__ == "__main__":
    main()
