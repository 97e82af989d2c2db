"""The backhaul on Open vSwitch in user space, with hosts in network namespaces and the controller as a process."""

from __future__ import annotations

import json
import re
import sys
import time
from statistics import median

import pytest

from controller.backhaul.plan import BURST_S
from testbed.backhaul_bench import REPOSITORY, Bench, beside_flood, p99
from testbed.backhaul_site import BRIDGE, CONTROLLER_IP, OPENFLOW_IP, OPENFLOW_PORT, UPLINK

# Says whether the database at a URL is there.
PING = """
import sys
from channel_status.protocol import DatabaseAway
from channel_status.redis_door import connect
try:
    connect(sys.argv[1]).ping()
    print("there")
except DatabaseAway as error:
    print("away:", error)
"""


def on_host(bench: Bench, host: str, program: str, *arguments: str) -> str:
    """What a Python program says on a host."""
    command = ["env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-c", program, *arguments]
    return bench.site.network.within(bench.site.hosts[host].namespace, command).strip()


def counters(bench: Bench) -> dict[str, int]:
    """Packets of each flow of the switch, by its text."""
    lines = bench.site.switch.ofctl(["dump-flows", BRIDGE]).splitlines()
    return {re.sub(r"duration=\S+ |\bn_\S+ ", "", line): int(found[1]) for line in lines
            if (found := re.search(r"n_packets=(\d+)", line))}  # fmt: skip


def user_flow_age_s(bench: Bench, gateway: str) -> float:
    """How long the switch has held the flow that lets a gateway's user traffic pass."""
    flows = bench.site.switch.ofctl(["dump-flows", BRIDGE])
    found = re.search(rf"duration=([\d.]+)s.*priority=200,ip,.*nw_src={bench.site.hosts[gateway].ip} ", flows)
    assert found, flows
    return float(found[1])


def trace(bench: Bench, in_port: int, packet: str) -> set[int]:
    """The ports by which the switch itself says a packet would leave."""
    said = bench.site.switch.appctl(["ofproto/trace", BRIDGE, f"in_port={in_port},{packet}"])
    return {int(port) for port in re.findall(r"^\s*output:(\d+)", said, re.MULTILINE)}


def test_a_stranger_is_dropped_and_counted(bench: Bench) -> None:
    stranger = bench.site.hosts["stranger"]
    network, port = bench.site.network, stranger.port
    # it need not ask for the controller's address, so every packet of it comes to the switch
    mac = network.within(bench.site.namespace, ["cat", "/sys/class/net/eth0/address"]).strip()
    neighbour = ["ip", "neighbour", "replace", CONTROLLER_IP, "lladdr", mac, "dev", "eth0"]
    network.within(stranger.namespace, neighbour)
    with (
        bench.traffic("controller", "count", CONTROLLER_IP, "9") as counting,
        bench.traffic("stranger", "flood", CONTROLLER_IP, "9", "1", "0.5") as flood,
    ):
        sent = int(flood.communicate(timeout=15)[0])
        assert json.loads(counting.communicate("", timeout=10)[0])["bytes"] == 0
    network.within(stranger.namespace, ["ip", "neighbour", "del", CONTROLLER_IP, "dev", "eth0"])

    def dropped() -> int:
        return sum(n for text, n in counters(bench).items() if f"priority=10,in_port={port} " in text)

    assert sent > 10
    bench.wait_for(lambda: dropped() == sent, "the count of what was dropped", 5.0)


def test_an_admitted_gateway_passes_from_its_port_only(bench: Bench) -> None:
    agent = bench.agent("gw-1")
    assert len(agent.ask(3, 0.0)) == 3
    host = bench.site.hosts["gw-1"]
    mac = host.mac
    user = f"udp,dl_src={mac},nw_src={host.ip},nw_dst={CONTROLLER_IP},udp_dst=9"
    assert trace(bench, host.port, user) == {UPLINK}
    assert trace(bench, host.port + 1, user) == set()
    assert trace(bench, host.port, user.replace(host.ip, "10.77.0.99")) == set()
    assert trace(bench, host.port, user.replace(mac, "02:00:00:00:00:99")) == set()
    assert trace(bench, UPLINK, f"udp,dl_dst={mac},nw_src={CONTROLLER_IP},nw_dst={host.ip}") == {host.port}
    agent.close()


