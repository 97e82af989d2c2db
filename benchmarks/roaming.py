"""How long `airshed roam` takes and how much memory: synthesize, then classify, each as a process of its own.

    python benchmarks/roaming.py [--devices 1000000] [--days 22] [--repeats 1] [--memory-gb 1.0] [--spark]

1,000,000 devices over 22 days write about 1 GB of records and 2 GB of staging, both removed at the end. With --spark
the classification runs on Spark as well (extra `cluster`, Java), and the two must count the same classes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def measured(*arguments: str) -> tuple[dict[str, Any], dict[str, float]]:
    """Run `airshed roam ...`; return the JSON it wrote to a file and its wall, CPU seconds and peak memory."""
    with tempfile.TemporaryFile("w+") as output:
        begun_s = time.perf_counter()
        process = subprocess.Popen(["airshed", "roam", *arguments], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begun_s
        if status:
            sys.exit(f"airshed roam {' '.join(arguments)} failed")
        output.seek(0)
        text = output.read()
    cost = {"wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_gb": usage.ru_maxrss / 1e6}
    return (json.loads(text) if text.startswith("{") else {}), cost


def classes(out: Path) -> dict[str, int]:
    import duckdb

    rows = duckdb.sql(f"SELECT class, count(*) FROM '{out}/classes.parquet' GROUP BY class ORDER BY class").fetchall()
    return dict(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=22)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--memory-gb", type=float, default=1.0)
    parser.add_argument("--spark", action="store_true")
    parser.add_argument("--daily-parts", action="store_true", help="a file a day, as 40 million devices need")
    parser.add_argument(
        "--folder", type=Path, help="where to write; removed at the end  [default: the temporary folder]"
    )
    options = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        size = ["--devices", str(options.devices), "--days", str(options.days), "--seed", "1", "--out", str(folder)]
        size += ["--daily-parts"] if options.daily_parts else []
        written, cost = measured("synthesize", *size, "--json")
        rows = sum(written["rows"][table] for table in ("radio", "cdr"))
        report("synthesize", cost, sum(written["rows"].values()))
        engines = ["duckdb", "spark"] if options.spark else ["duckdb"]
        found = {}
        for engine in engines:
            out = folder / engine
            run = ["classify", str(folder), "--format", "parquet", "--engine", engine, "--out", str(out)]
            run += ["--memory-gb", str(options.memory_gb)]
            costs = [measured(*run)[1] for _ in range(options.repeats)]
            report(f"classify on {engine}", {key: statistics.median(c[key] for c in costs) for key in costs[0]}, rows)
            found[engine] = classes(out)
        print(f"classes: {found['duckdb']}")
        if options.spark:
            print(f"same classes on both engines: {found['spark'] == found['duckdb']}")


def report(what: str, cost: dict[str, float], rows: int) -> None:
    rate = rows / cost["wall_s"] / 1e6
    print(f"{what:<20} {rows:>12,} rows  wall {cost['wall_s']:7.1f} s  CPU {cost['cpu_s']:7.1f} s  "
          f"peak {cost['peak_gb']:5.2f} GB  {rate:5.2f} million rows/s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
