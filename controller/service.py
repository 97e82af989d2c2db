"""The controller as a process: database, allocator, gRPC door and os-ken app, started and stopped in order."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from typing import Final

from channel_status.embedded import embedded_server, socket_folder
from channel_status.opening import database_url, uses_embedded
from channel_status.redis_door import connect
from controller.allocator import Allocator
from controller.desk import Desk
from controller.grpc_door import ControllerService, GrpcDoor, wall_clock_s
from controller.osken_base import run_app
from spectrum.site_file import Site

log = logging.getLogger(__name__)

APP: Final = "controller.app"


def run_controller(site: Site, stop: threading.Event, *, url: str | None = None) -> None:
    """Run the controller of a site until `stop` is set. `url`: a database to use instead of the site's.

    Failed when the port is taken or the database does not come up; BadInput for what the site file has wrong.
    """
    with ExitStack() as stack:
        if url is None and uses_embedded(site):
            url = stack.enter_context(embedded_server(socket_folder(site.name), keep=True))
        database = connect(url or database_url(site), tls_ca=site.database.tls_ca)
        stack.callback(database.close)
        database.ping()
        desk = Desk()
        allocator = Allocator(site, database)
        allocator.begin(wall_clock_s())
        door = GrpcDoor(site, ControllerService(site, allocator, database, desk, wall_clock_s))
        door.start()
        stack.callback(door.stop)
        log.info(
            "site %s: controller listens on %s (policy %s)", site.name, site.controller.listen, site.controller.policy
        )
        run_app(APP, {"allocator": allocator, "desk": desk, "clock": wall_clock_s}, stop)
