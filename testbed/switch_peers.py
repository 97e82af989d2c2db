"""What may dial the controller as a switch: one that speaks OpenFlow 1.3 as far as it is asked, and those that do not.

A peer takes a connected socket; random ones draw from the generator they are given.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from random import Random
from typing import Final

VERSION: Final = 4
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, FEATURES_REQUEST, FEATURES_REPLY = 0, 1, 2, 3, 5, 6
PACKET_IN, PORT_STATUS, FLOW_MOD, STATS_REQUEST, STATS_REPLY, BARRIER_REQUEST, BARRIER_REPLY = (
    10,
    12,
    14,
    18,
    19,
    20,
    21,
)
FLOW_STATS, METER_CONFIG_STATS, PORT_DESC_STATS = 1, 10, 13
DPID: Final = 7
TIMEOUT_S: Final = 5.0


def dial(port: int, most_s: float = 20.0) -> socket.socket:
    """A connection to the controller on this machine, once it listens."""
    deadline = time.monotonic() + most_s
    while True:
        try:
            made = socket.create_connection(("127.0.0.1", port), 1.0)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            made.settimeout(TIMEOUT_S)
            return made


def framed(kind: int, xid: int, body: bytes = b"") -> bytes:
    """A message with its header."""
    return struct.pack("!BBHI", VERSION, kind, 8 + len(body), xid) + body


def exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes; OSError when the controller hangs up."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data


def receive(sock: socket.socket) -> tuple[int, int, bytes]:
    """Kind, xid and body of the next message."""
    _, kind, size, xid = struct.unpack("!BBHI", exactly(sock, 8))
    return kind, xid, exactly(sock, size - 8)


def features(xid: int) -> bytes:
    """Who this switch is."""
    return framed(FEATURES_REPLY, xid, struct.pack("!QIBB2xII", DPID, 0, 254, 0, 0, 0))


def answer(sock: socket.socket) -> int:
    """Take the next message and answer like a switch that holds nothing; returns its kind."""
    kind, xid, body = receive(sock)
    if kind == ECHO_REQUEST:
        sock.sendall(framed(ECHO_REPLY, xid, body))
    elif kind == FEATURES_REQUEST:
        sock.sendall(features(xid))
    elif kind == STATS_REQUEST:
        sock.sendall(framed(STATS_REPLY, xid, body[:4] + bytes(4)))
    elif kind == BARRIER_REQUEST:
        sock.sendall(framed(BARRIER_REPLY, xid))
    return kind


def serve(sock: socket.socket, until: int) -> None:
    """Answer until so many flow-mods have come."""
    sock.sendall(framed(HELLO, 1))
    mods = 0
    while mods < until:
        mods += answer(sock) == FLOW_MOD


def hang_up_of(sock: socket.socket, greeting: bytes, most_s: float) -> bool:
    """Say nothing more than `greeting`: whether the controller hangs up within `most_s`."""
    sock.sendall(greeting)
    deadline = time.monotonic() + most_s
    with suppress(OSError):
        while time.monotonic() < deadline:
            sock.settimeout(max(0.01, deadline - time.monotonic()))
            if not sock.recv(4096):
                return True
    return time.monotonic() < deadline


def nonsense(sock: socket.socket, rng: Random) -> None:
    """A handshake that goes wrong somewhere."""
    if rng.random() < 0.8:
        sock.sendall(framed(HELLO, 1))
    for _ in range(rng.randrange(4)):
        kind = rng.choice([0, 1, 2, 3, 6, 7, 10, 12, 13, 14, 19, 21, 29, rng.randrange(256)])
        body = rng.randbytes(rng.choice([0, 1, 4, 8, 24, 40, 56, 200]))
        size = rng.choice([8 + len(body), 8 + len(body), rng.randrange(65536)])
        version = rng.choice([1, 4, 4, 4, 5, rng.randrange(256)])
        sock.sendall(struct.pack("!BBHI", version, kind, size, 1) + body)
    if rng.random() < 0.3:
        sock.recv(4096)


def _ethernet(rng: Random) -> bytes:
    """A packet as an unknown source would send it: ARP, or the beginning of TCP."""
    source = bytes([2, 0, 0, 0, 0, rng.randrange(4)])
    ip = bytes([10, 0, 0, rng.randrange(1, 5)])
    if rng.random() < 0.5:
        arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + source + ip + bytes(6) + bytes([10, 0, 0, 1])
        return b"\xff" * 6 + source + b"\x08\x06" + arp
    tcp = struct.pack("!HHIIBBHHH", 40000, 50868, 0, 0, 0x50, 2, 1000, 0, 0)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + ip + bytes([10, 0, 0, 1])
    return bytes(6) + source + b"\x08\x00" + header + tcp


def _port(number: int) -> bytes:
    return struct.pack("!I4x6s2x16sIIIIIIII", number, bytes(6), b"p", 0, 4, 0, 0, 0, 0, 0, 0)


def _in_port(number: int) -> bytes:
    """A match of the port alone, padded to 8 bytes."""
    return struct.pack("!HHII4x", 1, 12, 0x80000004, number)


def spoken(rng: Random, xid: int) -> bytes:
    """A right message such as a switch sends of itself, or as an answer to what it was asked with `xid`."""
    port, data = rng.randrange(1, 5), _ethernet(rng)
    goto = struct.pack("!HHB3x", 1, 8, 1)
    flow = _in_port(port) + goto
    entry = struct.pack("!HBxIIHHHH4xQQQ", 48 + len(flow), 0, 1, 0, 400, 0, 0, 0, rng.getrandbits(64), 5, 500) + flow
    meter = struct.pack("!HHI", 24, 13, port) + struct.pack("!HHII4x", 1, 16, 256, 128)
    packet_in = struct.pack("!IHBBQ", 0xFFFFFFFF, len(data), 1, 0, rng.getrandbits(64)) + _in_port(port) + bytes(2)
    return rng.choice([
        framed(PACKET_IN, 0, packet_in + data),
        framed(PORT_STATUS, 0, struct.pack("!B7x", rng.randrange(3)) + _port(port)),
        framed(STATS_REPLY, xid, struct.pack("!HH4x", PORT_DESC_STATS, 0) + _port(1) + _port(port)),
        framed(STATS_REPLY, xid, struct.pack("!HH4x", FLOW_STATS, rng.randrange(2)) + entry),
        framed(STATS_REPLY, xid, struct.pack("!HH4x", METER_CONFIG_STATS, 0) + meter),
        framed(ERROR, xid, struct.pack("!HH", rng.randrange(15), rng.randrange(15)) + rng.randbytes(16)),
        framed(ECHO_REQUEST, xid, rng.randbytes(rng.randrange(16))),
        framed(BARRIER_REPLY, xid),
        features(xid),
    ])  # fmt: skip


def mutated(message: bytes, rng: Random) -> bytes:
    """A right message made wrong in one way: cut, lengthened, a lie about its length, flipped bits, another kind."""
    changed = bytearray(message)
    how = rng.randrange(6)
    if how == 0:
        changed = changed[: rng.randrange(8, len(changed) + 1)]
        changed[2:4] = struct.pack("!H", len(changed))
    elif how == 1:
        changed += rng.randbytes(rng.randrange(1, 64))
        changed[2:4] = struct.pack("!H", len(changed))
    elif how == 2:
        changed[2:4] = struct.pack("!H", rng.choice([0, 7, 8, 9, len(changed) - 1, len(changed) + 1, 65535]))
    elif how == 3:
        for _ in range(rng.randrange(1, 9)):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif how == 4:
        changed[1] = rng.randrange(256)
    return bytes(changed)  # else it stays right


def liar(sock: socket.socket, rng: Random) -> None:
    """A switch whose handshake is right and whose messages are not, in pieces of any size; it may leave at any time."""
    sock.sendall(framed(HELLO, 1))
    for _ in range(rng.randrange(2, 9)):
        answer(sock)
    xid = receive(sock)[1]
    sent = b"".join(mutated(spoken(rng, xid), rng) for _ in range(rng.randrange(1, 12)))
    while sent:
        size = rng.choice([1, 7, 8, 100, len(sent)])
        sock.sendall(sent[:size])
        sent = sent[size:]
    if rng.random() < 0.5:
        sock.recv(4096)
