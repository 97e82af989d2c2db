"""The demo on the twin: the whole loop in real time, with processes of its own; counts and ratios, no seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from spectrum.errors import BadInput
from testbed.twin.demo import SCENE, TwinDemoOptions, demo_scene
from testbed.twin.reception import REASONS
from testbed.twin.scene import read_scene

TIMEOUT_S = 240.0

# What the demo printed before it ran on the twin, and goes on printing.
OLD_KEYS = {
    "source", "devices", "seconds", "seed", "intervals", "records", "requests", "granted", "forced", "unanswered",
    "refused_duty_cycle", "attempts", "grant_ms_mean", "grant_ms_p50", "grant_ms_p99", "collisions_random",
    "collisions_allocated", "on_occupied_random", "on_occupied_allocated", "flags",
}  # fmt: skip


def test_the_loop_closes_over_the_air() -> None:
    with tempfile.TemporaryDirectory(prefix="airshed-t-") as folder:
        kept = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        done = subprocess.run(
            [sys.executable, "-m", "airshed", "demo", "--json", "--no-waveforms", "--seconds", "40", "--seed", "2"],
            env={**kept, "TMPDIR": folder}, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert list(Path(folder).iterdir()) == []
    found = json.loads(done.stdout)
    assert set(found) >= OLD_KEYS
    assert found["requests"] == found["granted"] + found["forced"] > 0
    assert sum(found["attempts"]) == found["granted"]
    assert set(found["phases"]) == {"before", "during", "after"}
    for phase in found["phases"].values():
        assert set(phase["losses"]) == set(REASONS)
        assert phase["sent"] - phase["delivered"] == sum(phase["losses"].values())
        assert phase["sent"] == phase["lora"]["sent"] + phase["sigfox"]["sent"]
    # the carrier destroyed frames, and only after it came
    assert found["phases"]["before"]["losses"]["interference"] == 0
    assert found["phases"]["during"]["losses"]["interference"] > 0
    # devices were moved: of what the carrier took a good part came back
    taken = {name: phase["losses"]["interference"] / phase["sent"] for name, phase in found["phases"].items()}
    assert taken["after"] < taken["during"]


def test_another_length_stretches_all_times() -> None:
    plain, long = demo_scene(TwinDemoOptions()), demo_scene(TwinDemoOptions(seconds=100.0))
    assert long.seconds == 100.0
    assert long.interferers[0].from_s / plain.interferers[0].from_s == pytest.approx(100.0 / plain.seconds)
    assert long.phases.settle_s / plain.phases.settle_s == pytest.approx(100.0 / plain.seconds)


@pytest.mark.parametrize("devices", [1, 2, 7, 8, 50])
def test_more_devices_offer_the_same_traffic(devices: int) -> None:
    scene, plain = demo_scene(TwinDemoOptions(devices=devices)), read_scene(SCENE)
    assert sum(group.count for group in scene.device_groups) == devices
    rate = sum(group.count / group.period_s for group in scene.device_groups)
    assert rate <= 1.05 * sum(group.count / group.period_s for group in plain.device_groups)


def test_a_missing_scene_is_one_line() -> None:
    with pytest.raises(BadInput, match=r"nowhere\.toml"):
        demo_scene(TwinDemoOptions(scene_file=Path("nowhere.toml")))
