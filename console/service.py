"""The console as a process: database, reader, pages, started and stopped in order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from channel_status.opening import open_database
from channel_status.protocol import ChannelStatusDatabase
from console.desk import ConsoleDesk
from console.feed import Hub
from console.login import Login
from console.reader import Reader
from controller.grpc_door import is_loopback
from controller.web_server import WebServer
from spectrum.site_file import Site

log = logging.getLogger(__name__)


@contextmanager
def console_running(site: Site, database: ChannelStatusDatabase, listen: str | None = None) -> Iterator[WebServer]:
    """The console of a site over a database, while the block lasts; the server knows its port."""
    from console.web_door import console_app  # heavy, and only for those who serve it

    address = listen or site.console.listen
    hub = Hub(Reader(site, database, time.time, time.monotonic), time.time, site.name)
    desk, login = ConsoleDesk(site, database, hub, time.time), Login(site)
    app = console_app(desk, hub, login, tls=site.tls is not None, hosts=hosts_of(address))
    server = WebServer(app, address, "console.listen", "the console", site.tls, at_stop=hub.stop)
    hub.start()
    with server:
        yield server


def run_console(site: Site, stop: threading.Event, listen: str | None = None) -> None:
    """Serve the console of a site until `stop` is set; BadInput and Failed for an address that cannot be served."""
    database = open_database(site)
    try:
        with console_running(site, database, listen) as server:
            scheme = "http" if site.tls is None else "https"
            host = (listen or site.console.listen).rpartition(":")[0]
            log.info("console of site %s: %s://%s:%s/", site.name, scheme, host, server.port)
            stop.wait()
    finally:
        database.close()


def hosts_of(address: str) -> list[str]:
    """Names in the Host header that are served: on loopback its own only, so that no other page gets at it."""
    if not is_loopback(address):
        return ["*"]
    return ["localhost", "127.0.0.1", "[::1]", address.rpartition(":")[0]]
