"""What the demo has seen: from the agent's lines and the database to the summary it prints. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectrum.eu868 import Subchannel
from testbed.collisions import OnAir, collided, meeting, random_access


def summary(
    outcomes: Sequence[Mapping[str, Any]],
    subchannels: Mapping[str, Sequence[Subchannel]],
    occupied: Sequence[Subchannel],
    attempts: int,
    seed: int,
) -> dict[str, Any]:
    """The demo's figures from what the agent printed, one mapping for each transmission or dropped packet.

    occupied: subchannels that sensing found more often busy than not. A request is one transmission asked for: a SigFox
    packet makes three (notes 1.4).
    """
    sent = [outcome for outcome in outcomes if "dropped" not in outcome]
    dropped = [outcome for outcome in outcomes if "dropped" in outcome]
    granted = [outcome for outcome in sent if outcome["attempt"] and not outcome["forced"]]
    forced = [outcome for outcome in sent if outcome["attempt"] and outcome["forced"]]
    packets = list({outcome["packet"]: dict(outcome) for outcome in sent}.values())
    allocated = [_on_air(outcome) for outcome in sent]
    at_random = random_access(packets, subchannels, seed)
    grant_ms = [outcome["grant_ms"] for outcome in sent if outcome["grant_ms"] is not None]
    return {
        "requests": len(sent) + sum(outcome["copies"] for outcome in dropped),
        "granted": len(granted),
        "forced": len(forced),
        "unanswered": len(sent) - len(granted) - len(forced),
        "refused_duty_cycle": sum(outcome["copies"] for outcome in dropped),
        "attempts": [sum(outcome["attempt"] == n for outcome in granted) for n in range(1, attempts + 1)],
        "grant_ms_mean": float(np.mean(grant_ms)) if grant_ms else None,
        "grant_ms_p50": float(np.percentile(grant_ms, 50)) if grant_ms else None,
        "grant_ms_p99": float(np.percentile(grant_ms, 99)) if grant_ms else None,
        "collisions_random": collided(at_random),
        "collisions_allocated": collided(allocated),
        "on_occupied_random": meeting(at_random, occupied),
        "on_occupied_allocated": meeting(allocated, occupied),
    }


def _on_air(outcome: Mapping[str, Any]) -> OnAir:
    where = Subchannel(outcome["subchannel_hz"], outcome["bandwidth_hz"])
    return OnAir(outcome["device"], where, outcome["start_s"], outcome["start_s"] + outcome["airtime_s"])


def summary_text(found: Mapping[str, Any]) -> str:
    """The summary for people."""
    attempts = ", ".join(f"{count} at attempt {n}" for n, count in enumerate(found["attempts"], start=1) if count)
    grant = "no request was answered"
    if found["grant_ms_mean"] is not None:
        grant = f"request to grant: mean {found['grant_ms_mean']:.1f} ms, p99 {found['grant_ms_p99']:.1f} ms"
    lines = [
        f"sensed     {found['intervals']} intervals, {found['records']} records written",
        f"allocated  {found['granted']} of {found['requests']} requests ({attempts or 'none'})",
        f"           {found['forced']} forced; {grant}",
        f"collisions {found['collisions_random']} with random access, {found['collisions_allocated']} with allocation "
        "(same packets)",
        f"occupied   {found['on_occupied_random']} transmissions at random, {found['on_occupied_allocated']} with "
        "allocation on subchannels that are mostly busy",
    ]
    if found["refused_duty_cycle"]:
        lines.append(f"duty cycle {found['refused_duty_cycle']} requests refused")
    if found["unanswered"]:
        lines.append(f"unanswered {found['unanswered']} requests: those devices sent at random")
    return "\n".join(lines)
