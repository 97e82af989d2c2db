"""The evaluation of paper E, sections 5 and 6, redrawn with confidence intervals: data of figures E.4 to E.9.

Errors are taken against the nominal outage, whose binomial sampling noise no method can beat, and against the realised
one, which a perfect estimator hits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from monitoring.periodic.kpi import wilson
from monitoring.periodic.lattice import Floats
from monitoring.periodic.methods import METHODS, Method, by_lattice, by_lattice_labelled
from monitoring.periodic.naive import naive_offline
from monitoring.periodic.silence import device_silence
from monitoring.periodic.spc import LARGEST_PSI, goc
from monitoring.periodic.stream import analyse
from monitoring.periodic.synthetic import FleetSettings, Trace, paper_trace, smart_meter_fleet
from monitoring.periodic.tidy import MERGE_S
from terminal.command import progress

OUTAGES: Final = (0.0, 0.1, 0.2, 0.3, 0.5)
COUNTS: Final = (5, 10, 25, 50, 100)
LABELLED: Final[dict[str, Method]] = {
    "lattice": by_lattice_labelled,
    "nhm": METHODS["nhm"],
    "nhm-mean": METHODS["nhm-mean"],
    "naive": METHODS["naive"],
}
UNLABELLED: Final[dict[str, Method]] = {
    "lattice": by_lattice,
    "spc": METHODS["spc"],
    "goc": METHODS["goc"],
    "naive": METHODS["naive"],
}
# Figure E.5: GOC's k is not printed; ours follows from this false-alarm probability per test.
OFFLINE_K: Final = 4
OFFLINE_FALSE_ALARM: Final = 0.01
OFFLINE_AFTER: Final = (1, 2, 3, 4, 6, 8, 10)
OFFLINE_COUNTS: Final = (10, 25, 50)
# Slots of application 1 after the training in which a healthy device is tested for false alarms.
HEALTHY_SLOTS: Final = 10
# Figures E.7 to E.9: meters and days; GOC, the slowest, sees every GOC_EVERY-th meter.
FLEET_METERS: Final = 600
FLEET_RECEPTIONS: Final = 140_000
GOC_EVERY: Final = 10
Z95: Final = 1.96


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One bar of figure E.4: mean absolute errors with their 95 % interval, standard deviation, 95th percentile."""

    stream: str
    method: str
    outage: float
    count: int
    nominal: float
    nominal_ci95: float
    nominal_sd: float
    nominal_p95: float
    realised: float
    realised_ci95: float
    realised_sd: float
    realised_p95: float
    runs: int


@dataclass(frozen=True, slots=True)
class OfflineRow:
    """One point of figure E.5. missed: reports since the device stopped, 0 for the false-alarm probability."""

    method: str
    outage: float
    count: int
    missed: int
    probability: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TimeRow:
    """One bar of figure E.6: mean milliseconds a stream, of process time."""

    method: str
    count: int
    mean_ms: float
    ci95_ms: float


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One meter as one perspective sees it (figures E.7 to E.9): a concentrator or `server`."""

    perspective: str
    method: str
    meter: int
    period_s: float
    true_period_s: float
    outage: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The data of all figures."""

    errors: tuple[ErrorRow, ...]
    offline: tuple[OfflineRow, ...]
    times: tuple[TimeRow, ...]
    fleet: tuple[FleetRow, ...]

    def errors_json(self) -> list[dict[str, Any]]:
        """Rows of figure E.4 as plain values."""
        return [asdict(row) for row in self.errors]

    def error_lines(self) -> list[str]:
        """Rows of figure E.4 as text, aligned."""
        lines = [
            f"{'stream':<11}{'method':<10}{'outage':>7}{'count':>6}  {'nominal error':>16}  {'realised error':>16}"
        ]
        for row in self.errors:
            nominal = f"{row.nominal:.4f} ± {row.nominal_ci95:.4f}"
            realised = f"{row.realised:.4f} ± {row.realised_ci95:.4f}"
            lines.append(
                f"{row.stream:<11}{row.method:<10}{row.outage:>7.1f}{row.count:>6}  {nominal:>16}  {realised:>16}"
            )
        return lines


