"""What the backhaul decides, asked of a fake switch: does this packet leave by that port?"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.backhaul.codec import message
from controller.backhaul.difference import DropFlow, after, difference
from controller.backhaul.effects import Cut, Effect, HangUp, Mended, Send, Tell
from controller.backhaul.plan import adopted, control_meter, plan, user_meter
from controller.backhaul.state import DIAL_S, SIGHTINGS_PER_PORT, Backhaul
from controller.backhaul.values import ARP, IPV4, TCP, TO_CONTROLLER, UDP, Place, Plan, Policy, Registration, Switch
from controller.openflow import OpenFlowListen
from spectrum.errors import BadInput
from spectrum.site_file import BackhaulSwitch, parse_site
from testbed.fake_switch import FakeSwitch, protocol

NOW = 1_800_000_000.0
C = "10.0.0.1"
POLICY = Policy("s", C, 50868, (6379,), (1700,), 2000, 10_000, 256)
TABLE = BackhaulSwitch(name="roof", dpid=7, uplink=1)
GW1 = Place(7, 2, "02:00:00:00:00:02", "10.0.0.2")
GW2 = Place(7, 3, "02:00:00:00:00:03", "10.0.0.3")
PORTS = frozenset({1, 2, 3, 4})


def tcp(place: Place, port: int, to: str = C) -> dict[str, int | str]:
    """A packet from a place, TCP to a port."""
    return {"eth_src": place.mac, "eth_type": IPV4, "ipv4_src": place.ip, "ipv4_dst": to, "ip_proto": TCP,
            "tcp_dst": port}  # fmt: skip


def udp(place: Place, port: int, to: str = C) -> dict[str, int | str]:
    """A packet from a place, UDP to a port."""
    return {"eth_src": place.mac, "eth_type": IPV4, "ipv4_src": place.ip, "ipv4_dst": to, "ip_proto": UDP,
            "udp_dst": port}  # fmt: skip


def arp(place: Place, to: str = C) -> dict[str, int | str]:
    """ARP from a place."""
    return {"eth_src": place.mac, "eth_type": ARP, "arp_spa": place.ip, "arp_tpa": to}


def down(place: Place, source_port: int = 50868) -> dict[str, int | str]:
    """A packet of the controller to a place."""
    return {"eth_dst": place.mac, "eth_type": IPV4, "ipv4_src": C, "ipv4_dst": place.ip, "ip_proto": TCP,
            "tcp_src": source_port}  # fmt: skip


@dataclass
class Bench:
    """The state with a fake switch that gets what is sent, over the wire format."""

    state: Backhaul = field(default_factory=lambda: Backhaul(POLICY, (TABLE,), 60.0))
    switch: FakeSwitch = field(default_factory=FakeSwitch)
    protocol: Any = field(default_factory=protocol)

    def do(self, effects: list[Effect]) -> list[Effect]:
        """Send what is to be sent; returns the rest."""
        for effect in effects:
            if isinstance(effect, Send):
                for change in effect.changes:
                    self.switch.receive(self.through_the_wire(message(self.protocol, change)))
        return [effect for effect in effects if not isinstance(effect, Send)]

    def through_the_wire(self, sent: Any) -> Any:
        """What a switch makes of the bytes of a message."""
        parser = self.protocol.ofproto_parser
        sent.set_xid(1)
        sent.serialize()
        kind = parser.OFPFlowMod if isinstance(sent, parser.OFPFlowMod) else None
        if kind is None:
            return sent
        return kind.parser(self.protocol, 4, sent.msg_type, len(sent.buf), 1, bytes(sent.buf))

    def connect(self, now_s: float = NOW, ports: frozenset[int] = PORTS) -> list[Effect]:
        """The switch comes with whatever it holds."""
        return self.do(self.state.switch_up(7, ports, self.switch.holds, now_s))

    def admit(self, gateway: str, place: Place, now_s: float = NOW) -> list[Effect]:
        """A gateway dials and registers."""
        self.do(self.state.seen(place, now_s))
        return self.do(self.state.registered(gateway, place.ip, now_s))


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.connect()
    return made


def states(effects: list[Effect]) -> list[str]:
    """States that are told."""
    return [effect.state for effect in effects if isinstance(effect, Tell)]


def test_an_unknown_source_may_only_dial(bench: Bench) -> None:
    assert bench.switch.leaves_by(2, tcp(GW1, 50868)) == {1, TO_CONTROLLER}
    assert bench.switch.leaves_by(2, arp(GW1)) == {1, TO_CONTROLLER}
    for packet in (tcp(GW1, 22), tcp(GW1, 6379), udp(GW1, 1700), arp(GW1, "10.0.0.9"), tcp(GW1, 50868, "10.0.0.9")):
        assert bench.switch.leaves_by(2, packet) == set()
    assert bench.switch.leaves_by(1, down(GW1)) == set()


def test_who_dials_gets_the_controllers_answers_and_nothing_else(bench: Bench) -> None:
    bench.do(bench.state.seen(GW1, NOW))
    assert bench.switch.leaves_by(1, down(GW1)) == {2}
    assert bench.switch.leaves_by(1, down(GW1, 22)) == set()
    bench.do(bench.state.tick(NOW + DIAL_S + 1))
    assert bench.switch.leaves_by(1, down(GW1)) == set()


def test_a_gateway_passes_from_where_it_registered_and_nowhere_else(bench: Bench) -> None:
    assert states(bench.admit("gw-1", GW1)) == ["gateway admitted"]
    assert bench.switch.leaves_by(2, udp(GW1, 9, "192.0.2.1")) == {1}
    assert bench.switch.leaves_by(2, tcp(GW1, 50868)) == {1}
    assert bench.switch.leaves_by(1, down(GW1, 22)) == {2}
    for packet in (tcp(GW1, 50868), udp(GW1, 9), arp(GW1)):
        assert bench.switch.leaves_by(3, packet) == set()  # its address from another port
    other = Place(7, 2, GW1.mac, "10.0.0.77")
    assert bench.switch.leaves_by(2, udp(other, 9)) == set()  # another address from its port
    stranger = Place(7, 2, "02:00:00:00:00:66", GW1.ip)
    assert bench.switch.leaves_by(2, udp(stranger, 9)) == set()  # another card with its address


def test_control_traffic_has_a_meter_of_its_own(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    bench.admit("gw-2", GW2)
    for packet in (tcp(GW1, 50868), tcp(GW1, 6379), udp(GW1, 1700), arp(GW1)):
        assert bench.switch.meters(2, packet) == {control_meter(1)}
    assert bench.switch.meters(2, udp(GW1, 9)) == {user_meter(1)}
    assert bench.switch.meters(3, udp(GW2, 9)) == {user_meter(2)}
    assert bench.switch.meters(3, tcp(GW2, 50868)) == {control_meter(2)}


def test_each_class_leaves_by_the_queue_that_the_policy_names() -> None:
    bench = Bench(Backhaul(replace(POLICY, control_queue=1, user_queue=0), (TABLE,), 60.0))
    bench.connect()
    bench.admit("gw-1", GW1)
    assert bench.switch.queue(2, tcp(GW1, 50868)) == 1
    assert bench.switch.queue(2, udp(GW1, 1700)) == 1
    assert bench.switch.queue(2, udp(GW1, 9)) == 0
    assert bench.switch.queue(2, arp(GW2)) is None
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == {1}
    told = bench.state.queues(7, frozenset({0, 5}))
    assert states(told) == ["queue missing"]
    assert "queue 1:" in told[0].reason
    assert bench.state.queues(7, frozenset({0, 1, 5})) == []
    assert bench.state.queues(99, frozenset()) == []
    without = Bench(switch=bench.switch)  # a restart without queues takes them back, and lets all pass meanwhile
    without.connect(NOW + 1)
    assert bench.switch.queue(2, tcp(GW1, 50868)) is None
    assert bench.switch.leaves_by(2, tcp(GW1, 50868)) == {1}


SENSOR = Place(7, 4, "02:00:00:00:00:04", "10.0.0.4")


def with_sensor(switch: FakeSwitch | None = None) -> Bench:
    """A bench whose site file gives a sensor its place."""
    hosts = (Registration(1, "sensor-1", SENSOR, fixed=True),)
    made = Bench(Backhaul(POLICY, (TABLE,), 60.0, hosts), switch or FakeSwitch())
    made.connect()
    return made


def test_a_fixed_host_may_use_the_control_ports_from_its_place_and_nothing_else() -> None:
    bench = with_sensor()
    assert bench.switch.leaves_by(4, tcp(SENSOR, 6379)) == {1}
    assert bench.switch.meters(4, tcp(SENSOR, 6379)) == {control_meter(1)}
    assert bench.switch.leaves_by(1, down(SENSOR, 6379)) == {4}
    for packet in (udp(SENSOR, 9), tcp(SENSOR, 22), tcp(SENSOR, 6379, "10.0.0.9")):
        assert bench.switch.leaves_by(4, packet) == set()
    assert bench.switch.leaves_by(2, tcp(SENSOR, 6379)) == set()  # from another port
    assert bench.switch.leaves_by(4, tcp(replace(SENSOR, mac=GW1.mac), 6379)) == set()
    bench.do(bench.state.tick(NOW + 1000))
    assert bench.switch.leaves_by(4, tcp(SENSOR, 6379)) == {1}


def test_a_fixed_host_holds_no_leases() -> None:
    bench = with_sensor()
    effects = bench.do(bench.state.port(7, 4, False, NOW))
    assert effects == [Tell("port down", "roof", "port 4 of roof went down", 4, "sensor-1")]
    assert bench.switch.leaves_by(4, tcp(SENSOR, 6379)) == set()
    assert states(bench.do(bench.state.port(7, 4, True, NOW + 1))) == ["port up"]
    assert bench.switch.leaves_by(4, tcp(SENSOR, 6379)) == {1}


def test_a_gateway_called_like_a_fixed_host_is_admitted_as_well() -> None:
    bench = with_sensor()
    bench.admit("sensor-1", GW1)
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == {1}
    assert bench.switch.leaves_by(4, tcp(SENSOR, 6379)) == {1}
    bench.do(bench.state.ended("sensor-1", NOW + 1))
    bench.do(bench.state.tick(NOW + 100))
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == set()
    assert bench.switch.leaves_by(4, tcp(SENSOR, 6379)) == {1}


def test_a_site_file_that_gains_a_host_does_not_cut_off_the_gateway_whose_number_it_takes(bench: Bench) -> None:
    bench.admit("gw-1", GW1)  # number 1
    restarted = with_sensor(bench.switch)
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == {1}
    assert bench.switch.leaves_by(4, tcp(SENSOR, 6379)) == {1}
    restarted.do(restarted.state.registered("gw-1", GW1.ip, NOW + 1))
    assert bench.switch.meters(2, udp(GW1, 9)).isdisjoint(bench.switch.meters(4, tcp(SENSOR, 6379)))


def test_gateways_do_not_reach_each_other(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    bench.admit("gw-2", GW2)
    assert bench.switch.leaves_by(2, udp(GW1, 9, GW2.ip)) == {1}  # to the uplink, where a router may say no


def test_nobody_speaks_as_the_controller(bench: Bench) -> None:
    liar = Place(7, 4, "02:00:00:00:00:04", C)
    for packet in (tcp(liar, 50868), arp(liar)):
        assert bench.switch.leaves_by(4, packet) == set()
    assert bench.state.seen(liar, NOW) == []


def test_the_first_to_use_an_address_keeps_it_while_it_is_heard(bench: Bench) -> None:
    thief = Place(7, 4, "02:00:00:00:00:04", GW1.ip)
    bench.do(bench.state.seen(GW1, NOW))
    bench.do(bench.state.seen(thief, NOW + 1))
    bench.do(bench.state.registered("gw-1", GW1.ip, NOW + 2))
    assert bench.state.registrations == (Registration(1, "gw-1", GW1),)


def test_sightings_are_bounded(bench: Bench) -> None:
    for k in range(2 * SIGHTINGS_PER_PORT):
        bench.do(bench.state.seen(Place(7, 4, "02:00:00:00:01:00", f"10.0.1.{k}"), NOW))
    answers = [flow for flow in bench.switch.holds.flows if flow.table == 1 and flow.priority == 100]
    assert len(answers) == 2 * SIGHTINGS_PER_PORT  # gRPC and ARP for each


def test_a_cut_port_is_told_and_its_leases_held(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    effects = bench.do(bench.state.port(7, 2, False, NOW + 5))
    assert states(effects) == ["port down"]
    assert [e.gateway for e in effects if isinstance(e, Cut)] == ["gw-1"]
    assert bench.do(bench.state.port(7, 2, False, NOW + 5)) == []
    effects = bench.do(bench.state.port(7, 2, True, NOW + 6))
    assert states(effects) == ["port up"]
    assert [e.gateway for e in effects if isinstance(e, Mended)] == ["gw-1"]
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == {1}


def test_a_gateway_that_moved_registers_from_its_new_port(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    bench.do(bench.state.port(7, 2, False, NOW + 5))
    there = Place(7, 4, GW1.mac, GW1.ip)
    assert bench.do(bench.state.seen(there, NOW + 6)) == [HangUp("gw-1")]
    bench.do(bench.state.ended("gw-1", NOW + 6))
    effects = bench.do(bench.state.registered("gw-1", GW1.ip, NOW + 7))
    assert states(effects) == ["gateway moved"]
    assert bench.switch.leaves_by(4, udp(there, 9)) == {1}
    assert bench.switch.leaves_by(1, down(there)) == {4}
    bench.do(bench.state.port(7, 2, True, NOW + 8))
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == set()


def test_a_gateway_whose_agent_is_away_yields_its_address(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    bench.do(bench.state.ended("gw-1", NOW + 1))
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == {1}  # held meanwhile
    there = Place(7, 4, GW1.mac, GW1.ip)
    bench.do(bench.state.seen(there, NOW + 2))
    assert states(bench.do(bench.state.registered("gw-1", GW1.ip, NOW + 3))) == ["gateway moved"]


def test_who_stays_away_loses_admission(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    bench.do(bench.state.ended("gw-1", NOW + 1))
    assert states(bench.do(bench.state.tick(NOW + 60))) == []
    assert states(bench.do(bench.state.tick(NOW + 62))) == ["admission ended"]
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == set()


def test_a_restarted_controller_adopts_the_switch_and_changes_nothing_that_passes(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    bench.admit("gw-2", GW2)
    before = bench.switch.holds
    restarted = Bench(switch=bench.switch)
    effects = restarted.state.switch_up(7, PORTS, before, NOW + 100)
    assert [e for e in effects if isinstance(e, Send)] == []
    told = restarted.do(effects)
    assert states(told) == ["switch connected"]
    restarted.do(restarted.state.registered("gw-2", GW2.ip, NOW + 101))
    assert bench.switch.holds == before
    assert {r.gateway for r in restarted.state.registrations} == {"", "gw-2"}
    restarted.do(restarted.state.tick(NOW + 170))
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == set()
    assert bench.switch.leaves_by(3, udp(GW2, 9)) == {1}


def test_an_adopted_place_is_kept_for_its_owner_at_first(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    restarted = Bench(switch=bench.switch)
    restarted.connect(NOW + 100)
    thief = Place(7, 4, "02:00:00:00:00:04", GW1.ip)
    restarted.do(restarted.state.seen(thief, NOW + 101))
    assert bench.switch.leaves_by(2, udp(GW1, 9)) == {1}


def test_a_switch_that_returns_empty_is_filled_again(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    held = bench.switch.holds
    assert states(bench.do(bench.state.switch_down(7))) == ["switch lost"]
    bench.switch = FakeSwitch()
    assert states(bench.connect(NOW + 9)) == ["switch returned"]
    assert bench.switch.holds == held


def test_a_switch_that_is_not_in_the_site_file_is_left_alone(bench: Bench) -> None:
    assert states(bench.state.switch_up(99, PORTS, Plan(), NOW)) == ["unknown switch"]
    assert bench.state.switch_down(99) == []


def test_what_others_left_in_a_switch_is_removed() -> None:
    bench = Bench()
    proto = bench.protocol
    parser = proto.ofproto_parser
    instructions = [parser.OFPInstructionActions(proto.ofproto.OFPIT_APPLY_ACTIONS, [parser.OFPActionOutput(9)])]
    foreign = parser.OFPFlowMod(proto, table_id=0, priority=999, match=parser.OFPMatch(in_port=4),
                                instructions=instructions)  # fmt: skip
    bench.switch.receive(foreign)
    assert bench.switch.leaves_by(4, udp(GW1, 9)) == {9}
    bench.connect()
    assert bench.switch.leaves_by(4, udp(GW1, 9)) == set()


def test_cookies_name_the_site(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    assert len({flow.cookie >> 32 for flow in bench.switch.holds.flows}) == 1
    assert adopted(bench.switch.holds, 7, "another") == ()
    assert [r.place for r in adopted(bench.switch.holds, 7, "s")] == [GW1]


def test_two_gateways_behind_one_address_share_its_meters(bench: Bench) -> None:
    bench.admit("gw-1", GW1)
    bench.do(bench.state.registered("gw-2", GW1.ip, NOW))
    assert bench.switch.meters(2, udp(GW1, 9)) == {user_meter(1)}


places = st.builds(Place, st.just(7), st.integers(2, 5), st.sampled_from([GW1.mac, GW2.mac]),
                   st.sampled_from(["10.0.0.2", "10.0.0.3", "10.0.0.4"]))  # fmt: skip
registrations = st.lists(
    st.builds(Registration, st.integers(1, 9), st.just("g"), places, st.booleans(), st.booleans()), max_size=6
)
policies = st.builds(replace, st.just(POLICY), control_queue=st.sampled_from([None, 0, 1]))
switches = st.builds(Switch, st.just(7), st.just(1), st.frozensets(st.integers(2, 5)))
plans = st.builds(plan, switches, registrations, st.lists(places, max_size=5), policies)


@settings(max_examples=100, deadline=None)
@given(plans, plans)
def test_the_difference_leads_from_any_plan_to_any_other(old: Plan, new: Plan) -> None:
    bench = Bench()
    for wanted, present in ((old, Plan()), (new, old)):
        changes = difference(wanted, present)
        for change in changes:
            bench.switch.receive(message(bench.protocol, change))
            if not isinstance(change, DropFlow):  # what both plans let pass is never missing on the way
                held = {flow.key for flow in bench.switch.holds.flows}
                assert {f.key for f in present.flows & wanted.flows} <= held
        assert bench.switch.holds == after(present, changes) == wanted
    assert difference(new, new) == ()


@settings(max_examples=100, deadline=None)
@given(plans, places, st.integers(1, 5))
def test_a_source_leaves_only_by_the_uplink(wanted: Plan, source: Place, in_port: int) -> None:
    bench = Bench()
    for change in difference(wanted, Plan()):
        bench.switch.receive(message(bench.protocol, change))
    for packet in (tcp(source, 50868), udp(source, 9), arp(source), tcp(source, 22, "10.0.0.3")):
        leaves = bench.switch.leaves_by(in_port, packet)
        assert in_port == 1 or leaves <= {1, TO_CONTROLLER}


SITE = '[site]\nname = "s"\n[controller]\nlisten = "10.0.0.1:50868"\n[backhaul]\n{more}\n[[backhaul.switch]]\n{switch}'


HOST = 'name = "sensor-1", port = 4, mac = "02:00:00:00:00:04"'


def test_the_site_file_says_what_passes() -> None:
    from controller.backhaul.policy import fixed_hosts, openflow_listen, policy_of

    site = parse_site(SITE.format(more="", switch='name = "roof"\ndpid = 7\nuplink = 1'), "t.toml")
    assert policy_of(site) == POLICY
    assert openflow_listen(site) == OpenFlowListen("127.0.0.1", 6653)
    assert fixed_hosts(site) == ()
    more = f'control_queue = 1\nhost = [{{{HOST}, switch = "roof", address = "10.0.0.4"}}]'
    site = parse_site(SITE.format(more=more, switch='name = "roof"\ndpid = 7\nuplink = 1'), "t.toml")
    assert fixed_hosts(site) == (Registration(1, "sensor-1", SENSOR, fixed=True),)
    assert policy_of(site) == replace(POLICY, control_queue=1)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('listen = "0.0.0.0:6653"', "tls"),
        ('listen = "6653"', "ADDRESS:PORT"),
        ('listen = "127.0.0.1:99999"', "ADDRESS:PORT"),
        ('address = "10.0.0.300"', "IPv4"),
        (f'host = [{{{HOST}, switch = "cellar", address = "10.0.0.4"}}]', "roof"),
        (f'host = [{{{HOST}, switch = "roof", address = "10.0.0.400"}}]', "IPv4"),
    ],
)
def test_what_is_wrong_in_the_site_file_is_told_in_one_line(more: str, words: str) -> None:
    from controller.backhaul.policy import fixed_hosts, openflow_listen, policy_of

    site = parse_site(SITE.format(more=more, switch='name = "roof"\ndpid = 7\nuplink = 1'), "t.toml")
    reads = fixed_hosts if "host" in more else openflow_listen if "listen" in more else policy_of
    with pytest.raises(BadInput, match=words) as caught:
        reads(site)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_and_a_twin_are_told() -> None:
    with pytest.raises(BadInput, match="speed"):
        parse_site(SITE.format(more="speed = 1", switch='name = "roof"\ndpid = 7\nuplink = 1'), "t.toml")
    with pytest.raises(BadInput, match="switch"):
        parse_site(SITE.format(more="", switch=""), "t.toml")


def test_the_check_of_a_site_looks_at_the_backhaul() -> None:
    from controller.site_check import check_site

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = SITE.format(more=f'listen = "127.0.0.1:{port}"', switch='name = "roof"\ndpid = 7\nuplink = 1')
        found = {finding.what: finding for finding in check_site(parse_site(text, "t.toml"))}
        assert not found["backhaul"].good
        assert str(port) in found["backhaul"].said
    text = text.replace(str(port), "6653").replace("10.0.0.1", "localhost")
    found = {finding.what: finding for finding in check_site(parse_site(text, "t.toml"))}
    assert "IPv4" in found["backhaul"].said
