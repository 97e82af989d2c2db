"""Rows of radio events and service records for a block of synthetic devices, as columns of codes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.roaming import marginals
from monitoring.roaming.marginals import GROUPS
from monitoring.roaming.population import GRID, LABELS, NO_APN, Devices

TYPES: Final = ("attach", "detach", "routing area update", "tracking area update", "service request")
RESULTS: Final = ("OK", "NetworkFailure", "Congestion", "NotAllowed")
RATS: Final = ("2G", "3G", "4G")
# Interface by (rat - 2, data): A and Gb of 2G, IuCS and IuPS of 3G, S1 of 4G.
INTERFACES: Final = ("A", "Gb", "IuCS", "IuPS", "S1", "S1")
# Where calls and sessions may be carried: the site's own network, another national one, one abroad.
VISITED: Final = (marginals.OWN, *marginals.OTHER_NATIONAL, *marginals.ABROAD)
# [a] Chance that a native person's day is abroad, or on another national network; that an event fails on a device that
# fails at all.
DAY_ABROAD: Final = 0.004
DAY_NATIONAL: Final = 0.001
EVENT_FAILS: Final = 0.06
# [a] Share of people's events by local hour, relative.
_DAY_CURVE: Final = np.array([2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 7, 8, 7, 7, 7, 8, 9, 9, 8, 7, 6, 5, 3], float)

Columns = dict[str, NDArray[Any]]


def _column(name: str) -> NDArray[Any]:
    return np.array([getattr(group, name) for group in GROUPS])


def rows(rng: np.random.Generator, devices: Devices, first_day_s: int) -> tuple[Columns, Columns]:
    """(radio, cdr) columns of all rows of the devices' active days; `device` counts within the block.

    Codes index TYPES, RESULTS, RATS, INTERFACES, VISITED and `population.APNS`; time_us is microseconds UTC.
    """
    device, day = np.nonzero(devices.active)
    label = np.array([name[2] for name in LABELS])[devices.label[device]]
    native = np.isin(devices.label[device], [LABELS.index("H:H"), LABELS.index("V:H")])
    luck = rng.random(len(device))
    traveller = native & _column("person")[devices.group[device]]
    abroad = (label == "A") | (traveller & (luck < DAY_ABROAD))
    national = ~abroad & traveller & (luck < DAY_ABROAD + DAY_NATIONAL)
    where = np.where(abroad, 2, np.where(national, 1, 0))
    start_us = (first_day_s + 86_400 * day.astype(np.int64)) * 1_000_000
    return (
        _radio(rng, devices, device[where == 0], start_us[where == 0]),
        _services(rng, devices, device, where, start_us),
    )


def _radio(
    rng: np.random.Generator, devices: Devices, device: NDArray[np.int64], start_us: NDArray[np.int64]
) -> Columns:
    mean = np.maximum(_column("radio") - 1.0, 0.1)[devices.group] * devices.rate
    events = 1 + rng.poisson(mean[device])
    each = np.repeat(device, events)
    count = len(each)
    rat = _rats(rng, devices.rats[each])
    mode = devices.mode[each]
    data = np.where(mode == 2, rng.random(count) < 0.6, mode == 1)
    fails = devices.failing[each] & (rng.random(count) < EVENT_FAILS)
    return {
        "device": each.astype(np.int32),
        "time_us": np.repeat(start_us, events) + _seconds(rng, devices, each),
        "sector": _sectors(rng, devices, each),
        "type": rng.integers(0, len(TYPES), count, dtype=np.int8),
        "result": np.where(fails, rng.integers(1, len(RESULTS), count), 0).astype(np.int8),
        "rat": (rat - 2).astype(np.int8),
        "interface": np.where(rat == 4, 4, 2 * (rat - 2) + data).astype(np.int8),
    }


def _rats(rng: np.random.Generator, masks: NDArray[np.int64]) -> NDArray[np.int64]:
    """One technology of each mask; of several, the newest half the time."""
    luck = rng.random(len(masks))
    newest = np.where(masks & 16, 4, np.where(masks & 8, 3, 2))
    oldest = np.where(masks & 4, 2, np.where(masks & 8, 3, 4))
    middle = np.where(masks & 8, 3, newest)
    return np.where(luck < 0.5, newest, np.where(luck < 0.75, middle, oldest))


def _sectors(rng: np.random.Generator, devices: Devices, each: NDArray[np.int64]) -> NDArray[np.int32]:
    """Sector of each event: the device's own site, or a normal step of its reach away from it."""
    sector = devices.home[each]
    reach = devices.reach[each]
    away = np.nonzero((reach > 0) & (rng.random(len(each), dtype=np.float32) < 0.5))[0]
    row, column = np.divmod(sector[away], GRID)
    step = rng.standard_normal((2, len(away)), dtype=np.float32) * reach[away]
    row = np.clip(np.rint(row + step[0]), 0, GRID - 1).astype(np.int64)
    column = np.clip(np.rint(column + step[1]), 0, GRID - 1).astype(np.int64)
    sector[away] = row * GRID + column
    return sector.astype(np.int32)


