"""Is this site file right, and is this machine ready for it? Each finding is one line with what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from allocation.policies import policy_named
from channel_status.embedded import server_binary
from channel_status.opening import database_url, open_database, uses_embedded
from channel_status.redis_door import without_password
from controller.backhaul.policy import fixed_hosts, openflow_listen, policy_of
from controller.grpc_door import credentials, is_loopback
from controller.openflow import free
from gateway_agent.gateway_check import check_gateway, lost_devices, shared_addresses
from sensing.opening import Wanted, open_source
from sensing.raster import captured
from sensing.sweep_kinds import is_sweep
from spectrum.errors import AirshedError, Failed
from spectrum.eu868 import Subchannel
from spectrum.site_file import SensorTable, Site


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    said: str


def check_site(site: Site) -> Iterator[Finding]:
    """Look at everything a site needs, in the order in which its parts would start."""
    policy_named(site.controller.policy)
    yield Finding("site file", True, f"{len(site.sensor)} sensors, {len(site.gateway)} gateways, "
                  f"{len(site.spectrum.lora)} LoRa subchannels, {len(site.spectrum.sigfox)} SigFox groups")  # fmt: skip
    yield _database(site)
    yield _listening(site)
    if site.backhaul is not None:
        yield _switches(site)
    cells = (*site.spectrum.lora, *site.spectrum.sigfox)
    heard: set[Subchannel] = set()
    for table in site.sensor:
        finding, captured_cells = _source(table, cells)
        heard.update(captured_cells)
        yield finding
    yield _coverage([cell for cell in cells if cell not in heard])
    yield from _gateways(site)


def _gateways(site: Site) -> Iterator[Finding]:
    if not site.gateway:
        yield Finding("gateways", False, "the site has none: add a [[gateway]] table, or nobody will ask")
    for gateway in site.gateway:
        good, said = check_gateway(site, gateway)
        yield Finding(f"gateway {gateway.name}", good, said)
    yield from (Finding("gateways", True, said) for said in shared_addresses(site))
    yield from (Finding("gateways", False, said) for said in lost_devices(site))


def _database(site: Site) -> Finding:
    try:
        if uses_embedded(site):
            return Finding("database", True, f"embedded, by {server_binary()}")
        database = open_database(site)
        try:
            database.ping()
        finally:
            database.close()
    except AirshedError as error:
        return Finding("database", False, str(error))
    return Finding("database", True, f"{without_password(database_url(site))} answers")


def _switches(site: Site) -> Finding:
    try:
        policy, listen = policy_of(site), openflow_listen(site)
        fixed_hosts(site)
        free(listen)
    except AirshedError as error:
        return Finding("backhaul", False, str(error))
    how = "mutual TLS" if listen.tls else "loopback only"
    return Finding("backhaul", True, f"switches dial {listen.host}:{listen.port} ({how}), gateways {policy.address}")


def _listening(site: Site) -> Finding:
    address = site.controller.listen
    host, _, port = address.rpartition(":")
    if not address.startswith("unix:") and not (host and port.isdigit() and int(port) < 65536):
        return Finding(
            "controller", False, f"controller.listen is {address!r}: expected HOST:PORT such as 127.0.0.1:50868"
        )
    try:
        if site.tls is not None:
            credentials(site)
        elif not is_loopback(address):
            raise Failed(f"{address} is outside loopback: a [tls] table is needed")
        if not address.startswith("unix:"):
            with socket.create_server((host.strip("[]"), int(port))):
                pass
    except OSError as error:
        said = f"cannot listen on {address} ({error.strerror}): a controller may be running"
        return Finding("controller", False, said)
    except AirshedError as error:
        return Finding("controller", False, str(error))
    return Finding("controller", True, f"{address} is free")


def _source(table: SensorTable, cells: tuple[Subchannel, ...]) -> tuple[Finding, tuple[Subchannel, ...]]:
    """Whether a sensor's source can be opened, and which of the site's subchannels it hears."""
    what = f"sensor {table.name}"
    if is_sweep(table.source):
        path = table.source.partition(":")[2]
        readable = os.access(path, os.R_OK)
        # Which frequencies a sweep covers is in its lines, and those may not have been written yet.
        return Finding(what, readable, f"{path} {'can' if readable else 'is not there or cannot'} be read"), cells
    try:
        with open_source(Wanted(table.source, table.center_hz, table.rate_hz, table.gain_db, table.loop)) as source:
            tuning = source.tuning
            if not table.source.startswith(("rtlsdr", "rtl_tcp")):
                next(iter(source.blocks()), None)
    except AirshedError as error:
        return Finding(what, False, str(error)), ()
    said = f"{source.name}: {tuning.rate_hz / 1e6:g} MS/s around {tuning.center_hz / 1e6:g} MHz"
    return Finding(what, True, said), captured(cells, tuning.center_hz, tuning.rate_hz)


def _coverage(deaf: list[Subchannel]) -> Finding:
    """Subchannels that are allocated but that no sensor hears: they would never be given."""
    if not deaf:
        return Finding("coverage", True, "every allocated subchannel is heard by a sensor")
    most = ", ".join(cell.name for cell in deaf[:5]) + (f" and {len(deaf) - 5} more" if len(deaf) > 5 else "")
    return Finding("coverage", False, f"no sensor hears {most}: they are never allocated; move a sensor's center_hz")
