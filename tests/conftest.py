"""What tests of several rooms share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import pytest

from spectrum.site_file import Site, TlsTable, parse_site

if TYPE_CHECKING:
    from channel_status.protocol import ChannelStatusDatabase
    from controller.office import Office

RunningController = Callable[..., AbstractContextManager[tuple[Site, "Office"]]]


def site_on(port: int, tls: TlsTable | None = None) -> Site:
    """A site whose controller listens on a loopback port."""
    import msgspec

    site = parse_site(f'[site]\nname = "s"\n[controller]\nlisten = "127.0.0.1:{port}"', "test.toml")
    return msgspec.structs.replace(site, tls=tls)


@pytest.fixture(name="site_on")
def site_on_fixture() -> Callable[..., Site]:
    """Makes sites whose controller listens on a loopback port."""
    return site_on


@pytest.fixture
def running_controller() -> RunningController:
    """Runs a controller over a database, with a thread in the app's place; yields the site with its real port."""

    @contextmanager
    def run(
        database: ChannelStatusDatabase, port: int = 0, tls: TlsTable | None = None
    ) -> Iterator[tuple[Site, Office]]:
        from controller.grpc_door import ControllerService, GrpcDoor
        from controller.service import open_office

        site = site_on(port, tls)
        office = open_office(site, database)
        door = GrpcDoor(site, ControllerService(office, database))
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                waiting = office.desk.take(0.05)
                answers = office.allocator.answer([one.ask for one in waiting], office.clock())
                for one, answer in zip(waiting, answers, strict=True):
                    one.reply(answer)

        worker = threading.Thread(target=work)
        worker.start()
        door.start()
        try:
            yield site_on(door.port, tls), office
        finally:
            door.stop()
            ended.set()
            office.desk.close()
            worker.join()

    return run


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of the tests' own, one for each worker."""
    from channel_status.embedded import private_server

    with private_server() as url:
        yield url


@pytest.fixture(params=["memory", "redis"])
def database(request: pytest.FixtureRequest) -> Iterator[ChannelStatusDatabase]:
    """An empty database behind each door, for tests that must pass on either."""
    from channel_status.memory import MemoryDatabase
    from channel_status.redis_door import connect

    if request.param == "memory":
        yield MemoryDatabase()
        return
    door = connect(request.getfixturevalue("redis_url"))
    door.erase()
    yield door
    door.close()
