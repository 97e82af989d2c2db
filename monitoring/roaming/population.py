"""Draws devices of a synthetic population: who they are, when they are active, what they are built of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.roaming import marginals
from monitoring.roaming.marginals import GROUPS, OWN, Group

# Radio sectors stand on a jittered grid of GRID x GRID over a box of about 550 x 320 km.
GRID: Final = 128
SOUTH_WEST: Final = (50.5, -3.8)
EXTENT_DEG: Final = (5.0, 4.6)
SECTOR_KM: Final = 3.5


@dataclass(frozen=True)
class DeviceTypes:
    """The TAC catalogue: rows (tac, vendor, model, os, type, bands); for each family codes with weights."""

    rows: list[tuple[str, str, str, str, str, str]]
    families: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]


@dataclass(frozen=True)
class Devices:
    """A block of n devices; every array has shape (n,), `active` shape (n, days).

    group, label, sim, type are indices into GROUPS, `labels`, `sims` and the TAC catalogue (-1: no TAC, -2: a TAC that
    the catalogue does not list). mode: 0 voice only, 1 data only, 2 both. rats: bit mask 1 << rat.
    """

    first: int
    group: NDArray[np.int64]
    label: NDArray[np.int64]
    sim: NDArray[np.int64]
    type: NDArray[np.int64]
    mode: NDArray[np.int64]
    rats: NDArray[np.int64]
    home: NDArray[np.int64]
    reach: NDArray[np.float64]
    rate: NDArray[np.float64]
    apn: NDArray[np.int64]
    failing: NDArray[np.bool_]
    active: NDArray[np.bool_]


LABELS: Final = ("H:H", "V:H", "N:H", "I:H", "H:A", "V:A")
SIMS: Final = (
    OWN, *marginals.MVNO, *marginals.OTHER_NATIONAL, *marginals.TOP_THREE_PLMNS, *marginals.OTHER_HOMES,
)  # fmt: skip


def _apn_names() -> list[tuple[str, str]]:
    """(kind, network identifier) of every APN; things' APNs have the kind `m2m VERTICAL`."""
    names = [("consumer", name) for name in marginals.CONSUMER_APNS]
    names += [("unknown", name) for name in marginals.UNKNOWN_APNS]
    return names + [(f"m2m {vertical}", name) for vertical, apns in marginals.THING_APNS.items() for name in apns]


APNS: Final = tuple(_apn_names())
NO_APN: Final = len(APNS)


def device_types() -> DeviceTypes:
    """The catalogue is the same for every population: numbered models, popular ones first (weight 1/rank)."""
    rows: list[tuple[str, str, str, str, str, str]] = []
    families = {}
    for family, (vendors, models, os, kind, bands) in marginals.FAMILIES.items():
        codes = np.arange(len(rows), len(rows) + models)
        for number in range(models):
            vendor = vendors[number % len(vendors)]
            system = _phone_os(vendor) if os == "phone" else os
            rows.append((f"{35_000_000 + len(rows):08d}", vendor, f"Model {number + 1}", system, kind, bands))
        weights = 1.0 / (np.arange(models) + 3.0)
        families[family] = (codes, weights / weights.sum())
    codes, weights = families["smartphone"]
    # Things are built on every other phone model only: so spreading them to all of their model takes half the phones.
    things = np.where((codes - codes[0]) % 4 < 2, weights, 0.0)
    families["phone of things"] = (codes, things / things.sum())
    families["missing"] = (np.array([-1]), np.ones(1))
    families["unlisted"] = (np.array([-2]), np.ones(1))
    return DeviceTypes(rows, families)


def _phone_os(vendor: str) -> str:
    return {"Apple": "iOS", "BlackBerry": "BlackBerry OS"}.get(vendor, "Android")


def sector_rows() -> list[tuple[str, float, float]]:
    """(sector, lat_deg, lon_deg) of every sector; the same places for every population."""
    rng = np.random.default_rng(868)
    jitter = rng.uniform(-0.3, 0.3, (2, GRID * GRID))
    row, column = np.divmod(np.arange(GRID * GRID), GRID)
    lat = SOUTH_WEST[0] + EXTENT_DEG[0] * (row + 0.5 + jitter[0]) / GRID
    lon = SOUTH_WEST[1] + EXTENT_DEG[1] * (column + 0.5 + jitter[1]) / GRID
    return [(f"s{n:05d}", float(lat[n].round(5)), float(lon[n].round(5))) for n in range(GRID * GRID)]


def draw(rng: np.random.Generator, first: int, count: int, days: int, types: DeviceTypes) -> Devices:
    """Draw devices number `first` to `first + count` over `days` days."""
    shares = np.array([group.share for group in GROUPS])
    group = np.sort(rng.choice(len(GROUPS), count, p=shares / shares.sum()))
    pieces = [
        _draw_group(rng, GROUPS[number], int(size), days, types)
        for number, size in enumerate(np.bincount(group, minlength=len(GROUPS)))
    ]
    merged = {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}
    order = rng.permutation(count)
    merged = {key: column[order] for key, column in merged.items()}
    return Devices(first=first, group=group[order], **merged)


