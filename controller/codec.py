"""Between the wire and the controller's values. The allocator checks what comes from the wire."""

from __future__ import annotations

import math
from typing import Final

from channel_status.records import microseconds, seconds
from controller.requests import Answer, Ask, RefusalReason, Technology
from controller.snapshot import Snapshot
from gateway_agent.wire import controller_pb2 as wire
from spectrum.errors import BadInput
from spectrum.status import ChannelStatus, Lease

_TECHNOLOGIES: Final[dict[int, Technology]] = {wire.LORA: "lora", wire.SIGFOX: "sigfox"}
_REASONS: Final[dict[RefusalReason, wire.Refusal.Reason]] = {
    "invalid": wire.Refusal.INVALID,
    "duty_cycle": wire.Refusal.DUTY_CYCLE,
    "overloaded": wire.Refusal.OVERLOADED,
    "database_away": wire.Refusal.DATABASE_AWAY,
}


def ask_of(message: wire.LeaseRequest, gateway: str) -> Ask:
    """The ask in a request; `gateway` is the stream's own, whatever the message says. BadInput without a technology."""
    technology = _TECHNOLOGIES.get(message.technology)
    if technology is None:
        raise BadInput(f"a request names LORA or SIGFOX as its technology, got {message.technology}")
    return Ask(
        message.request_id,
        message.device,
        gateway,
        technology,
        seconds(message.airtime_us),
        message.copies or 1,
        message.keeps_time,
        seconds(message.delay_us) if message.delay_us > 0 else None,
    )


def lease_message(lease: Lease) -> wire.Lease:
    """A lease for the wire."""
    return wire.Lease(
        lease_id=lease.lease_id,
        device=lease.device,
        subchannel_hz=round(lease.subchannel.center_hz),
        bandwidth_hz=round(lease.subchannel.bandwidth_hz),
        start_us=microseconds(lease.start_s),
        end_us=microseconds(lease.end_s),
        attempt=lease.attempt,
        forced=lease.forced,
        gateway=lease.gateway,
        state=lease.state,
    )


def answer_message(answer: Answer) -> wire.LeaseAnswer:
    """An answer for the wire."""
    message = wire.LeaseAnswer(request_id=answer.request_id, leases=[lease_message(lease) for lease in answer.leases])
    if answer.refusal is not None:
        retry_at_s = answer.refusal.retry_at_s
        message.refusal.reason = _REASONS[answer.refusal.reason]
        message.refusal.message = answer.refusal.message
        message.refusal.retry_at_us = 0 if retry_at_s is None else microseconds(retry_at_s)
    return message


def change_message(lease_id: str, lease: Lease | None) -> wire.LeaseChange:
    """What became of a lease that was to be renewed or released."""
    return wire.LeaseChange(lease_id=lease_id, lease=None if lease is None else lease_message(lease))


def status_message(
    site: str, snapshot: Snapshot, leases: tuple[Lease, ...], gateways: list[str], now_s: float
) -> wire.StatusReply:
    """The channel map for the wire."""
    live = [lease.subchannel for lease in leases]
    rows = [
        _subchannel_message(status, live.count(status.subchannel), now_s)
        for _, status in sorted(snapshot.by_subchannel.items())
    ]
    return wire.StatusReply(
        site=site, subchannels=rows, leases=[lease_message(lease) for lease in leases], gateways=gateways
    )


def _subchannel_message(status: ChannelStatus, live_leases: int, now_s: float) -> wire.SubchannelStatus:
    return wire.SubchannelStatus(
        subchannel_hz=round(status.subchannel.center_hz),
        bandwidth_hz=round(status.subchannel.bandwidth_hz),
        age_s=now_s - status.measured_s,
        energy_dbfs=_finite(status.energy_dbfs),
        noise_dbfs=_finite(status.noise_dbfs),
        threshold_dbfs=_finite(status.threshold_dbfs),
        pf=status.pf,
        pm=status.pm,
        occupancy=status.occupancy,
        weight=status.weight,
        busy=status.busy,
        live_leases=live_leases,
        flags=status.flags,
    )


def _finite(level_db: float) -> float:
    return level_db if math.isfinite(level_db) else -200.0
