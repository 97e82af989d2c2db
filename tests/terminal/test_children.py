"""A child ends with its parent, and one can be started beside gRPC's threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from terminal.children import ending_with_parent

# Starts a child that would sleep for a minute, says its number, and is killed.
PARENT = """
import os, signal, subprocess, sys
from terminal.children import ending_with_parent
child = subprocess.Popen(ending_with_parent(["sleep", "60"]), start_new_session=True)
print(child.pid, flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_ends_with_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert running(child)
        parent.stdin.write(b"go\n")
        parent.stdin.flush()
        parent.wait(30)
        deadline = time.monotonic() + 30.0
        while running(child) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not running(child)


def test_a_child_whose_parent_has_gone_does_not_begin() -> None:
    command = ending_with_parent([sys.executable, "-c", "print('begun')"])
    command[command.index(str(os.getpid()))] = "1"
    assert subprocess.run(command, capture_output=True, check=False).stdout == b""


def test_a_child_is_what_was_asked_for() -> None:
    found = subprocess.run(
        ending_with_parent([sys.executable, "-c", "import sys; print(sys.argv[1:])", "a b", "c"], signal.SIGKILL),
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert found.stdout.strip() == "['a b', 'c']"
