"""The daily devices-catalogue, and devices over the period: SQL text that DuckDB and Spark both speak.

Every function takes what it needs and returns a SELECT over tables named as in `ingest`: radio, cdr, tac, sectors.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from monitoring.roaming.network import Network

# Mean earth radius of the IUGG, km.
EARTH_RADIUS_KM: Final = 6371.0088
# A device that says nothing for longer than this is not counted as staying (the notes, 5.7).
LONGEST_DWELL_S: Final = 3600
# Local hours that count as night, for the share of night events.
NIGHT_ENDS_H: Final = 6
SECONDS_PER_DAY: Final = 86_400

RADIO_FLAGS: Final = tuple(f"{use}_{rat}g" for use in ("radio", "voice", "data") for rat in (2, 3, 4))


MOMENTS: Final = ("stay_s", "lat_1", "lon_1", "lat_2", "lon_2")
EDGES: Final = {"south": "min", "north": "max", "west": "min", "east": "max"}
VARIED: Final = ("sim", "tac", "visited", "apn")
COUNTS: Final = ("events", "failed", "night", "moves", "records", "calls", "call_s", "bytes")


def _sum(name: str) -> str:
    """A sum that stays a 64-bit number in both engines; only durations are fractional."""
    return f"CAST(sum({name}) AS {'DOUBLE' if name == 'call_s' else 'BIGINT'})"


def _literals(codes: Collection[str]) -> str:
    """A list for IN; network codes are checked to be digits when the network table is read."""
    return f"({', '.join(repr(code) for code in codes)})" if codes else "('')"


def plmn_text(code: str) -> str:
    """PLMN as text of its number in the staged rows, which has a 1 in front for the sake of leading zeros."""
    return f"substr(CAST({code} AS STRING), 2)"


def tac_text(code: str) -> str:
    return f"lpad(CAST({code} AS STRING), 8, '0')"


def _most(value: str, weight: str) -> str:
    """The value with the largest weight; among equals the last in alphabetical order. Both engines agree on it."""
    return f"substr(max(lpad(CAST({weight} AS STRING), 12, '0') || {value}), 13)"


def radio_days(network: Network) -> str:
    """Per device, day, SIM and TAC: events, failures, radio flags, dwell-weighted position moments.

    The dwell of an event is the time to the device's next one that day, at most an hour; the end of the day closes the
    last. Events in sectors of unknown position end a stay and begin none. `flags` are bits, see
    `flag_bits`.
    """
    offset_s = network.utc_offset_h * 3600
    day_end_s = f"(r.day + 1) * {SECONDS_PER_DAY}.0 - {offset_s}"
    return f"""
        SELECT device, day, sim, tac, max(imsi_range) AS imsi_range, count(*) AS events, count(*) - sum(ok) AS failed,
               bit_or(flags) AS flags, sum(night) AS night, sum(moved) AS moves, sum(dwell_s) AS stay_s,
               sum(dwell_s * lat_deg) AS lat_1, sum(dwell_s * lon_deg) AS lon_1,
               sum(dwell_s * lat_deg * lat_deg) AS lat_2, sum(dwell_s * lon_deg * lon_deg) AS lon_2,
               min(lat_deg) AS south, max(lat_deg) AS north, min(lon_deg) AS west, max(lon_deg) AS east
        FROM (
            SELECT t.device, t.day, t.sim, t.tac, t.imsi_range, t.ok, t.night, t.flags,
                   CASE WHEN t.sector <> t.sector_before THEN 1 ELSE 0 END AS moved, s.lat_deg, s.lon_deg,
                   CASE WHEN s.lat_deg IS NOT NULL THEN t.dwell_s END AS dwell_s
            FROM (
                SELECT r.device, r.day, r.sim, r.tac, r.imsi_range, r.sector, r.ok, r.flags,
                       CASE WHEN {day_end_s} - r.time_s > {SECONDS_PER_DAY - NIGHT_ENDS_H * 3600} THEN 1 ELSE 0 END
                           AS night,
                       lag(r.sector) OVER stay AS sector_before,
                       least(coalesce(lead(r.time_s) OVER stay, {day_end_s}) - r.time_s, {LONGEST_DWELL_S}.0) AS dwell_s
                FROM radio r
                WINDOW stay AS (PARTITION BY r.device, r.day ORDER BY r.time_s, r.sector)
            ) t LEFT JOIN sectors s ON t.sector = s.sector
        ) placed
        GROUP BY device, day, sim, tac"""


def flag_bits(rat: str, domain: str) -> str:
    """The bits of RADIO_FLAGS that a successful event earns: its technology, and it again for voice or for data."""
    bit = f"(CASE {rat} WHEN 2 THEN 1 WHEN 3 THEN 2 ELSE 4 END)"
    return f"{bit} * (CASE {domain} WHEN 'voice' THEN 9 WHEN 'data' THEN 65 ELSE 1 END)"


def flag(name: str) -> str:
    """1 where the flag `name` of RADIO_FLAGS is set, else 0; over a column `flags`."""
    bit = 1 << RADIO_FLAGS.index(name)
    return f"CASE WHEN flags & {bit} > 0 THEN 1 ELSE 0 END"


def service_days() -> str:
    """Per device, day, SIM, TAC, visited network and APN: records, calls and bytes.

    A record with an APN or with bytes is data, any other a call.
    """
    data = "apn IS NOT NULL OR coalesce(bytes, 0) > 0"
    return f"""
        SELECT device, day, sim, tac, visited, apn, max(imsi_range) AS imsi_range, count(*) AS records,
               sum(CASE WHEN {data} THEN 0 ELSE 1 END) AS calls,
               sum(CASE WHEN {data} THEN 0.0 ELSE coalesce(duration_s, 0) END) AS call_s,
               sum(coalesce(bytes, 0)) AS bytes
        FROM cdr GROUP BY device, day, sim, tac, visited, apn"""


def parts(network: Network) -> str:
    """radio_days and service_days under one another. A radio row is by its nature on the site's own network."""
    no_moments = ", ".join(f"CAST(NULL AS DOUBLE) AS {name}" for name in (*MOMENTS, *EDGES))
    return f"""
        SELECT device, day, sim, tac, imsi_range, 1{network.own[0]} AS visited, CAST(NULL AS STRING) AS apn,
               events, failed, night, moves, 0 AS records, 0 AS calls, 0.0 AS call_s, 0.0 AS bytes, flags,
               {", ".join((*MOMENTS, *EDGES))}
        FROM radio_days
        UNION ALL
        SELECT device, day, sim, tac, imsi_range, visited, apn, 0, 0, 0, 0, records, calls, call_s, bytes, 0,
               {no_moments}
        FROM service_days"""


