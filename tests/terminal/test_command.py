"""Errors of one line, exit status, lazy imports, JSON without NaN."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import click
import numpy as np
import pytest

from spectrum.errors import BadInput, Failed
from terminal.command import LazyGroup, emit_json, run


@pytest.mark.parametrize(("error", "status"), [(BadInput("expected a, got b"), 2), (Failed("peer died"), 1)])
def test_an_error_is_one_line_and_a_status(error: Exception, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    @click.group(name="airshed")
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise error

    assert run(group, ["fail"]) == status
    assert capsys.readouterr().err == f"airshed: {error}\n"


def test_usage_errors_are_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    @click.group(name="airshed")
    def group() -> None: ...

    assert run(group, ["nothing"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_group_without_a_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    @click.group(name="airshed")
    def group() -> None:
        """Does things."""

    @group.command()
    def thing() -> None: ...

    assert run(group, []) == 2
    assert "Does things.\n" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, airshed; from terminal.command import run; run(airshed.airshed, ['--help']);"
        "heavy = {'numpy', 'scipy', 'numba', 'redis', 'grpc', 'rich', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_lazy_command_exists_and_teaches() -> None:
    import airshed

    context = click.Context(airshed.airshed)
    for name in airshed.COMMANDS:
        command = airshed.airshed.get_command(context, name)
        assert command is not None
        assert command.help, name


def test_lazy_group_lists_without_importing() -> None:
    group = LazyGroup(name="airshed", lazy={"ghost": ("no.such.module:x", "not there")})
    assert group.list_commands(click.Context(group)) == ["ghost"]


def test_json_has_no_nan() -> None:
    stream = io.StringIO()
    emit_json({"a": np.float32(np.nan), "b": [np.int64(3), float("inf")], "c": np.arange(2)}, stream)
    assert json.loads(stream.getvalue()) == {"a": None, "b": [3, None], "c": [0, 1]}
