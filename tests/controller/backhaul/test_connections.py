"""Switches that come, go and talk nonsense, on both bases: threads stay flat, and the next switch is served."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from controller.certificates import make_certificates

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

tls, context = None, None
if what == "tls":
    import ssl
    from spectrum.site_file import TlsTable
    folder = sys.argv[3]
    tls = TlsTable(ca=f"{folder}/ca.pem", certificate=f"{folder}/controller.pem", key=f"{folder}/controller.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(tls.ca)
    context.load_cert_chain(f"{folder}/gateway-switch.pem", f"{folder}/gateway-switch.key")

def stranger():
    '''Whether a switch without a certificate is heard.'''
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    try:
        with anyone.wrap_socket(socket.create_connection(("127.0.0.1", port), 1.0)) as sock:
            sock.settimeout(2.0)
            return bool(sock.recv(8))
    except OSError:
        return False

HELLO, ECHO, FEATURES, STATS, BARRIER = 0, 2, 5, 18, 20

def dial():
    deadline = time.monotonic() + 20
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), 1.0)
            sock.settimeout(5.0)
            return sock if context is None else context.wrap_socket(sock)
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
                    serve(sock, 3) if what != "nonsense" else nonsense(sock, rng)
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
        heard = what == "tls" and stranger()
        print(json.dumps({"heard": heard, "left": running() - before, "more": connected() - known,
                          "lost": states.count("switch lost"),
                          "came": states.count("switch connected") + states.count("switch returned")}), flush=True)
    finally:
        os._exit(0)

threading.Thread(target=drive, daemon=True).start()
run_apps((APP, *BACKHAUL_APPS), {"office": office}, stop, OpenFlowListen("127.0.0.1", port, tls))
"""


def run(base: str, what: str, count: int, *more: str) -> dict[str, Any]:
    """What the program found."""
    environment = {**os.environ, "AIRSHED_SDN_BASE": base, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, what, str(count), *more], capture_output=True, text=True,
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


def test_outside_loopback_a_switch_needs_a_certificate(base: str, tmp_path: Path) -> None:
    make_certificates(tmp_path, ("127.0.0.1",), ("switch",), (), dt.datetime.now(dt.UTC))
    found = run(base, "tls", 3, str(tmp_path))
    assert found["came"] >= 3
    assert not found["heard"]
