"""A live sensor as it runs at a site: how long from a block to its records in the database, what is lost, what it eats.

    python benchmarks/sensing_live.py [--seconds 60] [--json]

Two seconds of a busy band, made once, are played again and again at 2.4 MS/s through the whole live path: our rtl_tcp
server, our client with its queue, the sensor on eight LoRaWAN channels, a Redis of its own. Deliveries are of 5 ms.
Measured from the arrival of a block, and from its last sample, to the end of publishing the records that it completed;
the first tenth (compiling, warm-up) is left out. Bounded in time; server, sensor and Redis share this machine.
For the memory over an hour of stream at ten times the rate see benchmarks/sensing.py --soak 5.
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
BLOCK_SAMPLES = 24_000


def scene_bytes() -> np.ndarray:
    """SCENE_S of a busy band as a dongle delivers it: uint8, shape (2N,)."""
    scene = busy_band(TUNING.center_hz, TUNING.rate_hz, seed=1)
    chunks = round(SCENE_S * TUNING.rate_hz / scene.chunk_samples)
    return np.concatenate([u8_of(scene.chunk(index)) for index in range(chunks)])


def resident_mb() -> float:
    """Resident memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


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

    def __init__(self, air: np.ndarray) -> None:
        self._air = air

    def follows(self, before: Tuning, after: Tuning) -> bool:
        return False

    def __call__(self, tuning: Tuning) -> Loop:
        return Loop(self._air)


def measure(air: np.ndarray, seconds: float) -> dict[str, float]:
    """The live path for `seconds`."""
    # Compiled first: what a sensor loses in its first second after an installation is not what is asked here.
    Sensor(SensorConfig(TUNING, subchannels=LORAWAN_CHANNELS)).feed(IqBlock(air, 0, 0.0))
    server = RtlTcpServer(Air(air), limits=Limits(seconds_most=seconds + 5.0))
    thread = threading.Thread(target=lambda: list(server.serve(1)), daemon=True)
    thread.start()
    host, port = server.address
    settings = RtlTcpSettings(host, port, TUNING.center_hz, TUNING.rate_hz)
    took_ms: list[float] = []
    age_ms: list[float] = []
    memory_mb: list[float] = []
    records, busy_s = 0, time.process_time()
    with private_server() as url:
        database = connect(url)
        with RtlTcpSource(settings, patience=Patience(give_up_s=5.0)) as source:
            sensor = Sensor(SensorConfig(source.tuning, subchannels=LORAWAN_CHANNELS))
            begun_s = time.perf_counter()
            for block in source.blocks():
                arrived_s = time.perf_counter()
                reports = sensor.feed(block)
                if reports:
                    database.publish("live", reports)
                    records += len(reports)
                    took_ms.append(1e3 * (time.perf_counter() - arrived_s))
                    age_ms.append(1e3 * (time.time() - block.time_s - block.count / source.tuning.rate_hz))
                    memory_mb.append(resident_mb())
                if time.perf_counter() - begun_s > seconds:
                    break
            health = source.health
        database.close()
    server.close()
    thread.join(10.0)
    settled = len(took_ms) // 10
    return {
        "seconds": seconds,
        "records": records,
        "lost_samples": health.lost_samples,
        "overrun_samples": health.overrun_samples,
        "restarts": health.restarts,
        "processor_share": (time.process_time() - busy_s) / seconds,  # of server and sensor
        "block_to_record_ms_median": float(np.median(took_ms[settled:])),
        "block_to_record_ms_p99": float(np.percentile(took_ms[settled:], 99)),
        "sample_to_record_ms_median": float(np.median(age_ms[settled:])),
        "sample_to_record_ms_p99": float(np.percentile(age_ms[settled:], 99)),
        "memory_mb_settled": memory_mb[settled],
        "memory_mb_end": memory_mb[-1],
    }


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the clock, 600 at the most")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    found = measure(scene_bytes(), min(options.seconds, 600.0))
    if options.json:
        print(json.dumps({"machine": machine, **found}))
        return
    print(machine)
    for name, value in found.items():
        print(f"{name:28} {value:.3f}")


if __name__ == "__main__":
    main()
