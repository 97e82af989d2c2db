"""`airshed check` looks at the agents' tables: what is wrong is one line before anything starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from controller.site_check import Finding, check_site
from gateway_agent.gateway_check import check_gateway
from spectrum.site_file import Site, parse_site

KEY = "000102030405060708090a0b0c0d0e0f"
DEVICE = '[[device]]\nname = "meter"\ndev_eui = "1122334455667788"\n'
UDP = '[[gateway]]\nname = "gw"\nradio = "semtech-udp"\n'


def site_with(text: str) -> Site:
    """A site with this text after its name."""
    return parse_site(f'[site]\nname = "s"\n{text}', "t.toml")


def said(text: str) -> tuple[bool, str]:
    """What the check says of the first gateway."""
    site = site_with(text)
    return check_gateway(site, site.gateway[0])


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of keys for one device."""
    place = tmp_path / "keys.toml"
    place.write_text(f'[1122334455667788]\napp_key = "{KEY}"\n')
    place.chmod(0o600)
    monkeypatch.setenv("AIRSHED_LORAWAN_KEYS", str(place))
    return place


def lorawan(lines: str) -> str:
    """A gateway with these lines in its LoRaWAN table, on a free port, with a device."""
    return f'{UDP}[gateway.lorawan]\nudp_listen = "127.0.0.1:0"\n{lines}\n{DEVICE}'


def test_a_gateway_that_is_ready(keys: Path) -> None:
    good, found = said(lorawan("gateway_eui = ['00800000a0000001']"))
    assert good, found
    assert "1 LoRaWAN devices with their keys" in found
    assert "1 forwarders are heard" in found
    assert KEY not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{UDP}[gateway.lorawan]\nudp_listen = "0.0.0.0:1700"\n{DEVICE}', "no authentication"),
        (f'{UDP}[gateway.lorawan]\nudp_listen = "nowhere"\n{DEVICE}', "IPv4 address and a port"),
        (f'{UDP}[gateway.lorawan]\nudp_listen = "127.0.0.1:0"\n', "no LoRaWAN device"),
        (lorawan("lease_s = 7200.0"), "controller.longest_lease_s"),
        (lorawan("").replace("7788", "7799"), "needs app_key in"),
        (lorawan("") + 'activation = "abp"\ndev_addr = "01abcdef"', "needs nwk_s_key and app_s_key"),
        (lorawan("") + 'lorawan = "1.1"', "needs app_key and nwk_key"),
        (UDP.replace("semtech-udp", "mqtt") + f'[gateway.mqtt]\nhost = "192.0.2.1"\n{DEVICE}', "mqtt.tls_ca"),
        (UDP.replace("semtech-udp", "mqtt") + f"[gateway.mqtt]\nport = 1\n{DEVICE}", "no MQTT broker at 127.0.0.1:1"),
        (UDP.replace("semtech-udp", "mqtt") + f'[gateway.mqtt]\ntls_ca = "/none.pem"\n{DEVICE}', "/none.pem"),
        (UDP.replace("semtech-udp", "mqtt") + f'[gateway.mqtt]\nusername = "u"\n{DEVICE}', "AIRSHED_MQTT_PASSWORD"),
        (UDP.replace("semtech-udp", "sigfox") + '[gateway.sigfox]\nlisten = "127.0.0.1:0"\nserial = ["/dev/none"]',
         "serial port /dev/none"),
        (f'health_listen = "0.0.0.0:0"\n{DEVICE}'.join([UDP.replace("semtech-udp", "virtual"), ""]), "health_listen"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(keys: Path, text: str, message: str) -> None:
    good, found = said(text)
    assert not good
    assert message in found
    assert "\n" not in found
    assert KEY not in found


def test_keys_that_others_may_read_and_keys_that_are_not_there(keys: Path) -> None:
    keys.chmod(0o644)
    assert "chmod 600" in said(lorawan(""))[1]
    keys.unlink()
    assert "cannot be read" in said(lorawan(""))[1]


def test_a_taken_port_is_named(keys: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        good, found = said(f'{UDP}[gateway.lorawan]\nudp_listen = "127.0.0.1:{port}"\n{DEVICE}')
    assert not good
    assert f"UDP 127.0.0.1:{port}" in found


def test_the_site_as_a_whole(keys: Path) -> None:
    text = (
        '[[gateway]]\nname = "a"\nhealth_listen = "127.0.0.1:9868"\n'
        '[[gateway]]\nname = "b"\nhealth_listen = "127.0.0.1:9868"\n' + DEVICE + 'gateway = "c"\n'
    )
    found = [one for one in check_site(site_with(text)) if one.what.startswith("gateway")]
    both = "gateways a and b both listen on TCP 127.0.0.1:9868: on one machine give each its own port"
    assert Finding("gateways", True, both) in found
    assert Finding("gateways", False, "device meter names gateway 'c', and the site has a, b") in found
    assert [one.what for one in found[:2]] == ["gateway a", "gateway b"]
