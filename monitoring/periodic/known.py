"""Applications that are known beforehand: no learning, only classification (when unlabelled) and counting."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monitoring.periodic.classification import KnownApplication
from spectrum.errors import BadInput

if TYPE_CHECKING:
    from monitoring.periodic.lattice import Floats

COLUMNS = "application,period_s[,device,offset_s]"
# Key of applications that every device runs.
EVERY_DEVICE = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A known application and its label."""

    application: str
    known: KnownApplication

    def moved(self, by_s: float) -> Named:
        """The same application with its times moved, e.g. to another origin."""
        offset = self.known.offset_s
        known = KnownApplication(self.known.period_s, None if offset is None else offset + by_s)
        return Named(self.application, known)


def read_known(path: Path) -> dict[str, list[Named]]:
    """Known applications by device; under EVERY_DEVICE those of all devices without rows of their own."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise BadInput(f"expected a CSV of known applications ({COLUMNS}), could not read {path}: {error}") from error
    known: dict[str, list[Named]] = {}
    for number, row in enumerate(rows, 2):
        try:
            period = float(row["period_s"])
            offset = float(row["offset_s"]) if row.get("offset_s") else None
            name = row["application"]
        except (KeyError, ValueError, TypeError) as error:
            raise BadInput(f"expected {COLUMNS} in {path}, row {number} is {row} ({error})") from error
        if not period > 0:
            raise BadInput(f"expected a period_s above 0 in {path}, row {number} has {period}")
        known.setdefault(row.get("device") or EVERY_DEVICE, []).append(Named(name, KnownApplication(period, offset)))
    if not known:
        raise BadInput(f"expected at least one known application ({COLUMNS}) in {path}, found none")
    return known


def split_known(times_s: Floats, label: str | None, applications: Sequence[Named]) -> list[tuple[Named, Floats]]:
    """Receptions of each known application: by label, or classified when there is none."""
    import numpy as np

    from monitoring.periodic.classification import classify

    if label is not None:
        return [(one, times_s) for one in applications if one.application == label]
    if len(applications) == 1:
        return [(applications[0], times_s)]
    owner = classify(times_s, [one.known for one in applications])
    return [(one, times_s[owner == index]) for index, one in enumerate(applications) if np.any(owner == index)]
