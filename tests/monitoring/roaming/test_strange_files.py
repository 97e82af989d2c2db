"""Files as other tools write them: read, counted by reason, or refused in one line."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airshed import airshed
from terminal.command import run

HEADER = "user,sim_mcc,sim_mnc,tac,sector,time,type,result,rat,interface"
ROW = "u1,234,10,35000001,s1,2019-04-05T12:00:00Z,attach,OK,2G,Gb"
PLATFORM_HEADER = "device,time,sim_mcc,sim_mnc,visited_mcc,visited_mnc,procedure,result"
NOON = datetime.datetime(2019, 4, 5, 12)


def table(**columns: Any) -> pa.Table:
    """ROW as Parquet, with some columns in place of its own."""
    plain = dict(zip(HEADER.split(","), ([value] for value in ROW.split(",")), strict=True))
    return pa.table({**plain, "time": pa.array([NOON], pa.timestamp("us")), **columns})


def names(found: dict[str, Any]) -> list[str]:
    return [entry["device"] for entry in found["devices"]]


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff{HEADER}\r\n{ROW}\r\n",
        f'\ufeff"user"{HEADER[4:]}\n{ROW}\n',
        f"{HEADER}\r{ROW}\r",
        f"{HEADER}\n{ROW}",
        f"{HEADER}\n\n{ROW}\n\n",
        f"{HEADER.upper().replace(',', ' , ')}\n{ROW}\n",
        f"{HEADER},more\n{ROW},x\n",
    ],
)
def test_csv_of_other_tools_reads_the_same(content: str, write_folder: Any, roam_json: Any) -> None:
    folder = write_folder()
    (folder / "radio.csv").write_bytes(content.encode())
    found = roam_json("catalog", folder)
    (folder / "radio.csv").write_text(f"{HEADER}\n{ROW}\n")
    plain = roam_json("catalog", folder)
    assert len(plain["catalog"]) == 1
    assert (found["rows"], found["rejected"], found["catalog"]) == (plain["rows"], {}, plain["catalog"])


@pytest.mark.parametrize(
    ("column", "user"),
    [
        ({"user": pa.array(["u1"], pa.large_string())}, "u1"),
        ({"user": pa.array(["u1"]).dictionary_encode()}, "u1"),
        ({"user": pa.array([b"u1"], pa.binary())}, "u1"),
        ({"user": pa.array([7], pa.int16())}, "7"),
        ({"user": pa.array([7.0])}, "7"),
        ({"user": pa.array([1.5])}, "1.5"),  # not 2, which is another device
        ({"user": pa.array([2**64 - 1], pa.uint64())}, "18446744073709551615"),
        ({"sim_mcc": pa.array([decimal.Decimal(234)], pa.decimal128(5, 0))}, "u1"),
        ({"sim_mcc": pa.array([234.0])}, "u1"),
        ({"tac": pa.nulls(1)}, "u1"),
        ({"time": pa.array([datetime.date(2019, 4, 5)])}, "u1"),
        ({"time": pa.array([1554465600], pa.int32())}, "u1"),
    ],
)
def test_parquet_of_other_types_is_read(column: dict[str, Any], user: str, write_folder: Any, roam_json: Any) -> None:
    folder = write_folder()
    pq.write_table(table(**column), folder / "radio.parquet")
    found = roam_json("classify", folder)
    assert (names(found), found["rejected"]) == ([user], {})
    assert found["labels"] == {"H:H": 1}


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ({"user": pa.nulls(1)}, "user: missing"),
        ({"sim_mcc": pa.array([234.5])}, "sim_mcc: not 3 digits"),
        ({"sim_mcc": pa.array([float("inf")])}, "sim_mcc: not 3 digits"),
        ({"sim_mcc": pa.array([True])}, "sim_mcc: not 3 digits"),
        ({"time": pa.nulls(1)}, "time: missing"),
        ({"time": pa.array([float("nan")])}, "time: not a time from 2000 to 2099"),
        ({"time": pa.array([float("inf")])}, "time: not a time from 2000 to 2099"),
        ({"time": pa.array([1554465600000])}, "time: not a time from 2000 to 2099"),  # milliseconds
        ({"time": pa.array([datetime.time(12)])}, "time: not a time from 2000 to 2099"),
    ],
)
@pytest.mark.parametrize("buckets", ["1", "2"])
def test_parquet_that_cannot_be_meant_is_set_aside(
    column: dict[str, Any], reason: str, buckets: str, write_folder: Any, roam_json: Any
) -> None:
    folder = write_folder()
    pq.write_table(table(**column), folder / "radio.parquet")
    found = roam_json("classify", folder, "--buckets", buckets)
    assert found["rejected"] == {"radio": {reason: 1}}
    assert found["rows"] == {"radio": 1}
    assert names(found) == []
    assert len(Path(found["set_aside"]["radio"]).read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("radio.csv", b"", "expected a first line of distinct column names, came []"),
        ("radio.csv", b"\n\n", "expected a first line of distinct column names, came []"),
        ("radio.csv", f"{HEADER},user\n{ROW},x\n".encode(), "distinct column names"),
        ("radio.csv", f"{HEADER}\n{ROW}\n".replace(",", ";").encode(), "lacks the columns user, sim_mcc"),
        ("radio.csv", b"user,sim_mcc\nu,234\n", "lacks the columns sim_mnc"),
        ("radio.csv", f"{HEADER}\n{ROW}\n".encode("utf-16"), "lacks the columns user, sim_mcc"),
        ("radio.csv.gz", b"", "distinct column names"),
        ("radio.csv.gz", b"no gzip", "not readable as CSV"),
        ("radio.parquet", b"", "radio.parquet: not readable"),
        ("tac.csv", b"", "tac.csv: expected a first line"),
        ("sectors.parquet", b"PAR1", "sectors.parquet: not readable"),
    ],
)
def test_a_file_of_no_use_is_one_line(
    name: str, content: bytes, said: str, write_folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder()
    if not name.startswith("radio"):
        (folder / "radio.csv").write_text(f"{HEADER}\n{ROW}\n")
    (folder / name).write_bytes(content)
    assert run(airshed, ["roam", "classify", str(folder), "--threads", "1"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("value", [pa.array([["u1"]]), pa.array([{"a": "u1"}])])
def test_lists_and_structures_are_refused(
    value: pa.Array, write_folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder()
    pq.write_table(table(user=value), folder / "radio.parquet")
    assert run(airshed, ["roam", "classify", str(folder), "--threads", "1"]) == 2
    error = capsys.readouterr().err
    assert "came lists or structures in the column user" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("keep", [[], ["--keep-identifiers"]])
@pytest.mark.parametrize("command", ["classify", "catalog", "report", "platform", "export"])
def test_tables_without_rows_are_no_error(
    command: str, keep: list[str], write_folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder()
    (folder / "radio.csv").write_text(f"{HEADER}\n")
    (folder / "platform.csv").write_text(f"{PLATFORM_HEADER}\n")
    pq.write_table(
        pa.table({name: pa.array([], pa.string()) for name in ("user", "class", "vertical", "label")}),
        folder / "truth.parquet",
    )
    assert run(airshed, ["roam", command, str(folder), "--threads", "1", *keep]) == 0, capsys.readouterr().err
