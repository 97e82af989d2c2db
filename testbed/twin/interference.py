"""Interferers as transmissions: a carrier is one, a burst or a telegram one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from testbed.twin.air import Transmission
from testbed.twin.scene import Interferer


def emissions(interferer: Interferer, seed: int) -> Callable[[int], Transmission | None]:
    """A function that gives the interferer's next emission under the number it is called with; None after the last."""
    rng = Random(f"{seed}\0{interferer.name}")
    until_s = math.inf if interferer.until_s is None else interferer.until_s
    steady = interferer.kind in ("carrier", "recording")
    next_s = interferer.from_s

    def following(number: int) -> Transmission | None:
        nonlocal next_s
        start_s = next_s
        if start_s >= until_s:
            return None
        end_s = until_s if steady else min(until_s, start_s + interferer.on_s)
        pause_s = rng.expovariate(1.0 / interferer.off_s) if interferer.kind == "wmbus" else interferer.off_s
        next_s = math.inf if steady else start_s + interferer.on_s + pause_s
        return _emission(interferer, number, start_s, end_s)

    return following


def _emission(interferer: Interferer, number: int, start_s: float, end_s: float) -> Transmission:
    return Transmission(
        transmission_id=number,
        kind=interferer.kind,
        start_s=start_s,
        airtime_s=end_s - start_s,
        center_hz=interferer.center_hz,
        bandwidth_hz=interferer.occupied_hz,
        eirp_dbm=interferer.eirp_dbm,
        x_m=interferer.x_m,
        y_m=interferer.y_m,
        source=interferer.name,
        file=interferer.file,
    )
