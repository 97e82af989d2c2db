"""A real backhaul for tests: Open vSwitch and network namespaces, with the controller and agents as processes."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from channel_status import records
from channel_status.embedded import private_server
from channel_status.redis_door import connect
from testbed.backhaul_site import BRIDGE, CONTROLLER_IP, GRPC_PORT, BackhaulSite, objection

REPOSITORY = Path(__file__).parents[3]
PATIENCE_S = 10.0

AGENT = """
import json, sys, time, uuid
from random import Random
from gateway_agent.controller_link import ControllerLink
from gateway_agent.wire import controller_pb2 as wire
from spectrum.site_file import read_site

link = ControllerLink(read_site(sys.argv[1]), sys.argv[2], rng=Random(1))
link.start()
for line in sys.stdin:
    word, *rest = line.split()
    if word == "state":
        print(json.dumps(link.state), flush=True)
    elif word == "ask":
        took_s = []
        for k in range(int(rest[0])):
            answers = []
            request = wire.LeaseRequest(request_id=uuid.uuid4().hex, device=f"{sys.argv[2]}-{k}", technology=wire.LORA,
                                        airtime_us=50000)
            began = time.perf_counter()
            link.request(request, answers.append, 20.0)
            while not answers and time.perf_counter() - began < 20.0:
                time.sleep(0.0005)
            took_s.append(time.perf_counter() - began)
            time.sleep(float(rest[1]))
        print(json.dumps(took_s), flush=True)
link.close()
"""


# Reads the metrics of the controller with its own certificate.
METRICS = """
import ssl, sys, urllib.request
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.load_cert_chain(*sys.argv[1:])
print(urllib.request.urlopen("https://127.0.0.1:8868/metrics", context=context).read().decode())
"""


class Bench:
    """A running site with a controller that can be killed and agents that do as told."""

    def __init__(self, site: BackhaulSite, url: str, stack: ExitStack, base: str) -> None:
        self.site, self.url, self._stack = site, url, stack
        self._environment = {**os.environ, "REDIS_URL": url, "PYTHONPATH": str(REPOSITORY), "AIRSHED_SDN_BASE": base,
                             "PYTHONWARNINGS": "ignore"}  # fmt: skip
        self._tls = site.certificates(list(site.hosts))
        self._database = connect(url)
        stack.callback(self._database.close)
        self.controller = self.start_controller()

    def _site_file(self, holder: str) -> Path:
        text = f"""[site]
name = "bench"
[spectrum]
sigfox_groups = 0
[controller]
listen = "{CONTROLLER_IP}:{GRPC_PORT}"
hold_s = 60.0
[monitoring]
enabled = false
[http]
listen = "127.0.0.1:8868"
{self.site.tables(self._tls, holder)}"""
        path = self.site.folder / f"{holder}.toml"
        path.write_text(text)
        return path

    def start_controller(self) -> subprocess.Popen[bytes]:
        """Start the controller in its namespace and wait until a switch is connected."""
        command = [*self.site.inside("controller"), sys.executable, "-m", "airshed", "controller",
                   str(self._site_file("controller"))]  # fmt: skip
        before = len(self.events())
        with open(self.site.folder / "controller.log", "ab") as log:
            self.controller = subprocess.Popen(command, env=self._environment, stderr=log, cwd=REPOSITORY)
        self._stack.callback(self.stop, self.controller)
        self.wait_for(lambda: any(e["state"].startswith("switch") for e in self.events()[before:]), "the switch")
        return self.controller

    @staticmethod
    def stop(process: subprocess.Popen[Any], how: int = signal.SIGTERM) -> None:
        """End a process and wait for it."""
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def agent(self, gateway: str) -> Agent:
        """An agent on the host of its gateway, registered."""
        command = [*self.site.inside(gateway), sys.executable, "-c", AGENT,
                   str(self._site_file(f"gateway-{gateway}")), gateway]  # fmt: skip
        agent = Agent(command, self._environment)
        self._stack.callback(agent.close)
        self.wait_for(lambda: agent.state() == "online", f"{gateway} to be online")
        self.wait_for(
            lambda: self.told("gateway admitted", gateway) or self.told("gateway moved", gateway), "admission"
        )
        return agent

    def metrics(self) -> dict[str, float]:
        """What the controller exports, by the name and labels of each line."""
        own = [str(self._tls / f"controller.{kind}") for kind in ("pem", "key")]
        text = self.site.network.within(self.site.namespace, [sys.executable, "-I", "-c", METRICS, *own])
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def events(self) -> list[dict[str, Any]]:
        """Events of the backhaul, oldest first."""
        entries = self._database.read("bench", "events", count=10_000)
        found = [records.decode(entry.value) for entry in entries]
        return [event for event in found if event["event"] == "backhaul"]

    def gateway_states(self, gateway: str) -> list[str]:
        """What the allocator was told of a gateway, oldest first."""
        entries = self._database.read("bench", "events", count=10_000)
        found = [records.decode(entry.value) for entry in entries]
        return [e["state"] for e in found if e["event"] == "gateway" and e["gateway"] == gateway]

    def told(self, state: str, gateway: str = "") -> list[dict[str, Any]]:
        """Events of one kind, of one gateway if it is named."""
        return [e for e in self.events() if e["state"] == state and gateway in ("", e["gateway"])]

    def wait_for(self, what: Callable[[], Any], name: str, most_s: float = PATIENCE_S) -> float:
        """Wait until `what()` is true; returns how long it took."""
        began = time.monotonic()
        while not what():
            if time.monotonic() - began > most_s:
                log = (self.site.folder / "controller.log").read_text()
                log += "".join(self.site.switch.ofctl([what, BRIDGE]) for what in ("dump-flows", "dump-ports-desc"))
                raise AssertionError(f"waited {most_s} s for {name}: {self.events()} {log[-9000:]}")
            time.sleep(0.02)
        return time.monotonic() - began


class Agent:
    """An agent in a process of its own that does what is written to it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, cwd=REPOSITORY)  # fmt: skip

    def _say(self, line: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def state(self) -> str:
        """Of its link."""
        return str(self._say("state"))

    def ask(self, count: int, gap_s: float) -> list[float]:
        """Seconds from request to grant, of `count` requests one after the other."""
        return list(self._say(f"ask {count} {gap_s}"))

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


@pytest.fixture(scope="module", params=["os-ken", "ryu"])
def base(request: pytest.FixtureRequest) -> str:
    """Both bases of the controller, Ryu where it is installed."""
    if request.param == "ryu" and importlib.util.find_spec("ryu") is None:
        pytest.skip("Ryu is not installed: pip install 'airshed[ryu]' as docs/backhaul.md says")
    return str(request.param)


@pytest.fixture(scope="module")
def bench(base: str) -> Iterator[Bench]:
    """Two gateways and a stranger behind one switch, with the controller up."""
    why_not = objection()
    if why_not:
        pytest.skip(why_not)
    folder = Path(tempfile.mkdtemp(prefix="abh"))
    try:
        with ExitStack() as stack:
            url = stack.enter_context(private_server())
            site = stack.enter_context(BackhaulSite(folder, ["gw-1", "gw-2", "stranger"]))
            yield Bench(site, url, stack, base)
    finally:
        shutil.rmtree(folder)
