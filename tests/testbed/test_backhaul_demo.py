"""`airshed demo --backhaul`: the loop through a switch, or one line that says what it lacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.backhaul_site import objection


def demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A short run of the command."""
    command = [sys.executable, "-m", "airshed", "demo", "--backhaul", "--seconds", "2", "--devices", "20", "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, **environment})  # fmt: skip


def test_the_loop_runs_through_the_switch() -> None:
    why_not = objection()
    if why_not:
        pytest.skip(why_not)
    before = set(Path("/var/run/netns").iterdir())
    done = demo({})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["granted"] > 0
    assert [event["state"] for event in found["backhaul"]] == ["switch connected", "gateway admitted"]
    assert not [one for one in set(Path("/var/run/netns").iterdir()) - before if one.name.endswith("gateway-1")]


@pytest.mark.skipif(Path("/usr/share/openvswitch/vswitch.ovsschema").exists(), reason="Open vSwitch is installed here")
def test_what_it_lacks_is_told_in_one_line() -> None:
    done = demo({"AIRSHED_OVS": "/nonexistent"})
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Open vSwitch is not installed" in done.stderr
