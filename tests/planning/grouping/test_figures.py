"""Figures 9-15: the experiments see the same networks, intervals are right, pictures and the table are written."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airshed import airshed
from planning.grouping.campaign import Store, Task, carry_out, longest
from planning.grouping.experiments import Setting, measured, moments
from planning.grouping.figures import FIGURES, Effort, points
from planning.grouping.intervals import mean_of
from spectrum.errors import BadInput
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
        method: [moment.traffic.names for moment in moments(setting, method, 3)]
        for method in ("hia", "hda", "hda-nosr")
    }
    assert seen["hia"] == seen["hda"] == seen["hda-nosr"]
    assert [len(names) for names in seen["hda"]] == [20, 22, 24, 26]


def test_the_exact_answer_saves_at_least_as_much() -> None:
    setting = Setting("high", 10, 2)
    found = measured(setting, "exact", 4)
    assert found.proved == 1
    assert found.saving_percent(0) >= measured(setting, "hia", 4).saving_percent(0)


def test_ilp_da_is_proved_and_saves_at_least_as_much_as_hda() -> None:
    setting = Setting("medium", 8, 1, leaving=1, joining=1, moments=4)
    found = measured(setting, "exact", 2)
    assert found.proved == 5
    assert all(few <= many for few, many in zip(found.lines, measured(setting, "hda", 2).lines, strict=True))


def test_no_identity_changes_without_smart_removal() -> None:
    setting = Setting("high", 40, 3, leaving=4, joining=4, moments=4)
    assert measured(setting, "hda-nosr", 1).changed_percent(4) == 0.0


@pytest.mark.parametrize("share", [5, 15, 25])
def test_best_is_never_worse_than_hda_in_a_changing_network(share: int) -> None:
    for load in ("low", "high"):
        run = measured(Setting(load, 50, 3, leaving=share, joining=share, moments=6), "best", 4)
        assert run.worse == 0
        assert len(run.lines) == 7


def test_fewer_moments_are_the_beginning_of_more() -> None:
    setting = Setting("high", 30, 3, leaving=6, joining=6, moments=5)
    long, short = measured(setting, "hda", 2), measured(replace(setting, moments=2), "hda", 2)
    assert long.lines[:3] == short.lines
    assert long.changed_percent(2) == short.changed_percent(2)
    assert long.saving_percent(2) == pytest.approx(np.mean([100 * (30 - lines) / 30 for lines in short.lines]))


def test_a_campaign_goes_on_where_it_stood(tmp_path: Path) -> None:
    short, long = (Task(Setting("low", 12, 0, leaving=2, joining=2, moments=n), "hda", 1) for n in (1, 3))
    assert longest([short, long, short]) == [long]
    path = tmp_path / "runs.jsonl"
    carry_out([short, long], Store(path), 1, lambda moments: None)
    run = Store(path).find(short)
    assert run is not None
    assert run == Store(path).find(long)
    assert run.lines == measured(long.setting, "hda", 1).lines
    # Broken off in the middle of a line: that run is measured again, the whole ones are kept.
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    other = Task(long.setting, "hia", 1)
    again = Store(path)
    assert again.find(other) is None
    counted: list[int] = []
    carry_out([long, other], again, 1, counted.append)
    assert counted == [4, 4]
    assert Store(path).find(other) is not None
    assert path.read_text().startswith(whole)
    path.write_text("nonsense\n")
    with pytest.raises(BadInput, match="remove the file"):
        Store(path)


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    tasks = [Task(Setting("low", 10, 0, leaving=1, joining=1, moments=1), "hda", seed) for seed in (1, 2)]
    stores = [Store(None), Store(None)]
    for workers, store in enumerate(stores, start=1):
        carry_out(tasks, store, workers, lambda moments: None)
    for task in tasks:
        one, two = (store.find(task) for store in stores)
        assert one is not None
        assert two is not None
        assert (one.lines, one.changed) == (two.lines, two.changed)


def test_every_figure_of_the_paper_has_its_panels() -> None:
    effort = Effort(runs=2, moments=20, exact_moments=1, sizes=(5,), dynamic_sizes=(5,))
    panels = {number: {point.panel for point in points(number, effort)} for number in FIGURES}
    assert panels[9] == panels[10] == panels[11] == panels[12] == panels[13] == {"low", "medium", "high"}
    assert len(panels[14]) == len(panels[15]) == 3
    shares = [point.setting for point in points(13, effort) if point.x == "50%"]
    assert all(setting.leaving == setting.joining == 250 for setting in shares)
    grown = next(p.setting for p in points(14, effort) if p.panel.startswith("c") and p.x == "20")
    assert grown.devices + 20 * (grown.joining - grown.leaving) == 1000


def test_the_command_writes_pictures_and_tables(capsys, tmp_path: Path) -> None:
    words = ["--figure", "9", "--figure", "10", "--runs", "2", "--exact-moments", "1", "--sizes", "4"]
    words += ["--dynamic-sizes", "4", "--workers", "1", "-o", str(tmp_path / "f"), "--json"]
    assert run(airshed, ["group", "figures", *words]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    listed = []
    for number in (9, 10):
        assert (tmp_path / "f" / f"figure-{number}.png").exists()
        with (tmp_path / "f" / f"figure-{number}.csv").open() as stream:
            listed += list(csv.DictReader(stream))
    assert len(listed) == len(rows) == 3 * 2 * 2 + 3 * 2 * 3 * 2
    assert {row["runs"] for row in rows} == {2}
    measured_already = (tmp_path / "f" / "runs.jsonl").read_text()
    assert run(airshed, ["group", "figures", *words]) == 0
    assert (tmp_path / "f" / "runs.jsonl").read_text() == measured_already
