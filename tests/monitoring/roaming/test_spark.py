"""The same text on Spark gives what DuckDB gives. Needs the extra `cluster` and Java."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from monitoring.roaming import catalog, m2m_platform, population_figures, rules
from monitoring.roaming.engine import Engine
from monitoring.roaming.figure import distribution
from monitoring.roaming.schema import PLATFORM

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'airshed[cluster]'")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java on the PATH", allow_module_level=True)


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(round(value, 6) if isinstance(value, float) else value for value in row) for row in rows]


def population(engine: Engine) -> list[dict[str, Any]]:
    """A figure of each kind that the report has: counts, shares and quantiles."""
    days = distribution(engine, "8", "Days active", "days", {"all": "1 = 1"})
    figures = [population_figures.home_countries(engine), *population_figures.label_by_class(engine), days]
    return [figure.as_json() for figure in figures]


def platform(engine: Engine, intaker: Any) -> dict[str, Any]:
    """What `airshed roam platform` lists, with limits low enough for devices to be listed."""
    intaker.bring_as_table(PLATFORM)
    engine.table("names", intaker.names())
    limits = m2m_platform.Limits(storm_per_day=50, storm_per_hour=20, ping_pong=1, permanent_share=0.1)
    m2m_platform.prepare(engine, limits)
    return m2m_platform.view(engine, limits, top=50, keep_names=True)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_spark_and_duckdb_agree_on_bad_rows_catalogue_classes_figures_and_platform(
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
    for name in ("tac", "truth", "platform"):
        shutil.copy(few / f"{name}.parquet", folder)
    with (folder / "radio.csv").open("a") as file:
        file.write("e,234,10,,s1,2019-04-05T12:00:00Z,attach,OK,2G,Gb,extra\nf,234,10\n")
    found = {}
    for kind in ("duckdb", "spark"):
        with open_run(folder, kind, keep_names=True) as (engine, intaker):
            days = engine.rows(f"SELECT * FROM ({catalog.labelled(keep_names=True)}) x ORDER BY device, day")
            classes = engine.rows(f"SELECT * FROM ({rules.output(keep_names=True)}) x ORDER BY device")
            figures, seen = population(engine), platform(engine, intaker)
            counted = (intaker.intake.rejected, intaker.intake.rows)
            found[kind] = (rounded(days), rounded(classes), *counted, figures, seen)
    assert len(found["duckdb"][1]) == 3
    seen = found["duckdb"][-1]
    assert all(seen["counts"][name] for name in ("storms", "permanent_roamers"))
    assert found["spark"] == found["duckdb"]
