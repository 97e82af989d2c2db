"""The live feed: over a real server and a real Redis that dies and comes back, and queue by queue."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import pytest

from channel_status import records
from channel_status.embedded import embedded_url, start_server
from channel_status.memory import MemoryDatabase
from channel_status.protocol import DatabaseAway
from channel_status.redis_door import connect
from console.feed import QUEUE, ClientQueue, Hub
from console.feed_client import feed_of, places_of
from console.reader import MOST_EVENTS, STATE_KINDS, Reader, message
from console.service import console_running
from controller.allocator import Allocator
from controller.gateways import Gateways
from controller.requests import Ask
from spectrum.report import ChannelReport
from spectrum.site_file import Site, parse_site

SITE: Final = parse_site('[site]\nname = "s"\n[[sensor]]\nname = "roof"\n[[gateway]]\nname = "gw"', "t.toml")
PATIENCE_S: Final = 60.0


def report(energy_dbfs: float = -45.0) -> ChannelReport:
    """A report of now on 868.3 MHz."""
    busy = energy_dbfs > -39.0
    return ChannelReport(
        "roof", time.time() - 0.02, 0.01, 868.3e6, 125e3, energy_dbfs, -41.0, -39.0, None, 0.2, 0.1, busy, 0.1, 0.1
    )


class Page:
    """A client of the feed, reading in a thread; `seen` has (kind, id, data) in order."""

    def __init__(self, url: str, last_id: str = "") -> None:
        self.seen: list[tuple[str, str, Any]] = []
        headers = {"Last-Event-ID": last_id} if last_id else {}
        host, port = url.removeprefix("http://").split(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
        self._connection.request("GET", "/api/feed", headers=headers)
        self._socket: socket.socket = self._connection.sock
        self._answer = self._connection.getresponse()
        assert self._answer.headers["content-type"].startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        kind = entry_id = ""
        for raw in iter(self._answer.readline, b""):
            line = raw.decode().rstrip("\n")
            if line.startswith("id: "):
                entry_id = line[4:]
            elif line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                self.seen.append((kind, entry_id, json.loads(line[6:])))

    def until(self, found: Callable[[str, Any], bool], after: int = 0) -> tuple[int, str, Any]:
        """The place, id and data of the first message after `after` for which `found` holds."""
        deadline_s = time.monotonic() + PATIENCE_S
        place = after
        while time.monotonic() < deadline_s:
            while place < len(self.seen):
                kind, entry_id, data = self.seen[place]
                place += 1
                if found(kind, data):
                    return place, entry_id, data
            time.sleep(0.01)
        raise AssertionError(f"not seen; the feed brought {[kind for kind, _, _ in self.seen][-30:]}")

    def close(self) -> None:
        """Go away."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        self._connection.close()


@contextmanager
def served(database: Any) -> Iterator[str]:
    """A console on a free port, and its address."""
    with console_running(SITE, database, "127.0.0.1:0") as server:
        yield f"http://127.0.0.1:{server.port}"


@contextmanager
def looking(url: str, last_id: str = "") -> Iterator[Page]:
    """A page that looks at it."""
    page = Page(url, last_id)
    try:
        yield page
    finally:
        page.close()


def is_loud(kind: str, data: Any) -> bool:
    """Whether 868.3 MHz is shown busy."""
    return kind == "channels" and any(row["busy"] and row["key"] == "868300000/125000" for row in data["subchannels"])


def test_a_page_gets_everything_then_what_changes() -> None:
    database = MemoryDatabase()
    with served(database) as url, looking(url) as page:
        page.until(lambda kind, _: kind == "duty")
        kinds = [kind for kind, _, _ in page.seen]
        assert kinds[:2] == ["hello", "feed"]
        assert set(STATE_KINDS) <= set(kinds)
        database.publish("s", [report(-20.0)])
        page.until(is_loud)
        database.append(
            "s", "spectrum-100ms:roof", [b'{"sensor":"roof","time_s":1.0,"interval_s":0.1,"levels":"AA=="}']
        )
        _, _, rows = page.until(lambda kind, _: kind == "spectrum")
        assert rows["rows"][0]["levels"] == "AA=="
        Gateways(SITE, database).attach("gw", time.time())
        _, _, told = page.until(lambda kind, _: kind == "events")
        assert [event["kind"] for event in told["events"]] == ["gateway"]
        page.until(lambda kind, data: kind == "gateways" and data["gateways"][0]["state"] == "attached")
        Allocator(SITE, database).answer([Ask("r1", "d1", "gw", "lora", 20.0)], time.time())
        _, _, leases = page.until(lambda kind, data: kind == "leases" and data["leases"])
        assert leases["leases"][0]["device"] == "d1"


