"""Monitoring as receptions come: values in, events out; the clock is an argument and nothing is sent from here.

    watcher = Watcher()
    events = watcher.receive(Reception(device="a1", time_s=now, gateway="north"))
    events += watcher.tick(now)
    store.save(watcher.changed())

One reception costs O(1): its device's known applications are compared, one is updated. `tick` looks only at devices
whose silence could by now mean something.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from monitoring.periodic.learning import Change
from monitoring.periodic.model import FALSE_ALARM, DeviceKpi, GatewayCoverage, MonitoringEvent
from monitoring.periodic.silence import Silence, alarm_time_s, aperiodic_silence, device_silence, judged
from monitoring.periodic.stream import StreamState
from monitoring.periodic.tidy import MERGE_S, SAME_S

# Version of the packed state; another version is not read but learned anew, and counted.
STATE_VERSION: Final = 1
# A device without a period is looked at this long after it was heard, and then at doubling times.
FIRST_LOOK_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Reception:
    """One uplink report of a gateway, as the controller hands it on. Levels and size are kept by others."""

    device: str
    time_s: float
    gateway: str | None = None
    subchannel_hz: float | None = None
    rssi_dbm: float | None = None
    snr_db: float | None = None
    size_bytes: int | None = None
    application: str | None = None


@dataclass(slots=True)
class DeviceState:
    """What is remembered of a device: a stream per application label (one, without labels), and who heard it."""

    streams: dict[str | None, StreamState] = field(default_factory=dict)
    gateways: dict[str, int] = field(default_factory=dict)
    first_s: float = 0.0
    last_s: float = 0.0
    receptions: int = 0
    duplicates: int = 0
    offline: bool = False
    last_kind: tuple[str | None, int | None] = (None, None)
    heard_by: list[str | None] = field(default_factory=list)

    def pack(self) -> bytes:
        """The whole state as one compact value, for `unpack`."""
        streams = [[label, stream.pack()] for label, stream in self.streams.items()]
        counts = [self.first_s, self.last_s, self.receptions, self.duplicates, self.offline]
        values = [STATE_VERSION, streams, self.gateways, counts, self.last_kind, self.heard_by]
        return msgspec.msgpack.encode(values)

    @classmethod
    def unpack(cls, packed: bytes) -> DeviceState:
        """The state that was packed; ValueError when it is of another version or damaged."""
        try:
            version, streams, gateways, counts, last_kind, heard_by = msgspec.msgpack.decode(packed)
            if version != STATE_VERSION:
                raise ValueError(f"expected state version {STATE_VERSION}, got {version}")
            first_s, last_s, receptions, duplicates, offline = counts
            return cls(
                streams={label: StreamState.unpack(values) for label, values in streams},
                gateways=gateways,
                first_s=first_s,
                last_s=last_s,
                receptions=receptions,
                duplicates=duplicates,
                offline=offline,
                last_kind=(last_kind[0], last_kind[1]),
                heard_by=heard_by,
            )
        except (msgspec.DecodeError, TypeError, KeyError, IndexError) as error:
            raise ValueError(f"expected a packed device state, got something else ({error})") from error


@dataclass(slots=True)
class Counters:
    """What the watcher has seen since it started."""

    receptions: int = 0
    duplicates: int = 0
    refused: int = 0
    restored: int = 0
    not_restored: int = 0
    events: dict[str, int] = field(default_factory=dict)


class Watcher:
    """All devices of a network. Not thread-safe: one thread feeds it."""

    def __init__(self, false_alarm: float = FALSE_ALARM, merge_s: float = MERGE_S) -> None:
        self.false_alarm = false_alarm
        self.merge_s = merge_s
        self.counters = Counters()
        self._devices: dict[str, DeviceState] = {}
        self._looks: list[tuple[float, str]] = []
        self._look_at: dict[str, float] = {}
        self._changed: set[str] = set()

    def __len__(self) -> int:
        return len(self._devices)

    def receive(self, reception: Reception) -> list[MonitoringEvent]:
        """Count one reception; returns what an operator should hear of."""
        if not reception.device or not abs(reception.time_s) < float("inf"):
            self.counters.refused += 1
            return []
        self.counters.receptions += 1
        state = self._devices.setdefault(reception.device, DeviceState())
        self._changed.add(reception.device)
        if self._copy(state, reception):
            state.duplicates += 1
            self.counters.duplicates += 1
            return []
        changes = self._count(state, reception)
        events = [_event(one, reception.device, reception.application) for one in changes]
        if state.offline and reception.time_s >= state.last_s:
            state.offline = False
            events.append(MonitoringEvent("online", reception.device, reception.time_s))
        self._plan_look(reception.device, state)
        return self._counted(events)

    def _copy(self, state: DeviceState, reception: Reception) -> bool:
        """Whether this is the last reception again, heard by another gateway (or the same report twice)."""
        if state.receptions == 0 or state.last_kind != (reception.application, reception.size_bytes):
            return False
        apart_s = abs(reception.time_s - state.last_s)
        if reception.gateway in state.heard_by:
            return apart_s <= SAME_S
        if reception.gateway is None or apart_s > self.merge_s:
            return False
        state.heard_by.append(reception.gateway)
        state.gateways[reception.gateway] = state.gateways.get(reception.gateway, 0) + 1
        return True

    def _count(self, state: DeviceState, reception: Reception) -> list[Change]:
        if reception.gateway is not None:
            state.gateways[reception.gateway] = state.gateways.get(reception.gateway, 0) + 1
        state.first_s = reception.time_s if state.receptions == 0 else min(state.first_s, reception.time_s)
        state.receptions += 1
        if reception.time_s >= state.last_s or state.receptions == 1:
            state.last_s = reception.time_s
            state.last_kind = (reception.application, reception.size_bytes)
            state.heard_by = [reception.gateway]
        stream = state.streams.get(reception.application)
        if stream is None:
            stream = StreamState(reception.application is not None, self.false_alarm)
            state.streams[reception.application] = stream
        changes = stream.receive(reception.time_s)
        for track in stream.tracks:
            track.application = reception.application
        return changes

    def _plan_look(self, device: str, state: DeviceState) -> None:
        """Remember when this device's silence should be judged. One entry a device: it is moved when it comes up."""
        at = self._next_look_s(state)
        planned = self._look_at.get(device)
        if planned is None or at < planned:
            self._look_at[device] = at
            heapq.heappush(self._looks, (at, device))

    def _next_look_s(self, state: DeviceState) -> float:
        tracks = [track for stream in state.streams.values() for track in stream.tracks]
        if not tracks:
            return state.last_s + FIRST_LOOK_S
        kpis = [track.kpi(state.last_s) for track in tracks]
        return alarm_time_s(kpis, [track.slot_s for track in tracks], self.false_alarm)

    def tick(self, now_s: float) -> list[MonitoringEvent]:
        """Alarms that are due at `now_s`. Call it as often as an alarm may be late."""
        events = []
        while self._looks and self._looks[0][0] <= now_s:
            at, device = heapq.heappop(self._looks)
            if self._look_at.get(device) != at:
                continue
            del self._look_at[device]
            events += self._look(device, self._devices[device], now_s)
        return self._counted(events)

    def _look(self, device: str, state: DeviceState, now_s: float) -> list[MonitoringEvent]:
        if state.offline:
            return []
        silence = self._silence(state, now_s)
        if silence.offline:
            state.offline = True
            self._changed.add(device)
            values = {
                "last_seen_s": state.last_s,
                "offline_probability": silence.offline_probability,
                "false_alarm_probability": silence.chance,
            }
            return [MonitoringEvent("offline", device, now_s, None, values)]
        again = max(self._next_look_s(state), now_s + self._patience_s(state, now_s))
        self._look_at[device] = again
        heapq.heappush(self._looks, (again, device))
        return []

    def _patience_s(self, state: DeviceState, now_s: float) -> float:
        """Half the shortest period is as fine as silences can be told; without a period look at doubling times."""
        periods = [track.period_s for stream in state.streams.values() for track in stream.tracks]
        return min(periods) / 2 if periods else max(FIRST_LOOK_S, now_s - state.last_s)

    def _silence(self, state: DeviceState, now_s: float) -> Silence:
        applications = [track.kpi(now_s) for stream in state.streams.values() for track in stream.tracks]
        if applications:
            return device_silence(applications, self.false_alarm)
        return aperiodic_silence(state.receptions, state.first_s, state.last_s, now_s, self.false_alarm)

    def _counted(self, events: list[MonitoringEvent]) -> list[MonitoringEvent]:
        for event in events:
            self.counters.events[event.kind] = self.counters.events.get(event.kind, 0) + 1
        return events

    def kpi(self, device: str, now_s: float) -> DeviceKpi | None:
        """All that is known of a device, as `airshed watch --json` prints it; None for an unknown one."""
        state = self._devices.get(device)
        if state is None:
            return None
        streams = state.streams.values()
        applications = judged([track.kpi(now_s) for stream in streams for track in stream.tracks], self.false_alarm)
        silence = self._silence(state, now_s)
        sent = sum(one.received + one.missed for one in applications)
        heard = {
            name: GatewayCoverage(count, max(0.0, 1 - count / sent) if sent else None)
            for name, count in state.gateways.items()
        }
        return DeviceKpi(
            device=device,
            applications=applications,
            receptions=state.receptions,
            last_seen_s=state.last_s,
            offline=state.offline or silence.offline,
            offline_probability=silence.offline_probability,
            duplicates=state.duplicates,
            repeats=sum(stream.repeats for stream in streams),
            unexplained=sum(stream.strays for stream in streams),
            late=sum(stream.late for stream in streams),
            gateways=heard,
        )

    def kpis(self, now_s: float) -> Iterator[DeviceKpi]:
        """Every device, in the order first heard."""
        for device in list(self._devices):
            kpi = self.kpi(device, now_s)
            if kpi is not None:
                yield kpi

    def metrics(self) -> dict[str, float]:
        """Gauges and counters by Prometheus name, in one light pass over the states."""
        known = offline = degraded = received = missed = 0
        # lists: a scrape may come from another thread than receptions do
        for state in list(self._devices.values()):
            tracks = [track for stream in list(state.streams.values()) for track in stream.tracks]
            known += bool(tracks)
            offline += state.offline
            degraded += any(track.degraded for track in tracks)
            received += sum(track.received for track in tracks)
            missed += sum(track.missed for track in tracks)
        sent = received + missed
        values: dict[str, float] = {
            "airshed_monitoring_devices": len(self._devices),
            "airshed_monitoring_devices_with_period": known,
            "airshed_monitoring_devices_offline": offline,
            "airshed_monitoring_devices_degraded": degraded,
            "airshed_monitoring_outage_ratio": missed / sent if sent else 0.0,
            "airshed_monitoring_receptions_total": self.counters.receptions,
            "airshed_monitoring_duplicates_total": self.counters.duplicates,
            "airshed_monitoring_refused_total": self.counters.refused,
        }
        return values | {
            f"airshed_monitoring_{kind}_events_total": count for kind, count in self.counters.events.items()
        }

    def changed(self) -> dict[str, bytes]:
        """Packed states of the devices that changed since the last call, to be stored."""
        packed = {device: self._devices[device].pack() for device in self._changed}
        self._changed.clear()
        return packed

    def restore(self, states: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> None:
        """Take up stored states, so that nothing is learned anew; unreadable ones are counted and left out."""
        for device, packed in dict(states).items():
            try:
                state = DeviceState.unpack(packed)
            except ValueError:
                self.counters.not_restored += 1
                continue
            self._devices[device] = state
            self.counters.restored += 1
            self._plan_look(device, state)

    def forget(self, device: str) -> bool:
        """Drop a device that left for good; False when it was not known. Its stored state is the caller's to delete."""
        self._look_at.pop(device, None)
        self._changed.discard(device)
        return self._devices.pop(device, None) is not None


def _event(change: Change, device: str, application: str | None) -> MonitoringEvent:
    return MonitoringEvent(change.kind, device, change.time_s, application, dict(change.values))


def watch_receptions(watcher: Watcher, receptions: Iterable[Reception]) -> list[MonitoringEvent]:
    """Feed receptions in their order, the clock following them."""
    events: list[MonitoringEvent] = []
    clock_s = float("-inf")
    for reception in receptions:
        events += watcher.receive(reception)
        if reception.time_s > clock_s:
            clock_s = reception.time_s
            events += watcher.tick(clock_s)
    return events
