"""What a run of the twin has counted, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from spectrum.eu868 import Subchannel
from testbed.collisions import OnAir, collided, meeting, random_access
from testbed.twin.air import Transmission
from testbed.twin.scene import Scene
from testbed.twin.tally import Tally

if TYPE_CHECKING:
    from testbed.twin.live import LiveSite

# More events than a run of an hour leaves.
MOST_EVENTS: Final = 200_000


def live_summary(site: LiveSite, seconds: float) -> dict[str, Any]:
    """The account of a live site, which it halts: fates of the reports, what was sensed, allocated, met on the air."""
    site.halt()
    scene, twin = site.scene, site.twin
    database = site.database
    sensors = [records.decode(value) for value in database.get(scene.name, "sensor").values()]
    reports = database.reports(scene.name)
    occupied = [report.subchannel for report in reports if report.occupancy > 0.5]
    account = twin.tally.as_json()
    return {
        "source": f"scene {scene.name}",
        "scene": scene.name,
        "devices": len(twin.members),
        "seconds": seconds,
        "seed": scene.seed,
        "intervals": sum(sensor["intervals"] for sensor in sensors),
        "records": sum(sensor["records"] for sensor in sensors),
        **_allocations(database, scene, twin.tally),
        **_meetings(scene, twin.sent_by_controlled, occupied),
        "flags": sorted({flag for report in reports for flag in report.flags}),
        **{f"delivery_ratio_{name}": ratio for name, ratio in _ratios(account).items()},
        "recovered": recovered(account),
        **account,
    }


def _ratios(account: Mapping[str, Any]) -> dict[str, float | None]:
    """Of the devices that are under the agent: nobody else can be steered."""
    phases = account["phases"]
    return {
        name: phases[name]["controlled"]["delivery_ratio"] if name in phases else None
        for name in ("before", "during", "after")
    }


def recovered(account: Mapping[str, Any]) -> bool | None:
    """Whether at least half of what the interferer took from the controlled devices came back.

    Judged by the reports that a gateway lost to interference, not by all deliveries: a minute holds too few reports for
    the collisions among the devices themselves to even out. None when a phase is missing or nothing was taken.
    """
    shares = [_lost_to_interference(account["phases"].get(name)) for name in ("before", "during", "after")]
    before, during, after = (0.0 if share is None else share for share in shares)
    if None in shares or during <= before:
        return None
    return after - before <= (during - before) / 2.0


def _lost_to_interference(phase: Mapping[str, Any] | None) -> float | None:
    """Share of the controlled devices' reports; None where they sent none."""
    sent = 0 if phase is None else phase["controlled"]["sent"]
    return phase["controlled_losses"]["interference"] / sent if phase is not None and sent else None


def _allocations(database: ChannelStatusDatabase, scene: Scene, tally: Tally) -> dict[str, Any]:
    """Decisions from the event stream. grant_ms: from the agent's asking to the controller's deciding.

    unanswered: SigFox messages that went at random because no word came; a LoRaWAN device keeps its channels meanwhile.
    """
    decisions = [
        event
        for entry in database.read(scene.name, "events", count=MOST_EVENTS)
        if (event := records.decode(entry.value))["event"] in ("granted", "forced")
    ]
    granted = [event["lease"] for event in decisions if event["event"] == "granted"]
    most = scene.controller.attempts
    attempts = most if isinstance(most, int) else max((lease["attempt"] for lease in granted), default=1)
    took_ms = [ms for event in decisions if (ms := _took_ms(event)) is not None]
    return {
        "requests": len(decisions),
        "granted": len(granted),
        "forced": len(decisions) - len(granted),
        "unanswered": tally.counts["sigfox_at_random"],
        "refused_duty_cycle": tally.counts["refused_duty_cycle"],
        "attempts": [sum(lease["attempt"] == n for lease in granted) for n in range(1, attempts + 1)],
        "grant_ms_mean": float(np.mean(took_ms)) if took_ms else None,
        "grant_ms_p50": float(np.percentile(took_ms, 50)) if took_ms else None,
        "grant_ms_p99": float(np.percentile(took_ms, 99)) if took_ms else None,
    }


def _took_ms(event: Mapping[str, Any]) -> float | None:
    """The agents' request ids end with the microsecond at which they asked; both clocks are this machine's."""
    asked = str(event["why"]["inputs"]["ask"]["request_id"]).rpartition("-")[2]
    return (int(event["at_us"]) - int(asked)) / 1e3 if asked.isdigit() else None


def _meetings(scene: Scene, sent: Sequence[Transmission], occupied: Sequence[Subchannel]) -> dict[str, int]:
    """Collisions and transmissions on subchannels that are mostly busy: as it went, and the same packets at random."""
    as_sent = [OnAir(one.source, one.subchannel, one.start_s, one.end_s) for one in sent]
    packets = [
        {"device": one.source, "technology": one.kind, "ready_s": one.start_s, "airtime_s": one.airtime_s, "copies": 1}
        for one in sent
    ]
    subchannels = {"lora": scene.spectrum.lora, "sigfox": scene.spectrum.sigfox}
    at_random = random_access(packets, subchannels, scene.seed)
    return {
        "collisions_random": collided(at_random),
        "collisions_allocated": collided(as_sent),
        "on_occupied_random": meeting(at_random, occupied),
        "on_occupied_allocated": meeting(as_sent, occupied),
    }


def summary_text(found: Mapping[str, Any]) -> str:
    """The account for people."""
    lines = [f"scene      {found['scene']}, seed {found['seed']}, {found['devices']} devices, {found['seconds']:.0f} s"]
    if "intervals" in found:
        lines.append(f"sensed     {found['intervals']} intervals, {found['records']} records written")
    if found.get("requests"):
        lines.append(f"allocated  {found['granted']} of {found['requests']} requests, {found['forced']} forced")
    names = {"before": "before", "during": "interfered", "after": "steered", "cleared": "cleared"}
    for name, phase in found["phases"].items():
        lines.append(f"{names[name]:<10} {_share(phase)}, {_lost(phase['losses'])}")
        if phase["strangers"]["sent"] and phase["controlled"]["sent"]:
            lines.append(f"           our own: {_share(phase['controlled'])}; strangers: {_share(phase['strangers'])}")
    taken = [
        f"{p['losses']['interference'] / p['sent']:.3f} {names[n]}" for n, p in found["phases"].items() if p["sent"]
    ]
    lines.append(f"           lost to interference: {', '.join(taken)}")
    if found.get("recovered") is not None:
        verdict = (
            "the loop closed" if found["recovered"] else "the devices did NOT get away from the interferer in this run"
        )
        lines.append(f"           {verdict}")
    for name, share in found["by_spreading_factor"].items():
        lines.append(f"{name:<10} {_share(share)}")
    return "\n".join(lines)


def _share(share: Mapping[str, Any]) -> str:
    ratio = share["delivery_ratio"]
    return f"delivery ratio {'-' if ratio is None else format(ratio, '.3f')} ({share['delivered']} of {share['sent']})"


def _lost(losses: Mapping[str, int]) -> str:
    lost = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in losses.items() if count)
    return f"lost: {lost or 'none'}"
