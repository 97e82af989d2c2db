"""A k-anonymous export: counts of devices by what they share, never a device."""

from __future__ import annotations

from typing import Any, Final

from monitoring.roaming.countries import country
from monitoring.roaming.engine import Engine

# From what is given up first to what is kept longest.
ATTRIBUTES: Final = ("vendor", "home_country", "radio", "vertical", "label", "class")
REST: Final = "*"


def k_anonymous(groups: list[tuple[tuple[str, ...], int]], k: int) -> tuple[list[tuple[tuple[str, ...], int]], int]:
    """Generalise until every group has at least k devices: (groups, devices withheld).

    Groups too small have their first attribute replaced by `*` and are joined with their like, then the next, and so
    on; what is still too small with all but the last attribute replaced is withheld. A group that was merged from
    leavings keeps its `*`, so nothing can be subtracted from a larger group to find them.
    """
    if not groups:
        return [], 0
    kept: list[tuple[tuple[str, ...], int]] = []
    small = _joined(groups)
    for given_up in range(len(groups[0][0])):
        kept += [item for item in small.items() if item[1] >= k]
        left = [(key, count) for key, count in small.items() if count < k]
        small = _joined([(tuple([REST] * (given_up + 1)) + key[given_up + 1 :], count) for key, count in left])
    kept += [item for item in small.items() if item[1] >= k]
    withheld = sum(count for count in small.values() if count < k)
    return sorted(kept, key=lambda item: (-item[1], item[0])), withheld


def _joined(groups: list[tuple[tuple[str, ...], int]]) -> dict[tuple[str, ...], int]:
    joined: dict[tuple[str, ...], int] = {}
    for key, count in groups:
        joined[key] = joined.get(key, 0) + count
    return joined


def export(engine: Engine, k: int) -> dict[str, Any]:
    """{"k", "columns", "rows", "withheld_devices"} of the table `classes`."""
    radio = " || ".join(f"CASE WHEN radio_{rat}g = 1 THEN '+{rat}G' ELSE '' END" for rat in (2, 3, 4))
    select = f"""
        SELECT coalesce(vendor, 'unknown'), substr(sim, 1, 3), coalesce(nullif(substr({radio}, 2), ''), 'none'),
               coalesce(vertical, 'none'), coalesce(label, 'none'), class, count(*)
        FROM classes GROUP BY 1, 2, 3, 4, 5, 6"""
    groups = [((row[0], country(row[1]), *row[2:6]), int(row[6])) for row in engine.rows(select)]
    kept, withheld = k_anonymous(groups, k)
    return {
        "k": k,
        "columns": [*ATTRIBUTES, "devices"],
        "rows": [[*key, count] for key, count in kept],
        "withheld_devices": withheld,
    }
