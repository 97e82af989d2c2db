"""Beyond the rules: a classifier for devices that the rules cannot decide, trained on those that they can.

About a fifth of the devices shows no APN, and an APN is the rules' best evidence. What every device shows is how it
uses the radio network: how often it signals, whether it moves, when it is awake, on which technology it speaks. The
model is additive on purpose (binned features, multinomial logistic regression): each decision is a sum over features,
so its explanation is exact, and its probabilities are calibrated on devices without APN that the rules could label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.roaming.engine import Engine
from monitoring.roaming.evaluate import TRUE_CLASSES, scores
from spectrum.errors import BadInput

# Bytes, APNs and data interfaces are left out: devices without APN have none, and a model that leans on them would
# learn "no data, so no thing" from devices that are unlike the ones it is for.
FEATURES: Final = {
    "signalling events a day": "events * 1.0 / days",
    "failed share": "failed * 1.0 / greatest(events, 1)",
    "night share": "night * 1.0 / greatest(events, 1)",
    "sector changes a day": "moves * 1.0 / days",
    "gyration km": "coalesce(gyration_km, -1.0)",
    "days active": "days * 1.0",
    "share of days active": "days * 1.0 / (last_day - first_day + 1)",
    "calls a day": "calls * 1.0 / days",
    "call seconds": "call_s * 1.0 / greatest(calls, 1)",
    "2G": "radio_2g * 1.0",
    "3G": "radio_3g * 1.0",
    "4G": "radio_4g * 1.0",
    "voice on 2G": "voice_2g * 1.0",
    "voice on 3G": "voice_3g * 1.0",
}
# Rules whose word is good enough to learn from; a consumer APN is worn by dongles and things as well.
TEACHING_STEPS: Final = ("apn", "imsi_range", "properties", "os", "feature_phone")
BINS: Final = 10
LARGEST_SAMPLE: Final = 200_000
# Fewest devices of a class in the part that calibrates.
FEWEST: Final = 25


@dataclass(frozen=True)
class Table:
    """n devices: features (n, len(FEATURES)), and what the rules (`given`, `step`) and truth ("" unknown) say."""

    device: NDArray[np.int64]
    features: NDArray[np.float64]
    given: NDArray[np.str_]
    step: NDArray[np.str_]
    has_apn: NDArray[np.bool_]
    true: NDArray[np.str_]

    def where(self, rows: NDArray[Any]) -> Table:
        return Table(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def teaching(self) -> NDArray[np.bool_]:
        return np.isin(self.step, TEACHING_STEPS)


@dataclass(frozen=True)
class Model:
    """edges: bin edges a feature. weights: (classes, one-hot bins), logits relative to the mean class and device."""

    classes: tuple[str, ...]
    edges: tuple[NDArray[np.float64], ...]
    weights: NDArray[np.float64]
    calibrated: Any

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probability of each class, shape (n, len(classes))."""
        result: NDArray[np.float64] = self.calibrated.predict_proba(one_hot(features, self.edges))
        return result

    def contributions(self, features: NDArray[np.float64], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """What each feature adds to the logit of the chosen class, shape (n, features); 0 is the average device."""
        parts = []
        start = 0
        for column, edges in zip(features.T, self.edges, strict=True):
            place = start + np.searchsorted(edges, column, side="right")
            parts.append(self.weights[chosen, place])
            start += len(edges) + 1
        return np.stack(parts, axis=1)

    def explain(self, features: NDArray[np.float64], chosen: NDArray[np.int64], reasons: int = 3) -> list[str]:
        """For each device the features that spoke most for its class: "gyration km 0 (+1.2), 4G 0 (+0.8), ..."."""
        added = self.contributions(features, chosen)
        names = list(FEATURES)
        order = np.argsort(-added, axis=1)[:, :reasons]
        return [
            ", ".join(f"{names[i]} {features[row, i]:.3g} ({added[row, i]:+.1f})" for i in best)
            for row, best in enumerate(order)
        ]


def read_table(
    engine: Engine, *, condition: str = "1 = 1", with_truth: bool = False, sample: int | None = None
) -> Table:
    """Devices of the table `classes`; of more than `sample` an even share by their hash."""
    truth = "coalesce(t.class, '')" if with_truth else "''"
    join = "LEFT JOIN truth t ON c.device = t.device" if with_truth else ""
    [(count,)] = engine.rows(f"SELECT count(*) FROM classes c WHERE {condition}")
    if sample and count > sample:
        condition = f"({condition}) AND pmod(c.device, {count}) < {sample}"
    features = ", ".join(expression for expression in FEATURES.values())
    select = f"""
        SELECT c.device, c.class, c.step, c.apns, {truth}, {features} FROM classes c {join}
        WHERE {condition} ORDER BY c.device"""
    rows = engine.rows(select)
    device, given, step, apns, true = (
        (list(column) for column in zip(*(row[:5] for row in rows), strict=True)) if rows else ([],) * 5
    )
    return Table(
        np.array(device, np.int64), np.array([row[5:] for row in rows], float).reshape(-1, len(FEATURES)),
        np.array(given, str), np.array(step, str), np.array(apns, float) > 0, np.array(true, str),
    )  # fmt: skip


def one_hot(features: NDArray[np.float64], edges: tuple[NDArray[np.float64], ...]) -> Any:
    """Sparse matrix of shape (n, sum of bins): a 1 in the bin of each feature."""
    from scipy.sparse import csr_array

    starts = np.cumsum([0, *(len(cut) + 1 for cut in edges)])
    places = [start + np.searchsorted(cut, column, side="right")
              for start, cut, column in zip(starts, edges, features.T, strict=False)]  # fmt: skip
    count, width = features.shape
    columns = np.stack(places, axis=1).ravel()
    return csr_array((np.ones(columns.size), columns, np.arange(count + 1) * width), shape=(count, int(starts[-1])))


def train(table: Table, rng: np.random.Generator) -> Model:
    """Fit on three quarters of the teaching devices, calibrate on the fourth: there on those without APN, if enough."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression

    taught = table.where(table.teaching)
    present = [name for name in TRUE_CLASSES if np.count_nonzero(taught.given == name) >= 2 * FEWEST]
    if len(present) < 2:
        raise BadInput(
            f"too few devices to learn from: expected at least {2 * FEWEST} in two classes labelled by the rules, "
            f"came {len(taught.given)}; classify without --learned"
        )
    taught = taught.where(np.isin(taught.given, present))
    order = rng.permutation(len(taught.given))
    fit, hold = taught.where(order[len(order) // 4 :]), taught.where(order[: len(order) // 4])
    quiet = hold.where(~hold.has_apn)
    if min(np.count_nonzero(quiet.given == name) for name in present) >= FEWEST:
        hold = quiet
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = tuple(np.unique(np.quantile(column, inner)) for column in fit.features.T)
    hot = one_hot(fit.features, edges)
    model = LogisticRegression(C=1.0, max_iter=500).fit(hot, fit.given)
    calibrated = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(
        one_hot(hold.features, edges), hold.given
    )
    weights = model.coef_ if len(present) > 2 else np.concatenate([-model.coef_, model.coef_]) / 2
    weights = weights - weights.mean(axis=0)
    return Model(tuple(calibrated.classes_), edges, _centred(weights, hot, edges), calibrated)


def _centred(weights: NDArray[np.float64], hot: Any, edges: tuple[NDArray[np.float64], ...]) -> Any:
    """Weights less their mean over the devices of the fit, feature by feature."""
    shares = np.asarray(hot.mean(axis=0)).ravel()
    centred = weights.copy()
    start = 0
    for cut in edges:
        block = slice(start, start + len(cut) + 1)
        centred[:, block] -= (weights[:, block] * shares[block]).sum(axis=1, keepdims=True)
        start = block.stop
    return centred


def apply(engine: Engine, model: Model) -> None:
    """Let the model decide the devices that the rules left as m2m-maybe, with its probability and its reasons."""
    table = read_table(engine, condition="c.step = 'none'")
    rows: list[tuple[int, str, float, str]] = []
    if len(table.device):
        chances = model.probabilities(table.features)
        chosen = chances.argmax(axis=1)
        why = model.explain(table.features, chosen)
        rows = [
            (int(device), model.classes[best], float(chance[best]), f"learned: {text}")
            for device, best, chance, text in zip(table.device, chosen, chances, why, strict=True)
        ]
    engine.load("learned", {"device": "count", "class": "text", "confidence": "number", "evidence": "text"}, rows)
    columns = engine.columns("SELECT * FROM classes")
    replaced = {
        "class": "coalesce(l.class, c.class)",
        "confidence": "coalesce(l.confidence, c.confidence)",
        "evidence": "coalesce(l.evidence, c.evidence)",
        "step": "CASE WHEN l.class IS NULL THEN c.step ELSE 'learned' END",
    }
    listed = ", ".join(f"{replaced.get(name, f'c.{name}')} AS {name}" for name in columns)
    engine.table("decided", f"SELECT {listed} FROM classes c LEFT JOIN learned l ON c.device = l.device")
    engine.table("classes", "SELECT * FROM decided")


def evaluate(engine: Engine, rng: np.random.Generator, held_out_share: float = 0.3) -> dict[str, Any]:
    """Train on a share of the devices without looking at truth, compare with the rules on the truth of the others."""
    table = read_table(engine, with_truth=True, sample=LARGEST_SAMPLE)
    held = rng.random(len(table.device)) < held_out_share
    model = train(table.where(~held), rng)
    test = table.where(held & (table.true != ""))
    groups = {
        "all": np.ones(len(test.device), bool),
        "without_apn": ~test.has_apn,
        "m2m_maybe": test.given == "m2m-maybe",
    }
    report = {name: _compared(test.where(rows), model) for name, rows in groups.items() if rows.any()}
    return {"trained_on": int((~held).sum()), "held_out": len(test.device), "groups": report}


def _compared(test: Table, model: Model) -> dict[str, Any]:
    """Scores of the rules, of the model alone, and of the model where the rules say m2m-maybe."""
    chances = model.probabilities(test.features)
    guess = np.array(model.classes)[chances.argmax(axis=1)]
    both = np.where(test.given == "m2m-maybe", guess, test.given)
    found = {
        name: _scored(test.true, given) for name, given in (("rules", test.given), ("learned", guess), ("both", both))
    }
    return {**found, "calibration": calibration(chances.max(axis=1), guess == test.true)}


def _scored(true: NDArray[np.str_], given: NDArray[np.str_]) -> dict[str, Any]:
    pairs, counts = np.unique(np.stack([true, given]), axis=1, return_counts=True)
    return scores((str(a), str(b), int(n)) for a, b, n in zip(*pairs, counts, strict=True))


def calibration(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> Mapping[str, Any]:
    """Reliability: per tenth of confidence the devices, mean confidence and share right; and their mean gap (ECE)."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows, gap = [], 0.0
    for number in range(bins):
        here = place == number
        if here.any():
            said, was = float(confidence[here].mean()), float(right[here].mean())
            gap += abs(said - was) * float(here.mean())
            rows.append({"devices": int(here.sum()), "confidence": round(said, 4), "right": round(was, 4)})
    return {"expected_calibration_error": round(gap, 4), "bins": rows}
