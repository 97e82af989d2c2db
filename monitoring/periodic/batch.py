"""A whole trace at once: every device's applications, outage, silence, coverage and peculiarities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from monitoring.periodic.fleet import group_outliers
from monitoring.periodic.known import EVERY_DEVICE, Named
from monitoring.periodic.learning import Change
from monitoring.periodic.model import FALSE_ALARM, DeviceKpi, GatewayCoverage, MonitoringEvent
from monitoring.periodic.naive import naive_mean_outage, naive_offline
from monitoring.periodic.silence import aperiodic_silence, device_silence, judged
from monitoring.periodic.stream import StreamState
from monitoring.periodic.streams import stream_of
from monitoring.periodic.tidy import MERGE_S, Tidy, tidy
from monitoring.periodic.trace import Floats, Ints, Notes, Receptions

# psi: a device with fewer receptions shows no period that could be trusted.
LEAST_RECEPTIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Settings:
    """Choices of the operator.

    now_s: time of the report, None for the last reception of the trace; method: a name in methods.METHODS; known:
    applications by device (known.read_known), which are then counted and not learned.
    """

    false_alarm: float = FALSE_ALARM
    merge_s: float = MERGE_S
    least_receptions: int = LEAST_RECEPTIONS
    now_s: float | None = None
    method: str = "lattice"
    known: dict[str, list[Named]] | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """The analysed trace. `devices()` yields one DeviceKpi a device, in the order of the file."""

    trace: Tidy
    settings: Settings
    now_s: float
    analysed: dict[int, DeviceKpi]
    notes: Notes
    heard_by: dict[int, dict[str, int]] = field(default_factory=dict)

    def devices(self) -> Iterator[DeviceKpi]:
        """All devices; those with too few receptions are made on the way, so that millions of them fit."""
        names = self.trace.receptions.devices
        for index, (begin, end) in enumerate(zip(self.trace.start[:-1], self.trace.start[1:], strict=True)):
            if index in self.analysed:
                yield self.analysed[index]
            elif end > begin:
                yield self._few(index, names[index], int(begin), int(end))

    def _few(self, index: int, name: str, begin: int, end: int) -> DeviceKpi:
        heard = self.heard_by.get(index, {})
        return DeviceKpi(
            device=name,
            applications=(),
            receptions=end - begin,
            last_seen_s=float(self.trace.receptions.time_s[end - 1]),
            duplicates=int(self.trace.copies[index]),
            unexplained=end - begin,
            gateways={gateway: GatewayCoverage(count, None) for gateway, count in heard.items()},
            groups=("few_receptions",),
        )


def watch_trace(
    trace: Receptions, settings: Settings = Settings(), advance: Callable[[], object] = lambda: None
) -> Watched:
    """Analyse a trace; `advance` is called after each device that had enough receptions to be looked at."""
    sorted_trace = tidy(trace, settings.merge_s)
    times = sorted_trace.receptions.time_s
    now_s = settings.now_s if settings.now_s is not None else float(times.max(initial=0.0))
    heard_by = _heard_by(sorted_trace)
    analysed: dict[int, DeviceKpi] = {}
    enough = np.flatnonzero(np.diff(sorted_trace.start) >= max(settings.least_receptions, LEAST_RECEPTIONS))
    for index in enough.tolist():
        rows = slice(int(sorted_trace.start[index]), int(sorted_trace.start[index + 1]))
        analysed[index] = _device(sorted_trace, index, rows, now_s, settings, heard_by.get(index, {}))
        advance()
    groups = group_outliers(list(analysed.values()))
    analysed = {i: replace(one, groups=groups.get(one.device, ())) for i, one in analysed.items()}
    return Watched(sorted_trace, settings, now_s, analysed, sorted_trace.receptions.notes, heard_by)


def _device(trace: Tidy, index: int, rows: slice, now_s: float, settings: Settings, heard: dict[str, int]) -> DeviceKpi:
    receptions = trace.receptions
    name = receptions.devices[index]
    times = receptions.time_s[rows]
    streams, events = [], []
    for label, mine in _streams(times, receptions.application[rows], receptions.applications):
        stream, changes = _stream(mine, name, label, settings)
        streams.append(stream)
        events += [_event(change, name, label) for change in changes]
    found = [track.kpi(now_s) for stream in streams for track in stream.tracks]
    applications = judged(found, settings.false_alarm)
    if applications:
        silence = device_silence(applications, settings.false_alarm)
    else:
        silence = aperiodic_silence(times.size, float(times[0]), float(times[-1]), now_s, settings.false_alarm)
    kpi = DeviceKpi(
        device=name,
        applications=applications,
        receptions=int(times.size),
        last_seen_s=float(times[-1]),
        offline=silence.offline,
        offline_probability=silence.offline_probability,
        duplicates=int(trace.copies[index]),
        repeats=sum(stream.repeats for stream in streams),
        unexplained=sum(stream.strays for stream in streams),
        events=tuple(sorted(events, key=lambda event: event.time_s)),
    )
    if settings.method == "naive":
        stated = naive_mean_outage(times)
        kpi = replace(kpi, stated_outage=stated, offline=naive_offline(times, now_s), offline_probability=0.0)
    return replace(kpi, gateways=coverage(kpi, heard))


def _streams(times: Floats, application: Ints, names: tuple[str, ...]) -> Iterator[tuple[str | None, Floats]]:
    """The device's receptions by application label; all of them, unlabelled, when there is none."""
    for code in np.unique(application).tolist():
        yield (names[code] if code >= 0 else None), times[application == code]


