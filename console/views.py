"""What the database holds, as the objects of the console's contract (docs/console.md). Pure: values in, JSON out."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from channel_status import records
from channel_status.fusion import fused, reports_covering
from controller.operators import OperatorsWord
from controller.transmitters import ledgers_of, regulated_by
from monitoring.periodic.kpi import wilson
from spectrum.duty_cycle import DutyCycleLedger
from spectrum.eu868 import DOWNLINK_CENTER_HZ, SUB_BANDS, SubBand, Subchannel
from spectrum.report import ChannelReport
from spectrum.site_file import SensorTable, Site
from spectrum.status import Lease

Json = dict[str, Any]

# By key of a subchannel: peak in dBFS and share of busy intervals of the newest second (or ten).
Lately = Mapping[str, tuple[float, float]]

# The page shows no more of each than a person can look through; what is left out is counted.
MOST_DEVICES: Final = 2_000
MOST_LEASES: Final = 2_000
TOP_TRANSMITTERS: Final = 5


def technology_of(subchannel: Subchannel) -> str:
    """LoRa's subchannels are 125 kHz and wider, SigFox's groups of micro-channels are narrower."""
    return "lora" if subchannel.bandwidth_hz >= 125e3 else "sigfox"


def every_subchannel(site: Site) -> tuple[Subchannel, ...]:
    """The subchannels of a site in order of frequency."""
    return tuple(sorted({*site.spectrum.lora, *site.spectrum.sigfox}))


def direction_of(band: SubBand) -> str:
    """Sub-band P carries the downlinks (RX2, SigFox); the others are for uplinks."""
    return "downlink" if band.holds(DOWNLINK_CENTER_HZ, DOWNLINK_CENTER_HZ) else "uplink"


def finite(value: float | None, digits: int = 2) -> float | None:
    """A number for JSON, rounded to what a page can show; None for what JSON cannot say."""
    return None if value is None or not math.isfinite(value) else round(value, digits)


def channels_view(
    site: Site,
    reports: Sequence[ChannelReport],
    leases: Sequence[Lease],
    word: OperatorsWord,
    now_s: float,
    lately: Lately | None = None,
) -> Json:
    """Kind `channels`: every subchannel with what is sensed, said and leased. lately: from the newest digests."""
    subchannels = every_subchannel(site)
    table = site.controller
    newest_s = max((report.time_s + report.interval_s for report in reports), default=-math.inf)
    age_s = now_s - newest_s
    sensing = "fresh" if age_s <= table.status_max_age_s else "held" if age_s <= table.hold_s else "silent"
    fresh = reports_covering(reports, subchannels, now_s, table.status_max_age_s)
    stale = reports_covering(reports, subchannels, now_s, math.inf) if len(fresh) < len(subchannels) else {}
    now, coming = Counter[Subchannel](), Counter[Subchannel]()
    for lease in leases:
        (now if lease.start_s <= now_s else coming)[lease.subchannel] += 1
    sensors = {sensor.name: sensor for sensor in site.sensor}
    rows = []
    for cell in subchannels:
        heard = fresh.get(cell) or stale.get(cell) or []
        row = channel_view(cell, heard, sensors, now_s)
        row["peak_dbfs"], row["busy_share"] = (lately or {}).get(row["key"], (None, None))
        rule = word.rule(row["key"])
        row["rule"], row["leases_now"], row["leases_next"] = rule, now[cell], coming[cell]
        row["state"] = channel_state(rule, row["busy"], now[cell], is_fresh=cell in fresh)
        rows.append(row)
    return {"time_s": now_s, "sensing": sensing, "subchannels": rows}


def channel_state(rule: str, busy: bool | None, leases_now: int, *, is_fresh: bool) -> str:
    """What colours a subchannel: an operator's ban before all else, then silence, then what is sensed, then leases."""
    if rule == "banned":
        return "banned"
    if not is_fresh:
        return "silent"
    if busy:
        return "busy"
    return "leased" if leases_now else "idle"


