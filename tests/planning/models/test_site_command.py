"""`airshed plan site` as a user runs it: mechanisms, headroom, changes, measured occupancy, the report."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airshed import COMMANDS
from channel_status.memory import MemoryDatabase
from planning.models.site_occupancy import occupancy_of_channels
from spectrum.errors import BadInput
from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS, Subchannel
from spectrum.report import ChannelReport

Json = Callable[..., dict[str, Any]]
RECORDINGS = Path(os.environ.get("AIRSHED_RECORDINGS") or Path(__file__).parents[4] / "shared" / "recordings")
RECORDING = RECORDINGS / "ec3k_g001_868.300M_250k.cu8"
TOWN = Path(__file__).parents[3] / "hardware" / "sites" / "town.toml"
HEAD = '[site]\nname = "t"\n[[gateway]]\nname = "g"\n'


@pytest.fixture
def site_file(tmp_path: Path) -> Callable[[str], str]:
    """Write a site of one gateway with the given tables after it; its path."""

    def write(text: str) -> str:
        path = tmp_path / "site.toml"
        path.write_text(HEAD + text)
        return str(path)

    return write


def group(name: str = "m", **values: object) -> str:
    """A `[[traffic]]` table."""
    keys = {"devices": 100, "period_s": 600, "radius_m": 300.0, **values}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(["[[traffic]]", f'name = "{name}"', *lines, ""])


def test_the_town_is_planned_and_simulated_within_its_interval(plan_json: Json) -> None:
    answer = plan_json("site", str(TOWN), "--simulate", "30000")
    assert {"outage", "latency_s", "headroom", "limiting", "mechanisms", "what_if"} <= set(answer)
    for name, drawn in answer["simulated"].items():
        low, high = drawn["outage_interval"]
        assert low - 0.003 <= answer["groups"][name]["outage"] <= high + 0.003
    assert set(answer["what_if"]) >= {"one more gateway", "one more subchannel", "plan uniform", "plan fitted"}
    assert answer["what_if"]["one more gateway"]["worst_outage"] < answer["worst_outage"]
    assert answer["what_if"]["one more subchannel"]["outage"] < answer["outage"]


def test_papers_b_and_c_agree_where_their_assumptions_hold(plan_json: Json, site_file: Callable[[str], str]) -> None:
    """One cell around one gateway is paper B's case, and near paper C's, which trades capture for equal powers."""
    cell = group(devices=1000, payload_bytes=63, coding_rate=4, radius_m=1000.0)
    answer = plan_json("site", site_file(cell))
    assert answer["other_models"]["capture"]["g"] == pytest.approx(answer["outage"], abs=0.03)
    assert answer["other_models"]["collisions"]["m"] == pytest.approx(answer["outage"], abs=0.05)


@pytest.mark.parametrize(
    ("tables", "limiting"),
    [
        # one SF for thousands who are near: nothing but each other disturbs them
        (group(devices=20_000, spreading_factors=[7], radius_m=50.0, payload_bytes=60), "collisions"),
        (group(radius_m=4000.0), "capture"),
        (group(devices=2, period_s=30, spreading_factors=[12], payload_bytes=60), "duty_cycle"),
        (group(devices=9000, period_s=3600, access="pool", spreading_factors=[12], radius_m=100.0), "pool"),
    ],
)
def test_the_limiting_mechanism_is_found(
    plan_json: Json, site_file: Callable[[str], str], tables: str, limiting: str
) -> None:
    assert plan_json("site", site_file(tables))["limiting"] == limiting


def test_a_gateway_with_one_path_is_limited_by_it(plan_json: Json, tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    spread = group(devices=1500, spreading_factors=[7, 8, 9, 10], shares=[0.55, 0.25, 0.13, 0.07], radius_m=60.0)
    path.write_text(HEAD + "demodulation_paths = 1\n" + spread)
    assert plan_json("site", str(path))["limiting"] == "demodulation_paths"


def test_headroom_is_where_the_target_breaks(plan_json: Json, site_file: Callable[[str], str]) -> None:
    room = plan_json("site", site_file(group(devices=1000)), "--target", "0.1")["headroom"]
    assert 1.0 < room < 100.0
    within = plan_json("site", site_file(group(devices=int(1000 * room * 0.99))), "--target", "0.1")
    beyond = plan_json("site", site_file(group(devices=int(1000 * room * 1.01))), "--target", "0.1")
    assert within["meets_target"]
    assert not beyond["meets_target"]


def test_beyond_the_duty_cycle_latency_has_no_end(plan_json: Json, site_file: Callable[[str], str]) -> None:
    answer = plan_json("site", site_file(group(period_s=20, spreading_factors=[12], payload_bytes=60)))
    assert answer["latency_s"] is None
    assert answer["mechanisms"]["duty_cycle"]["headroom"] < 1.0


def test_a_pool_reserves_whole_subchannels(plan_json: Json, site_file: Callable[[str], str]) -> None:
    both = group("m", devices=500) + group("p", devices=3000, access="pool", spreading_factors=[9])
    answer = plan_json("site", site_file(both))
    assert answer["pool"]["slots"]["p"] >= 3000
    assert answer["pool"]["subchannels"] == int(np.ceil(answer["pool"]["subchannels_exact"])) > 0
    assert answer["groups"]["p"]["outage"] <= 0.1
    crowded = plan_json("site", site_file(group("m", devices=500)))
    assert answer["groups"]["m"]["outage"] > crowded["groups"]["m"]["outage"]


def test_a_pool_that_takes_all_is_the_limit_of_those_it_leaves_nothing(
    plan_json: Json, site_file: Callable[[str], str]
) -> None:
    tables = group("m", radius_m=100.0) + group(
        "p", devices=18_000, period_s=3600, access="pool", spreading_factors=[12], radius_m=100.0
    )
    answer = plan_json("site", site_file(tables))
    assert answer["groups"]["m"]["outage"] == 1.0
    assert answer["limiting"] == "pool"
    assert answer["mechanisms"]["pool"]["relief"] > 0.9
    assert answer["mechanisms"]["collisions"]["headroom"] > 1.0


def reports(occupancy: float) -> str:
    """JSON lines as `airshed sense --json` prints them, for the three default channels."""
    lines = [
        {"sensor": "s", "subchannel_hz": c.center_hz, "bandwidth_hz": c.bandwidth_hz, "occupancy": occupancy}
        for c in LORAWAN_DEFAULT_CHANNELS
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_measured_occupancy_costs_frames(plan_json: Json, site_file: Callable[[str], str], tmp_path: Path) -> None:
    sensed = tmp_path / "sensed.jsonl"
    sensed.write_text(reports(0.2))
    path = site_file(group())
    quiet = plan_json("site", path)
    heard = plan_json("site", path, "--occupancy", str(sensed))
    others = plan_json("site", path, "--occupancy", str(sensed), "--occupancy-of", "others")
    assert quiet["outage"] < heard["outage"] < others["outage"]
    assert heard["mechanisms"]["occupancy"]["relief"] > 0.1
    assert list(others["occupancy"].values()) == pytest.approx([0.2] * 8)


def test_the_status_database_is_asked(
    plan_json: Json, plan_refuses: Callable[..., str], site_file: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = MemoryDatabase()
    monkeypatch.setattr("channel_status.opening.open_database", lambda _site: database)
    path = site_file(group())
    assert "no report" in plan_refuses("site", path, "--occupancy", "database")
    cells = [
        ChannelReport("s", 0.0, 0.01, c.center_hz, c.bandwidth_hz, -50.0, -60.0, -58.0, None, 0.1, 0.1, True, q, 0.1)
        for c, q in zip(LORAWAN_DEFAULT_CHANNELS, (0.1, 0.2, 0.6), strict=True)
    ]
    database.publish("t", cells)
    answer = plan_json("site", path, "--occupancy", "database", "--occupancy-of", "others")
    assert answer["occupancy_source"] == "database"
    assert answer["occupancy"]["868.500MHz/125kHz"] == 0.6
    assert answer["occupancy"]["867.100MHz/125kHz"] == pytest.approx(0.3)


@pytest.mark.skipif("sense" not in COMMANDS, reason="this tree has no `airshed sense` yet")
@pytest.mark.skipif(not RECORDING.is_file(), reason="the shared recordings are not here")
def test_a_recording_is_sensed(plan_json: Json, site_file: Callable[[str], str]) -> None:
    answer = plan_json("site", site_file(group()), "--occupancy", str(RECORDING), "--occupancy-of", "others")
    assert 0.0 <= max(answer["occupancy"].values()) <= 1.0


def test_a_channel_takes_the_sensed_cell_over_it_and_the_busiest_sensor() -> None:
    first, second, _ = LORAWAN_DEFAULT_CHANNELS
    wide = Subchannel(first.center_hz, 250e3)
    readings = [("a", first, 0.1), ("a", first, 0.3), ("b", wide, 0.5), ("a", second, 0.0)]
    found = occupancy_of_channels(readings, LORAWAN_DEFAULT_CHANNELS, "here")
    # the third was sensed by nobody: the mean of the two
    assert found.tolist() == pytest.approx([0.5, 0.0, 0.25])
    with pytest.raises(BadInput, match="here says nothing"):
        occupancy_of_channels([("a", Subchannel(863.1e6, 125e3), 0.1)], LORAWAN_DEFAULT_CHANNELS, "here")


class Tags(HTMLParser):
    """Counts the tags of a page and what it would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.loads += [value for name, value in attrs if name in ("src",) and value]


