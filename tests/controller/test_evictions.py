"""Evictions reach the agent whose gateway is attached, whoever evicted."""

from __future__ import annotations

from channel_status.memory import MemoryDatabase
from controller.allocator import Allocator
from controller.evictions import Evictions
from controller.gateways import Gateways
from controller.operators import Actor, Operators
from controller.requests import Ask
from gateway_agent.wire import controller_pb2 as wire
from spectrum.site_file import parse_site

NOW = 1_800_000_000.0
SITE = parse_site('[site]\nname = "s"', "t.toml")
ALICE = Actor("alice", "operator", "127.0.0.1")


def test_agents_attached_here_hear_of_evictions_once() -> None:
    database = MemoryDatabase()
    gateways, allocator = Gateways(SITE, database), Allocator(SITE, database)
    operators = Operators(database, "s", (*SITE.spectrum.lora, *SITE.spectrum.sigfox))
    sent: list[tuple[str, wire.ControllerMessage]] = []
    gateways.send = lambda gateway, message: sent.append((gateway, message))
    gateways.attach("gw-1", NOW)
    allocator.answer([Ask(f"r{i}", f"dev-{i}", f"gw-{1 + i % 2}", "lora", 30.0) for i in range(4)], NOW)
    operators.evict("r0", ALICE, NOW)
    evictions = Evictions("s", database, gateways)
    # What was evicted before this controller came up is nobody's news.
    assert evictions.look() == 0
    operators.evict("r1", ALICE, NOW)  # of gw-2, which is attached elsewhere
    operators.evict("r2", ALICE, NOW)
    operators.set_rule("ban", "868100000/125000", ALICE, NOW)
    assert evictions.look() == 1
    assert evictions.look() == 0
    ((gateway, message),) = sent
    assert gateway == "gw-1"
    assert [(change.lease_id, change.HasField("lease")) for change in message.changes] == [("r2", False)]
