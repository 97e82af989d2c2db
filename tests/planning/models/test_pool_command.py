"""`airshed plan pool` as a user runs it: the letter's percentages, LoRa and SigFox slots, refusals."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from planning.models import pool_figures
from planning.models.command import plan
from planning.models.pool_figures import figure_5
from planning.models.pool_mapping import DATA_ELEMENTS, TRANSPORT_BITS, TRANSPORT_INDICES, lte_pool
from spectrum import sigfox
from spectrum.lora import LoraModulation, airtime_s
from terminal.command import run

Json = Callable[..., dict[str, Any]]

LETTER = ["--devices", "30000", "--error-rate", "0.1", "--max-transmissions", "10", "--target", "1e-3"]


@pytest.mark.parametrize(
    ("size", "modulation", "blocks", "percent"), [(100, "qpsk", 3, 9), (100, "64qam", 1, 3), (1000, "64qam", 10, 30)]
)
def test_the_letters_percentages_follow_from_modulation_alone(
    plan_json: Json, size: int, modulation: str, blocks: int, percent: int
) -> None:
    answer = plan_json("pool", *LETTER, "--report-bytes", str(size), "--modulation", modulation, "--bandwidth-mhz", "5")
    assert answer["resource_blocks_per_report"] == blocks
    assert round(100 * answer["fraction"]) == percent
    assert "no channel coding" in answer["assumption"]


def test_real_transport_blocks_do_not_give_the_letters_percentages(plan_json: Json) -> None:
    coded = plan_json("pool", *LETTER, "--report-bytes", "100", "--modulation", "qpsk", "--coding", "transport-block")
    assert coded["resource_blocks_per_report"] == 5
    assert round(100 * coded["fraction"]) == 15
    assert "TS 36.213" in coded["assumption"]


def test_transport_blocks_grow_with_blocks_and_index_and_hold_less_than_uncoded_symbols() -> None:
    table = list(TRANSPORT_BITS.values())
    for row, following in pairwise(table):
        assert all(a < b for a, b in zip(row, following, strict=True))
    bits = {0: 2, 5: 2, 10: 2, 19: 4, 26: 6}
    for blocks, row in TRANSPORT_BITS.items():
        assert list(row) == sorted(row)
        for index, size in zip(TRANSPORT_INDICES, row, strict=True):
            assert size % 8 == 0
            assert size <= blocks * DATA_ELEMENTS * bits[index]


def test_a_report_larger_than_a_transport_block_is_cut() -> None:
    largest = TRANSPORT_BITS[25][TRANSPORT_INDICES.index(10)] // 8
    one = lte_pool(largest, "qpsk", 5.0, coding="transport-block").per_report
    two = lte_pool(largest + 1, "qpsk", 5.0, coding="transport-block").per_report
    assert (one, two) == (25, 26)


def test_the_keys_of_the_answer(plan_json: Json) -> None:
    answer = plan_json("pool", *LETTER)
    assert {"capacity", "mean", "variance", "failure_bound", "failure_tight"} <= set(answer)
    assert answer["capacity"] == 14841
    assert answer["failure_tight"] < answer["failure_bound"] <= 1e-3


def test_devices_and_capacity_are_each_others_inverse(plan_json: Json) -> None:
    for method in ("clt", "exact", "rigorous"):
        capacity = plan_json("pool", "--devices", "500", "--method", method)["capacity"]
        most = plan_json("pool", "--capacity", str(capacity), "--method", method)["devices"]
        assert plan_json("pool", "--devices", str(most), "--method", method)["capacity"] <= capacity
        assert plan_json("pool", "--devices", str(most + 1), "--method", method)["capacity"] > capacity


def test_the_most_devices_for_a_share_of_the_air(plan_json: Json) -> None:
    air = ["--report-bytes", "100", "--max-fraction", "0.09"]
    most = plan_json("pool", *air)
    assert most["fraction"] <= 0.09
    assert most["devices"] > 30_000
    assert most["meets_target"]


def test_lora_slots_and_subchannels_to_reserve(plan_json: Json) -> None:
    lora = ["--technology", "lora", "--spreading-factor", "10", "--report-bytes", "20", "--interval-s", "900"]
    answer = plan_json("pool", "--devices", "5000", *lora, "--guard-s", "0.05")
    slot_s = airtime_s(LoraModulation(10), 33) + 0.05
    assert answer["slot_s"] == pytest.approx(slot_s)
    assert answer["slots"] == 5000 + answer["capacity"]
    assert answer["slots_per_subchannel"] == int(900 / slot_s)
    assert (answer["subchannels"] - 1) * answer["slots_per_subchannel"] < answer["slots"]
    assert answer["slots"] <= answer["subchannels"] * answer["slots_per_subchannel"]


def test_sigfox_slots_last_one_frame(plan_json: Json) -> None:
    answer = plan_json(
        "pool", "--devices", "300", "--technology", "sigfox", "--report-bytes", "12", "--interval-s", "600"
    )
    assert answer["airtime_s"] == sigfox.airtime_s(12) == pytest.approx(2.08)


def test_the_simulation_beside_the_answer(plan_json: Json) -> None:
    answer = plan_json("pool", "--devices", "200", "--simulate", "500", "--scheduler", "spread")
    assert answer["simulated"]["failure_interval"][0] <= answer["failure_tight"]


def test_plots_are_written(plan_json: Json, tmp_path: Path) -> None:
    plan_json("pool", "--devices", "200", "--plot", str(tmp_path / "law.png"))
    plan_json(
        "pool", "--devices", "200", "--technology", "lora", "--spreading-factor", "7", "--report-bytes", "10",
        "--plot", str(tmp_path / "air.svg"),
    )  # fmt: skip
    assert min(path.stat().st_size for path in tmp_path.iterdir()) > 5000
    assert len(figure_5(1).axes[0].lines) == 6


def test_the_figures_of_the_letter_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_figures, "FIGURE_3_RUNS", 500)
    monkeypatch.setattr(pool_figures, "FIGURE_4_RUNS", 50)
    assert run(plan, ["pool", "--figures", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"figure_{k}.png" for k in (3, 4, 5)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "100", "--target", "1e-11"], "p^L"),
        (["--devices", "100", "--target", "0"], "target"),
        (["--devices", "100", "--error-rate", "1.2"], "error rate"),
        (["--devices", "100", "--capacity", "10"], "over the capacity"),
        (["--devices", "600000", "--report-bytes", "100"], "over the capacity"),
        (["--devices", "30000", "--report-bytes", "100", "--max-fraction", "0.05"], "over the capacity"),
        (["--devices", "9", "--technology", "lora", "--report-bytes", "20", "--interval-s", "10"], "0.1 %|1 %"),
        (["--devices", "90000", "--technology", "lora", "--report-bytes", "20", "--interval-s", "900"], "subchannels"),
        (["--devices", "9", "--technology", "lora", "--report-bytes", "200"], "carries 51 bytes"),
        (["--devices", "9", "--technology", "sigfox", "--report-bytes", "13", "--interval-s", "900"], "12 bytes"),
        (["--devices", "9", "--technology", "sigfox", "--report-bytes", "9", "--modulation", "qpsk"], "--modulation"),
        (["--devices", "9", "--report-bytes", "100", "--bandwidth-mhz", "7"], "bandwidth"),
        (["--devices", "9", "--report-bytes", "100", "--sub-band", "Z"], "--sub-band"),
        (["--devices", "9", "--modulation", "qpsk"], "--report-bytes"),
        ([], "--devices"),
    ],
)
def test_what_cannot_be_ends_with_status_2_and_the_reason(
    plan_refuses: Callable[..., str], options: list[str], message: str
) -> None:
    said = plan_refuses("pool", *options)
    assert any(part in said for part in message.split("|"))
