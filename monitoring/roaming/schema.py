"""The written schema of a folder of network records: what `airshed roam` reads and what `synthesize` writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Column:
    """One column. `kind` decides how text is read and what is refused (see `KINDS`); `needed` forbids empty values."""

    name: str
    kind: str
    meaning: str
    needed: bool = True
    optional_column: bool = False


@dataclass(frozen=True)
class Table:
    """One table: `NAME.csv`, `NAME.csv.gz`, `NAME.parquet`, or a folder `NAME/` of such parts.

    `identifier` is the column that is hashed on the way in; `key` must be unique.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    identifier: str | None = None
    key: str | None = None
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(column.name for column in self.columns))


KINDS: Final = {
    "identifier": "text of 1 to 64 characters (an IMSI, or a pseudonym); hashed with the site key on the way in",
    "text": "text",
    "mcc": "mobile country code: 3 digits",
    "mnc": "mobile network code: 2 or 3 digits, leading zeros count (one digit is read as 0n)",
    "tac": "type allocation code: 8 digits (of a longer IMEI the first 8 are kept)",
    "time": "UTC: ISO 8601 text, a timestamp, or seconds since 1970-01-01; from 2000 to 2099",
    "rat": "2G, 3G or 4G (also GSM/GERAN, UMTS/UTRAN, LTE/EUTRAN)",
    "interface": "A or IuCS (voice), Gb, IuPS or S1 (data)",
    "result": "OK (also success, 0) when the procedure succeeded, otherwise its failure cause",
    "amount": "a number, not negative",
    "latitude": "degrees, -90 to 90",
    "longitude": "degrees, -180 to 180",
    "class": "smart, feat or m2m",
    "dev_addr": "LoRaWAN DevAddr: 8 hexadecimal digits",
    "net_id": "LoRaWAN NetID: 6 hexadecimal digits",
}

_SIM: Final = (
    Column("sim_mcc", "mcc", "country of the SIM's network"),
    Column("sim_mnc", "mnc", "network of the SIM"),
)
_VISITED: Final = (
    Column("visited_mcc", "mcc", "country of the network that carried it"),
    Column("visited_mnc", "mnc", "network that carried it"),
)

RADIO: Final = Table(
    "radio",
    "one row per event on the network's own radio interfaces (so: never of an outbound roamer)",
    (
        Column("user", "identifier", "who"),
        *_SIM,
        Column("tac", "tac", "device type", needed=False),
        Column("sector", "text", "radio sector that handled the event", needed=False),
        Column("time", "time", "when"),
        Column("type", "text", "procedure: attach, detach, area update, service request, ...", needed=False),
        Column("result", "result", "outcome"),
        Column("rat", "rat", "radio access technology"),
        Column("interface", "interface", "interface it was seen on", needed=False),
    ),
    identifier="user",
)
CDR: Final = Table(
    "cdr",
    "one row per call (CDR) or data session (xDR), at home or abroad; a row with an APN or with bytes is data",
    (
        Column("user", "identifier", "who"),
        *_SIM,
        *_VISITED,
        Column("time", "time", "start"),
        Column("duration_s", "amount", "duration", needed=False),
        Column("bytes", "amount", "bytes up and down; empty or 0 for a call", needed=False),
        Column("apn", "text", "access point name as signalled; empty for a call", needed=False),
        Column("tac", "tac", "device type, where the record has it", needed=False, optional_column=True),
    ),
    identifier="user",
)
TAC: Final = Table(
    "tac",
    "catalogue of device types",
    (
        Column("tac", "tac", "type allocation code"),
        Column("vendor", "text", "manufacturer", needed=False),
        Column("model", "text", "model name", needed=False),
        Column("os", "text", "operating system (android, ios, blackberry, windows mobile, ...)", needed=False),
        Column("type", "text", "smartphone, feature phone, module, modem, tablet, ...", needed=False),
        Column("bands", "text", "radio bands, free text such as 2G|3G|4G", needed=False),
    ),
    key="tac",
)
SECTORS: Final = Table(
    "sectors",
    "where the radio sectors stand",
    (
        Column("sector", "text", "name as in radio"),
        Column("lat_deg", "latitude", "latitude"),
        Column("lon_deg", "longitude", "longitude"),
    ),
    key="sector",
)
PLATFORM: Final = Table(
    "platform",
    "signalling of an M2M platform: one row per procedure of a global IoT SIM anywhere in the world",
    (
        Column("device", "identifier", "which SIM"),
        Column("time", "time", "when"),
        *_SIM,
        *_VISITED,
        Column("procedure", "text", "authentication, update location or cancel location"),
        Column("result", "result", "outcome"),
    ),
    identifier="device",
)
TRUTH: Final = Table(
    "truth",
    "what each device really is; only for evaluation, never read by the rules or by training",
    (
        Column("user", "identifier", "who, as in radio and cdr"),
        Column("class", "class", "what it is"),
        Column("vertical", "text", "what it serves (energy, automotive, ...)", needed=False),
        Column("label", "text", "roaming label of its period", needed=False),
    ),
    identifier="user",
    key="user",
)

