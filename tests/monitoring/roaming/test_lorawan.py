"""NetID and DevAddr prefixes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from monitoring.roaming import lorawan
from monitoring.roaming.command import roam
from monitoring.roaming.lorawan import NetIds, Prefix
from spectrum.errors import BadInput

SITE = NetIds(frozenset({0x000013}), frozenset({0x60002D}), frozenset({0x000024}))


@pytest.mark.parametrize(
    ("dev_addr", "prefix"),
    [
        (0x26011BDA, Prefix(0, 0x13)),  # NetID 000013 owns 26000000 to 27FFFFFF
        (0x27FFFFFF, Prefix(0, 0x13)),
        (0x28000000, Prefix(0, 0x14)),
        (0x80000000, Prefix(1, 0)),
        (0xC0100000, Prefix(2, 1)),
        (0xE0020000, Prefix(3, 1)),
        (0xFE000080, Prefix(7, 1)),
        (0xFF000000, None),
    ],
)
def test_prefix_of_an_address(dev_addr: int, prefix: Prefix | None) -> None:
    assert lorawan.dev_addr_prefix(dev_addr) == prefix


@given(st.integers(0, (1 << 24) - 1), st.integers(0, (1 << 32) - 1))
def test_addresses_that_a_network_gives_out_match_it(net_id: int, random: int) -> None:
    """Build an address as TS002 does: type ones, a zero, the NwkID, any NwkAddr."""
    prefix = lorawan.net_id_prefix(net_id)
    bits = lorawan.NWK_ID_BITS[prefix.type]
    address_bits = 32 - (prefix.type + 1) - bits
    ones = (1 << prefix.type) - 1
    dev_addr = ((ones << 1) << bits | prefix.nwk_id) << address_bits | random & ((1 << address_bits) - 1)
    assert lorawan.matches(dev_addr, [net_id])
    assert not lorawan.matches(dev_addr ^ 1 << address_bits, [net_id])


@pytest.mark.parametrize(
    ("dev_addr", "received_by", "label"),
    [
        (0x26011BDA, None, "H:H"),
        (0x26011BDA, 0x000024, "H:A"),
        (0x48000000, None, "N:H"),
        (0xE05A0000, None, "V:H"),
        (0xE05A0000, 0x000024, "V:A"),
        (0x12000000, None, "I:H"),
        (0x12000000, 0x000024, None),
        (0x00000001, None, None),  # experimental: anybody's
        (0xFF000000, None, None),
    ],
)
def test_labels(dev_addr: int, received_by: int | None, label: str | None) -> None:
    assert lorawan.label(dev_addr, SITE, received_by) == label


def test_command_reads_arguments_and_files() -> None:
    arguments = ["lorawan", "26011BDA", "--own", "000013", "--file", "-", "--json"]
    result = CliRunner().invoke(roam, arguments, input="dev_addr,gateway_net_id\n26000001,000024\n12000000,\n")
    found = json.loads(result.stdout)["addresses"]
    assert [(entry["label"], entry["roaming"]) for entry in found] == [("H:H", False), ("H:A", True), ("I:H", True)]


@pytest.mark.parametrize("text", ["26011BD", "26011bdaa", "zz011bda", ""])
def test_wrong_addresses_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="8 hexadecimal digits"):
        lorawan.parse_dev_addr(text)
