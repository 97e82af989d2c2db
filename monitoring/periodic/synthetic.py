"""Reception traces with truth: those of section 5 of paper E, and a fleet of smart meters as in its section 6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Section 5: alpha1 ~ U(100, 200) s, alpha2 ~ U(1, 5) alpha1, beta ~ U(0, 0.5) alpha, jitter Exp(mean 0.2) alpha/20.
PERIOD_S: Final = (100.0, 200.0)
RATIO: Final = (1.0, 5.0)
OFFSET: Final = (0.0, 0.5)
JITTER_MEAN: Final = 0.2
JITTER_SCALE: Final = 1 / 20
LEAST_RECEPTIONS: Final = 3

SecondApplication = Literal["span", "count"]


@dataclass(frozen=True, slots=True)
class Stream:
    """Receptions of one application and what was really sent from the first to the last of them."""

    times_s: Floats
    period_s: float
    offset_s: float
    sent: int

    @property
    def outage(self) -> float:
        """Realised outage, (n - M)/n."""
        return 1 - self.times_s.size / self.sent


@dataclass(frozen=True, slots=True)
class Trace:
    """One device: its applications' streams, merged on demand."""

    streams: tuple[Stream, ...]

    @property
    def times_s(self) -> Floats:
        """Reception times of all applications, ascending."""
        return np.sort(np.concatenate([stream.times_s for stream in self.streams]))

    @property
    def applications(self) -> NDArray[np.int64]:
        """Index of the application that sent each of `times_s`."""
        label = np.repeat(np.arange(len(self.streams)), [stream.times_s.size for stream in self.streams])
        return label[np.argsort(np.concatenate([stream.times_s for stream in self.streams]), kind="stable")]

    @property
    def outage(self) -> float:
        """Realised outage over all applications (eq. E.4)."""
        sent = sum(stream.sent for stream in self.streams)
        return 1 - sum(stream.times_s.size for stream in self.streams) / sent


def draw_stream(rng: np.random.Generator, period_s: float, outage: float, count: int) -> Stream:
    """One application: reports are lost with probability `outage` until `count` are received."""
    offset = float(rng.uniform(*OFFSET)) * period_s
    lost_before = rng.negative_binomial(1, 1 - outage, size=count) if outage > 0 else np.zeros(count, dtype=np.int64)
    slots = np.cumsum(lost_before + 1) - 1
    return _received(rng, period_s, offset, slots)


def draw_stream_over(rng: np.random.Generator, period_s: float, outage: float, span_s: float) -> Stream:
    """One application over a time span, redrawn until at least three reports are received."""
    offset = float(rng.uniform(*OFFSET)) * period_s
    available = max(int((span_s - offset) / period_s) + 1, LEAST_RECEPTIONS)
    for _ in range(10_000):
        slots = np.flatnonzero(rng.random(available) >= outage)
        if slots.size >= LEAST_RECEPTIONS:
            return _received(rng, period_s, offset, slots)
    raise ValueError(f"expected an outage that lets three of {available} reports through, got {outage}")


def _received(rng: np.random.Generator, period_s: float, offset_s: float, slots: NDArray[np.int64]) -> Stream:
    jitter = rng.exponential(JITTER_MEAN, size=slots.size) * period_s * JITTER_SCALE
    times = offset_s + period_s * slots + jitter
    return Stream(np.sort(times), period_s, offset_s, int(slots[-1] - slots[0]) + 1)