def test_a_sensor_reaches_the_database_from_its_place_and_nothing_else(bench: Bench) -> None:
    host = bench.site.hosts["sensor-1"]
    redis = f"tcp,dl_src={host.mac},nw_src={host.ip},nw_dst={CONTROLLER_IP},tcp_dst=6379"
    assert trace(bench, host.port, redis) == {UPLINK}
    assert trace(bench, host.port, redis.replace("6379", "22")) == set()
    assert trace(bench, host.port, redis.replace(host.mac, "02:00:00:00:00:99")) == set()
    assert trace(bench, bench.site.hosts["stranger"].port, redis) == set()
    before = bench.site.control_packets()["sensor-1"]
    with bench.site.database(bench.url, bench.tls):
        url = bench.site.database_url(bench.tls, "sensor-1")
        assert on_host(bench, "sensor-1", PING, url) == "there"
        assert on_host(bench, "sensor-1", PING, url.partition("&")[0]).startswith("away")  # without a certificate
        assert on_host(bench, "stranger", PING, url).startswith("away")
    bench.wait_for(lambda: bench.site.control_packets()["sensor-1"] > before + 5, "the switch to count them")


def test_each_class_leaves_by_its_queue(bench: Bench) -> None:
    agent = bench.agent("gw-1")
    missing = len(bench.told("queue missing"))
    bench.restart_controller(control_queue=1, user_queue=0)
    try:
        bench.wait_for(lambda: len(bench.told("queue missing")) > missing, "the word that the uplink has no queues")
        flows = bench.site.switch.ofctl(["dump-flows", BRIDGE])
        assert re.search(r"tp_dst=50868 actions=meter:\d+,set_queue:1,output:1", flows), flows
        assert re.search(r"priority=200,ip,.*actions=meter:\d+,set_queue:0,output:1", flows), flows
        assert agent.ask(1, 0.0)[0] < 15.0
        bench.site.switch.queues(bench.site.uplink_device, 2)
        if "queue 1" not in bench.site.switch.ofctl(["queue-stats", BRIDGE]):
            pytest.skip("the rest needs a kernel that can give a device queues (sch_htb)")
        missing = len(bench.told("queue missing"))
        bench.restart_controller(control_queue=1, user_queue=0)
        queue = f'airshed_backhaul_queue_sent_packets_total{{port="{UPLINK}",queue="1",switch="{BRIDGE}"}}'
        bench.wait_for(lambda: queue in bench.metrics(), "the queue's counters")
        assert len(bench.told("queue missing")) == missing
        assert bench.metrics()["airshed_backhaul_refused_total"] == 0
    finally:
        agent.close()
        bench.restart_controller()
    assert "set_queue" not in bench.site.switch.ofctl(["dump-flows", BRIDGE])


def test_a_cut_port_is_an_event_and_its_return_another(bench: Bench) -> None:
    agent = bench.agent("gw-1")
    before, known = len(bench.told("port down", "gw-1")), len(bench.gateway_states("gw-1"))
    bench.site.cut("gw-1")
    try:
        took_s = bench.wait_for(lambda: len(bench.told("port down", "gw-1")) > before, "the event", 5.0)
        assert took_s < 2.0
        bench.wait_for(lambda: bench.gateway_states("gw-1")[known:] == ["detached"], "its leases to be held", 2.0)
    finally:
        bench.site.mend("gw-1")
    bench.wait_for(lambda: "attached" in bench.gateway_states("gw-1")[known + 1 :], "its return")
    assert agent.ask(1, 0.0)[0] < 15.0
    agent.close()


def test_a_gateway_that_is_cut_off_for_longer_than_it_is_held_is_given_up(bench: Bench) -> None:
    bench.restart_controller(hold_s=1.0)
    agent = bench.agent("gw-1")
    known = len(bench.gateway_states("gw-1"))
    bench.site.cut("gw-1")
    try:
        bench.wait_for(lambda: "given up" in bench.gateway_states("gw-1")[known:], "its leases to be ended")
        assert bench.gateway_states("gw-1")[known:] == ["detached", "given up"]
    finally:
        bench.site.mend("gw-1")
        agent.close()
        bench.restart_controller()


def test_a_gateway_moves_to_another_port(bench: Bench) -> None:
    agent = bench.agent("gw-2")
    old = bench.site.hosts["gw-2"].port
    bench.site.move("gw-2", 9)
    try:
        bench.wait_for(lambda: any(e["port"] == 9 for e in bench.told("gateway moved", "gw-2")), "the move")
        bench.wait_for(lambda: agent.state() == "online", "its agent")
        assert agent.ask(1, 0.0)[0] < 10.0
    finally:
        bench.site.move("gw-2", old)
        agent.close()


