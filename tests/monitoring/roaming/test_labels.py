"""Roaming labels: the plain function against the notes, the SQL against the plain function."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from monitoring.roaming.network import Network, day_label, parse_network, read_network
from spectrum.errors import BadInput

SITE = Network("site", ("23410",), ("23426",), ("234", "235"))
SIMS = {"H": "23410", "V": "23426", "N": "23415", "I": "20404"}
VISITED = {"own": "23410", "carried": "23426", "national": "23520", "abroad": "20801"}


@pytest.mark.parametrize(
    ("sim", "radio_rows", "visited", "label"),
    [
        ("H", 1, [], "H:H"),
        ("V", 1, [], "V:H"),
        ("N", 1, [], "N:H"),
        ("I", 1, [], "I:H"),
        ("H", 0, ["abroad"], "H:A"),
        ("V", 0, ["abroad"], "V:A"),
        ("H", 0, ["own"], "H:H"),  # a record carried by the own network is as good as a radio row
        ("H", 1, ["abroad"], "H:H"),  # home wins a mixed day
        ("H", 0, ["abroad", "own"], "H:H"),
        ("H", 0, ["national"], None),  # national outbound
        ("V", 0, ["national"], None),
        ("H", 0, ["national", "abroad"], "H:A"),
        ("N", 0, ["abroad"], None),  # cannot be in the site's records
        ("I", 0, ["abroad"], None),
    ],
)
def test_label_of_a_day(sim: str, radio_rows: int, visited: list[str], label: str | None) -> None:
    assert day_label(SIMS[sim], SITE, radio_rows, [VISITED[place] for place in visited]) == label


def test_sql_labels_every_kind_of_day_as_the_plain_function(write_folder: Any, row: Any, roam_json: Any) -> None:
    radio, cdr, expected = [], [], {}
    places = [[], ["own"], ["carried"], ["national"], ["abroad"], ["national", "abroad"], ["own", "abroad"]]
    for sim, radio_rows, visited in product(SIMS, (0, 1), places):
        if not radio_rows and not visited:
            continue
        user = f"{sim}-{radio_rows}-{'-'.join(visited)}"
        radio += [row.radio(user, SIMS[sim])] * radio_rows
        cdr += [row.cdr(user, SIMS[sim], VISITED[place]) for place in visited]
        expected[user] = day_label(SIMS[sim], SITE, radio_rows, [VISITED[place] for place in visited])
    found = roam_json("catalog", write_folder(radio=radio, cdr=cdr))
    assert {entry["device"]: entry["label"] for entry in found["catalog"]} == expected


def test_period_label_is_that_of_most_labelled_days_and_home_wins_ties(
    write_folder: Any, row: Any, roam_json: Any
) -> None:
    def days(user: str, home: int, abroad: int, national: int = 0) -> list[dict[str, Any]]:
        visited = ["23410"] * home + ["20801"] * abroad + ["23415"] * national
        return [row.cdr(user, visited=v, time=f"2019-04-{n + 1:02d}T10:00:00Z") for n, v in enumerate(visited)]

    cdr = (
        days("tie", 2, 2) + days("away", 1, 3) + days("near", 3, 1) + days("national", 1, 0, 4) + days("never", 0, 0, 2)
    )
    found = roam_json("classify", write_folder(cdr=cdr))
    labels = {entry["device"]: entry["label"] for entry in found["devices"]}
    assert labels == {"tie": "H:H", "away": "H:A", "near": "H:H", "national": "H:H", "never": None}
    assert found["national_outbound_device_days"] == 6


def test_mvno_behind_the_own_plmn_is_told_by_its_imsi_range(write_folder: Any, row: Any, roam_json: Any) -> None:
    network = """own = ["23410"]
[[imsi_range]]
name = "light"
use = "mvno"
first = "234105000000000"
last = "234105999999999"
"""
    users = {"234104999999999": "H:H", "234105000000000": "V:H", "234105999999999": "V:H", "234106000000000": "H:H"}
    found = roam_json("classify", write_folder(network, radio=[row.radio(user) for user in users]))
    assert {entry["device"]: entry["label"] for entry in found["devices"]} == users


def test_network_code_of_one_digit_and_of_three() -> None:
    site = parse_network({"own": ["310410"]}, "test")
    assert site.country_mcc == ("310",)
    assert day_label("310410", site, 1, []) == "H:H"
    assert day_label("31041", site, 1, []) == "N:H"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "own must list"),
        ({"own": "23410"}, "must be a list"),
        ({"own": [23410]}, "digits in quotes"),
        ({"own": ["23410"], "ovn": 1}, "unknown key 'ovn'"),
        ({"own": ["23410"], "utc_offset_h": 99}, "utc_offset_h"),
        ({"own": ["23410"], "imsi_range": [{"name": "x", "use": "cars", "first": "1", "last": "2"}]}, "mvno or meters"),
    ],
)
def test_wrong_network_table_is_refused_by_name(table: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parse_network(table, "network.toml")


def test_missing_network_table_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="airshed roam schema"):
        read_network(tmp_path / "network.toml")
