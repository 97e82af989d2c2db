"""Semtech UDP protocol version 2 between a packet forwarder and its server: datagrams as values. Pure.

Byte 0 is the version (2), bytes 1 and 2 a token that the answer repeats, byte 3 the kind. What a forwarder sends
(PUSH_DATA, PULL_DATA, TX_ACK) goes on with the 8 bytes of its EUI. The protocol knows no retries and no
authentication: a lost datagram is lost, and whoever reaches the port is believed.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeGuard

import msgspec

VERSION: Final = 2

# 32-bit microsecond counter of the concentrator; it wraps every 71.6 minutes.
COUNTER_MODULUS: Final = 2**32

# The largest datagram the protocol can need: eight receptions of 255 bytes in JSON stay far below.
LONGEST_DATAGRAM: Final = 16_384

# A frame on the air has at most 255 bytes.
LONGEST_FRAME: Final = 255

_DATR: Final = re.compile(r"SF([5-9]|1[0-2])BW(125|250|500)")


class Kind(IntEnum):
    """The fourth byte."""

    PUSH_DATA = 0
    PUSH_ACK = 1
    PULL_DATA = 2
    PULL_RESP = 3
    PULL_ACK = 4
    TX_ACK = 5


# What TX_ACK may say; everything but NONE means that the frame was not sent.
TX_ERRORS: Final = (
    "NONE",
    "TOO_LATE",
    "TOO_EARLY",
    "COLLISION_PACKET",
    "COLLISION_BEACON",
    "TX_FREQ",
    "TX_POWER",
    "GPS_UNLOCKED",
)


class Malformed(ValueError):
    """A datagram that is no Semtech UDP, or half of it; the text says what was wrong."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram. eui: 8 bytes, empty in what a server sends. body: JSON bytes, empty when there is none."""

    kind: Kind
    token: int
    eui: bytes = b""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Received:
    """One frame as a concentrator heard it (`rxpk`), CRC right.

    tmst: concentrator's microseconds at the end of the frame. datr: `SF7BW125`.
    """

    frame: bytes
    tmst: int
    center_hz: int
    datr: str
    rssi_dbm: float
    snr_db: float

    @property
    def spreading_factor(self) -> int:
        """7 to 12 (5 and 6 with newer chips)."""
        return int(self.datr[2 : self.datr.index("B")])

    @property
    def bandwidth_hz(self) -> int:
        """125, 250 or 500 kHz."""
        return int(self.datr[self.datr.index("W") + 1 :]) * 1000


@dataclass(frozen=True, slots=True)
class Transmit:
    """One frame to send (`txpk`): at the concentrator's counter `tmst`, or at once when None."""

    frame: bytes
    tmst: int | None
    center_hz: int
    datr: str
    power_dbm: int


_FROM_FORWARDER: Final = (Kind.PUSH_DATA, Kind.PULL_DATA, Kind.TX_ACK)


def encode(datagram: Datagram) -> bytes:
    """The bytes of a datagram."""
    head = bytes((VERSION,)) + datagram.token.to_bytes(2, "little") + bytes((datagram.kind,))
    return head + datagram.eui + datagram.body


def decode(data: bytes) -> Datagram:
    """The datagram in `data`; Malformed when it is none."""
    if not 4 <= len(data) <= LONGEST_DATAGRAM:
        raise Malformed(f"a datagram has 4 to {LONGEST_DATAGRAM} bytes, got {len(data)}")
    if data[0] != VERSION:
        raise Malformed(f"protocol version {VERSION} is spoken here, got {data[0]}")
    try:
        kind = Kind(data[3])
    except ValueError:
        raise Malformed(f"unknown kind {data[3]}") from None
    token, rest = int.from_bytes(data[1:3], "little"), data[4:]
    if kind not in _FROM_FORWARDER:
        return Datagram(kind, token, b"", rest)
    if len(rest) < 8:
        raise Malformed(f"{kind.name} carries the forwarder's 8 byte EUI, got {len(rest)}")
    return Datagram(kind, token, rest[:8], rest[8:])


def answer_to(datagram: Datagram) -> Datagram | None:
    """What the server answers at once: PUSH_ACK to PUSH_DATA, PULL_ACK (kind 4) to PULL_DATA."""
    kinds = {Kind.PUSH_DATA: Kind.PUSH_ACK, Kind.PULL_DATA: Kind.PULL_ACK}
    kind = kinds.get(datagram.kind)
    return None if kind is None else Datagram(kind, datagram.token)


