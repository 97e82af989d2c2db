"""The site file says what is wrong, where, and in which file."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectrum.errors import BadInput
from spectrum.site_file import one_named, parse_site, read_site

LOOPBACK = Path(__file__).parents[2] / "hardware" / "sites" / "loopback.toml"


def test_the_example_is_a_whole_site() -> None:
    site = read_site(LOOPBACK)
    assert site.name == "loopback"
    assert len(site.spectrum.lora) == 8
    assert len(site.spectrum.sigfox) == 12
    # Everything that is allocated is also sensed.
    sensor = site.sensor[0]
    assert sensor.center_hz is not None
    assert sensor.rate_hz is not None
    low_hz, high_hz = sensor.center_hz - sensor.rate_hz / 2, sensor.center_hz + sensor.rate_hz / 2
    assert all(low_hz < c.low_hz and c.high_hz < high_hz for c in (*site.spectrum.lora, *site.spectrum.sigfox))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[site]\nname = "a"\n[[sensor]]\nname = "s"\nratehz = 1.0', "a.toml: unknown key `ratehz` in `sensor[0]`"),
        ('[site]\nname = "a"\ncolour = 1', "a.toml: unknown key `colour` in `site`"),
        ('[site]\nname = "a"\n[x]', "a.toml: unknown key `x`"),
        ('[site]\nname = "a"\n[controller]\nattempts = 0', "a.toml: Expected `int` >= 1 in `controller.attempts`"),
        (
            '[site]\nname = "a"\n[controller]\nattempts = "many"',
            "a.toml: Invalid enum value 'many' in `controller.attempts`",
        ),
        ('[site]\nname = "a"\n[[sensor]]\nname = "s"\n[[sensor]]\nname = "s"', r"name of its own, \['s'\]"),
        (
            '[site]\nname = "a"\n[[traffic]]\nname = "t"\ndevices = 1\nperiod_s = 1\nspreading_factors = [6]',
            "Expected `int` >= 7",
        ),
        (
            '[site]\nname = "a"\n[[traffic]]\nname = "t"\nperiod_s = 1',
            "missing required field `devices` in `traffic[0]`",
        ),
        ("[[", "a.toml: not a TOML file"),
        ("", "a.toml: Object missing required field `site`"),
    ],
)
def test_what_is_wrong_is_named(text: str, expected: str) -> None:
    with pytest.raises(BadInput, match=expected.replace("[0]", r"\[0\]")):
        parse_site(text, "a.toml")


def test_a_missing_file_points_to_the_example(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"loopback\.toml"):
        read_site(tmp_path / "none.toml")


def test_one_named() -> None:
    assert one_named("sensor", None, ["a"], str) == "a"
    assert one_named("sensor", "b", ["a", "b"], str) == "b"
    with pytest.raises(BadInput, match="has 2 sensors, name one of them: it has a, b"):
        one_named("sensor", None, ["a", "b"], str)
    with pytest.raises(BadInput, match="no sensor is called 'c'"):
        one_named("sensor", "c", ["a", "b"], str)
