"""Is what the site file says of a gateway right, and is this machine ready for its agent? One line for each finding."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Final

from gateway_agent.gateway_door import host_and_port
from gateway_agent.lorawan.devices import devices_of
from spectrum.errors import AirshedError, BadInput, Failed
from spectrum.site_file import GatewayTable, Site

# A broker that is there answers at once.
BROKER_S: Final = 2.0


def check_gateway(site: Site, gateway: GatewayTable) -> tuple[bool, str]:
    """Whether the agent of a gateway could start, and what was found: of what is wrong, the first."""
    checks: dict[str, Callable[[Site, GatewayTable], Iterator[str]]] = {
        "virtual": _virtual, "semtech-udp": _semtech_udp, "mqtt": _mqtt, "sigfox": _sigfox,
    }  # fmt: skip
    try:
        said = [*checks[gateway.radio](site, gateway), *_health(gateway)]
    except AirshedError as error:
        return False, str(error)
    return True, ", ".join([gateway.radio, *said])


def shared_addresses(site: Site) -> Iterator[str]:
    """Addresses that two agents of the site would both listen on: fine on two machines, not on one."""
    taken: dict[tuple[str, str], str] = {}
    for gateway in site.gateway:
        listens = [("TCP", gateway.health_listen)]
        if gateway.radio == "semtech-udp":
            listens.append(("UDP", gateway.lorawan.udp_listen))
        if gateway.radio == "sigfox":
            listens.append(("TCP", gateway.sigfox.listen))
        for kind, address in listens:
            if address is None or address.endswith(":0"):
                continue
            other = taken.setdefault((kind, address), gateway.name)
            if other != gateway.name:
                who = f"gateways {other} and {gateway.name} both listen on {kind} {address}"
                yield f"{who}: on one machine give each its own port"


def lost_devices(site: Site) -> Iterator[str]:
    """Devices whose gateway the site does not have: no agent would serve them."""
    names = {gateway.name for gateway in site.gateway}
    for device in site.device:
        if device.gateway is not None and device.gateway not in names:
            known = ", ".join(sorted(names)) or "none"
            yield f"device {device.name} names gateway {device.gateway!r}, and the site has {known}"


def _virtual(site: Site, gateway: GatewayTable) -> Iterator[str]:
    yield f"{gateway.devices} devices"


def _semtech_udp(site: Site, gateway: GatewayTable) -> Iterator[str]:
    table = gateway.lorawan
    address = host_and_port(table.udp_listen, "lorawan.udp_listen", tunnel=table.tunnel)
    _free(address, socket.SOCK_DGRAM, "UDP")
    who = f"{len(table.gateway_eui)} forwarders are heard" if table.gateway_eui else "any forwarder is heard"
    yield f"UDP {table.udp_listen} is free"
    yield who
    yield from _devices(site, gateway)


def _mqtt(site: Site, gateway: GatewayTable) -> Iterator[str]:
    from gateway_agent.mqtt import (
        PASSWORD_VARIABLE,
        check_address,
    )  # paho and ChirpStack's types: only for who has them

    table = gateway.mqtt
    check_address(table, tunnel=gateway.lorawan.tunnel)
    if table.tls_ca is not None and not os.access(table.tls_ca, os.R_OK):
        raise BadInput(f"mqtt.tls_ca {table.tls_ca} is not there or cannot be read: name the broker's CA as a PEM file")
    if table.username is not None and PASSWORD_VARIABLE not in os.environ:
        raise BadInput(f"mqtt.username is {table.username} and {PASSWORD_VARIABLE} is not set")
    try:
        with socket.create_connection((table.host, table.port), BROKER_S):
            pass
    except OSError as error:
        raise Failed(f"no MQTT broker at {table.host}:{table.port}: {error.strerror or error}") from None
    yield f"broker {table.host}:{table.port} answers, topics {table.topic_prefix or '(no prefix)'}/gateway/..."
    yield from _devices(site, gateway)


def _devices(site: Site, gateway: GatewayTable) -> Iterator[str]:
    """Devices and their keys; leases that the controller would cut short."""
    devices = devices_of(site.device, gateway.name, gateway.lorawan.keys)
    if not devices:
        raise BadInput(f"gateway {gateway.name} has no LoRaWAN device: add [[device]] tables to the site file")
    longest_s = site.controller.longest_lease_s
    if gateway.lorawan.lease_s > longest_s:
        raise BadInput(
            f"lorawan.lease_s is {gateway.lorawan.lease_s:g} s, and controller.longest_lease_s cuts leases to"
            f" {longest_s:g} s: lower the one or raise the other"
        )
    yield f"{len(devices)} LoRaWAN devices with their keys"


def _sigfox(site: Site, gateway: GatewayTable) -> Iterator[str]:
    table = gateway.sigfox
    if not site.spectrum.sigfox:
        raise BadInput("spectrum.sigfox_groups is 0: endpoints would be given nothing")
    _free(host_and_port(table.listen, "sigfox.listen", tunnel=table.tunnel), socket.SOCK_STREAM, "TCP")
    for path in table.serial:
        if not os.access(path, os.R_OK | os.W_OK):
            raise Failed(f"serial port {path} is not there, or may not be read and written (group dialout?)")
    yield f"TCP {table.listen} is free"
    yield f"{len(table.serial)} serial ports"


def _health(gateway: GatewayTable) -> Iterator[str]:
    if gateway.health_listen is not None:
        _free(host_and_port(gateway.health_listen, "health_listen", tunnel=False), socket.SOCK_STREAM, "TCP")
        yield f"health on {gateway.health_listen}"


def _free(address: tuple[str, int], kind: socket.SocketKind, name: str) -> None:
    try:
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Failed(
            f"cannot listen on {name} {address[0]}:{address[1]} ({error.strerror}): its agent may be running"
        ) from None
