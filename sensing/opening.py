"""Which source a few words mean: one row for each kind. Nothing is imported before its kind is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sensing.source import IqSource
from spectrum.errors import BadInput


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to open and how to set it; None where the source itself knows (a file's name tells rate and centre)."""

    place: str
    center_hz: float | None = None
    rate_hz: float | None = None
    gain_db: float | None = None
    loop: bool = False
    seed: int = 1


def _synthetic(wanted: Wanted) -> IqSource:
    from sensing.scenes import busy_band
    from sensing.synthetic import SyntheticSource

    return SyntheticSource(busy_band(wanted.center_hz or 868.0125e6, wanted.rate_hz or 2.4e6, wanted.seed))


# How a source is named: the words before the first colon, and who opens it.
OPENERS: Final[dict[str, Callable[[Wanted], IqSource]]] = {
    "synthetic": _synthetic,
}


def open_source(wanted: Wanted) -> IqSource:
    """The source that `wanted.place` names; BadInput when no kind fits."""
    kind = wanted.place.partition(":")[0]
    if kind in OPENERS:
        return OPENERS[kind](wanted)
    raise BadInput(f"no source is called {wanted.place!r}: expected one of {', '.join(OPENERS)} or a file")
