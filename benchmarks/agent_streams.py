"""1,000 gateways' agents against one controller: one process with many streams, each asks and reports.

Prints one JSON object: streams attached, requests answered, how long that took, and the median wait of an answer.
Run: python benchmarks/agent_streams.py --streams 1000 --requests 3
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator

import grpc

from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc


class Stream:
    """One gateway's stream: registers, asks `count` times, reports each as an uplink."""

    def __init__(self, number: int, count: int) -> None:
        self.number, self.count = number, count
        self.waits_s: list[float] = []
        self.attached = False
        self._answered = asyncio.Event()

    async def messages(self) -> AsyncIterator[wire.AgentMessage]:
        """What this agent says."""
        name = f"load-{self.number:04d}"
        yield wire.AgentMessage(register=wire.Register(gateway=name))
        for turn in range(self.count):
            self._asked_s = time.monotonic()
            self._answered.clear()
            request = wire.LeaseRequest(
                request_id=f"{name}-{turn}-{time.time_ns()}", device=f"{name}-d", technology=wire.LORA,
                airtime_us=50_000, copies=1, keeps_time=True,
            )  # fmt: skip
            uplink = wire.Uplink(device=f"{name}-d", at_us=time.time_ns() // 1000, subchannel_hz=868_100_000)
            yield wire.AgentMessage(requests=[request], uplinks=[uplink])
            await self._answered.wait()

    async def run(self, channel: grpc.aio.Channel, all_attached: asyncio.Event) -> None:
        """Until all answers have come and every other stream has attached."""
        stub = wire_grpc.ControllerStub(channel)
        stream = stub.Attach(self.messages())
        async for message in stream:
            self.attached = True
            for _ in message.answers:
                self.waits_s.append(time.monotonic() - self._asked_s)
                self._answered.set()
            if len(self.waits_s) == self.count:
                break
        await all_attached.wait()
        stream.cancel()


async def load(address: str, streams: int, count: int, timeout_s: float) -> dict[str, float]:
    """Open all streams at once; TimeoutError when not all are answered in time."""
    started_s = time.monotonic()
    agents = [Stream(i, count) for i in range(streams)]
    done = asyncio.Event()
    # a hundred streams a connection is what HTTP/2 servers allow without being asked
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(-(-streams // 100))]
    tasks = [asyncio.create_task(agent.run(channels[i // 100], done)) for i, agent in enumerate(agents)]
    try:
        async with asyncio.timeout(timeout_s):
            while any(len(agent.waits_s) < count for agent in agents):
                await asyncio.sleep(0.05)
                for task in tasks:
                    if task.done():
                        task.result()
    finally:
        done.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        for channel in channels:
            await channel.close()
    waits_s = [wait_s for agent in agents for wait_s in agent.waits_s]
    return {
        "streams": sum(agent.attached for agent in agents),
        "answers": len(waits_s),
        "took_s": round(time.monotonic() - started_s, 2),
        "median_wait_ms": round(statistics.median(waits_s) * 1e3, 2),
    }


def main() -> None:
    """Against a controller that runs, or one started here over memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True, help="HOST:PORT of a running controller without TLS")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=300.0)
    options = parser.parse_args()
    found = asyncio.run(load(options.address, options.streams, options.requests, options.timeout))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
