"""How long every `airshed plan` command takes to answer after import, over friendly and unfriendly sizes.

    python benchmarks/plan_answers.py [--runs 9]

Each line is one command as it would be typed, called in this process with --json: options read, answer found, JSON
written. One call with other numbers goes before, so that imports are not counted and nothing of the answer is kept.
Prints median and largest time of the runs (processor time and clock) and the method that the answer names.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from planning.models.command import plan
from terminal.command import run

TABLE_D1 = "0.1,0.4,0.7,1.1,1.7"

SITE_HEAD = '[site]\nname = "big"\n'
GATEWAY = '[[gateway]]\nname = "g{0}"\nposition_m = [{1}, {2}]\n'
TRAFFIC = """[[traffic]]
name = "t{0}"
devices = {1}
period_s = {2}
payload_bytes = {3}
position_m = [{4}, {5}]
radius_m = {6}
access = "{7}"
"""


def big_site(gateways: int, groups: int, seed: int) -> str:
    """A site file of many gateways and groups, some of them scheduled."""
    rng = np.random.default_rng(seed)
    text = SITE_HEAD
    for index in range(gateways):
        text += GATEWAY.format(index, *rng.integers(-2000, 2000, 2).tolist())
    for index in range(groups):
        devices, period, payload = rng.integers(50, 2000), rng.integers(300, 7200), rng.integers(15, 60)
        places = rng.integers(-1500, 1500, 2).tolist()
        access = "pool" if index % 4 == 3 else "random"
        text += TRAFFIC.format(index, devices, period, payload, *places, rng.integers(100, 1500), access)
    return text


def questions(folder: Path) -> dict[str, list[str]]:
    """Name of a size and the words of its command."""
    rng = np.random.default_rng(1)
    for gateways in (3, 10, 16):
        lines = [",".join(f"{value:.3f}" for value in row) for row in rng.random((6, gateways))]
        (folder / f"links{gateways}.csv").write_text("\n".join(lines))
    for gateways, groups in ((4, 8), (10, 20)):
        (folder / f"site{gateways}.toml").write_text(big_site(gateways, groups, 1))
    town = str(Path(__file__).resolve().parent.parent / "hardware" / "sites" / "town.toml")
    links = {count: str(folder / f"links{count}.csv") for count in (3, 10, 16)}
    degenerate = f"queue --arrivals degenerate --gaps {TABLE_D1}"
    spelled = {
        "latency, two bands": "latency --bands G,G1 --load 0.5",
        "latency, five unlike bands": "latency --bands G,G1,G2,G3,G4 --load 0.5",
        "latency, the same near capacity": "latency --bands G,G1,G2,G3,G4 --load 0.999",
        "latency, jockeying, five bands": "latency --bands G,G1,G2,G3,G4 --load 0.9 --method jockeying",
        "latency, SF shares, 10^6 devices": "latency --bands G,G2 --load 0.1 --devices 1000000 "
        "--sf-shares 7=0.2,8=0.2,9=0.2,10=0.2,11=0.1,12=0.1",
        "capture, distance": "capture --devices 1200",
        "capture, optimised": "capture --devices 3000 --allocation optimised",
        "capture, optimised, disc, 10^6 devices": "capture --devices 1000000 --allocation optimised --population disc",
        "capture, 10^4 channels and paths": "capture --devices 1000000 --channels 10000 --paths 10000",
        "collisions, 3 gateways": f"collisions --links {links[3]} --devices 500",
        "collisions, 10 gateways, 10^6 devices a group": f"collisions --links {links[10]} --devices 1000000",
        "collisions, 16 gateways": f"collisions --links {links[16]} --devices 500",
        "collisions, distribution 12,12": f"collisions --links {links[3]} --devices 500 --distribution 12,12",
        "collisions, distribution 12,7, heavy": f"collisions --links {links[10]} --devices 20000 --distribution 12,7",
        "collisions, distribution 7,12, heavy": f"collisions --links {links[10]} --devices 20000 --distribution 7,12",
        "queue, markov, 8 servers": "queue --servers 8 --service-time 4.07 --rate 1",
        "queue, markov, 10,000 servers": "queue --servers 10000 --service-time 4.07 --rate 2400",
        "queue, degenerate, n 2": f"{degenerate} --servers 2 --service-time 1",
        "queue, degenerate, n 4": f"{degenerate} --servers 4 --service-time 4.7",
        "queue, degenerate, n 8": f"{degenerate} --servers 8 --service-time 4.7",
        "queue, degenerate, n 12": f"{degenerate} --servers 12 --service-time 6.7",
        "queue, degenerate, half lost, n 8": f"{degenerate} --servers 8 --service-time 4.7 --outage 0.5",
        "queue, degenerate, two services, n 8": f"{degenerate} --servers 8 --service-time 4.7,3.1",
        "queue, degenerate, odd gaps, n 16": "queue --arrivals degenerate --gaps 0.103,0.317,0.711 --servers 16 "
        "--service-time 4.7",
        "queue, degenerate, 1,000 servers": f"{degenerate} --servers 1000 --service-time 300",
        "queue, degenerate, 200 gaps": "queue --arrivals degenerate --servers 8 --service-time 4.7 --gaps "
        + ",".join(f"{0.1 + 0.00713 * k:.5f}" for k in range(200)),
        "pool, 30,000 devices": "pool --devices 30000",
        "pool, exact, 30,000 devices": "pool --devices 30000 --method exact",
        "pool, rigorous, 30,000 devices": "pool --devices 30000 --method rigorous",
        "pool, exact, 10^6 devices": "pool --devices 1000000 --method exact",
        "pool, exact, 10^6 devices, p 0.9, L 100": "pool --devices 1000000 --error-rate 0.9 --max-transmissions 100 "
        "--method exact",
        "pool, rigorous, 10^7 devices": "pool --devices 10000000 --method rigorous",
        "pool, most devices for a capacity, exact": "pool --capacity 500000 --method exact",
        "pool, most devices for a capacity, rigorous": "pool --capacity 50000 --method rigorous",
        "pool, most devices for LTE, exact": "pool --report-bytes 100 --max-fraction 0.5 --method exact",
        "pool, 10^6 reports an interval": "pool --devices 1000 --reports-per-interval 1000000 --method exact",
        "pool, deterministic, L 1000": "pool --devices 100000 --arrivals deterministic --reports-per-interval 3 "
        "--max-transmissions 1000 --error-rate 0.5 --method rigorous",
        "site, the town": f"site {town}",
        "site, 4 gateways, 8 groups": f"site {folder / 'site4.toml'}",
        "site, 10 gateways, 20 groups": f"site {folder / 'site10.toml'}",
    }
    return {name: text.split() for name, text in spelled.items()}


def asked(words: list[str]) -> tuple[int, dict[str, object]]:
    """Exit status and answer of one command."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = run(plan, [*words, "--json"])
    return status, json.loads(printed.getvalue()) if printed.getvalue() else {}


