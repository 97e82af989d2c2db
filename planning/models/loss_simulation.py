"""Simulation of a loss system for any arrivals: the truth beside the formulas, and the answer for a trace.

Time runs in whole nanoseconds (see loss_queue), so an arrival at the very end of a service is a tie by design and not
by rounding.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planning.models.intervals import Estimate, of_share
from planning.models.loss_queue import DegenerateArrivals, Floats, Service, Ticks, check_fraction, ticks
from spectrum.errors import BadInput

# Consecutive arrivals are blocked together, so the interval is that of the means of this many batches.
BATCHES: Final = 30

# A century: time in doubled nanoseconds must fit 64 bits.
LONGEST_TRACE_S: Final = 3.2e9

# Count distribution of a trace: more jobs than this in service at once are counted as this many.
COUNTS_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Trace:
    """Arrival times in ticks, ascending, shape (N,), and the service time each one needs, shape (N,)."""

    times: Ticks
    services: Ticks


@dataclass(frozen=True, slots=True)
class SimulatedQueue:
    """blocking with its 99 % interval; busy: probability of 0..n busy servers over time, shape (n+1,).

    counts: distribution of the earlier arrivals that would still be in service at an arrival, shape (k_max+1,).
    """

    blocking: Estimate
    busy: Floats
    counts: Floats
    arrivals: int


def draw_markov(rate_per_s: float, service: Service, count: int, rng: np.random.Generator) -> Trace:
    """`count` Poisson arrivals at `rate_per_s`, with services drawn by their shares."""
    if not (math.isfinite(rate_per_s) and rate_per_s > 0.0):
        raise BadInput(f"the rate must be above 0 per s, got {rate_per_s}")
    times = ticks(np.cumsum(rng.exponential(1.0 / rate_per_s, count)))
    return Trace(times, draw_services(service, count, rng))


def draw_degenerate(arrivals: DegenerateArrivals, service: Service, count: int, rng: np.random.Generator) -> Trace:
    """`count` arrivals with independent gaps from a finite set, before any outage."""
    gaps = _drawn(ticks(arrivals.gaps_s), arrivals.probabilities, count, rng)
    return Trace(np.cumsum(gaps), draw_services(service, count, rng))


def draw_services(service: Service, count: int, rng: np.random.Generator) -> Ticks:
    """Service times in ticks, shape (count,)."""
    return _drawn(ticks(service.times_s), service.shares, count, rng)


def _drawn(values: Ticks, probabilities: tuple[float, ...], count: int, rng: np.random.Generator) -> Ticks:
    if len(values) == 1:
        return np.full(count, values[0])
    return np.asarray(rng.choice(values, size=count, p=probabilities), dtype=np.int64)


def thin(trace: Trace, outage: float, rng: np.random.Generator) -> Trace:
    """The arrivals that are received: each is lost by itself with probability `outage`."""
    check_fraction("outage", outage)
    kept = rng.random(len(trace.times)) >= outage
    return Trace(trace.times[kept], trace.services[kept])


def simulate(trace: Trace, servers: int, tie: str = "open") -> SimulatedQueue:
    """Run the trace through `servers` servers from an empty start. BadInput without arrivals."""
    if servers < 1:
        raise BadInput(f"the number of servers must be 1 or more, got {servers}")
    if not len(trace.times):
        raise BadInput("no arrival is left to simulate: give more arrivals or a smaller outage")
    slack = 1 if tie == "closed" else 0
    blocked, busy = _run(2 * trace.times, 2 * trace.services + slack, servers)
    shares = _counts(2 * trace.times, 2 * trace.services + slack) / len(blocked)
    return SimulatedQueue(_estimate(blocked), busy / max(busy.sum(), 1.0), shares, len(blocked))


def read_trace(path: Path, service: Service | None, rng: np.random.Generator) -> Trace:
    """Arrivals from a file: a line each with the time in s, ascending, and perhaps the service time in s after it.

    Words may be split by commas or blanks; `#` starts a comment; a first line of words is a header. A line that begins
    with `{` is a JSON object with `time_s` and perhaps `service_s` or `airtime_s`. Where the file is silent on service
    times they are drawn from `service`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot read the arrivals {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"the arrivals {path} must be text, a time in s on each line; it is binary") from None
    rows = list(_rows(text, path))
    if not rows:
        raise BadInput(f"the arrivals {path} hold no time: expected one in s on each line")
    origin = rows[0][0]
    if max(abs(time - origin) for time, _ in rows) > LONGEST_TRACE_S:
        raise BadInput(f"the arrivals {path} span more than {LONGEST_TRACE_S:g} s: give times in seconds")
    times = ticks([time - origin for time, _ in rows])
    falls = np.flatnonzero(np.diff(times) < 0)
    if len(falls):
        raise BadInput(f"the arrivals {path} must ascend: arrival {falls[0] + 2} is before the one above it")
    given = [need for _, need in rows if need is not None]
    if len(given) == len(rows):
        return Trace(times, ticks(given))
    if given or service is None:
        raise BadInput(f"the arrivals {path} need a service time on every line, or none and --service-time")
    return Trace(times, draw_services(service, len(rows), rng))


