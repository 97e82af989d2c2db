"""The report of section 5: the claims hold where the notes say, and the page and its files are whole."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planning.simulate import claims, section5
from planning.simulate.report import make_report


def verdict(report: dict[str, Any], claim: str, reading: str) -> bool:
    return bool(next(v["holds"] for v in report["claims"] if (v["claim"], v["reading"]) == (claim, reading)))


def test_report(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """One report with few runs, looked at from all sides."""
    with ThreadPoolExecutor(2) as executor:
        report = make_report(tmp_path, 30, 1, executor, 2)
    for reading in ("E", "F"):
        for claim in "abce":
            with subtests.test("a claim holds under both readings", claim=claim, reading=reading):
                assert verdict(report, claim, reading)
        with subtests.test("claim (c) fails with the paper's own sensing errors", reading=reading):
            assert not verdict(report, "c", f"{reading}, Pf 0.2 and Pm 0.1")
    with subtests.test("SigFox's ordering holds at an overload only"):
        orderings_hold_at_an_overload_only(report)
    with subtests.test("every figure has its files"):
        every_figure_has_its_files(tmp_path, report)
    with subtests.test("the page needs no other file"):
        page_needs_no_other_file(tmp_path, report)
    with subtests.test("power changes energy and not collisions"):
        power_changes_energy_only(report)


def orderings_hold_at_an_overload_only(report: dict[str, Any]) -> None:
    found = [v for v in report["claims"] if v["claim"] == "d"]
    assert len(found) == len(section5.SIGFOX_AIRTIMES_S) * 2 * 2
    for row in found:
        assert row["holds"]
        low = float(row["says"].removeprefix("at ").split("-")[0].split(" ")[0])
        assert 0.2 < low < 3.0


def every_figure_has_its_files(folder: Path, report: dict[str, Any]) -> None:
    names = {Path(name).stem for name in report["files"]}
    for number in (6, 7, 8, 9, 10, 11, 12):
        assert any(name.startswith(f"figure{number:02}") for name in names)
    for name in names:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert ET.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
        with (folder / f"{name}.csv").open() as file:
            assert len(list(csv.reader(file))) > 8


def page_needs_no_other_file(folder: Path, report: dict[str, Any]) -> None:
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(report["files"]) // 3
    assert 'src="http' not in page
    for sentence in claims.CANNOT_HOLD:
        assert sentence.split(":")[0].split("'")[0] in page


def power_changes_energy_only(report: dict[str, Any]) -> None:
    weak, strong = (
        next(
            row
            for row in report["power"]
            if (row["reception"], row["policy"], row["power_dbm"]) == ("any overlap destroys", "random", power_dbm)
        )
        for power_dbm in (10.0, 14.0)
    )
    assert weak["unsuccessful"] == strong["unsuccessful"]
    assert weak["energy_j"] < strong["energy_j"]


def test_a_straight_efficiency_means_a_parabola_of_losses() -> None:
    """(a) and (e) exclude each other: EE = E0 (1 - k D) gives U = P k D, with P proportional to D."""
    devices = np.arange(50.0, 1001.0, 50.0)
    transmissions = 1.5 * devices
    efficiency = 986.0 * (1.0 - 1e-4 * devices)
    lost = transmissions * (1.0 - efficiency / 986.0)
    assert claims.line_r2(devices, efficiency) == pytest.approx(1.0)
    assert np.polyfit(devices, lost, 2)[0] == pytest.approx(1.5e-4)


def test_intervals_of_load_are_joined_and_split() -> None:
    good, bad = (4.0, 3.0, 2.0, 1.0), (4.0, 2.0, 3.0, 1.0)
    loads = (0.1, 0.2, 0.3, 0.4, 0.5)
    assert claims.ordered_loads(loads, (bad, good, good, bad, good)) == [(0.2, 0.3), (0.5, 0.5)]
    assert claims.ordered_loads(loads, (bad,) * 5) == []
