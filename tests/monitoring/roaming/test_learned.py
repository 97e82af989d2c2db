"""The trained classifier: additive explanations are exact, truth is never read, held-out truth agrees with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitoring.roaming import evaluate, learned
from monitoring.roaming.schema import TRUTH
from spectrum.errors import BadInput


@pytest.fixture
def table(population: Path, open_run: Any) -> Any:
    with open_run(population) as (engine, intaker):
        intaker.bring_as_table(TRUTH)
        return learned.read_table(engine, with_truth=True)


def test_contributions_add_up_to_the_logits(table: Any) -> None:
    model = learned.train(table, np.random.default_rng(1))
    features = table.features[:200]
    added = np.stack(
        [model.contributions(features, np.full(200, number)).sum(axis=1) for number in range(len(model.classes))],
        axis=1,
    )
    hot = learned.one_hot(features, model.edges)
    logits = model.calibrated.calibrated_classifiers_[0].estimator.estimator.decision_function(hot)
    # The same up to a constant a class (the average device) and one a device (softmax does not see it).
    difference = logits - added
    difference -= difference.mean(axis=1, keepdims=True)
    assert np.allclose(difference, difference[0], atol=1e-4)


def test_probabilities_are_calibrated_and_better_than_the_rules_alone(table: Any) -> None:
    rng = np.random.default_rng(2)
    held = rng.random(len(table.device)) < 0.4
    model = learned.train(table.where(~held), rng)
    quiet = table.where(held & ~table.has_apn)
    chances = model.probabilities(quiet.features)
    assert np.allclose(chances.sum(axis=1), 1)
    guess = np.array(model.classes)[chances.argmax(axis=1)]
    both = np.where(quiet.given == "m2m-maybe", guess, quiet.given)
    assert np.mean(both == quiet.true) > np.mean(quiet.given == quiet.true) + 0.1
    assert learned.calibration(chances.max(axis=1), guess == quiet.true)["expected_calibration_error"] < 0.08


def test_training_never_reads_truth(table: Any) -> None:
    lies = replace(table, true=np.roll(table.true, 1))
    honest = learned.train(table, np.random.default_rng(3)).probabilities(table.features)
    misled = learned.train(lies, np.random.default_rng(3)).probabilities(table.features)
    assert np.array_equal(honest, misled)


def test_reasons_name_the_features_that_spoke_most(table: Any) -> None:
    model = learned.train(table, np.random.default_rng(1))
    chosen = model.probabilities(table.features[:50]).argmax(axis=1)
    added = model.contributions(table.features[:50], chosen)
    for row, text in enumerate(model.explain(table.features[:50], chosen)):
        best = list(learned.FEATURES)[int(added[row].argmax())]
        assert text.startswith(best)


def test_too_few_devices_are_refused(few: Path, open_run: Any) -> None:
    with open_run(few) as (engine, _):
        table = learned.read_table(engine, condition="c.class = 'smart'")
    with pytest.raises(BadInput, match="too few devices to learn from"):
        learned.train(table, np.random.default_rng(1))


def test_classify_learned_decides_what_the_rules_leave(population: Path, roam_json: Any, tmp_path: Path) -> None:
    options = ("--out", str(tmp_path), "--site-key", str(tmp_path / "key"))
    plain = {entry["device"]: entry for entry in roam_json("classify", population, *options)["devices"]}
    found = roam_json("classify", population, *options, "--learned")
    assert "m2m-maybe" not in found["classes"]
    for entry in found["devices"]:
        before = plain[entry["device"]]
        if before["class"] == "m2m-maybe":
            assert entry["evidence"].startswith("learned: ")
            assert 1 / 3 <= entry["confidence"] <= 1
        else:
            assert entry == before


def test_scores_by_hand() -> None:
    found = evaluate.scores([("m2m", "m2m", 6), ("m2m", "m2m-maybe", 2), ("smart", "m2m", 2), ("smart", "smart", 10)])
    assert found["precision"] == {"smart": 1.0, "feat": None, "m2m": 0.75}
    assert found["recall"] == {"smart": pytest.approx(10 / 12, abs=1e-5), "feat": None, "m2m": 0.75}
    assert found["accuracy"] == 0.8
    assert found["confusion"]["m2m"] == {"m2m": 6, "m2m-maybe": 2}


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, False, True, False])
    found = learned.calibration(confidence, right)
    assert found["expected_calibration_error"] == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)


def test_evaluate_compares_on_held_out_truth(population: Path, roam_json: Any, tmp_path: Path) -> None:
    found = roam_json("evaluate", population, "--out", str(tmp_path), "--site-key", str(tmp_path / "key"))
    assert found["rules"]["devices"] == 6000
    groups = found["learned"]["groups"]
    assert set(groups) == {"all", "without_apn", "m2m_maybe"}
    assert groups["without_apn"]["both"]["accuracy"] > groups["without_apn"]["rules"]["accuracy"]
    assert 0.15 < found["rules_without_apn"]["devices"] / 6000 < 0.3
