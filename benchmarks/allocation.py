"""How fast leases are given: the pure decision, the atomic script, and the whole way over gRPC.

    python benchmarks/allocation.py [--seconds 5] [--gateways 64] [--repeats 5] [--json]

One controller process, its Redis, and the load of all gateways share this machine; what is printed are medians of the
repeats. Every load is bounded in time and in requests under way.
"""

from __future__ import annotations

import sys
from pathlib import Path

# This file is called like the room it measures: the room must be found first.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import numpy as np

from allocation.attempts import SlotGrid
from allocation.policies import policy_named
from channel_status.embedded import private_server
from channel_status.protocol import ChannelStatusDatabase, LeaseOrder
from channel_status.redis_door import RedisDatabase, connect
from controller.allocator import Allocator
from controller.decision import Inputs, decide
from controller.requests import Ask
from controller.snapshot import Snapshot
from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc
from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS, LORAWAN_EXTRA_CHANNELS, Subchannel
from spectrum.report import ChannelReport
from spectrum.site_file import parse_site
from spectrum.status import ChannelStatus
from testbed.demo_site import free_port

LORA = (*LORAWAN_EXTRA_CHANNELS, *LORAWAN_DEFAULT_CHANNELS)


def decisions_per_s(count: int = 20_000) -> float:
    """Pure decisions (N = 5, eight subchannels, 80 slots) in a second, explanation included.

    All share one snapshot and so its ranking, as all requests of 50 ms do in the controller.
    """
    statuses = {c: ChannelStatus(c, 0.0, -41.0, -41.0, -40.0, 0.2, 0.1, 0.1) for c in LORA}
    snapshot = Snapshot(0.0, "fresh", statuses)
    policy = policy_named("algorithm1")
    grid = SlotGrid(1.8e9, 0.12, 80)
    begun_s = time.perf_counter()
    for i in range(count):
        ask = Ask(f"r{i}", f"dev-{i}", "gw", "lora", 0.1, 1, True)
        inputs = Inputs("s", ask.request_id, ask, 0, policy.name, 5, None, "fresh", snapshot.name, grid)
        decide(inputs, snapshot.ranking(LORA, policy, None, None, ("lora",)), {})
    return count / (time.perf_counter() - begun_s)


def script_ms(database: ChannelStatusDatabase, orders: list[LeaseOrder]) -> list[float]:
    """Time of each atomic allocation as its caller sees it, one order at a time."""
    took = []
    for order in orders:
        begun_s = time.perf_counter()
        database.allocate("script", [order], 1.8e9)
        took.append((time.perf_counter() - begun_s) * 1e3)
    return took


def orders_for_script(count: int) -> list[LeaseOrder]:
    """Orders of five tries over eight subchannels and an hour."""
    statuses = {c: ChannelStatus(c, 0.0, -41.0, -41.0, -40.0, 0.2, 0.1, 0.1) for c in LORA}
    snapshot = Snapshot(0.0, "fresh", statuses)
    policy = policy_named("algorithm1")
    grid = SlotGrid(1.8e9, 0.12, 30_000)
    orders = []
    for i in range(count):
        ask = Ask(f"r{i}", f"dev-{i}", "gw", "lora", 0.1, 1, True)
        inputs = Inputs("script", ask.request_id, ask, 0, policy.name, 5, None, "fresh", snapshot.name, grid)
        orders.append(decide(inputs, snapshot.ranking(LORA, policy, None, None), {}))
    return orders


