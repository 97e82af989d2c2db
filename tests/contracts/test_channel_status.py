"""The contract of the Channel Status Database, the same on the Redis door and on the in-memory twin."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from allocation.attempts import Try
from channel_status import records
from channel_status.memory import MemoryDatabase, neighbours_of
from channel_status.protocol import ChannelStatusDatabase, Grant, LeaseOrder
from channel_status.redis_door import connect
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport

A, B = Subchannel(868.1e6, 125e3), Subchannel(868.3e6, 125e3)
GROUP = Subchannel(868.138e6, 16e3)  # inside A
NOW = 1_800_000_000.0


def order(lease_id: str, *tries: tuple[Subchannel, float, float], blind: bool = False) -> LeaseOrder:
    """An order whose tries are given relative to NOW."""
    drawn = tuple(Try(subchannel, NOW + start, NOW + end) for subchannel, start, end in tries)
    return LeaseOrder(lease_id, f"dev-{lease_id}", "gw", drawn, neighbours_of([A, B, GROUP]), blind, '{"rule":"test"}')


def one(database: ChannelStatusDatabase, site: str, wanted: LeaseOrder, now_s: float) -> Grant:
    """The grant of a single order."""
    (grant,) = database.allocate(site, [wanted], now_s)
    return grant


def report(sensor: str, time_s: float, energy_dbfs: float = -40.0) -> ChannelReport:
    """A report on A."""
    return ChannelReport(
        sensor, time_s, 0.01, A.center_hz, A.bandwidth_hz, energy_dbfs, -41.0, -39.0, None, 0.2, 0.1, False, 0.1, 0.19
    )


def test_reports_keep_the_newest_per_sensor(database: ChannelStatusDatabase) -> None:
    database.publish("s", [report("x", 1.0), report("y", 1.0)])
    database.publish("s", [report("x", 2.0, -12.5)])
    kept = sorted(database.reports("s"), key=lambda r: r.sensor)
    assert [(r.sensor, r.time_s, r.energy_dbfs) for r in kept] == [("x", 2.0, -12.5), ("y", 1.0, -40.0)]
    assert len(database.read("s", "reports")) == 2
    assert database.reports("other") == ()


def test_an_idle_try_is_taken_and_a_taken_one_is_not(database: ChannelStatusDatabase) -> None:
    first = one(database, "s", order("1", (A, 0, 1)), NOW)
    second = one(database, "s", order("2", (A, 0.5, 1.5), (A, 1, 2)), NOW)
    assert (first.lease.attempt, first.lease.forced, first.blocked_by) == (1, False, ())
    # [0, 1) and [1, 2) only touch.
    assert (second.lease.attempt, second.lease.forced, second.blocked_by) == (2, False, ("1",))
    assert second.lease.start_s == pytest.approx(NOW + 1)
    assert [lease.lease_id for lease in database.leases("s", NOW)] == ["1", "2"]
    assert database.lease_count("s") == 2


def test_all_taken_forces_the_last_draw(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (A, 0, 10)), NOW)
    one(database, "s", order("2", (B, 0, 10)), NOW)
    forced = one(database, "s", order("3", (A, 1, 2), (B, 3, 4)), NOW)
    assert (forced.lease.forced, forced.lease.attempt, forced.lease.subchannel) == (True, 2, B)
    assert forced.blocked_by == ("1", "2")


def test_a_forced_lease_is_on_the_air_too(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (A, 0, 1)), NOW)
    one(database, "s", order("2", (A, 0.5, 5)), NOW)
    third = one(database, "s", order("3", (A, 2, 3)), NOW)
    assert third.lease.forced
    assert third.blocked_by == ("2",)


def test_blind_orders_are_forced_without_looking(database: ChannelStatusDatabase) -> None:
    grant = one(database, "s", order("1", (A, 0, 1), (B, 0, 1), blind=True), NOW)
    assert (grant.lease.forced, grant.lease.subchannel, grant.blocked_by) == (True, B, ())


def test_neighbours_that_share_spectrum_are_respected(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (GROUP, 0, 5)), NOW)
    grant = one(database, "s", order("2", (A, 1, 2), (B, 1, 2)), NOW)
    assert (grant.lease.subchannel, grant.blocked_by) == (B, ("1",))


def test_the_same_order_again_is_the_same_lease(database: ChannelStatusDatabase) -> None:
    first = one(database, "s", order("1", (A, 0, 1)), NOW)
    again = one(database, "s", order("1", (B, 0, 1)), NOW)
    assert again.lease == first.lease
    assert len(database.leases("s", NOW)) == 1


def test_orders_in_one_call_are_carried_out_in_turn(database: ChannelStatusDatabase) -> None:
    grants = database.allocate("s", [order(str(i), (A, 0, 1), (B, 0, 1)) for i in range(3)], NOW)
    assert [(g.lease.subchannel, g.lease.forced) for g in grants] == [(A, False), (B, False), (B, True)]


def test_confirm_renew_release(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (A, 0, 1)), NOW)
    one(database, "s", order("2", (A, 3, 4)), NOW)
    confirmed = database.confirm("s", "1", NOW + 0.5)
    assert confirmed is not None
    assert confirmed.state == "confirmed"
    renewed = database.renew("s", order("1"), NOW + 3, NOW + 0.5)
    assert renewed is not None
    assert renewed.end_s == pytest.approx(NOW + 3)
    # The next second belongs to lease 2.
    assert database.renew("s", order("1"), NOW + 3.5, NOW + 0.5) is None
    assert one(database, "s", order("3", (A, 2, 3)), NOW).lease.forced
    released = database.release("s", "1", NOW + 0.6)
    assert released is not None
    assert database.release("s", "1", NOW + 0.6) is None
    database.release("s", "3", NOW + 0.6)
    assert not one(database, "s", order("4", (A, 0.7, 2)), NOW + 0.6).lease.forced


def test_only_the_holder_finds_its_lease(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (A, 0, 1)), NOW)
    assert database.confirm("s", "1", NOW, holder="other") is None
    assert database.renew("s", order("1"), NOW + 2, NOW, holder="other") is None
    assert database.release("s", "1", NOW, holder="other") is None
    assert database.release("s", "1", NOW, holder="gw") is not None


def test_a_neighbour_limits_a_renewal(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (A, 0, 1)), NOW)
    one(database, "s", order("2", (GROUP, 1, 4)), NOW)
    assert database.renew("s", order("1"), NOW + 2, NOW) is None


def test_leases_end(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (A, 0, 1)), NOW)
    one(database, "s", order("2", (B, 0, 5)), NOW)
    assert database.expire("s", NOW + 0.999) == ()
    assert database.confirm("s", "1", NOW + 1.0) is None
    assert database.renew("s", order("1"), NOW + 9, NOW + 1.0) is None
    assert [lease.lease_id for lease in database.leases("s", NOW + 1.0)] == ["2"]
    assert [lease.lease_id for lease in database.expire("s", NOW + 1.0)] == ["1"]
    assert database.expire("s", NOW + 1.0) == ()


def test_events_tell_the_story(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (A, 0, 1)), NOW)
    one(database, "s", order("2", (A, 0, 1)), NOW)
    database.confirm("s", "1", NOW)
    database.renew("s", order("1"), NOW + 2, NOW)
    database.release("s", "1", NOW, "device rejoined")
    database.expire("s", NOW + 9)
    told = [records.decode(entry.value) for entry in database.read("s", "events")]
    assert [event["event"] for event in told] == ["granted", "forced", "confirmed", "renewed", "released", "expired"]
    assert told[0]["why"] == {"rule": "test"}
    assert told[1]["blocked_by"] == ["1"]
    assert told[4]["reason"] == "device rejoined"
    assert records.lease_of(told[5]["lease"]).device == "dev-2"
    decision = database.decision("s", "dev-2")
    assert decision is not None
    assert records.decode(decision) == told[1]
    assert database.decision("s", "nobody") is None


def test_events_are_the_same_bytes_behind_both_doors(redis_url: str) -> None:
    doors: list[ChannelStatusDatabase] = [MemoryDatabase(), connect(redis_url)]
    told = []
    for door in doors:
        door.forget("bytes")
        wanted = LeaseOrder("1/a", 'dev "ü" \\ /', "gw", (Try(A, NOW, NOW + 1),), {}, False, '{"x":0.1,"y":"/"}')
        door.allocate("bytes", [wanted, order("2", (A, 0, 1))], NOW)
        door.confirm("bytes", "1/a", NOW)
        door.renew("bytes", wanted, NOW + 2, NOW)
        door.release("bytes", "1/a", NOW, "gone / away")
        door.expire("bytes", NOW + 5)
        told.append([entry.value for entry in door.read("bytes", "events")])
        door.close()
    assert told[0] == told[1]
    assert len(told[0]) == 6


def test_streams_are_read_in_pages(database: ChannelStatusDatabase) -> None:
    database.append("s", "uplinks", [b"1", b"2", b"3"])
    page = database.read("s", "uplinks", count=2)
    rest = database.read("s", "uplinks", after=page[-1].entry_id)
    assert [entry.value for entry in (*page, *rest)] == [b"1", b"2", b"3"]


def test_records_by_kind(database: ChannelStatusDatabase) -> None:
    database.put("s", "session", {"a": b"1", "b": b"2"})
    database.put("s", "session", {"a": b"3"})
    database.delete("s", "session", ["b", "never"])
    assert database.get("s", "session") == {"a": b"3"}
    assert database.get_some("s", "session", ["a", "b"]) == {"a": b"3"}
    assert database.get_some("s", "session", []) == {}
    assert database.get("s", "policy") == {}


def test_a_site_is_forgotten_and_its_neighbour_is_not(database: ChannelStatusDatabase) -> None:
    for site in ("s", "t"):
        one(database, site, order("1", (A, 0, 1)), NOW)
        database.publish(site, [report("x", 1.0)])
        database.put(site, "session", {"a": b"1"})
    database.forget("s")
    assert database.leases("s", NOW) == ()
    assert database.reports("s") == ()
    assert database.get("s", "session") == {}
    assert database.read("s", "events") == ()
    assert [lease.lease_id for lease in database.leases("t", NOW)] == ["1"]


def test_sites_do_not_see_each_other(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (A, 0, 1)), NOW)
    assert not one(database, "t", order("1", (A, 0, 1)), NOW).lease.forced
    assert database.leases("t", NOW)[0].lease_id == "1"


def test_sixteen_requesters_never_share_an_unforced_lease(database: ChannelStatusDatabase) -> None:
    def ask(worker: int) -> None:
        for i in range(20):
            start = (worker * 7 + i * 3) % 40 / 10
            tries = [(A, start, start + 0.35), (GROUP, start + 0.1, start + 0.4), (B, start, start + 0.3)]
            grant = one(database, "s", order(f"{worker}-{i}", *tries), NOW)
            if i % 5 == 4:
                database.release("s", grant.lease.lease_id, NOW)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(16)))
    unforced = [lease for lease in database.leases("s", NOW) if not lease.forced]
    assert unforced
    for i, first in enumerate(unforced):
        for other in unforced[i + 1 :]:
            shared = first.subchannel == other.subchannel or first.subchannel.overlap_hz(other.subchannel) > 0
            assert not (shared and first.overlaps(other.start_s, other.end_s)), (first, other)


def test_a_record_is_exchanged_only_while_it_is_what_was_read(database: ChannelStatusDatabase) -> None:
    assert database.exchange("s", "k", {}) == frozenset()
    assert database.exchange("s", "k", {"a": (None, b"1"), "b": (b"never was", b"1")}) == {"b"}
    assert database.exchange("s", "k", {"a": (None, b"2"), "b": (None, b"2")}) == {"a"}
    assert database.exchange("s", "k", {"a": (b"1", b"3"), "b": (b"2", b"2")}) == frozenset()
    assert database.get("s", "k") == {"a": b"3", "b": b"2"}


def test_leases_are_found_by_their_names(database: ChannelStatusDatabase) -> None:
    granted = [
        one(database, "s", order(name, (A, start, start + 1)), NOW).lease for name, start in (("1", 0), ("2", 5))
    ]
    assert database.some_leases("s", ["2", "unknown", "1"]) == (granted[1], granted[0])
    assert database.some_leases("s", []) == ()


def test_orders_of_one_call_may_respect_different_neighbours(database: ChannelStatusDatabase) -> None:
    one(database, "s", order("1", (GROUP, 0, 10)), NOW)
    alone = LeaseOrder("2", "d2", "gw", (Try(A, NOW, NOW + 1),))
    grants = database.allocate("s", [alone, order("3", (A, 2, 3))], NOW)
    assert [grant.blocked_by for grant in grants] == [(), ("1",)]


def test_streams_are_read_backwards_and_from_a_time_on(database: ChannelStatusDatabase) -> None:
    began_s = time.time()
    database.append("s", "uplinks", [b"1", b"2", b"3"])
    newest = database.read_newest("s", "uplinks", count=2)
    assert [entry.value for entry in newest] == [b"3", b"2"]
    assert [e.value for e in database.read_newest("s", "uplinks", newest[-1].entry_id)] == [b"1"]
    assert database.read_newest("s", "never") == ()
    came_s = records.entry_time_s(newest[0].entry_id)
    assert came_s == pytest.approx(began_s, abs=60)
    assert len(database.read("s", "uplinks", records.entry_id_at(came_s - 3600))) == 3
    assert database.read("s", "uplinks", records.entry_id_at(came_s + 3600)) == ()
    assert database.read_newest("s", "uplinks", records.entry_id_at(came_s - 3600)) == ()


def test_several_streams_are_read_at_once(database: ChannelStatusDatabase) -> None:
    database.append("s", "spectrum-1s:roof", [b"1", b"2"])
    database.append("s", "spectrum-1s:gate", [b"3"])
    first = database.read("s", "spectrum-1s:roof", count=1)[0]
    found = database.read_many("s", {"spectrum-1s:roof": first.entry_id, "spectrum-1s:gate": "", "events": ""})
    assert {name: [e.value for e in page] for name, page in found.items()} == {
        "spectrum-1s:roof": [b"2"], "spectrum-1s:gate": [b"3"], "events": [],
    }  # fmt: skip
    assert database.read_many("s", {}) == {}


def test_an_exchange_is_told_to_streams_only_when_it_happened(database: ChannelStatusDatabase) -> None:
    told = {"audit": b"a", "events": b"e"}
    assert database.exchange("s", "operators", {"word": (None, b"1")}, told) == frozenset()
    assert database.exchange("s", "operators", {"word": (None, b"2")}, told) == {"word"}
    assert database.exchange("s", "operators", {"word": (b"1", b"2")}) == frozenset()
    assert database.get("s", "operators") == {"word": b"2"}
    assert [e.value for e in (*database.read("s", "audit"), *database.read("s", "events"))] == [b"a", b"e"]


@pytest.mark.parametrize("blind", [False, True])
def test_a_lease_is_restored_where_nobody_came(database: ChannelStatusDatabase, blind: bool) -> None:
    lease = one(database, "s", order("1", (A, 0, 9), blind=blind), NOW).lease
    database.release("s", "1", NOW + 1, "evicted")
    later = replace(lease, start_s=NOW + 2)
    neighbours = neighbours_of([A, B, GROUP])
    one(database, "s", order("2", (GROUP, 3, 4)), NOW + 2)
    assert database.restore("s", later, neighbours, NOW + 2, "undone") == "2"
    assert [x.lease_id for x in database.leases("s", NOW + 2)] == ["2"]
    database.release("s", "2", NOW + 2)
    assert database.restore("s", later, neighbours, NOW + 2, "undone") is None
    assert database.leases("s", NOW + 2) == (later,)
    assert database.restore("s", later, neighbours, NOW + 2, "again") is None
    told = [records.decode(e.value) for e in database.read("s", "events")]
    assert [e["event"] for e in told][-1] == "restored"
    assert (told[-1]["lease"], told[-1]["reason"]) == (records.lease_fields(later), "undone")
    assert not one(database, "s", order("3", (B, 3, 4)), NOW + 2).lease.forced
    assert one(database, "s", order("4", (GROUP, 3, 4)), NOW + 2).blocked_by == ("1",)
    assert [x.lease_id for x in database.expire("s", NOW + 9)] == ["3", "4", "1"]
