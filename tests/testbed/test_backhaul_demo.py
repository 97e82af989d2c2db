"""`airshed demo --backhaul`: the loop through a switch, or one line that says what it lacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.backhaul_site import objection
from testbed.openvswitch import objection as switch_objection


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
    done = demo({"REDIS_URL": "redis://127.0.0.1:1"})  # which no host could reach
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["granted"] > 0
    assert [event["state"] for event in found["backhaul"]] == ["switch connected", "gateway admitted"]
    # each interval is published from the sensor's host, and each request and grant goes to and fro
    assert found["backhaul_packets"]["sensor-1"] > found["intervals"] > 0
    assert found["backhaul_packets"]["gateway-1"] > 10
    assert not [one for one in set(Path("/var/run/netns").iterdir()) - before if one.name.endswith("gateway-1")]


@pytest.mark.skipif(Path("/usr/share/openvswitch/vswitch.ovsschema").exists(), reason="Open vSwitch is installed here")
def test_what_it_lacks_is_told_in_one_line() -> None:
    done = demo({"AIRSHED_OVS": "/nonexistent"})
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Open vSwitch is not installed" in done.stderr


# Everything is imported before root is given up: the folders it is imported from may be closed to others.
UNPRIVILEGED = """
import os, sys
import testbed.demo, testbed.demo_command, testbed.demo_summary, testbed.demo_view, terminal.signals
from airshed import main
os.setgid(65534)
os.setuid(65534)
sys.argv = ["airshed", "demo", "--backhaul"]
sys.exit(main())
"""


@pytest.mark.skipif(os.geteuid() != 0 or bool(switch_objection()), reason="needs root to give it up, and Open vSwitch")
def test_who_is_not_root_is_told_in_one_line() -> None:
    done = subprocess.run([sys.executable, "-c", UNPRIVILEGED], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "airshed: airshed demo --backhaul: network namespaces need root\n"
