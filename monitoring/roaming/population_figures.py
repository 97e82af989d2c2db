"""Figures 6 to 13: the device population as the visited network sees it. Read from the table `classes`."""

from __future__ import annotations

from typing import Any, Final

from monitoring.roaming.countries import country
from monitoring.roaming.engine import Engine
from monitoring.roaming.figure import Figure, cross, distribution

INBOUND: Final = "label = 'I:H'"
NATIVE: Final = "label IN ('H:H', 'V:H')"
TOP_COUNTRIES: Final = 20

_WHERE: Final = {"inbound": INBOUND, "native": NATIVE}
_BY_CLASS: Final = {
    f"{kind} {where}": f"class = '{kind}' AND {condition}"
    for kind in ("m2m", "smart", "feat")
    for where, condition in _WHERE.items()
}
_METERS: Final = {"native": "meter = 'native'", "roaming": "meter IN ('roaming', 'doubtful')"}


def figures(engine: Engine) -> list[Figure]:
    """Every figure of the population, in the paper's order."""
    return [
        home_countries(engine),
        home_countries_by_class(engine),
        *label_by_class(engine),
        distribution(engine, "8a", "Days active, inbound roamers", "days", _classes("inbound")),
        distribution(engine, "8b", "Days active, native", "days", _classes("native")),
        distribution(engine, "9", "Radius of gyration, km, mean over days", "gyration_km", _BY_CLASS, log=True),
        *radio_use(engine),
        distribution(engine, "11a", "Signalling events per active day", "events / days", _BY_CLASS, log=True),
        distribution(engine, "11b", "Calls per active day", "calls / days", _BY_CLASS, log=True),
        distribution(engine, "11c", "Bytes per active day", "bytes / days", _BY_CLASS, log=True),
        *meters(engine),
        *cars_and_meters(engine),
    ]


def _classes(where: str) -> dict[str, str]:
    return {kind: f"class = '{kind}' AND {_WHERE[where]}" for kind in ("m2m", "smart", "feat")}


def home_countries(engine: Engine) -> Figure:
    counts = _homes(engine)
    total = sum(counts.values()) or 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows: list[list[Any]] = [[name, count, round(100 * count / total, 3)] for name, count in ranked[:TOP_COUNTRIES]]
    rest = sum(count for _, count in ranked[TOP_COUNTRIES:])
    rows += [["other", rest, round(100 * rest / total, 3)]] if rest else []
    return Figure("6a", "Home country of inbound roamers", "bars", ("country", "devices", "percent"), rows)


def _homes(engine: Engine, condition: str = "1 = 1") -> dict[str, int]:
    found = engine.rows(f"SELECT substr(sim, 1, 3), count(*) FROM classes WHERE {INBOUND} AND {condition} GROUP BY 1")
    counts: dict[str, int] = {}
    for mcc, count in found:
        counts[country(mcc)] = counts.get(country(mcc), 0) + count
    return counts


def home_countries_by_class(engine: Engine) -> Figure:
    order = [row[0] for row in home_countries(engine).rows if row[0] != "other"]
    rows: list[list[Any]] = []
    for kind in ("m2m", "smart", "feat"):
        counts = _homes(engine, f"class = '{kind}'")
        total = sum(counts.values()) or 1
        rows += [[kind, name, counts.get(name, 0), round(100 * counts.get(name, 0) / total, 3)] for name in order]
    columns = ("class", "country", "devices", "percent of class")
    return Figure("6b", "Home country by class (countries as in 6a)", "heatmap", columns, rows)


def label_by_class(engine: Engine) -> list[Figure]:
    select = """
        SELECT class, coalesce(label, 'none'), count(*) FROM classes WHERE class <> 'm2m-maybe'
        GROUP BY 1, 2 ORDER BY 1, 2"""
    counts = engine.rows(select)
    left = cross(
        "7a", "Roaming label of each class", "class", "label", [(a, b, n) for a, b, n in counts], normalise="class"
    )
    right = cross(
        "7b", "Class of each roaming label", "class", "label", [(a, b, n) for a, b, n in counts], normalise="label"
    )
    return [left, right]


