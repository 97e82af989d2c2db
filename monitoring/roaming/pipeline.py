"""The pipeline as a list of steps: read and hash, stage in buckets, catalogue, devices, classes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitoring.roaming import catalog, rules
from monitoring.roaming.apn import Keyword, own_keywords
from monitoring.roaming.engine import DuckEngine, Engine
from monitoring.roaming.ingest import STAGED_TYPES, Intake, Intaker, load_catalogues, stage
from monitoring.roaming.network import Network
from monitoring.roaming.privacy import SiteKey
from spectrum.errors import BadInput

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Run:
    """One run over a folder of records.

    buckets: None chooses by the number of rows. guarded: the guard on spreading device properties.
    keep_names: name devices in results by the identifier that came, for input that holds pseudonyms already.
    """

    folder: Path
    out: Path
    network: Network
    key: SiteKey
    keywords: tuple[Keyword, ...] = field(default_factory=own_keywords)
    guarded: bool = True
    keep_names: bool = False
    buckets: int | None = None

    @property
    def staging(self) -> Path:
        return self.out / "staging"

    def intaker(self, engine: Engine) -> Intaker:
        return Intaker(engine, self.folder, self.network, self.key, self.out / "set-aside", Intake(), self.keep_names)


@contextlib.contextmanager
def open_engine(kind: str, out: Path, *, memory_gb: float = 1.0, threads: int | None = None) -> Iterator[Engine]:
    """A DuckDB or Spark engine; what it spills and stages lies below `out` and is removed at the end."""
    staging = out / "staging"
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
    except OSError as error:
        raise BadInput(f"{out}: cannot be written ({error.strerror}); name another folder with --out") from None
    engine: Engine
    if kind == "spark":
        from monitoring.roaming.spark_engine import SparkEngine

        master = f"local[{threads or '*'}]"
        engine = SparkEngine(staging / "spark", master=master, memory_gb=max(memory_gb, 1.0))
    else:
        engine = DuckEngine(memory_gb=memory_gb, threads=threads, spill_dir=staging / "spill")
    try:
        yield engine
    finally:
        engine.close()
        shutil.rmtree(staging, ignore_errors=True)


def build_devices(run: Run, engine: Engine, advance: Advance, *, catalog_to: Path | None = None) -> Intaker:
    """Read, stage and summarise: leaves the tables `devices`, `tac`, `apn_meanings` (and `names`) in the engine.

    catalog_to: folder that receives the daily devices-catalogue as Parquet parts, one a bucket.
    """
    intaker = run.intaker(engine)
    load_catalogues(intaker)
    buckets = stage(intaker, run.staging, run.buckets)
    advance(0.5)
    if run.keep_names:
        engine.table("names", intaker.names())
    _load_apns(run, engine, buckets)
    parts = []
    if catalog_to is not None:
        shutil.rmtree(catalog_to, ignore_errors=True)
        catalog_to.mkdir(parents=True)
    for bucket in range(buckets):
        if buckets > 1:
            _open_bucket(run, engine, bucket)
        engine.table("radio_days", catalog.radio_days(run.network))
        engine.table("service_days", catalog.service_days())
        engine.table("parts", catalog.parts(run.network))
        engine.table("sums", catalog.sums(run.network))
        engine.table("varied", catalog.varied())
        engine.table("daily", catalog.daily(run.network))
        if catalog_to is not None:
            engine.write(catalog.labelled(keep_names=run.keep_names), catalog_to / f"part-{bucket:05d}.parquet")
        if buckets == 1:
            engine.table("devices", catalog.devices())
        else:
            parts.append(run.staging / "devices" / f"part-{bucket:05d}.parquet")
            parts[-1].parent.mkdir(exist_ok=True)
            engine.write(catalog.devices(), parts[-1])
        advance(0.5 / buckets)
    if buckets > 1:
        shutil.rmtree(run.staging / "radio", ignore_errors=True)
        shutil.rmtree(run.staging / "cdr", ignore_errors=True)
        engine.view("devices", f"SELECT * FROM read_parquet('{run.staging / 'devices' / '*.parquet'}')")
    return intaker


def _open_bucket(run: Run, engine: Engine, bucket: int) -> None:
    for table in ("radio", "cdr"):
        types = STAGED_TYPES[table]
        folder = run.staging / table / f"bucket={bucket}"
        if folder.is_dir():
            columns = ", ".join(types)
            engine.view(table, f"SELECT {columns} FROM read_parquet('{folder}/*.parquet', hive_partitioning = false)")
        else:
            engine.load(f"no_{table}", types, [])
            engine.view(table, f"SELECT * FROM no_{table}")


def _load_apns(run: Run, engine: Engine, buckets: int) -> None:
    """Every distinct APN is looked up once, in Python; the rows only join."""
    files = run.staging / "cdr" / "*" / "*.parquet"
    if buckets > 1 and not (run.staging / "cdr").is_dir():
        source = "(SELECT CAST(NULL AS STRING) AS apn) nothing"
    else:
        source = f"read_parquet('{files}', hive_partitioning = false)" if buckets > 1 else "cdr"
    found = engine.rows(f"SELECT DISTINCT apn FROM {source} WHERE apn IS NOT NULL")
    apns = sorted(apn for (apn,) in found)
    engine.load("apn_meanings", rules.APN_TYPES, rules.apn_meanings(apns, run.keywords))


def classify(run: Run, engine: Engine) -> None:
    """From `devices` to the table `classes`."""
    engine.view("typed", rules.typed())
    engine.table("properties", rules.properties(guarded=run.guarded))
    engine.view("classified", rules.classified())
    engine.table("classes", rules.with_meters())


def counts(engine: Engine, select: str) -> dict[str, int]:
    """{key: count} of a two-column result; a NULL key is called "none"."""
    return {"none" if key is None else str(key): int(count) for key, count in engine.rows(select)}


def rejections(intake: Intake) -> dict[str, dict[str, int]]:
    """{table: {reason: rows}}"""
    return {table: dict(reasons) for table, reasons in intake.rejected.items()}


def summary(run: Run, engine: Engine, intaker: Intaker) -> dict[str, Any]:
    """What every command says of a run: rows in, rows set aside, devices by label, class and step."""
    intake = intaker.intake
    return {
        "rows": dict(intake.rows),
        "rejected": rejections(intake),
        "set_aside": dict(intake.set_aside),
        "device_count": int(engine.rows("SELECT count(*) FROM classes")[0][0]),
        "labels": counts(engine, "SELECT label, count(*) FROM classes GROUP BY label ORDER BY 2 DESC, 1"),
        "classes": counts(engine, "SELECT class, count(*) FROM classes GROUP BY class ORDER BY 2 DESC, 1"),
        "steps": counts(engine, "SELECT step, count(*) FROM classes GROUP BY step ORDER BY 2 DESC, 1"),
        "national_outbound_device_days": int(engine.rows("SELECT coalesce(sum(national_days), 0) FROM classes")[0][0]),
        "unknown_tac_devices": int(engine.rows("SELECT count(*) FROM classes WHERE property IS NULL")[0][0]),
        "retention_days": run.network.retention_days,
    }
