"""The policy of a backhaul from its site file."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from controller.backhaul.values import Place, Policy, Registration
from controller.openflow import OpenFlowListen
from spectrum.errors import BadInput
from spectrum.site_file import Site


def policy_of(site: Site) -> Policy:
    """What passes on the backhaul of `site`; BadInput when its addresses make no sense."""
    table = site.backhaul
    assert table is not None
    host, _, port = site.controller.listen.rpartition(":")
    address = table.address or host.strip("[]")
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        message = f'[backhaul] needs the controller\'s IPv4 address: expected address = "10.0.0.1", got {address!r}'
        raise BadInput(message) from None
    if not port.isdigit():
        raise BadInput(f"a backhaul needs controller.listen as HOST:PORT, got {site.controller.listen!r}")
    redis = urlsplit(site.database.url).port if "://" in site.database.url else None
    control_tcp = tuple(dict.fromkeys((*table.control_tcp, *((redis,) if redis else ()))))
    return Policy(
        site.name, address, int(port), control_tcp, table.control_udp,
        table.control_kbit_s, table.user_kbit_s, table.dial_kbit_s, table.control_queue, table.user_queue,
    )  # fmt: skip


def fixed_hosts(site: Site) -> tuple[Registration, ...]:
    """The hosts that the site file gives a place; BadInput when it names a switch or an address that is none."""
    assert site.backhaul is not None
    dpids = {switch.name: switch.dpid for switch in site.backhaul.switch}
    found = []
    for number, host in enumerate(site.backhaul.host, start=1):
        if host.switch not in dpids:
            names = ", ".join(dpids)
            raise BadInput(f"backhaul.host {host.name}: expected one of the switches {names}, got {host.switch!r}")
        try:
            ipaddress.IPv4Address(host.address)
        except ValueError:
            raise BadInput(f"backhaul.host {host.name}: expected an IPv4 address, got {host.address!r}") from None
        place = Place(dpids[host.switch], host.port, host.mac, host.address)
        found.append(Registration(number, host.name, place, fixed=True))
    return tuple(found)


def openflow_listen(site: Site) -> OpenFlowListen:
    """Where switches dial in: plain on loopback, else over mutual TLS; BadInput when it is wrong, or [tls] lacks."""
    assert site.backhaul is not None
    listen = site.backhaul.listen
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise BadInput(f"backhaul.listen: expected ADDRESS:PORT such as 127.0.0.1:6653, got {listen!r}") from None
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInput(f"backhaul.listen: expected ADDRESS:PORT such as 127.0.0.1:6653, got {listen!r}")
    if not loopback and site.tls is None:
        raise BadInput(f"backhaul.listen is {listen}: outside loopback a [tls] table is needed")
    return OpenFlowListen(host, int(port), None if loopback else site.tls)
