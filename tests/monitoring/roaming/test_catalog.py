"""The daily devices-catalogue against a plain computation, and independent of buckets."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

RADIUS_KM = 6371.0088


def plain_gyration(stays: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """(lat, lon, gyration km) of (dwell s, lat, lon): centroid, then the root mean square distance to it."""
    total = sum(dwell for dwell, _, _ in stays)
    lat = sum(dwell * y for dwell, y, _ in stays) / total
    lon = sum(dwell * x for dwell, _, x in stays) / total
    squares = 0.0
    for dwell, y, x in stays:
        north, east = math.radians(y - lat), math.radians(x - lon) * math.cos(math.radians(lat))
        squares += dwell * (north**2 + east**2)
    return lat, lon, RADIUS_KM * math.sqrt(squares / total)


def plain_catalog(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Events, calls, bytes, flags and mobility per (user, day), in plain Python."""
    radio = pq.read_table(folder / "radio.parquet").to_pylist()
    cdr = pq.read_table(folder / "cdr.parquet").to_pylist()
    place = {
        row["sector"]: (row["lat_deg"], row["lon_deg"]) for row in pq.read_table(folder / "sectors.parquet").to_pylist()
    }
    days: dict[tuple[str, str], dict[str, Any]] = defaultdict(
        lambda: {
            **dict.fromkeys(("events", "failed", "calls", "bytes"), 0),
            **{name: set() for name in ("apns", "visited", "rats")},
            "rows": [],
            "tacs": Counter(),
        }
    )
    for row in radio:
        day = days[row["user"], row["time"].date().isoformat()]
        day["rows"].append((row["time"].hour * 3600 + row["time"].minute * 60 + row["time"].second
                            + row["time"].microsecond / 1e6, *place[row["sector"]]))  # fmt: skip
        day["events"] += 1
        day["failed"] += row["result"] != "OK"
        day["rats"] |= {row["rat"]} if row["result"] == "OK" else set()
        day["visited"].add("23410")
        day["tacs"][row["tac"]] += 1
    for row in cdr:
        day = days[row["user"], row["time"].date().isoformat()]
        day["calls"] += row["apn"] is None
        day["bytes"] += row["bytes"]
        day["apns"] |= {row["apn"]} if row["apn"] else set()
        day["visited"].add(row["visited_mcc"] + row["visited_mnc"])
        day["tacs"][row["tac"]] += 1
    for day in days.values():
        rows = sorted(day["rows"])
        ends = [*(row[0] for row in rows[1:]), 86400.0][: len(rows)]
        day["stays"] = [(min(end - start, 3600.0), lat, lon) for (start, lat, lon), end in zip(rows, ends, strict=True)]
    return days


@pytest.mark.parametrize("buckets", ["1", "5"])
def test_catalogue_is_what_plain_python_finds(few: Path, roam_json: Any, tmp_path: Path, buckets: str) -> None:
    key = str(tmp_path / "site.key")
    found = roam_json("catalog", few, "--buckets", buckets, "--out", str(tmp_path), "--site-key", key)["catalog"]
    expected = plain_catalog(few)
    assert {(entry["device"], entry["day"]) for entry in found} == set(expected)
    for entry in found:
        plain = expected[entry["device"], entry["day"]]
        assert entry["events"] == plain["events"]
        assert entry["failed_events"] == plain["failed"]
        assert entry["calls"] == plain["calls"]
        assert entry["bytes"] == plain["bytes"]
        assert set(entry["apns"]) == plain["apns"]
        assert set(entry["visited_networks"]) == plain["visited"]
        assert {f"{rat}G" for rat in (2, 3, 4) if entry[f"radio_{rat}g"]} == plain["rats"]
        assert entry["tac"] == plain["tacs"].most_common(1)[0][0]
        if plain["stays"]:
            lat, lon, gyration = plain_gyration(plain["stays"])
            assert entry["centroid_lat_deg"] == pytest.approx(lat)
            assert entry["centroid_lon_deg"] == pytest.approx(lon)
            assert entry["gyration_km"] == pytest.approx(gyration, abs=1e-3)
        else:
            assert entry["gyration_km"] is None