def channel_view(
    cell: Subchannel, heard: Sequence[ChannelReport], sensors: Mapping[str, SensorTable], now_s: float
) -> Json:
    """One subchannel from the reports that speak for it, by the rule the allocator goes by."""
    band = regulated_by(cell)
    named = {
        "key": records.subchannel_key(cell), "subchannel_hz": cell.center_hz, "bandwidth_hz": cell.bandwidth_hz,
        "technology": technology_of(cell), "sub_band": None if band is None else band.label,
    }  # fmt: skip
    if not heard:
        return named | dict.fromkeys(_MEASURED) | {"sensors": [], "flags": []}
    status = fused(cell, heard)
    loudest = max(heard, key=lambda report: report.energy_dbfs - report.threshold_dbfs)
    busiest = max(heard, key=lambda report: report.occupancy)
    design = [sensors.get(report.sensor) for report in heard]
    quiet = [report.pf_measured for report in heard if report.pf_measured is not None]
    return named | {
        "busy": status.busy,
        "age_s": finite(now_s - status.measured_s, 3),
        "energy_dbfs": finite(status.energy_dbfs),
        "threshold_dbfs": finite(status.threshold_dbfs),
        "noise_dbfs": finite(status.noise_dbfs),
        "energy_dbm": finite(loudest.energy_dbm),
        "snr_db": finite(status.snr_db),
        "pf": finite(status.pf, 5),
        "pm": finite(status.pm, 5),
        "pf_design": finite(1.0 - math.prod(1.0 - table.pf for table in design if table), 5) if all(design) else None,
        "pm_design": finite(math.prod(table.pm for table in design if table), 5) if all(design) else None,
        "pf_measured": finite(1.0 - math.prod(1.0 - pf for pf in quiet), 5) if len(quiet) == len(heard) else None,
        "pm_snr_db": finite(loudest.signal_snr_db),
        "occupancy": finite(status.occupancy, 5),
        "occupancy_low": finite(busiest.occupancy_low, 5),
        "occupancy_high": finite(busiest.occupancy_high, 5),
        "weight": finite(status.weight, 5),
        "sensors": list(status.sensors),
        "flags": list(status.flags),
    }


_MEASURED: Final = (
    "busy", "age_s", "energy_dbfs", "threshold_dbfs", "noise_dbfs", "energy_dbm", "snr_db", "pf", "pm", "pf_design",
    "pm_design", "pf_measured", "pm_snr_db", "occupancy", "occupancy_low", "occupancy_high", "weight",
)  # fmt: skip


def lease_view(lease: Lease) -> Json:
    """One lease."""
    return {
        "lease_id": lease.lease_id, "device": lease.device, "gateway": lease.gateway,
        "key": records.subchannel_key(lease.subchannel), "subchannel_hz": lease.subchannel.center_hz,
        "bandwidth_hz": lease.subchannel.bandwidth_hz, "start_s": lease.start_s, "end_s": lease.end_s,
        "attempt": lease.attempt, "forced": lease.forced, "state": lease.state,
    }  # fmt: skip


def leases_view(leases: Sequence[Lease], now_s: float) -> Json:
    """Kind `leases`: those that end first come first."""
    live = sorted((lease for lease in leases if lease.end_s > now_s), key=lambda lease: (lease.start_s, lease.lease_id))
    left_out = max(0, len(live) - MOST_LEASES)
    return {"time_s": now_s, "leases": [lease_view(lease) for lease in live[:MOST_LEASES]], "left_out": left_out}


def operators_view(word: OperatorsWord, now_s: float) -> Json:
    """Kind `operators`."""
    return {
        "time_s": now_s, "policy": word.policy, "attempts": word.attempts,
        "banned": list(word.banned), "pinned": list(word.pinned),
    }  # fmt: skip


def devices_view(site: Site, kpis: Mapping[str, Json], last: Mapping[str, Lease], now_s: float) -> Json:
    """Kind `devices`: those that monitoring or the site file know, the silent ones first."""
    tables = {device.name: device for device in site.device}
    rows = [device_view(name, kpis.get(name), last.get(name), tables.get(name)) for name in {*kpis, *tables}]
    rows.sort(key=lambda row: (not row["offline"], not row["degraded"], row["device"]))
    return {"time_s": now_s, "devices": rows[:MOST_DEVICES], "left_out": max(0, len(rows) - MOST_DEVICES)}


