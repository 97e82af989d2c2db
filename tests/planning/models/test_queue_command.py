"""`airshed plan queue` as a user runs it: options, JSON keys, files, errors of one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planning.models.command import plan
from terminal.command import run

MARKOV = ["--servers", "8", "--service-time", "4.07", "--arrivals", "markov", "--rate", "1"]
DEGENERATE = ["--servers", "2", "--service-time", "1", "--arrivals", "degenerate", "--gaps", "0.3,0.6,1.5"]


Json = Callable[..., dict[str, Any]]


def test_the_keys_of_the_answer(plan_json: Json) -> None:
    answer = plan_json("queue", *MARKOV)
    assert {"blocking", "lower", "upper", "approximation", "utilisation"} <= set(answer)
    assert answer["blocking"] == pytest.approx(0.0326583, rel=1e-5)
    assert answer["utilisation"] == pytest.approx(4.07 * (1 - 0.0326583) / 8, rel=1e-5)


def test_outage_thins_the_arrivals(plan_json: Json) -> None:
    halved = plan_json("queue", *MARKOV, "--outage", "0.5")
    assert halved["blocking"] == plan_json("queue", *MARKOV[:-1], "0.5")["blocking"]
    assert plan_json("queue", *DEGENERATE, "--outage", "1")["blocking"] == 0.0


def test_probabilities_may_be_fractions(plan_json: Json) -> None:
    alike = plan_json("queue", *DEGENERATE)
    assert plan_json("queue", *DEGENERATE, "--probabilities", "1/3,1/3,1/3") == alike


def test_a_file_of_arrivals_is_simulated(plan_json: Json, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("time_s,service_s\n# one server: the second of three is blocked\n0.0,1.0\n0.5,1.0\n1.0,1.0\n")
    answer = plan_json("queue", "--servers", "1", "--arrivals", str(trace))
    assert answer["method"] == "simulation"
    assert answer["blocking"] == pytest.approx(1 / 3)
    lines = tmp_path / "trace.jsonl"
    lines.write_text("".join(f'{{"time_s": {1.7e9 + 0.5 * k}}}\n' for k in range(4)))
    assert plan_json("queue", "--servers", "1", "--service-time", "0.7", "--arrivals", str(lines))["blocking"] == 0.5


def test_the_simulation_beside_the_answer_agrees(plan_json: Json) -> None:
    answer = plan_json("queue", *DEGENERATE, "--outage", "0.5", "--simulate", "100000")
    low, high = answer["simulated"]["blocking_interval"]
    assert low <= answer["blocking"] <= high


def test_a_chain_too_large_is_simulated_and_says_so(plan_json: Json) -> None:
    gaps = ["--arrivals", "degenerate", "--gaps", "0.101,0.157,0.313"]
    answer = plan_json("queue", "--servers", "12", "--service-time", "3.0", *gaps)
    assert answer["method"] == "simulation"
    assert "states" in answer["note"]
    assert answer["lower"] <= answer["blocking"] <= answer["upper"]


def test_a_plot_is_written(plan_json: Json, tmp_path: Path) -> None:
    plan_json("queue", *DEGENERATE, "--plot", str(tmp_path / "queue.svg"))
    assert (tmp_path / "queue.svg").stat().st_size > 5000


def test_the_figures_of_the_paper_are_drawn(tmp_path: Path) -> None:
    assert run(plan, ["queue", "--figures", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"figure_d{k}.png" for k in (2, 3, 4, 5)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([*MARKOV[:-1], "-1"], "rate"),
        (MARKOV[:-2], "--rate"),
        ([*MARKOV, "--gaps", "1"], "does not go with"),
        ([*MARKOV, "--outage", "1.1"], "outage"),
        ([*MARKOV, "--plot", "queue.doc"], "plot"),
        ([*DEGENERATE, "--probabilities", ".5,.5"], "expected 3, got 2"),
        ([*DEGENERATE[:-1], "0.3,x"], "'x'"),
        (["--servers", "2", "--service-time", "1", "--arrivals", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_bad_input_ends_with_status_2_and_one_line(
    plan_refuses: Callable[..., str], options: list[str], message: str
) -> None:
    assert message in plan_refuses("queue", *options)


@pytest.mark.parametrize("text", ["0.0\nyesterday\n", "1.0\n0.5\n", "", "0.0,1.0\n2.0\n"])
def test_a_broken_file_of_arrivals_is_bad_input(plan_refuses: Callable[..., str], text: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text(text)
    assert str(trace) in plan_refuses("queue", "--servers", "1", "--service-time", "1", "--arrivals", str(trace))
