"""Access point names: what part of one names the service, and which keyword in it says so."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from spectrum.errors import BadInput

# 3GPP TS 23.003 clause 9.1: network identifier, then the operator identifier mncNNN.mccNNN.gprs
_OPERATOR: Final = re.compile(r"\.mnc\d{2,3}\.mcc\d{3}\.gprs$")
KEYWORD_COLUMNS: Final = ("keyword", "kind", "vertical", "unless", "source")


@dataclass(frozen=True)
class Keyword:
    """A text that an APN's network identifier may contain.

    kind: "m2m" validates a thing, "consumer" a person's device. `vertical` is what things of it serve.
    `unless`: a longer text that contains the keyword by chance and does not count.
    """

    text: str
    kind: str
    vertical: str | None
    unless: str | None
    source: str


@dataclass(frozen=True)
class ApnMeaning:
    """What an APN says: kind "m2m", "consumer" or "unknown" (no evidence), by which keyword, of which vertical."""

    kind: str
    keyword: str | None = None
    vertical: str | None = None


def network_identifier(apn: str) -> str:
    """The part before the operator identifier, in lower case: `A.b.mnc004.mcc204.gprs` -> `a.b`."""
    return _OPERATOR.sub("", apn.strip().lower().rstrip("."))


def meaning(apn: str, keywords: Sequence[Keyword]) -> ApnMeaning:
    """First m2m keyword contained in the network identifier, else the first consumer one, else unknown.

    The order of the list decides between several: the specific stand before the general.
    """
    name = network_identifier(apn)
    for kind in ("m2m", "consumer"):
        for keyword in keywords:
            if keyword.kind == kind and _contains(name, keyword):
                return ApnMeaning(kind, keyword.text, keyword.vertical)
    return ApnMeaning("unknown")


def _contains(name: str, keyword: Keyword) -> bool:
    rest = name.replace(keyword.unless, "") if keyword.unless else name
    return keyword.text in rest


@cache
def own_keywords() -> tuple[Keyword, ...]:
    """The list that comes with Airshed, keywords.csv: six of the paper, the rest public or said to be assumed."""
    with resources.files(__package__).joinpath("keywords.csv").open(encoding="utf-8") as file:
        return _parse(csv.DictReader(file), "keywords.csv")


def read_keywords(path: Path | None) -> tuple[Keyword, ...]:
    """A site's own list in the same columns, or the one that comes with Airshed."""
    if path is None:
        return own_keywords()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse(csv.DictReader(file), str(path))
    except OSError as error:
        raise BadInput(f"keyword list {path}: not readable ({error.strerror})") from None


def _parse(reader: csv.DictReader[str], where: str) -> tuple[Keyword, ...]:
    if tuple(reader.fieldnames or ()) != KEYWORD_COLUMNS:
        raise BadInput(f"{where}: expected the columns {', '.join(KEYWORD_COLUMNS)}, came {reader.fieldnames}")
    keywords = []
    for row in reader:
        text, kind = (row["keyword"] or "").strip().lower(), row["kind"]
        if not text or kind not in ("m2m", "consumer") or not row["source"]:
            raise BadInput(f"{where}, line {reader.line_num}: needs a keyword, kind m2m or consumer, and a source")
        keywords.append(Keyword(text, kind, row["vertical"] or None, row["unless"] or None, row["source"]))
    return tuple(keywords)
