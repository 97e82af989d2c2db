"""Does a sensor hold out? Memory over a long stream, and the time from a block to its records in the database.

    python benchmarks/sensing_soak.py [--seconds 300] [--speed 10] [--latency-seconds 30] [--json]

The stream is two seconds of a busy band, made once and played again and again, so that its making costs nothing.
Part one feeds it at `speed` times real time for `seconds` and watches the resident memory: it must not grow after the
first fifth. Part two takes it at real time through the whole live path (our rtl_tcp server, our client with its
queue, the sensor, a Redis of its own) in deliveries of 5 ms and measures from the arrival of a block to the end of
publishing the records that it completed. Both parts are bounded in time; one process and its Redis on this machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import os
import platform
import threading
import time
from collections.abc import Iterator

import msgspec
import numpy as np

from channel_status.embedded import private_server
from channel_status.redis_door import connect
from sensing.live import Patience
from sensing.raster import LORAWAN_CHANNELS
from sensing.rtl_tcp_source import RtlTcpSettings, RtlTcpSource
from sensing.scenes import busy_band
from sensing.source import IqBlock, SourceContext, Tuning, u8_of
from sensing.stream import Sensor, SensorConfig
from testbed.rtl_tcp_server import Limits, RtlTcpServer

TUNING = Tuning(868.0125e6, 2.4e6)
SCENE_S = 2.0
BLOCK_SAMPLES = 24_000  # 10 ms


def scene_bytes() -> np.ndarray:
    """SCENE_S of a busy band as a dongle delivers it: uint8, shape (2N,)."""
    scene = busy_band(TUNING.center_hz, TUNING.rate_hz, seed=1)
    chunks = round(SCENE_S * TUNING.rate_hz / scene.chunk_samples)
    return np.concatenate([u8_of(scene.chunk(index)) for index in range(chunks)])


def resident_mb() -> float:
    """Resident memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak(air: np.ndarray, seconds: float, speed: float) -> dict[str, float]:
    """Feed the stream at `speed` times real time for `seconds`; memory once a second, and how much was made of it."""
    sensor = Sensor(SensorConfig(TUNING))
    memory_mb: list[float] = []
    blocks = air.reshape(-1, 2 * BLOCK_SAMPLES)
    begun_s, busy_s, records, fed, number = time.perf_counter(), time.process_time(), 0, 0, 0
    while (elapsed_s := time.perf_counter() - begun_s) < seconds:
        ahead_s = fed / TUNING.rate_hz / speed - elapsed_s
        if ahead_s > 0:
            time.sleep(ahead_s)
        reports = sensor.feed(IqBlock(blocks[number % len(blocks)], fed, fed / TUNING.rate_hz))
        records += sum(1 for report in reports if msgspec.json.encode(report))
        fed += BLOCK_SAMPLES
        number += 1
        if elapsed_s >= len(memory_mb):
            memory_mb.append(resident_mb())
    settled = memory_mb[len(memory_mb) // 5 :]
    slope, _ = np.polyfit(np.arange(len(settled)), settled, 1) if len(settled) > 1 else (0.0, 0.0)
    stream_s = fed / TUNING.rate_hz
    return {
        "seconds": seconds,
        "stream_s": stream_s,
        "times_real_time": stream_s / seconds,
        "cpu_share": (time.process_time() - busy_s) / seconds,
        "records": records,
        "memory_mb_settled": settled[0],
        "memory_mb_end": memory_mb[-1],
        "memory_mb_most": max(memory_mb),
        "growth_mb_per_stream_hour": float(slope) * seconds / stream_s * 3600.0,
    }


class Loop(SourceContext):
    """The scene again and again, as a source."""

    tuning = TUNING
    name = "scene"

    def __init__(self, air: np.ndarray) -> None:
        self._air = air

    def blocks(self) -> Iterator[IqBlock]:
        first = 0
        while True:
            for start in range(0, self._air.size, 2 * BLOCK_SAMPLES):
                yield IqBlock(self._air[start : start + 2 * BLOCK_SAMPLES], first, first / TUNING.rate_hz)
                first += BLOCK_SAMPLES


class Air:
    """The scene for every client."""

    retunes = False

    def __init__(self, air: np.ndarray) -> None:
        self._air = air

    def __call__(self, tuning: Tuning) -> Loop:
        return Loop(self._air)


def latency(air: np.ndarray, seconds: float) -> dict[str, float]:
    """Milliseconds from a block to its published records at real time, over the live path."""
    server = RtlTcpServer(Air(air), limits=Limits(seconds_most=seconds + 5.0))
    thread = threading.Thread(target=lambda: list(server.serve(1)), daemon=True)
    thread.start()
    host, port = server.address
    settings = RtlTcpSettings(host, port, TUNING.center_hz, TUNING.rate_hz)
    took_ms: list[float] = []
    age_ms: list[float] = []
    records = 0
    with private_server() as url:
        database = connect(url)
        with RtlTcpSource(settings, patience=Patience(give_up_s=5.0)) as source:
            sensor = Sensor(SensorConfig(source.tuning, subchannels=LORAWAN_CHANNELS))
            begun_s = time.perf_counter()
            for block in source.blocks():
                arrived_s = time.perf_counter()
                reports = sensor.feed(block)
                if reports:
                    database.publish("soak", reports)
                    records += len(reports)
                    took_ms.append(1e3 * (time.perf_counter() - arrived_s))
                    age_ms.append(1e3 * (time.time() - block.time_s - block.count / source.tuning.rate_hz))
                if time.perf_counter() - begun_s > seconds:
                    break
            health = source.health
        database.close()
    server.close()
    thread.join(10.0)
    settled = slice(len(took_ms) // 10, None)  # compiling and warm-up are not what an hour is made of
    return {
        "seconds": seconds,
        "records": records,
        "lost_samples": health.lost_samples,
        "block_to_record_ms_median": float(np.median(took_ms[settled])),
        "block_to_record_ms_p99": float(np.percentile(took_ms[settled], 99)),
        "sample_to_record_ms_median": float(np.median(age_ms[settled])),
        "sample_to_record_ms_p99": float(np.percentile(age_ms[settled], 99)),
    }


def main() -> None:
    """Run both parts and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="wall time of the soak")
    parser.add_argument("--speed", type=float, default=10.0, help="times real time")
    parser.add_argument("--latency-seconds", type=float, default=30.0, help="wall time of the latency measurement")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    air = scene_bytes()
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "soak": soak(air, min(options.seconds, 3600.0), options.speed),
        "latency": latency(air, min(options.latency_seconds, 600.0)),
    }
    if options.json:
        print(json.dumps(found))
        return
    print(found["machine"])
    for part in ("soak", "latency"):
        print(f"{part}:")
        for name, value in found[part].items():  # type: ignore[attr-defined]
            print(f"  {name:28} {value:.3f}")


if __name__ == "__main__":
    main()
