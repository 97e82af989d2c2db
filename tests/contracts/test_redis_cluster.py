"""The contract on a Redis Cluster of three nodes: every key of a site lives on one of them."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from redis.crc import key_slot

from channel_status.embedded import server_binary
from channel_status.keys import key, lease_sets
from channel_status.redis_door import RedisDatabase, connect
from spectrum.eu868 import Subchannel

SLOTS = 16384
NODES = 3
TIMEOUT_S = 60.0


def free_ports() -> list[int]:
    """Ports whose cluster bus port (10000 higher) is free too."""
    found: list[int] = []
    for port in range(21000, 29000):
        try:
            for candidate in (port, port + 10_000):
                with socket.create_server(("127.0.0.1", candidate)):
                    pass
        except OSError:
            continue
        found.append(port)
        if len(found) == NODES:
            return found
    pytest.skip("no free ports for a cluster")


def joined(clients: list[redis.Redis], ports: list[int]) -> None:
    """Give each node a third of the slots, introduce them, and wait until all agree."""
    for number, client in enumerate(clients):
        first, after = SLOTS * number // NODES, SLOTS * (number + 1) // NODES
        client.execute_command("CLUSTER", "ADDSLOTS", *range(first, after))
        if number:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", ports[number])
    deadline = time.monotonic() + TIMEOUT_S
    while not all(
        (info["cluster_state"], int(info["cluster_known_nodes"])) == ("ok", NODES)
        for info in (client.cluster("info") for client in clients)
    ):
        assert time.monotonic() < deadline, "the cluster did not form"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Three nodes of the module's own, ended with it."""
    ports = free_ports()
    with ExitStack() as stack:
        clients = []
        for port in ports:
            folder: Path = tmp_path_factory.mktemp(f"node-{port}")
            node = subprocess.Popen(
                [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "",
                 "--cluster-enabled", "yes", "--cluster-node-timeout", "5000"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            stack.callback(node.wait, 20)
            stack.callback(node.terminate)
            client = redis.Redis(port=port, socket_timeout=5.0)
            stack.callback(client.close)
            clients.append(client)
        deadline = time.monotonic() + TIMEOUT_S
        for client in clients:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert time.monotonic() < deadline, "a node did not come up"
                    time.sleep(0.05)
        joined(clients, ports)
        yield f"redis+cluster://127.0.0.1:{ports[0]}"


@pytest.fixture
def database(cluster_url: str) -> Iterator[RedisDatabase]:
    """The database behind the cluster, empty: takes the place of the contract's own fixture."""
    door = connect(cluster_url)
    for site in ("s", "t", "other"):
        door.forget(site)
    yield door
    door.close()


def test_sites_are_spread_and_a_site_is_not() -> None:
    cell = Subchannel(868.1e6, 125e3)
    slots = set()
    for i in range(40):
        site = f"site-{i}"
        keys = [key(site, "status"), key(site, "leases"), key(site, "stream", "events"), *lease_sets(site, cell)]
        assert len({key_slot(name.encode()) for name in keys}) == 1
        slots.add(key_slot(keys[0].encode()) * NODES // SLOTS)
    assert slots == {0, 1, 2}


def contract() -> dict[str, object]:
    """The tests of the contract, to be collected here too: their `database` is the cluster's."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("contract", Path(__file__).with_name("test_channel_status.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        name: value for name, value in vars(module).items() if name.startswith("test_") and "both_doors" not in name
    }


globals().update(contract())
