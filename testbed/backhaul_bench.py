"""A backhaul that runs, for tests and benchmarks: Open vSwitch and namespaces, controller and agents as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import ceil
from pathlib import Path
from typing import Any, Final

from channel_status import records
from channel_status.redis_door import connect
from testbed.backhaul_site import BRIDGE, CONTROLLER_IP, GRPC_PORT, BackhaulSite

REPOSITORY: Final = Path(__file__).parents[1]
PATIENCE_S: Final = 10.0
NAME: Final = "bench"

# Between two requests; and nobody listens where the flood goes.
ASK_GAP_S: Final = 0.005
FLOODED_PORT: Final = 9

# A controller imports and loads its scripts first; on a busy machine that takes its time.
START_S: Final = 40.0

# Reads the metrics of the controller with its own certificate.
_METRICS: Final = """
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
        self.tls = site.certificates(list(site.hosts))
        self._database = connect(url)
        stack.callback(self._database.close)
        self.controller = self.start_controller()

    def _site_file(self, holder: str, hold_s: float, backhaul: Mapping[str, object]) -> Path:
        text = f"""[site]
name = "{NAME}"
[spectrum]
sigfox_groups = 0
[controller]
listen = "{CONTROLLER_IP}:{GRPC_PORT}"
hold_s = {hold_s}
[monitoring]
enabled = false
[http]
listen = "127.0.0.1:8868"
{self.site.tables(self.tls, holder, backhaul)}"""
        path = self.site.folder / f"{holder}.toml"
        path.write_text(text)
        return path

    def start_controller(self, hold_s: float = 60.0, **backhaul: object) -> subprocess.Popen[bytes]:
        """Start the controller in its namespace and wait until a switch is connected.

        backhaul: what its site file says in [backhaul] otherwise than testbed/backhaul_site.py does.
        """
        site_file = self._site_file("controller", hold_s, backhaul)
        command = [*self.site.inside("controller"), sys.executable, "-m", "airshed", "controller", str(site_file)]
        before = len(self.events())
        with open(self.site.folder / "controller.log", "ab") as log:
            self.controller = subprocess.Popen(command, env=self._environment, stderr=log, cwd=REPOSITORY)
        self._stack.callback(self.stop, self.controller)
        self.wait_for(lambda: any(e["state"].startswith("switch") for e in self.events()[before:]), "a switch", START_S)
        return self.controller

    def restart_controller(self, hold_s: float = 60.0, **backhaul: object) -> None:
        """Kill the controller, as a crash would, and start another."""
        self.stop(self.controller, signal.SIGKILL)
        self.start_controller(hold_s, **backhaul)

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
        site_file = self._site_file(f"gateway-{gateway}", 60.0, {})
        command = [*self.site.inside(gateway), sys.executable, "-m", "testbed.backhaul_agent", str(site_file), gateway]
        agent = Agent(command, self._environment)
        self._stack.callback(agent.close)
        self.wait_for(lambda: agent.state() == "online", f"{gateway} to be online", START_S)
        self.wait_for(
            lambda: self.told("gateway admitted", gateway) or self.told("gateway moved", gateway), "admission"
        )
        return agent

    @contextmanager
    def traffic(self, host: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """testbed/backhaul_traffic.py on a host, once it is up; ended at the end, whatever happens."""
        command = [*self.site.inside(host), sys.executable, "-I", str(REPOSITORY / "testbed/backhaul_traffic.py")]
        process = subprocess.Popen([*command, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()
            process.communicate()

    def metrics(self) -> dict[str, float]:
        """What the controller exports, by the name and labels of each line."""
        own = [str(self.tls / f"controller.{kind}") for kind in ("pem", "key")]
        text = self.site.network.within(self.site.namespace, [sys.executable, "-I", "-c", _METRICS, *own])
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def events(self) -> list[dict[str, Any]]:
        """Events of the backhaul, oldest first."""
        entries = self._database.read(NAME, "events", count=10_000)
        found = [records.decode(entry.value) for entry in entries]
        return [event for event in found if event["event"] == "backhaul"]

    def gateway_states(self, gateway: str) -> list[str]:
        """What the allocator was told of a gateway, oldest first."""
        entries = self._database.read(NAME, "events", count=10_000)
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


def beside_flood(
    bench: Bench, agent: Agent, flooder: str, repeats: int, requests: int, mbit_s: float = 50.0
) -> list[tuple[list[float], list[float]]]:
    """Seconds from request to grant of `agent`, alone and while `flooder` floods, in turns: a pair for each repeat."""
    pairs = []
    for _ in range(repeats):
        alone_s = agent.ask(requests, ASK_GAP_S)
        with bench.traffic(flooder, "flood", CONTROLLER_IP, str(FLOODED_PORT), str(mbit_s), "10"):
            beside_s = agent.ask(requests, ASK_GAP_S)
        pairs.append((alone_s, beside_s))
    return pairs


def p99(values: Sequence[float]) -> float:
    """The value that one in a hundred exceeds."""
    return sorted(values)[max(0, ceil(0.99 * len(values)) - 1)]


class Agent:
    """testbed/backhaul_agent.py in a process of its own."""

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
