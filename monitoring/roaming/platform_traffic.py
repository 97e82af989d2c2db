"""Signalling of a synthetic M2M platform: few home networks, many visited ones, a heavy tail of loud devices."""

from __future__ import annotations

import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.roaming import marginals

PROCEDURES: Final = ("authentication", "update location", "cancel location")
FIRST_DAY: Final = datetime.datetime(2018, 11, 19, tzinfo=datetime.UTC)  # the paper's first day
# [a] Share of switching devices that jump back and forth all the time ([p] about 3 % switch 100 to 3,000 times).
PING_PONG: Final = 0.03
# [p] 20 % of the switching devices switch once a day or more often.
OFTEN: Final = 0.20
# [a] Share of failures of devices that do get through.
FAILS_AT_TIMES: Final = 0.05


def platform_columns(rng: np.random.Generator, devices: int, first: int = 0) -> dict[str, Any]:
    """Columns of codes for `devices` platform devices over 11 days, with the lists that the codes index.

    first: number of the first device, for a population that is drawn in blocks.
    """
    homes = [plmn for plmn, _, _ in marginals.PLATFORM_HOMES]
    visited = [
        plmn for plmn in (*marginals.OTHER_HOMES, "20404", "24001", "23410", "23415", "23420") if plmn not in homes
    ]
    networks = [*homes, *visited]
    shares = np.array([share for _, share, _ in marginals.PLATFORM_HOMES])
    home = rng.choice(len(homes), devices, p=shares / shares.sum())
    native = rng.random(devices) < np.array([native for _, _, native in marginals.PLATFORM_HOMES])[home]
    only_fail = ~native & (rng.random(devices) < marginals.PLATFORM_ONLY_FAIL / 0.82)
    records = _records(rng, native)
    sizes = np.array([size for size, _ in marginals.PLATFORM_NETWORKS])
    weights = np.array([weight for _, weight in marginals.PLATFORM_NETWORKS])
    used = np.where(native, 1, rng.choice(sizes, devices, p=weights / weights.sum()))
    used = np.minimum(used, records)
    device = np.repeat(np.arange(devices), records)
    total = len(device)
    window_us = marginals.PLATFORM_DAYS * 86_400_000_000
    start_us = int(FIRST_DAY.timestamp()) * 1_000_000
    time_us = rng.random(total) * window_us
    time_us = time_us[np.lexsort((time_us, device))]
    causes = [cause for cause, _ in marginals.PLATFORM_CAUSES]
    odds = np.array([weight for _, weight in marginals.PLATFORM_CAUSES])
    fails = only_fail[device] | (rng.random(total) < FAILS_AT_TIMES)
    own_cause = rng.choice(len(causes), devices, p=odds)[device]
    result = np.where(fails, 1 + np.where(only_fail[device], own_cause, rng.choice(len(causes), total, p=odds)), 0)
    return {
        "devices": [f"{networks[code]}{9_000_000_000 + number:010d}" for number, code in enumerate(home, first)],
        "networks": networks,
        "procedures": PROCEDURES,
        "results": ("OK", *causes),
        "device": device,
        "time_us": (time_us.astype(np.int64) // 1000) * 1000 + start_us,
        "sim": home[device],
        "visited": _visited(rng, device, time_us / window_us, home, native, used, len(homes), len(networks)),
        "procedure": rng.choice(len(PROCEDURES), total, p=(0.45, 0.40, 0.15)),
        "result": result,
    }


def _records(rng: np.random.Generator, native: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Records per device: lognormal body, Pareto tail."""
    devices = len(native)
    native_median, roaming_median, sigma = marginals.PLATFORM_BODY
    median = np.where(native, native_median, roaming_median)
    share, start, index, most = marginals.PLATFORM_TAIL
    body = median * rng.lognormal(0.0, sigma, devices)
    tail = start * (1 + rng.pareto(index, devices))
    loud = rng.random(devices) < share
    records: NDArray[np.int64] = np.clip(np.where(loud, tail, body), 1, most).astype(np.int64)
    return records


def _visited(
    rng: np.random.Generator,
    device: NDArray[np.int64],
    phase: NDArray[np.float64],
    home: NDArray[np.int64],
    native: NDArray[np.bool_],
    used: NDArray[np.int64],
    homes: int,
    networks: int,
) -> NDArray[np.int64]:
    """Network of each record: a native device's own; a roamer's share of networks in turn, the restless ones at random.

    The networks of a device are consecutive in the list of visited ones, from a place of its own.
    """
    place = (homes + rng.integers(0, networks - homes, len(home))).astype(np.int64)
    restless = (rng.random(len(home)) < PING_PONG) & (used > 1)
    often = rng.random(len(home)) < OFTEN
    turns = np.where(often, rng.integers(marginals.PLATFORM_DAYS, 60, len(home)), rng.geometric(0.45, len(home)))
    turns = np.where(used > 1, turns, 1)
    part = np.floor(phase * (turns[device] + 1)).astype(np.int64) % np.maximum(used[device], 1)
    part = np.where(restless[device], rng.integers(0, 1 << 30, len(device)) % used[device], part)
    roaming = homes + (place[device] - homes + part) % (networks - homes)
    return np.where(native[device], home[device], roaming)