def radio_use(engine: Engine) -> list[Figure]:
    """Share of devices by the technologies on which they succeeded: at all, for data, on voice interfaces.

    Voice means the circuit-switched interface, which carries more than calls (the notes, 5.5).
    """
    found = []
    for letter, use, title in (
        ("a", "radio", "connectivity"),
        ("b", "data", "data"),
        ("c", "voice", "voice interface"),
    ):
        technologies = " || ".join(f"CASE WHEN {use}_{rat}g = 1 THEN '+{rat}G' ELSE '' END" for rat in (2, 3, 4))
        select = (
            f"SELECT class, coalesce(nullif(substr({technologies}, 2), ''), 'none') AS used, count(*) FROM classes "
            "WHERE label LIKE '%:H' AND class <> 'm2m-maybe' GROUP BY 1, 2 ORDER BY 1, 2"
        )
        counts = [(a, b, n) for a, b, n in engine.rows(select)]
        found.append(
            cross(f"10{letter}", f"Radio technologies used: {title}", "class", "used", counts, normalise="class")
        )
    return found


def meters(engine: Engine) -> list[Figure]:
    """Native and roaming meters. A window of other length than the paper's 26 days is not scaled, its days are said."""
    [(first, last)] = engine.rows("SELECT min(first_day), max(last_day) FROM classes")
    window = (last - first + 1) if first is not None else 0
    on_first = {f"{name}, seen on day 1": f"{where} AND first_day = {first or 0}" for name, where in _METERS.items()}
    days = distribution(engine, "12a", f"Days active of {window}: meters", "days", {**_METERS, **on_first})
    signalling = distribution(
        engine, "12b", "Signalling events per active day: meters", "events / days", _METERS, log=True
    )
    rows: list[list[Any]] = []
    for name, where in _METERS.items():
        select = (
            f"SELECT count(*), count(CASE WHEN failed > 0 THEN 1 END), count(CASE WHEN days = {window} THEN 1 END), "
            "count(CASE WHEN radio_2g = 1 AND radio_3g = 0 AND radio_4g = 0 THEN 1 END), "
            "count(CASE WHEN radio_3g = 1 AND radio_2g = 0 THEN 1 END), "
            f"count(CASE WHEN radio_2g = 1 AND radio_3g = 1 THEN 1 END) FROM classes WHERE {where}"
        )
        [(devices, *counts)] = engine.rows(select)
        rows.append([name, devices, *(round(100 * count / devices, 2) if devices else None for count in counts)])
    columns = (
        "meters",
        "devices",
        "percent failing",
        "percent active every day",
        "percent 2G only",
        "percent 3G only",
        "percent 2G+3G",
    )
    makers = engine.rows(
        "SELECT meter, coalesce(vendor, 'unknown'), count(*) FROM classes WHERE meter IS NOT NULL "
        "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
    )
    note = "doubtful: an energy APN on an inbound thing whose maker is not known from meters"
    vendors = [list(row) for row in makers]
    checked = Figure("12d", "Manufacturer check of meters", "bars", ("meters", "vendor", "devices"), vendors, note=note)
    return [days, signalling, Figure("12c", "Meters: failures and radio use", "bars", columns, rows), checked]


def cars_and_meters(engine: Engine) -> list[Figure]:
    groups = {
        "cars": f"class = 'm2m' AND vertical = 'automotive' AND {INBOUND}",
        "meters": "meter IN ('roaming', 'doubtful')",
        "smartphones": f"class = 'smart' AND {INBOUND}",
    }
    return [
        distribution(engine, "13a", "Inbound cars and meters: gyration, km", "gyration_km", groups, log=True),
        distribution(
            engine, "13b", "Inbound cars and meters: signalling per active day", "events / days", groups, log=True
        ),
        distribution(engine, "13c", "Inbound cars and meters: bytes per active day", "bytes / days", groups, log=True),
    ]