def test_a_page_that_comes_back_is_told_what_it_missed() -> None:
    database = MemoryDatabase()
    gateways = Gateways(SITE, database)
    with served(database) as url:
        with looking(url) as page:
            page.until(lambda kind, _: kind == "duty")
            gateways.attach("gw", time.time())
            _, last_id, _ = page.until(lambda kind, _: kind == "events")
        gateways.detach("gw", time.time())
        gateways.attach("gw", time.time())
        with looking(url, last_id) as page:
            place, _, hello = page.until(lambda kind, _: kind == "hello")
            _, _, told = page.until(lambda kind, _: kind == "events", place)
            assert (hello["resumed"], hello["gap"]) == (True, False)
            states = [event["data"]["state"] for event in told["events"]]
            assert states[-2:] == ["detached", "attached"]
        with looking(url, "1-0/1-0") as page:
            _, _, hello = page.until(lambda kind, _: kind == "hello")
            assert (hello["resumed"], hello["gap"]) == (True, True), "what lies between is gone"
        with looking(url, "rubbish") as page:
            _, _, hello = page.until(lambda kind, _: kind == "hello")
            assert (hello["resumed"], hello["gap"]) == (False, True)


def test_the_feed_says_that_the_database_is_away_and_recovers(tmp_path: Path) -> None:
    folder = tmp_path if len(str(tmp_path)) < 80 else Path("/tmp") / f"airshed-{time.monotonic_ns()}"
    folder.mkdir(exist_ok=True)
    first = start_server(folder, keep=True)
    database = connect(embedded_url(folder))
    second = None
    try:
        with served(database) as url, looking(url) as page:
            place, _, _ = page.until(lambda kind, data: kind == "feed" and data["state"] == "live")
            first.kill()
            first.wait()
            place, _, away = page.until(lambda kind, data: kind == "feed" and data["state"] == "away", place)
            assert "does not answer" in away["detail"]
            assert away["retry_s"] <= 4.0
            assert httpx.get(f"{url}/health").status_code == 503
            assert httpx.get(f"{url}/api/session").status_code == 200
            assert httpx.get(f"{url}/api/state").json()["feed"]["state"] == "away"
            asked = httpx.get(f"{url}/api/events")
            assert (asked.status_code, "does not answer" in asked.json()["detail"]) == (503, True)
            second = start_server(folder, keep=True)
            place, _, _ = page.until(lambda kind, data: kind == "feed" and data["state"] == "live", place)
            database.publish("s", [report(-20.0)])
            page.until(is_loud, place)
    finally:
        for server in (first, second):
            if server is not None:
                server.kill()
                server.wait()
        database.close()


def test_a_server_starts_without_its_database(tmp_path: Path) -> None:
    database = connect(f"unix://{tmp_path}/none.sock")
    with served(database) as url, looking(url) as page:
        place, _, away = page.until(lambda kind, _: kind == "feed")
        assert away["state"] == "away"
        page.until(lambda kind, data: kind == "feed" and data["retry_s"] >= 1.0, place)
        assert httpx.get(f"{url}/api/site").json()["site"] == "s"
    database.close()


def test_a_page_that_does_not_read_is_left_behind_and_the_others_are_not() -> None:
    database = MemoryDatabase()
    with served(database) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as deaf, looking(url) as page:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(b"GET /api/feed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            page.until(lambda kind, _: kind == "duty")
            row = b'{"sensor":"roof","time_s":1.0,"interval_s":0.1,"levels":"' + b"A" * 1_000_000 + b'"}'
            deadline_s = time.monotonic() + PATIENCE_S
            while _dropped(url) == 0 and time.monotonic() < deadline_s:
                database.append("s", "spectrum-100ms:roof", [row])
                time.sleep(0.05)
            assert _dropped(url) > 0
            place = len(page.seen)
            database.publish("s", [report(-20.0)])
            page.until(is_loud, place)


def _dropped(url: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith("airshed_console_dropped_total")).split()[1])


def test_a_queue_keeps_the_newest_state_and_counts_what_it_drops() -> None:
    queue = ClientQueue()
    queue.put("channels", b"old")
    queue.put("events", b"e")
    queue.put("channels", b"new")
    assert (queue.take(), queue.dropped) == (b"enew", 1)
    for number in range(QUEUE + 3):
        queue.put("spectrum", b"%d," % number)
    queue.put("leases", b"L")
    taken = queue.take()
    assert taken.startswith(b"3,4,")
    assert taken.endswith(b"%d,L" % (QUEUE + 2))
    assert queue.dropped == 4
    assert queue.take() == b""


def test_ids_of_the_feed_are_read_back() -> None:
    places = places_of("12-3/45-6")
    assert places is not None
    assert (places.events, places.audit, places.feed_id) == ("12-3", "45-6", "12-3/45-6")
    for strange in ("", "12-3", "a-b/c-d", "1-1/1-1/1-1", "1-1/" + "9" * 30 + "-1"):
        assert places_of(strange) is None


