"""From tallies to what a reader wants to know, with confidence intervals over runs."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from planning.simulate.scenario import Scenario
from planning.simulate.tallies import Tallies
from spectrum.energy import SX1272_AT_1V8

CONFIDENCE: Final = 0.95
# Measures that are shares; all others are only known not to be negative.
LIMITS: Final = dict.fromkeys(("delivery_ratio", "message_delivery_ratio", "forced_share"), (0.0, 1.0))
SECONDS_PER_DAY: Final = 86_400.0


def per_run(scenario: Scenario, tallies: Tallies, only_class: int | None = None) -> dict[str, NDArray[np.float64]]:
    """Every measure of every run, shape (R,); of one class when its index is given."""
    from planning.simulate import window

    chosen = slice(None) if only_class is None else slice(only_class, only_class + 1)
    counts = tallies.counts[:, chosen, :]
    total = counts.sum(axis=1)
    sent, lost = total[:, window.SENT], total[:, window.LOST]
    energies_j = np.array(scenario.energies_j)[chosen]
    energy_j = (counts[:, :, window.SENT] * energies_j).sum(axis=1)
    share = np.diff(_bounds(scenario))[chosen].sum()
    sleep_w = scenario.sleep_current_ua * 1e-6 * SX1272_AT_1V8.supply_v
    power_w = energy_j / share / scenario.span_s + sleep_w
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "transmissions": sent,
            "unsuccessful": lost,
            "collisions": total[:, window.CLUSTERS],
            "delivery_ratio": (sent - lost) / sent,
            "messages": total[:, window.MESSAGES],
            "message_delivery_ratio": total[:, window.MESSAGES_OK] / total[:, window.MESSAGES],
            "forced": total[:, window.FORCED],
            "forced_share": total[:, window.FORCED] / sent,
            "attempts_mean": total[:, window.ATTEMPTS] / sent,
            "delay_s_mean": total[:, window.DELAY] / sent,
            "held_back": total[:, window.HELD],
            "energy_j": energy_j,
            "bits_per_joule": 8.0 * scenario.payload_bytes * total[:, window.MESSAGES_OK] / energy_j,
            "battery_life_days": SX1272_AT_1V8.battery_j / power_w / SECONDS_PER_DAY,
        }


def _bounds(scenario: Scenario) -> NDArray[np.int64]:
    from planning.simulate.devices import class_bounds

    return class_bounds(scenario)


def mean_and_interval(values: NDArray[np.float64], name: str = "") -> tuple[float, tuple[float, float]]:
    """Mean and its 95 % interval by Student's t over runs, cut at what the measure can be; NaN ends for a single run.

    A run without transmissions has no ratios: it is NaN, and left out.
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, (math.nan, math.nan)
    mean = float(known.mean())
    if known.size < 2 or not math.isfinite(mean):
        return mean, (math.nan, math.nan)
    from scipy.special import stdtrit

    low, high = LIMITS.get(name, (0.0, math.inf))
    half = float(stdtrit(known.size - 1, (1.0 + CONFIDENCE) / 2.0) * known.std(ddof=1) / math.sqrt(known.size))
    return mean, (max(low, mean - half), min(high, mean + half))


def summary(scenario: Scenario, tallies: Tallies) -> dict[str, Any]:
    """The report of a scenario: means per run, `ci95` as [low, high] per measure, and what was measured of the machine.

    Counts and energies are of one run; kernel_s and transmissions_per_s of all together.
    """
    measures = per_run(scenario, tallies)
    pairs = {name: mean_and_interval(values, name) for name, values in measures.items()}
    sent = float(measures["transmissions"].sum())
    report: dict[str, Any] = {
        "technology": scenario.technology,
        "devices": scenario.devices,
        "subchannels": scenario.subchannels,
        "policy": scenario.policy,
        "attempts": scenario.attempts,
        "access": scenario.access,
        "traffic": scenario.traffic,
        "duty_cycle": scenario.duty_cycle,
        "payload_bytes": scenario.payload_bytes,
        "airtime_s": list(scenario.airtimes_s) if len(scenario.airtimes_s) > 1 else scenario.airtimes_s[0],
        "span_s": scenario.span_s,
        "runs": scenario.runs,
        "seed": scenario.seed,
    }
    report |= {name: pair[0] for name, pair in pairs.items()}
    report["load_erlang"] = _load(scenario, tallies)
    report["ci95"] = {name: list(pair[1]) for name, pair in pairs.items()}
    if len(scenario.classes) > 1:
        report["by_spreading_factor"] = [_of_class(scenario, tallies, index) for index in range(len(scenario.classes))]
    report["kernel_s"] = tallies.kernel_s
    report["transmissions_per_s"] = sent / tallies.kernel_s
    return report


def _load(scenario: Scenario, tallies: Tallies) -> float:
    from planning.simulate import window

    airtime_s = tallies.counts[:, :, window.SENT].mean(axis=0) @ np.array(scenario.airtimes_s)
    return float(airtime_s / scenario.span_s / scenario.subchannels)


def _of_class(scenario: Scenario, tallies: Tallies, index: int) -> dict[str, Any]:
    means = {name: mean_and_interval(values, name)[0] for name, values in per_run(scenario, tallies, index).items()}
    kept = ("transmissions", "unsuccessful", "delivery_ratio", "forced", "attempts_mean", "delay_s_mean", "energy_j")
    row = {"spreading_factor": scenario.classes[index], "airtime_s": scenario.airtimes_s[index]}
    return row | {name: means[name] for name in kept}
