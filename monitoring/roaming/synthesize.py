"""Writes a synthetic population as a folder in the documented schema, block by block, so that memory stays bounded."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.roaming import marginals, population, traffic
from monitoring.roaming.platform_traffic import platform_columns
from monitoring.roaming.population import APNS, LABELS, NO_APN, SIMS, Devices, DeviceTypes
from spectrum.errors import BadInput

BLOCK_DEVICES: Final = 10_000
PLATFORM_BLOCK_DEVICES: Final = 10_000  # each with some 267 records
FIRST_DAY: Final = datetime.date(2019, 4, 5)  # the paper's first day
# Users' identifiers look like IMSIs: PLMN and 10 digits. Below 10^9 lies the range of native meters.
METER_SERIALS: Final = 10**9

NETWORK_TOML: Final = f"""\
# Network table of the synthetic population.
name = "Synthetic Mobile"
own = ["{marginals.OWN}"]
mvno = [{", ".join(f'"{plmn}"' for plmn in marginals.MVNO)}]
country_mcc = ["234", "235"]
retention_days = 90

[[imsi_range]]
name = "smip"
use = "meters"
first = "{marginals.OWN}0000000000"
last = "{marginals.OWN}0999999999"
"""


def synthesize(
    out: Path,
    devices: int,
    days: int,
    seed: int,
    file_format: str,
    advance: Callable[[float], None],
    *,
    daily_parts: bool = False,
) -> dict[str, int]:
    """Write radio, cdr, tac, sectors, platform, truth and network.toml into `out`; return the rows of each table.

    The same arguments give the same rows, whatever the machine. Blocks draw from spawned generators.
    daily_parts: radio and cdr as folders with a file a day, as an operator's export has them.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{out}: cannot be made ({error.strerror}); name another folder with --out") from None
    types = population.device_types()
    first_day_s = int(datetime.datetime.combine(FIRST_DAY, datetime.time(), datetime.UTC).timestamp())
    blocks = -(-devices // BLOCK_DEVICES)
    seeds = np.random.SeedSequence(seed).spawn(blocks + 1)
    with _writers(out, file_format) as write:
        write("tac", _table(zip(*types.rows, strict=True), "tac vendor model os type bands"))
        write("sectors", _table(zip(*population.sector_rows(), strict=True), "sector lat_deg lon_deg"))
        for block in range(blocks):
            first = block * BLOCK_DEVICES
            rng = np.random.default_rng(seeds[block])
            drawn = population.draw(rng, first, min(BLOCK_DEVICES, devices - first), days, types)
            radio, cdr = traffic.rows(rng, drawn, first_day_s)
            users = _users(drawn)
            for name, table in (
                ("radio", _radio_table(drawn, users, types, radio)),
                ("cdr", _cdr_table(drawn, users, types, cdr)),
            ):
                if daily_parts:
                    write.by_day(name, table)
                else:
                    write(name, table)
            write("truth", _truth_table(drawn, users))
            advance(1 / blocks)
        for platform in _platform_blocks(seeds[-1], max(50, devices // marginals.PLATFORM_SHARE)):
            write("platform", platform)
    (out / "network.toml").write_text(NETWORK_TOML)
    return write.rows


class _Writer:
    """Appends Arrow tables to one file a name."""

    def __init__(self, out: Path, file_format: str) -> None:
        self.out, self.file_format = out, file_format
        self.rows: dict[str, int] = {}
        self.open: dict[str, Any] = {}

    def __call__(self, name: str, table: Any) -> None:
        import pyarrow.csv
        import pyarrow.parquet

        if self.file_format == "csv":
            table = table.cast(_plain(table.schema))
        if name not in self.open:
            path = str(self.out / f"{name}.{self.file_format}")
            if self.file_format == "csv":
                options = pyarrow.csv.WriteOptions(quoting_style="needed")
                self.open[name] = pyarrow.csv.CSVWriter(path, table.schema, write_options=options)
            else:
                self.open[name] = pyarrow.parquet.ParquetWriter(
                    path, table.schema, compression="zstd", compression_level=1
                )
        self.open[name].write_table(table)
        whole = name.split("/")[0]
        self.rows[whole] = self.rows.get(whole, 0) + table.num_rows

    def by_day(self, name: str, table: Any) -> None:
        """Append the rows of each UTC day to a file of their own, name/YYYY-MM-DD."""
        import pyarrow.compute as pc

        (self.out / name).mkdir(exist_ok=True)
        days = pc.cast(table["time"], "date32")
        for day in pc.unique(days).to_pylist():
            self(f"{name}/{day.isoformat()}", table.filter(pc.equal(days, day)))


@contextlib.contextmanager
def _writers(out: Path, file_format: str) -> Iterator[_Writer]:
    for name in ("radio", "cdr", "tac", "sectors", "platform", "truth"):
        for ending in ("csv", "parquet"):
            (out / f"{name}.{ending}").unlink(missing_ok=True)
            for part in (out / name).glob(f"[0-9]*.{ending}"):
                part.unlink()
    writer = _Writer(out, file_format)
    try:
        yield writer
    finally:
        for file in writer.open.values():
            file.close()


def _plain(schema: Any) -> Any:
    """CSV knows no dictionaries."""
    import pyarrow as pa

    fields = [(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in schema]
    return pa.schema(fields)


def _table(columns: Any, names: str) -> Any:
    import pyarrow as pa

    return pa.table([pa.array(list(column)) for column in columns], names.split())


def _coded(codes: NDArray[Any], values: Any) -> Any:
    """An Arrow dictionary column; a code past the values is NULL."""
    import pyarrow as pa

    distinct = list(dict.fromkeys(values))  # readers fall back to slow paths when a dictionary repeats itself
    place = {value: number for number, value in enumerate(distinct)}
    outside = (codes < 0) | (codes >= len(values))
    if len(distinct) < len(values):
        codes = np.array([place[value] for value in values])[np.where(outside, 0, codes)]
    array = pa.array(codes.astype(np.int32), pa.int32(), mask=outside if outside.any() else None)
    return pa.DictionaryArray.from_arrays(array, pa.array(distinct, pa.string()))


def _users(devices: Devices) -> list[str]:
    """Identifiers: the SIM's PLMN and a serial number; native meters lie in their own range."""
    meter = np.array([group.name == "native meter" for group in marginals.GROUPS])[devices.group]
    serial = devices.first + np.arange(len(devices.group)) + np.where(meter, 0, METER_SERIALS)
    return [f"{SIMS[sim]}{number:010d}" for sim, number in zip(devices.sim, serial, strict=True)]


def _tacs(devices: Devices, types: DeviceTypes) -> Any:
    """TAC by device: of the catalogue, one it does not list (-2), or none (-1)."""
    known = [row[0] for row in types.rows]
    return _coded(np.where(devices.type == -2, len(known), devices.type), [*known, "86000001"]).cast("string")


def _radio_table(devices: Devices, users: list[str], types: DeviceTypes, rows: traffic.Columns) -> Any:
    import pyarrow as pa

    device = rows["device"]
    sim = devices.sim[device]
    tacs = _tacs(devices, types).to_pylist()
    names = sorted({tac for tac in tacs if tac})
    code = np.array([names.index(tac) if tac else -1 for tac in tacs])
    columns = {
        "user": _coded(device, users),
        "sim_mcc": _coded(sim, [plmn[:3] for plmn in SIMS]),
        "sim_mnc": _coded(sim, [plmn[3:] for plmn in SIMS]),
        "tac": _coded(code[device], names),
        "sector": _coded(rows["sector"], [f"s{n:05d}" for n in range(population.GRID**2)]),
        "time": pa.array(rows["time_us"], pa.timestamp("us")),
        "type": _coded(rows["type"], traffic.TYPES),
        "result": _coded(rows["result"], traffic.RESULTS),
        "rat": _coded(rows["rat"], traffic.RATS),
        "interface": _coded(rows["interface"], traffic.INTERFACES),
    }
    return pa.table(columns)


def _cdr_table(devices: Devices, users: list[str], types: DeviceTypes, rows: traffic.Columns) -> Any:
    import pyarrow as pa

    device = rows["device"]
    sim = devices.sim[device]
    operator = [f".mnc{int(plmn[3:]):03d}.mcc{plmn[:3]}.gprs" for plmn in SIMS]
    apns = [f"{name}{suffix}" for suffix in operator for _, name in APNS]
    known = rows["apn"] < NO_APN
    columns = {
        "user": _coded(device, users),
        "sim_mcc": _coded(sim, [plmn[:3] for plmn in SIMS]),
        "sim_mnc": _coded(sim, [plmn[3:] for plmn in SIMS]),
        "visited_mcc": _coded(rows["visited"], [plmn[:3] for plmn in traffic.VISITED]),
        "visited_mnc": _coded(rows["visited"], [plmn[3:] for plmn in traffic.VISITED]),
        "time": pa.array(rows["time_us"], pa.timestamp("us")),
        "duration_s": pa.array(rows["duration_s"], pa.int32()),
        "bytes": pa.array(rows["bytes"], pa.int64()),
        "apn": _coded(np.where(known, sim * len(APNS) + rows["apn"], -1), apns),
        "tac": _tacs(devices, types).dictionary_encode().take(pa.array(device)),
    }
    return pa.table(columns)


def _truth_table(devices: Devices, users: list[str]) -> Any:
    import pyarrow as pa

    groups = [marginals.GROUPS[number] for number in devices.group]
    columns = {
        "user": pa.array(users),
        "class": pa.array([group.kind for group in groups]),
        "vertical": pa.array([group.vertical for group in groups], pa.string()),
        "label": pa.array([LABELS[label] for label in devices.label]),
        "group": pa.array([group.name for group in groups]),
    }
    return pa.table(columns)


def _platform_blocks(seed: np.random.SeedSequence, devices: int) -> Iterator[Any]:
    """Tables of the platform's devices, a block after another. The first block draws from the seed itself."""
    firsts = range(0, devices, PLATFORM_BLOCK_DEVICES)
    for first, own in zip(firsts, [seed, *seed.spawn(len(firsts) - 1)], strict=True):
        count = min(PLATFORM_BLOCK_DEVICES, devices - first)
        yield _platform_table(platform_columns(np.random.default_rng(own), count, first))


def _platform_table(rows: dict[str, Any]) -> Any:
    import pyarrow as pa

    names, networks = rows["devices"], rows["networks"]
    columns = {
        "device": _coded(rows["device"], names),
        "time": pa.array(rows["time_us"], pa.timestamp("us")),
        "sim_mcc": _coded(rows["sim"], [plmn[:3] for plmn in networks]),
        "sim_mnc": _coded(rows["sim"], [plmn[3:] for plmn in networks]),
        "visited_mcc": _coded(rows["visited"], [plmn[:3] for plmn in networks]),
        "visited_mnc": _coded(rows["visited"], [plmn[3:] for plmn in networks]),
        "procedure": _coded(rows["procedure"], rows["procedures"]),
        "result": _coded(rows["result"], rows["results"]),
    }
    return pa.table(columns)
