"""What the console's live feed costs: ten sensors that update ten times a second, and pages that look.

    python benchmarks/console_feed.py [--sensors 10] [--pages 1 20] [--seconds 15] [--devices 2000] [--json]

The console is a process of its own over a Redis of its own; this process writes what sensors write and reads what pages
read. Printed: the processor time of one look at the database, and for each number of pages that of the console, bytes
to a page, how long after its publication a row is at a page, and what was dropped.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file beside this one is called like a room: the rooms must be found first.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from typing import Any

import numpy as np

from channel_status import records
from channel_status.embedded import private_server
from channel_status.redis_door import RedisDatabase, connect
from console.reader import Reader
from console.views import every_subchannel
from sensing.source import Tuning
from sensing.waterfall import Air, Waterfall
from spectrum.report import ChannelReport
from spectrum.site_file import Site, parse_site
from testbed.demo_site import free_port

TICKS_PER_S = 0.01  # a clock tick of /proc on Linux
INTERVALS = 10


def site_toml(sensors: int, port: int) -> str:
    """A site with so many sensors and a console."""
    tables = "".join(f'[[sensor]]\nname = "sensor-{n}"\n' for n in range(sensors))
    return f'[site]\nname = "feed"\n[console]\nlisten = "127.0.0.1:{port}"\n{tables}'


class Writers(threading.Thread):
    """Writes reports, rows and events as the parts of a site do, ten times a second, until stopped."""

    def __init__(self, site: Site, database: RedisDatabase) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.late = 0
        self._site, self._database = site, database
        self._cells = every_subchannel(site)
        self._waterfalls = [Waterfall(s.name, Tuning(868.0125e6, 2.4e6), 480) for s in site.sensor]
        self._rng = np.random.default_rng(1)

    def run(self) -> None:
        due_s = time.time()
        while not self.ended.is_set():
            self.write(due_s)
            due_s += 0.1
            if time.time() > due_s + 0.1:
                self.late += 1
                due_s = time.time()
            time.sleep(max(0.0, due_s - time.time()))

    def write(self, now_s: float) -> None:
        """One update of every sensor, and an event."""
        for sensor, waterfall in zip(self._site.sensor, self._waterfalls, strict=True):
            energies = -42.0 + self._rng.exponential(2.0, (INTERVALS, len(self._cells)))
            reports = [
                ChannelReport(
                    sensor.name, now_s - 0.01 * (INTERVALS - row), 0.01, cell.center_hz, cell.bandwidth_hz,
                    float(energies[row, column]), -41.0, -39.0, None, 0.2, 0.1, bool(energies[row, column] > -39.0),
                    0.1, 0.19,
                )
                for row in range(INTERVALS)
                for column, cell in enumerate(self._cells)
            ]  # fmt: skip
            self._database.publish("feed", reports)
            told = waterfall.see(Air(np.array([now_s]), self._rng.exponential(1e-5, (1, 480)), np.zeros(1)))
            for stream, row in told + waterfall.judge(reports):
                self._database.append("feed", f"{stream}:{sensor.name}", [row])
        event = {"event": "gateway", "at_us": str(records.microseconds(now_s)), "gateway": "gw", "state": "attached"}
        self._database.append("feed", "events", [records.encode(event)])


def fill(database: RedisDatabase, devices: int) -> None:
    """Devices as monitoring keeps them."""
    application = {
        "period_s": 600.0, "phase_s": 1.0, "received": 95, "missed": 5, "outage": 0.05, "outage_ci95": [0.02, 0.11],
        "offline": False, "offline_probability": 0.0, "jitter_s": 0.1, "next_s": 0.0, "overdue": 0, "silent_s": 0.0,
        "degraded": False,
    }  # fmt: skip
    kpi = {
        "applications": [application], "outage": 0.05, "offline": False, "offline_probability": 0.0, "degraded": False,
        "last_seen_s": time.time(), "receptions": 95,
    }  # fmt: skip
    database.put("feed", "devices", {f"dev-{n}": records.encode({"device": f"dev-{n}"} | kpi) for n in range(devices)})


def used_s(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICKS_PER_S


async def page(port: int, seconds: float) -> dict[str, Any]:
    """One page for some seconds: bytes, messages by kind, and how old the rows were when they came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    writer.write(b"GET /api/feed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    found: dict[str, Any] = {"bytes": 0, "kinds": {}, "ages_s": [], "dropped": 0}
    kind, until_s = "", time.monotonic() + seconds
    while (wait_s := until_s - time.monotonic()) > 0:
        try:
            line = await asyncio.wait_for(reader.readline(), wait_s)
        except TimeoutError:
            break
        found["bytes"] += len(line)
        if line.startswith(b"event: "):
            kind = line[7:-1].decode()
            found["kinds"][kind] = found["kinds"].get(kind, 0) + 1
        elif line.startswith(b"data: ") and kind == "spectrum":
            rows = json.loads(line[6:])["rows"]
            # A live row is complete, and published, when the next one begins.
            found["ages_s"] += [time.time() - row["time_s"] - 0.1 for row in rows]
        elif line.startswith(b"data: ") and kind == "beat":
            found["dropped"] = json.loads(line[6:])["dropped"]
    writer.close()
    return found


@contextmanager
def console_process(toml: str, url: str, port: int) -> Any:
    """`airshed console` as a process, once it answers."""
    with tempfile.TemporaryDirectory() as folder:
        site_file = Path(folder) / "site.toml"
        site_file.write_text(toml)
        environment = {**os.environ, "REDIS_URL": url}
        command = [sys.executable, "-m", "airshed", "console", str(site_file)]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            until_s = time.monotonic() + 60.0
            while time.monotonic() < until_s:
                with socket_to(port) as up:
                    if up:
                        break
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()
            process.wait()


@contextmanager
def socket_to(port: int) -> Any:
    """Whether somebody listens there."""
    import socket

    with socket.socket() as probe:
        yield probe.connect_ex(("127.0.0.1", port)) == 0


def look_cpu_s(site: Site, database: RedisDatabase, looks: int = 100) -> float:
    """Median processor time of one look when every sensor has just updated; ten of them are made a second.

    Busy neighbours on the machine disturb this less than the figures of the processes.
    """
    writers = Writers(site, database)
    reader = Reader(site, database, time.time, time.monotonic)
    took = []
    for _ in range(looks):
        writers.write(time.time())
        began_s = time.process_time()
        reader.look()
        took.append(time.process_time() - began_s)
    return statistics.median(took[10:])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is printed."""
    port = free_port()
    toml = site_toml(options.sensors, port)
    site = parse_site(toml, "feed.toml")
    rows = []
    with private_server() as url:
        database = connect(url)
        fill(database, options.devices)
        look_s = look_cpu_s(site, database)
        writers = Writers(site, database)
        writers.start()
        with console_process(toml, url, port) as process:
            time.sleep(3.0)
            for pages in options.pages:
                before_s, began_s = used_s(process.pid), time.monotonic()
                found = asyncio.run(look(port, pages, options.seconds))
                took_s = time.monotonic() - began_s
                ages = sorted(age for one in found for age in one["ages_s"])
                rows.append(
                    {
                        "pages": pages,
                        "console_cpu_share": (used_s(process.pid) - before_s) / took_s,
                        "kbyte_s_a_page": statistics.median(one["bytes"] for one in found) / took_s / 1e3,
                        "rows_s_a_page": len(ages) / pages / took_s,
                        "row_age_p50_s": ages[len(ages) // 2] if ages else None,
                        "row_age_p99_s": ages[int(len(ages) * 0.99)] if ages else None,
                        "dropped": sum(one["dropped"] for one in found),
                    }
                )
        memory_mb = database.memory_bytes() / 1e6
        writers.ended.set()
        writers.join()
        late = writers.late
        database.close()
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "sensors": options.sensors, "devices": options.devices, "seconds": options.seconds, "feeds": rows,
        "look_cpu_ms": 1e3 * look_s, "late_writes": late, "redis_mb": memory_mb,
    }  # fmt: skip


async def look(port: int, pages: int, seconds: float) -> list[dict[str, Any]]:
    """So many pages at once."""
    return await asyncio.gather(*(page(port, seconds) for _ in range(pages)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=10)
    parser.add_argument("--pages", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['machine']}; {options.sensors} sensors, 10 updates a second each, {options.devices} devices")
    print(f"one look: {found['look_cpu_ms']:.1f} ms of processor time")
    print("pages  console CPU  kB/s a page  rows/s a page  row age p50  p99     dropped")
    for row in found["feeds"]:
        p50, p99 = (1e3 * (row[name] or 0.0) for name in ("row_age_p50_s", "row_age_p99_s"))
        print(
            f"{row['pages']:5d}  {row['console_cpu_share']:10.1%}  {row['kbyte_s_a_page']:11.0f}  "
            f"{row['rows_s_a_page']:13.1f}  {p50:8.0f} ms {p99:5.0f} ms  {row['dropped']:6d}"
        )
    print(f"Redis holds {found['redis_mb']:.0f} MB; {found['late_writes']} writes came late")


if __name__ == "__main__":
    main()
