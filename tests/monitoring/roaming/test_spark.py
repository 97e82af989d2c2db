"""The same text on Spark gives what DuckDB gives. Needs the extra `cluster` and Java."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from monitoring.roaming import catalog, rules

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'airshed[cluster]'")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java on the PATH", allow_module_level=True)


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(round(value, 6) if isinstance(value, float) else value for value in row) for row in rows]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_spark_and_duckdb_agree_on_bad_rows_catalogue_and_classes(
    write_folder: Any, row: Any, open_run: Any, few: Path
) -> None:
    folder = write_folder(
        (few / "network.toml").read_text(),
        radio=[
            row.radio("204040000000001", "20404"),
            row.radio("b", rat="9G"),
            row.radio("c", time="2019-04-05T01:00:00+02:00"),
        ],
        cdr=[
            row.cdr("204040000000001", "20404", apn="smhp.centricaplc.com", bytes=5),
            row.cdr("d", visited="20801", bytes=1, apn="internet"),
            row.cdr("d", visited="20802", tac="35000000"),
        ],
        sectors=[{"sector": "s1", "lat_deg": 51.5, "lon_deg": 0}],
    )
    for name in ("tac", "truth"):
        shutil.copy(few / f"{name}.parquet", folder)
    with (folder / "radio.csv").open("a") as file:
        file.write("e,234,10,,s1,2019-04-05T12:00:00Z,attach,OK,2G,Gb,extra\nf,234,10\n")
    found = {}
    for kind in ("duckdb", "spark"):
        with open_run(folder, kind, keep_names=True) as (engine, intaker):
            days = engine.rows(f"SELECT * FROM ({catalog.labelled(keep_names=True)}) x ORDER BY device, day")
            classes = engine.rows(f"SELECT * FROM ({rules.output(keep_names=True)}) x ORDER BY device")
            found[kind] = (rounded(days), rounded(classes), intaker.intake.rejected, intaker.intake.rows)
    assert len(found["duckdb"][1]) == 3
    assert found["spark"] == found["duckdb"]
