"""Centre, rate and format as the names of recordings tell them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from sensing.formats import ENDINGS, FORMATS

# Between a centre and a rate lie decades: no rate reaches this, and no receiver here tunes below it.
LOWEST_CENTER_HZ: Final = 20e6
LOWEST_RATE_HZ: Final = 10e3

_SCALES: Final = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
# 868.625M, 2400k, 868500000Hz, 2.4Msps
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)([kMG]?)(Hz|sps|Sps|SPS|S)?")
# gqrx writes date, time, centre and rate as bare numbers.
_GQRX: Final = re.compile(r"gqrx_\d{8}_\d{6}_(\d+)_(\d+)_")


@dataclass(frozen=True, slots=True)
class NameHints:
    """What a file's name says; None where it says nothing."""

    center_hz: float | None = None
    rate_hz: float | None = None
    format_name: str | None = None


def hints_of(name: str) -> NameHints:
    """Hints in a file name such as `wmbus_868.625M_2400k.cu8`, `SDRSharp_868500000Hz_IQ.wav` or gqrx' own."""
    path = PurePath(name)
    ending = path.suffix.removeprefix(".").lower()
    format_name = ending if ending in FORMATS else ENDINGS.get(ending)
    if gqrx := _GQRX.match(path.name):
        return NameHints(float(gqrx[1]), float(gqrx[2]), format_name or "cf32")
    center_hz = rate_hz = None
    for word in re.split(r"[_\s,]+", path.name.removesuffix(path.suffix)):
        found = _QUANTITY.fullmatch(word)
        if found is None or not (found[2] or found[3]):
            continue  # a bare number may be a date
        value_hz = float(found[1]) * _SCALES[found[2]]
        is_rate = (found[3] or "Hz") != "Hz"
        if value_hz >= LOWEST_CENTER_HZ and not is_rate:
            center_hz = value_hz if center_hz is None else center_hz
        elif value_hz >= LOWEST_RATE_HZ:
            rate_hz = value_hz if rate_hz is None else rate_hz
    return NameHints(center_hz, rate_hz, format_name)
