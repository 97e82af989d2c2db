"""The check says what is wrong with a site and this machine, one finding each."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from controller.site_check import Finding, check_site
from spectrum.errors import BadInput
from spectrum.site_file import parse_site

GATEWAY = '[[gateway]]\nname = "g"\n'


def findings(text: str) -> dict[str, Finding]:
    """What the check says of a site with this text after its name, by what was looked at."""
    site = parse_site(f'[site]\nname = "s"\n{text}', "t.toml")
    return {finding.what: finding for finding in check_site(site)}


def test_a_good_site_is_good() -> None:
    found = findings(f'[controller]\nlisten = "127.0.0.1:0"\n[[sensor]]\nname = "roof"\n{GATEWAY}')
    assert all(finding.good for finding in found.values()), found
    assert set(found) == {"site file", "database", "controller", "sensor roof", "coverage", "gateway g"}


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = findings(f'[controller]\nlisten = "127.0.0.1:{port}"\n{GATEWAY}')
    assert not found["controller"].good
    assert str(port) in found["controller"].said


@pytest.mark.parametrize("listen", ["127.0.0.1", "nowhere", "127.0.0.1:x"])
def test_an_address_that_is_none_is_named(listen: str) -> None:
    assert "HOST:PORT" in findings(f'[controller]\nlisten = "{listen}"')["controller"].said


def test_a_recording_tells_its_own_tuning_and_what_it_does_not_hear(tmp_path: Path) -> None:
    recording = tmp_path / "x_868.300M_250k.cu8"
    recording.write_bytes(bytes([127, 128] * 50_000))
    found = findings(f'[[sensor]]\nname = "r"\nsource = "{recording}"\n{GATEWAY}')
    assert "0.25 MS/s around 868.3 MHz" in found["sensor r"].said
    assert not found["coverage"].good
    assert "867.100MHz/125kHz" in found["coverage"].said


def test_a_missing_recording_a_missing_gateway_and_a_wrong_policy(tmp_path: Path) -> None:
    found = findings(f'[[sensor]]\nname = "r"\nsource = "{tmp_path}/none.cu8"')
    assert not found["sensor r"].good
    assert not found["gateways"].good
    with pytest.raises(BadInput, match="unknown policy"):
        findings('[controller]\npolicy = "best"')


def test_a_database_that_is_away_is_named() -> None:
    found = findings('[database]\nurl = "redis://:secret@127.0.0.1:1/0"')
    assert not found["database"].good
    assert "secret" not in found["database"].said
