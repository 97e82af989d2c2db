"""`airshed status`: the channel map of a running site, once or live."""

from __future__ import annotations

import click

from terminal.command import emit_json, json_option


@click.command()
@click.argument("site_file", metavar="SITE.toml")
@click.option("--watch", is_flag=True, help="A live channel map, from the site's database; needs no controller.")
@click.option("--period", "period_s", type=click.FloatRange(min=0.1), default=1.0, show_default=True, metavar="S",
              help="With --watch: seconds between two looks.")  # fmt: skip
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="With --watch: end after so many looks.")
@json_option
def status(site_file: str, watch: bool, period_s: float, count: int | None, as_json: bool) -> None:
    """Show the channel map of a running site: what was sensed, what is leased, which gateways are attached.

    With --watch it stays and follows, in as many columns as the terminal has room for. Keys: q end, p pause, s sort by
    frequency, occupancy or power, t all, LoRa or SigFox, h what the signs mean. A line a look where there is no
    terminal; with --json an object a look, as the console's GET /api/state has it.
    """
    from spectrum.site_file import read_site

    site = read_site(site_file)
    if watch:
        from channel_status.opening import open_database
        from console.terminal_watch import run_watch

        database = open_database(site)
        try:
            run_watch(site, database, period_s, count, as_json=as_json)
        finally:
            database.close()
        return
    if count is not None:
        raise click.UsageError("--count goes with --watch")
    from controller.client import ControllerClient
    from controller.devices import watched_devices
    from controller.tables import status_table

    with ControllerClient(site) as client:
        found = client.status() | {"devices": watched_devices(site)}
    if as_json:
        emit_json(found)
    else:
        click.echo(status_table(found))
