"""The controller's answers as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from channel_status.records import seconds

# The table names this many silent devices; --json has them all.
MOST_SILENT = 20


def clock_time(time_us: int | str) -> str:
    """Local time of day with milliseconds."""
    moment = datetime.fromtimestamp(seconds(time_us), tz=UTC).astimezone()
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def status_table(found: Mapping[str, Any]) -> str:
    """The channel map, one line a subchannel."""
    gateways = ", ".join(found["gateways"]) or "none"
    lines = [f"site {found['site']}: {len(found['leases'])} live leases, gateways attached: {gateways}"]
    lines += device_lines(found.get("devices"))
    if not found["subchannels"]:
        return "\n".join([*lines, "nothing is sensed: is `airshed sense --site` running?"])
    lines.append("     MHz  kHz  energy   floor  thresh   Pf    Pm   Pr(H1) weight state leases  age s flags")
    for row in found["subchannels"]:
        lines.append(
            f"{row['subchannel_hz'] / 1e6:8.4f} {row['bandwidth_hz'] / 1e3:4.0f} {row['energy_dbfs']:7.1f} "
            f"{row['noise_dbfs']:7.1f} {row['threshold_dbfs']:7.1f} {row['pf']:5.3f} {row['pm']:5.3f} "
            f"{row['occupancy']:6.3f} {row['weight']:6.3f} {'busy' if row['busy'] else 'idle':5s} "
            f"{row['live_leases']:6d} {row['age_s']:6.2f} {' '.join(row['flags'])}"
        )
    return "\n".join(lines)


def device_lines(devices: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """How many devices are known by their rhythm, and those that have gone silent."""
    if devices is None:
        return ["the database cannot be reached from here: no word on the devices"]
    periodic = sum(bool(device["applications"]) for device in devices)
    silent = [device for device in devices if device["offline"]]
    lines = [f"{len(devices)} devices heard, {periodic} with a known period, {len(silent)} offline"]
    lines += [
        f"  {device['device']} silent since {clock_time(round(device['last_seen_s'] * 1e6))} "
        f"(offline with probability {device['offline_probability']:.4f})"
        for device in silent[:MOST_SILENT]
    ]
    return lines


def answer_lines(answer: Mapping[str, Any]) -> str:
    """Leases or the refusal, one line each."""
    if "refusal" in answer:
        return f"refused: {answer['refusal']['message']}"
    return "\n".join(
        f"{lease['subchannel_hz'] / 1e6:.4f} MHz from {clock_time(lease['start_us'])} to {clock_time(lease['end_us'])} "
        f"({'forced after' if lease['forced'] else 'attempt'} {lease['attempt']}, lease {lease['lease_id']})"
        for lease in answer["leases"]
    )


def explanation(decision: Mapping[str, Any]) -> str:
    """Why a device got its subchannel, as a few sentences."""
    lease, why = decision["lease"], decision["why"]
    megahertz = float(lease["subchannel"].split("/")[0]) / 1e6
    knowledge = {
        "fresh": "with fresh sensing",
        "held": "sensing was silent, so the last good status was held",
        "silent": "sensing had been silent too long, so access was random",
    }[why["inputs"]["sensing"]]
    lines = [
        f"{lease['device']} got {megahertz:.4f} MHz at {clock_time(decision['at_us'])} "
        f"by policy {why['inputs']['policy']}, {knowledge}.",
        f"{why['subchannels']} subchannels were candidates, tries were drawn from {why['drawn_from']}; best first:",
    ]
    lines += [f"  {float(key.split('/')[0]) / 1e6:9.4f} MHz  score {score:.4f}" for key, score in why["best"]]
    blocked = list(decision["blocked_by"])
    for number, (key, start_us, _) in enumerate(why["tries"][: lease["attempt"]], start=1):
        taken = not lease["forced"] and number == lease["attempt"]
        by = (
            "idle: taken"
            if taken
            else f"in use by lease {blocked[number - 1]}"
            if number <= len(blocked)
            else "not looked at"
        )
        lines.append(f"  try {number}: {float(key.split('/')[0]) / 1e6:9.4f} MHz at {clock_time(start_us)}: {by}")
    if lease["forced"]:
        reason = "every try was in use" if why["anything_idle"] else "no subchannel was declared idle"
        lines.append(f"  forced: {reason}, the last draw stands.")
    return "\n".join(lines)
