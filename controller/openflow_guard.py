"""Whether a message of a switch can be parsed at all: the parsers of both bases follow an entry of length 0 for ever.

On os-ken that takes a core and more and more memory, on Ryu it stops the controller. So lengths are looked at first,
and a switch that lies about them is hung up on. Kinds and lengths are those of OpenFlow 1.3.5, sections 7.3 and A.2.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

log = logging.getLogger(__name__)

VERSION: Final = 4
HEADER_BYTES: Final = 8

HELLO: Final = 0
MULTIPART_REPLY: Final = 19
QUEUE_CONFIG_REPLY: Final = 23
# Error, echo, experimenter, features, configuration, packet-in, flow removed, port status, barrier, role.
_WITHOUT_ENTRIES: Final = frozenset({1, 2, 3, 4, 6, 8, 10, 11, 12, 21, 25})

# Parts of a multipart reply: entries of one size (description, aggregate, tables, ports, queues, port descriptions) ...
_OF_ONE_SIZE: Final = frozenset({0, 2, 3, 4, 5, 13})
# ... and those that tell their own.
FLOWS: Final = 1
METERS: Final = 9
METER_CONFIGS: Final = 10

# Instructions that hold actions: write, apply, clear.
_WITH_ACTIONS: Final = frozenset({3, 4, 5})


class _Torn(ValueError):
    """A length that cannot be."""


def _entries(data: bytes, start: int, length_at: int, least: int, padded_to: int = 1) -> Iterator[bytes]:
    """The entries of `data` from `start` on, each with its length in 16 bits at `length_at`."""
    while start < len(data):
        if start + length_at + 2 > len(data):
            raise _Torn
        (length,) = struct.unpack_from("!H", data, start + length_at)
        if length < least or start + length > len(data):
            raise _Torn
        yield data[start : start + length]
        start += -(-length // padded_to) * padded_to


def _flow(entry: bytes) -> None:
    """48 bytes, a match that is padded to 8, and instructions."""
    (match_bytes,) = struct.unpack_from("!H", entry, 50)
    if match_bytes < 4:
        raise _Torn
    for instruction in _entries(entry, 48 + -(-match_bytes // 8) * 8, 2, 8):
        if struct.unpack_from("!H", instruction)[0] in _WITH_ACTIONS:
            for _ in _entries(instruction, 8, 2, 8):
                pass


def _multipart(part: int, body: bytes) -> None:
    if part in _OF_ONE_SIZE:
        return
    if part == FLOWS:
        for entry in _entries(body, 8, 0, 56):
            _flow(entry)
    elif part == METERS:
        for _ in _entries(body, 8, 4, 40):
            pass
    elif part == METER_CONFIGS:
        for entry in _entries(body, 8, 0, 8):
            for _ in _entries(entry, 8, 2, 12):
                pass
    else:
        raise _Torn  # nobody asked for it


def well_formed(version: int, kind: int, body: bytes) -> bool:
    """Whether a message whose header is followed by `body` is one that a switch sends, and its lengths can be."""
    try:
        if kind == HELLO:
            for _ in _entries(body, 0, 2, 4, padded_to=8):
                pass
        elif version != VERSION:
            return False
        elif kind == MULTIPART_REPLY:
            _multipart(struct.unpack_from("!H", body)[0], body)
        elif kind == QUEUE_CONFIG_REPLY:
            for queue in _entries(body, 8, 8, 16):
                for _ in _entries(queue, 16, 2, 8):
                    pass
        else:
            return kind in _WITHOUT_ENTRIES
    except (_Torn, struct.error):
        return False
    return True


def guarded(parse: Callable[..., Any]) -> Callable[..., Any]:
    """A base's function that parses a message, in front of which a switch is hung up on that lies."""

    def parse_guarded(datapath: Any, version: int, kind: int, size: int, xid: int, data: bytes | bytearray) -> Any:
        if well_formed(version, kind, bytes(data[HEADER_BYTES:])):
            return parse(datapath, version, kind, size, xid, data)
        log.warning("a switch at %s is hung up on: no switch sends such a message (kind %d, %d bytes)",
                    datapath.address[0], kind, size)  # fmt: skip
        datapath.close()
        return None

    return parse_guarded
