"""`airshed sense --site SITE.toml`: the daemon of one sensor, in front of its function."""

from __future__ import annotations


def sense_site(site_file: str, sensor: str | None, seed: int, *, as_json: bool) -> None:
    """Run the sensor called `sensor` (or the only one) of a site until stopped; reports go to the site's database."""
    import time

    from channel_status.opening import open_database
    from sensing.daemon import run_sensor
    from spectrum.site_file import one_named, read_site
    from terminal.command import emit_json
    from terminal.logs import log_to_stderr
    from terminal.signals import stopped_by_signals

    site = read_site(site_file)
    table = one_named("sensor", sensor, site.sensor, lambda item: item.name)
    log_to_stderr()
    database = open_database(site)
    try:
        with stopped_by_signals() as stop:
            tally = run_sensor(site, table, database, stop, time.time, seed)
    finally:
        database.close()
    if as_json:
        emit_json({"sensor": table.name, "intervals": tally.intervals, "records": tally.records,
                   "lost_records": tally.lost_records, "lost_samples": tally.lost_samples})  # fmt: skip
