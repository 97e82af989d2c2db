"""Messages that would keep a parser busy for ever are told from those that a switch sends."""

from __future__ import annotations

import struct
from random import Random

import pytest

from controller.openflow_guard import HELLO, MULTIPART_REPLY, QUEUE_CONFIG_REPLY, VERSION, well_formed
from testbed.fake_switch import protocol
from testbed.switch_peers import mutated, spoken


def test_what_a_switch_sends_passes_and_parses() -> None:
    openflow, rng = protocol(), Random(1)
    kinds = set()
    for _ in range(300):
        message = spoken(rng, 5)
        version, kind, size, xid = struct.unpack_from("!BBHI", message)
        assert well_formed(version, kind, message[8:])
        parsed = openflow.ofproto_parser.msg_parser(openflow, version, kind, size, xid, message)
        assert parsed.msg_len == size
        kinds.add(kind)
    assert len(kinds) >= 6


def part(kind: int, entry: bytes) -> bytes:
    """The body of a multipart reply."""
    return struct.pack("!HH4x", kind, 0) + entry


FLOW = struct.pack("!H", 80) + bytes(46) + struct.pack("!HH4x", 1, 4) + struct.pack("!HH4xHHI8x", 4, 24, 0, 16, 1)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MULTIPART_REPLY, part(1, bytes(56))),
        (MULTIPART_REPLY, part(1, FLOW[:50] + b"\x00\x00" + FLOW[52:])),
        (MULTIPART_REPLY, part(1, FLOW[:58] + b"\x00\x00" + FLOW[60:])),
        (MULTIPART_REPLY, part(1, FLOW[:66] + b"\x00\x00" + FLOW[68:])),
        (MULTIPART_REPLY, part(1, b"\xff\xff" + FLOW[2:])),
        (MULTIPART_REPLY, part(9, bytes(40))),
        (MULTIPART_REPLY, part(10, bytes(8))),
        (MULTIPART_REPLY, part(10, struct.pack("!HHIHH12x", 24, 0, 1, 1, 0))),
        (MULTIPART_REPLY, part(12, bytes(64))),
        (MULTIPART_REPLY, b"\x00"),
        (QUEUE_CONFIG_REPLY, bytes(24)),
        (QUEUE_CONFIG_REPLY, bytes(8) + struct.pack("!IIH6xHH12x", 1, 1, 32, 1, 0)),
        (HELLO, bytes(8)),
        (14, bytes(48)),
    ],
)
def test_lengths_that_cannot_be_are_refused(kind: int, body: bytes) -> None:
    assert not well_formed(VERSION, kind, body)


def test_the_examples_are_wrong_in_their_lengths_alone() -> None:
    assert well_formed(VERSION, MULTIPART_REPLY, part(1, FLOW))
    assert well_formed(VERSION, MULTIPART_REPLY, part(9, struct.pack("!IH", 1, 40) + bytes(34)))
    assert well_formed(VERSION, MULTIPART_REPLY, part(10, struct.pack("!HHIHH12x", 24, 0, 1, 1, 16)))
    assert well_formed(VERSION, QUEUE_CONFIG_REPLY, bytes(8) + struct.pack("!IIH6xHH12x", 1, 1, 32, 1, 16))
    assert well_formed(VERSION, HELLO, struct.pack("!HHI", 1, 8, 16))
    assert well_formed(6, HELLO, b"")
    assert not well_formed(6, 10, b"")


def test_no_mutation_keeps_the_parser_busy() -> None:
    openflow, rng = protocol(), Random(2)
    passed = 0
    for _ in range(3000):
        message = mutated(spoken(rng, 5), rng)
        version, kind, _, xid = struct.unpack_from("!BBHI", message)
        if well_formed(version, kind, message[8:]) and version == VERSION:
            passed += 1
            try:
                openflow.ofproto_parser.msg_parser(openflow, version, kind, len(message), xid, message)
            except Exception:  # noqa: BLE001 - whatever they trip over; that they come to an end is what counts
                continue
    assert passed > 500
