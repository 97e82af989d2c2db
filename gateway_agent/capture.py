"""What passed between forwarders and agent as a pcap file, for tshark and Wireshark: raw IPv4 with UDP.

Format: the classic pcap file header and records (draft-ietf-opsawg-pcap), link type 101 (raw IP). Downlinks carry
session frames, encrypted as on the air; no key is written.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from spectrum.errors import Failed

MAGIC: Final = 0xA1B2C3D4
LINKTYPE_RAW: Final = 101
SNAP_BYTES: Final = 65_535
UDP: Final = 17


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


class Capture:
    """A pcap file that is written as datagrams pass; at most `most_bytes`, then it stops and says so in `full`."""

    def __init__(self, path: str, clock: Callable[[], float], most_bytes: int = 256_000_000) -> None:
        self._clock = clock
        self._left = most_bytes
        self.full = False
        try:
            self._file = Path(path).open("wb")  # noqa: SIM115  closed in __exit__
        except OSError as error:
            raise Failed(f"cannot write the capture {path}: {error.strerror}") from None
        self._file.write(struct.pack(">IHHiIII", MAGIC, 2, 4, 0, 0, SNAP_BYTES, LINKTYPE_RAW))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __call__(self, source: tuple[str, int], target: tuple[str, int], payload: bytes) -> None:
        """Write one datagram."""
        data = packet(source, target, payload[: SNAP_BYTES - 28])
        if len(data) + 16 > self._left:
            self.full = True
            return
        self._left -= len(data) + 16
        at_us = round(self._clock() * 1e6)
        self._file.write(struct.pack(">IIII", at_us // 1_000_000, at_us % 1_000_000, len(data), len(data)) + data)
        self._file.flush()
