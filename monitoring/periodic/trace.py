"""Reading a reception trace: CSV or Parquet, whatever the clock it was written with.

Columns: device and time_s; optional network, application, gateway, size. Times may be seconds, milli-, micro- or
nanoseconds since any origin, or ISO 8601 with or without a zone, even mixed in one file. Rows that cannot be read are
counted with an example; nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from spectrum.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Other names under which traces carry the columns.
DEVICE_NAMES: Final = ("device", "device_id", "dev_eui", "deveui", "dev_addr", "id")
TIME_NAMES: Final = ("time_s", "time", "timestamp", "time_ms", "time_us", "time_ns", "received_at", "ts")
APPLICATION_NAMES: Final = ("application", "app", "port", "fport", "f_port")
GATEWAY_NAMES: Final = ("gateway", "gateway_id", "concentrator", "gw")
NETWORK_NAMES: Final = ("network", "network_id")
SIZE_NAMES: Final = ("size", "size_bytes", "payload_size")
# Largest magnitude that is taken for seconds, milliseconds, microseconds: the year 5138 in each.
SECONDS_BELOW: Final = 1e11
MILLISECONDS_BELOW: Final = 1e14
MICROSECONDS_BELOW: Final = 1e17
# A time beyond this, the year 33658, is none.
LATEST_S: Final = 1e12
UNIT_S: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class Notes:
    """What was found and mended in a trace, in counts; `examples` show the first unreadable rows."""

    rows: int = 0
    unreadable: int = 0
    out_of_order: int = 0
    duplicates: int = 0
    naive_times: int = 0
    units: dict[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """The notes for a person; nothing when there is nothing to say."""
        said = []
        if self.rows == 0:
            said.append("the trace holds no receptions")
        if self.unreadable:
            said.append(f"{self.unreadable} rows could not be read, e.g. {'; '.join(self.examples)}")
        if self.out_of_order:
            said.append(f"{self.out_of_order} receptions stood out of time order and were sorted")
        if self.duplicates:
            said.append(f"{self.duplicates} copies of receptions (other gateways, repeated rows) were merged")
        if self.naive_times:
            said.append(f"{self.naive_times} times without a zone were read in the zone given by --timezone")
        if len(self.units) > 1:
            said.append("times came in several units: " + ", ".join(f"{n} in {u}" for u, n in self.units.items()))
        return said


@dataclass(frozen=True, slots=True)
class Receptions:
    """A trace in columns of length N. device, application, gateway: indices into their names; -1 where not given.

    Order is that of the file until `tidy`.
    """

    device: Ints
    time_s: Floats
    application: Ints
    gateway: Ints
    devices: tuple[str, ...]
    applications: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    size: Ints | None = None
    notes: Notes = field(default_factory=Notes)

    def __len__(self) -> int:
        return int(self.time_s.size)


def read_trace(path: Path, unit: str = "auto", zone: tzinfo = UTC) -> Receptions:
    """Read a CSV or Parquet trace. `unit` of numeric times: auto (by magnitude), s, ms, us or ns; `zone` of ISO times
    that name none. BadInput when the file or a needed column is missing."""
    if not path.is_file():
        raise BadInput(f"expected a trace (CSV or Parquet), found no file {path}; airshed watch --synthetic makes one")
    table, broken = _parquet(path) if _is_parquet(path) else _csv(path)
    if table is None or (table.num_rows == 0 and not table.column_names):
        return _nothing(broken)
    columns = {name.strip().lower().lstrip("\ufeff"): name for name in table.column_names}
    device = _needed(table, columns, DEVICE_NAMES, path)
    clock = _needed(table, columns, TIME_NAMES, path)
    named = unit if unit != "auto" else _unit_in(clock)
    times, units, naive = to_seconds(table[clock], named, zone)
    device_code, devices = _within_networks(table, columns, *_codes(table, device))
    good = np.isfinite(times) & (np.abs(times) < LATEST_S) & (device_code >= 0)
    examples = [*broken[1], *_examples(table, device, clock, np.flatnonzero(~good)[:3])]
    application, applications = _optional_codes(table, columns, APPLICATION_NAMES)
    gateway, gateways = _optional_codes(table, columns, GATEWAY_NAMES)
    size = _sizes(table, columns)
    notes = Notes(
        rows=table.num_rows + broken[0],
        unreadable=broken[0] + int((~good).sum()),
        naive_times=naive,
        units={name: count for name, count in units.items() if count},
        examples=tuple(examples[:3]),
    )
    return Receptions(
        device=device_code[good],
        time_s=times[good],
        application=application[good],
        gateway=gateway[good],
        devices=devices,
        applications=applications,
        gateways=gateways,
        size=None if size is None else size[good],
        notes=notes,
    )


Broken = tuple[int, list[str]]


def _is_parquet(path: Path) -> bool:
    if path.suffix.lower() in {".parquet", ".pq"}:
        return path.stat().st_size > 0
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def _parquet(path: Path) -> tuple[pa.Table | None, Broken]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path), (0, [])
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"expected a Parquet file, could not read {path}: {error}") from error


def _csv(path: Path) -> tuple[pa.Table | None, Broken]:
    """All columns as text; rows with a wrong number of fields are counted."""
    import pyarrow as pa
    from pyarrow import csv

    broken: list[str] = []
    count = 0

    def skip(row: csv.InvalidRow) -> str:
        nonlocal count
        count += 1
        if len(broken) < 3:
            broken.append(f"'{row.text}' has {row.actual_columns} fields, not {row.expected_columns}")
        return "skip"

    with path.open("rb") as stream:
        header = stream.readline().decode("utf-8-sig", "replace")
        receptions = stream.read(4096).strip()
    if not header.strip() and not receptions:
        return None, (0, [])
    delimiter = max(",;\t", key=header.count)
    names = [name.strip().strip('"') for name in header.strip().split(delimiter)]
    if not receptions:
        return pa.table({name: pa.array([], pa.string()) for name in names}), (0, [])
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=csv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise BadInput(f"expected a CSV with a header line, could not read {path}: {error}") from error
    return table, (count, broken)


def _nothing(broken: Broken) -> Receptions:
    empty = np.empty(0, dtype=np.int64)
    notes = Notes(rows=broken[0], unreadable=broken[0], examples=tuple(broken[1]))
    return Receptions(empty, np.empty(0), empty, empty, (), notes=notes)


def _needed(table: pa.Table, columns: dict[str, str], names: Sequence[str], path: Path) -> str:
    for name in names:
        if name in columns:
            return columns[name]
    raise BadInput(
        f"expected a column {names[0]} (or {', '.join(names[1:])}), {path.name} has: {', '.join(table.column_names)}"
    )


def _unit_in(column: str) -> str:
    for suffix in ("ms", "us", "ns"):
        if column.lower().endswith(f"_{suffix}"):
            return suffix
    return "auto"


def to_seconds(column: Any, unit: str, zone: tzinfo) -> tuple[Floats, dict[str, int], int]:
    """Times in seconds (NaN where unreadable), rows per unit, and how many had no zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(column.type):
        return _stamps(column, zone)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        numbers = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        return *_scaled(numbers, unit), 0
    try:
        numbers = pc.cast(pc.utf8_trim_whitespace(column), pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return _mixed(column.to_numpy(zero_copy_only=False), unit, zone)
    return *_scaled(numbers.astype(np.float64), unit), 0


def _stamps(column: Any, zone: tzinfo) -> tuple[Floats, dict[str, int], int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    naive = column.type.tz is None
    ticks = pc.cast(column, pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64)
    seconds = ticks * UNIT_S[column.type.unit]
    if naive and zone is not UTC:
        seconds = np.array([_in_zone(datetime.fromtimestamp(t, UTC).replace(tzinfo=None), zone) for t in seconds])
    return seconds, {"timestamp": seconds.size}, seconds.size if naive else 0


def _scaled(numbers: Floats, unit: str) -> tuple[Floats, dict[str, int]]:
    if unit != "auto":
        return numbers * UNIT_S[unit], {unit: int(np.isfinite(numbers).sum())}
    size = np.abs(numbers)
    with np.errstate(invalid="ignore"):
        masks = {
            "s": size < SECONDS_BELOW,
            "ms": (size >= SECONDS_BELOW) & (size < MILLISECONDS_BELOW),
            "us": (size >= MILLISECONDS_BELOW) & (size < MICROSECONDS_BELOW),
            "ns": (size >= MICROSECONDS_BELOW) & np.isfinite(size),
        }
    seconds = numbers.copy()
    for name, mask in masks.items():
        seconds[mask] *= UNIT_S[name]
    return seconds, {name: int(mask.sum()) for name, mask in masks.items()}


def _mixed(text: Any, unit: str, zone: tzinfo) -> tuple[Floats, dict[str, int], int]:
    numbers = np.full(len(text), np.nan)
    iso = np.full(len(text), np.nan)
    naive = 0
    for index, value in enumerate(text):
        word = str(value).strip()
        try:
            numbers[index] = float(word)
        except ValueError:
            moment = _moment(word)
            if moment is not None:
                naive += moment.tzinfo is None
                iso[index] = _in_zone(moment, zone)
    seconds, units = _scaled(numbers, unit)
    written = np.isfinite(iso)
    return np.where(written, iso, seconds), units | {"ISO 8601": int(written.sum())}, naive


def _moment(word: str) -> datetime | None:
    try:
        return datetime.fromisoformat(word)
    except ValueError:
        return None


def _in_zone(moment: datetime, zone: tzinfo) -> float:
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()


def _codes(table: pa.Table, column: str) -> tuple[Ints, tuple[str, ...]]:
    """Index of each value among the column's different values, -1 for a missing or blank one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(pc.cast(table[column], pa.string())).combine_chunks()
    encoded = text.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = [str(name) for name in encoded.dictionary.to_pylist()]
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    blank = [index for index, name in enumerate(names) if name == ""]
    if blank:
        codes[np.isin(codes, blank)] = -1
    return codes, tuple(names)


def _optional_codes(table: pa.Table, columns: dict[str, str], names: Sequence[str]) -> tuple[Ints, tuple[str, ...]]:
    for name in names:
        if name in columns:
            return _codes(table, columns[name])
    return np.full(table.num_rows, -1, dtype=np.int64), ()


def _within_networks(
    table: pa.Table, columns: dict[str, str], device: Ints, names: tuple[str, ...]
) -> tuple[Ints, tuple[str, ...]]:
    """Where a trace is of several networks, a device is NETWORK/DEVICE: one identifier may live in two of them."""
    network, networks = _optional_codes(table, columns, NETWORK_NAMES)
    if np.unique(network[network >= 0]).size < 2:
        return device, names
    good = (device >= 0) & (network >= 0)
    pairs, first, code = np.unique(network[good] * len(names) + device[good], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    both = np.full(device.size, -1, dtype=np.int64)
    both[good] = rank[code]
    return both, tuple(f"{networks[pair // len(names)]}/{names[pair % len(names)]}" for pair in pairs[order].tolist())


def _sizes(table: pa.Table, columns: dict[str, str]) -> Ints | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in SIZE_NAMES:
        if name in columns:
            column = table[columns[name]]
            try:
                numbers = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
            except pa.ArrowInvalid:
                return None
            return np.asarray(np.nan_to_num(numbers, nan=-1), dtype=np.int64)
    return None


def _examples(table: pa.Table, device: str, clock: str, rows: Ints) -> list[str]:
    return [f"row {row + 2}: device {table[device][int(row)]}, time {table[clock][int(row)]}" for row in rows]
