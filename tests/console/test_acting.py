"""What operators do: obeyed by the controller, audited, undone; and why it cannot be, when it cannot."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_status import records
from channel_status.memory import MemoryDatabase
from channel_status.protocol import ChannelStatusDatabase
from controller.operators import Actor, CannotNow, Operators, read_word
from controller.replay import replay

KEY = "868300000/125000"
OTHER = "868500000/125000"


def test_a_ban_is_obeyed_audited_and_undone(bench) -> None:
    bench.scene.sense()
    lora = [records.subchannel_key(cell) for cell in bench.site.spectrum.lora]
    entries = [bench.act(action="ban", subchannel=key).json() for key in lora if key != KEY]
    bench.scene.allocator.follow_operators()
    assert {records.subchannel_key(bench.scene.grant(f"d{n}", 0.01).subchannel) for n in range(5)} == {KEY}
    bench.hub.reader.look()
    rows = {row["key"]: row for row in bench.get("/api/state")["channels"]["subchannels"]}
    assert (rows[OTHER]["state"], rows[OTHER]["rule"], rows[KEY]["rule"]) == ("banned", "banned", "auto")
    first = entries[0]
    assert {k: first[k] for k in ("by", "role", "action", "subject", "before", "after", "undo_of", "can_undo")} == {
        "by": "alice", "role": "operator", "action": "ban", "subject": lora[0], "before": {"rule": "auto"},
        "after": {"rule": "banned"}, "undo_of": None, "can_undo": True,
    }  # fmt: skip
    assert first["from"] == "testclient"
    assert first["time_s"] == pytest.approx(time.time(), abs=60)
    undone = bench.undo(first["id"]).json()
    assert (undone["action"], undone["undo_of"], undone["after"]) == ("undo ban", first["id"], {"rule": "auto"})
    audit = bench.get("/api/audit")["entries"]
    assert [entry["id"] for entry in audit] == [undone["id"], *(entry["id"] for entry in reversed(entries))]
    assert (audit[-1]["undone_by"], audit[-1]["can_undo"]) == (undone["id"], False)
    assert lora[0] not in read_word(bench.database, "s").banned
    again = bench.undo(first["id"])
    assert (again.status_code, "undone already, by alice" in again.json()["detail"]) == (409, True)


def test_a_pin_is_used_whatever_sensing_says(bench) -> None:
    bench.scene.sense()
    for cell in bench.scene.cells:  # everything is loud
        bench.database.publish("s", [bench.scene.report("roof", time.time(), cell, -20.0)])
    entry = bench.act(action="pin", subchannel=KEY).json()
    bench.scene.allocator.follow_operators()
    lease = bench.scene.grant("d1", 0.01)
    assert (records.subchannel_key(lease.subchannel), lease.forced) == (KEY, False)
    bench.hub.reader.look()
    rows = {row["key"]: row for row in bench.get("/api/state")["channels"]["subchannels"]}
    assert (rows[KEY]["rule"], rows[KEY]["busy"]) == ("pinned", True), "what is sensed is still told"
    bench.undo(entry["id"])
    bench.scene.allocator.follow_operators()
    assert bench.scene.grant("d2", 0.01).forced


def test_a_pin_replaces_a_ban_and_its_undo_brings_it_back(bench) -> None:
    bench.act(action="ban", subchannel=KEY)
    pin = bench.act(action="pin", subchannel=KEY).json()
    assert (pin["before"], pin["after"]) == ({"rule": "banned"}, {"rule": "pinned"})
    assert read_word(bench.database, "s").rule(KEY) == "pinned"
    bench.undo(pin["id"])
    assert read_word(bench.database, "s").rule(KEY) == "banned"


def test_policy_and_n_are_changed_and_undone(bench) -> None:
    entry = bench.act(action="policy", policy="round-robin", attempts=3).json()
    assert (entry["before"], entry["after"]) == (
        {"policy": None, "attempts": None}, {"policy": "round-robin", "attempts": 3},
    )  # fmt: skip
    bench.scene.allocator.follow_operators()
    assert bench.scene.allocator.site.controller.attempts == 3
    only_n = bench.act(action="policy", attempts="auto").json()
    assert only_n["after"] == {"policy": "round-robin", "attempts": "auto"}
    blocked = bench.undo(entry["id"])
    assert (blocked.status_code, "changed again" in blocked.json()["detail"]) == (409, True)
    assert bench.undo(only_n["id"]).status_code == 200
    assert bench.undo(entry["id"]).json()["after"] == {"policy": None, "attempts": None}


def test_an_evicted_lease_ends_and_comes_back(bench) -> None:
    bench.scene.sense()
    lease = bench.scene.grant("d1", 30.0)
    entry = bench.act(action="evict", lease_id=lease.lease_id).json()
    assert bench.database.leases("s", time.time()) == ()
    assert entry["before"]["lease"]["device"] == "d1"
    gone = bench.act(action="evict", lease_id=lease.lease_id)
    assert (gone.status_code, "no lease" in gone.json()["detail"]) == (409, True)
    undone = bench.undo(entry["id"]).json()
    (back,) = bench.database.leases("s", time.time())
    assert (back.lease_id, back.end_s) == (lease.lease_id, lease.end_s)
    assert back.start_s >= lease.start_s
    assert undone["can_undo"] is False
    assert bench.undo(undone["id"]).status_code == 409
    kinds = [event["kind"] for event in bench.get("/api/events", device="d1")["events"]]
    assert kinds[:3] == ["restored", "released", "granted"]


def test_an_eviction_cannot_be_undone_when_somebody_came(bench) -> None:
    bench.scene.sense()
    lease = bench.scene.grant("d1", 30.0)
    entry = bench.act(action="evict", lease_id=lease.lease_id).json()
    others = {n: bench.scene.grant(f"other-{n}", 20.0) for n in range(40)}
    blocker = next(one for one in others.values() if one.subchannel == lease.subchannel)
    answer = bench.undo(entry["id"])
    assert answer.status_code == 409
    assert any(one.lease_id in answer.json()["detail"] for one in others.values()), (answer.text, blocker)


def test_an_eviction_of_a_lease_that_has_ended_since_has_nothing_to_give_back() -> None:
    database = MemoryDatabase()
    from spectrum.eu868 import Subchannel
    from spectrum.status import Lease

    cell = Subchannel(868.3e6, 125e3)
    operators = Operators(database, "s", (cell,))
    assert database.restore("s", Lease("1", "d", "gw", cell, 0.0, 10.0, 1, False), {}, 0.0, "") is None
    entry, _ = operators.evict("1", Actor("alice"), 5.0)
    with pytest.raises(CannotNow, match="would have ended"):
        operators.undo(entry["id"], Actor("alice"), 11.0)


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ({"action": "ban"}, 400), ({"action": "ban", "subchannel": "1/2"}, 400), ({"action": "dance"}, 400), ({}, 400),
        ({"action": "ban", "subchannel": KEY, "policy": "random"}, 400), ({"action": "evict"}, 400),
        ({"action": "evict", "lease_id": "no such"}, 409), ({"action": "unban", "subchannel": KEY}, 409),
        ({"action": "unpin", "subchannel": KEY}, 409), ({"action": "policy", "policy": "best"}, 400),
        ({"action": "policy", "attempts": 0}, 400), ({"action": "policy", "attempts": True}, 400),
        ({"action": "policy"}, 409),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_and_not_audited(bench, action: dict[str, object], status: int) -> None:
    answer = bench.act(**action)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["detail"], str)
    assert bench.get("/api/audit")["entries"] == []


def test_unknown_entries_cannot_be_undone(bench) -> None:
    assert bench.undo("nothing").status_code == 400


STRANGE = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.booleans(), max_size=2))


@given(st.dictionaries(st.sampled_from(["action", "subchannel", "policy", "x"]), STRANGE))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_strange_actions_are_refused(fuzzed_bench, body: dict[str, object]) -> None:
    bench = fuzzed_bench
    answer = bench.client.post("/api/actions", json=body, headers=bench.operator)
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


def test_the_audit_is_paged_newest_first(bench) -> None:
    for _ in range(6):
        bench.act(action="ban", subchannel=KEY)
        bench.act(action="unban", subchannel=KEY)
    first = bench.get("/api/audit", limit=5)
    second = bench.get("/api/audit", limit=5, before=first["next"])
    third = bench.get("/api/audit", limit=5, before=second["next"])
    entries = first["entries"] + second["entries"] + third["entries"]
    assert (len(entries), len({entry["id"] for entry in entries}), third["next"]) == (12, 12, None)
    assert [entry["action"] for entry in entries] == ["unban", "ban"] * 6


def test_operators_at_the_same_time_lose_nothing(database: ChannelStatusDatabase) -> None:
    from spectrum.eu868 import Subchannel

    cells = tuple(Subchannel(867.1e6 + 2e5 * n, 125e3) for n in range(16))
    operators = Operators(database, "s", cells)
    threads = [
        threading.Thread(target=operators.set_rule, args=("ban", records.subchannel_key(cell), Actor(f"o{n}"), 1.0))
        for n, cell in enumerate(cells)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(operators.word().banned) == 16
    assert len(database.read("s", "audit")) == 16


def test_pins_evictions_and_restorations_replay_byte_for_byte(bench) -> None:
    scene = bench.scene
    scene.allocator.begin(time.time())
    scene.sense()
    bench.act(action="pin", subchannel=OTHER)
    scene.allocator.follow_operators()
    for cell in scene.cells:
        bench.database.publish("s", [scene.report("roof", time.time(), cell, -20.0)])
    time.sleep(0.06)  # past the snapshot that serves requests of the same moment
    lease = scene.grant("d0", 10.0)
    assert records.subchannel_key(lease.subchannel) == OTHER
    entry = bench.act(action="evict", lease_id=lease.lease_id).json()
    assert bench.undo(entry["id"]).status_code == 200
    after = [scene.grant(f"d{n}", 5.0) for n in range(1, 4)]
    assert all(one.forced for one in after if records.subchannel_key(one.subchannel) == OTHER)
    bench.act(action="unpin", subchannel=OTHER)
    scene.allocator.follow_operators()
    scene.grant("d9", 0.1)
    lines = [entry.value for entry in bench.database.read("s", "events", count=10_000)]
    found = replay(lines)
    assert (found.decisions, found.same, found.unknown) == (5, 5, 0), found.differences
    assert any(b'"pinned":["868500000/125000"]' in line for line in lines)
    tampered = [line.replace(b',"pinned":["868500000/125000"]', b"") for line in lines]
    assert replay(tampered).differences


def test_a_word_kept_before_there_were_pins_is_still_read(bench) -> None:
    bench.database.put("s", "operators", {"word": b'{"policy":"random","attempts":null,"banned":["868300000/125000"]}'})
    word = read_word(bench.database, "s")
    assert (word.policy, word.banned, word.pinned) == ("random", (KEY,), ())
    assert replace(word, pinned=("x",)).rule("x") == "pinned"