def device_view(name: str, kpi: Json | None, last: Lease | None, table: Any) -> Json:
    """One device: its KPIs (as `airshed watch --json` has them), its last lease, and what the site file says."""
    applications = kpi["applications"] if kpi else []
    first = applications[0] if applications else {}
    received = sum(one["received"] for one in applications)
    missed = sum(one["missed"] for one in applications)
    low, high = wilson(missed, received) if received + missed else (None, None)
    technology = table.technology if table else technology_of(last.subchannel) if last else None
    return {
        "device": name,
        "technology": technology,
        "gateway": last.gateway if last else table.gateway if table else None,
        "position_m": None if table is None or table.position_m is None else list(table.position_m),
        "last_seen_s": kpi["last_seen_s"] if kpi else None,
        "period_s": finite(first.get("period_s"), 3),
        "jitter_s": finite(first.get("jitter_s"), 3),
        "next_s": finite(first.get("next_s"), 3),
        "applications": len(applications),
        "outage": finite(kpi["outage"] if kpi else None, 5),
        "outage_low": finite(low, 5),
        "outage_high": finite(high, 5),
        "offline": bool(kpi and kpi["offline"]),
        "offline_probability": finite(kpi["offline_probability"] if kpi else None, 5),
        "degraded": bool(kpi and kpi["degraded"]),
        "receptions": kpi["receptions"] if kpi else 0,
        "key": None if last is None else records.subchannel_key(last.subchannel),
    }


def gateways_view(
    site: Site,
    links: Mapping[str, Json],
    radios: Mapping[str, Json],
    leases: Iterable[Lease],
    uplink_s: Mapping[str, float],
    now_s: float,
) -> Json:
    """Kind `gateways`: those of the site file and those that ever attached. radios: what their agents publish."""
    tables = {gateway.name: gateway for gateway in site.gateway}
    held = Counter(lease.gateway for lease in leases if lease.start_s <= now_s)
    rows = []
    for name in sorted({*tables, *links}):
        table, link, radio = tables.get(name), links.get(name, {}), radios.get(name, {})
        since = link.get("since_us")
        rows.append(
            {
                "gateway": name,
                "radio": table.radio if table else None,
                "state": link.get("state", "unknown"),
                "since_s": None if since is None else records.seconds(since),
                "controller": link.get("controller"),
                "position_m": None if table is None or table.position_m is None else list(table.position_m),
                "downlink": radio.get("downlink", []),
                "radio_state": radio.get("state"),
                "last_uplink_s": uplink_s.get(name),
                "leases_now": held[name],
            }
        )
    return {"time_s": now_s, "gateways": rows}


def sensors_view(site: Site, health: Mapping[str, Json], now_s: float) -> Json:
    """Kind `sensors`: those of the site file and those that ever reported."""
    tables = {sensor.name: sensor for sensor in site.sensor}
    rows = []
    for name in sorted({*tables, *health}):
        table, known = tables.get(name), health.get(name, {})
        last_s = known.get("last_s") or None
        age_s = None if last_s is None else max(0.0, now_s - last_s)
        rows.append(
            {
                "sensor": name,
                "source": table.source if table else None,
                "state": known.get("state", "unknown"),
                "last_s": last_s,
                "age_s": finite(age_s, 3),
                "stale": age_s is None or age_s > site.controller.status_max_age_s,
                "flags": known.get("flags", []),
                "gain_db": known.get("gain_db"),
                "clipping": known.get("clipping"),
                "intervals": known.get("intervals", 0),
                "records": known.get("records", 0),
                "lost_records": known.get("lost_records", 0),
                "lost_samples": known.get("lost_samples", 0),
                "position_m": None if table is None or table.position_m is None else list(table.position_m),
            }
        )
    return {"time_s": now_s, "sensors": rows}


def used_view(airtime: Json | None, now_s: float) -> list[Json]:
    """What one transmitter has used of its hour in each sub-band. airtime: its ledgers as they are kept."""
    ledgers = ledgers_of(records.encode(airtime)) if airtime else {}
    return [_used(label, ledger, now_s) for label, ledger in sorted(ledgers.items())]


