"""What a flooding gateway does to another's grants: request to grant alone and beside the flood, in turns.

    sudo python benchmarks/backhaul_flood.py [--base os-ken|ryu] [--repeats 10] [--requests 200] [--mbit 50] [--json]

Open vSwitch in user space, two gateways and the controller are in namespaces of this machine and share its cores; it
needs root and Open vSwitch (docs/backhaul.md). One gateway asks for a lease every 5 ms, the other sends UDP to the
controller: once with the usual meters (user traffic: 10 Mbit/s for each gateway), once with meters that stop nothing.
Printed are the medians over the repeats, with the least and the most.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import os
import platform
import shutil
import signal
import tempfile
from contextlib import ExitStack
from statistics import median
from typing import Any

from channel_status.embedded import private_server
from spectrum.errors import Failed
from testbed.backhaul_bench import Bench, beside_flood, p99
from testbed.backhaul_site import BackhaulSite, objection

# Faster than any flood here.
NO_LIMIT_KBIT_S = 1_000_000


def machine() -> str:
    """Processor, cores and Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": median(values), "least": min(values), "most": max(values)}


def measured(bench: Bench, repeats: int, requests: int, mbit_s: float) -> dict[str, Any]:
    """p50 and p99 in ms, alone and beside the flood, and their ratio."""
    quiet, flooding = bench.agent("gw-1"), bench.agent("gw-2")
    quiet.ask(50, 0.0)  # whatever is slow only once
    pairs = beside_flood(bench, quiet, "gw-2", repeats, requests, mbit_s)
    quiet.close()
    flooding.close()
    return {
        "alone_p50_ms": spread([1e3 * median(alone) for alone, _ in pairs]),
        "beside_p50_ms": spread([1e3 * median(beside) for _, beside in pairs]),
        "alone_p99_ms": spread([1e3 * p99(alone) for alone, _ in pairs]),
        "beside_p99_ms": spread([1e3 * p99(beside) for _, beside in pairs]),
        "p99_ratio": spread([p99(beside) / p99(alone) for alone, beside in pairs]),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", choices=["os-ken", "ryu"], default="os-ken")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--mbit", type=float, default=50.0, help="of the flood, at most 50")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if why_not := objection():
        raise SystemExit(why_not)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that namespaces are removed then, too
    folder = Path(tempfile.mkdtemp(prefix="abh"))
    found: dict[str, Any] = {"machine": machine(), "base": options.base, "repeats": options.repeats,
                             "requests": options.requests, "flood_mbit_s": options.mbit}  # fmt: skip
    try:
        with ExitStack() as stack:
            url = stack.enter_context(private_server())
            site = stack.enter_context(BackhaulSite(folder, ["gw-1", "gw-2"]))
            bench = Bench(site, url, stack, options.base)
            found["metered"] = measured(bench, options.repeats, options.requests, options.mbit)
            bench.restart_controller(user_kbit_s=NO_LIMIT_KBIT_S)
            found["not metered"] = measured(bench, options.repeats, options.requests, options.mbit)
    except Failed as error:
        raise SystemExit(str(error)) from None
    finally:
        shutil.rmtree(folder)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(
        f"{found['machine']}; {options.base}, {options.mbit:g} Mbit/s, {options.repeats} x {options.requests} requests"
    )
    print(
        "\n| | alone p50 / p99 ms | beside the flood p50 / p99 ms | ratio of p99 (least to most) |\n|---|---|---|---|"
    )
    for name in ("metered", "not metered"):
        row = found[name]
        alone, beside = (
            f"{row[f'{when}_p50_ms']['median']:.1f} / {row[f'{when}_p99_ms']['median']:.1f}"
            for when in ("alone", "beside")
        )
        ratio = row["p99_ratio"]
        print(f"| {name} | {alone} | {beside} | {ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f}) |")


if __name__ == "__main__":
    main()
