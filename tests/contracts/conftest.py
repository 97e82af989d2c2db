"""Both doors of the Channel Status Database, for tests that must pass on either."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from channel_status.embedded import private_server
from channel_status.memory import MemoryDatabase
from channel_status.protocol import ChannelStatusDatabase
from channel_status.redis_door import connect


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of the tests' own, one for each worker."""
    with private_server() as url:
        yield url


@pytest.fixture(params=["memory", "redis"])
def database(request: pytest.FixtureRequest) -> Iterator[ChannelStatusDatabase]:
    """An empty database behind each door."""
    if request.param == "memory":
        yield MemoryDatabase()
        return
    door = connect(request.getfixturevalue("redis_url"))
    door.erase()
    yield door
    door.close()