def _used(label: str, ledger: DutyCycleLedger, now_s: float) -> Json:
    used_s = ledger.used_s(now_s)
    return {
        "sub_band": label, "used_s": finite(used_s, 3), "budget_s": finite(ledger.budget_s, 3),
        "used_share": finite(used_s / ledger.budget_s, 5),
    }  # fmt: skip


def duty_view(site: Site, airtime: Mapping[str, Json], gateways: Mapping[str, Json], now_s: float) -> Json:
    """Kind `duty`: the sub-bands of the site's subchannels and the downlink's, with who has used most of their hour."""
    used: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    rows_of = [(name, used_view(kept, now_s)) for name, kept in airtime.items()]
    rows_of += [(name, radio.get("downlink", [])) for name, radio in gateways.items()]
    for name, own in rows_of:
        for row in own:
            if row["used_s"] > 0.0:
                used[row["sub_band"]].append((row["used_share"], row["used_s"], name))
    bands = {band.label: band for band in map(regulated_by, every_subchannel(site)) if band is not None}
    bands |= {label: SUB_BANDS[label] for label in used}
    bands["P"] = SUB_BANDS["P"]
    rows = []
    for label, band in sorted(bands.items(), key=lambda item: item[1].low_hz):
        top = sorted(used[label], reverse=True)
        rows.append(
            {
                "sub_band": label, "low_hz": band.low_hz, "high_hz": band.high_hz, "limit": band.duty_cycle,
                "direction": direction_of(band), "transmitters": len(top),
                "used_s": finite(sum(used_s for _, used_s, _ in top), 3), "used_share": top[0][0] if top else 0.0,
                "top": [
                    {"device": name, "used_s": used_s, "used_share": share}
                    for share, used_s, name in top[:TOP_TRANSMITTERS]
                ],
            }
        )  # fmt: skip
    return {"time_s": now_s, "sub_bands": rows}


def site_view(site: Site, now_s: float, version: str, tick_s: float, history_s: float) -> Json:
    """What does not change while the console runs."""
    from allocation.policies import POLICIES
    from sensing import impairments, sweeps

    bands = (regulated_by(cell) for cell in every_subchannel(site))
    labels = {band.label for band in bands if band is not None} | {"P"}
    table = site.controller
    return {
        "site": site.name,
        "region": site.site.region,
        "version": version,
        "origin": None if site.site.origin is None else list(site.site.origin),
        "server_time_s": now_s,
        "subchannels": [_subchannel(cell) for cell in every_subchannel(site)],
        "sub_bands": [_sub_band(band) for label, band in SUB_BANDS.items() if label in labels],
        "downlink_hz": DOWNLINK_CENTER_HZ,
        "sensors": [
            {
                "name": one.name, "source": one.source, "center_hz": one.center_hz, "rate_hz": one.rate_hz,
                "interval_s": one.interval_s, "pf": one.pf, "pm": one.pm, "position_m": one.position_m,
            }
            for one in site.sensor
        ],
        "gateways": [{"name": one.name, "radio": one.radio, "position_m": one.position_m} for one in site.gateway],
        "devices": [
            {
                "name": one.name, "technology": one.technology, "gateway": one.gateway, "position_m": one.position_m,
            }
            for one in site.device
        ],
        "policies": list(POLICIES),
        "flags": {**sweeps.FLAGS, **impairments.FLAGS},
        "controller": {
            "policy": table.policy, "attempts": table.attempts, "share": table.share, "guard_s": table.guard_s,
            "horizon_s": table.horizon_s, "status_max_age_s": table.status_max_age_s, "hold_s": table.hold_s,
        },
        "console": {"tick_s": tick_s, "history_s": history_s},
    }  # fmt: skip


def _subchannel(cell: Subchannel) -> Json:
    band = regulated_by(cell)
    return {
        "key": records.subchannel_key(cell), "subchannel_hz": cell.center_hz, "bandwidth_hz": cell.bandwidth_hz,
        "name": cell.name, "technology": technology_of(cell), "sub_band": None if band is None else band.label,
    }  # fmt: skip


def _sub_band(band: SubBand) -> Json:
    return {
        "label": band.label, "low_hz": band.low_hz, "high_hz": band.high_hz, "duty_cycle": band.duty_cycle,
        "max_erp_dbm": band.max_erp_dbm, "direction": direction_of(band),
    }  # fmt: skip
