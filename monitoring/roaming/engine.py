"""The doors to the two SQL engines. The pipeline is one text that both read; each is taught the words it lacks.

DuckDB runs it on one machine (this file alone imports it), Spark past one (`spark_engine`).
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from spectrum.errors import BadInput, Failed

# What a column of a source is before it is read: text (every CSV column), number, time, or nested (no single value).
Family = str
# Identifier -> (pseudonym, name of the IMSI range it is in).
Identity = Callable[[str], tuple[int, str | None]]


# A column after the last of a CSV: it catches lines that are too long.
BEYOND: Final = "airshed_beyond"
_MICROSECONDS: Final = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
BATCH_ROWS: Final = 50_000

# Of the engine's memory, for the row groups that wait in open files while buckets are written; and what a row takes.
WRITING_SHARE: Final = 0.15
BYTES_PER_WRITTEN_ROW: Final = 100
LEAST_GROUP_ROWS: Final = 2048
MOST_GROUP_ROWS: Final = 122_880  # the engine's own

# Of the engine's memory, for the identifiers of a part while its rows are joined with them: a join that fills it fails,
# since what it holds is not spilled while rows are written. And what an identifier takes in it.
JOINING_SHARE: Final = 0.25
BYTES_PER_JOINED_IDENTIFIER: Final = 100


@dataclass(frozen=True)
class Part:
    """One file of a source table."""

    path: Path
    format: str  # "csv" or "parquet"


def find_parts(folder: Path, table: str) -> list[Part]:
    """The files of `table` in `folder`: NAME.parquet, NAME.csv, NAME.csv.gz, or parts in a folder NAME/."""
    found = [
        Part(folder / f"{table}{ending}", kind) for ending, kind in _ENDINGS if (folder / f"{table}{ending}").is_file()
    ]
    for ending, kind in _ENDINGS:
        found += [Part(path, kind) for path in sorted((folder / table).rglob(f"*{ending}"))]
    if len(found) > 1 and any(part.path.parent == folder for part in found):
        raise BadInput(f"{folder}: {table} is there more than once ({', '.join(p.path.name for p in found)}); keep one")
    return found


_ENDINGS: Final = ((".parquet", "parquet"), (".csv", "csv"), (".csv.gz", "csv"))


def csv_header(path: Path) -> list[str]:
    """Column names of a CSV file, in lower case."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            header = next(csv.reader(file), [])
    except OSError as error:
        raise BadInput(f"{path}: not readable as CSV ({error})") from None
    names = [name.strip().lower() for name in header]
    if not names or len(set(names)) != len(names) or not all(names):
        raise BadInput(f"{path}: expected a first line of distinct column names, came {header}")
    return names


