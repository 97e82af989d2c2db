"""The report for a person: the devices that need attention, and the fleet in a few lines."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from monitoring.periodic.batch import Watched
from monitoring.periodic.fleet import fleet_kpi, gateway_summaries, helped_by_gateway
from monitoring.periodic.model import DeviceKpi

# Rows of the table; --json has them all.
ROWS: Final = 25
# Times beyond a year after 1970 are printed as dates.
LOOKS_LIKE_EPOCH_S: Final = 31_536_000.0


def print_table(watched: Watched) -> None:
    """Print to stdout: worst devices first, then totals, coverage and groups."""
    from rich.console import Console
    from rich.table import Table

    devices = list(watched.devices())
    console = Console()
    if devices:
        table = Table("device", "periods", "received", "missed", "outage", "offline", "last seen", "groups")
        for one in sorted(devices, key=_worst)[:ROWS]:
            table.add_row(*_row(one))
        console.print(table)
        if len(devices) > ROWS:
            console.print(f"... and {len(devices) - ROWS} more; --json prints all")
    for line in fleet_lines(devices):
        console.print(line, highlight=False)


def fleet_lines(devices: list[DeviceKpi]) -> list[str]:
    """Totals, coverage of each gateway and the devices a new one would help most."""
    fleet = fleet_kpi(devices)
    outage = "unknown" if fleet.outage is None else f"{fleet.outage:.1%}"
    lines = [
        f"{fleet.devices} devices, {fleet.with_period} with a period, {fleet.offline} offline, "
        f"{fleet.degraded} degraded; {fleet.receptions} receptions, outage {outage}, "
        f"{fleet.without_outage} devices without outage"
    ]
    for gateway in gateway_summaries(devices):
        median = "unknown" if gateway.median_outage is None else f"{gateway.median_outage:.1%}"
        lines.append(
            f"gateway {gateway.gateway}: hears {gateway.devices} devices, {gateway.alone} of them alone; "
            f"median outage {median}, none for {gateway.without_outage}"
        )
    helped = helped_by_gateway(devices)[:5]
    if helped and any(one.gateways for one in devices):
        most = ", ".join(f"{one.device} ({one.outage:.0%}, best {one.best_gateway})" for one in helped)
        lines.append(f"a new gateway would help most: {most}")
    return lines


def _worst(one: DeviceKpi) -> tuple[bool, bool, float, str]:
    return not one.offline, not one.degraded, -(one.outage if one.outage is not None else -1.0), one.device


def _row(one: DeviceKpi) -> tuple[str, ...]:
    periods = ", ".join(f"{application.period_s:.6g} s" for application in one.applications) or "none"
    outage = "" if one.outage is None else f"{one.outage:.1%}"
    offline = f"yes ({one.offline_probability:.3f})" if one.offline else "no"
    return (
        one.device,
        periods,
        str(one.received),
        str(one.missed),
        outage,
        offline,
        when(one.last_seen_s),
        " ".join(one.groups),
    )


def when(time_s: float) -> str:
    """A time as a date in UTC where it is one, else in seconds."""
    if LOOKS_LIKE_EPOCH_S < time_s < 1e11 and math.isfinite(time_s):
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{time_s:.1f} s"
