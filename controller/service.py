"""The controller as a process: database, allocator, gRPC door and os-ken app, started and stopped in order."""

from __future__ import annotations

import gc
import logging
import threading
import time
from contextlib import ExitStack
from typing import Final

from channel_status.embedded import embedded_server, socket_folder
from channel_status.opening import database_url, uses_embedded
from channel_status.protocol import ChannelStatusDatabase
from channel_status.redis_door import connect
from controller.allocator import Allocator
from controller.backhaul.policy import fixed_hosts, openflow_listen, policy_of
from controller.backhaul.post import Post
from controller.desk import Desk
from controller.evictions import Evictions
from controller.gateways import Gateways
from controller.grpc_door import ControllerService, GrpcDoor
from controller.interference import InterferenceWatch
from controller.metrics import Metrics
from controller.office import Office
from controller.openflow import OpenFlowListen
from controller.operators import Operators
from monitoring.periodic.live import monitoring
from monitoring.periodic.watcher import Watcher
from spectrum.site_file import Site

log = logging.getLogger(__name__)

APP: Final = "controller.app"
BACKHAUL_APPS: Final = ("controller.backhaul.app", "controller.backhaul.statistics_app")

# New objects between two looks of the collector for cycles. Python's 700 come with every dozen of leases, which leave
# none; a look that walks all leases holds up every gateway for tens of milliseconds.
COLLECTED_AFTER: Final = 50_000


def collect_rarely() -> None:
    """Let the collector of cycles pass over what was imported, and look seldom; for a process that only allocates."""
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, 20, 20)


def open_office(site: Site, database: ChannelStatusDatabase) -> Office:
    """What a controller of `site` works with."""
    allocator, gateways = Allocator(site, database), Gateways(site, database)
    return Office(
        allocator,
        Desk(site.controller.requests_per_s),
        gateways,
        InterferenceWatch(allocator, gateways, database),
        Evictions(site.name, database, gateways),
        Metrics(),
        time.time,
        Post() if site.backhaul else None,
    )


def run_controller(site: Site, stop: threading.Event) -> None:
    """Run the controller of a site until `stop` is set.

    Failed when a port is taken or the database does not come up; BadInput for what the site file has wrong.
    """
    from controller.sdn_base import run_apps  # not with this module: whoever only opens an office needs no base

    listen = _backhaul(site)
    with ExitStack() as stack:
        if uses_embedded(site):
            stack.enter_context(embedded_server(socket_folder(site.name), keep=True))
        database = connect(database_url(site), tls_ca=site.database.tls_ca)
        stack.callback(database.close)
        database.ping()
        office = open_office(site, database)
        office.allocator.begin(time.time())
        if site.monitoring.enabled:
            watcher = Watcher(site.monitoring.false_alarm, site.monitoring.merge_s)
            stack.enter_context(monitoring(database, site.name, time.time, watcher=watcher))
            office.metrics.also(watcher.metrics)
        door = GrpcDoor(site, ControllerService(office, database))
        if site.http is not None:
            from controller.http_door import http_door, operators_api  # heavy, and only for those who serve it

            operators = Operators(database, site.name, (*site.spectrum.lora, *site.spectrum.sigfox))
            stack.enter_context(http_door(site, operators_api(site, office, operators, database)))
        door.start()
        stack.callback(door.stop)
        table = site.controller
        log.info(
            "site %s: controller listens on %s (policy %s, N %s)", site.name, table.listen, table.policy, table.attempts
        )
        run_apps((APP, *(BACKHAUL_APPS if listen else ())), {"office": office}, stop, listen)


def _backhaul(site: Site) -> OpenFlowListen | None:
    """Where switches dial in, and whether what the site file says of the backhaul holds together."""
    if site.backhaul is None:
        return None
    policy_of(site)
    fixed_hosts(site)
    return openflow_listen(site)
