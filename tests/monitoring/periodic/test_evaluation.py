"""The evaluation's tables and figures, on a small scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitoring.periodic import evaluation
from monitoring.periodic.evaluation import Evaluation, OfflineRow, error_rows, fleet_rows, offline_rows, time_rows
from monitoring.periodic.figures import draw_evaluation


def test_every_method_has_its_rows_and_the_lattice_the_smallest_error(rng: np.random.Generator) -> None:
    rows = list(error_rows(rng, 0.3, 50, 12))
    assert {(row.stream, row.method) for row in rows} == {
        *(("labelled", name) for name in evaluation.LABELLED),
        *(("unlabelled", name) for name in evaluation.UNLABELLED),
    }
    for stream in ("labelled", "unlabelled"):
        best = min((row for row in rows if row.stream == stream), key=lambda row: row.realised)
        assert best.method in {"lattice", "nhm"}
        assert all(row.nominal_p95 >= row.nominal for row in rows)


def test_a_device_that_stopped_is_found_and_more_surely_with_time(rng: np.random.Generator) -> None:
    rows = [row for row in offline_rows(rng, 0.1, 25, 12) if row.method == "lattice"]
    found = {row.missed: row.probability for row in rows}
    assert found[10] == 1.0
    assert found[1] < 0.5
    assert found[0] <= 0.1
    assert all(row.low <= row.probability <= row.high for row in rows)


def test_all_figures_are_drawn_with_their_data(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "FLEET_METERS", 20)
    monkeypatch.setattr(evaluation, "FLEET_RECEPTIONS", 3000)
    drawn = list(error_rows(rng, 0.0, 5, 2))
    cells = [(p, m) for p in evaluation.OUTAGES for m in evaluation.COUNTS]
    errors = [replace(row, outage=p, count=m) for p, m in cells for row in drawn]
    offline = [
        OfflineRow("lattice", p, m, missed, 0.5, 0.4, 0.6)
        for p in evaluation.OUTAGES
        for m in evaluation.OFFLINE_COUNTS
        for missed in (0, *evaluation.OFFLINE_AFTER)
    ]
    data = Evaluation(tuple(errors), tuple(offline), tuple(time_rows(rng, 10, 3)), tuple(fleet_rows(rng)))
    files = draw_evaluation(data, tmp_path)
    assert len(files) == 18
    assert all(path.stat().st_size > 200 for path in files)
    assert len(data.error_lines()) == 1 + len(errors)
    server = [row for row in data.fleet if row.perspective == "server" and row.method == "lattice"]
    assert [row.period_s for row in server] == pytest.approx([row.true_period_s for row in server], rel=0.01)