class Engine(Protocol):
    """What the pipeline needs of an SQL engine. Names are of tables or views in the session."""

    def source(self, view: str, part: Part) -> dict[str, Family]:
        """Make `view` of a file; return its columns and their families."""

    def view(self, name: str, select: str) -> None:
        """Name a query without running it."""

    def table(self, name: str, select: str) -> None:
        """Run a query and keep its result for this session."""

    def quantiles(self, value: str, shares: Sequence[float]) -> str:
        """SQL of an aggregate: the quantiles of a column at these shares, interpolated, as a list."""

    def drop(self, name: str) -> None:
        """Give up a table that is not needed any more."""

    def load(self, name: str, types: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Make a small table of Python rows; `types`: text, number, count or flag."""

    def identify(self, name: str, select: str, identity: Identity) -> None:
        """Make the table `name` (identifier, device, imsi_range) of the distinct identifiers that `select` gives."""

    def slices(self, identifiers: int) -> int:
        """In how many slices so many identifiers are to be joined with their rows."""

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        """All rows of a small result."""

    def batches(self, select: str) -> Iterator[dict[str, list[Any]]]:
        """A large result as column batches."""

    def columns(self, select: str) -> list[str]:
        """Names of the result's columns."""

    def write(self, select: str, path: Path) -> None:
        """Write a result as Parquet."""

    def write_result(self, select: str, path: Path) -> None:
        """Write a result for people to take away, one CSV or Parquet file."""

    def malformed_lines(self, part: Part) -> list[tuple[int, str]]:
        """(line number, what is wrong) of CSV lines that cannot be read at all."""


class DuckEngine:
    """DuckDB in this process, with at most `memory_gb` for its data; what does not fit spills into `spill_dir`."""

    # Spark's names for what DuckDB calls otherwise.
    _WORDS: Final = (
        "collect_set(x) AS coalesce(list(DISTINCT x) FILTER (x IS NOT NULL), [])",
        "regexp_like(text, pattern) AS regexp_matches(text, pattern)",
        "list_of(x) AS CASE WHEN x IS NULL THEN [] ELSE [x] END",
        "pmod(a, b) AS ((a % b) + b) % b",
        "time_micros(t) AS epoch_us(t)",
        "text_micros(t) AS epoch_us(TRY_CAST(t AS TIMESTAMPTZ))",
        "day_text(d) AS CAST(DATE '1970-01-01' + CAST(d AS INTEGER) AS VARCHAR)",
    )

    def __init__(self, *, memory_gb: float = 1.0, threads: int | None = None, spill_dir: Path | None = None) -> None:
        import duckdb

        self._duckdb = duckdb
        self.memory_gb = memory_gb
        self.db = duckdb.connect()
        settings = [
            f"memory_limit = '{memory_gb * 1000:.0f}MB'",
            "TimeZone = 'UTC'",
            "preserve_insertion_order = false",
        ]
        settings += [f"threads = {threads}"] if threads else []
        settings += [f"temp_directory = '{_quoted(spill_dir)}'"] if spill_dir else []
        for setting in settings:
            self.db.execute(f"SET {setting}")
        for word in self._WORDS:
            self.db.execute(f"CREATE MACRO {word}")

    def source(self, view: str, part: Part) -> dict[str, Family]:
        with self._translated(f"{part.path}: not readable"):
            described = self.db.execute(f"DESCRIBE SELECT * FROM {self._reader(part)}").fetchall()
            # Timestamps of other than microseconds (pandas writes nanoseconds) are brought to those.
            finer = [
                f'"{name}"::{_MICROSECONDS["ZONE" in kind or "TZ" in kind]} AS "{name}"'
                for name, kind, *_ in described
                if kind.startswith("TIMESTAMP") and kind not in _MICROSECONDS
            ]
            replaced = f"REPLACE ({', '.join(finer)})" if finer else ""
            self.db.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * {replaced} FROM {self._reader(part)}")
        return {name: family(kind) for name, kind, *_ in described}

    def _reader(self, part: Part, extra: str = "") -> str:
        if part.format == "parquet":
            return f"read_parquet('{_quoted(part.path)}')"
        columns = ", ".join(f"'{_quoted(name)}': 'VARCHAR'" for name in [*csv_header(part.path), BEYOND])
        return (
            f"read_csv('{_quoted(part.path)}', auto_detect = false, strict_mode = false, header = true, delim = ',', "
            f"nullstr = '\\0', quote = '\"', escape = '\"', null_padding = true, "
            f"ignore_errors = true, columns = {{{columns}}}{extra})"
        )

    def view(self, name: str, select: str) -> None:
        with self._translated("the pipeline failed"):
            self.db.execute(f"CREATE OR REPLACE VIEW {name} AS {select}")

    def table(self, name: str, select: str) -> None:
        with self._translated("the pipeline failed"):
            self.db.execute(f"CREATE OR REPLACE TABLE {name} AS {select}")

    def quantiles(self, value: str, shares: Sequence[float]) -> str:
        return f"quantile_cont({value}, [{', '.join(map(str, shares))}])"

    def drop(self, name: str) -> None:
        self.db.execute(f"DROP TABLE IF EXISTS {name}")

    def load(self, name: str, types: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        import pyarrow as pa

        kinds = {"text": pa.string(), "number": pa.float64(), "count": pa.int64(), "flag": pa.bool_()}
        columns = list(zip(*rows, strict=True)) or [()] * len(types)
        arrow = pa.table({key: pa.array(column, kinds[types[key]]) for key, column in zip(types, columns, strict=True)})
        self.db.register("loaded", arrow)
        self.db.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM loaded")
        self.db.unregister("loaded")

    def identify(self, name: str, select: str, identity: Identity) -> None:
        import pyarrow as pa

        self.db.execute(f"CREATE OR REPLACE TABLE {name} (identifier VARCHAR, device BIGINT, imsi_range VARCHAR)")
        for batch in self.db.cursor().sql(select).to_arrow_reader(BATCH_ROWS):
            found = [identity(identifier) for identifier in batch.column(0).to_pylist()]
            columns = [
                batch.column(0),
                pa.array([d for d, _ in found], pa.int64()),
                pa.array([r for _, r in found], pa.string()),
            ]
            self.db.register("loaded", pa.table(columns, ["identifier", "device", "imsi_range"]))
            self.db.execute(f"INSERT INTO {name} SELECT * FROM loaded")
            self.db.unregister("loaded")

    def slices(self, identifiers: int) -> int:
        return math.ceil(max(identifiers, 1) * BYTES_PER_JOINED_IDENTIFIER / (JOINING_SHARE * self.memory_gb * 1e9))

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        with self._translated("the pipeline failed"):
            return self.db.execute(select).fetchall()

    def batches(self, select: str) -> Iterator[dict[str, list[Any]]]:
        for batch in self.db.cursor().sql(select).to_arrow_reader(BATCH_ROWS):
            yield batch.to_pydict()

    def columns(self, select: str) -> list[str]:
        return [row[0] for row in self.db.execute(f"DESCRIBE {select}").fetchall()]

    def write(self, select: str, path: Path) -> None:
        with self._translated(f"{path}: cannot be written"):
            self.db.execute(f"COPY ({select}) TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION zstd)")

    def write_buckets(self, select: str, folder: Path, buckets: int) -> None:
        """Append the rows of a query that has a column `bucket` to folder/bucket=N/*.parquet."""
        # Every bucket has an open file with a row group in memory: many buckets get small ones.
        rows = int(WRITING_SHARE * self.memory_gb * 1e9 / (BYTES_PER_WRITTEN_ROW * buckets))
        group_rows = min(max(rows, LEAST_GROUP_ROWS), MOST_GROUP_ROWS)
        with self._translated(f"{folder}: cannot be written"):
            self.db.execute(
                f"COPY ({select}) TO '{_quoted(folder)}' (FORMAT parquet, COMPRESSION snappy, PARTITION_BY (bucket), "
                f"ROW_GROUP_SIZE {group_rows}, FILENAME_PATTERN '{{uuid}}', OVERWRITE_OR_IGNORE true)"
            )

    def write_result(self, select: str, path: Path) -> None:
        options = "FORMAT csv, HEADER true" if path.suffix == ".csv" else "FORMAT parquet, COMPRESSION zstd"
        with self._translated(f"{path}: cannot be written"):
            self.db.execute(f"COPY ({select}) TO '{_quoted(path)}' ({options})")

    def malformed_lines(self, part: Part) -> list[tuple[int, str]]:
        if part.format != "csv":
            return []
        rejects = ", store_rejects = true, rejects_limit = 0"
        with self._translated(f"{part.path}: not readable"):
            self.db.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
            every = ", ".join(f'count("{name}")' for name in csv_header(part.path))
            self.db.execute(f"SELECT {every} FROM {self._reader(part, rejects)}").fetchall()
            found = self.db.execute(
                "SELECT DISTINCT line, lower(error_type::VARCHAR) FROM reject_errors ORDER BY 1"
            ).fetchall()
        return [(line, kind) for line, kind in found]

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except self._duckdb.OutOfMemoryException:
            raise Failed(
                f"{what}: more memory needed; give --memory-gb, more --buckets, or smaller input parts"
            ) from None
        except (self._duckdb.InvalidInputException, self._duckdb.IOException) as error:
            raise BadInput(f"{what}: {str(error).splitlines()[0]}") from None
        except self._duckdb.Error as error:
            raise Failed(f"{what}: {str(error).splitlines()[0]}") from error

    def close(self) -> None:
        self.db.close()


def json_rows(engine: Engine, select: str, parts: Sequence[Path] | None = None) -> Iterator[str]:
    """Each row of a result, or of Parquet files, as one JSON object."""
    import json

    if parts is None:
        found: Iterator[dict[str, list[Any]]] = engine.batches(select)
    else:
        import pyarrow.parquet

        found = (
            batch.to_pydict()
            for path in sorted(parts)
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(BATCH_ROWS)
        )
    for batch in found:
        for row in zip(*batch.values(), strict=True):
            yield json.dumps(dict(zip(batch, row, strict=True)))


def _quoted(path: object) -> str:
    return str(path).replace("'", "''")


def family(sql_type: str) -> Family:
    kind = sql_type.upper()
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "ARRAY")):
        return "nested"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return "time"
    number = ("TINYINT", "SMALLINT", "INT", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINT", "UBIGINT", "FLOAT")
    return "number" if kind.startswith((*number, "DOUBLE", "DECIMAL", "REAL", "LONG")) else "text"