def receptions(body: bytes) -> tuple[tuple[Received, ...], int]:
    """The LoRa frames of a PUSH_DATA body, and how many of its entries were dropped as broken or with a wrong CRC."""
    packets = _object(body).get("rxpk", [])
    if not isinstance(packets, list):
        raise Malformed(f"rxpk is a list, got {type(packets).__name__}")
    frames = [_reception(packet) for packet in packets]
    heard = tuple(frame for frame in frames if frame is not None)
    return heard, len(frames) - len(heard)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Malformed(f"a JSON object was expected, got {type(value).__name__}")
    return value


def _reception(packet: Any) -> Received | None:
    """One entry of `rxpk`, or None when it is not a whole LoRa frame."""
    if not isinstance(packet, dict) or packet.get("modu", "LORA") != "LORA" or packet.get("stat", 1) != 1:
        return None
    datr, tmst, freq = packet.get("datr"), packet.get("tmst"), packet.get("freq")
    rssi, snr, data = packet.get("rssi", 0), packet.get("lsnr", 0), packet.get("data")
    if not (isinstance(datr, str) and _DATR.fullmatch(datr) and isinstance(data, str)):
        return None
    if isinstance(tmst, bool) or not isinstance(tmst, int) or not 0 <= tmst < COUNTER_MODULUS:
        return None
    if not (_finite(freq) and _finite(rssi) and _finite(snr) and 1 <= freq <= 10_000):
        return None
    frame = _base64(data)
    if frame is None or not 1 <= len(frame) <= LONGEST_FRAME:
        return None
    return Received(frame, tmst, round(freq * 1e6), datr, float(rssi), float(snr))


def _finite(number: Any) -> TypeGuard[float]:
    return isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e6


def _base64(text: str) -> bytes | None:
    """Base64 with or without its padding, as forwarders differ."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def push_body(heard: tuple[Received, ...], stat: dict[str, Any] | None = None) -> bytes:
    """The body of a PUSH_DATA, as a forwarder makes it."""
    entries = [
        {
            "tmst": one.tmst, "chan": 0, "rfch": 0, "freq": one.center_hz / 1e6, "stat": 1, "modu": "LORA",
            "datr": one.datr, "codr": "4/5", "rssi": one.rssi_dbm, "lsnr": one.snr_db, "size": len(one.frame),
            "data": base64.b64encode(one.frame).decode(),
        }
        for one in heard
    ]  # fmt: skip
    return msgspec.json.encode({"rxpk": entries, **({"stat": stat} if stat else {})})


def transmit_body(transmit: Transmit) -> bytes:
    """The body of a PULL_RESP: downlinks have inverted polarity and no payload CRC."""
    when: dict[str, Any] = {"imme": True} if transmit.tmst is None else {"imme": False, "tmst": transmit.tmst}
    packet = {
        **when, "rfch": 0, "freq": transmit.center_hz / 1e6, "powe": transmit.power_dbm, "modu": "LORA",
        "datr": transmit.datr, "codr": "4/5", "ipol": True, "ncrc": True, "size": len(transmit.frame),
        "data": base64.b64encode(transmit.frame).decode(),
    }  # fmt: skip
    return msgspec.json.encode({"txpk": packet})


def transmit_of(body: bytes) -> Transmit:
    """The frame of a PULL_RESP body; Malformed when it is none."""
    packet = _object(body).get("txpk")
    if not isinstance(packet, dict):
        raise Malformed("a PULL_RESP has a txpk")
    datr, freq, data = packet.get("datr"), packet.get("freq"), packet.get("data")
    frame = _base64(data) if isinstance(data, str) else None
    if not (isinstance(datr, str) and _DATR.fullmatch(datr)) or not _finite(freq) or not frame:
        raise Malformed("a txpk needs datr, freq and data")
    tmst, power = packet.get("tmst"), packet.get("powe", 14)
    if not _finite(power) or not (tmst is None or (_is_counter(tmst))):
        raise Malformed("a txpk has tmst below 2^32 and a power in dBm")
    return Transmit(frame, None if packet.get("imme") else tmst, round(freq * 1e6), datr, round(power))


def _is_counter(tmst: Any) -> bool:
    return isinstance(tmst, int) and not isinstance(tmst, bool) and 0 <= tmst < COUNTER_MODULUS


def tx_error(body: bytes) -> str:
    """What a TX_ACK says: NONE when the frame will be sent (an empty body says so too), else the error's name.

    A newer forwarder's `warn` (it lowered the power) is no error. Malformed when the body is no such thing.
    """
    if not body.strip(b"\0 \r\n"):
        return "NONE"
    ack = _object(body).get("txpk_ack", {})
    if not isinstance(ack, dict) or not isinstance(ack.get("error", "NONE"), str):
        raise Malformed("a TX_ACK has txpk_ack.error")
    error: str = ack.get("error", "NONE")
    return error.upper()


def tx_ack_body(error: str) -> bytes:
    """The body of a TX_ACK, as a forwarder makes it."""
    return msgspec.json.encode({"txpk_ack": {"error": error}})
