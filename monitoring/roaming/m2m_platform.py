"""What an M2M platform's signalling shows: who fails and why, who floods, who bounces, who never goes home.

Reads the table `platform` (see `ingest`). Figures 3 and 4, and lists an operator can act on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from monitoring.roaming import catalog
from monitoring.roaming.countries import country
from monitoring.roaming.engine import Engine
from monitoring.roaming.figure import Figure, distribution

# Visited countries with less than this share of a home network's devices are one column (the paper's figure 3).
SMALL_SHARE: Final = 0.001


@dataclass(frozen=True)
class Limits:
    """From where on a device is listed. None of them is printed in the paper; each is an option.

    storm_per_day, storm_per_hour: records of one device. ping_pong: returns (A, B, A with both switches within
    return_window_s). permanent_share: of the window's days on which it got through abroad in one country, having never
    been seen at home.
    """

    storm_per_day: int = 1000
    storm_per_hour: int = 200
    ping_pong: int = 10
    return_window_s: float = 3600.0
    permanent_share: float = 0.8


LIMITS: Final = tuple(limit.name for limit in fields(Limits))


def prepare(engine: Engine, limits: Limits) -> None:
    """Tables `platform_moves` (records with the network before) and `platform_devices` (one row a device)."""
    engine.table(
        "platform_moves",
        """
        SELECT p.*, substr(visited, 1, 3) <> substr(sim, 1, 3) AS abroad,
               lag(visited) OVER way AS before_1
        FROM platform p WINDOW way AS (PARTITION BY device ORDER BY time_s, visited)""",
    )
    # A return is counted over switches, not records: A A B B A returns once. So repeats are taken out first.
    engine.table(
        "platform_switches",
        """
        SELECT device, visited, time_s, lag(visited) OVER way AS from_network, lag(visited, 2) OVER way AS from_2,
               lag(time_s) OVER way AS last_switch_s
        FROM platform_moves WHERE before_1 IS NULL OR before_1 <> visited
        WINDOW way AS (PARTITION BY device ORDER BY time_s, visited)""",
    )
    engine.table(
        "platform_devices",
        f"""
        SELECT p.device, p.sim, p.records, p.failed, p.networks, p.days, p.roaming_days, p.home_records,
               coalesce(s.switches, 0) AS switches, coalesce(s.returns, 0) AS returns
        FROM (SELECT device, max(sim) AS sim, count(*) AS records, CAST(sum(1 - ok) AS BIGINT) AS failed,
                     count(DISTINCT visited) AS networks, count(DISTINCT day) AS days,
                     count(DISTINCT CASE WHEN abroad AND ok = 1 THEN day END) AS roaming_days,
                     count(CASE WHEN NOT abroad THEN 1 END) AS home_records
              FROM platform_moves GROUP BY device) p
        LEFT JOIN (SELECT device, count(from_network) AS switches,
                          count(CASE WHEN from_2 = visited AND time_s - last_switch_s <= {limits.return_window_s}
                                     THEN 1 END) AS returns
                   FROM platform_switches GROUP BY device) s ON p.device = s.device""",
    )


def view(engine: Engine, limits: Limits, *, top: int, keep_names: bool = False) -> dict[str, Any]:
    """The platform view: counts, failures by cause, and the lists with at most `top` devices each, loudest first."""
    [(records, devices, first, last)] = engine.rows(
        "SELECT count(*), count(DISTINCT device), min(day), max(day) FROM platform_moves"
    )
    window = (last - first + 1) if first is not None else 0
    lists = {
        "storms": _storms(engine, limits, top, keep_names),
        "ping_pong": _ping_pong(engine, limits, top, keep_names),
        "permanent_roamers": _permanent(engine, limits, window, top, keep_names),
        "failing_devices": _failing(engine, top, keep_names),
    }
    return {
        "records": records,
        "platform_devices": devices,
        "window_days": window,
        "limits": asdict(limits),
        "failures": _failures(engine),
        "counts": {name: found["count"] for name, found in lists.items()},
        **{name: found["devices"] for name, found in lists.items()},
    }


def _failures(engine: Engine) -> list[dict[str, Any]]:
    """Failures by cause, home network and visited network, most first."""
    select = """
        SELECT cause, sim, visited, count(*) AS records, count(DISTINCT device) AS devices
        FROM platform_moves WHERE ok = 0 GROUP BY cause, sim, visited ORDER BY records DESC, cause, sim, visited"""
    causes: dict[str, dict[str, Any]] = {}
    for cause, sim, visited, records, devices in engine.rows(select):
        entry = causes.setdefault(cause, {"cause": cause, "records": 0, "devices": 0, "worst": []})
        entry["records"] += records
        if len(entry["worst"]) < 5:
            entry["worst"].append(
                {"home_network": sim, "visited_network": visited, "records": records, "devices": devices}
            )
    for cause, devices in engine.rows(
        "SELECT cause, count(DISTINCT device) FROM platform_moves WHERE ok = 0 GROUP BY cause"
    ):
        causes[cause]["devices"] = devices
    return sorted(causes.values(), key=lambda entry: (-entry["records"], entry["cause"]))


def _listed(engine: Engine, select: str, top: int, keep_names: bool, action: str) -> dict[str, Any]:
    """{"count", "devices"}: the rows of a SELECT over a device table d, named, at most `top`."""
    body = f"FROM ({select}) d {catalog.join_names('d', keep_names)}"
    [(count,)] = engine.rows(f"SELECT count(*) FROM ({select}) d")
    ordered = (
        f"SELECT {catalog.named('d.device', keep_names)} AS name, d.* {body} ORDER BY d.weight DESC, name LIMIT {top}"
    )
    names = engine.columns(ordered)
    devices = []
    for row in engine.rows(ordered):
        entry = dict(zip(names, row, strict=True))
        entry["device"] = entry.pop("name")
        entry.pop("weight")
        entry["home_country"] = country(entry["home_network"])
        devices.append({"device": entry.pop("device"), **entry, "action": action})
    return {"count": count, "devices": devices}


_MAIN_CAUSE: Final = """
    (SELECT device, substr(max(lpad(CAST(n AS STRING), 12, '0') || cause), 13) AS main_cause
     FROM (SELECT device, cause, count(*) AS n FROM platform_moves WHERE ok = 0 GROUP BY device, cause) c
     GROUP BY device)"""


def _storms(engine: Engine, limits: Limits, top: int, keep_names: bool) -> dict[str, Any]:
    select = f"""
        SELECT p.device, p.sim AS home_network, p.records, d.records AS peak_day_records, d.day AS peak_day,
               h.records AS peak_hour_records, p.failed, p.networks, c.main_cause, d.records AS weight
        FROM platform_devices p
        JOIN (SELECT device, max(records) AS records, max_by(day_text(day), records * 100000 - day) AS day
              FROM (SELECT device, day, count(*) AS records FROM platform_moves GROUP BY device, day) x
              GROUP BY device) d ON p.device = d.device
        JOIN (SELECT device, max(records) AS records
              FROM (SELECT device, floor(time_s / 3600) AS hour, count(*) AS records FROM platform_moves
                    GROUP BY device, floor(time_s / 3600)) x GROUP BY device) h ON p.device = h.device
        LEFT JOIN {_MAIN_CAUSE} c ON p.device = c.device
        WHERE d.records >= {limits.storm_per_day} OR h.records >= {limits.storm_per_hour}"""
    return _listed(engine, select, top, keep_names, "throttle or bar until its owner has mended the retry rule")


def _ping_pong(engine: Engine, limits: Limits, top: int, keep_names: bool) -> dict[str, Any]:
    select = f"""
        SELECT p.device, p.sim AS home_network, p.switches, p.returns, p.networks, s.between_networks,
               p.returns AS weight
        FROM platform_devices p
        JOIN (SELECT device, substr(max(lpad(CAST(n AS STRING), 12, '0') || pair), 13) AS between_networks
              FROM (SELECT device, least(visited, from_network) || ' ' || greatest(visited, from_network) AS pair,
                           count(*) AS n FROM platform_switches WHERE from_network IS NOT NULL
                    GROUP BY device, least(visited, from_network) || ' ' || greatest(visited, from_network)) x
              GROUP BY device) s ON p.device = s.device
        WHERE p.returns >= {limits.ping_pong}"""
    return _listed(engine, select, top, keep_names, "fix one preferred network on the SIM, or ask the two for coverage")


def _permanent(engine: Engine, limits: Limits, window: int, top: int, keep_names: bool) -> dict[str, Any]:
    select = f"""
        SELECT p.device, p.sim AS home_network, c.days AS days_abroad, {window} AS window_days, c.mcc AS visited_mcc,
               p.networks, c.days AS weight
        FROM platform_devices p
        JOIN (SELECT device, max(days) AS days, max_by(mcc, days * 1000 + CAST(mcc AS INT)) AS mcc
              FROM (SELECT device, substr(visited, 1, 3) AS mcc, count(DISTINCT day) AS days FROM platform_moves
                    WHERE abroad AND ok = 1 GROUP BY device, substr(visited, 1, 3)) x GROUP BY device) c
          ON p.device = c.device
        WHERE p.home_records = 0 AND c.days >= {limits.permanent_share} * {window}"""
    found = _listed(engine, select, top, keep_names, "move to a local profile (eSIM) or a permanent-roaming agreement")
    for entry in found["devices"]:
        entry["visited_country"] = country(entry["visited_mcc"])
    return found


def _failing(engine: Engine, top: int, keep_names: bool) -> dict[str, Any]:
    select = f"""
        SELECT p.device, p.sim AS home_network, p.records, p.networks, c.main_cause, p.records AS weight
        FROM platform_devices p JOIN {_MAIN_CAUSE} c ON p.device = c.device WHERE p.failed = p.records"""
    return _listed(engine, select, top, keep_names, "check subscription and roaming permission; it never got through")


def figures(engine: Engine) -> list[Figure]:
    """Figures 3 and 4 (left, centre, right) and the failing devices of each home network."""
    roaming = "home_records < records"
    groups = {"all": "1 = 1", "4G (got through)": "failed < records", "roaming": roaming, "native": f"NOT ({roaming})"}
    failing = engine.rows(
        "SELECT sim, count(*), count(CASE WHEN failed = records THEN 1 END) FROM platform_devices "
        "GROUP BY sim ORDER BY 2 DESC, 1"
    )
    source = "platform_devices"
    return [
        _visited_countries(engine),
        distribution(engine, "4a", "Signalling records per device", "records", groups, source=source, log=True),
        distribution(engine, "4b", "Networks used per roaming device", "networks", {"roaming": roaming}, source=source),
        distribution(engine, "4c", "Switches between networks, devices with two or more", "switches",
                     {"two or more": f"networks > 1 AND {roaming}"}, source=source, log=True),
        Figure("4d", "Devices that only fail", "bars", ("home network", "devices", "only failing", "percent"),
               [[f"{country(sim)} {sim}", n, bad, round(100 * bad / n, 2)] for sim, n, bad in failing]),
    ]  # fmt: skip


def _visited_countries(engine: Engine) -> Figure:
    select = "SELECT sim, substr(visited, 1, 3), count(DISTINCT device) FROM platform_moves GROUP BY 1, 2"
    homes = dict(engine.rows("SELECT sim, count(*) FROM platform_devices GROUP BY sim"))
    counts: dict[tuple[str, str], int] = {}
    for sim, mcc, devices in engine.rows(select):
        small = devices < SMALL_SHARE * homes.get(sim, 1)
        key = (sim, "other" if small else country(mcc))
        counts[key] = counts.get(key, 0) + devices
    rows: list[list[Any]] = [
        [f"{country(sim)} {sim}", where, devices, round(100 * devices / homes[sim], 3)]
        for (sim, where), devices in sorted(counts.items(), key=lambda item: (-homes[item[0][0]], -item[1], item[0]))
    ]
    columns = ("home network", "visited country", "devices", "percent of home network")
    return Figure("3", "Platform devices per visited country", "heatmap", columns, rows)
