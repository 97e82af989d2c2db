"""How a column of each kind is read and what is refused: SQL that DuckDB and Spark both speak.

A hundred million rows go through here, so goodness is plain arithmetic over whole columns; why a row is bad is asked
of bad rows only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitoring.roaming.engine import BEYOND
from monitoring.roaming.schema import Column, Table
from spectrum.errors import BadInput

# Seconds since 1970-01-01 of 2000-01-01 and of 2100-01-01.
EARLIEST_S: Final = 946_684_800
LATEST_S: Final = 4_102_444_800

_EXPECTED: Final = {
    "identifier": "longer than 64 characters",
    "mcc": "not 3 digits",
    "mnc": "not 2 or 3 digits",
    "tac": "not 8 digits",
    "time": "not a time from 2000 to 2099",
    "rat": "not 2G, 3G or 4G",
    "interface": "not A, IuCS, Gb, IuPS or S1",
    "amount": "not a number from 0",
    "latitude": "not degrees from -90 to 90",
    "longitude": "not degrees from -180 to 180",
    "class": "not smart, feat or m2m",
    "dev_addr": "not 8 hexadecimal digits",
    "net_id": "not 6 hexadecimal digits",
}
_DIGITS: Final = {"mcc": (3,), "mnc": (2, 3), "tac": (8,)}
_PATTERNS: Final = {"class": "^(smart|feat|m2m)$", "dev_addr": "^[0-9a-f]{8}$", "net_id": "^[0-9a-f]{6}$"}
_LIMITS: Final = {"amount": (0, 1e18), "latitude": (-90, 90), "longitude": (-180, 180)}
LONGEST_IDENTIFIER: Final = 64
SUCCESS: Final = "('ok', 'success', 'successful', '0')"


def missing_columns(table: Table, families: Mapping[str, str], where: str) -> None:
    """Refuse a file that lacks a column of the schema."""
    lacking = [c.name for c in table.columns if c.name not in families and not c.optional_column]
    if lacking:
        has = ", ".join(name for name in families if name != BEYOND)
        raise BadInput(
            f"{where}: table {table.name} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}; "
            f"it has {has} (`airshed roam schema` lists what is expected)"
        )


def checked(table: Table, view: str, families: Mapping[str, str]) -> str:
    """SELECT of every column as read, `flaws` (0: a good row) and `reason` (the first flaw, NULL when good).

    Columns keep their names, but for the identifier (`identifier`), times (`time_s`, DOUBLE) and amounts (DOUBLE);
    beside each stands `raw_NAME`, as it came. In a bad row a column may hold what could not be read.
    """
    selected, flaws, reasons = [], [], []
    for column in table.columns:
        name = output_name(column)
        if column.name not in families:
            selected += [f"CAST(NULL AS STRING) AS {name}", f"CAST(NULL AS STRING) AS raw_{name}"]
            continue
        family = families[column.name]
        text = _as_text(f"raw.{column.name}", family, column.kind)
        value = _value(text, column.kind, family)
        selected += [f"{value} AS {name}", f"CAST(raw.{column.name} AS STRING) AS raw_{name}"]
        good = _good(text, value, column.kind)
        if column.needed:
            reasons.append(f"WHEN {text} IS NULL THEN '{column.name}: missing'")
        elif good is not None:
            good = f"({text} IS NULL OR {good})"
        if good is not None:
            reasons.append(f"WHEN ({good}) IS NOT TRUE THEN '{column.name}: {_EXPECTED[column.kind]}'")
        if column.needed or good is not None:
            flaws.append(f"CAST(({good or f'{text} IS NOT NULL'}) IS NOT TRUE AS INT)")
    if BEYOND in families:
        flaws.append(f"CAST(raw.{BEYOND} IS NOT NULL AS INT)")
        reasons.insert(0, f"WHEN raw.{BEYOND} IS NOT NULL THEN 'line: too many columns'")
    columns = ", ".join(f"{output_name(c)}, raw_{output_name(c)}" for c in table.columns)
    flaw_count, reason = " + ".join(flaws) or "0", f"CASE {' '.join(reasons)} END" if reasons else "NULL"
    read = f"SELECT {', '.join(selected)}, {flaw_count} AS flaws, {reason} AS reason FROM {view} raw"
    if table.key is None:
        return read
    key = output_name(next(column for column in table.columns if column.name == table.key))
    order = ", ".join(output_name(column) for column in table.columns)
    return f"""
        SELECT {columns}, CASE WHEN flaws = 0 AND copy > 1 THEN 1 ELSE flaws END AS flaws,
               CASE WHEN flaws = 0 AND copy > 1 THEN '{table.key}: there twice' ELSE reason END AS reason
        FROM (SELECT *, row_number() OVER (PARTITION BY {key}, flaws ORDER BY {order}) AS copy
              FROM ({read}) r) ranked"""


def output_name(column: Column) -> str:
    return {"identifier": "identifier", "time": "time_s"}.get(column.kind, column.name)


def _as_text(raw: str, family: str, kind: str) -> str:
    """The raw value as trimmed text, NULL when empty; numbers and times stay what they are where they are wanted."""
    if family == "text":
        return f"NULLIF(trim(CAST({raw} AS STRING)), '')"
    if family == "number" and kind not in (*_LIMITS, "time"):
        return f"CAST(try_cast({raw} AS BIGINT) AS STRING)"
    return raw


def _value(text: str, kind: str, family: str) -> str:
    """The value as the pipeline wants it; NULL or nonsense where `_good` says no."""
    if kind == "time":
        return _seconds(text, family)
    if kind in _LIMITS:
        return f"try_cast({text} AS DOUBLE)"
    if kind == "rat":
        return (
            f"CASE WHEN upper({text}) IN ('2G', 'GSM', 'GERAN', 'GPRS', 'EDGE') THEN 2 "
            f"WHEN upper({text}) IN ('3G', 'UMTS', 'UTRAN', 'WCDMA', 'HSPA') THEN 3 "
            f"WHEN upper({text}) IN ('4G', 'LTE', 'EUTRAN', 'E-UTRAN') THEN 4 END"
        )
    if kind == "interface":
        plain = f"replace(upper({text}), '-', '')"
        data = f"WHEN {plain} IN ('GB', 'IUPS', 'S1', 'S1MME') THEN 'data'"
        return f"CASE WHEN {plain} IN ('A', 'IUCS') THEN 'voice' {data} END"
    if kind in _DIGITS and family == "number":
        return f"lpad({text}, {_DIGITS[kind][0]}, '0')"
    if kind == "mnc":
        return f"CASE WHEN length({text}) = 1 THEN lpad({text}, 2, '0') ELSE {text} END"
    if kind == "tac":
        return f"CASE WHEN length({text}) BETWEEN 14 AND 16 THEN substr({text}, 1, 8) ELSE {text} END"
    return f"lower({text})" if kind in _PATTERNS else text


def _good(text: str, value: str, kind: str) -> str | None:
    """Condition under which a value that is there can be used; None when anything can."""
    if kind == "identifier":
        return f"length({text}) <= {LONGEST_IDENTIFIER}"
    if kind in _DIGITS:
        # Through a number and back: as strict as a pattern of digits, and ten times faster on coded columns.
        number = f"CAST(try_cast({value} AS BIGINT) AS STRING)"
        return "(" + " OR ".join(f"lpad({number}, {length}, '0') = {value}" for length in _DIGITS[kind]) + ")"
    if kind == "time":
        return f"{value} BETWEEN {EARLIEST_S} AND {LATEST_S}"
    if kind in _LIMITS:
        low, high = _LIMITS[kind]
        return f"{value} BETWEEN {low} AND {high}"
    if kind in ("rat", "interface"):
        return f"{value} IS NOT NULL"
    if kind in _PATTERNS:
        return f"regexp_like({value}, '{_PATTERNS[kind]}')"
    return None


def _seconds(text: str, family: str) -> str:
    return {
        "number": f"CAST({text} AS DOUBLE)",
        "time": f"time_micros({text}) / 1000000.0",
        "text": (
            f"CASE WHEN regexp_like({text}, '^[0-9.]+$') THEN try_cast({text} AS DOUBLE) "
            f"ELSE text_micros({text}) / 1000000.0 END"
        ),
    }[family]
