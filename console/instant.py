"""Everything at a past instant, in the objects of the present: for the time slider."""

from __future__ import annotations

from typing import Any, Final

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from console import views
from console.past_events import PastEvents
from console.rows import lately_of, row_at
from controller.transmitters import KIND as AIRTIME
from spectrum.duty_cycle import WINDOW_S
from spectrum.errors import BadInput
from spectrum.site_file import Site

Json = dict[str, Any]

# Uplinks before the instant that say when devices were last heard.
UPLINKS: Final = 5_000
# A sensor that said nothing for so long before the instant is not shown with old figures.
LONGEST_S: Final = 60.0


def state_at(site: Site, database: ChannelStatusDatabase, sensors: list[str], at_s: float, now_s: float) -> Json:
    """`GET /api/state?at_s=`. Verdicts are those of the digests: a second's (or ten's) mean against the threshold.

    Duty cycle is known for the last hour only; of devices what the streams say: when heard, whether offline, where.
    """
    if at_s > now_s:
        raise BadInput(f"at_s must not lie ahead of now, got {at_s:g}")
    past = PastEvents(site, database)
    found, word = past.at(at_s), past.word_at(at_s)
    rows = {name: row_at(database, site.name, name, at_s, LONGEST_S) for name in sensors}
    reports = [report for row in rows.values() if row is not None for report in row.as_reports()]
    leases = [lease for lease in found.leases.values() if lease is not None]
    lately = lately_of([row for row in rows.values() if row is not None], at_s)
    channels = views.channels_view(site, reports, leases, word, at_s, lately)
    if found.sensing is not None:
        channels["sensing"] = found.sensing
    health: dict[str, Json] = {
        name: {
            "state": "running", "last_s": row.end_s, "flags": row.flags, "gain_db": row.gain_db,
            "clipping": row.clipping,
        }
        for name, row in rows.items()
        if row is not None
    }  # fmt: skip
    links = _links(database, site.name, at_s) | found.gateways
    heard, uplink_s = _heard(site, database, at_s)
    kpis = {
        device: _kpi(heard.get(device), offline=found.offline.get(device, False)) for device in {*heard, *found.offline}
    }
    return {
        "time_s": at_s,
        "feed": {"time_s": at_s, "state": "past", "since_s": at_s, "detail": "", "retry_s": None},
        "channels": channels,
        "leases": views.leases_view(leases, at_s) | {"complete": found.seen_all},
        "devices": views.devices_view(site, kpis, found.last, at_s),
        "gateways": views.gateways_view(site, links, {}, leases, uplink_s, at_s),
        "sensors": views.sensors_view(site, health, at_s),
        "duty": _duty(site, database, at_s, now_s),
        "operators": views.operators_view(word, at_s),
    }


def _heard(site: Site, database: ChannelStatusDatabase, at_s: float) -> tuple[dict[str, float], dict[str, float]]:
    """When each device, and through each gateway anything, was last heard before `at_s`."""
    devices: dict[str, float] = {}
    gateways: dict[str, float] = {}
    for entry in database.read_newest(site.name, "uplinks", records.entry_id_at(at_s + LONGEST_S), UPLINKS):
        try:
            uplink = records.decode(entry.value)
            device, gateway, time_s = str(uplink["device"]), str(uplink["gateway"]), float(uplink["time_s"])
        except (ValueError, KeyError, TypeError):
            continue
        if time_s <= at_s:
            devices[device] = max(time_s, devices.get(device, 0.0))
            gateways[gateway] = max(time_s, gateways.get(gateway, 0.0))
    return devices, gateways


def _links(database: ChannelStatusDatabase, site: str, at_s: float) -> dict[str, Json]:
    """Gateways whose state of now has stood since before `at_s`: the events of it may be long gone."""
    links = {name: records.decode(kept) for name, kept in database.get(site, "gateway").items()}
    return {name: link for name, link in links.items() if records.seconds(link["since_us"]) <= at_s}


def _kpi(last_seen_s: float | None, *, offline: bool) -> Json:
    """What the streams know of a device's KPIs at a past instant."""
    return {
        "applications": [], "last_seen_s": last_seen_s, "outage": None, "offline": offline, "offline_probability": None,
        "degraded": False, "receptions": 0,
    }  # fmt: skip


def _duty(site: Site, database: ChannelStatusDatabase, at_s: float, now_s: float) -> Json:
    """From the ledgers, which reach two hours back: what was sent by then. Nothing for times before the last hour."""
    if now_s - at_s > WINDOW_S:
        return {"time_s": at_s, "sub_bands": []}
    airtime: dict[str, Json] = {}
    for name, kept in database.get(site.name, AIRTIME).items():
        ledgers = records.decode(kept)
        airtime[name] = {
            label: [sent for sent in transmissions if sent[0] <= at_s * 1e6] for label, transmissions in ledgers.items()
        }
    return views.duty_view(site, airtime, {}, at_s)