def _seconds(rng: np.random.Generator, devices: Devices, each: NDArray[np.int64]) -> NDArray[np.int64]:
    """Microseconds after midnight, whole milliseconds: people by the curve of the day, things evenly."""
    luck = rng.random(len(each))
    edges = np.concatenate([[0.0], np.cumsum(_DAY_CURVE) / _DAY_CURVE.sum()])
    people = _column("person")[devices.group[each]]
    hours = np.where(people, np.interp(luck, edges, np.arange(25.0)), 24.0 * luck)
    milliseconds: NDArray[np.int64] = np.minimum(hours * 3_600_000, 86_399_999).astype(np.int64)
    return milliseconds * 1000


def _services(
    rng: np.random.Generator,
    devices: Devices,
    device: NDArray[np.int64],
    where: NDArray[np.int64],
    start_us: NDArray[np.int64],
) -> Columns:
    group, rate, mode = devices.group[device], devices.rate[device], devices.mode[device]
    sessions = np.where(mode >= 1, rng.poisson(_column("data")[group] * rate), 0)
    # A device that sends does so at least once in the window: so the share without APN is that of `modes`.
    known, first_row = np.unique(device, return_index=True)
    mute = (devices.mode[known] >= 1) & (np.bincount(device, sessions, len(devices.mode))[known] == 0)
    sessions[first_row[mute]] += 1
    calls = np.where(mode != 1, rng.poisson(_column("calls")[group] * rate), 0)
    # A day away from home is known only by its records: one at least.
    silent = (where > 0) & (sessions + calls == 0)
    sessions += silent & (mode >= 1)
    calls += silent & (mode == 0)
    each = np.concatenate([np.repeat(np.arange(len(device)), sessions), np.repeat(np.arange(len(device)), calls)])
    data = np.arange(len(each)) < sessions.sum()
    visited = _visited(rng, where, len(device))[each]
    median = _column("bytes_median")[group[each]]
    volume = np.where(data, np.maximum(median * rng.lognormal(0.0, 1.5, len(each)), 40), 0).astype(np.int64)
    return {
        "device": device[each].astype(np.int32),
        "time_us": start_us[each] + _seconds(rng, devices, device[each]),
        "visited": visited,
        "duration_s": np.ceil(rng.exponential(np.where(data, 600.0, 120.0))).astype(np.int32),
        "bytes": volume,
        "apn": np.where(data, devices.apn[device[each]], NO_APN).astype(np.int32),
    }


def _visited(rng: np.random.Generator, where: NDArray[np.int64], count: int) -> NDArray[np.int8]:
    national = 1 + rng.integers(0, len(marginals.OTHER_NATIONAL), count)
    abroad = 1 + len(marginals.OTHER_NATIONAL) + rng.integers(0, len(marginals.ABROAD), count)
    return np.choose(where, [np.zeros(count, np.int64), national, abroad]).astype(np.int8)
