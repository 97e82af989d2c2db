"""Home or roaming in LoRaWAN: NetID and DevAddr prefixes say it as MCC and MNC do.

LoRaWAN Backend Interfaces 1.0 (TS002): a NetID has 24 bits, the highest three its type; a DevAddr of type t starts with
t ones and a zero, then the NwkID, the lowest bits of the NetID's ID field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from spectrum.errors import BadInput

# Bits of the NwkID in a DevAddr, by type 0 to 7 (TS002 1.0, table "DevAddr format").
NWK_ID_BITS: Final = (6, 6, 9, 11, 12, 13, 15, 17)
# Any network may use these without asking, so they tell nothing (LoRaWAN 1.0.4, section 6.1.2).
EXPERIMENTAL: Final = (0x000000, 0x000001)


@dataclass(frozen=True)
class Prefix:
    """What a DevAddr or NetID says of its network: type 0 to 7 and NwkID."""

    type: int
    nwk_id: int


@dataclass(frozen=True)
class NetIds:
    """The site's table, as the network table of cellular: own, virtual and other national NetIDs."""

    own: frozenset[int]
    virtual: frozenset[int] = frozenset()
    national: frozenset[int] = frozenset()


def parse_net_id(text: str) -> int:
    """A NetID from 6 hexadecimal digits."""
    return _hexadecimal(text, 6, "NetID")


def parse_dev_addr(text: str) -> int:
    """A DevAddr from 8 hexadecimal digits."""
    return _hexadecimal(text, 8, "DevAddr")


def _hexadecimal(text: str, digits: int, what: str) -> int:
    plain = text.strip().lower().removeprefix("0x")
    if len(plain) != digits or any(digit not in "0123456789abcdef" for digit in plain):
        raise BadInput(f"{what} {text!r}: expected {digits} hexadecimal digits such as {'26011bda'[:digits]}")
    return int(plain, 16)


def net_id_prefix(net_id: int) -> Prefix:
    """Type and NwkID of a NetID (24 bits)."""
    kind = net_id >> 21
    return Prefix(kind, net_id & ((1 << NWK_ID_BITS[kind]) - 1))


def dev_addr_prefix(dev_addr: int) -> Prefix | None:
    """Type and NwkID of a DevAddr (32 bits); None for the reserved addresses that start with eight ones."""
    for kind, bits in enumerate(NWK_ID_BITS):
        if not dev_addr >> (31 - kind) & 1:
            return Prefix(kind, dev_addr >> (32 - (kind + 1) - bits) & ((1 << bits) - 1))
    return None


def matches(dev_addr: int, net_ids: Collection[int]) -> bool:
    """Whether the address is of one of the networks. NetIDs that share a NwkID cannot be told apart by address."""
    prefix = dev_addr_prefix(dev_addr)
    return prefix is not None and any(net_id_prefix(net_id) == prefix for net_id in net_ids)


def label(dev_addr: int, net_ids: NetIds, received_by: int | None = None) -> str | None:
    """X:Y as for SIMs: X is H, V, N or I by the address; Y is H when the site's own gateways received it (the default),
    A when another network (`received_by`, a NetID) forwarded it.

    None: a reserved or experimental address, or one of others that others received.
    """
    prefix = dev_addr_prefix(dev_addr)
    if prefix is None or prefix in [net_id_prefix(net_id) for net_id in EXPERIMENTAL]:
        own_experimental = prefix is not None and any(
            n in EXPERIMENTAL and net_id_prefix(n) == prefix for n in net_ids.own
        )
        if not own_experimental:
            return None
    tables = (("H", net_ids.own), ("V", net_ids.virtual), ("N", net_ids.national))
    letter = next((name for name, table in tables if matches(dev_addr, table)), "I")
    if received_by is None or received_by in net_ids.own:
        return f"{letter}:H"
    return f"{letter}:A" if letter in "HV" else None


def labels(rows: Iterable[tuple[str, str | None]], net_ids: NetIds) -> list[dict[str, Any]]:
    """{"dev_addr", "type", "nwk_id", "label", "roaming"} of (DevAddr, receiving NetID or None) texts."""
    found = []
    for text, receiver in rows:
        dev_addr = parse_dev_addr(text)
        prefix = dev_addr_prefix(dev_addr)
        said = label(dev_addr, net_ids, parse_net_id(receiver) if receiver else None)
        found.append({
            "dev_addr": f"{dev_addr:08x}",
            "type": prefix.type if prefix else None,
            "nwk_id": prefix.nwk_id if prefix else None,
            "label": said,
            "roaming": None if said is None else said in ("I:H", "N:H", "H:A", "V:A"),
        })  # fmt: skip
    return found