def test_a_page_hears_the_pulse_of_a_quiet_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.feed_client.BEAT_S", 0.01)
    hub = Hub(Reader(SITE, MemoryDatabase(), time.time, time.monotonic), time.time, "s")

    async def pulse() -> list[bytes]:
        feed = feed_of(hub, ClientQueue(), "")
        parts = [await anext(feed) for _ in range(3)]
        assert hub.clients == 1
        await feed.aclose()
        assert hub.clients == 0
        return parts

    parts = asyncio.run(pulse())
    assert all(b"event: beat" in part and b'"dropped":0' in part for part in parts[1:])


class Counting(MemoryDatabase):
    """Counts what is asked of it; `slow_s` is what reading all KPIs takes."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, int] = {}
        self.clock_s = 0.0
        self.slow_s = 0.0

    def get(self, site: str, kind: str) -> dict[str, bytes]:
        self.asked[kind] = self.asked.get(kind, 0) + 1
        if kind == "devices":
            self.clock_s += self.slow_s
        return super().get(site, kind)


def looks(database: Counting, seconds: float) -> None:
    """A reader that looks ten times a second of a made-up clock."""
    reader = Reader(SITE, database, lambda: 1e9 + database.clock_s, lambda: database.clock_s)
    while database.clock_s < seconds:
        reader.look()
        database.clock_s += 0.1


def test_records_that_are_slow_to_read_are_read_less_often() -> None:
    quick, slow = Counting(), Counting()
    slow.slow_s = 0.5
    looks(quick, 60.0)
    looks(slow, 60.0)
    assert quick.asked["devices"] == pytest.approx(60, abs=8)
    assert slow.asked["devices"] <= 7, "no more than a twentieth of the time"
    assert slow.asked["sensor"] == pytest.approx(quick.asked["sensor"], rel=0.3)


def test_unchanged_states_are_not_sent_again() -> None:
    database = Counting()
    reader = Reader(SITE, database, lambda: 1e9 + database.clock_s, lambda: database.clock_s)
    reader.look()
    sent: dict[str, int] = {}
    for _ in range(100):
        database.clock_s += 0.1
        for one in reader.look():
            sent[one.kind] = sent.get(one.kind, 0) + 1
    assert not {"leases", "devices", "gateways", "operators", "duty"} & set(sent), sent
    assert sent.get("channels", 0) <= 11, "nothing new is sensed: once a second is enough"


def test_a_burst_between_two_looks_is_shown_by_its_second() -> None:
    database = MemoryDatabase()
    reader = Reader(SITE, database, time.time, time.monotonic)
    reader.look()
    cell = ["868300000/125000", -20.0, -38.0, -41.0, -39.0, 0.06, 0.05, 0.0, 0.1, 0.2, 0.1, None]
    digest = {"sensor": "roof", "time_s": time.time() - 1.0, "interval_s": 1.0, "cells": [cell]}
    database.append("s", "spectrum-1s:roof", [records.encode(digest)])
    database.publish("s", [report(-45.0)])
    (told,) = [records.decode(one.data) for one in reader.look() if one.kind == "channels"]
    row = next(row for row in told["subchannels"] if row["key"] == "868300000/125000")
    assert (row["busy"], row["energy_dbfs"], row["peak_dbfs"], row["busy_share"]) == (False, -45.0, -20.0, 0.06)


def test_a_flood_of_events_is_cut_and_counted() -> None:
    database = MemoryDatabase()
    reader = Reader(SITE, database, time.time, time.monotonic)
    reader.look()
    events = [records.encode({"event": "x", "at_us": str(n)}) for n in range(MOST_EVENTS + 50)]
    database.append("s", "events", events)
    (told,) = [one for one in reader.look() if one.kind == "events"]
    data = records.decode(told.data)
    assert (len(data["events"]), data["left_out"]) == (MOST_EVENTS, 50)
    assert data["events"][-1]["time_s"] == pytest.approx((MOST_EVENTS + 49) / 1e6)


def test_a_look_that_fails_loses_no_event() -> None:
    class Flaky(MemoryDatabase):
        away = False

        def reports(self, site: str) -> Any:
            if self.away:
                raise DatabaseAway("away")
            return super().reports(site)

    database = Flaky()
    reader = Reader(SITE, database, time.time, time.monotonic)
    reader.look()
    database.append("s", "events", [records.encode({"event": "x", "at_us": "1"})])
    database.away = True
    with pytest.raises(DatabaseAway):
        reader.look()
    database.away = False
    assert "events" in {one.kind for one in reader.look()}


def test_messages_are_one_line_of_json() -> None:
    one = message("events", {"time_s": 1.0, "text": "two\nlines"})
    assert b"\n" not in one.data


def test_the_hub_counts_looks_and_failures() -> None:
    class Broken(MemoryDatabase):
        def read_many(self, site: str, after: Any, count: int = 1000) -> Any:
            raise RuntimeError("a defect")

    site: Site = SITE
    hub = Hub(Reader(site, Broken(), time.time, time.monotonic), time.time, "s")
    hub.start()
    deadline_s = time.monotonic() + PATIENCE_S
    while hub.failures == 0 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    hub.stop()
    assert hub.failures >= 1
    assert hub.looks == 0
