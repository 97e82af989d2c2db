"""From files to rows the pipeline can trust: read, checked, identifiers hashed, bad rows set aside and counted."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from monitoring.roaming import reading
from monitoring.roaming.catalog import SECONDS_PER_DAY, flag_bits
from monitoring.roaming.engine import DuckEngine, Engine, Part, find_parts
from monitoring.roaming.network import Network
from monitoring.roaming.privacy import SiteKey, as_text
from monitoring.roaming.schema import CDR, RADIO, SECTORS, TAC, Table
from spectrum.errors import BadInput

# A bucket of this many rows is worked on in well under 1 GB.
ROWS_PER_BUCKET: Final = 2_500_000
# For CSV, whose rows cannot be counted without reading it all.
BYTES_PER_CSV_ROW: Final = 60

FLAWED_BUCKET: Final = -1

# Takes the name and the SELECT of one part's rows, keeps them, and returns how many have flaws.
Put = Callable[[str, str], int]

# How the rows of a table look once its identifiers are hashed; {day} counts local days since 1970-01-01.
STAGED: Final = {
    # Numbers sort, join and store faster than text: SIM 23410 is 123410 (so leading zeros live), flags are bits.
    "radio": (
        "{device} AS device, {day} AS day, r.time_s, {sim} AS sim, {tac} AS tac, r.sector, {ok} AS ok, "
        "{ok} * {flags} AS flags, i.imsi_range"
    ),
    "cdr": (
        "{device} AS device, {day} AS day, r.time_s, {sim} AS sim, {tac} AS tac, "
        "try_cast('1' || r.visited_mcc || r.visited_mnc AS INT) AS visited, r.duration_s, r.bytes, r.apn, i.imsi_range"
    ),
    "platform": (
        "{device} AS device, {day} AS day, r.time_s, r.sim_mcc || r.sim_mnc AS sim, "
        "r.visited_mcc || r.visited_mnc AS visited, lower(r.procedure) AS procedure, r.result AS cause, "
        "{ok} AS ok"
    ),
    "truth": "{device} AS device, r.class, r.vertical, r.label",
}


STAGED_TYPES: Final = {
    "radio": {
        "device": "count", "day": "count", "time_s": "number", "sim": "count", "tac": "count", "sector": "text",
        "ok": "count", "flags": "count", "imsi_range": "text",
    },
    "cdr": {
        "device": "count", "day": "count", "time_s": "number", "sim": "count", "tac": "count", "visited": "count",
        "duration_s": "number", "bytes": "number", "apn": "text", "imsi_range": "text",
    },
    "platform": {
        "device": "count", "day": "count", "time_s": "number", "sim": "text", "visited": "text", "procedure": "text",
        "cause": "text", "ok": "count",
    },
    "truth": {"device": "count", "class": "text", "vertical": "text", "label": "text"},
}  # fmt: skip


@dataclass
class Intake:
    """What came in: rows read and rows set aside by reason, per table; where they were put."""

    rows: Counter[str] = field(default_factory=Counter)
    rejected: dict[str, Counter[str]] = field(default_factory=dict)
    set_aside: dict[str, str] = field(default_factory=dict)

    def reject(self, table: str, reason: str, count: int) -> None:
        self.rejected.setdefault(table, Counter())[reason] += count


@dataclass(frozen=True)
class Intaker:
    """Reads tables of one folder into an engine.

    key: hashes the identifiers. keep_names: results name devices by the identifier that came (already a pseudonym).
    out: where bad rows are set aside.
    """

    engine: Engine
    folder: Path
    network: Network
    key: SiteKey
    out: Path
    intake: Intake
    keep_names: bool = False

    def parts(self, table: Table, *, needed: bool = False) -> list[Part]:
        found = find_parts(self.folder, table.name)
        if needed and not found:
            raise BadInput(
                f"{self.folder}: expected {table.name}.parquet, {table.name}.csv or {table.name}/, found none; "
                "`airshed roam schema` describes the folder"
            )
        return found

    def catalogue(self, table: Table) -> None:
        """Load a table without identifiers (tac, sectors) under its own name; empty when there is no file."""
        parts = self.parts(table)
        if len(parts) > 1:
            raise BadInput(f"{self.folder}: {table.name} is a catalogue of one file, came {len(parts)}; join them")
        if parts:
            view = self._checked(table, parts[0], f"{table.name}_0")
            [(rows, flawed)] = self.engine.rows(f"SELECT count(*), count(CASE WHEN flaws > 0 THEN 1 END) FROM {view}")
            self._count(table, parts[0], view, rows, flawed)
            self.engine.table(table.name, f"SELECT * FROM {view} WHERE flaws = 0")
            return
        types = {reading.output_name(c): "number" if c.kind.endswith("itude") else "text" for c in table.columns}
        self.engine.load(table.name, types, [])

    def bring(self, table: Table, put: Put, *, needed: bool = False) -> None:
        """Read the parts of a table with identifiers; `put` receives for each names and SELECTs of hashed rows.

        The SELECT has a column `flaws`; rows with flaws are bad. `put` keeps the rows, since what names their devices
        is given up after each part, and says how many flawed ones there were. A part with more identifiers than the
        engine can join at once is read once for each slice of them.
        """
        offset_s = self.network.utc_offset_h * 3600
        for number, part in enumerate(self.parts(table, needed=needed)):
            view = self._checked(table, part, f"{table.name}_{number}")
            ids = f"{table.name}_ids_{number}"
            self.engine.table(f"{ids}_seen", f"SELECT identifier, count(*) AS n FROM {view} GROUP BY identifier")
            known = f"SELECT identifier FROM {ids}_seen WHERE identifier IS NOT NULL"
            self.engine.identify(ids, known, self._identity())
            [(rows, users)] = self.engine.rows(f"SELECT coalesce(sum(n), 0), count(*) FROM {ids}_seen")
            self.engine.drop(f"{ids}_seen")
            columns = STAGED[table.name].format(
                device="i.device",
                sim="try_cast('1' || r.sim_mcc || r.sim_mnc AS INT)",
                tac="try_cast(r.tac AS INT)",
                day=f"try_cast(floor((r.time_s + {offset_s}) / {SECONDS_PER_DAY}) AS BIGINT)",
                ok=f"CAST(lower(r.result) IN {reading.SUCCESS} AS INT)",
                flags=flag_bits("r.rat", "r.interface"),
            )
            flawed = 0
            for place, condition in enumerate(_slices(self.engine.slices(users))):
                kept = f"(SELECT * FROM {ids} WHERE {condition})"
                read = f"(SELECT * FROM {view} WHERE {condition})"
                hashed = f"SELECT {columns}, r.flaws FROM {read} r LEFT JOIN {kept} i ON r.identifier = i.identifier"
                flawed += put(f"{table.name}_rows_{number}_{place}", hashed)
            self._count(table, part, view, int(rows), flawed, ids)
            if not self.keep_names:
                self.engine.drop(ids)  # the identifiers of all parts together may be more than memory holds

    def bring_as_table(self, table: Table, *, needed: bool = False) -> None:
        """Read a table with identifiers whole, under its own name; empty when there is no file."""
        names = []

        def put(name: str, select: str) -> int:
            self.engine.table(name, select)
            names.append(name)
            return int(self.engine.rows(f"SELECT count(*) FROM {name} WHERE flaws > 0")[0][0])

        self.bring(table, put, needed=needed)
        if names:
            self.engine.view(table.name, " UNION ALL ".join(f"SELECT * FROM {name} WHERE flaws = 0" for name in names))
        else:
            self.engine.load(table.name, STAGED_TYPES[table.name], [])

    def bring_in_buckets(self, table: Table, engine: DuckEngine, folder: Path, buckets: int) -> None:
        """Read a table with identifiers into files, folder/bucket=N/*.parquet by hash of the device."""

        def put(name: str, select: str) -> int:
            bucket = f"CASE WHEN flaws > 0 THEN {FLAWED_BUCKET} ELSE pmod(device, {buckets}) END AS bucket"
            engine.write_buckets(f"SELECT *, {bucket} FROM ({select}) rows", folder, buckets)
            flawed = folder / f"bucket={FLAWED_BUCKET}"
            if not flawed.is_dir():
                return 0
            count = int(engine.rows(f"SELECT count(*) FROM read_parquet('{flawed}/*.parquet')")[0][0])
            shutil.rmtree(flawed)
            return count

        self.bring(table, put)

    def names(self) -> str:
        """SELECT of (device, name): how results name a device."""
        ids = [
            f"{table}_ids_{number}"
            for table in ("radio", "cdr", "platform", "truth")
            for number in range(len(find_parts(self.folder, table)))
            if self.intake.rows[table]
        ]
        if not ids:
            return "SELECT CAST(NULL AS BIGINT) AS device, CAST(NULL AS STRING) AS name WHERE 1 = 0"
        return " UNION ".join(f"SELECT device, identifier AS name FROM {name}" for name in ids)

    def _identity(self) -> Callable[[str], tuple[int, str | None]]:
        key, network = self.key, self.network

        def identity(identifier: str) -> tuple[int, str | None]:
            span = network.range_of(identifier) if network.imsi_ranges else None
            return key.pseudonym(identifier), f"{span.use}:{span.name}" if span else None

        return identity

    def _checked(self, table: Table, part: Part, name: str) -> str:
        families = {key.lower(): family for key, family in self.engine.source(f"{name}_raw", part).items()}
        reading.refuse_columns(table, families, str(part.path))
        self.engine.view(name, reading.checked(table, f"{name}_raw", families))
        return name

    def _count(self, table: Table, part: Part, view: str, rows: int, flawed: int, ids: str = "") -> None:
        broken = self.engine.malformed_lines(part)
        self.intake.rows[table.name] += rows + len(broken)
        for _, reason in broken:
            self.intake.reject(table.name, f"line: {reason}", 1)
        if flawed:
            counts = self.engine.rows(f"SELECT reason, count(*) FROM {view} WHERE flaws > 0 GROUP BY reason ORDER BY 1")
            for reason, count in counts:
                self.intake.reject(table.name, reason, int(count))
        if broken or flawed:
            self._set_aside(table, part, view, broken, ids)

    def _set_aside(self, table: Table, part: Part, view: str, broken: list[tuple[int, str]], ids: str) -> None:
        """Write the bad rows as read, with pseudonyms for identifiers and without the text of broken lines."""
        import csv

        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / f"{table.name}.csv"
        columns = [reading.output_name(column) for column in table.columns]
        # Few of the identifiers are those of bad rows; all of them may be more than a join can hold.
        few = f"(SELECT * FROM {ids} WHERE identifier IN (SELECT identifier FROM {view} WHERE flaws > 0))"
        join = f"LEFT JOIN {few} i ON r.identifier = i.identifier" if ids else ""
        shown = "r.identifier" if self.keep_names else "i.device"
        read = [shown if name == "identifier" else f"r.raw_{name}" for name in columns]
        fresh = str(path) not in self.intake.set_aside.values()
        with path.open("w" if fresh else "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["file", "reason", "line", *columns])
            writer.writerows([part.path.name, f"line: {reason}", line] for line, reason in broken)
            select = f"SELECT r.reason, {', '.join(read)} FROM {view} r {join} WHERE r.flaws > 0"
            for batch in self.engine.batches(select):
                for reason, *values in zip(*batch.values(), strict=True):
                    if ids and not self.keep_names and values[0] is not None:
                        values[0] = as_text(values[0])
                    writer.writerow([part.path.name, reason, "", *values])
        self.intake.set_aside[table.name] = str(path)


def _slices(count: int) -> list[str]:
    """Conditions on `identifier` of which every row meets one."""
    if count == 1:
        return ["1 = 1"]
    return [f"pmod(hash(identifier), {count}) = {place}" for place in range(count)]


def estimated_rows(engine: Engine, parts: list[Part]) -> int:
    """Rows of Parquet by its metadata, of CSV by its size."""
    total = 0
    for part in parts:
        if part.format == "parquet":
            engine.source("counted", part)
            total += int(engine.rows("SELECT count(*) FROM counted")[0][0])
        else:
            total += part.path.stat().st_size // BYTES_PER_CSV_ROW
    return total


def load_catalogues(intaker: Intaker) -> None:
    for table in (TAC, SECTORS):
        intaker.catalogue(table)


def stage(intaker: Intaker, staging: Path, buckets: int | None) -> int:
    """Bring radio and cdr into the engine and return the number of buckets.

    One bucket: tables `radio` and `cdr` in the engine. More (DuckDB only): files below `staging`, one folder a bucket,
    so that memory holds one bucket at a time however many devices there are.
    """
    engine = intaker.engine
    tables = [table for table in (RADIO, CDR) if intaker.parts(table)]
    if not tables:
        intaker.parts(RADIO, needed=True)
    if buckets is None:
        rows = sum(estimated_rows(engine, intaker.parts(table)) for table in tables)
        buckets = max(1, round(rows / ROWS_PER_BUCKET)) if isinstance(engine, DuckEngine) else 1
    for table in (RADIO, CDR):
        if buckets > 1 and isinstance(engine, DuckEngine):
            intaker.bring_in_buckets(table, engine, staging / table.name, buckets)
        else:
            intaker.bring_as_table(table)
    return buckets
