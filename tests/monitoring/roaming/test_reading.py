"""What is read, what is refused, and that nothing refused is lost."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.roaming import engine
from spectrum.errors import BadInput

BAD_RADIO = {
    "user: missing": {"user": ""},
    "user: longer than 64 characters": {"user": "u" * 65},
    "sim_mcc: not 3 digits": {"sim_mcc": "2x4"},
    "sim_mcc: missing": {"sim_mcc": " "},
    "sim_mnc: not 2 or 3 digits": {"sim_mnc": "1.5"},
    "tac: not 8 digits": {"tac": "1e7"},
    "time: not a time from 2000 to 2099": {"time": "yesterday"},
    "time: missing": {"time": ""},
    "result: missing": {"result": ""},
    "rat: not 2G, 3G or 4G": {"rat": "WiFi"},
    "interface: not A, IuCS, Gb, IuPS or S1": {"interface": "Uu"},
}


@pytest.mark.parametrize("buckets", ["1", "3"])
def test_bad_rows_are_counted_by_reason_and_set_aside(
    write_folder: Any, row: Any, roam_json: Any, buckets: str
) -> None:
    radio = [row.radio("good"), *({**row.radio(f"bad{n}"), **wrong} for n, wrong in enumerate(BAD_RADIO.values()))]
    folder = write_folder(radio=radio)
    found = roam_json("classify", folder, "--buckets", buckets)
    assert found["rejected"] == {"radio": dict.fromkeys(BAD_RADIO, 1)}
    assert found["rows"]["radio"] == len(radio)
    assert [entry["device"] for entry in found["devices"]] == ["good"]
    with Path(found["set_aside"]["radio"]).open() as file:
        aside = {entry["reason"]: entry for entry in csv.DictReader(file)}
    assert set(aside) == set(BAD_RADIO)
    assert aside["rat: not 2G, 3G or 4G"]["rat"] == "WiFi"


def test_first_flaw_is_the_reason_and_a_row_counts_once(write_folder: Any, row: Any, roam_json: Any) -> None:
    found = roam_json("classify", write_folder(radio=[row.radio("a"), row.radio("b", sim_mcc="x", rat="y")]))
    assert found["rejected"] == {"radio": {"sim_mcc: not 3 digits": 1}}


def test_bytes_that_are_no_text_are_counted_not_dropped(write_folder: Any, row: Any, roam_json: Any) -> None:
    folder = write_folder(radio=[row.radio("good")])
    with (folder / "radio.csv").open("ab") as file:
        file.write(b"\xff\xfe,234,10,35000001,s1,2019-04-05T12:00:00Z,attach,OK,2G,Gb\n")
    found = roam_json("classify", folder)
    assert found["rows"]["radio"] == 2
    assert sum(found["rejected"]["radio"].values()) == 1
    assert Path(found["set_aside"]["radio"]).read_text().count("radio.csv") == 1


def test_lines_of_the_wrong_width(write_folder: Any, row: Any, roam_json: Any) -> None:
    folder = write_folder(radio=[row.radio("good")])
    with (folder / "radio.csv").open("a") as file:
        file.write("long,234,10,35000001,s1,2019-04-05T12:00:00Z,attach,OK,2G,Gb,extra\n")
        file.write("short,234,10,35000001,s1,2019-04-05T12:00:00Z,attach\n")
    found = roam_json("classify", folder)
    assert found["rejected"] == {"radio": {"line: too many columns": 1, "result: missing": 1}}
    assert found["rows"]["radio"] == 3


def test_negative_bytes_and_bad_positions(write_folder: Any, row: Any, roam_json: Any) -> None:
    sectors = [
        {"sector": "s1", "lat_deg": 51, "lon_deg": 0},
        {"sector": "s2", "lat_deg": 91, "lon_deg": 0},
        {"sector": "s1", "lat_deg": 52, "lon_deg": 0},
    ]
    folder = write_folder(
        radio=[row.radio("a")],
        cdr=[row.cdr("a", bytes=-1), row.cdr("a", bytes="nan"), row.cdr("a", duration_s="long"), row.cdr("a")],
        sectors=sectors,
        tac=[row.tac("35000001", "A", "1"), row.tac("35000001", "A", "1"), row.tac("3500000", "B", "2")],
    )
    assert roam_json("classify", folder)["rejected"] == {
        "cdr": {"bytes: not a number from 0": 2, "duration_s: not a number from 0": 1},
        "sectors": {"lat_deg: not degrees from -90 to 90": 1, "sector: there twice": 1},
        "tac": {"tac: there twice": 1, "tac: not 8 digits": 1},
    }


@pytest.mark.parametrize(
    "time",
    ["2019-04-05T12:00:00Z", "2019-04-05 12:00:00", "2019-04-05T14:00:00+02:00", "1554465600", "1554465600.0"],
)
def test_ways_to_write_a_time(write_folder: Any, row: Any, roam_json: Any, time: str) -> None:
    """All are noon of one day, an hour before the next event of a device in another sector, two before the third."""
    sectors = [{"sector": f"s{n}", "lat_deg": 51 + n / 10, "lon_deg": 0} for n in (1, 2)]
    radio = [row.radio("a", time=time), row.radio("a", time="2019-04-05T12:30:00Z", sector="s2")]
    [entry] = roam_json("catalog", write_folder(radio=radio, sectors=sectors))["catalog"]
    assert entry["day"] == "2019-04-05"
    assert entry["centroid_lat_deg"] == pytest.approx(51.1 + 0.1 * 3600 / 5400)


def test_parquet_of_numbers_and_timestamps_reads_as_csv_of_text(write_folder: Any, row: Any, roam_json: Any) -> None:
    noon = datetime.datetime(2019, 4, 5, 12, tzinfo=datetime.UTC)
    rows = [row.radio(user, sim) for user, sim in (("1", "23401"), ("2", "20404"), ("3", "23410"))]
    folder = write_folder(radio=rows)
    text = roam_json("catalog", folder)["catalog"]
    columns = {key: [entry[key] for entry in rows] for key in rows[0]}
    columns |= {key: [int(value) for value in columns[key]] for key in ("user", "sim_mcc", "sim_mnc", "tac")}
    (folder / "radio.csv").unlink()
    kinds = (
        pa.float64(),
        *(pa.timestamp(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "Europe/London")),
    )
    for kind in kinds:
        noons = [noon.timestamp() if pa.types.is_floating(kind) else noon] * 3
        pq.write_table(pa.table({**columns, "time": pa.array(noons, kind)}), folder / "radio.parquet")
        assert roam_json("catalog", folder)["catalog"] == text


def test_parts_in_a_folder_are_one_table(write_folder: Any, row: Any, roam_json: Any) -> None:
    folder = write_folder(radio=[row.radio("a"), row.radio("b")])
    whole = roam_json("classify", folder)
    lines = (folder / "radio.csv").read_text().splitlines(keepends=True)
    (folder / "radio").mkdir()
    (folder / "radio" / "1.csv").write_text(lines[0] + lines[1])
    (folder / "radio" / "2.csv").write_text(lines[0] + lines[2])
    (folder / "radio.csv").unlink()
    parts = roam_json("classify", folder)
    assert parts["devices"] == whole["devices"]
    assert parts["rows"]["radio"] == 2


def test_a_catalogue_in_parts_is_refused(write_folder: Any, row: Any, roam_json: Any) -> None:
    folder = write_folder(radio=[row.radio("a")], tac=[row.tac("35000001", "A", "1")])
    (folder / "tac").mkdir()
    for name in ("1.csv", "2.csv"):
        (folder / "tac" / name).write_text((folder / "tac.csv").read_text())
    (folder / "tac.csv").unlink()
    with pytest.raises(BadInput, match="tac is a catalogue of one file, came 2"):
        roam_json("classify", folder)


def test_missing_columns_are_named(write_folder: Any, row: Any, roam_json: Any) -> None:
    folder = write_folder(radio=[row.radio("a")])
    (folder / "radio.csv").write_text("user,sim_mcc\na,234\n")
    with pytest.raises(BadInput, match=r"lacks the columns sim_mnc, tac.*`airshed roam schema`"):
        roam_json("classify", folder)


def test_folder_without_records_says_what_to_do(write_folder: Any, roam_json: Any) -> None:
    with pytest.raises(BadInput, match=r"expected radio.parquet, radio.csv or radio/, found none"):
        roam_json("classify", write_folder())


def test_a_table_there_twice_is_refused(write_folder: Any, row: Any, roam_json: Any) -> None:
    folder = write_folder(radio=[row.radio("a")])
    (folder / "radio.csv.gz").write_bytes(b"")
    with pytest.raises(BadInput, match="more than once"):
        roam_json("classify", folder)


@pytest.mark.parametrize("buckets", ["1", "3"])
def test_identifiers_joined_in_slices_give_the_same(
    write_folder: Any, row: Any, roam_json: Any, buckets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    radio = [row.radio(f"u{n % 40}", rat="2G" if n % 9 else "9G") for n in range(120)]
    folder = write_folder(radio=[*radio, row.radio("")], cdr=[row.cdr(f"u{n}", bytes=n) for n in range(60)])
    whole = roam_json("classify", folder, "--buckets", buckets)
    aside = Path(whole["set_aside"]["radio"]).read_text().splitlines()
    monkeypatch.setattr(engine, "BYTES_PER_JOINED_IDENTIFIER", 20_000_000)
    assert engine.DuckEngine().slices(40) > 3
    sliced = roam_json("classify", folder, "--buckets", buckets)
    assert whole["rejected"]["radio"] == {"rat: not 2G, 3G or 4G": 14, "user: missing": 1}
    assert len(sliced["devices"]) == 60
    assert sliced == whole
    assert sorted(Path(sliced["set_aside"]["radio"]).read_text().splitlines()) == sorted(aside)
