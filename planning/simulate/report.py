"""`airshed simulate figures`: the sweep of section 5, its figures, its claims, in one HTML page."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Final

import numpy as np

from planning.simulate import claims, section5, sweep
from planning.simulate.figures import Curve, Figure, curve_from, draw
from planning.simulate.scenario import Scenario
from spectrum.energy import PAPER_ENERGY_PER_PACKET_J, SX1272_AT_1V8
from spectrum.errors import Failed

# Names a point of the sweep: kind, reading, duty cycle, devices or subchannels, policy, and whatever else differs.
Key = tuple[Any, ...]
Found = Mapping[Key, Mapping[str, Any]]

SIGFOX_PAIRS: Final = {"perfect status": (0.0, 0.0), "Pf 0.2, Pm 0.1": (section5.PAPER_PF, section5.PAPER_PM)}
# A disc in which 14 dBm reach everywhere with SF8 and 10 dBm do not quite.
POWER_RADIUS_M: Final = 700.0
# Runs of the sweep over SigFox loads, as a part of all: its counts are in the thousands and hardly vary.
SIGFOX_RUN_SHARE: Final = 5
# Figure 8 and 9 are drawn where the ordering (d) holds, and for the real micro-channels.
SIGFOX_SHOWN: Final = (100, 1920)


def lora_points(runs: int, seed: int) -> dict[Key, Scenario]:
    """Figures 6, 7, 10-12: every reading, duty cycle, policy and size; sensing errors for claim (c); slots for (e)."""
    points: dict[Key, Scenario] = {}
    for reading, duty_cycle, policy, devices in itertools.product(
        section5.READINGS, section5.DUTY_CYCLES, section5.POLICIES, section5.EFFICIENCY_DEVICES
    ):
        given = (reading, devices, duty_cycle, policy, runs, seed)
        points["lora", reading, duty_cycle, policy, devices] = section5.lora(*given)
        if reading == "literal":
            continue
        points["errors", reading, duty_cycle, policy, devices] = section5.lora(
            *given, pf=section5.PAPER_PF, pm=section5.PAPER_PM
        )
        points["slotted", reading, duty_cycle, policy, devices] = section5.lora(*given, access="slotted")
    return points


def power_points(runs: int, seed: int) -> dict[Key, Scenario]:
    """10 against 14 dBm, with energy from the radio profile, for whom only overlap counts and with a real link."""
    points: dict[Key, Scenario] = {}
    for power_dbm, policy, capture in itertools.product(section5.POWERS_DBM, section5.POLICIES, (False, True)):
        base = section5.lora("F", 1000, 0.02, policy, runs, seed)
        points["power", power_dbm, policy, capture] = base.with_(
            power_dbm=power_dbm,
            energy_mj=None,
            capture=capture,
            radius_m=POWER_RADIUS_M,
            runs=min(runs, 20) if capture else runs,
        )
    return points


def sigfox_points(runs: int, seed: int) -> dict[Key, Scenario]:
    """Figures 8 and 9, and the sweep of load for claim (d)."""
    points: dict[Key, Scenario] = {}
    few = max(2, runs // SIGFOX_RUN_SHARE)
    for (reading, airtimes_s), subchannels in itertools.product(
        section5.SIGFOX_AIRTIMES_S.items(), section5.SIGFOX_SUBCHANNELS
    ):
        for (airtime_s, payload), policy, errors in itertools.product(
            zip(airtimes_s, (12, 6), strict=True), section5.POLICIES, SIGFOX_PAIRS
        ):
            pf, pm = SIGFOX_PAIRS[errors]
            points["load", reading, subchannels, payload, policy, errors] = section5.sigfox(
                airtime_s, payload, section5.SIGFOX_DEVICES, subchannels, policy, few, seed, pf=pf, pm=pm
            )
    for subchannels, payload, policy, duty_cycle, devices in itertools.product(
        SIGFOX_SHOWN, (12, 6), section5.POLICIES, section5.DUTY_CYCLES, section5.DEVICES
    ):
        airtime_s = section5.SIGFOX_AIRTIMES_S["frame"][0 if payload == 12 else 1]
        points["sigfox", subchannels, payload, policy, duty_cycle, devices] = section5.sigfox(
            airtime_s, payload, devices, subchannels, policy, few, seed, duty_cycle=duty_cycle
        )
    return points


def lora_figures(found: Found) -> list[Figure]:
    """Figures 6 and 7 (unsuccessful), 10 and 11 (efficiency), 12 (saving)."""
    sizes = section5.EFFICIENCY_DEVICES
    figures = []
    for number, measure, y_label, duty_cycle in (
        (6, "unsuccessful", "unsuccessful transmissions", 0.02),
        (7, "unsuccessful", "unsuccessful transmissions", 0.009),
        (10, "bits_per_joule", "energy efficiency (bit/J)", 0.02),
        (11, "bits_per_joule", "energy efficiency (bit/J)", 0.009),
    ):
        for reading in section5.READINGS:
            curves = tuple(
                curve_from(policy, sizes, [found["lora", reading, duty_cycle, policy, d] for d in sizes], measure)
                for policy in section5.POLICIES
            )
            title = f"Figure {number}: LoRa, duty cycle {100 * duty_cycle:g} %, reading {reading}"
            figures.append(Figure(f"figure{number:02}-{reading}", title, "devices", y_label, curves))
    return [*figures, *(saving_figure(found, reading) for reading in ("E", "F"))]


def saving_figure(found: Found, reading: str) -> Figure:
    """Figure 12: energy of the transmissions that allocation saves from being lost."""
    curves = []
    for policy, duty_cycle in itertools.product(("N=2", "N=5"), section5.DUTY_CYCLES):
        saved = []
        for devices in section5.EFFICIENCY_DEVICES:
            none, with_it = (found["lora", reading, duty_cycle, name, devices] for name in ("random", policy))
            saved.append((none["unsuccessful"] - with_it["unsuccessful"]) * PAPER_ENERGY_PER_PACKET_J)
        nothing = [float("nan")] * len(saved)
        curves.append(Curve(f"{policy}, {100 * duty_cycle:g} %", section5.EFFICIENCY_DEVICES, saved, nothing, nothing))
    title = f"Figure 12: energy saved in a window, reading {reading}"
    return Figure(f"figure12-{reading}", title, "devices", "energy saved (J)", tuple(curves))


def sigfox_figures(found: Found) -> list[Figure]:
    """Figure 8 (payloads) and 9 (duty cycles) over the devices; the four counts over the load."""
    figures = []
    sizes = section5.DEVICES
    for subchannels in SIGFOX_SHOWN:
        for number, rows, text in (
            (8, [(p, name, 0.02) for p in (12, 6) for name in ("random", "N=2", "N=5")], "duty cycle 2 %"),
            (9, [(12, name, dc) for dc in section5.DUTY_CYCLES for name in ("random", "N=2", "N=5")], "12 bytes"),
        ):
            curves = tuple(
                curve_from(
                    f"{payload} B, {100 * duty_cycle:g} %, {policy}",
                    sizes,
                    [found["sigfox", subchannels, payload, policy, duty_cycle, d] for d in sizes],
                    "unsuccessful",
                )
                for payload, policy, duty_cycle in rows
            )
            title = f"Figure {number}: SigFox, {text}, {subchannels} subchannels"
            name = f"figure{number:02}-{subchannels}-subchannels"
            figures.append(Figure(name, title, "devices", "unsuccessful transmissions", curves))
    return figures


def sigfox_load(found: Found, reading: str, subchannels: int, errors: str) -> float:
    """Load of the 12-byte frames without allocation, Erlang per subchannel."""
    return float(found["load", reading, subchannels, 12, "random", errors]["load_erlang"])


def verdicts(found: Found) -> list[claims.Verdict]:
    """Every claim under every reading it can be judged by."""
    judged = []
    for reading in ("E", "F"):
        for label, kind in (("", "lora"), (", Pf 0.2 and Pm 0.1", "errors"), (", slotted", "slotted")):
            high, low = (curves_of(found, kind, reading, duty_cycle) for duty_cycle in section5.DUTY_CYCLES)
            judged += [
                claims.grows_linearly(reading + label, high),
                claims.attempts_help(reading + label, high),
                claims.attempts_alike(reading + label, low),
                claims.efficiency_falls_and_gains(reading + label, high),
            ]
    for reading, policy, errors in itertools.product(section5.SIGFOX_AIRTIMES_S, ("N=2", "N=5"), SIGFOX_PAIRS):
        descending = sorted(section5.SIGFOX_SUBCHANNELS, reverse=True)
        loads = [sigfox_load(found, reading, c, errors) for c in descending]
        counts = [
            [
                found["load", reading, c, payload, name, errors]["unsuccessful"]
                for payload in (12, 6)
                for name in ("random", policy)
            ]
            for c in descending
        ]
        label = f"airtime {reading}, {policy}, {errors}"
        judged.append(claims.ordering_verdict(label, claims.ordered_loads(loads, counts), loads))
    return sorted(judged, key=lambda verdict: verdict.claim)


def curves_of(found: Found, kind: str, reading: str, duty_cycle: float) -> claims.Curves:
    """The three curves of a reading and duty cycle."""
    sizes = section5.EFFICIENCY_DEVICES

    def of(measure: str) -> dict[str, Any]:
        return {
            policy: np.array([found[kind, reading, duty_cycle, policy, d][measure] for d in sizes])
            for policy in section5.POLICIES
        }

    return claims.Curves(np.array(sizes, float), of("unsuccessful"), of("bits_per_joule"))


def power_rows(found: Found) -> list[dict[str, Any]]:
    """The table of 10 against 14 dBm."""
    return [
        {
            "power_dbm": power_dbm,
            "policy": policy,
            "reception": f"capture, path loss in {POWER_RADIUS_M:g} m" if capture else "any overlap destroys",
            "unsuccessful": found["power", power_dbm, policy, capture]["unsuccessful"],
            "energy_j": found["power", power_dbm, policy, capture]["energy_j"],
            "bits_per_joule": found["power", power_dbm, policy, capture]["bits_per_joule"],
        }
        for capture in (False, True)
        for power_dbm in section5.POWERS_DBM
        for policy in section5.POLICIES
    ]


def make_report(
    folder: Path,
    runs: int,
    seed: int,
    executor: Executor,
    workers: int,
    advance: Callable[[float], object] = lambda runs: None,
) -> dict[str, Any]:
    """Simulate, draw, judge and write; returns what --json prints: claims, what cannot hold, files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"cannot make the folder {folder}: {error.strerror}") from None
    points = all_points(runs, seed)
    scenarios = list(points.values())
    reports = sweep.reports(scenarios, sweep.run_all(scenarios, executor, workers, advance))
    found = dict(zip(points, reports, strict=True))
    figures = [*lora_figures(found), *sigfox_figures(found)]
    drawn = [draw(figure, folder) for figure in figures]
    judged = verdicts(found)
    write_page(folder / "report.html", runs, seed, figures, drawn, judged, power_rows(found))
    return {
        "runs": runs,
        "seed": seed,
        "claims": [asdict(verdict) for verdict in judged],
        "cannot_hold": list(claims.CANNOT_HOLD),
        "power": power_rows(found),
        "report": str(folder / "report.html"),
        "files": [str(path) for paths in drawn for path in paths.values()],
        "transmissions": sum(report["transmissions"] * report["runs"] for report in reports),
        "kernel_s": sum(report["kernel_s"] for report in reports),
    }