def _stream(times: Floats, device: str, label: str | None, settings: Settings) -> tuple[StreamState, list[Change]]:
    # the search works on times near zero: epoch seconds would cost it digits
    origin = float(times[0])
    relative = times - origin
    resolution = 1.0 if bool((np.rint(times) == times).all()) else 0.0
    stream, changes = stream_of(
        relative,
        label,
        method=settings.method,
        known=_known_of(settings, device, origin),
        false_alarm=settings.false_alarm,
        resolution_s=resolution,
        least_receptions=settings.least_receptions,
    )
    for track in stream.tracks:
        track.slot_s += origin
        track.first_s += origin
        track.last_s += origin
    moved = [replace(one, time_s=one.time_s + origin, values=_moved(one.values, origin)) for one in changes]
    return stream, moved


def _known_of(settings: Settings, device: str, origin_s: float) -> list[Named] | None:
    """The device's known applications with offsets moved to its own origin; None when all is to be learned."""
    if settings.known is None:
        return None
    return [one.moved(-origin_s) for one in settings.known.get(device, settings.known.get(EVERY_DEVICE, []))]


def _moved(values: dict[str, float], origin_s: float) -> dict[str, float]:
    return {name: value + origin_s if name == "from_s" else value for name, value in values.items()}


def _event(change: Change, device: str, label: str | None) -> MonitoringEvent:
    return MonitoringEvent(change.kind, device, change.time_s, label, change.values)


def coverage(kpi: DeviceKpi, heard: dict[str, int]) -> dict[str, GatewayCoverage]:
    """What each gateway heard, against the reports the device sent (None while no application is known)."""
    sent = kpi.received + kpi.missed
    share = kpi.received / kpi.receptions if kpi.receptions else 0.0
    return {
        name: GatewayCoverage(count, max(0.0, 1 - count * share / sent) if sent else None)
        for name, count in heard.items()
    }


def _heard_by(trace: Tidy) -> dict[int, dict[str, int]]:
    """Receptions per device and gateway, copies through the same gateway counted once."""
    names = trace.receptions.gateways
    if not names:
        return {}
    known = trace.gateway >= 0
    pairs = np.unique(trace.heard[known] * len(names) + trace.gateway[known])
    device = trace.receptions.device[pairs // len(names)]
    cells, counts = np.unique(device * len(names) + pairs % len(names), return_counts=True)
    heard: dict[int, dict[str, int]] = {}
    for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
        heard.setdefault(cell // len(names), {})[names[cell % len(names)]] = count
    return heard
