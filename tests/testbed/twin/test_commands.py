"""`airshed testbed check` and `run`: what they say, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from spectrum.errors import BadInput
from testbed import command
from testbed.twin.demo import SCENE


def invoke(*arguments: str) -> str:
    """The output of a testbed command; its error raised."""
    done = CliRunner().invoke(command.testbed, list(arguments), catch_exceptions=False, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.output


def test_check_says_what_a_scene_comes_to() -> None:
    found = json.loads(invoke("check", str(SCENE), "--json"))
    assert found["devices"] == found["controlled"] == 9
    assert found["gateways"]["gateway-1"]["heard"] == 9
    assert all(sensor["overloaded_by"] == [] for sensor in found["sensors"].values())
    assert "9 devices" in invoke("check", str(SCENE))


def test_a_sensor_beside_a_transmitter_is_named(tmp_path: Path) -> None:
    text = SCENE.read_text().replace("x_m = 630.0\ny_m = 640.0", "x_m = 820.0\ny_m = 481.0")
    (tmp_path / "s.toml").write_text(text)
    found = json.loads(invoke("check", str(tmp_path / "s.toml"), "--json"))
    assert found["sensors"]["roof"]["overloaded_by"] == ["carrier"]


def test_simulated_time_prints_every_phase() -> None:
    arguments = ("run", str(SCENE), "--no-waveforms", "--speed", "max", "--seed", "4")
    found = json.loads(invoke(*arguments, "--json"))
    assert set(found["phases"]) == {"before", "during", "after"}
    assert found["sent"] == sum(phase["sent"] for phase in found["phases"].values())
    text = invoke(*arguments)
    for word in ("before", "interfered", "steered", "SF7", "sigfox"):
        assert word in text


def test_paced_time_counts_the_same_as_unpaced() -> None:
    arguments = ("run", str(SCENE), "--no-waveforms", "--seconds", "20", "--json", "--speed")
    paced, unpaced = json.loads(invoke(*arguments, "40")), json.loads(invoke(*arguments, "max"))
    assert paced["phases"] == unpaced["phases"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "nowhere.toml"), r"nowhere\.toml"),
        (("run", "nowhere.toml"), r"nowhere\.toml"),
        (("run", str(SCENE), "--speed", "max"), "--no-waveforms"),
        (("run", str(SCENE), "--speed", "fast", "--no-waveforms"), "'fast'"),
        (("run", str(SCENE), "--speed", "-1", "--no-waveforms"), "'-1'"),
        (("run", str(SCENE), "--speed", "nan", "--no-waveforms"), "'nan'"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        invoke(*arguments)