def test_the_report_is_one_page_with_plots_that_loads_nothing(plan_json: Json, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    plan_json("site", str(TOWN), "--html", str(page), "--plot", str(tmp_path / "plan.png"))
    tags = Tags()
    tags.feed(page.read_text())
    assert tags.count["svg"] == 4
    assert tags.count["table"] >= 4
    assert tags.loads == []
    assert (tmp_path / "plan.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        ("", [], "no [[traffic]]"),
        (group(spreading_factors=[7, 7]), [], "twice"),
        (group(spreading_factors=[7, 8], shares=[0.5, 0.6]), [], "summing to 1"),
        (group(shares=[1.0]), [], "no spreading_factors"),
        (group(colour="red"), [], "unknown key `colour`"),
        (group(), ["--target", "1"], "target"),
        (group(), ["--burst-s", "0"], "burst"),
        (group(), ["--occupancy", "nowhere.jsonl"], "nowhere.jsonl"),
        (group(), ["--occupancy", "nowhere.cu8"], "no file"),
        (group(), ["--html", "plan.txt"], ".html"),
        ('[[gateway]]\nname = "h"\n' + group(), [], "position_m"),
    ],
)
def test_bad_input_ends_with_status_2_and_one_line(
    plan_refuses: Callable[..., str], site_file: Callable[[str], str], tables: str, options: list[str], message: str
) -> None:
    assert message in plan_refuses("site", site_file(tables), *options)


def test_a_line_that_is_no_report_is_named(
    plan_refuses: Callable[..., str], site_file: Callable[[str], str], tmp_path: Path
) -> None:
    sensed = tmp_path / "sensed.jsonl"
    sensed.write_text(reports(0.1) + '{"occupancy": 1.5}\n')
    assert "line 4" in plan_refuses("site", site_file(group()), "--occupancy", str(sensed))
