"""The claims of section 5, judged on simulated numbers: what holds, under which load, what cannot hold as printed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# What the words of the paper are taken to mean (notes 1.4).
LINE_R2: Final = 0.93  # "increases linearly"
SAME_SHARE: Final = 0.10  # "almost the same": less than this of the random count apart
GAIN_BIT_PER_J: Final = (75.0, 105.0)  # "almost 90"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim under one reading: whether it holds and the numbers that say so."""

    claim: str
    reading: str
    holds: bool
    says: str


@dataclass(frozen=True, slots=True)
class Curves:
    """Mean unsuccessful transmissions and bits per joule over the number of devices, by policy."""

    devices: NDArray[np.float64]
    unsuccessful: Mapping[str, NDArray[np.float64]]
    bits_per_joule: Mapping[str, NDArray[np.float64]]


def line_r2(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """R^2 of a straight line fitted to y over x."""
    return float(np.corrcoef(x, y)[0, 1] ** 2)


def grows_linearly(reading: str, curves: Curves) -> Verdict:
    """(a) The number of unsuccessful transmissions grows "linearly" with the devices: a line fits well enough."""
    r2 = line_r2(curves.devices, curves.unsuccessful["random"])
    says = f"R² of a line through the random counts is {r2:.3f} (at least {LINE_R2})"
    return Verdict("a", reading, r2 >= LINE_R2, says)


def attempts_help(reading: str, curves: Curves) -> Verdict:
    """(b) At 2 % N = 2 is lower than no allocation, N = 5 lower still, at every size where anything is lost."""
    none, two, five = (curves.unsuccessful[name] for name in ("random", "N=2", "N=5"))
    ordered = (two < none) & (five <= two)
    says = f"at {curves.devices[-1]:.0f} devices {none[-1]:.1f} > {two[-1]:.1f} > {five[-1]:.2f}"
    return Verdict("b", reading, bool(ordered.all() and five[-1] < two[-1]), says)


def attempts_alike(reading: str, curves: Curves) -> Verdict:
    """(c) At 0.9 % N = 2 and N = 5 are almost the same: apart by less than a tenth of the random count."""
    none, two, five = (curves.unsuccessful[name] for name in ("random", "N=2", "N=5"))
    lost = none > 0
    worst = float(np.max(np.abs(two - five)[lost] / none[lost]))
    says = f"largest difference is {100 * worst:.1f} % of the random count (under {100 * SAME_SHARE:.0f} %)"
    return Verdict("c", reading, worst < SAME_SHARE, says)


def efficiency_falls_and_gains(reading: str, curves: Curves) -> Verdict:
    """(e) Energy efficiency falls with the devices and allocation gains about 90 bit per joule, mean over the sizes."""
    differences = [curves.bits_per_joule[name] - curves.bits_per_joule["random"] for name in ("N=2", "N=5")]
    gains = [float(difference.mean()) for difference in differences]
    largest = " and ".join(f"{difference[-1]:.0f}" for difference in differences)
    r2 = line_r2(curves.devices, curves.bits_per_joule["random"])
    falls = bool((np.diff(curves.bits_per_joule["random"]) < 0).all())
    low, high = GAIN_BIT_PER_J
    holds = falls and r2 >= LINE_R2 and all(low <= gain <= high for gain in gains)
    says = (
        f"falls with R² {r2:.3f}; mean gain {gains[0]:.1f} (N=2) and {gains[1]:.1f} bit/J (N=5), "
        f"band {low:.0f}-{high:.0f}; {largest} at {curves.devices[-1]:.0f} devices"
    )
    return Verdict("e", reading, holds, says)


def ordered_loads(loads: Sequence[float], counts: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """(d) Intervals of load in which 12 B random > 12 B RRM > 6 B random > 6 B RRM.

    loads: ascending, Erlang per subchannel of 12-byte frames; counts: the four numbers at each load. Neighbouring
    loads that hold are joined; an interval of one load has equal ends.
    """
    found: list[tuple[float, float]] = []
    inside = False
    for load, four in zip(loads, counts, strict=True):
        holds = all(more > less for more, less in itertools.pairwise(four))
        if holds and inside:
            found[-1] = (found[-1][0], load)
        elif holds:
            found.append((load, load))
        inside = holds
    return found


def ordering_verdict(reading: str, intervals: Sequence[tuple[float, float]], tried: Sequence[float]) -> Verdict:
    """(d) as a verdict: it holds only where some interval of load is left."""
    spans = ", ".join(f"{low:.2f}-{high:.2f}" if low < high else f"{low:.2f}" for low, high in intervals)
    says = f"at {spans} Erlang per subchannel" if intervals else "at no load"
    return Verdict("d", reading, bool(intervals), f"{says}, of {tried[0]:.2f} to {tried[-1]:.2f} tried")


# What no simulation can meet as printed (notes 1.3, 1.4), said in the report.
CANNOT_HOLD: Final = (
    "A straight line of energy efficiency over the devices makes the lost packets a parabola: (a) and (e) exclude each "
    "other exactly. Both are therefore judged by how well a line fits.",
    "Read literally, duty cycles of 2 % and 0.9 % never bind devices with one or two packets a minute (0.11 to 0.22 % "
    "of the window): figures 6 and 7 would coincide. The two readings E and F give the loads that the claims need.",
    "48.68 mJ per packet needs more than 0.7 W for 66 ms; no radio of table 2 draws that. It is used as a constant.",
    "90 more bits per millijoule cannot be: 6 bytes at 48.68 mJ are at most 0.986 bit/mJ. The unit is bit per joule.",
    "A SigFox frame of 12 bytes is 18 % longer than one of 6 bytes (2.08 s against 1.76 s), not twice as long.",
    "A power common to all devices changes the energy, not the collisions.",
)
