"""The virtual dongle, loaded by pyrtlsdr as the real library is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from testbed.virtual_dongle import LIBRARY_VARIABLE, SETTINGS_VARIABLE, build, compiler, write_settings


@pytest.fixture(scope="session")
def dongle_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our librtlsdr, compiled once; pyrtlsdr loads one library per process, so the variable stays set."""
    if compiler() is None:
        pytest.skip("no C compiler on this machine: the virtual dongle cannot be built")
    library = build(tmp_path_factory.mktemp("librtlsdr"))
    os.environ[LIBRARY_VARIABLE] = str(library)
    return library


@pytest.fixture
def dongle(dongle_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A function that plugs in a dongle with the given settings (see librtlsdr.c), or changes the one there is.

    It plays 256 KiB of random bytes, looped and as fast as they are taken, unless told otherwise.
    """
    samples = tmp_path / "air.cu8"
    samples.write_bytes(np.random.default_rng(7).integers(0, 256, 1 << 18, dtype=np.uint8).tobytes())
    path = tmp_path / "dongle.conf"
    monkeypatch.setenv(SETTINGS_VARIABLE, str(path))

    def plug(**settings: str | int | Path) -> Path:
        return write_settings(path, **{"file": samples, "pace": "flat", "loop": 1, **settings})

    return plug
