"""The site's network table: which SIMs are its own, its virtual operators', its country's, and everybody else's."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from spectrum.errors import BadInput

RANGE_USES: Final = ("mvno", "meters")


@dataclass(frozen=True)
class ImsiRange:
    """Identifiers from `first` to `last` (inclusive, digits of equal length) belong to `name`, used as `use`."""

    name: str
    use: str
    first: str
    last: str

    def holds(self, user: str) -> bool:
        return len(user) == len(self.first) and user.isdigit() and self.first <= user <= self.last


@dataclass(frozen=True)
class Network:
    """The table. PLMN codes are MCC followed by MNC, as text."""

    name: str
    own: tuple[str, ...]
    mvno: tuple[str, ...] = ()
    country_mcc: tuple[str, ...] = ()
    utc_offset_h: float = 0.0
    retention_days: int = 90
    imsi_ranges: tuple[ImsiRange, ...] = ()

    def range_of(self, user: str) -> ImsiRange | None:
        return next((span for span in self.imsi_ranges if span.holds(user)), None)


def sim_letter(sim: str, network: Network, range_use: str | None = None) -> str:
    """X of the label: H own SIM, V a listed virtual operator, N another network of the country, I any other."""
    if range_use == "mvno" or sim in network.mvno:
        return "V"
    if sim in network.own:
        return "H"
    return "N" if sim[:3] in network.country_mcc else "I"


def day_label(
    sim: str, network: Network, radio_rows: int, visited: Collection[str], range_use: str | None = None
) -> str | None:
    """The roaming label X:Y of one device-day; the plain truth beside the SQL of `catalog`.

    Y is H when there is any radio row (the radio network is the site's) or a record carried by the site's network;
    A when a record was carried in another country. Home wins a mixed day. None: national outbound (carried only by
    another network of the country), or a day the site cannot have seen (N or I abroad).
    """
    letter = sim_letter(sim, network, range_use)
    at_home = {*network.own, *network.mvno}
    if radio_rows > 0 or any(plmn in at_home for plmn in visited):
        return f"{letter}:H"
    abroad = any(plmn[:3] not in network.country_mcc for plmn in visited)
    return f"{letter}:A" if abroad and letter in "HV" else None


def read_network(path: Path) -> Network:
    """Read network.toml; a missing, unknown or wrong key is an error that names key and file."""
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except FileNotFoundError:
        raise BadInput(
            f"{path}: expected the site's network table (own PLMNs, MVNOs, country codes), found none; "
            "`airshed roam schema` prints an example"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: not readable as TOML ({error})") from None
    return parse_network(table, str(path))


_KEYS: Final = {"name", "own", "mvno", "country_mcc", "utc_offset_h", "retention_days", "imsi_range"}


def parse_network(table: dict[str, Any], where: str) -> Network:
    """Check and freeze a parsed network table; `where` is named in errors."""
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise BadInput(f"{where}: unknown key {unknown[0]!r}; expected some of {', '.join(sorted(_KEYS))}")
    own = _codes(table, "own", where, (5, 6))
    if not own:
        raise BadInput(f"{where}: own must list at least one PLMN code such as '23410'")
    country = _codes(table, "country_mcc", where, (3,)) or tuple(dict.fromkeys(code[:3] for code in own))
    ranges = tuple(_imsi_range(entry, where) for entry in table.get("imsi_range", ()))
    offset, retention = table.get("utc_offset_h", 0), table.get("retention_days", 90)
    if not isinstance(offset, (int, float)) or not -14 <= offset <= 14:
        raise BadInput(f"{where}: utc_offset_h must be hours between -14 and 14, came {offset!r}")
    if not isinstance(retention, int) or retention < 1:
        raise BadInput(f"{where}: retention_days must be a whole number of days from 1, came {retention!r}")
    mvno = _codes(table, "mvno", where, (5, 6))
    return Network(str(table.get("name", own[0])), own, mvno, country, float(offset), retention, ranges)


def _codes(table: dict[str, Any], key: str, where: str, lengths: tuple[int, ...]) -> tuple[str, ...]:
    codes = table.get(key, [])
    if not isinstance(codes, list):
        raise BadInput(f"{where}: {key} must be a list of codes in quotes, came {codes!r}")
    for code in codes:
        if not (isinstance(code, str) and code.isdigit() and len(code) in lengths):
            raise BadInput(f"{where}: {key} holds {code!r}; expected {' or '.join(map(str, lengths))} digits in quotes")
    return tuple(codes)


def _imsi_range(entry: dict[str, Any], where: str) -> ImsiRange:
    try:
        span = ImsiRange(str(entry["name"]), str(entry["use"]), str(entry["first"]), str(entry["last"]))
    except (KeyError, TypeError):
        raise BadInput(f"{where}: every imsi_range needs name, use, first and last") from None
    if span.use not in RANGE_USES:
        raise BadInput(f"{where}: imsi_range {span.name}: use must be {' or '.join(RANGE_USES)}, came {span.use!r}")
    if not (span.first.isdigit() and span.last.isdigit() and len(span.first) == len(span.last)):
        raise BadInput(f"{where}: imsi_range {span.name}: first and last must be digits of the same length")
    return span
