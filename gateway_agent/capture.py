"""What passed between forwarders and agent as a pcapng file, for tshark and Wireshark, on two interfaces.

`semtech-udp` has every datagram (raw IPv4 with UDP), `lora` every LoRa frame in them behind a LoRaTap header, which
their LoRaWAN dissector reads. Format: draft-ietf-opsawg-pcapng, link types 101 and 270. Frames are encrypted as on the
air; no key is written.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gateway_agent import semtech_udp
from gateway_agent.semtech_udp import Kind, Malformed
from spectrum.errors import Failed

SECTION_BLOCK: Final = 0x0A0D0D0A
INTERFACE_BLOCK: Final = 1
PACKET_BLOCK: Final = 6
BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D

# Interfaces in the file: (link type, name).
DATAGRAMS, FRAMES = 0, 1
INTERFACES: Final = ((101, b"semtech-udp"), (270, b"lora"))
IF_NAME: Final = 2

SNAP_BYTES: Final = 65_535
UDP: Final = 17

# LoRaTap version 0: 15 bytes. Public LoRaWAN has this synchronisation word; levels are dBm + 139 and dB * 4.
LORATAP_BYTES: Final = 15
PUBLIC_SYNC_WORD: Final = 0x34
RSSI_OFFSET_DB: Final = 139
SNR_STEPS: Final = 4


def block(kind: int, body: bytes) -> bytes:
    """A pcapng block: its length stands on both ends, its body fills whole words."""
    padded = body + bytes(-len(body) % 4)
    length = struct.pack("<I", 12 + len(padded))
    return struct.pack("<I", kind) + length + padded + length


def file_head() -> bytes:
    """The section, of unknown length, and its two interfaces; times are in microseconds, as they are by default."""
    blocks = block(SECTION_BLOCK, struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1))
    for link_type, name in INTERFACES:
        option = struct.pack("<HH", IF_NAME, len(name)) + name + bytes(-len(name) % 4) + bytes(4)
        blocks += block(INTERFACE_BLOCK, struct.pack("<HHI", link_type, 0, SNAP_BYTES) + option)
    return blocks


def packet_block(interface: int, at_us: int, data: bytes) -> bytes:
    """One packet as it was captured, whole."""
    head = struct.pack("<IIIII", interface, at_us >> 32, at_us & 0xFFFFFFFF, len(data), len(data))
    return block(PACKET_BLOCK, head + data)


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source: tuple[str, int], target: tuple[str, int], payload: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram (checksum 0: not computed, as RFC 768 allows)."""
    udp = struct.pack(">HHHH", source[1], target[1], 8 + len(payload), 0) + payload
    addresses = ipaddress.IPv4Address(source[0]).packed + ipaddress.IPv4Address(target[0]).packed
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0) + addresses
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + udp


def loratap(frame: bytes, center_hz: int, datr: str, rssi_dbm: float, snr_db: float) -> bytes:
    """A LoRa frame behind its LoRaTap header (version 0, big-endian). datr: such as `SF7BW125`."""
    factor, bandwidth = datr[2:].split("BW")
    rssi = min(255, max(0, round(rssi_dbm) + RSSI_OFFSET_DB))
    snr = min(127, max(-128, round(snr_db * SNR_STEPS))) & 0xFF
    where = struct.pack(">BBHIBB", 0, 0, LORATAP_BYTES, center_hz, int(bandwidth) // 125, int(factor))
    return where + bytes((rssi, rssi, rssi, snr, PUBLIC_SYNC_WORD)) + frame


def frames_in(payload: bytes) -> Iterator[bytes]:
    """The LoRa frames of a datagram, up or down, each behind a LoRaTap header; none of what is no datagram."""
    try:
        datagram = semtech_udp.decode(payload)
        if datagram.kind == Kind.PUSH_DATA:
            for one in semtech_udp.receptions(datagram.body)[0]:
                yield loratap(one.frame, one.center_hz, one.datr, one.rssi_dbm, one.snr_db)
        elif datagram.kind == Kind.PULL_RESP:
            sent = semtech_udp.transmit_of(datagram.body)
            yield loratap(sent.frame, sent.center_hz, sent.datr, -RSSI_OFFSET_DB, 0.0)
    except Malformed:
        return


class Capture:
    """A pcapng file that is written as datagrams pass; at most `most_bytes`, then it stops and says so in `full`."""

    def __init__(self, path: str, clock: Callable[[], float], most_bytes: int = 256_000_000) -> None:
        self._clock = clock
        self._left = most_bytes
        self.full = False
        try:
            self._file = Path(path).open("wb")  # noqa: SIM115  closed in __exit__
        except OSError as error:
            raise Failed(f"cannot write the capture {path}: {error.strerror}") from None
        self._file.write(file_head())
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __call__(self, source: tuple[str, int], target: tuple[str, int], payload: bytes) -> None:
        """Write one datagram, and the frames in it."""
        at_us = round(self._clock() * 1e6)
        blocks = packet_block(DATAGRAMS, at_us, packet(source, target, payload[: SNAP_BYTES - 28]))
        for frame in frames_in(payload):
            blocks += packet_block(FRAMES, at_us, frame)
        if len(blocks) > self._left:
            self.full = True
            return
        self._left -= len(blocks)
        self._file.write(blocks)
        self._file.flush()