def paper_trace(
    rng: np.random.Generator, outage: float, count: int, applications: int = 1, second: SecondApplication = "span"
) -> Trace:
    """One device of section 5. Application 1 has `count` receptions; the others cover its time span (`span`, the
    default) or have as many receptions (`count`)."""
    first_period = float(rng.uniform(*PERIOD_S))
    streams = [draw_stream(rng, first_period, outage, count)]
    for _ in range(applications - 1):
        period = float(rng.uniform(*RATIO)) * first_period
        if second == "count":
            streams.append(draw_stream(rng, period, outage, count))
        else:
            streams.append(draw_stream_over(rng, period, outage, float(streams[0].times_s[-1])))
    return Trace(tuple(streams))


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """A smart-metering deployment like the paper's case study; what the paper does not print is assumed here."""

    devices: int = 4522
    gateways: int = 6
    period_s: float = 3 * 3600.0
    period_sd_s: float = 60.0
    jitter_mean_s: float = 20.0
    receptions: int = 1_048_576
    # assumed: metres of the town's side, range at which half the reports are received, its steepness
    side_m: float = 8000.0
    half_range_m: float = 2600.0
    fade_m: float = 450.0
    start_s: float = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """Receptions in time order, with truth per device.

    device, gateway: int64 (N,), indices; time_s: float64 (N,). period_s, sent, received: per device, received through
    any gateway; sent from its first to its last such reception. link: (devices, gateways) delivery probability.
    """

    device: NDArray[np.int64]
    gateway: NDArray[np.int64]
    time_s: Floats
    period_s: Floats
    sent: NDArray[np.int64]
    received: NDArray[np.int64]
    link: Floats


def smart_meter_fleet(rng: np.random.Generator, settings: FleetSettings = FleetSettings()) -> Fleet:
    """Meters at random places around concentrators; long enough for `settings.receptions` rows, cut there."""
    if settings.devices < 1 or settings.gateways < 1:
        raise ValueError("expected at least one device and one gateway")
    place = rng.uniform(0, settings.side_m, (settings.devices, 2))
    angle = 2 * np.pi * np.arange(settings.gateways) / settings.gateways
    ring = settings.side_m / 2 + settings.side_m / 3.2 * np.column_stack([np.cos(angle), np.sin(angle)])
    distance = np.linalg.norm(place[:, None, :] - ring[None], axis=2)
    shadow = rng.normal(0, settings.fade_m, distance.shape)
    link = 0.998 / (1 + np.exp((distance + shadow - settings.half_range_m) / settings.fade_m))
    period = rng.normal(settings.period_s, settings.period_sd_s, settings.devices)
    rounds = int(np.ceil(settings.receptions / max(link.sum(), 1e-9) * 1.05)) + 2
    blocks = list(_fleet_blocks(rng, settings, link, period, rounds))
    device, gateway, time, slot = (np.concatenate(part) for part in zip(*blocks, strict=True))
    order = np.argsort(time, kind="stable")[: settings.receptions]
    device, gateway, time, slot = device[order], gateway[order], time[order], slot[order]
    sent, received = _fleet_truth(device, slot, settings.devices, rounds)
    return Fleet(device, gateway, time, period, sent, received, link)


def _fleet_blocks(
    rng: np.random.Generator, settings: FleetSettings, link: Floats, period_s: Floats, rounds: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Floats, NDArray[np.int64]]]:
    start = settings.start_s + rng.uniform(0, 1, settings.devices) * period_s
    for slot in range(rounds):
        sent_s = start + slot * period_s + rng.exponential(settings.jitter_mean_s, settings.devices)
        device, gateway = np.nonzero(rng.random(link.shape) < link)
        # each gateway stamps a report with its own small delay
        heard_s = sent_s[device] + rng.exponential(0.05, device.size)
        yield device.astype(np.int64), gateway.astype(np.int64), heard_s, np.full(device.size, slot, dtype=np.int64)


def _fleet_truth(
    device: NDArray[np.int64], slot: NDArray[np.int64], devices: int, rounds: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    seen = np.unique(device * rounds + slot)
    owner, when = seen // rounds, seen % rounds
    received = np.bincount(owner, minlength=devices)
    first = np.full(devices, rounds)
    last = np.full(devices, -1)
    np.minimum.at(first, owner, when)
    np.maximum.at(last, owner, when)
    return np.where(received > 0, last - first + 1, 0), received
