"""Figures 9-15: the experiments see the same networks, intervals are right, pictures and the table are written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from airshed import airshed
from planning.grouping.experiments import Setting, dynamic, initial, moments
from planning.grouping.figures import FIGURES, Effort, points
from planning.grouping.intervals import mean_of
from terminal.command import run


def test_a_mean_has_students_interval() -> None:
    value = mean_of([1.0, 2.0, 3.0, 4.0])
    # t(3 degrees of freedom, 97.5 %) = 3.182; standard error sqrt(5/3) / 2.
    assert value.mean == 2.5
    assert value.half == pytest.approx(3.182 * np.sqrt(5 / 3) / 2, rel=1e-3)
    assert np.isnan(mean_of([1.0]).half)


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(1)
    means = [mean_of(rng.normal(size=8).tolist()) for _ in range(2000)]
    covered = np.mean([abs(value.mean) <= value.half for value in means])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_all_methods_see_the_same_networks() -> None:
    setting = Setting("high", 20, 0, leaving=4, joining=6, moments=3)
    seen = {
        method: [traffic.names for traffic, *_ in moments(setting, method, 3)] for method in ("hia", "hda", "hda-nosr")
    }
    assert seen["hia"] == seen["hda"] == seen["hda-nosr"]
    assert [len(names) for names in seen["hda"]] == [20, 22, 24, 26]


def test_the_exact_answer_saves_at_least_as_much() -> None:
    setting = Setting("high", 10, 2)
    found = initial(setting, "exact", 4)
    assert found.proved
    assert found.saving_percent >= initial(setting, "hia", 4).saving_percent


def test_no_identity_changes_without_smart_removal() -> None:
    setting = Setting("high", 40, 3, leaving=4, joining=4, moments=4)
    assert dynamic(setting, "hda-nosr", 1).changed_percent == 0.0


def test_every_figure_of_the_paper_has_its_panels() -> None:
    effort = Effort(runs=2, moments=1, sizes=(5,), dynamic_sizes=(5,))
    panels = {number: {point.panel for point in points(number, effort)} for number in FIGURES}
    assert panels[9] == panels[10] == panels[11] == panels[12] == panels[13] == {"low", "medium", "high"}
    assert len(panels[14]) == len(panels[15]) == 3
    shares = [point.setting for point in points(13, effort) if point.x == "50%"]
    assert all(setting.leaving == setting.joining == 250 for setting in shares)
    grown = next(p.setting for p in points(14, effort) if p.panel.startswith("c") and p.x == "20")
    assert grown.devices + 20 * (grown.joining - grown.leaving) == 1000


def test_the_command_writes_pictures_and_a_table(capsys, tmp_path: Path) -> None:
    words = ["--figure", "9", "--figure", "10", "--runs", "2", "--moments", "1", "--sizes", "4", "--dynamic-sizes", "4"]
    assert run(airshed, ["group", "figures", *words, "-o", str(tmp_path / "f"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    with (tmp_path / "f" / "figures.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == len(rows) == 3 * 2 * 2 + 3 * 2 * 3 * 2
    assert {path.name for path in (tmp_path / "f").glob("*.png")} == {"figure-9.png", "figure-10.png"}