def all_points(runs: int, seed: int) -> dict[Key, Scenario]:
    """Every scenario of the report, by key."""
    return {**lora_points(runs, seed), **power_points(runs, seed), **sigfox_points(runs, seed)}


def write_page(
    path: Path,
    runs: int,
    seed: int,
    figures: Sequence[Figure],
    drawn: Sequence[Mapping[str, Path]],
    judged: Sequence[claims.Verdict],
    powers: Sequence[Mapping[str, Any]],
) -> None:
    """One page that needs no other file: pictures are inside."""
    from jinja2 import Environment

    source = (package_files("planning.simulate") / "report.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    pictures = [
        {
            "title": figure.title,
            "name": figure.name,
            "png": base64.b64encode(paths["png"].read_bytes()).decode("ascii"),
            "files": [paths[ending].name for ending in ("png", "svg", "csv")],
        }
        for figure, paths in zip(figures, drawn, strict=True)
    ]
    text = page.render(
        runs=runs, seed=seed, pictures=pictures, verdicts=judged, cannot_hold=claims.CANNOT_HOLD, powers=powers,
        radio=SX1272_AT_1V8, energy_mj=PAPER_ENERGY_PER_PACKET_J * 1e3,
    )  # fmt: skip
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed(f"cannot write {path}: {error.strerror}") from None
