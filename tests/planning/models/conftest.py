"""Helpers of the model tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from planning.models.command import plan
from terminal.command import run


@pytest.fixture
def plan_json(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run `airshed plan ... --json` and return its object."""

    def call(*arguments: str) -> dict[str, Any]:
        status = run(plan, [*arguments, "--json"])
        output = capsys.readouterr()
        assert status == 0, output.err
        answer: dict[str, Any] = json.loads(output.out)
        return answer

    return call


@pytest.fixture
def plan_refuses(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `airshed plan ...` with bad input; the one line it says, after status 2 was seen."""

    def call(*arguments: str) -> str:
        status = run(plan, [*arguments])
        output = capsys.readouterr()
        assert (status, output.out) == (2, "")
        assert output.err.count("\n") == 1
        return output.err

    return call
