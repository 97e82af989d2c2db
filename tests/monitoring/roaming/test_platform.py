"""The M2M platform's view over hand-made signalling."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from monitoring.roaming.command import roam

START = datetime.datetime(2018, 11, 19, tzinfo=datetime.UTC)


def records(
    device: str, seconds: list[float], networks: list[str], result: str = "OK", sim: str = "21407"
) -> list[dict[str, Any]]:
    same = {"device": device, "sim_mcc": sim[:3], "sim_mnc": sim[3:], "procedure": "authentication", "result": result}
    return [
        {
            **same,
            "time": (START + datetime.timedelta(seconds=at)).isoformat(),
            "visited_mcc": network[:3],
            "visited_mnc": network[3:],
        }
        for at, network in zip(seconds, networks, strict=True)
    ]


DAYS = [86_400.0 * day for day in range(10)]


def test_each_list_holds_the_devices_it_should(write_folder: Any, roam_json: Any) -> None:
    bounce = [23410 if n % 2 else 23415 for n in range(12)]
    rows = records("flood", [n * 60.0 for n in range(1200)], ["20801"] * 1200, "RoamingNotAllowed")
    rows += records("burst", [n / 1.0 for n in range(250)], ["20801"] * 250)
    rows += records("bouncer", [600.0 * n for n in range(12)], [str(network) for network in bounce])
    rows += records("slow bouncer", [20_000.0 * n for n in range(12)], [str(network) for network in bounce])
    rows += records("emigrant", DAYS, ["23410"] * 10)
    rows += records("tourist", [*DAYS], ["21407"] + ["23410"] * 9)
    rows += records("rejected emigrant", DAYS, ["23410"] * 10, "UnknownSubscription")
    rows += records("at home", DAYS, ["21407"] * 10)
    found = roam_json("platform", write_folder(platform=rows))
    names = {
        key: [entry["device"] for entry in found[key]]
        for key in ("storms", "ping_pong", "permanent_roamers", "failing_devices")
    }
    assert names == {
        "storms": ["flood", "burst"],
        "ping_pong": ["bouncer"],
        "permanent_roamers": ["emigrant"],
        "failing_devices": ["flood", "rejected emigrant"],
    }
    assert found["counts"] == {key: len(devices) for key, devices in names.items()}
    storm = found["storms"][0]
    assert (storm["peak_day_records"], storm["peak_hour_records"], storm["main_cause"]) == (
        1200,
        60,
        "RoamingNotAllowed",
    )
    assert storm["peak_day"] == "2018-11-19"
    assert found["ping_pong"][0]["returns"] == 10
    assert found["ping_pong"][0]["between_networks"] == "23410 23415"
    assert (found["permanent_roamers"][0]["visited_country"], found["permanent_roamers"][0]["days_abroad"]) == (
        "GB",
        10,
    )
    assert [(entry["cause"], entry["records"], entry["devices"]) for entry in found["failures"]] == [
        ("RoamingNotAllowed", 1200, 1),
        ("UnknownSubscription", 10, 1),
    ]
    assert all(entry["action"] for key in names for entry in found[key])


def test_limits_are_options(write_folder: Any, roam_json: Any) -> None:
    rows = records("a", [600.0 * n for n in range(4)], ["20801", "20810", "20801", "20810"])
    folder = write_folder(platform=rows)
    assert roam_json("platform", folder)["counts"] == {
        "storms": 0, "ping_pong": 0, "permanent_roamers": 1, "failing_devices": 0,
    }  # fmt: skip
    assert roam_json("platform", folder, "--ping-pong", "2")["counts"]["ping_pong"] == 1
    assert roam_json("platform", folder, "--ping-pong", "2", "--return-window-s", "599")["counts"]["ping_pong"] == 0
    assert roam_json("platform", folder, "--storm-per-day", "4")["counts"]["storms"] == 1
    assert roam_json("platform", folder, "--storm-per-hour", "4")["counts"]["storms"] == 1


def test_platform_needs_no_network_table(write_folder: Any, roam_json: Any) -> None:
    folder = write_folder(platform=records("a", [0.0], ["20801"]))
    (folder / "network.toml").unlink()
    assert roam_json("platform", folder)["platform_devices"] == 1


def test_figures_of_the_synthetic_platform_meet_the_paper(population: Path, roam_json: Any, tmp_path: Path) -> None:
    """60 devices only: wide bands; the command in docs/roaming.md holds them at size."""
    found = roam_json("platform", population, "--out", str(tmp_path), "--site-key", str(tmp_path / "key"))
    figures = {figure["figure"]: figure for figure in found["figures"]}
    assert set(figures) == {"3", "4a", "4b", "4c", "4d"}
    homes = {row[0]: row[1] for row in figures["4d"]["rows"]}
    assert sum(homes.values()) == found["platform_devices"] == 60
    assert 15 <= homes["ES 21407"] <= 45


def test_people_see_the_lists(write_folder: Any) -> None:
    folder = write_folder(platform=records("a", [float(n) for n in range(300)], ["20801"] * 300))
    result = CliRunner().invoke(roam, ["platform", str(folder)], catch_exceptions=False)
    assert "storms: 1" in result.output
    assert "peak_hour_records=300" in result.output


@pytest.mark.parametrize("repeat", [1, 3])
def test_returns_are_counted_over_switches_not_records(write_folder: Any, roam_json: Any, repeat: int) -> None:
    networks = [network for network in ["20801", "20810"] * 6 for _ in range(repeat)]
    rows = records("a", [60.0 * n for n in range(len(networks))], networks)
    [entry] = roam_json("platform", write_folder(platform=rows))["ping_pong"]
    assert (entry["switches"], entry["returns"]) == (11, 10)
