"""The group `airshed plan`: lists what exists, imports nothing heavy for its help."""

from __future__ import annotations

import subprocess
import sys

from planning.models.command import MODELS, plan
from terminal.command import run


def test_every_listed_model_can_be_loaded() -> None:
    for name in MODELS:
        assert run(plan, [name, "--help"]) == 0


def test_help_imports_no_numerics() -> None:
    code = "import sys, planning.models.command as c; print(sorted({'numpy', 'scipy', 'numba'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
