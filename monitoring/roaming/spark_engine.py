"""The door to Spark, for populations past one machine; the same SQL text as on DuckDB."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from monitoring.roaming.engine import BATCH_ROWS, BEYOND, Family, Identity, Part, csv_header, family
from spectrum.errors import BadInput

SQL_TYPES: Final = {"text": "STRING", "number": "DOUBLE", "count": "BIGINT", "flag": "BOOLEAN"}
# On one machine small queries cost planning, compiling and starting tasks, not rows: an adaptive plan is a job for each
# stage, and every further partition is a task.
_ON_ONE_MACHINE: Final = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
}


class SparkEngine:
    """Spark through pyspark (the extra `cluster`); `master` as Spark takes it, such as local[2]."""

    # DuckDB's meaning for what Spark has not.
    _WORDS: Final = (
        "time_micros(t TIMESTAMP) RETURNS BIGINT RETURN unix_micros(t)",
        "text_micros(t STRING) RETURNS BIGINT RETURN unix_micros(try_cast(t AS TIMESTAMP))",
        "list_of(x STRING) RETURNS ARRAY<STRING> RETURN filter(array(x), y -> y IS NOT NULL)",
        "day_text(d BIGINT) RETURNS STRING RETURN CAST(date_add(DATE '1970-01-01', CAST(d AS INT)) AS STRING)",
    )

    def __init__(self, spill_dir: Path, *, master: str = "local[2]", memory_gb: float = 1.0, **more: str) -> None:
        try:
            from pyspark.sql import SparkSession
        except ImportError:
            raise BadInput("--engine spark needs pyspark and Java: pip install 'airshed[cluster]'") from None
        if shutil.which("java") is None:
            raise BadInput("--engine spark needs Java (17 or newer) on the PATH; on Debian: default-jre-headless")
        builder = SparkSession.builder.master(master).appName("airshed-roam")
        settings = {
            "spark.ui.enabled": "false",
            "spark.local.dir": str(spill_dir),
            "spark.driver.memory": f"{memory_gb:.0f}g",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.ansi.enabled": "false",
            "spark.sql.ui.explainMode": "simple",
            "spark.ui.showConsoleProgress": "false",
        }
        if master.startswith("local"):
            settings |= _ON_ONE_MACHINE
        settings |= {f"spark.{key.replace('_', '.')}": value for key, value in more.items()}
        for key, value in settings.items():
            builder = builder.config(key, value)
        self.spark = builder.getOrCreate()
        self.spark.sparkContext.setLogLevel("ERROR")
        for word in self._WORDS:
            self.spark.sql(f"CREATE OR REPLACE TEMPORARY FUNCTION {word}")

    def source(self, view: str, part: Part) -> dict[str, Family]:
        if part.format == "parquet":
            frame = self.spark.read.parquet(str(part.path))
        else:
            # An empty field is '', a lacking one NULL.
            schema = ", ".join(f"`{name}` STRING" for name in [*csv_header(part.path), BEYOND])
            reader = self.spark.read.option("nullValue", "\u0000").option("enforceSchema", True)
            frame = reader.csv(str(part.path), schema=schema, header=True, quote='"', escape='"')
        frame.createOrReplaceTempView(view)
        return {name: family(kind) for name, kind in frame.dtypes}

    def view(self, name: str, select: str) -> None:
        self.spark.sql(select).createOrReplaceTempView(name)

    def table(self, name: str, select: str) -> None:
        # Computed once, and cut off from what it was made of, so that plans do not grow from step to step. Kept by the
        # executors: files would have to be where all of them see them, and cost a process each for their permissions.
        self.spark.sql(select).localCheckpoint().createOrReplaceTempView(name)

    def quantiles(self, value: str, shares: Sequence[float]) -> str:
        return f"percentile({value}, array({', '.join(f'{share}D' for share in shares)}))"

    def drop(self, name: str) -> None:
        self.spark.catalog.dropTempView(name)

    def load(self, name: str, types: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        schema = ", ".join(f"`{key}` {SQL_TYPES[kind]}" for key, kind in types.items())
        self.spark.createDataFrame([tuple(row) for row in rows], schema).createOrReplaceTempView(name)

    def identify(self, name: str, select: str, identity: Identity) -> None:
        from pyspark.sql.functions import udf

        named = udf(identity, "device BIGINT, imsi_range STRING", useArrow=False)
        frame = self.spark.sql(select).select("identifier", named("identifier").alias("is"))
        frame.select("identifier", "is.*").createOrReplaceTempView(f"{name}_made")
        self.table(name, f"SELECT * FROM {name}_made")

    def slices(self, identifiers: int) -> int:
        return 1  # Spark sorts what does not fit

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.spark.sql(select).collect()]

    def batches(self, select: str) -> Iterator[dict[str, list[Any]]]:
        frame = self.spark.sql(select)
        rows: list[Any] = []
        for row in frame.toLocalIterator():
            rows.append(row)
            if len(rows) == BATCH_ROWS:
                yield dict(zip(frame.columns, map(list, zip(*rows, strict=True)), strict=True))
                rows = []
        if rows:
            yield dict(zip(frame.columns, map(list, zip(*rows, strict=True)), strict=True))

    def columns(self, select: str) -> list[str]:
        return list(self.spark.sql(select).columns)

    def write(self, select: str, path: Path) -> None:
        self.spark.sql(select).write.mode("overwrite").parquet(str(path))

    def write_result(self, select: str, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet

        batches = [pa.table(batch) for batch in self.batches(select)]
        table = pa.concat_tables(batches, promote_options="permissive") if batches else pa.table({})
        write = pyarrow.csv.write_csv if path.suffix == ".csv" else pyarrow.parquet.write_table
        write(table, str(path))

    def malformed_lines(self, part: Part) -> list[tuple[int, str]]:
        return []  # Spark reads every line, replacing what is no text

    def close(self) -> None:
        self.spark.stop()
