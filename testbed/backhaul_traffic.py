"""Traffic for hosts behind a switch: flood, count, echo, probe. Run as a file, in the namespace of a host.

    python backhaul_traffic.py flood ADDRESS PORT MBIT_S SECONDS
        sends UDP at a rate; says how many packets when it is done
    python backhaul_traffic.py count ADDRESS PORT
        when its input ends, says how many bytes of UDP came and over how many seconds
    python backhaul_traffic.py echo ADDRESS
        sends back whatever comes to UDP 1700
    python backhaul_traffic.py probe ADDRESS
        sends a packet every 10 ms to UDP 1700 until its input ends; says how many, and which never came back

What it says is a line of JSON each, the first of them "up" once it is about to begin.

Every rate and every time is bounded: 50 Mbit/s and 10 s.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from contextlib import suppress
from typing import Final

MOST_MBIT_S: Final = 50.0
MOST_S: Final = 10.0
PROBE_PORT: Final = 1700
PROBE_GAP_S: Final = 0.01

# UDP's payload, and what it makes on the wire with the headers of UDP, IPv4 and Ethernet.
PAYLOAD_BYTES: Final = 1358
WIRE_BYTES: Final = PAYLOAD_BYTES + 8 + 20 + 14


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def flood(address: str, port: int, mbit_s: float, seconds: float) -> None:
    """Send at `mbit_s` on the wire."""
    packet = bytes(PAYLOAD_BYTES)
    gap_s = WIRE_BYTES * 8 / (min(MOST_MBIT_S, mbit_s) * 1e6)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        _say("up")
        began_s, sent = time.monotonic(), 0
        while (now_s := time.monotonic() - began_s) < min(MOST_S, seconds):
            while sent * gap_s < now_s:
                with suppress(OSError):  # no room in the socket, or no way to the address: it counts as sent
                    sock.sendto(packet, (address, port))
                sent += 1
            time.sleep(0.002)
    _say(sent)


def count(address: str, port: int) -> None:
    """Count what comes, from the first packet to the last."""
    came, first_s, last_s = 0, 0.0, 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, port))
        _say("up")
        while sys.stdin not in (ready := select.select([sock, sys.stdin], [], [])[0]):
            if sock in ready:
                size = len(sock.recv(2048)) + WIRE_BYTES - PAYLOAD_BYTES
                last_s = time.monotonic()
                first_s = first_s or last_s
                came += size
    _say({"bytes": came, "seconds": last_s - first_s})


def echo(address: str) -> None:
    """Answer, as the server of a Semtech packet forwarder would."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, PROBE_PORT))
        _say("up")
        while True:
            data, peer = sock.recvfrom(2048)
            sock.sendto(data, peer)


def probe(address: str) -> None:
    """Number packets, and tell which did not come back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, PROBE_PORT))
        sock.setblocking(False)
        _say("up")
        sent, back, ends_s = 0, set(), 0.0
        while not ends_s or time.monotonic() < ends_s:
            if not ends_s:
                with suppress(OSError):  # it counts as sent
                    sock.send(str(sent).encode())
                sent += 1
                if select.select([sys.stdin], [], [], 0)[0]:
                    ends_s = time.monotonic() + 0.5
            time.sleep(PROBE_GAP_S)
            with suppress(OSError):  # nothing there
                while True:
                    back.add(int(sock.recv(100)))
    _say([sent, sorted(set(range(sent)) - back)])


if __name__ == "__main__":
    what, to, *rest = sys.argv[1:]
    if what == "flood":
        flood(to, int(rest[0]), float(rest[1]), float(rest[2]))
    elif what == "count":
        count(to, int(rest[0]))
    else:
        {"echo": echo, "probe": probe}[what](to)
