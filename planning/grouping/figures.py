"""Figures 9-15 as tables: which points they have, and their means with confidence intervals over runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from planning.grouping.campaign import Store, Task
from planning.grouping.experiments import Run, Setting
from planning.grouping.intervals import Mean, mean_of

LOADS: Final = ("low", "medium", "high")
SHIFTS: Final = (0, 3)
# The arrays of figure 14b and 15a are not in the text; "more options and larger values" is read so.
ARRAYS: Final = ((10, 20), (10, 20, 40), (10, 20, 40, 80), (10, 20, 40, 80, 160))
HEURISTICS: Final = ("hda", "hda-nosr")


@dataclass(frozen=True)
class Effort:
    """How much is spent. sizes: M of figures 9 and 10; largest: M of figures 13-15 and end of 12; moments, runs.

    exact_moments: of figure 10, whose exact answers take longest. The paper has 20 runs, 100 moments throughout,
    sizes up to 50 (25 in figure 10), largest 500.
    """

    runs: int
    moments: int
    exact_moments: int
    sizes: tuple[int, ...]
    dynamic_sizes: tuple[int, ...]
    largest: int = 500
    methods: tuple[str, ...] = HEURISTICS


@dataclass(frozen=True)
class Row:
    """One point: panel and measure say which axes, series which line, x the place on it; a mean over `runs` networks
    of `moments` changes each."""

    figure: int
    panel: str
    measure: str
    series: str
    x: str
    value: Mean
    runs: int
    moments: int


@dataclass(frozen=True)
class Point:
    """What is to be measured for one point of a figure."""

    panel: str
    series: str
    x: str
    setting: Setting
    method: str


Measure = tuple[str, Callable[[Run, int], float]]
SAVING: Final[Measure] = ("saving, %", Run.saving_percent)
CHANGED: Final[Measure] = ("updated identities, %", Run.changed_percent)
SECONDS: Final[Measure] = ("processor seconds a moment", Run.seconds_each)


def named(method: str, max_shift: int) -> str:
    """Name of a series."""
    return f"{method}, {f'shifts up to {max_shift}' if max_shift else 'no shifts'}"


def changing(effort: Effort, load: str, devices: int, max_shift: int, share: float = 0.1) -> Setting:
    """A network of which `share` leaves and as many join every moment."""
    churn = max(1, round(share * devices))
    return Setting(load, devices, max_shift, leaving=churn, joining=churn, moments=effort.moments)


def figure_9(effort: Effort) -> Iterator[Point]:
    for load in LOADS:
        for tau in SHIFTS:
            for method in ("hia", "exact"):
                for size in effort.sizes:
                    yield Point(load, named(method, tau), str(size), Setting(load, size, tau), method)


def figure_10(effort: Effort) -> Iterator[Point]:
    for load in LOADS:
        for tau in SHIFTS:
            for method in ("hda", "hda-nosr", "exact"):
                for size in effort.dynamic_sizes:
                    setting = replace(changing(effort, load, size, tau), moments=effort.exact_moments)
                    yield Point(load, named(method, tau), str(size), setting, method)


def figure_11(effort: Effort) -> Iterator[Point]:
    for load in LOADS:
        for tau in range(7):
            for method in ("hia", "exact"):
                yield Point(load, method, str(tau), Setting(load, 20, tau), method)


def figure_12(effort: Effort) -> Iterator[Point]:
    for load in LOADS:
        for tau in SHIFTS:
            for method in effort.methods:
                for size in (effort.largest * step // 5 for step in range(1, 6)):
                    yield Point(load, named(method, tau), str(size), changing(effort, load, size, tau), method)


def figure_13(effort: Effort) -> Iterator[Point]:
    for load in LOADS:
        for tau in SHIFTS:
            for method in effort.methods:
                for share in (0.1, 0.2, 0.3, 0.4, 0.5):
                    setting = changing(effort, load, effort.largest, tau, share)
                    yield Point(load, named(method, tau), f"{share:.0%}", setting, method)


def figure_14(effort: Effort) -> Iterator[Point]:
    for method in effort.methods:
        for tau in range(7):
            setting = changing(effort, "medium", effort.largest, tau)
            yield Point("a: longest shift", method, str(tau), setting, method)
        for tau in SHIFTS:
            for array in ARRAYS:
                setting = replace(changing(effort, "medium", effort.largest, tau), intervals=array)
                yield Point("b: intervals", named(method, tau), _text(array), setting, method)
            churn = effort.largest // 10
            grown = Setting("high", effort.largest, tau, leaving=churn, joining=churn + churn // 2)
            for count in _up_to(effort.moments, (5, 10, 15, 20)):
                yield Point("c: growing network", named(method, tau), str(count), replace(grown, moments=count), method)


def figure_15(effort: Effort) -> Iterator[Point]:
    for method in ("hia", *effort.methods):
        for tau in SHIFTS:
            base = changing(effort, "medium", effort.largest, tau)
            for array in ARRAYS:
                yield Point("a: intervals", named(method, tau), _text(array), replace(base, intervals=array), method)
            for size in (effort.largest * step // 5 for step in range(1, 6)):
                setting = changing(effort, "medium", size, tau)
                yield Point("b: devices", named(method, tau), str(size), setting, method)
            for count in _up_to(effort.moments, (1, 2, 5, 10, 20, 50, 100)):
                yield Point("c: moments", named(method, tau), str(count), replace(base, moments=count), method)


def _up_to(most: int, counts: tuple[int, ...]) -> list[int]:
    return [count for count in counts if count <= most] or [most]


def _text(array: tuple[int, ...]) -> str:
    return "-".join(str(interval) for interval in array)


# figure: (its points, what is shown of them)
FIGURES: Final[dict[int, tuple[Callable[[Effort], Iterator[Point]], tuple[Measure, ...]]]] = {
    9: (figure_9, (SAVING,)),
    10: (figure_10, (SAVING, CHANGED)),
    11: (figure_11, (SAVING,)),
    12: (figure_12, (SAVING, CHANGED)),
    13: (figure_13, (SAVING, CHANGED)),
    14: (figure_14, (SAVING, CHANGED)),
    15: (figure_15, (SECONDS,)),
}


def points(number: int, effort: Effort) -> list[Point]:
    """All points of a figure."""
    return list(FIGURES[number][0](effort))


def tasks_of(point: Point, effort: Effort, seed: int) -> list[Task]:
    """The runs behind a point: effort.runs networks, the same ones for every method and figure."""
    return [Task(point.setting, point.method, 1000 * seed + run) for run in range(effort.runs)]


def rows_of(number: int, effort: Effort, seed: int, store: Store) -> list[Row]:
    """Means of all points of a figure over the runs in the store that were done; a point without any is left out."""
    rows = []
    for point in points(number, effort):
        found = [store.find(task) for task in tasks_of(point, effort, seed)]
        runs = [run for run in found if run is not None]
        for name, value in FIGURES[number][1] if runs else ():
            mean = mean_of([value(run, point.setting.moments) for run in runs])
            rows.append(Row(number, point.panel, name, point.series, point.x, mean, len(runs), point.setting.moments))
    return rows
