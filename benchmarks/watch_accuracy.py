"""Errors of every monitoring method on the traces of section 5 of paper E, as the table of docs/monitoring.md.

    python benchmarks/watch_accuracy.py [--runs 200] [--seed 1] [--cells 0.3:50 0.5:50 ...]
    python benchmarks/watch_accuracy.py --offline --runs 40 --cells 0.3:50

A cell is OUTAGE:RECEPTIONS; labelled streams are application 1 alone, unlabelled ones two applications, the second over
the time span of the first. Prints mean absolute errors with 95 % intervals against the nominal and the realised outage.
With --offline: the probability that a stopped device is found after so many missed reports (0: false alarms per test).
Targets: labelled <= 0.050 nominal and <= 0.001 realised at 0.3:50 and <= 0.045 nominal at 0.5:50; unlabelled <= 0.045
nominal and <= 0.006 realised at 0.3:50.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from monitoring.periodic.evaluation import ErrorRow, error_rows, offline_rows

CELLS = ("0.1:50", "0.3:10", "0.3:25", "0.3:50", "0.3:100", "0.5:50")


def line(row: ErrorRow) -> str:
    """One row of the table."""
    nominal = f"{row.nominal:.4f} ± {row.nominal_ci95:.4f}"
    realised = f"{row.realised:.5f} ± {row.realised_ci95:.5f}"
    return f"| {row.outage:g} | {row.count} | {row.stream} | {row.method} | {nominal} | {realised} |"


def print_offline(cells: Sequence[str], runs: int, seed: int) -> None:
    """Probabilities of figure E.5 with their 95 % intervals."""
    print("| outage | receptions | method | missed | found |\n| --- | --- | --- | --- | --- |")
    for cell in cells:
        outage, count = cell.split(":")
        for row in offline_rows(np.random.default_rng([seed, 5]), float(outage), int(count), runs):
            found = f"{row.probability:.3f} [{row.low:.3f}, {row.high:.3f}]"
            print(f"| {row.outage:g} | {row.count} | {row.method} | {row.missed} | {found} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="traces a cell")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", nargs="+", default=CELLS, help="OUTAGE:RECEPTIONS")
    parser.add_argument("--offline", action="store_true", help="detection of stopped devices instead of errors")
    options = parser.parse_args()
    if options.offline:
        print_offline(options.cells, options.runs, options.seed)
        return
    print("| outage | receptions | stream | method | against nominal | against realised |")
    print("| --- | --- | --- | --- | --- | --- |")
    for cell in options.cells:
        outage, count = cell.split(":")
        rng = np.random.default_rng([options.seed, round(1000 * float(outage)), int(count)])
        for row in error_rows(rng, float(outage), int(count), options.runs):
            print(line(row), flush=True)


if __name__ == "__main__":
    main()
