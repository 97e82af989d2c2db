"""The same text on Spark gives what DuckDB gives. Needs the extra `cluster` and Java.

The same means: every count, text and order; numbers to one part in a million, since sums run in another order; numbers
of figures, which are printed with five digits, to one part in ten thousand.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from monitoring.roaming import catalog, m2m_platform, pipeline, population_figures, rules
from monitoring.roaming.network import read_network
from monitoring.roaming.privacy import SiteKey
from monitoring.roaming.schema import PLATFORM
from monitoring.roaming.synthesize import synthesize

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'airshed[cluster]'")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java on the PATH", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
ENGINES = ("duckdb", "spark")
# Low enough for devices of two days to be listed.
LIMITS = m2m_platform.Limits(10, 10, 1, return_window_s=86_400.0, permanent_share=0.1)


def results(folder: Path, out: Path, kind: str) -> dict[str, Any]:
    """What classify, catalog, report and platform have to say of a folder, from one run of an engine."""
    run = pipeline.Run(folder, out, read_network(folder / "network.toml"), SiteKey(b"k" * 32), keep_names=True)
    with pipeline.open_engine(kind, out, threads=2) as engine:
        intaker = pipeline.build_devices(run, engine, lambda amount: None)
        pipeline.classify(run, engine)
        intaker.bring_as_table(PLATFORM)
        engine.table("names", intaker.names())
        m2m_platform.prepare(engine, LIMITS)
        figures = m2m_platform.figures(engine) + population_figures.figures(engine)
        return {
            "summary": pipeline.summary(run, engine, intaker) | {"set_aside": None},
            "catalog": engine.rows(f"SELECT * FROM ({catalog.labelled(keep_names=True)}) x ORDER BY device, day"),
            "classes": engine.rows(f"SELECT * FROM ({rules.output(keep_names=True)}) x ORDER BY device"),
            "figures": [figure.as_json() for figure in figures],
            "platform": m2m_platform.view(engine, LIMITS, top=50, keep_names=True),
        }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """{engine: results} of 120 synthetic devices over two days, with strange rows."""
    folder = tmp_path_factory.mktemp("folder")
    synthesize(folder, 120, 2, 4, "csv", lambda amount: None)
    with (folder / "radio.csv").open("a") as file:
        file.write(
            "b,234,10,,s00001,2019-04-05T12:00:00Z,attach,OK,9G,Gb\n"
            "c,234,10,,s00001,2019-04-05T01:00:00+02:00,attach,OK,2G,Gb\n"
            "e,234,10,,s00001,2019-04-05T12:00:00Z,attach,OK,2G,Gb,extra\n"
            "f,234,10\n"
        )
    with (folder / "cdr.csv").open("a") as file:
        file.write("d,234,10,208,01,2019-04-05 12:00:00,1,-5,,\nd,234,10,208,02,2019-04-05 12:00:00,1,5,x,35000000\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")  # compiling well does not pay for a minute's run
        return {kind: results(folder, tmp_path_factory.mktemp(kind), kind) for kind in ENGINES}


def differences(one: Any, other: Any, tolerance: float, where: str = "") -> list[str]:
    """Where two nested results differ by more than the relative `tolerance`."""
    if isinstance(one, Mapping):
        if list(one) != list(other):
            return [f"{where}: {list(one)} and {list(other)}"]
        return [text for key in one for text in differences(one[key], other[key], tolerance, f"{where}/{key}")]
    if isinstance(one, Sequence) and not isinstance(one, str):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)} items"]
        pairs = enumerate(zip(one, other, strict=True))
        return [text for place, (a, b) in pairs for text in differences(a, b, tolerance, f"{where}/{place}")]
    if isinstance(one, float) and isinstance(other, float):
        same = math.isclose(one, other, rel_tol=tolerance, abs_tol=1e-9)
    else:
        same = one == other
    return [] if same else [f"{where}: {one!r} and {other!r}"]


@pytest.mark.parametrize(
    ("part", "tolerance"),
    [("summary", 0.0), ("catalog", 1e-6), ("classes", 1e-6), ("figures", 1e-4), ("platform", 1e-6)],
)
def test_spark_says_what_duckdb_says(found: dict[str, dict[str, Any]], part: str, tolerance: float) -> None:
    on_duckdb, on_spark = (found[kind][part] for kind in ENGINES)
    assert differences(on_duckdb, on_spark, tolerance) == []


def test_what_is_compared_is_there(found: dict[str, dict[str, Any]]) -> None:
    duckdb = found["duckdb"]
    assert sum(duckdb["summary"]["rejected"]["radio"].values()) == 3
    assert sum(duckdb["summary"]["rejected"]["cdr"].values()) == 1
    assert len(duckdb["classes"]) == duckdb["summary"]["device_count"] == 122
    assert len(duckdb["catalog"]) > 122
    assert len([figure for figure in duckdb["figures"] if figure["rows"]]) > 15
    assert all(duckdb["platform"]["counts"][name] for name in ("storms", "ping_pong", "permanent_roamers"))
    assert differences([1.0, {"a": "x"}], [1.1, {"a": "y"}], 1e-6) == ["/0: 1.0 and 1.1", "/1/a: 'x' and 'y'"]
