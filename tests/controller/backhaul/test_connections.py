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
import gc, json, os, socket, sys, threading, time, traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random
from channel_status.memory import MemoryDatabase
from channel_status import records
from controller.openflow import OpenFlowListen
from controller.sdn_base import run_apps
from controller.service import APP, BACKHAUL_APPS, open_office
from spectrum.site_file import parse_site
from testbed.switch_peers import HELLO, dial, framed, hang_up_of, liar, nonsense, serve

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
if what in ("tls", "silent") and len(sys.argv) > 3:
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

def connect():
    made = dial(port)
    return made if context is None else context.wrap_socket(made)

def peer(sock):
    try:
        if what in ("nonsense", "liar"):
            {"nonsense": nonsense, "liar": liar}[what](sock, rng)
        else:
            serve(sock, 3)
    except OSError:  # the controller has had enough of it
        if what == "cycles":
            raise

rng = Random(int(sys.argv[3])) if what in ("nonsense", "liar") else None

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
        for _ in range(3):
            with connect() as sock:
                serve(sock, 3)
        time.sleep(1.0)
        before = running()
        for _ in range(0 if what == "silent" else count):
            with connect() as sock:
                peer(sock)
        known = connected()
        quiet = []
        if what == "silent":
            with ExitStack() as stack:
                made = [stack.enter_context(dial(port)) for _ in range(count)]
                with ThreadPoolExecutor(count) as pool:
                    greetings = [b"", framed(HELLO, 1), framed(HELLO, 1)[:5]] * count
                    quiet = list(pool.map(hang_up_of, made, greetings, [30.0] * count))
        with connect() as sock:
            serve(sock, 3)
            deadline = time.monotonic() + 10
            while running() > before + 5 and time.monotonic() < deadline:
                time.sleep(0.1)
        deadline = time.monotonic() + 15
        while running() > before + 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        states = [records.decode(entry.value).get("state") for entry in database.read("s", "events", count=100000)]
        heard = what == "tls" and stranger()
        print(json.dumps({"heard": heard, "hung_up": sum(quiet), "left": running() - before,
                          "more": connected() - known, "lost": states.count("switch lost"),
                          "came": states.count("switch connected") + states.count("switch returned")}), flush=True)
    except BaseException:
        traceback.print_exc()
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
    assert found["came"] >= 80
    assert found["lost"] >= 100


def test_nonsense_in_the_handshake_leaves_no_thread_and_the_next_switch_is_served(base: str) -> None:
    found = run(base, "nonsense", 150, "1")
    assert found["left"] <= 2  # flat: one for each would be a hundred and more
    assert found["more"] >= 1


def test_a_switch_that_lies_after_its_handshake_leaves_no_thread_and_the_next_is_served(base: str) -> None:
    found = run(base, "liar", 100, "2")
    assert found["left"] <= 2
    assert found["more"] >= 1
    assert found["came"] >= 8  # some told enough of themselves to be taken for the switch


def test_peers_that_say_nothing_are_hung_up_on(base: str, tmp_path: Path) -> None:
    found = run(base, "silent", 12)
    assert found["hung_up"] == 12
    assert found["left"] <= 2
    make_certificates(tmp_path, ("127.0.0.1",), ("switch",), (), dt.datetime.now(dt.UTC))
    found = run(base, "silent", 12, str(tmp_path))  # over TLS, before they have shaken hands
    assert found["hung_up"] == 12
    assert found["left"] <= 2
    assert found["more"] >= 1


def test_outside_loopback_a_switch_needs_a_certificate(base: str, tmp_path: Path) -> None:
    make_certificates(tmp_path, ("127.0.0.1",), ("switch",), (), dt.datetime.now(dt.UTC))
    found = run(base, "tls", 3, str(tmp_path))
    assert found["came"] >= 3
    assert not found["heard"]
