"""How true the promised Pf is under each floor policy: the table of docs/sensing.md.

    python benchmarks/sensing_floors.py [--seconds 60] [--pf 0.1] [--policies hybrid,fcme,median,minimum]

Cells of known scenes (19 subchannels, 10 ms) are drawn from their exact laws; printed is the share of cells without any
signal that are called busy, over the design Pf, and the share of cells with a signal that are called idle.
"""

from __future__ import annotations

import sys
from pathlib import Path

# sensing.py beside this file is called like the room it measures: the room must be found first.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
from typing import Final

import numpy as np

from sensing.cell_scenes import CellScene, try_detector
from sensing.detector import Design
from sensing.floor import POLICIES

SCENES: Final = {
    "noise": CellScene(),
    "10 % duty": CellScene(duty=0.1),
    "30 % duty": CellScene(duty=0.3),
    "60 % duty": CellScene(duty=0.6),
    "80 % duty": CellScene(duty=0.8),
    "80 % duty, bursts of 1 s": CellScene(duty=0.8, burst_s=1.0),
    "3 dB band-edge roll-off": CellScene(rolloff_db=3.0),
    "+-0.5 dB drift in 20 s": CellScene(drift_db=0.5),
    "80 % duty, roll-off and drift": CellScene(duty=0.8, rolloff_db=3.0, drift_db=0.5),
    "three carriers, 30 % duty": CellScene(duty=0.3, always_on=(0, 7, 8)),
    "carrier of 3 dB": CellScene(always_on=(7,), carrier_snr_db=3.0),
    "98 % duty, bursts of 2 s (*)": CellScene(duty=0.98, burst_s=2.0, snr_db=(10.0, 10.0)),
    "60 % duty at -12..-8 dB (*)": CellScene(duty=0.6, snr_db=(-12.0, -8.0)),
}


def main() -> None:
    """Read the command line and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of air in each scene")
    parser.add_argument("--pf", type=float, default=0.1)
    parser.add_argument("--policies", default=",".join(POLICIES))
    options = parser.parse_args()
    policies = options.policies.split(",")
    print("| scene | " + " | ".join(f"{policy}: Pf/design | missed" for policy in policies) + " |")
    print("|---" * (1 + 2 * len(policies)) + "|")
    for name, scene in SCENES.items():
        cells = []
        for policy in policies:
            design = Design(pf=options.pf, floor=policy)
            trial = try_detector(scene, design, options.seconds, np.random.default_rng(1))
            missed = "" if np.isnan(trial.missed) else f"{trial.missed:.3f}"
            cells.append(f"{trial.false_alarms / options.pf:.2f} | {missed}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