TABLES: Final = {table.name: table for table in (RADIO, CDR, TAC, SECTORS, PLATFORM, TRUTH)}

NETWORK_EXAMPLE: Final = """\
# network.toml: the network table of the site. It decides X and Y of the roaming label X:Y.
name = "Example Mobile"
own = ["23410"]                 # PLMN codes (MCC then MNC) of the network itself; the first is its name in lists
mvno = ["23426"]                # PLMN codes of the virtual operators it carries
country_mcc = ["234", "235"]    # country codes that count as its own country
utc_offset_h = 0                # local midnight, where a day begins
retention_days = 90             # how long results may be kept; `airshed roam purge` removes older ones

# Ranges of user identifiers (IMSIs), looked at before hashing. use = "mvno": a virtual operator behind the own
# PLMN; use = "meters": the network's own smart meters.
[[imsi_range]]
name = "smip"
use = "meters"
first = "234100000000000"
last = "234100999999999"
"""


def describe() -> str:
    """The schema as text, for people."""
    lines = [
        "A folder of network records holds these tables, each as NAME.csv, NAME.csv.gz, NAME.parquet or a folder",
        "NAME/ of such parts (tac and sectors: one file), and network.toml. Columns in any order; further columns are",
        "ignored. radio or cdr must be there; without tac, sectors or truth what depends on them is empty; platform",
        "stands for itself.",
        "Results name devices by pseudonyms, 16 hexadecimal digits. Identifiers that are pseudonyms already are kept",
        "with --keep-identifiers; who holds the site key finds a device with `airshed roam pseudonym`.",
    ]
    for table in TABLES.values():
        lines += ["", f"{table.name}: {table.meaning}"]
        for column in table.columns:
            note = "" if column.needed else " (may be empty)"
            note = " (column may be missing)" if column.optional_column else note
            lines.append(f"  {column.name:<12} {column.kind:<11} {column.meaning}{note}")
    lines += ["", "kinds:"]
    lines += [f"  {kind:<11} {meaning}" for kind, meaning in KINDS.items()]
    lines += ["", "network.toml, for example:", "", NETWORK_EXAMPLE]
    return "\n".join(lines)


def as_json() -> dict[str, object]:
    """The schema for machines: {"tables": {name: {"meaning", "columns": [...]}}, "kinds", "network_toml"}."""
    return {
        "tables": {
            table.name: {
                "meaning": table.meaning,
                "columns": [
                    {
                        "name": column.name,
                        "kind": column.kind,
                        "meaning": column.meaning,
                        "may_be_empty": not column.needed,
                        "column_may_be_missing": column.optional_column,
                    }
                    for column in table.columns
                ],
            }
            for table in TABLES.values()
        },
        "kinds": KINDS,
        "network_toml": NETWORK_EXAMPLE,
    }