def sums(network: Network) -> str:
    """Per device and day, everything that adds up, and the lowest and highest of what may differ. Reads `parts`."""
    at_home = ", ".join(f"1{plmn}" for plmn in (*network.own, *network.mvno))
    country = "substr(CAST(visited AS STRING), 2, 3)"
    spread = ", ".join(f"min({name}) AS {name}_low, max({name}) AS {name}_high" for name in VARIED)
    return f"""
        SELECT device, day, max(imsi_range) AS imsi_range, {", ".join(f"{_sum(name)} AS {name}" for name in COUNTS)},
               bit_or(flags) AS flags, {spread}, {", ".join(f"sum({name}) AS {name}" for name in MOMENTS)},
               {", ".join(f"{how}({name}) AS {name}" for name, how in EDGES.items())},
               max(CASE WHEN events > 0 OR visited IN ({at_home}) THEN 1 ELSE 0 END) AS at_home,
               max(CASE WHEN {country} NOT IN {_literals(network.country_mcc)} THEN 1 ELSE 0 END) AS abroad
        FROM parts GROUP BY device, day"""


def varied() -> str:
    """The parts of the few device-days with more than one SIM network, TAC, visited network or APN."""
    differs = " OR ".join(f"{name}_low <> {name}_high" for name in VARIED)
    return f"""
        SELECT p.device, p.day, p.sim, p.tac, p.visited, p.apn, p.events + p.records AS n
        FROM parts p JOIN (SELECT device, day FROM sums WHERE {differs}) v ON p.device = v.device AND p.day = v.day"""


