"""Sixty devices followed by hand: CSV read by Python's own module, nothing of the pipeline's but its answer.

Labels from the network codes as the documentation says, classes by its table of steps, gyration on the sphere.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from monitoring.roaming import apn
from monitoring.roaming.synthesize import synthesize

Row = dict[str, str]
Point = tuple[float, float, float]
OWN, MVNO, COUNTRY = {"23410"}, {"23426", "23438"}, {"234", "235"}
METERS = range(234100000000000, 234101000000000)
SUCCESSION = ("H:H", "V:H", "N:H", "I:H", "H:A", "V:A")  # who wins among equally many days


class Folder:
    """The tables of a folder by user."""

    def __init__(self, folder: Path) -> None:
        def rows(name: str) -> list[Row]:
            with (folder / f"{name}.csv").open(newline="") as file:
                return list(csv.DictReader(file))

        self.radio: dict[str, list[Row]] = defaultdict(list)
        self.cdr: dict[str, list[Row]] = defaultdict(list)
        for name, table in (("radio", self.radio), ("cdr", self.cdr)):
            for row in rows(name):
                table[row["user"]].append(row)
        self.users = sorted({*self.radio, *self.cdr})
        self.types = {row["tac"]: row for row in rows("tac")}
        self.places = {
            row["sector"]: on_sphere(float(row["lat_deg"]), float(row["lon_deg"])) for row in rows("sectors")
        }
        table_text = (folder / "network.toml").read_text()
        assert set(re.findall(r'"(\d{5})"', table_text)) == OWN | MVNO

    def days(self, user: str) -> set[str]:
        return {row["time"][:10] for row in (*self.radio[user], *self.cdr[user])}


def on_sphere(lat_deg: float, lon_deg: float) -> Point:
    lat, lon = math.radians(lat_deg), math.radians(lon_deg)
    return (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))


def label_of_day(folder: Folder, user: str, day: str) -> str | None:
    radio = [row for row in folder.radio[user] if row["time"].startswith(day)]
    cdr = [row for row in folder.cdr[user] if row["time"].startswith(day)]
    [sim] = {row["sim_mcc"] + row["sim_mnc"] for row in (*radio, *cdr)}
    x = "V" if sim in MVNO else "H" if sim in OWN else "N" if sim[:3] in COUNTRY else "I"
    visited = {(row["visited_mcc"], row["visited_mnc"]) for row in cdr}
    if radio or any(mcc + mnc in OWN | MVNO for mcc, mnc in visited):
        return f"{x}:H"
    return f"{x}:A" if x in "HV" and any(mcc not in COUNTRY for mcc, _ in visited) else None


def label_of_period(folder: Folder, user: str) -> str | None:
    days = Counter(label_of_day(folder, user, day) for day in folder.days(user))
    del days[None]
    return min(days, key=lambda label: (-days[label], SUCCESSION.index(label or "")), default=None)


def gyration_km(folder: Folder, user: str, day: str) -> float | None:
    """Distances along the chord to the mean point of the stays; over a country a map differs by far less than 1 %."""
    rows = sorted((row for row in folder.radio[user] if row["time"].startswith(day)), key=lambda row: row["time"])
    if not rows:
        return None
    clock = [sum(float(part) * unit for part, unit in zip(re.split("[ T]", row["time"])[1].rstrip("Z").split(":"),
                                                          (3600, 60, 1), strict=True)) for row in rows]  # fmt: skip
    dwells = [min(end - start, 3600.0) for start, end in zip(clock, [*clock[1:], 86400.0], strict=True)]
    points = [folder.places[row["sector"]] for row in rows]
    total = sum(dwells)
    mean = [sum(d * point[axis] for d, point in zip(dwells, points, strict=True)) / total for axis in range(3)]
    squares = sum(d * math.dist(point, mean) ** 2 for d, point in zip(dwells, points, strict=True))
    return 6371.0088 * math.sqrt(squares / total)


def classes(folder: Folder) -> dict[str, str]:
    """The table of steps in docs/roaming.md, for all users."""
    with Path(apn.__file__).with_name("keywords.csv").open(newline="") as file:
        words = list(csv.DictReader(file))

    def says(user: str, kind: str) -> bool:
        names = {re.sub(r"\.mnc\d+\.mcc\d+\.gprs$", "", row["apn"]) for row in folder.cdr[user] if row["apn"]}
        stripped = [(word["keyword"], name.replace(word["unless"], "") if word["unless"] else name)
                    for word in words if word["kind"] == kind for name in names]  # fmt: skip
        return any(keyword in name for keyword, name in stripped)

    def properties(user: str) -> Row | None:
        tacs = Counter(row["tac"] for row in (*folder.radio[user], *folder.cdr[user]) if row["tac"])
        return folder.types.get(tacs.most_common(1)[0][0]) if tacs else None

    def same(a: Row, b: Row | None) -> bool:
        return b is not None and all(a[key] == b[key] for key in ("vendor", "model", "os", "type"))

    kinds = {user: properties(user) for user in folder.users}
    found = {}
    for user in folder.users:
        kind = kinds[user]
        phone = kind is not None and kind["os"] in ("Android", "iOS", "BlackBerry OS")
        feature = kind is not None and kind["type"] == "feature phone"
        alike = [other for other in folder.users if kind and same(kind, kinds[other])]
        bearing = sum(any(row["apn"] for row in folder.cdr[other]) for other in alike)
        validated = sum(says(other, "m2m") for other in alike)
        spread = not phone and not feature and validated > 0 and validated >= bearing / 2
        if says(user, "m2m") or int(user) in METERS or spread:
            found[user] = "m2m"
        else:
            found[user] = "smart" if phone else "feat" if feature or says(user, "consumer") else "m2m-maybe"
    return found


@pytest.mark.parametrize("seed", [11, 12])
def test_sixty_devices_by_hand(seed: int, tmp_path: Path, roam_json: Any) -> None:
    synthesize(tmp_path, 60, 4, seed, "csv", lambda amount: None)
    folder = Folder(tmp_path)
    days = roam_json("catalog", tmp_path)["catalog"]
    assert {(entry["device"], entry["day"]) for entry in days} == {(u, d) for u in folder.users for d in folder.days(u)}
    for entry in days:
        assert entry["label"] == label_of_day(folder, entry["device"], entry["day"])
        gyration = gyration_km(folder, entry["device"], entry["day"])
        assert (entry["gyration_km"] is None) == (gyration is None)
        assert entry["gyration_km"] is None or entry["gyration_km"] == pytest.approx(gyration, rel=0.01, abs=1e-6)
    assert max(entry["gyration_km"] or 0 for entry in days) > 1
    found = {entry["device"]: entry for entry in roam_json("classify", tmp_path)["devices"]}
    assert {user: entry["label"] for user, entry in found.items()} == {u: label_of_period(folder, u) for u in found}
    assert {user: entry["class"] for user, entry in found.items()} == classes(folder)
    assert len({entry["label"] for entry in found.values()}) > 2
    assert len({entry["class"] for entry in found.values()}) > 2
