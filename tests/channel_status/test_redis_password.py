"""A Redis with a password: in with the right one, a clear refusal with a wrong one, and none of them in any message."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_status.embedded import server_binary
from channel_status.protocol import DatabaseAway
from channel_status.redis_door import connect, without_password
from spectrum.errors import AirshedError, BadInput

PASSWORD = "correct-horse"


@pytest.fixture
def socket_file(tmp_path: Path) -> Iterator[Path]:
    """The socket of a server that wants PASSWORD."""
    path = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", path, "--requirepass", PASSWORD, "--save", "", "--dir", tmp_path]
    with subprocess.Popen([server_binary(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 30.0
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield path
        server.terminate()


def test_the_right_password_opens(socket_file: Path) -> None:
    database = connect(f"unix://:{PASSWORD}@{socket_file}")
    database.ping()
    database.close()


@pytest.mark.parametrize("credentials", ["", ":wrong-horse@"])
def test_without_it_the_refusal_is_clear_and_secret(socket_file: Path, credentials: str) -> None:
    database = connect(f"unix://{credentials}{socket_file}")
    with pytest.raises(AirshedError) as error:
        database.ping()
    database.close()
    assert "wrong-horse" not in str(error.value)
    assert isinstance(error.value, (BadInput, DatabaseAway))


def test_a_password_is_starred_in_every_message() -> None:
    for url in ("redis://user:secret@127.0.0.1:1/0", "redis://:secret@127.0.0.1:1/0"):
        database = connect(url)
        with pytest.raises(DatabaseAway) as error:
            database.ping()
        database.close()
        assert "secret" not in str(error.value)
        assert "***@127.0.0.1:1" in str(error.value)
    assert without_password("unix:///run/x.sock") == "unix:///run/x.sock"