def daily(network: Network) -> str:
    """The daily devices-catalogue: one row per device and day. Reads `sums` and `varied`.

    The SIM network and TAC of a day are those of most rows. Most days have only one of each; only the others are
    looked at closer.
    """
    flags = ", ".join(f"{flag(name)} AS {name}" for name in RADIO_FLAGS)
    return f"""
        WITH sims AS (
            SELECT device, day, {_most("CAST(sim AS STRING)", "n")} AS sim
            FROM (SELECT device, day, sim, sum(n) AS n FROM varied GROUP BY device, day, sim) s GROUP BY device, day
        ), types AS (
            SELECT device, day, {_most(tac_text("tac"), "n")} AS tac
            FROM (SELECT device, day, tac, sum(n) AS n FROM varied WHERE tac IS NOT NULL GROUP BY device, day, tac) t
            GROUP BY device, day
        ), sets AS (
            SELECT device, day, array_sort(collect_set({plmn_text("visited")})) AS visited,
                   array_sort(collect_set(apn)) AS apns
            FROM varied GROUP BY device, day
        ), days AS (
            SELECT d.*, coalesce(substr(s.sim, 2), {plmn_text("d.sim_low")}) AS sim,
                   coalesce(t.tac, {tac_text("d.tac_low")}) AS tac,
                   coalesce(v.visited, list_of({plmn_text("d.visited_low")})) AS visited_networks,
                   coalesce(v.apns, list_of(d.apn_low)) AS apns
            FROM sums d LEFT JOIN sims s ON d.device = s.device AND d.day = s.day
            LEFT JOIN types t ON d.device = t.device AND d.day = t.day
            LEFT JOIN sets v ON d.device = v.device AND d.day = v.day
        )
        SELECT d.device, d.day, d.sim, d.tac, d.imsi_range, {_letter("d.sim", "d.imsi_range", network)} AS letter,
               d.at_home, d.abroad, {", ".join(f"d.{name}" for name in COUNTS)}, {flags}, d.visited_networks, d.apns,
               d.lat_1 / nullif(d.stay_s, 0) AS centroid_lat_deg, d.lon_1 / nullif(d.stay_s, 0) AS centroid_lon_deg,
               {_gyration()} AS gyration_km
        FROM days d"""


def _letter(sim: str, imsi_range: str, network: Network) -> str:
    """X of the label, as `network.sim_letter`."""
    return (
        f"CASE WHEN {imsi_range} LIKE 'mvno:%' OR {sim} IN {_literals(network.mvno)} THEN 'V' "
        f"WHEN {sim} IN {_literals(network.own)} THEN 'H' "
        f"WHEN substr({sim}, 1, 3) IN {_literals(network.country_mcc)} THEN 'N' ELSE 'I' END"
    )


# X:Y, or NULL for a day without one; over the rows of `daily`.
LABEL: Final = (
    "CASE WHEN at_home = 1 THEN letter || ':H' WHEN abroad = 1 AND letter IN ('H', 'V') THEN letter || ':A' END"
)


def _gyration() -> str:
    """Root mean square distance to the centroid, dwell-weighted, equirectangular at the centroid's latitude, in km.

    A device that never left one place is exactly 0, whatever rounding says.
    """
    mean_lat, mean_lon = "(d.lat_1 / d.stay_s)", "(d.lon_1 / d.stay_s)"
    north2 = f"greatest(d.lat_2 / d.stay_s - {mean_lat} * {mean_lat}, 0.0)"
    east2 = f"greatest(d.lon_2 / d.stay_s - {mean_lon} * {mean_lon}, 0.0)"
    spread = f"sqrt({north2} + power(cos(radians({mean_lat})), 2) * {east2})"
    return (
        f"CASE WHEN coalesce(d.stay_s, 0) <= 0 THEN NULL WHEN d.south = d.north AND d.west = d.east THEN 0.0 "
        f"ELSE {EARTH_RADIUS_KM} * radians({spread}) END"
    )