def main() -> None:
    """A table of all questions."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=9)
    options.add_argument("--only", default="", help="questions whose name holds this")
    given = options.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"load when it began {os.getloadavg()[0]:.1f}; {given.runs} runs\n")
    print("| question | method | processor ms, median | largest | clock ms, median |\n| --- | --- | --- | --- | --- |")
    warm = [
        "latency --bands G,G3 --load 0.4", "capture --devices 100", "queue --servers 3 --service-time 1 --rate 1",
        "queue --servers 2 --service-time 1 --arrivals degenerate --gaps 0.4,0.5", "pool --devices 20 --method exact",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.toml").write_text(big_site(1, 4, 2))
        (folder / "small.csv").write_text("0.5,0.2\n")
        warm += [f"site {folder / 'small.toml'}", f"collisions --links {folder / 'small.csv'} --distribution 12,12"]
        for words in warm:
            asked(words.split())
        for label, words in questions(folder).items():
            if given.only not in label:
                continue
            busy, clock = [], []
            for _ in range(given.runs):
                begin, began = time.process_time(), time.perf_counter()
                status, answer = asked(words)
                busy.append(1e3 * (time.process_time() - begin))
                clock.append(1e3 * (time.perf_counter() - began))
            method = answer.get("method", "model") if status == 0 else f"status {status}"
            print(
                f"| {label} | {method} | {statistics.median(busy):.1f} | {max(busy):.1f} | "
                f"{statistics.median(clock):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
