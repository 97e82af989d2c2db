"""What monitoring knows of a site's devices, for the operator."""

from __future__ import annotations

from typing import Any

from channel_status.opening import open_database
from channel_status.protocol import DatabaseAway
from monitoring.periodic.live import site_kpis
from spectrum.site_file import Site


def watched_devices(site: Site) -> list[dict[str, Any]] | None:
    """KPIs of all devices, by name; None when the database cannot be reached from this machine."""
    database = open_database(site)
    try:
        return [kpi.as_json() for kpi in sorted(site_kpis(database, site.name), key=lambda kpi: kpi.device)]
    except DatabaseAway:
        return None
    finally:
        database.close()