def labelled(*, keep_names: bool = False) -> str:
    """The rows of the table `daily` with label and properties, in the columns that `airshed roam catalog` shows.

    `unlabelled` says why a day has no label: "national" (outbound to another network of the country) or "invisible"
    (a SIM of others, abroad: the site's records cannot hold it).
    """
    own = "CASE WHEN letter IN ('H', 'V') THEN 'national' ELSE 'invisible' END"
    flags = ", ".join(f"d.radio_{rat}g = 1 AS radio_{rat}g" for rat in (2, 3, 4))
    return f"""
        SELECT {named("d.device", keep_names)} AS device, day_text(d.day) AS day, {LABEL} AS label,
               CASE WHEN {LABEL} IS NULL THEN {own} END AS unlabelled,
               d.events, d.failed AS failed_events, d.calls, d.call_s, d.bytes, d.sim AS sim_network,
               d.visited_networks, d.apns, d.tac, t.vendor, t.model, t.os, t.type, {flags},
               d.centroid_lat_deg, d.centroid_lon_deg, d.gyration_km
        FROM daily d LEFT JOIN tac t ON d.tac = t.tac {join_names("d", keep_names)}"""


def named(device: str, keep_names: bool) -> str:
    """How results name a device: by 16 hexadecimal digits, or by the identifier that came."""
    return "n.name" if keep_names else f"lpad(lower(hex({device})), 16, '0')"


def join_names(alias: str, keep_names: bool) -> str:
    return f"JOIN names n ON {alias}.device = n.device" if keep_names else ""


def devices() -> str:
    """One row per device over the period, from the table `daily`.

    label: of most labelled days; among equals home wins, then H, V, N, I.
    """
    flags = ", ".join(f"max({name}) AS {name}" for name in RADIO_FLAGS)
    order = (
        "CASE WHEN label LIKE '%:H' THEN '1' ELSE '0' END "
        "|| CASE substr(label, 1, 1) WHEN 'H' THEN '3' WHEN 'V' THEN '2' WHEN 'N' THEN '1' ELSE '0' END || label"
    )
    return f"""
        WITH days AS (SELECT daily.*, {LABEL} AS label FROM daily),
        labels AS (
            SELECT device, substr({_most(order, "n")}, 3) AS label
            FROM (SELECT device, label, count(*) AS n FROM days WHERE label IS NOT NULL GROUP BY device, label) l
            GROUP BY device
        ), sims AS (
            SELECT device, {_most("sim", "n")} AS sim
            FROM (SELECT device, sim, sum(events + records) AS n FROM days GROUP BY device, sim) s GROUP BY device
        ), types AS (
            SELECT device, {_most("tac", "n")} AS tac
            FROM (SELECT device, tac, sum(events + records) AS n FROM days WHERE tac IS NOT NULL
                  GROUP BY device, tac) t GROUP BY device
        ), apns AS (
            SELECT c.device, max(CASE WHEN a.kind = 'm2m' THEN a.rank || c.apn END) AS m2m_apn,
                   max(CASE WHEN a.kind = 'consumer' THEN a.rank || c.apn END) AS consumer_apn, count(*) AS apns
            FROM (SELECT DISTINCT device, apn FROM service_days WHERE apn IS NOT NULL) c
            JOIN apn_meanings a ON c.apn = a.apn GROUP BY c.device
        ), periods AS (
            SELECT device, count(*) AS days, min(day) AS first_day, max(day) AS last_day, max(imsi_range) AS imsi_range,
                   {", ".join(f"{_sum(name)} AS {name}" for name in COUNTS)}, {flags},
                   count(CASE WHEN failed > 0 THEN 1 END) AS failing_days,
                   count(CASE WHEN label IS NULL AND letter IN ('H', 'V') THEN 1 END) AS national_days,
                   count(CASE WHEN label LIKE '%:A' THEN 1 END) AS abroad_days,
                   avg(gyration_km) AS gyration_km
            FROM days GROUP BY device
        )
        SELECT p.*, l.label, s.sim, t.tac, a.m2m_apn, a.consumer_apn, coalesce(a.apns, 0) AS apns
        FROM periods p JOIN sims s ON p.device = s.device LEFT JOIN labels l ON p.device = l.device
        LEFT JOIN types t ON p.device = t.device LEFT JOIN apns a ON p.device = a.device"""
