"""What hardware/ ships can be used as it stands."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from spectrum.site_file import read_site

HARDWARE = Path(__file__).parents[2] / "hardware"


@pytest.mark.parametrize("path", sorted((HARDWARE / "sites").glob("*.toml")), ids=lambda path: path.name)
def test_every_site_file_is_one(path: Path) -> None:
    assert read_site(path).name == path.stem


def test_the_unit_starts_a_command_that_exists_with_the_options_it_has() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(HARDWARE / "systemd" / "airshed-sensor@.service")
    program, command, *options = unit["Service"]["ExecStart"].split()
    assert program.endswith("/bin/airshed")
    from airshed import COMMANDS
    from sensing.command import sense

    assert COMMANDS[command][0] == "sensing.command:sense"
    known = {name for parameter in sense.params for name in parameter.opts}
    assert {option for option in options if option.startswith("--")} <= known


def test_the_errors_name_files_that_are_there() -> None:
    from sensing import rtlsdr_source

    text = Path(rtlsdr_source.__file__).read_text(encoding="utf-8")
    named = {word.strip('",;.') for word in text.split() if word.startswith("hardware/")}
    assert len(named) == 2
    for name in named:
        assert (HARDWARE.parent / name).is_file(), name