def test_gyration_of_two_stays_by_hand(write_folder: Any, row: Any, roam_json: Any) -> None:
    """A quarter of the time at one end and three at the other of a way of w: gyration is w sqrt(1/4 3/4)."""
    sectors = [{"sector": "a", "lat_deg": 60, "lon_deg": 10}, {"sector": "b", "lat_deg": 60, "lon_deg": 10.2}]
    radio = [
        row.radio("u", sector="a", time="2019-04-05T10:00:00Z"),
        row.radio("u", sector="b", time="2019-04-05T10:20:00Z"),  # 20 minutes at a, then 60 at b: the cap
    ]
    [entry] = roam_json("catalog", write_folder(radio=radio, sectors=sectors))["catalog"]
    width_km = RADIUS_KM * math.radians(0.2) * math.cos(math.radians(60))
    assert entry["gyration_km"] == pytest.approx(width_km * math.sqrt(0.25 * 0.75))
    assert entry["centroid_lon_deg"] == pytest.approx(10.15)


def test_the_day_closes_the_last_stay_and_stationary_is_exactly_zero(
    write_folder: Any, row: Any, roam_json: Any
) -> None:
    sectors = [{"sector": "a", "lat_deg": 51.123456, "lon_deg": 0.1}, {"sector": "b", "lat_deg": 52, "lon_deg": 0.1}]
    radio = [
        row.radio("still", sector="a", time="2019-04-05T10:00:00Z"),
        row.radio("still", sector="a", time="2019-04-05T17:31:07Z"),
        row.radio("late", sector="a", time="2019-04-05T23:00:00Z"),
        row.radio("late", sector="b", time="2019-04-05T23:45:00Z"),  # 45 minutes, then 15 to midnight
        row.radio("lost", sector="nowhere"),
    ]
    found = roam_json("catalog", write_folder(radio=radio, sectors=sectors))["catalog"]
    entries = {entry["device"]: entry for entry in found}
    assert entries["still"]["gyration_km"] == 0.0
    assert entries["late"]["centroid_lat_deg"] == pytest.approx(51.123456 * 0.75 + 52 * 0.25)
    assert entries["lost"]["gyration_km"] is None
    assert entries["lost"]["centroid_lat_deg"] is None


def test_local_midnight_divides_the_days(write_folder: Any, row: Any, roam_json: Any) -> None:
    network = 'own = ["23410"]\nutc_offset_h = 2\n'
    radio = [row.radio("u", time="2019-04-05T21:59:59Z"), row.radio("u", time="2019-04-05T22:00:00Z")]
    found = roam_json("catalog", write_folder(network, radio=radio))
    assert sorted(entry["day"] for entry in found["catalog"]) == ["2019-04-05", "2019-04-06"]


def test_flags_need_success_and_records_tell_calls_from_data(write_folder: Any, row: Any, roam_json: Any) -> None:
    radio = [row.radio("u", rat="4G", interface="S1", result="Congestion"), row.radio("u", rat="3G", interface="IuCS")]
    cdr = [
        row.cdr("u", duration_s=60),
        row.cdr("u", apn="internet", bytes=0),
        row.cdr("u", bytes=500, visited="20801"),
        row.cdr("u", duration_s="", bytes=0),
    ]
    [entry] = roam_json("catalog", write_folder(radio=radio, cdr=cdr))["catalog"]
    assert (entry["radio_2g"], entry["radio_3g"], entry["radio_4g"]) == (False, True, False)
    assert (entry["events"], entry["failed_events"], entry["calls"], entry["call_s"], entry["bytes"]) == (
        2,
        1,
        2,
        60,
        500,
    )
    assert entry["visited_networks"] == ["20801", "23410"]
    assert entry["apns"] == ["internet"]


def test_device_type_of_a_day_is_that_of_most_rows(write_folder: Any, row: Any, roam_json: Any) -> None:
    radio = [row.radio("u", tac=tac) for tac in ("35000001", "35000002", "35000002", "")]
    cdr = [row.cdr("u", tac="35000001", apn=f"a{n}", bytes=1) for n in range(2)]
    tac = [row.tac("35000001", "A", "1"), row.tac("35000002", "B", "2")]
    [entry] = roam_json("catalog", write_folder(radio=radio, cdr=cdr, tac=tac))["catalog"]
    assert (entry["tac"], entry["vendor"]) == ("35000001", "A")
