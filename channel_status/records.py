"""How reports, leases and events are written as JSON, the same through both doors.

Times inside the database are whole microseconds since the epoch: Redis compares and returns integers exactly.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.status import Lease

_report_decoder = msgspec.json.Decoder(ChannelReport)
_encoder = msgspec.json.Encoder()


def microseconds(time_s: float) -> int:
    """Whole microseconds of a time in seconds."""
    return round(time_s * 1e6)


def seconds(time_us: float | str) -> float:
    """Seconds of whole microseconds."""
    return int(time_us) / 1e6


def entry_id_at(time_s: float) -> str:
    """The identity that comes before those of all stream entries of this time and later."""
    return f"{max(0, round(time_s * 1e3))}-0"


def entry_time_s(entry_id: str) -> float:
    """When an entry came into its stream, to the millisecond."""
    return int(entry_id.partition("-")[0]) / 1e3


def whole(time_s: float) -> float:
    """A time rounded to whole microseconds."""
    return round(time_s * 1e6) / 1e6


@lru_cache(maxsize=8192)
def subchannel_key(subchannel: Subchannel) -> str:
    """A subchannel as part of a key: centre and width in Hz, e.g. `868100000/125000`."""
    return f"{round(subchannel.center_hz)}/{round(subchannel.bandwidth_hz)}"


@lru_cache(maxsize=8192)
def subchannel_of(key: str) -> Subchannel:
    """The subchannel of `subchannel_key`."""
    center, width = key.split("/")
    return Subchannel(float(center), float(width))


def report_field(report: ChannelReport) -> str:
    """The field under which the newest report of a sensor for a subchannel is kept."""
    return f"{subchannel_key(report.subchannel)}@{report.sensor}"


def encode_report(report: ChannelReport) -> bytes:
    """A report as JSON; infinities become null by being None already in the record."""
    return _encoder.encode(report)


def decode_report(data: bytes) -> ChannelReport:
    """The report of `encode_report`."""
    return _report_decoder.decode(data)


def encode(value: Any) -> bytes:
    """Any JSON value."""
    return _encoder.encode(value)


def decode(data: bytes | str) -> Any:
    """Any JSON value."""
    return msgspec.json.decode(data)


def lease_fields(lease: Lease) -> dict[str, Any]:
    """A lease as the scripts keep it."""
    return {
        "lease_id": lease.lease_id,
        "device": lease.device,
        "gateway": lease.gateway,
        "subchannel": subchannel_key(lease.subchannel),
        "start_us": str(microseconds(lease.start_s)),
        "end_us": str(microseconds(lease.end_s)),
        "attempt": lease.attempt,
        "forced": lease.forced,
        "state": lease.state,
    }


def lease_of(fields: dict[str, Any]) -> Lease:
    """The lease of `lease_fields`."""
    return Lease(
        fields["lease_id"],
        fields["device"],
        fields["gateway"],
        subchannel_of(fields["subchannel"]),
        seconds(fields["start_us"]),
        seconds(fields["end_us"]),
        int(fields["attempt"]),
        bool(fields["forced"]),
        fields["state"],
    )


def lease_event(kind: str, lease: Lease, now_s: float, reason: str = "") -> bytes:
    """One event about a lease, for the stream `events`."""
    event: dict[str, Any] = {"event": kind, "at_us": str(microseconds(now_s)), "lease": lease_fields(lease)}
    if reason:
        event["reason"] = reason
    return encode(event)
