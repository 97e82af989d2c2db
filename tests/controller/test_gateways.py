"""Gateways come, go, and are given up: events, and what becomes of their leases."""

from __future__ import annotations

import msgspec

from channel_status import records
from channel_status.memory import MemoryDatabase
from controller.allocator import Allocator
from controller.gateways import Gateways
from controller.requests import Ask
from spectrum.site_file import parse_site

NOW = 1_800_000_000.0
SITE = parse_site('[site]\nname = "s"\n[controller]\nhold_s = 60.0', "t.toml")


def told(database: MemoryDatabase) -> list[tuple[str, str]]:
    """(gateway, state) of the gateway events, in order."""
    events = [records.decode(entry.value) for entry in database.read("s", "events")]
    return [(event["gateway"], event["state"]) for event in events if event["event"] == "gateway"]


def test_a_gateway_that_stays_away_loses_its_leases_and_only_its_own() -> None:
    database = MemoryDatabase()
    gateways, allocator = Gateways(SITE, database), Allocator(SITE, database)
    gateways.attach("gw-1", NOW)
    gateways.attach("gw-2", NOW)
    asks = [Ask(f"r{i}", f"dev-{i}", f"gw-{1 + i % 2}", "lora", 30.0) for i in range(4)]
    allocator.answer(asks, NOW)
    for answer in asks:
        allocator.renew(answer.request_id, NOW + 600, NOW)
    gateways.detach("gw-1", NOW + 10)
    assert gateways.give_up(NOW + 69) == 0
    held = database.leases("s", NOW + 69)
    ended = gateways.give_up(NOW + 71)
    assert ended == sum(lease.gateway == "gw-1" for lease in held)
    assert {lease.gateway for lease in database.leases("s", NOW + 71)} == {"gw-2"}
    assert gateways.give_up(NOW + 500) == 0
    assert told(database) == [("gw-1", "attached"), ("gw-2", "attached"), ("gw-1", "detached"), ("gw-1", "given up")]
    assert gateways.attached == ["gw-2"]


def test_a_gateway_that_returns_in_time_keeps_its_leases() -> None:
    database = MemoryDatabase()
    gateways = Gateways(SITE, database)
    gateways.attach("gw", NOW)
    gateways.detach("gw", NOW + 1)
    gateways.attach("gw", NOW + 30)
    assert gateways.give_up(NOW + 1000) == 0


def test_a_second_stream_keeps_a_gateway_attached() -> None:
    gateways = Gateways(SITE, MemoryDatabase())
    gateways.attach("gw", NOW)
    gateways.attach("gw", NOW)
    gateways.detach("gw", NOW + 1)
    assert gateways.attached == ["gw"]


def test_the_old_controller_does_not_detach_what_the_new_one_has() -> None:
    database = MemoryDatabase()
    old, new = Gateways(SITE, database), Gateways(SITE, database)
    old.attach("gw", NOW)
    new.attach("gw", NOW + 1)
    old.detach("gw", NOW + 2)
    assert new.give_up(NOW + 1000) == 0
    assert told(database)[-1] == ("gw", "attached")


def test_the_gateways_of_a_controller_that_died_are_held_and_given_up_by_the_next() -> None:
    database = MemoryDatabase()
    dead, other, heir = (Gateways(SITE, database) for _ in range(3))
    dead.attach("gw-1", NOW)
    dead.attach("gw-2", NOW)
    other.attach("gw-3", NOW)
    dead.give_up(NOW + 1)  # the last that is heard of it
    allocator = Allocator(SITE, database)
    allocator.answer([Ask("r", "d", "gw-1", "lora", 30.0)], NOW + 1)
    allocator.renew("r", NOW + 600, NOW + 1)
    for age_s in range(2, 80, 2):
        other.give_up(NOW + age_s)
        heir.give_up(NOW + age_s)
        if age_s == 4:
            assert len(told(database)) == 3  # it may only be slow
            heir.attach("gw-2", NOW + age_s)
        if age_s == 64:
            assert len(database.leases("s", NOW + age_s)) == 1
    states = [state for gateway, state in told(database) if gateway == "gw-1"]
    assert states == ["attached", "detached", "given up"]
    assert [state for gateway, state in told(database) if gateway == "gw-2"] == ["attached", "attached"]
    assert [state for gateway, state in told(database) if gateway == "gw-3"] == ["attached"]
    assert database.leases("s", NOW + 79) == ()
    assert len(database.get("s", "controller")) == 2  # who has gone is forgotten


def test_a_site_can_hold_for_no_time_at_all() -> None:
    site = msgspec.structs.replace(SITE, controller=msgspec.structs.replace(SITE.controller, hold_s=0.0))
    database = MemoryDatabase()
    gateways, allocator = Gateways(site, database), Allocator(site, database)
    gateways.attach("gw", NOW)
    allocator.answer([Ask("r", "d", "gw", "lora", 30.0)], NOW)
    gateways.detach("gw", NOW + 1)
    assert gateways.give_up(NOW + 1.5) == 1