def test_no_packet_is_lost_while_the_controller_is_killed_and_restarted(bench: Bench) -> None:
    agent = bench.agent("gw-1")
    with (
        bench.traffic("controller", "echo", CONTROLLER_IP),
        bench.traffic("gw-1", "probe", CONTROLLER_IP) as probe,
    ):
        age_s = user_flow_age_s(bench, "gw-1")
        bench.restart_controller()
        assert bench.told("switch connected")[-1]["reason"].startswith("it held ")
        assert user_flow_age_s(bench, "gw-1") > age_s  # adopted, not put there anew
        bench.wait_for(lambda: agent.state() == "online", "the agent to be back")
        agent.ask(1, 0.0)
        sent, lost = json.loads(probe.communicate("end\n", timeout=10)[0])
    agent.close()
    assert sent > 50
    assert lost == []


def test_a_lost_switch_returns_and_is_adopted(bench: Bench) -> None:
    lost, returned = len(bench.told("switch lost")), len(bench.told("switch returned"))
    target = bench.site.switch.vsctl(["get-controller", BRIDGE]).strip()
    bench.site.switch.vsctl(["del-controller", BRIDGE])
    bench.wait_for(lambda: len(bench.told("switch lost")) > lost, "the loss")
    bench.site.switch.dial(BRIDGE, target)
    bench.wait_for(lambda: len(bench.told("switch returned")) > returned, "the return")


def test_the_switchs_counters_are_exported(bench: Bench) -> None:
    agent = bench.agent("gw-1")
    agent.ask(3, 0.0)
    control = 'airshed_backhaul_packets_total{gateway="gw-1",kind="control",port="",switch="backhaul"}'
    bench.wait_for(lambda: bench.metrics().get(control, 0.0) > 3, "the counters")
    found = bench.metrics()
    assert found["airshed_backhaul_switches"] == 1
    assert found[control.replace("packets", "meter_dropped_packets")] == 0
    port = bench.site.hosts["gw-1"].port
    assert found[f'airshed_backhaul_port_received_bytes_total{{port="{port}",switch="backhaul"}}'] > 0
    assert f'airshed_backhaul_packets_total{{gateway="",kind="unknown",port="{port}",switch="backhaul"}}' in found
    agent.close()


def test_a_meter_lets_its_rate_pass_and_a_new_rate_is_taken_over_in_place(bench: Bench) -> None:
    agent = bench.agent("gw-1")
    age_s = user_flow_age_s(bench, "gw-1")
    rate_bit_s, seconds = 500e3, 2.0
    bench.restart_controller(user_kbit_s=500)
    try:
        ratios = []
        for _ in range(3):  # other work on this machine may hit any of them
            with bench.traffic("controller", "count", CONTROLLER_IP, "9") as counting:
                with bench.traffic("gw-1", "flood", CONTROLLER_IP, "9", "3", str(seconds)) as flood:
                    sent = int(flood.communicate(timeout=15)[0])
                came = json.loads(counting.communicate("", timeout=10)[0])
            assert sent * 1400 * 8 / seconds > 5 * rate_bit_s  # nearly 3 Mbit/s were offered
            ratios.append((came["bytes"] * 8 - BURST_S * rate_bit_s) / came["seconds"] / rate_bit_s)
            if 0.8 <= ratios[-1] <= 1.25:
                break
        assert 0.8 <= ratios[-1] <= 1.25, ratios
        assert user_flow_age_s(bench, "gw-1") > age_s
    finally:
        agent.close()
        bench.restart_controller()


def test_a_switch_without_a_certificate_is_not_heard(bench: Bench) -> None:
    over_tls = bench.site.switch.vsctl(["get-controller", BRIDGE]).strip()
    assert over_tls == f"ssl:{OPENFLOW_IP}:{OPENFLOW_PORT}"
    lost, came = len(bench.told("switch lost")), len(bench.told("switch returned"))
    bench.site.switch.dial(BRIDGE, over_tls.replace("ssl", "tcp"))
    try:
        bench.wait_for(lambda: len(bench.told("switch lost")) > lost, "the switch to have gone")
        time.sleep(2.5)  # it dials once a second
        assert len(bench.told("switch returned")) == came
    finally:
        bench.site.switch.dial(BRIDGE, over_tls)
    bench.wait_for(lambda: len(bench.told("switch returned")) > came, "its return")


def test_a_flooding_gateway_does_not_delay_the_others_grants(bench: Bench) -> None:
    quiet, flooding = bench.agent("gw-1"), bench.agent("gw-2")
    for _ in range(3):  # other work on this machine may last for one round
        pairs = beside_flood(bench, quiet, "gw-2", repeats=5, requests=100)
        ratio = median(p99(beside_s) / p99(alone_s) for alone_s, beside_s in pairs)
        if ratio <= 2.0:
            break
    assert ratio <= 2.0
    meters = bench.site.switch.ofctl(["meter-stats", BRIDGE])
    assert max(int(n) for n in re.findall(r"0: packet_count:(\d+)", meters)) > 500  # dropped by the flooder's meter
    quiet.close()
    flooding.close()
