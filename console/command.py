"""`airshed console`: the operator's page."""

from __future__ import annotations

import click


@click.command()
@click.argument("site_file", metavar="SITE.toml")
@click.option("--listen", metavar="HOST:PORT", help="Where to serve it, instead of the site file's `console.listen`.")
def console(site_file: str, listen: str | None) -> None:
    """Serve the console of the site in SITE.toml: channel map, waterfalls, devices, events, the past, and actions.

    It reads the site's database and needs no controller to be looked at. Loopback only, unless the site file has a
    [tls] table. Who may look and act is said by the file of users (`airshed token`); without one everybody who reaches
    the address may look and nobody may act.

    \b
    airshed console hardware/sites/loopback.toml          then open http://127.0.0.1:8869/
    """
    from console.service import run_console
    from spectrum.site_file import read_site
    from terminal.logs import log_to_stderr
    from terminal.signals import stopped_by_signals

    site = read_site(site_file)
    log_to_stderr()
    with stopped_by_signals() as stop:
        run_console(site, stop, listen)