@contextmanager
def running_controller(folder: Path, url: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A controller process of its own."""
    site_file = folder / "bench.toml"
    site_file.write_text(
        f'[site]\nname = "bench"\n[spectrum]\nsigfox_groups = 0\n[controller]\nlisten = "127.0.0.1:{port}"\n'
        "horizon_s = 3000.0\nstatus_max_age_s = 3600.0\nrequests_per_s = 1e9\n"
    )
    with open(folder / "controller.log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airshed", "controller", str(site_file)],
            env={**os.environ, "REDIS_URL": url}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(60)
        yield process
    finally:
        process.terminate()
        process.wait(30)


class Gateway:
    """One stream that keeps `window` requests under way; counts answers and keeps their times."""

    def __init__(self, name: str, window: int, until_s: float, repeat: int) -> None:
        self.name = name
        self.took_ms: list[float] = []
        self.forced = self.refused = 0
        self._asked_s: dict[str, float] = {}
        self._number, self._window, self._until_s, self._repeat = 0, window, until_s, repeat

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Ask, hear, ask again, until the time is over and all is answered."""
        stream = wire_grpc.ControllerStub(channel).Attach()
        await stream.write(wire.AgentMessage(register=wire.Register(gateway=self.name, site="bench")))
        await stream.read()
        await stream.write(self._requests(self._window))
        while True:
            message = await stream.read()
            now_s = time.perf_counter()
            for answer in message.answers:
                self.took_ms.append((now_s - self._asked_s.pop(answer.request_id)) * 1e3)
                self.forced += sum(lease.forced for lease in answer.leases)
                self.refused += answer.HasField("refusal")
            if now_s < self._until_s:
                await stream.write(self._requests(len(message.answers)))
            elif not self._asked_s:
                break
        stream.cancel()

    def _requests(self, count: int) -> wire.AgentMessage:
        requests = []
        for _ in range(count):
            self._number += 1
            request_id = f"{self._repeat}-{self.name}-{self._number}"
            self._asked_s[request_id] = time.perf_counter()
            requests.append(
                wire.LeaseRequest(
                    request_id=request_id, device=f"dev-{self._repeat}-{self.name}-{self._number % 400}",
                    technology=wire.LORA, airtime_us=56_576, copies=1, keeps_time=True,
                )
            )  # fmt: skip
        return wire.AgentMessage(requests=requests)


async def crowd_over_grpc(port: int, crowd: list[Gateway]) -> float:
    """Run all gateways at once; returns how long it took."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        begun_s = time.perf_counter()
        await asyncio.gather(*(one.run(channel) for one in crowd))
        return time.perf_counter() - begun_s


def over_grpc(port: int, gateways: int, window: int, seconds: float, repeat: int) -> dict[str, float]:
    """Leases a second and their times with `gateways` streams at once, each with `window` requests under way."""
    until_s = time.perf_counter() + seconds
    crowd = [Gateway(f"gw-{i}", window, until_s, repeat) for i in range(gateways)]
    lasted_s = asyncio.run(crowd_over_grpc(port, crowd))
    took_ms = np.concatenate([one.took_ms for one in crowd])
    answered = len(took_ms) - sum(one.refused for one in crowd)
    return {
        "leases": float(answered),
        "leases_per_s": answered / lasted_s,
        "p50_ms": float(np.percentile(took_ms, 50)),
        "p99_ms": float(np.percentile(took_ms, 99)),
        "forced_share": sum(one.forced for one in crowd) / max(1, answered),
        "refused": float(sum(one.refused for one in crowd)),
    }


def state_of_a_large_site(database: RedisDatabase, devices: int = 100_000) -> dict[str, float]:
    """Memory for 1,000 subchannels and a lease, a decision and a ledger for each of `devices`."""
    centres = ", ".join(f"{865.1e6 + 130e3 * i:.0f}" for i in range(40))
    site = parse_site(
        f'[site]\nname = "large"\n[spectrum]\nlora_center_hz = [{centres}]\nsigfox_groups = 960\n'
        "[controller]\nhorizon_s = 3000.0\nstatus_max_age_s = 3600.0\nlongest_lease_s = 3600.0",
        "large.toml",
    )
    sense_everything(database, "large", (*site.spectrum.lora, *site.spectrum.sigfox))
    allocator, now_s = Allocator(site, database), time.time()
    for first in range(0, devices, 64):
        asks = [Ask(f"r{i}", f"device-{i:08d}", "gw", "lora", 0.0566, 1, True) for i in range(first, first + 64)]
        allocator.answer(asks, now_s)
    memory = database.memory_bytes()
    return {
        "state_devices": float(devices),
        "state_subchannels": float(len(site.spectrum.lora) + len(site.spectrum.sigfox)),
        "state_redis_mb": memory / 2**20,
        "state_this_process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def cpu_s(pid: int) -> float:
    """Processor time a process has used: a figure that a busy machine disturbs less than the clock."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sense_everything(database: ChannelStatusDatabase, site: str, cells: tuple[Subchannel, ...]) -> None:
    """One fresh report for each cell."""
    now_s = time.time()
    database.publish(
        site,
        [
            ChannelReport(
                "b", now_s, 0.01, c.center_hz, c.bandwidth_hz, -41.0, -41.0, -39.0, None, 0.2, 0.1, False, 0.1, 0.2
            )
            for c in cells
        ],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one run over gRPC (default 5)")
    parser.add_argument("--gateways", type=int, default=64)
    parser.add_argument("--window", type=int, default=1, help="requests a gateway has under way (default 1)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--state", action="store_true", help="only: memory of 100,000 devices and 1,000 subchannels")
    options = parser.parse_args()
    if options.state:
        with private_server() as url:
            database = connect(url)
            print(json.dumps(state_of_a_large_site(database)))
            database.close()
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="airshed-bench-")))
        url = stack.enter_context(private_server())
        database = connect(url)
        stack.callback(database.close)
        pure = [decisions_per_s() for _ in range(options.repeats)]
        scripts = script_ms(database, orders_for_script(20_000))[1000:]
        sense_everything(database, "bench", LORA)
        port = free_port()
        controller = stack.enter_context(running_controller(folder, url, port))
        over_grpc(port, options.gateways, options.window, 1.0, -1)  # warm up
        server_pid = database.server_pid()
        before_s = [cpu_s(pid) for pid in (controller.pid, server_pid, os.getpid())]
        runs = [over_grpc(port, options.gateways, options.window, options.seconds, r) for r in range(options.repeats)]
        leases = sum(run["leases"] for run in runs)
        after_s = [cpu_s(pid) for pid in (controller.pid, server_pid, os.getpid())]
        cpu_us = [(after - before) / leases * 1e6 for before, after in zip(before_s, after_s, strict=True)]
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "decisions_per_s": statistics.median(pure),
        "script_p50_ms": float(np.percentile(scripts, 50)),
        "script_p99_ms": float(np.percentile(scripts, 99)),
        **{key: statistics.median(run[key] for run in runs) for key in runs[0]},
        "controller_cpu_us_per_lease": cpu_us[0],
        "database_cpu_us_per_lease": cpu_us[1],
        "load_cpu_us_per_lease": cpu_us[2],
        "gateways": options.gateways,
        "window": options.window,
        "peak_mb_of_this_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(found) if options.json else "\n".join(f"{key:24s} {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
