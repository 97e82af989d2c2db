"""What became of a packet, as JSON for machines and as a line for people."""

from __future__ import annotations

from typing import Any

from gateway_agent.virtual_radio import Dropped, Transmission


def outcome_json(sent: Transmission | Dropped) -> dict[str, Any]:
    """A transmission as one JSON object; a packet that was not sent has `dropped` instead of a subchannel."""
    device = sent.packet.device
    packet = {
        "packet": sent.packet.packet_id,
        "device": device.name,
        "technology": device.technology,
        "ready_s": sent.packet.ready_s,
        "airtime_s": device.airtime_s,
        "copies": device.copies,
    }
    if isinstance(sent, Dropped):
        return {**packet, "dropped": sent.reason}
    return {
        **packet,
        "copy": sent.copy,
        "subchannel_hz": sent.subchannel.center_hz,
        "bandwidth_hz": sent.subchannel.bandwidth_hz,
        "start_s": sent.start_s,
        "attempt": sent.attempt,
        "forced": sent.forced,
        "grant_ms": sent.grant_ms,
        "refused": sent.refused,
    }


def outcome_line(sent: Transmission | Dropped) -> str:
    """A transmission, or a packet that was not sent, as one line for people."""
    if isinstance(sent, Dropped):
        return f"{sent.packet.device.name} {sent.packet.device.technology} not sent: {sent.reason}"
    how = f"refused ({sent.refused}), at random" if not sent.attempt else f"attempt {sent.attempt}"
    forced = ", forced" if sent.forced and sent.attempt else ""
    return f"{sent.packet.device.name} {sent.packet.device.technology} {sent.subchannel.name} {how}{forced}"
