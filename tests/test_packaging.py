"""setup.cfg names every package of the tree, and no module hides one of the standard library's."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def packages_in_tree() -> set[str]:
    """Dotted names of all folders with an __init__.py, tests and environments left out."""
    found = set()
    for init in ROOT.rglob("__init__.py"):
        parts = init.parent.relative_to(ROOT).parts
        if parts and parts[0] not in {"tests", "build"} and not any(p.startswith(".") for p in parts):
            found.add(".".join(parts))
    return found


def test_the_package_list_is_the_tree() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert set(config["options"]["packages"].split()) == packages_in_tree()


def test_every_room_is_type_checked_and_under_the_import_contract() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    rooms = {name.split(".")[0] for name in packages_in_tree()}
    assert set(config["mypy"]["files"].replace(",", " ").split()) == rooms | {"airshed.py"}
    assert set(config["importlinter"]["root_packages"].split()) == rooms


def test_no_room_hides_the_standard_library() -> None:
    rooms = {name.split(".")[0] for name in packages_in_tree()} | {"airshed"}
    assert not rooms & set(sys.stdlib_module_names)
    assert "proto" not in rooms
