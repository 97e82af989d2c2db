"""`--figures DIR` of latency, capture and collisions: every figure of the papers is drawn, here with few points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planning.models import capture_figures, collisions_figures, latency_figures
from planning.models.command import plan
from terminal.command import run


def drawn(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """File names, after the command has said them and written PNGs."""
    assert run(plan, [command, "--figures", str(folder)]) == 0
    said = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in said)
    return [path.name[:2] for path in said]


def test_latency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(latency_figures, "SIMULATED_LOADS", (0.5,))
    assert drawn("latency", tmp_path / "new", capsys) == ["a1", "a2", "a3", "a4"]


def test_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(capture_figures, "SIMULATED", np.array([300.0]))
    monkeypatch.setattr(capture_figures, "POINTS", 4)
    monkeypatch.setattr(capture_figures, "SIMULATED_FRAMES", 1000)
    assert drawn("capture", tmp_path, capsys) == ["b3", "b4", "b5", "b6"]


def test_collisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(collisions_figures, "SIMULATED", (200.0,))
    monkeypatch.setattr(collisions_figures, "SIMULATED_FRAMES", 1000)
    assert drawn("collisions", tmp_path, capsys) == ["c4", "c5", "c6", "c7"]
