"""From (switch, registrations, sightings, policy) to the flows and meters a switch should hold.

Table 0 admits what comes from access ports and sends it to the uplink, table 1 sends what comes from the uplink to the
port of its gateway. Gateways never reach each other.

| table, priority | what | then |
|---|---|---|
| 0, 400 | from the uplink | table 1 |
| 0, 300 | admitted gateway or fixed host to the controller's ports | its control meter, uplink |
| 0, 200 | admitted gateway, anything else | its user meter, uplink |
| 0, 200 | ARP of either | its control meter, uplink |
| 0, 150 | the controller's or an attached gateway's address from anywhere else | dropped |
| 0, 100 | unknown source dialling the controller, and its ARP for it | the port's meter, uplink, and seen |
| 0, 10 and 0 | the rest, counted for each port | dropped |
| 1, 200 | to an admitted gateway or fixed host | its port |
| 1, 100 | the controller's answers to one who dials | its port |
| 1, 0 | the rest | dropped |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from controller.backhaul.values import (
    ARP,
    IPV4,
    TCP,
    TO_CONTROLLER,
    UDP,
    Flow,
    Kind,
    Match,
    Meter,
    Place,
    Plan,
    Policy,
    Registration,
    Switch,
    cookie,
    matching,
    read_cookie,
)

ADMISSION: Final = 0
DOWNSTREAM: Final = 1

# Meters of ports are numbered by their port; those of gateways begin here, two for each.
FIRST_GATEWAY_METER: Final = 0x1_0000

# A meter lets this long pass at once at its rate, so that a TLS handshake or a batch of requests is not torn.
BURST_S: Final = 0.5


def control_meter(number: int) -> int:
    """The meter of a gateway's control traffic."""
    return FIRST_GATEWAY_METER + 2 * number


def user_meter(number: int) -> int:
    """The meter of whatever else a gateway sends."""
    return FIRST_GATEWAY_METER + 2 * number + 1


def plan(switch: Switch, registrations: Iterable[Registration], sightings: Iterable[Place], policy: Policy) -> Plan:
    """Everything `switch` should hold. Of registrations that share an address, the lowest number counts."""
    admitted: dict[str, Registration] = {}
    for registration in sorted(registrations):
        if registration.place.dpid == switch.dpid and registration.place.port in switch.access:
            admitted.setdefault(registration.place.ip, registration)
    dialling = {
        place.ip: place
        for place in sorted(sightings)
        if place.dpid == switch.dpid and place.port in switch.access and place.ip not in admitted
    }
    flows = [*_fixed(switch, policy)]
    meters = []
    for port in switch.access:
        flows += _unknown(port, switch.uplink, policy)
        meters.append(_meter(port, policy.dial_kbit_s))
    for registration in admitted.values():
        flows += _admitted(registration, switch.uplink, policy)
        meters.append(_meter(control_meter(registration.number), policy.control_kbit_s))
        if not registration.fixed:
            flows.append(_user(registration, switch.uplink, policy))
            meters.append(_meter(user_meter(registration.number), policy.user_kbit_s))
    for place in dialling.values():
        flows += _answers(place, policy)
    return Plan(frozenset(flows), frozenset(meters))


def adopted(present: Plan, dpid: int, site: str) -> tuple[Registration, ...]:
    """The registrations that a switch's flows remember; their names are to be learnt again."""
    found = []
    for flow in present.flows:
        known, fields = read_cookie(flow.cookie, site), dict(flow.match)
        if known is None or known[0] != Kind.USER or not {"in_port", "eth_src", "ipv4_src"} <= fields.keys():
            continue
        place = Place(dpid, int(fields["in_port"]), str(fields["eth_src"]), str(fields["ipv4_src"]))
        found.append(Registration(known[1], "", place, attached=False))
    return tuple(sorted(found))


def _meter(meter_id: int, kbit_s: int) -> Meter:
    return Meter(meter_id, kbit_s, max(1, round(kbit_s * BURST_S)))


