"""How a column of each kind is read and what is refused: SQL that DuckDB and Spark both speak.

A hundred million rows go through here, so goodness is plain arithmetic over whole columns; why a row is bad is asked
of bad rows only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
# Lengths of the digits as they may come.
_DIGITS: Final = {"mcc": (3,), "mnc": (1, 2, 3), "tac": (8, 14, 15, 16)}
# Numbers have lost their leading zeros.
_SHORTER: Final = {"mcc": (1, 2, 3), "mnc": (1, 2, 3), "tac": tuple(range(1, 9))}
_PADDED: Final = {"mcc": 3, "mnc": 2, "tac": 8}
_NAMES: Final[dict[str, dict[Any, str]]] = {
    "rat": {
        2: "('2G', 'GSM', 'GERAN', 'GPRS', 'EDGE')",
        3: "('3G', 'UMTS', 'UTRAN', 'WCDMA', 'HSPA')",
        4: "('4G', 'LTE', 'EUTRAN', 'E-UTRAN')",
    },
    "interface": {"'voice'": "('A', 'IUCS', 'IU-CS')", "'data'": "('GB', 'IUPS', 'IU-PS', 'S1', 'S1-MME', 'S1MME')"},
}
_PATTERNS: Final = {"class": "^(smart|feat|m2m)$", "dev_addr": "^[0-9a-f]{8}$", "net_id": "^[0-9a-f]{6}$"}
_LIMITS: Final = {"amount": (0, 1e18), "latitude": (-90, 90), "longitude": (-180, 180)}
LONGEST_IDENTIFIER: Final = 64
SUCCESS: Final = "('ok', 'success', 'successful', '0')"


def refuse_columns(table: Table, families: Mapping[str, str], where: str) -> None:
    """Refuse a file that lacks a column of the schema, or has lists or structures in one."""
    lacking = [c.name for c in table.columns if c.name not in families and not c.optional_column]
    if lacking:
        has = ", ".join(name for name in families if name != BEYOND)
        raise BadInput(
            f"{where}: table {table.name} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}; "
            f"it has {has} (`airshed roam schema` lists what is expected)"
        )
    nested = [column.name for column in table.columns if families.get(column.name) == "nested"]
    if nested:
        raise BadInput(
            f"{where}: expected text, numbers or times, came lists or structures in "
            f"the column{'s' * (len(nested) > 1)} {', '.join(nested)}; write one value a row"
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
        plain = _as_text(f"raw.{column.name}", family, column.kind)
        empty = f"{plain} IS NULL" + (f" OR {plain} = ''" if family == "text" else "")
        # An empty needed value is a flaw whatever it is read as; an empty other one must be read as NULL.
        text = plain if column.needed or family != "text" else f"NULLIF({plain}, '')"
        selected += [
            f"{_value(text, column.kind, family)} AS {name}",
            f"CAST(raw.{column.name} AS STRING) AS raw_{name}",
        ]
        good = _good(plain, column.kind, family)
        if column.needed:
            reasons.append(f"WHEN {empty} THEN '{column.name}: missing'")
        elif good is not None:
            good = f"{empty} OR {good}"
        if good is not None:
            reasons.append(f"WHEN ({good}) IS NOT TRUE THEN '{column.name}: {_EXPECTED[column.kind]}'")
        if column.needed or good is not None:
            flaws.append(f"CAST(({good or f'NOT ({empty})'}) IS NOT TRUE AS INT)")
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
    """The raw value as trimmed text; numbers and times stay what they are where they are wanted."""
    if family == "text":
        return f"trim(CAST({raw} AS STRING))"
    if family == "number" and kind not in (*_LIMITS, "time"):
        # 234.0 is 234; a fraction stays one, to be refused as digits and told apart as an identifier.
        whole = f"try_cast({raw} AS BIGINT)"
        return f"CASE WHEN {whole} = {raw} THEN CAST({whole} AS STRING) ELSE CAST({raw} AS STRING) END"
    return raw


def _value(text: str, kind: str, family: str) -> str:
    """The value as the pipeline wants it; NULL or nonsense where `_good` says no."""
    if kind == "time":
        return _seconds(text, family)
    if kind in _LIMITS:
        return f"try_cast({text} AS DOUBLE)"
    if kind in _NAMES:
        return (
            f"CASE {' '.join(f'WHEN upper({text}) IN {names} THEN {said}' for said, names in _NAMES[kind].items())} END"
        )
    if kind in _DIGITS and family == "number":
        return f"lpad({text}, {_PADDED[kind]}, '0')"
    if kind == "mnc":
        return f"CASE WHEN length({text}) = 1 THEN lpad({text}, 2, '0') ELSE {text} END"
    if kind == "tac":
        return f"CASE WHEN length({text}) BETWEEN 14 AND 16 THEN substr({text}, 1, 8) ELSE {text} END"
    return f"lower({text})" if kind in _PATTERNS else text


def _good(plain: str, kind: str, family: str) -> str | None:
    """Condition under which a value that is there can be used; None when anything can."""
    if kind == "identifier":
        return f"length({plain}) BETWEEN 1 AND {LONGEST_IDENTIFIER}"
    if kind in _DIGITS:
        # Digits are what survives a way through a number; the 1 in front keeps leading zeros. As strict as a pattern,
        # and several times faster on coded columns.
        lengths = ", ".join(str(length) for length in (_SHORTER if family == "number" else _DIGITS)[kind])
        same = f"CAST(try_cast('1' || {plain} AS BIGINT) AS STRING) = '1' || {plain}"
        return f"length({plain}) IN ({lengths}) AND {same}"
    if kind == "time":
        return f"{_seconds(plain, family)} BETWEEN {EARLIEST_S} AND {LATEST_S}"
    if kind in _LIMITS:
        low, high = _LIMITS[kind]
        return f"try_cast({plain} AS DOUBLE) BETWEEN {low} AND {high}"
    if kind in _NAMES:
        return "(" + " OR ".join(f"upper({plain}) IN {names}" for names in _NAMES[kind].values()) + ")"
    if kind in _PATTERNS:
        return f"regexp_like(lower({plain}), '{_PATTERNS[kind]}')"
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
