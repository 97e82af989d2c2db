"""What monitoring says of a device: the values that `airshed watch`, events and the console share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from monitoring.periodic.kpi import wilson

# Operator's choice of how often an alarm may be false, per test.
FALSE_ALARM: Final = 0.001


@dataclass(frozen=True, slots=True)
class ApplicationKpi:
    """One periodic application of a device.

    phase_s: in [0, period_s): scheduled instants are phase_s + n period_s (jitter's median delay included). received,
    missed: reports from the first reception to the last, silences left out; outage = missed/(received + missed), eq.
    E.4. silent_s: time in silences too long to be losses. overdue: reports overdue at the time of the report.
    next_s: the next scheduled instant after the last reception. offline, offline_probability: of this application
    alone (silence.judged).
    """

    period_s: float
    phase_s: float
    received: int
    missed: int
    application: str | None = None
    jitter_s: float = 0.0
    first_s: float = 0.0
    last_s: float = 0.0
    next_s: float = 0.0
    silent_s: float = 0.0
    overdue: int = 0
    persistence: float = 0.0
    degraded: bool = False
    offline: bool = False
    offline_probability: float = 0.0

    @property
    def outage(self) -> float:
        """Share of reports sent that were not received."""
        sent = self.received + self.missed
        return self.missed / sent if sent else 0.0

    @property
    def outage_ci95(self) -> tuple[float, float]:
        """Where the network's outage lies with 95 %, as far as so many reports can tell."""
        return wilson(self.missed, self.received)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON, `application` only when the trace names it."""
        named = {"application": self.application} if self.application is not None else {}
        return named | {
            "period_s": self.period_s,
            "phase_s": self.phase_s,
            "received": self.received,
            "missed": self.missed,
            "outage": self.outage,
            "outage_ci95": list(self.outage_ci95),
            "offline": self.offline,
            "offline_probability": self.offline_probability,
            "jitter_s": self.jitter_s,
            "next_s": self.next_s,
            "overdue": self.overdue,
            "silent_s": self.silent_s,
            "degraded": self.degraded,
        }


@dataclass(frozen=True, slots=True)
class GatewayCoverage:
    """How one gateway hears a device: receptions there, and the share of the device's reports it missed."""

    received: int
    outage: float | None

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"received": self.received, "outage": self.outage}


@dataclass(frozen=True, slots=True)
class MonitoringEvent:
    """Something an operator should hear of.

    kind: `learned`, `period_changed`, `phase_jump`, `silence`, `offline`, `online`, `degraded`, `recovered`; values:
    numbers that go with it, units in their names.
    """

    kind: str
    device: str
    time_s: float
    application: str | None = None
    values: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        named = {"application": self.application} if self.application is not None else {}
        return {"kind": self.kind, "device": self.device, "time_s": self.time_s} | named | self.values


@dataclass(frozen=True, slots=True)
class DeviceKpi:
    """One device: its applications, outage over all of them, and whether it has gone silent.

    outage: None while no application is known. receptions: after merging copies; duplicates: copies merged; repeats:
    retransmissions of a report already received; unexplained: receptions of no periodic application. groups: names of
    the groups of outliers it is in. stated_outage: outage by a method that knows no applications (the naive one).
    """

    device: str
    applications: tuple[ApplicationKpi, ...]
    receptions: int
    last_seen_s: float
    offline: bool = False
    offline_probability: float = 0.0
    duplicates: int = 0
    repeats: int = 0
    unexplained: int = 0
    late: int = 0
    gateways: dict[str, GatewayCoverage] = field(default_factory=dict)
    events: tuple[MonitoringEvent, ...] = ()
    groups: tuple[str, ...] = ()
    stated_outage: float | None = None

    @property
    def received(self) -> int:
        """Reports received, over all applications."""
        return sum(one.received for one in self.applications)

    @property
    def missed(self) -> int:
        """Reports missed, over all applications."""
        return sum(one.missed for one in self.applications)

    @property
    def outage(self) -> float | None:
        """p* of eq. E.4 over all applications."""
        sent = self.received + self.missed
        return self.missed / sent if sent else self.stated_outage

    @property
    def degraded(self) -> bool:
        """Whether any application's losses have grown."""
        return any(one.degraded for one in self.applications)

    def as_json(self) -> dict[str, Any]:
        """The object that `airshed watch --json` prints."""
        return {
            "device": self.device,
            "applications": [one.as_json() for one in self.applications],
            "outage": self.outage,
            "offline": self.offline,
            "offline_probability": self.offline_probability,
            "degraded": self.degraded,
            "last_seen_s": self.last_seen_s,
            "receptions": self.receptions,
            "duplicates": self.duplicates,
            "repeats": self.repeats,
            "unexplained": self.unexplained,
            "late": self.late,
            "gateways": {name: one.as_json() for name, one in sorted(self.gateways.items())},
            "groups": list(self.groups),
            "events": [one.as_json() for one in self.events],
        }
