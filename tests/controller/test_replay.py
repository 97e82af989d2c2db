"""Past decisions come out again, byte for byte; and a changed one is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec
import pytest

from channel_status.embedded import private_server
from channel_status.memory import MemoryDatabase
from channel_status.protocol import ChannelStatusDatabase
from channel_status.redis_door import connect
from controller.allocator import Allocator
from controller.replay import replay
from controller.requests import Ask
from spectrum.errors import BadInput
from spectrum.report import ChannelReport
from spectrum.site_file import parse_site

NOW = 1_800_000_000.0
SITE = parse_site('[site]\nname = "s"\n[controller]\nhorizon_s = 1.0\nstatus_max_age_s = 2.0\nhold_s = 3.0', "t.toml")


@pytest.fixture(params=["memory", "redis"])
def database(request: pytest.FixtureRequest) -> Iterator[ChannelStatusDatabase]:
    """Both doors: the recorded bytes are the same."""
    if request.param == "memory":
        yield MemoryDatabase()
        return
    with private_server() as url:
        door = connect(url)
        yield door
        door.close()


def busy_hours(database: ChannelStatusDatabase, policy: str) -> list[bytes]:
    """A stream with fresh, held and silent sensing, copies, duty cycles, renewals, releases and expiries."""
    site = msgspec.structs.replace(SITE, controller=msgspec.structs.replace(SITE.controller, policy=policy))
    allocator, rng = Allocator(site, database), Random(3)
    allocator.begin(NOW)
    cells = (*site.spectrum.lora, *site.spectrum.sigfox)
    for step in range(60):
        now_s = NOW + 0.25 * step
        if step < 30 or step > 55:
            reports = [
                ChannelReport(
                    "x", now_s, 0.01, c.center_hz, c.bandwidth_hz, -41.0 + rng.expovariate(1.0), -41.0, -39.0, None,
                    rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.2), False, rng.random(), 0.1,
                )
                for c in cells
            ]  # fmt: skip
            database.publish("s", reports)
        asks = [
            Ask(f"r{step}-{i}", f"dev-{rng.randrange(9)}", "gw", "lora", rng.uniform(0.05, 2.0), 1, rng.random() < 0.5)
            for i in range(3)
        ]
        asks.append(Ask(f"q{step}", f"sig-{rng.randrange(3)}", "gw", "sigfox", 1.76, 3))
        leases = [lease for answer in allocator.answer(asks, now_s) for lease in answer.leases]
        for lease in leases:
            what = rng.randrange(4)
            if what == 0:
                allocator.confirm(lease.lease_id, now_s)
            elif what == 1:
                allocator.renew(lease.lease_id, lease.end_s + 1.0, now_s)
            elif what == 2:
                allocator.release(lease.lease_id, "enough", now_s)
        allocator.expire(now_s)
    return [entry.value for entry in database.read("s", "events", count=100_000)]


@pytest.mark.parametrize("policy", ["algorithm1", "random", "posterior", "least-loaded", "round-robin"])
def test_decisions_are_repeated_byte_for_byte(database: ChannelStatusDatabase, policy: str) -> None:
    stream = busy_hours(database, policy)
    found = replay(stream)
    assert found.differences == []
    assert found.unknown == 0
    assert found.same > 150
    kinds = {msgspec.json.decode(line)["event"] for line in stream}
    granted = {"granted"} if policy != "random" else set()  # random access asks nobody, so it is never exclusive
    assert kinds >= granted | {
        "site", "snapshot", "forced", "confirmed", "renewed", "released", "expired", "sensing",
    }  # fmt: skip


def test_a_changed_decision_is_noticed() -> None:
    stream = busy_hours(MemoryDatabase(), "algorithm1")
    number = next(i for i, line in enumerate(stream) if b'"attempt":2' in line)
    stream[number] = stream[number].replace(b'"attempt":2', b'"attempt":1')
    assert [difference.line for difference in replay(stream).differences] == [number + 1]


def test_a_stream_without_its_beginning_says_what_it_cannot_repeat() -> None:
    stream = [line for line in busy_hours(MemoryDatabase(), "algorithm1") if b'"event":"snapshot"' not in line]
    found = replay(stream)
    assert found.unknown == found.decisions > 0
    assert found.differences == []


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"event":"granted"}', b"\xff", b'{"event":"site","at_us":"1"}'])
def test_what_is_no_event_is_one_clear_error(line: bytes) -> None:
    with pytest.raises(BadInput, match="line 1 is no event"):
        replay([line])