def _rows(text: str, path: Path) -> Iterator[tuple[float, float | None]]:
    first = True
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#")[0].strip()
        if not words:
            continue
        try:
            row = _json_row(words) if words.startswith("{") else _plain_row(words)
        except (ValueError, KeyError, TypeError):
            if first and not words.startswith("{"):
                first = False
                continue
            raise BadInput(
                f"{path}, line {number}: expected a time in s and perhaps a service time, got {words[:60]!r}"
            ) from None
        first = False
        yield row


def _plain_row(words: str) -> tuple[float, float | None]:
    numbers = [float(word) for word in words.replace(",", " ").split()]
    return _checked(numbers[0], numbers[1] if len(numbers) > 1 else None)


def _json_row(words: str) -> tuple[float, float | None]:
    record: dict[str, Any] = json.loads(words)
    need = record.get("service_s", record.get("airtime_s"))
    return _checked(float(record["time_s"]), None if need is None else float(need))


def _checked(time_s: float, service_s: float | None) -> tuple[float, float | None]:
    if not math.isfinite(time_s) or (service_s is not None and not 0.0 < service_s < 1e8):
        raise ValueError
    return time_s, service_s


def _estimate(blocked: NDArray[np.bool_]) -> Estimate:
    """Share of the flags that are set, with an interval from batch means; none from fewer than two a batch."""
    if len(blocked) < 2 * BATCHES:
        return Estimate(float(blocked.mean()), 0.0, 1.0)
    batches = of_share([batch.mean() for batch in np.array_split(blocked, BATCHES)], len(blocked))
    return replace(batches, mean=float(blocked.mean()))


@njit(cache=True)
def _run(times: Ticks, services: Ticks, servers: int) -> tuple[NDArray[np.bool_], Floats]:
    """Which arrivals are blocked, and the time with 0..n busy servers. A server whose end is now is free."""
    ends = [times[0]]  # a heap; the first entry is a service that ends as it starts
    blocked = np.zeros(len(times), dtype=np.bool_)
    busy = np.zeros(servers + 1)
    before = times[0]
    for i in range(len(times)):
        now = times[i]
        while len(ends) > 0 and ends[0] <= now:
            busy[len(ends)] += ends[0] - before
            before = heappop(ends)
        busy[len(ends)] += now - before
        before = now
        if len(ends) < servers:
            heappush(ends, now + services[i])
        else:
            blocked[i] = True
    return blocked, busy


def _counts(times: Ticks, services: Ticks) -> Floats:
    """How many arrivals met k earlier ones that would still be in service with a server for each, shape (k_max+1,).

    Of the i arrivals before the i-th, those that have ended are in service no more; none that comes later has ended.
    """
    ended = np.searchsorted(np.sort(services + times, kind="stable"), times, side="right")
    alive = np.arange(len(times)) - ended
    return np.bincount(np.minimum(alive, COUNTS_LIMIT)).astype(np.float64)