def evaluate_all(runs: int, seed: int) -> Evaluation:
    """All figures' data; `runs` traces a point."""
    cells = len(OUTAGES) * len(COUNTS)
    offline_cells = len(OUTAGES) * len(OFFLINE_COUNTS)
    with progress("evaluation", cells + offline_cells + len(COUNTS) + 1) as advance:
        errors: list[ErrorRow] = []
        for number, (outage, count) in enumerate((p, m) for p in OUTAGES for m in COUNTS):
            errors += error_rows(np.random.default_rng([seed, 4, number]), outage, count, runs)
            advance()
        offline: list[OfflineRow] = []
        for number, (outage, count) in enumerate((p, m) for p in OUTAGES for m in OFFLINE_COUNTS):
            offline += offline_rows(np.random.default_rng([seed, 5, number]), outage, count, runs)
            advance()
        times: list[TimeRow] = []
        for count in COUNTS:
            times += time_rows(np.random.default_rng([seed, 6, count]), count, max(5, runs // 10))
            advance()
        fleet = tuple(fleet_rows(np.random.default_rng([seed, 7])))
        advance()
    return Evaluation(tuple(errors), tuple(offline), tuple(times), fleet)


def error_rows(rng: np.random.Generator, outage: float, count: int, runs: int) -> Iterator[ErrorRow]:
    """Errors of every method on the same traces: application 1 alone, labelled; two applications, unlabelled."""
    traces = [paper_trace(rng, outage, count, 2) for _ in range(runs)]
    for name, method in LABELLED.items():
        pairs = [(method(one.streams[0].times_s, LARGEST_PSI).outage, one.streams[0].outage) for one in traces]
        yield _error_row("labelled", name, outage, count, pairs)
    for name, method in UNLABELLED.items():
        pairs = [(method(one.times_s, _psi(one)).outage, one.outage) for one in traces]
        yield _error_row("unlabelled", name, outage, count, pairs)


def _psi(trace: Trace) -> int:
    return min(LARGEST_PSI, *(stream.times_s.size for stream in trace.streams))


def _error_row(stream: str, method: str, outage: float, count: int, pairs: Sequence[tuple[float, float]]) -> ErrorRow:
    estimate, realised = np.array(pairs).T
    against_nominal, against_realised = np.abs(estimate - outage), np.abs(estimate - realised)
    return ErrorRow(
        stream, method, outage, count, *_spread(against_nominal), *_spread(against_realised), runs=len(pairs)
    )


def _spread(values: Floats) -> tuple[float, float, float, float]:
    deviation = float(values.std(ddof=1))
    half = Z95 * deviation / float(np.sqrt(values.size))
    return float(values.mean()), half, deviation, float(np.quantile(values, 0.95))


def offline_rows(rng: np.random.Generator, outage: float, count: int, runs: int) -> Iterator[OfflineRow]:
    """Detection after so many missed reports, and false alarms of a device that goes on, per test."""
    found = {name: dict.fromkeys(OFFLINE_AFTER, 0) for name in ("lattice", "goc", "naive")}
    false = dict.fromkeys(found, 0)
    tests = 0
    for _ in range(runs):
        trace = paper_trace(rng, outage, count, 2)
        times, period = trace.times_s, trace.streams[0].period_s
        judges = _judges(times)
        for missed in OFFLINE_AFTER:
            now = float(times[-1]) + (missed + 0.5) * period
            for name, judge in judges.items():
                found[name][missed] += judge(now)
        for known, now in _healthy(rng, trace, outage):
            tests += 1
            for name, judge in _judges(known).items() if known.size > times.size else judges.items():
                false[name] += judge(now)
    for name in found:
        for missed in OFFLINE_AFTER:
            hits = found[name][missed]
            low, high = wilson(hits, runs - hits)
            yield OfflineRow(name, outage, count, missed, hits / runs, low, high)
        low, high = wilson(false[name], tests - false[name])
        yield OfflineRow(name, outage, count, 0, false[name] / tests, low, high)


def _judges(times: Floats) -> dict[str, Any]:
    """For each method a function of the time: is the device offline?"""
    origin = float(times[0])
    stream, _ = analyse(times - origin)
    clusters = goc(times, min(LARGEST_PSI, max(3, times.size // 4)))

    def by_lattice_silence(now: float) -> bool:
        kpis = [track.kpi(now - origin) for track in stream.tracks]
        return device_silence(kpis, OFFLINE_FALSE_ALARM).offline

    return {
        "lattice": by_lattice_silence,
        "goc": lambda now: clusters.offline(now, OFFLINE_K),
        "naive": lambda now: naive_offline(times, now),
    }


def _healthy(rng: np.random.Generator, trace: Trace, outage: float) -> Iterator[tuple[Floats, float]]:
    """The device goes on: at one slot after the training, what is known, half a period after the instant."""
    first = trace.streams[0]
    slot = int(rng.integers(1, HEALTHY_SLOTS + 1))
    now = float(first.times_s[-1]) + (slot + 0.5) * first.period_s
    more = [trace.times_s]
    for stream in trace.streams:
        last = float(stream.times_s[-1])
        instants = last + stream.period_s * np.arange(1, int((now - last) / stream.period_s) + 2)
        heard = instants[(rng.random(instants.size) >= outage) & (instants < now)]
        more.append(heard.astype(np.float64))
    yield np.sort(np.concatenate(more)), now


def time_rows(rng: np.random.Generator, count: int, runs: int) -> Iterator[TimeRow]:
    """Process time of each method on traces at 30 % outage."""
    traces = [paper_trace(rng, 0.3, count, 2) for _ in range(runs)]
    for name, method in (LABELLED | {f"{name} ": one for name, one in UNLABELLED.items()}).items():
        labelled = not name.endswith(" ")
        if labelled and name in {"naive"}:
            continue
        samples = []
        for trace in traces:
            times = trace.streams[0].times_s if labelled else trace.times_s
            began = time.process_time()
            method(times, _psi(trace))
            samples.append(1e3 * (time.process_time() - began))
        values = np.array(samples)
        label = f"{name.strip()} ({'labelled' if labelled else 'unlabelled'})"
        yield TimeRow(label, count, float(values.mean()), Z95 * float(values.std(ddof=1)) / float(np.sqrt(values.size)))


def fleet_rows(rng: np.random.Generator) -> Iterator[FleetRow]:
    """The smart-meter fleet as the server and as each concentrator sees it."""
    settings = FleetSettings(devices=FLEET_METERS, receptions=FLEET_RECEPTIONS)
    fleet = smart_meter_fleet(rng, settings)
    window_s = 8 * settings.period_s
    for gateway in (-1, *range(settings.gateways)):
        perspective = "server" if gateway < 0 else f"C{gateway + 1}"
        seen = np.ones(fleet.device.size, dtype=bool) if gateway < 0 else fleet.gateway == gateway
        order = np.lexsort((fleet.time_s[seen], fleet.device[seen]))
        device, times = fleet.device[seen][order], fleet.time_s[seen][order]
        first = np.concatenate([[True], (np.diff(device) != 0) | (np.diff(times) > MERGE_S)])
        device, times = device[first], times[first] - settings.start_s
        bounds = np.searchsorted(device, np.arange(settings.devices + 1))
        for meter in range(settings.devices):
            mine = times[bounds[meter] : bounds[meter + 1]]
            if mine.size >= 10:
                yield from _meter_rows(perspective, meter, mine, float(fleet.period_s[meter]), window_s)


def _meter_rows(perspective: str, meter: int, times: Floats, true_s: float, window_s: float) -> Iterator[FleetRow]:
    from monitoring.periodic.naive import naive_mean_outage

    methods = {"lattice": by_lattice, "nhm": METHODS["nhm"]}
    if meter % GOC_EVERY == 0:
        methods["goc"] = METHODS["goc"]
    for name, method in methods.items():
        estimate = method(times, 10)
        if estimate.clusters:
            period = max(estimate.clusters, key=lambda one: one.times_s.size).period_s
            yield FleetRow(perspective, name, meter, period, true_s, estimate.outage)
    yield FleetRow(perspective, "naive", meter, float("nan"), true_s, naive_mean_outage(times, window_s))