def _draw_group(rng: np.random.Generator, group: Group, size: int, days: int, types: DeviceTypes) -> dict[str, Any]:
    label = _pick(rng, [LABELS.index(name) for name, _ in group.labels], [w for _, w in group.labels], size)
    rat_sets = [sum(1 << rat for rat in rats) for rats, _ in group.rats]
    rats = _pick(rng, rat_sets, [weight for _, weight in group.rats], size)
    first_mode = _pick(rng, [0, 1, 2], group.modes[0], size)
    mode = np.where(rats == rat_sets[0], first_mode, _pick(rng, [0, 1, 2], group.modes[1], size))
    moving = rng.random(size) < group.moving
    reach_km = group.reach_km * rng.lognormal(-0.5, 1.0, size)
    return {
        "label": label,
        "sim": _sims(rng, group, label),
        "type": _types(rng, group, size, types),
        "mode": mode,
        "rats": rats,
        "home": rng.integers(0, GRID * GRID, size),
        "reach": np.where(moving, np.maximum(reach_km / SECTOR_KM, 0.6), 0.0),
        "rate": rng.lognormal(-0.32, 0.8, size),
        "apn": _apns(rng, group, mode),
        "failing": rng.random(size) < group.failing,
        "active": _active(rng, group, label, days),
    }


def _pick(rng: np.random.Generator, values: Any, weights: Any, size: int) -> NDArray[np.int64]:
    chances = np.asarray(weights, float)
    chosen: NDArray[np.int64] = np.asarray(values)[rng.choice(len(chances), size, p=chances / chances.sum())]
    return chosen


def _sims(rng: np.random.Generator, group: Group, label: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the SIM's network in SIMS, fitting the label."""
    size = len(label)
    letter = np.array([name[0] for name in LABELS])[label]
    mvno, national = len(marginals.MVNO), len(marginals.OTHER_NATIONAL)
    top = 1 + mvno + national
    chance = np.array(marginals.TOP_THREE[group.kind])
    others = 1.0 / np.arange(1, len(marginals.OTHER_HOMES) + 1)
    weights = np.concatenate([chance, others / others.sum() * (1 - chance.sum())])
    foreign = top + _pick(rng, np.arange(len(weights)), weights, size)
    if group.name == "roaming meter":  # [p] all from one operator in the Netherlands
        foreign[:] = top
    return np.select(
        [letter == "H", letter == "V", letter == "N"],
        [np.zeros(size, np.int64), 1 + rng.integers(0, mvno, size), 1 + mvno + rng.integers(0, national, size)],
        foreign,
    )


def _types(rng: np.random.Generator, group: Group, size: int, types: DeviceTypes) -> NDArray[np.int64]:
    which = _pick(rng, np.arange(len(group.family)), [weight for _, weight in group.family], size)
    chosen = np.empty(size, np.int64)
    for number, (family, _) in enumerate(group.family):
        codes, weights = types.families[family]
        here = which == number
        chosen[here] = rng.choice(codes, int(here.sum()), p=weights)
    return chosen


def _apns(rng: np.random.Generator, group: Group, mode: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the device's APN in APNS, NO_APN for devices that only speak."""
    size = len(mode)
    if not group.apns:
        return np.full(size, NO_APN)
    kind = _pick(rng, np.arange(len(group.apns)), [weight for _, weight in group.apns], size)
    chosen = np.empty(size, np.int64)
    for number, (name, _) in enumerate(group.apns):
        wanted = f"m2m {group.vertical}" if name == "m2m" else name
        codes = [index for index, (apn_kind, _) in enumerate(APNS) if apn_kind == wanted]
        here = kind == number
        chosen[here] = rng.choice(codes, int(here.sum()))
    return np.where(mode == 0, NO_APN, chosen)


def _active(rng: np.random.Generator, group: Group, label: NDArray[np.int64], days: int) -> NDArray[np.bool_]:
    """Which days each device is active, shape (n, days); at least one.

    [p] inbound things 9 days of 22 in the median, inbound phones 2 (one visit, days in a row); native alike for all
    classes, [a] 4 of 10 always there; native meters 73 % always, roaming meters half up to 5 days of 26.
    """
    size = len(label)
    inbound = label == LABELS.index("I:H")
    long_stay = 1 + rng.beta(0.9, 1.2, size) * (days - 1)
    always = rng.random(size) < (0.73 if group.days == "meter" else 0.4)
    native = np.where(always, days if group.days == "meter" else 0.97 * days, 1 + rng.beta(0.8, 1.2, size) * (days - 1))
    visit = rng.geometric(0.3, size)
    brief = 1 + rng.beta(0.55, 1.65, size) * (days - 1)
    guests = {"person": visit, "roaming meter": brief}.get(group.days, long_stay)
    wanted = np.clip(np.rint(np.where(inbound, guests, native)), 1, days).astype(np.int64)
    rank = np.argsort(np.argsort(rng.random((size, days)), axis=1), axis=1)
    if group.days == "person":
        start = rng.integers(0, days - wanted + 1)
        block = np.arange(days) - start[:, None]
        rank = np.where(inbound[:, None], np.where(block >= 0, block, days), rank)
    return rank < wanted[:, None]
