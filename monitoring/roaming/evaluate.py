"""Classes against truth: confusion matrix, precision and recall."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from monitoring.roaming.engine import Engine

TRUE_CLASSES: Final = ("smart", "feat", "m2m")


def scores(pairs: Iterable[tuple[str, str, int]]) -> dict[str, Any]:
    """From (true class, given class, count): {"confusion": {true: {given: n}}, "precision", "recall", "accuracy"}.

    m2m-maybe is no class of truth: it counts against recall and never for precision. A ratio of nothing is None.
    """
    confusion: dict[str, dict[str, int]] = {name: {} for name in TRUE_CLASSES}
    for true, given, count in pairs:
        row = confusion.setdefault(true, {})
        row[given] = row.get(given, 0) + count
    given_totals: dict[str, int] = {}
    for row in confusion.values():
        for given, count in row.items():
            given_totals[given] = given_totals.get(given, 0) + count
    right = {name: confusion[name].get(name, 0) for name in TRUE_CLASSES}
    total = sum(given_totals.values())
    return {
        "devices": total,
        "confusion": confusion,
        "precision": {name: _ratio(right[name], given_totals.get(name, 0)) for name in TRUE_CLASSES},
        "recall": {name: _ratio(right[name], sum(confusion[name].values())) for name in TRUE_CLASSES},
        "accuracy": _ratio(sum(right.values()), total),
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None


def against_truth(engine: Engine, condition: str = "1 = 1") -> dict[str, Any]:
    """Scores of the table `classes` against the table `truth`, over devices of a condition on `classes` (as c)."""
    select = f"""
        SELECT t.class, c.class, count(*) FROM classes c JOIN truth t ON c.device = t.device
        WHERE {condition} GROUP BY t.class, c.class"""
    return scores(engine.rows(select))


def by_step(engine: Engine) -> dict[str, dict[str, Any]]:
    """Per step of the rules: devices and the share whose class is true, to hold the declared confidences against."""
    select = """
        SELECT c.step, count(*), avg(CASE WHEN t.class = c.class THEN 1.0 ELSE 0.0 END), avg(c.confidence)
        FROM classes c JOIN truth t ON c.device = t.device GROUP BY c.step ORDER BY 2 DESC"""
    return {
        step: {"devices": count, "right": round(float(right), 5), "mean_confidence": round(float(said), 5)}
        for step, count, right, said in engine.rows(select)
    }
