"""Switches that come, go and talk nonsense, on both bases: threads stay flat, and the next switch is served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

# The controller's apps in the main thread, and in another a switch that speaks OpenFlow 1.3 as far as it is asked.
PROGRAM = """
import gc, json, os, random, socket, struct, sys, threading, time
from channel_status.memory import MemoryDatabase
from channel_status import records
from controller.openflow import OpenFlowListen
from controller.sdn_base import run_apps
from controller.service import APP, BACKHAUL_APPS, open_office
from spectrum.site_file import parse_site

what, count = sys.argv[1], int(sys.argv[2])
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
site = parse_site(f'''[site]
name = "s"
[backhaul]
address = "10.0.0.1"
listen = "127.0.0.1:{port}"
poll_s = 0.2
[[backhaul.switch]]
name = "roof"
dpid = 7
uplink = 1''', "t.toml")
database = MemoryDatabase()
office = open_office(site, database)
office.allocator.begin(time.time())
office.metrics.backhaul
stop = threading.Event()

HELLO, ECHO, FEATURES, STATS, BARRIER = 0, 2, 5, 18, 20

def dial():
    deadline = time.monotonic() + 20
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), 1.0)
            sock.settimeout(5.0)
            return sock
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)

def exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data

def send(sock, kind, xid, body=b""):
    sock.sendall(struct.pack("!BBHI", 4, kind, 8 + len(body), xid) + body)

def serve(sock, until):
    '''Answer like a switch that holds nothing, until `until` messages of flow-mod came.'''
    send(sock, HELLO, 1)
    mods = 0
    while mods < until:
        version, kind, size, xid = struct.unpack("!BBHI", exactly(sock, 8))
        body = exactly(sock, size - 8)
        if kind == ECHO:
            send(sock, ECHO + 1, xid, body)
        elif kind == FEATURES:
            send(sock, FEATURES + 1, xid, struct.pack("!QIBB2xII", 7, 0, 254, 0, 0, 0))
        elif kind == STATS:
            send(sock, STATS + 1, xid, body[:4] + bytes(4))
        elif kind == BARRIER:
            send(sock, BARRIER + 1, xid)
        elif kind == 14:
            mods += 1

def nonsense(sock, rng):
    '''A handshake that goes wrong somewhere.'''
    if rng.random() < 0.8:
        send(sock, HELLO, 1)
    for _ in range(rng.randrange(4)):
        kind = rng.choice([0, 1, 2, 3, 6, 7, 10, 12, 13, 14, 19, 21, 29, rng.randrange(256)])
        body = rng.randbytes(rng.choice([0, 1, 4, 8, 24, 40, 56, 200]))
        size = rng.choice([8 + len(body), 8 + len(body), rng.randrange(65536)])
        sock.sendall(struct.pack("!BBHI", rng.choice([1, 4, 4, 4, 5, rng.randrange(256)]), kind, size, 1) + body)
    if rng.random() < 0.3:
        sock.recv(4096)

def running():
    gc.collect()
    green = 0
    if "greenlet" in sys.modules:
        from greenlet import greenlet
        green = sum(isinstance(one, greenlet) and not one.dead for one in gc.get_objects())
    return threading.active_count() + green

def connected():
    return sum(b'"switch' in entry.value for entry in database.read("s", "events", count=100000))

def drive():
    try:
        rng = random.Random(1)
        for _ in range(3):
            with dial() as sock:
                serve(sock, 3)
        time.sleep(1.0)
        before = running()
        for _ in range(count):
            with dial() as sock:
                try:
                    serve(sock, 3) if what == "cycles" else nonsense(sock, rng)
                except OSError:
                    if what == "cycles":
                        raise
        known = connected()
        with dial() as sock:
            serve(sock, 3)
            deadline = time.monotonic() + 10
            while running() > before + 5 and time.monotonic() < deadline:
                time.sleep(0.1)
        deadline = time.monotonic() + 15
        while running() > before + 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        states = [records.decode(entry.value).get("state") for entry in database.read("s", "events", count=100000)]
        print(json.dumps({"left": running() - before, "more": connected() - known,
                          "lost": states.count("switch lost"),
                          "came": states.count("switch connected") + states.count("switch returned")}), flush=True)
    finally:
        os._exit(0)

threading.Thread(target=drive, daemon=True).start()
run_apps((APP, *BACKHAUL_APPS), {"office": office}, stop, OpenFlowListen("127.0.0.1", port))
"""


def run(base: str, what: str, count: int) -> dict[str, Any]:
    """What the program found."""
    environment = {**os.environ, "AIRSHED_SDN_BASE": base, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, what, str(count)], capture_output=True, text=True,
                          timeout=120, check=False, env=environment)  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_hundred_connections_leave_no_thread(base: str) -> None:
    found = run(base, "cycles", 100)
    assert found["left"] <= 2  # flat: one for each would be a hundred and more
    assert found["came"] >= 100
    assert found["lost"] >= 100


def test_nonsense_in_the_handshake_leaves_no_thread_and_the_next_switch_is_served(base: str) -> None:
    found = run(base, "nonsense", 150)
    assert found["left"] <= 2  # flat: one for each would be a hundred and more
    assert found["more"] >= 1
