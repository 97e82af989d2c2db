"""The demo and the parts by themselves, as a user runs them: processes of their own, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from channel_status import records
from channel_status.embedded import embedded_url, private_server
from channel_status.protocol import DatabaseAway
from channel_status.redis_door import connect
from testbed.demo_site import free_port

AIRSHED = [sys.executable, "-m", "airshed"]
TIMEOUT_S = 240.0
LOOPBACK = Path(__file__).parents[2] / "hardware" / "sites" / "loopback.toml"
RECORDINGS = Path(os.environ.get("AIRSHED_RECORDINGS", Path(__file__).parents[3] / "shared" / "recordings"))


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder with a short path, in place of pytest's: the database's socket lies in it."""
    with tempfile.TemporaryDirectory(prefix="airshed-t-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment without a Redis of somebody else's, with temporary files in `folder`."""
    kept = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    return {**kept, "TMPDIR": str(folder), "AIRSHED_RUNTIME_DIR": str(folder), **more}


def processes_in(folder: Path) -> list[int]:
    """Living processes that have `folder` in their environment, or live in it (Redis overwrites its environment)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            named = str(folder).encode() in (process / "environ").read_bytes()
            inside = os.readlink(process / "cwd").startswith(str(folder))
        except OSError:
            continue
        if (named or inside) and process.name != str(os.getpid()):
            found.append(int(process.name))
    return found


@contextmanager
def running_demo(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A demo that shows that it runs, with its output; killed at the end if it still does."""
    command = [*AIRSHED, "demo", "--seconds", "60", *arguments]
    with subprocess.Popen(command, env=environment(folder), stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            next(demo.stdout)
            yield demo, demo.stdout
        finally:
            demo.kill()


def until(true: Callable[[], bool]) -> None:
    """Wait until something holds; fails after TIMEOUT_S."""
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def run_demo(folder: Path, *arguments: str) -> dict[str, object]:
    """The JSON summary of a demo that must end by itself with status 0."""
    command = [*AIRSHED, "demo", "--json", *arguments]
    done = subprocess.run(
        command, env=environment(folder), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_loop_closes_and_allocation_helps(tmp_path: Path) -> None:
    found = run_demo(tmp_path, "--recording", "synthetic", "--seconds", "6", "--devices", "60", "--seed", "1")
    attempts = found["attempts"]
    assert isinstance(attempts, list)
    assert found["requests"] == found["granted"] + found["forced"]  # type: ignore[operator]
    assert sum(attempts) == found["granted"]
    assert len(attempts) == 5
    assert found["intervals"] * 20 == found["records"]  # type: ignore[operator]
    assert found["collisions_allocated"] < found["collisions_random"]  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("name", ["wmbus_c_868.625M_2400k.cu8", "doorbell_onset_868.300M_250k.cu8"])
def test_on_a_recording(tmp_path: Path, name: str) -> None:
    if not (RECORDINGS / name).exists():
        pytest.skip(f"the shared recording {name} is not here")
    found = run_demo(tmp_path, "--seconds", "2", "--devices", "10", "--recording", str(RECORDINGS / name))
    assert found["source"] == name
    assert found["records"] > 0  # type: ignore[operator]


def test_interrupting_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--no-waveforms") as (demo, lines):
        assert len(processes_in(tmp_path)) >= 5
        demo.send_signal(signal.SIGINT)
        lines.read()
        assert demo.wait(TIMEOUT_S) == 130
    until(lambda: processes_in(tmp_path) == [])
    assert list(tmp_path.iterdir()) == []


def test_a_killed_demo_takes_its_parts_along(tmp_path: Path) -> None:
    with running_demo(tmp_path):
        assert len(processes_in(tmp_path)) >= 5
    until(lambda: processes_in(tmp_path) == [])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty_868.3M_250k.cu8", b"", "is empty"),
        ("odd_868.3M_250k.cu8", bytes(20_001), "no multiple of 2"),
        ("short_868.3M_250k.cu8", bytes([127, 128] * 100), "lasts 0.4 ms"),
        ("nan_868.3M_250k.cf32", np.full(200_000, np.nan, np.complex64).tobytes(), "nan"),
        ("late-nan_868.3M_250k.cf32", np.r_[np.full(200_000, 0.1j), np.nan].astype(np.complex64).tobytes(), "nan"),
        ("nothing-known.cu8", bytes(20_000), "centre of nothing-known.cu8 is not known"),
    ],
)
def test_a_bad_recording_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [*AIRSHED, "demo", "--seconds", "5", "--recording", str(tmp_path / name)], env=environment(tmp_path),
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "message"),
    [
        (["--recording", "missing_868.300M_250k.cu8"], {}, 2, "missing_868.300M_250k.cu8"),
        (["--devices", "0"], {}, 2, "--devices"),
        (["--loop"], {}, 2, "--recording"),
        (["--scene", "missing.toml"], {}, 2, "missing.toml"),
        (["--scene", "missing.toml", "--recording", "synthetic"], {}, 2, "--scene"),
        ([], {"REDIS_URL": "redis://127.0.0.1:1/0"}, 1, "127.0.0.1:1"),
        ([], {"REDIS_URL": "http://somewhere"}, 2, "expected a URL such as redis://"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, arguments: list[str], variables: Mapping[str, str], status: int, message: str
) -> None:
    done = subprocess.run(
        [*AIRSHED, "demo", *arguments], env=environment(tmp_path, **variables), cwd=tmp_path,
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == status
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.fixture(params=["a Redis of its own", "the controller's embedded Redis"])
def variables(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What the parts find in their environment, and `URL` for the test."""
    if request.param == "a Redis of its own":
        with private_server() as url:
            yield {"REDIS_URL": url, "URL": url}
    else:
        with tempfile.TemporaryDirectory(prefix="airshed-t-") as folder:  # a socket's path must be short
            url = embedded_url(Path(folder) / f"airshed-{os.getuid()}" / "loopback")
            yield {"AIRSHED_RUNTIME_DIR": folder, "URL": url}


def test_the_parts_find_each_other_and_survive_each_others_restart(tmp_path: Path, variables: dict[str, str]) -> None:
    site_file = tmp_path / "site.toml"
    text = LOOPBACK.read_text().replace("mean_gap_s = 10.0", "mean_gap_s = 1.0")
    site_file.write_text(text.replace("50868", str(free_port())))
    database = connect(variables["URL"])
    parts: dict[str, subprocess.Popen[str]] = {}

    def start(name: str, *arguments: str) -> None:
        with open(tmp_path / f"{name}.log", "a") as log:
            parts[name] = subprocess.Popen(
                [*AIRSHED, *arguments],
                env=environment(tmp_path, **variables),
                stdout=log,
                stderr=log,
                text=True,
            )

    def stop(name: str) -> int:
        parts[name].terminate()
        return parts.pop(name).wait(TIMEOUT_S)

    def granted() -> int:
        ended = [name for name, part in parts.items() if part.poll() is not None]
        assert not ended, [(name, (tmp_path / f"{name}.log").read_text()[-500:]) for name in ended]
        try:
            events = (
                records.decode(entry.value)["event"] for entry in database.read("loopback", "events", count=100_000)
            )
            return sum(event in ("granted", "forced") for event in events)
        except DatabaseAway:
            return 0

    def sensed_s() -> float:
        return max((report.time_s for report in database.reports("loopback")), default=0.0)

    try:
        start("agent", "agent", str(site_file))  # in the wrong order on purpose
        start("sense", "sense", "--site", str(site_file))
        start("controller", "controller", str(site_file))
        until(lambda: granted() > 5 and bool(sensed_s()))
        before = granted()
        assert stop("controller") == 0
        start("controller", "controller", str(site_file))
        until(lambda: granted() > before + 20)
        before_s = sensed_s()
        until(lambda: sensed_s() > before_s)
        assert stop("sense") == 0
        assert stop("agent") == 0
        before = granted()
        start("agent", "agent", str(site_file))
        until(lambda: granted() > before + 20)
    finally:
        statuses = {name: stop(name) for name in list(parts)}
        database.close()
    assert set(statuses.values()) == {0}, (tmp_path / "controller.log").read_text()