def _fixed(switch: Switch, policy: Policy) -> Iterator[Flow]:
    yield Flow(
        ADMISSION, 400, matching(in_port=switch.uplink), cookie(policy.site, Kind.UPLINK, switch.uplink),
        goto=DOWNSTREAM,
    )  # fmt: skip
    own = cookie(policy.site, Kind.GUARD)
    yield Flow(ADMISSION, 150, matching(eth_type=IPV4, ipv4_src=policy.address), own)
    yield Flow(ADMISSION, 150, matching(eth_type=ARP, arp_spa=policy.address), own)
    yield Flow(ADMISSION, 0, (), cookie(policy.site, Kind.UNKNOWN))
    yield Flow(DOWNSTREAM, 0, (), cookie(policy.site, Kind.STRAY))


def _unknown(port: int, uplink: int, policy: Policy) -> Iterator[Flow]:
    """What a source may do that has not registered: ask for the controller's address, and dial it."""
    dial = cookie(policy.site, Kind.DIAL, port)
    outputs = (uplink, TO_CONTROLLER)
    arp = matching(in_port=port, eth_type=ARP, arp_tpa=policy.address)
    grpc = matching(in_port=port, eth_type=IPV4, ip_proto=TCP, ipv4_dst=policy.address, tcp_dst=policy.grpc_port)
    yield Flow(ADMISSION, 100, arp, dial, port, outputs)
    yield Flow(ADMISSION, 100, grpc, dial, port, outputs)
    yield Flow(ADMISSION, 10, matching(in_port=port), cookie(policy.site, Kind.UNKNOWN, port))


def _control_matches(place: Place, policy: Policy) -> Iterator[Match]:
    source: dict[str, int | str] = {"in_port": place.port, "eth_src": place.mac, "eth_type": IPV4, "ipv4_src": place.ip}
    for tcp_dst in dict.fromkeys((policy.grpc_port, *policy.control_tcp)):
        yield matching(**source, ipv4_dst=policy.address, ip_proto=TCP, tcp_dst=tcp_dst)
    for udp_dst in dict.fromkeys(policy.control_udp):
        yield matching(**source, ipv4_dst=policy.address, ip_proto=UDP, udp_dst=udp_dst)


def _admitted(registration: Registration, uplink: int, policy: Policy) -> Iterator[Flow]:
    place, number = registration.place, registration.number

    def named(kind: Kind) -> int:
        return cookie(policy.site, kind, number)

    control = control_meter(number)
    for match in _control_matches(place, policy):
        yield Flow(ADMISSION, 300, match, named(Kind.CONTROL), control, (uplink,), queue=policy.control_queue)
    arp = matching(in_port=place.port, eth_src=place.mac, eth_type=ARP, arp_spa=place.ip)
    yield Flow(ADMISSION, 200, arp, named(Kind.ADDRESS), control, (uplink,))
    if registration.attached:
        yield Flow(ADMISSION, 150, matching(eth_type=IPV4, ipv4_src=place.ip), named(Kind.GUARD))
        yield Flow(ADMISSION, 150, matching(eth_type=ARP, arp_spa=place.ip), named(Kind.GUARD))
    to_gateway = matching(eth_type=IPV4, eth_dst=place.mac, ipv4_dst=place.ip)
    yield Flow(DOWNSTREAM, 200, to_gateway, named(Kind.DOWN), outputs=(place.port,))
    yield Flow(DOWNSTREAM, 200, matching(eth_type=ARP, arp_tpa=place.ip), named(Kind.DOWN), outputs=(place.port,))


def _user(registration: Registration, uplink: int, policy: Policy) -> Flow:
    """Whatever else a gateway sends; a fixed host has no business to."""
    place = registration.place
    anything = matching(in_port=place.port, eth_src=place.mac, eth_type=IPV4, ipv4_src=place.ip)
    named = cookie(policy.site, Kind.USER, registration.number)
    meter = user_meter(registration.number)
    return Flow(ADMISSION, 200, anything, named, meter, (uplink,), queue=policy.user_queue)


def _answers(place: Place, policy: Policy) -> Iterator[Flow]:
    dial = cookie(policy.site, Kind.DIAL, place.port)
    grpc = matching(
        eth_type=IPV4, ip_proto=TCP, eth_dst=place.mac, ipv4_dst=place.ip, ipv4_src=policy.address,
        tcp_src=policy.grpc_port,
    )  # fmt: skip
    yield Flow(DOWNSTREAM, 100, grpc, dial, outputs=(place.port,))
    yield Flow(DOWNSTREAM, 100, matching(eth_type=ARP, arp_tpa=place.ip), dial, outputs=(place.port,))
