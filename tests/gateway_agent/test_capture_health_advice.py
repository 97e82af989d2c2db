"""Captures that tshark reads, health and metrics, and advice for servers that stand already."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from gateway_agent import advisory, semtech_udp
from gateway_agent.capture import Capture, checksum, file_head, loratap, packet
from gateway_agent.health import Health, HealthServer, judge
from gateway_agent.lorawan.steering import Plan
from gateway_agent.semtech_udp import Datagram, Kind
from gateway_agent.sigfox import advisory_plan
from spectrum.errors import BadInput
from spectrum.site_file import MqttTable, parse_site

EUI = bytes.fromhex("aa555a0000000101")
CLIENT, SERVER = ("127.0.0.1", 40000), ("127.0.0.1", 1700)


def test_a_packet_by_hand() -> None:
    data = packet(CLIENT, SERVER, b"ab")
    # version 4, 5 words; 30 bytes; ttl 64, protocol 17; addresses; then ports 0x9C40, 0x06A4, length 10, no checksum
    assert data[:10].hex() == "4500001e000000004011"
    assert checksum(data[:20]) == 0, "a header with its checksum sums to nothing (RFC 1071)"
    assert data[12:].hex() == "7f0000017f000001" + "9c4006a4000a0000" + "6162"


def test_the_head_of_a_file_by_hand() -> None:
    head = file_head()
    # section: type, 28 bytes, byte order, version 1.0, length unknown, 28 bytes
    assert head[:28].hex() == "0a0d0d0a" + "1c000000" + "4d3c2b1a" + "01000000" + "ff" * 8 + "1c000000"
    # interface: type 1, 40 bytes, link type 101, snap 65535, name (option 2, 11 bytes, one of padding), end, 40 bytes
    name = b"semtech-udp".hex()
    assert head[28:68].hex() == (
        "01000000" + "28000000" + "65000000" + "ffff0000" + "02000b00" + name + "00" + "00000000" + "28000000"
    )


def test_a_loratap_header_by_hand() -> None:
    # version 0, padding, 15 bytes; 868.1 MHz = 0x33BE27A0, 1 x 125 kHz, SF7; thrice -91 + 139 = 0x30; 6.5 * 4 = 26
    data = loratap(b"\x40", 868_100_000, "SF7BW125", -91.0, 6.5)
    assert data.hex() == "0000000f" + "33be27a0" + "01" + "07" + "303030" + "1a" + "34" + "40"
    assert loratap(b"", 868_100_000, "SF7BW125", 0.0, -7.5)[13] == 0x100 - 30


def test_tshark_reads_a_capture(tmp_path: Path) -> None:
    place = tmp_path / "air.pcapng"
    with Capture(str(place), lambda: 1_700_000_000.25) as capture:
        capture(CLIENT, SERVER, semtech_udp.encode(Datagram(Kind.PULL_DATA, 0x1234, EUI)))
        capture(SERVER, CLIENT, semtech_udp.encode(Datagram(Kind.PULL_ACK, 0x1234)))
        capture(SERVER, CLIENT, b"no datagram of this protocol")
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not here: run tests/gateway_agent/install-tools as root, or apt-get install tshark")
    fields = ["-e", "frame.time_epoch", "-e", "udp.srcport", "-e", "udp.dstport", "-e", "udp.payload"]
    command = ["tshark", "-r", str(place), "-T", "fields", "-d", "udp.port==1700,data", *fields]
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(seen) == 3
    assert seen[0].split("\t")[1:] == ["40000", "1700", "02341202" + EUI.hex()]
    assert seen[1].split("\t")[1:] == ["1700", "40000", "02341204"]
    assert seen[0].startswith("1700000000.25")


def test_a_capture_ends_at_its_limit(tmp_path: Path) -> None:
    place = tmp_path / "air.pcap"
    with Capture(str(place), lambda: 0.0, most_bytes=1000) as capture:
        for _ in range(100):
            capture(CLIENT, SERVER, bytes(200))
    assert capture.full
    assert place.stat().st_size <= 1024


@pytest.mark.parametrize(
    ("link", "silent_s", "away", "state", "reasons"),
    [
        ("online", 1.0, False, "online", 0),
        ("online", None, False, "degraded", 1),
        ("online", 500.0, True, "degraded", 2),
        ("degraded", 1.0, False, "degraded", 1),
        ("connecting", 1.0, False, "connecting", 1),
        ("registered", 1.0, False, "registered", 1),
        ("offline", 1.0, False, "offline", 1),
    ],
)
def test_states(link: str, silent_s: float | None, away: bool, state: str, reasons: int) -> None:
    found, why = judge(link, gateway_silent_s=silent_s, has_gateway=True, database_away=away)
    assert found == state
    assert len(why) == reasons


def test_health_and_metrics_over_http() -> None:
    health = Health("online", (), {"uplinks": 7})
    with HealthServer("127.0.0.1:0", lambda: health) as server:
        base = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{base}/health") as reply:
            assert json.load(reply)["state"] == "online"
        with urllib.request.urlopen(f"{base}/metrics") as reply:
            text = reply.read().decode()
        assert 'airshed_agent_state{state="online"} 1.0' in text
        assert 'airshed_agent_events_total{event="uplinks"} 7.0' in text
        health = Health("offline", ("the controller has gone",), {})
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{base}/health")
        assert error.value.code == 503
        error.value.close()
    with pytest.raises(BadInput, match="no authentication"):
        HealthServer("0.0.0.0:0", lambda: health)


def test_advice_for_a_device_says_channels_mask_and_bytes() -> None:
    advice = advisory.device_advice("meter", "11", Plan((867_100_000, 868_500_000)))
    assert advice["channel_mask"] == 0b1100
    assert [c["center_hz"] for c in advice["channels"] if c["enabled"]] == [868_500_000, 867_100_000]
    # NewChannelReq 3 at 867.1 MHz, then the mask 0b1100 with data rate and power kept
    assert advice["downlinks_f_opts"] == ["0703184f8450", "03ff0c0001"]


def test_the_overlap_with_sigfox_is_part_of_the_plan() -> None:
    assert [advisory.overlap_hz(hz) for hz in (868_100_000, 868_300_000, 868_500_000)] == [125e3, 0.0, 0.0]
    assert advisory.overlap_hz(868_300_000, 250e3) == pytest.approx(51e3)
    plans = {"a": ("11", Plan((868_100_000, 868_500_000)))}
    advice = advisory.site_advice("s", plans, {"b": "overloaded"})
    assert advice["sigfox_overlap"] == [{"center_hz": 868_100_000, "overlap_hz": 125_000}]
    assert advice["refused"] == {"b": "overloaded"}


# Keys of a region in ChirpStack 4's configuration, with their types: its documented region_eu868.toml, and the structs
# that read it (RegionNetwork, ExtraChannel, RegionGateway, GatewayChannel). A key left out of the network is 0 there.
REGION_SCHEMA: dict[str, dict[str, type]] = {
    "": {"id": str, "description": str, "common_name": str, "user_info": str, "network": dict, "gateway": dict},
    "network": {
        "installation_margin": int, "rx_window": int, "rx1_delay": int, "rx1_dr_offset": int, "rx2_dr": int,
        "rx2_frequency": int, "rx2_prefer_on_rx1_dr_lt": int, "rx2_prefer_on_link_budget": bool,
        "gateway_prefer_min_margin": int, "downlink_tx_power": int, "adr_disabled": bool, "min_dr": int, "max_dr": int,
        "rejoin_request": dict, "class_b": dict, "extra_channels": list, "enabled_uplink_channels": list,
    },
    "extra_channels": {"frequency": int, "min_dr": int, "max_dr": int},
    "gateway": {"force_gws_private": bool, "backend": dict, "channels": list},
    "channels": {"frequency": int, "bandwidth": int, "modulation": str, "spreading_factors": list, "datarate": int},
    "backend": {"enabled": str, "mqtt": dict},
    "mqtt": {"event_topic": str, "command_topic": str, "server": str, "username": str, "password": str, "qos": int,
             "clean_session": bool, "client_id": str, "keep_alive_interval": str, "ca_cert": str, "tls_cert": str,
             "tls_key": str},
}  # fmt: skip


def held_against_schema(table: dict[str, object], name: str = "") -> None:
    """Every key is known to ChirpStack, and of its type."""
    for key, value in table.items():
        assert type(value) is REGION_SCHEMA[name][key], (name, key, value)
        inner = value if isinstance(value, list) else [value]
        for one in inner:
            if isinstance(one, dict):
                held_against_schema(one, key)


def test_chirpstack_configuration_is_a_whole_region_with_extra_channels_and_what_is_on() -> None:
    plans = [Plan((867_100_000, 868_500_000)), Plan((867_900_000,))]
    text = advisory.chirpstack_region(plans, MqttTable(host="broker.example", port=8883, tls_ca="ca.pem"))
    (region,) = tomllib.loads(text)["regions"]
    held_against_schema(region)
    network, gateway = region["network"], region["gateway"]
    assert network["enabled_uplink_channels"] == [2, 3, 4]
    assert [c["frequency"] for c in network["extra_channels"]] == [867_100_000, 867_900_000]
    assert (network["rx1_delay"], network["rx2_frequency"], network["max_dr"]) == (1, 869_525_000, 5)
    assert network["downlink_tx_power"] == -1, "0 would be 0 dBm, -1 is the band's"
    assert gateway["backend"]["mqtt"] == {
        "event_topic": "eu868/gateway/+/event/+",
        "command_topic": "eu868/gateway/{{ gateway_id }}/command/{{ command }}",
        "server": "ssl://broker.example:8883",
    }
    assert [c["frequency"] for c in gateway["channels"]] == [
        868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_900_000
    ]  # fmt: skip


def test_sigfox_groups_know_the_lora_channels_over_them() -> None:
    plan = advisory_plan(parse_site('[site]\nname = "s"', "t"))
    assert len(plan["groups"]) == 12
    assert sum(group["micro_channels"] for group in plan["groups"]) == 1920
    assert plan["lora_channels_to_leave_to_sigfox_hz"] == [868_100_000]
    assert plan["groups_free_of_lora_hz"], "868.1625 to 868.226 MHz holds whole groups"
    for group in plan["groups"]:
        covered = group["center_hz"] - 8e3 < 868.1625e6 and group["center_hz"] + 8e3 > 868.0375e6
        assert bool(group["overlapped_by_lora_hz"]) == covered
