"""The operators' API: what it shows, who may change what, and what bad requests get."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import msgspec
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_status import records
from channel_status.memory import MemoryDatabase
from channel_status.protocol import DatabaseAway
from controller.http_door import http_door, operators_api
from controller.operators import Operators
from controller.requests import Ask
from controller.service import open_office
from controller.users import add_user
from spectrum.errors import BadInput, Failed
from spectrum.report import ChannelReport
from spectrum.site_file import HttpTable, parse_site

SITE = parse_site('[site]\nname = "s"\n[http]\nlisten = "127.0.0.1:0"', "t.toml")
KEY = "868100000/125000"


class Bench:
    """A controller's API over an in-memory database, with an operator's and a viewer's token."""

    def __init__(self, folder: Path) -> None:
        users = folder / "users.toml"
        self.operator = {"Authorization": f"Bearer {add_user(users, 'alice', 'operator')}"}
        self.viewer = {"Authorization": f"Bearer {add_user(users, 'bob', 'viewer')}"}
        self.site = msgspec.structs.replace(SITE, http=HttpTable(users=str(users)))
        self.database = MemoryDatabase()
        self.office = open_office(self.site, self.database)
        cells = (*self.site.spectrum.lora, *self.site.spectrum.sigfox)
        operators = Operators(self.database, "s", cells)
        self.api = operators_api(self.site, self.office, operators, self.database)
        self.client = TestClient(self.api, raise_server_exceptions=True)
        now_s = self.office.clock()
        self.database.publish(
            "s",
            [
                ChannelReport(
                    "x", now_s, 0.01, c.center_hz, c.bandwidth_hz, -41.0, -41.0, -40.0, None, 0.2, 0.1, False, 0.1, 0.19
                )
                for c in cells
            ],
        )

    def grant(self, number: int) -> None:
        """One lease of ten seconds on the air."""
        self.office.allocator.answer([Ask(f"r{number}", f"dev-{number}", "gw", "lora", 10.0)], self.office.clock())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One bench for the module; tests use their own devices."""
    made = Bench(tmp_path_factory.mktemp("http"))
    with made.client:
        yield made


def test_viewers_read(bench: Bench) -> None:
    bench.grant(1)
    shown = bench.client.get("/v1/status", headers=bench.viewer).json()
    assert shown["site"] == "s"
    assert len(shown["subchannels"]) == 20
    lease = next(x for x in bench.client.get("/v1/leases", headers=bench.viewer).json() if x["device"] == "dev-1")
    assert lease["end_s"] - lease["start_s"] == pytest.approx(10.02, abs=1e-5)
    decision = bench.client.get("/v1/devices/dev-1/decision", headers=bench.viewer).json()
    assert decision["lease"]["lease_id"] == "r1"
    assert bench.client.get("/v1/devices/nobody/decision", headers=bench.viewer).status_code == 404
    events = bench.client.get("/v1/events", headers=bench.viewer).json()
    assert {"snapshot", "granted"} <= {event["event"] for event in events}
    later = bench.client.get("/v1/events", params={"after": events[0]["id"]}, headers=bench.viewer).json()
    assert later[0]["id"] == events[1]["id"]


def test_health_and_metrics_need_no_token(bench: Bench) -> None:
    assert bench.client.get("/health").json() == {"status": "ok", "site": "s"}
    text = bench.client.get("/metrics").text
    for name in (
        "airshed_requests_total",
        "airshed_leases_total",
        "airshed_answer_seconds",
        "airshed_sensing_age_seconds",
    ):
        assert name in text


def test_the_description_is_there(bench: Bench) -> None:
    paths = bench.client.get("/openapi.json").json()["paths"]
    assert {"/v1/status", "/v1/leases", "/v1/policy", "/v1/events"} <= set(paths)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PUT", "/v1/policy", {"policy": "random"}), ("PUT", f"/v1/bans/{KEY}", None), ("DELETE", "/v1/leases/x", None)],
)
def test_only_operators_change(bench: Bench, method: str, path: str, body: dict[str, str] | None) -> None:
    assert bench.client.request(method, path, json=body).status_code == 401
    assert bench.client.request(method, path, json=body, headers={"Authorization": "Bearer x"}).status_code == 401
    assert bench.client.request(method, path, json=body, headers=bench.viewer).status_code == 403


def test_policy_bans_and_evictions_are_obeyed_and_audited(bench: Bench) -> None:
    change = {"policy": "round-robin", "attempts": 3}
    assert bench.client.put("/v1/policy", json=change, headers=bench.operator).status_code == 200
    for cell in bench.site.spectrum.lora[1:]:
        path = f"/v1/bans/{round(cell.center_hz)}/{round(cell.bandwidth_hz)}"
        assert bench.client.put(path, headers=bench.operator).status_code == 200
    bench.office.allocator.follow_operators()
    for number in range(20, 24):
        bench.grant(number)
    decision = bench.client.get("/v1/devices/dev-20/decision", headers=bench.viewer).json()
    assert decision["why"]["inputs"]["policy"] == "round-robin"
    assert decision["why"]["inputs"]["attempts"] == 3
    leases = bench.client.get("/v1/leases", headers=bench.viewer).json()
    assert {x["subchannel_hz"] for x in leases if x["lease_id"] in ("r20", "r21", "r22", "r23")} == {867.1e6}
    assert bench.client.delete("/v1/leases/r20", headers=bench.operator).json()["device"] == "dev-20"
    assert bench.client.delete("/v1/leases/r20", headers=bench.operator).status_code == 404
    for cell in bench.site.spectrum.lora[1:]:
        bench.client.delete(f"/v1/bans/{round(cell.center_hz)}/{round(cell.bandwidth_hz)}", headers=bench.operator)
    word = bench.client.put("/v1/policy", json={}, headers=bench.operator).json()
    assert word == {"policy": None, "attempts": None, "banned": [], "pinned": []}
    bench.office.allocator.follow_operators()
    assert bench.office.allocator.site.controller.policy == "algorithm1"
    events = bench.client.get("/v1/events", params={"count": 10000}, headers=bench.viewer).json()
    said = [event for event in events if event["event"] == "operator"]
    assert said[0]["by"] == "alice"
    assert any(event.get("reason") == "evicted by alice" for event in events)


def test_pins_are_obeyed_and_audited_with_who_and_from_where(bench: Bench) -> None:
    path = f"/v1/pins/{KEY}"
    assert bench.client.put(path).status_code == 401
    assert bench.client.put(path, headers=bench.viewer).status_code == 403
    word = bench.client.put(path, headers=bench.operator).json()
    assert word["pinned"] == [KEY]
    assert bench.client.put(path, headers=bench.operator).json() == word, "asking twice is no error"
    bench.office.allocator.follow_operators()
    found = bench.office.allocator.status(bench.office.clock())[0]
    assert found.pinned_keys() == [KEY]
    assert bench.client.delete(path, headers=bench.operator).json()["pinned"] == []
    bench.office.allocator.follow_operators()
    told = [records.decode(entry.value) for entry in bench.database.read_newest("s", "audit", count=2)]
    assert [entry["action"] for entry in told] == ["unpin", "pin"]
    assert (told[0]["by"], told[0]["role"], told[0]["from"], told[0]["subject"]) == (
        "alice",
        "operator",
        "testclient",
        KEY,
    )


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/policy", {"policy": "best"}, 400),
        ("/v1/policy", {"attempts": 0}, 422),
        ("/v1/policy", {"attempts": True}, 422),
        ("/v1/policy", {"attempts": "many"}, 400),
        ("/v1/policy", {"colour": 1}, 422),
        ("/v1/bans/1/2", None, 400),
        ("/v1/bans/x/y", None, 422),
    ],
)
def test_bad_changes_say_what_was_expected(bench: Bench, path: str, body: object, status: int) -> None:
    answer = bench.client.put(path, json=body, headers=bench.operator)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_an_event_that_no_stream_can_hold_is_bad_input(bench: Bench) -> None:
    for after, expected in ((f"{2**64}-0", 400), (f"1-{2**64}", 400), ("1-0", 200), ("\u0661-0", 422), ("x", 422)):
        answer = bench.client.get("/v1/events", params={"after": after}, headers=bench.viewer)
        assert answer.status_code == expected
        assert expected == 200 or answer.json()["detail"]


def test_the_description_names_every_refusal(bench: Bench) -> None:
    paths = bench.client.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            told = set(operation["responses"])
            if path.startswith("/v1"):
                assert {"401", "503"} <= told, path
            if method != "get":
                assert {"400", "403"} <= told, path


@given(
    st.text(max_size=30), st.one_of(st.none(), st.integers(), st.text(max_size=9), st.lists(st.integers(), max_size=3))
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_strange_bodies_are_refused_and_break_nothing(bench: Bench, key: str, value: object) -> None:
    if (key, value) in (("policy", None), ("attempts", None)):
        return
    answer = bench.client.put("/v1/policy", content=json.dumps({key or "x": value}), headers=bench.operator)
    assert answer.status_code in (200, 400, 422)
    assert bench.client.get("/health").status_code == 200


def test_a_database_that_is_away_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseAway("Redis at nowhere does not answer")

    monkeypatch.setattr(bench.database, "ping", away)
    answer = bench.client.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"detail": "Redis at nowhere does not answer"})


def test_it_serves_and_stops(bench: Bench) -> None:
    site = msgspec.structs.replace(bench.site, http=HttpTable(listen="127.0.0.1:0"))
    with http_door(site, bench.api) as door:
        assert httpx.get(f"http://127.0.0.1:{door.port}/health").json()["status"] == "ok"
        taken = msgspec.structs.replace(site, http=HttpTable(listen=f"127.0.0.1:{door.port}"))
        with pytest.raises(Failed, match="port taken"), http_door(taken, bench.api):
            pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{door.port}/health")


@pytest.mark.parametrize(("listen", "message"), [("0.0.0.0:80", r"\[tls\] table"), ("127.0.0.1:x", "HOST:PORT")])
def test_addresses(bench: Bench, listen: str, message: str) -> None:
    site = msgspec.structs.replace(bench.site, http=HttpTable(listen=listen))
    with pytest.raises(BadInput, match=message):
        http_door(site, bench.api)
