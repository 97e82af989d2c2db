"""Which sources deliver power instead of IQ; here alone, so that nothing heavy is imported to ask."""

from __future__ import annotations

from typing import Final

KINDS: Final = ("rtl_power", "sx1302")


def is_sweep(place: str) -> bool:
    """Whether `place` names a sensor of this kind: rtl_power:FILE or sx1302:FILE, - for standard input."""
    return place.partition(":")[0] in KINDS
