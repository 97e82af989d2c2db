"""The LoRaWAN devices of a site: what the site file says of them, and their keys from a file of their own."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from spectrum.errors import BadInput
from spectrum.site_file import DeviceTable

KEYS_VARIABLE: Final = "AIRSHED_LORAWAN_KEYS"

Key = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{32}$")]


class DeviceKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[DEVEUI]` in the file of keys: `app_key` for OTAA (in 1.1 also `nwk_key`), `nwk_s_key` and `app_s_key` for ABP;
    32 hex digits each.
    """

    app_key: Key | None = None
    nwk_key: Key | None = None
    nwk_s_key: Key | None = None
    app_s_key: Key | None = None

    def __repr__(self) -> str:
        return "DeviceKeys(...)"


@dataclass(frozen=True, slots=True)
class Device:
    """One device. app_key: for OTAA; session: (NwkSKey, AppSKey) for ABP. Its repr shows no key."""

    table: DeviceTable
    keys: DeviceKeys

    @property
    def name(self) -> str:
        """The name in the site file, under which it asks for leases and is reported."""
        return self.table.name

    @property
    def dev_eui(self) -> str:
        """16 hex digits, lower case."""
        return (self.table.dev_eui or "").lower()

    @property
    def app_key(self) -> bytes | None:
        """Root key of OTAA."""
        return None if self.keys.app_key is None else bytes.fromhex(self.keys.app_key)

    @property
    def nwk_key(self) -> bytes | None:
        """The other root key of OTAA in 1.1."""
        return None if self.keys.nwk_key is None else bytes.fromhex(self.keys.nwk_key)

    @property
    def is_1_1(self) -> bool:
        """LoRaWAN 1.1: joins under NwkKey, and its sessions have four keys."""
        return self.table.lorawan == "1.1"

    @property
    def join_key(self) -> bytes | None:
        """The key of join requests and accepts."""
        return self.nwk_key if self.is_1_1 else self.app_key

    @property
    def counts_nonces(self) -> bool:
        """LoRaWAN 1.0.4 and 1.1: DevNonce is a counter, and data rate or power 15 keeps the present one."""
        return self.table.lorawan != "1.0.3"


def devices_of(tables: Sequence[DeviceTable], gateway: str, keys_file: str | None) -> tuple[Device, ...]:
    """The LoRaWAN devices a gateway's agent serves, with their keys.

    keys_file: from the site file; the environment's AIRSHED_LORAWAN_KEYS comes first. BadInput for a device without the
    keys its activation needs, and for a file that others may read.
    """
    mine = [table for table in tables if table.technology == "lora" and table.gateway in (None, gateway)]
    place = os.environ.get(KEYS_VARIABLE) or keys_file
    if not mine:
        return ()
    if place is None:
        raise BadInput(
            f"{len(mine)} LoRaWAN devices need their keys: name a file as lorawan.keys or in {KEYS_VARIABLE}"
        )
    keys = read_keys(place)
    return tuple(_device(table, keys, place) for table in mine)


def _device(table: DeviceTable, keys: dict[str, DeviceKeys], place: str) -> Device:
    found = keys.get((table.dev_eui or "").lower())
    wanted = _needed_keys(table)
    if found is None or any(getattr(found, name) is None for name in wanted):
        raise BadInput(f"device {table.name} ({table.activation}) needs {' and '.join(wanted)} in {place}")
    return Device(table, found)


def _needed_keys(table: DeviceTable) -> tuple[str, ...]:
    if table.activation == "abp":
        return ("nwk_s_key", "app_s_key")
    return ("app_key", "nwk_key") if table.lorawan == "1.1" else ("app_key",)


def read_keys(place: str) -> dict[str, DeviceKeys]:
    """The file of keys by DevEUI in lower case; messages name no value of it."""
    try:
        if stat.S_IMODE(os.stat(place).st_mode) & 0o077:
            raise BadInput(f"{place} holds keys and others may read it: chmod 600 {place}")
        found = msgspec.toml.decode(Path(place).read_bytes(), type=dict[str, DeviceKeys])
    except OSError as error:
        raise BadInput(f"the file of keys {place} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError:
        raise BadInput(
            f"{place}: expected one [DEVEUI] table a device with app_key (and nwk_key for 1.1), or nwk_s_key and"
            " app_s_key, as 32 hex digits"
        ) from None
    return {dev_eui.lower(): keys for dev_eui, keys in found.items()}
