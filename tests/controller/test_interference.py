"""Subchannels that turn bad under leases: hysteresis, who is told, and what the event stream says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_status import records
from channel_status.memory import MemoryDatabase
from controller.allocator import Allocator
from controller.gateways import Gateways
from controller.interference import BAD_LOOKS, GOOD_LOOKS, InterferenceWatch, Verdict, worth_moving
from controller.operators import Actor, Operators
from controller.requests import Ask
from gateway_agent.wire import controller_pb2 as wire
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.site_file import parse_site
from spectrum.status import Lease

NOW = 1_800_000_000.0
SITE = parse_site('[site]\nname = "s"\n[spectrum]\nlora_center_hz = [868.1e6, 868.3e6]\nsigfox_groups = 0', "t.toml")
BAD, GOOD = SITE.spectrum.lora[1], SITE.spectrum.lora[0]


class Bench:
    """A watch over a database in memory, and what it told the gateways."""

    def __init__(self) -> None:
        self.database = MemoryDatabase()
        self.allocator, self.gateways = Allocator(SITE, self.database), Gateways(SITE, self.database)
        self.sent: list[tuple[str, wire.ControllerMessage]] = []
        self.gateways.send = lambda gateway, message: self.sent.append((gateway, message))
        self.watch = InterferenceWatch(self.allocator, self.gateways, self.database)
        self.now_s = NOW

    def sense(self, occupancy: dict[Subchannel, float]) -> int:
        """One second passes with these shares of busy time; how many leases were warned."""
        self.now_s += 1.0
        self.database.publish(
            "s",
            [
                ChannelReport("roof", self.now_s, 0.01, cell.center_hz, cell.bandwidth_hz, -20.0, -45.0, -40.0, None,
                              0.05, 0.05, True, share, 0.05)
                for cell, share in occupancy.items()
            ],
        )  # fmt: skip
        return self.watch.look(self.now_s)

    def lease(self, device: str, gateway: str, cell: Subchannel, seconds: float = 600.0) -> str:
        """A lease on a subchannel, by asking until it is the one."""
        for i in range(200):
            name = f"{device}-{i}"
            (answer,) = self.allocator.answer([Ask(name, device, gateway, "lora", 0.1)], self.now_s)
            (lease,) = answer.leases
            if lease.subchannel == cell:
                self.allocator.renew(lease.lease_id, self.now_s + seconds, self.now_s)
                return lease.lease_id
            self.allocator.release(lease.lease_id, "not this one", self.now_s)
        raise AssertionError("it was never given")

    def states(self) -> list[str]:
        """States of the interference events, in order."""
        events = [records.decode(entry.value) for entry in self.database.read("s", "events")]
        return [event["state"] for event in events if event["event"] == "interference"]


@pytest.fixture
def bench() -> Bench:
    """A watch with one gateway attached."""
    made = Bench()
    made.gateways.attach("gw", NOW)
    return made


def test_a_lease_on_a_subchannel_that_turns_bad_is_warned_once_and_again_later(bench: Bench) -> None:
    bench.sense({BAD: 0.05, GOOD: 0.05})
    lease_id = bench.lease("d", "gw", BAD)
    bench.lease("e", "gw", GOOD)
    warned = [bench.sense({BAD: 0.9, GOOD: 0.05}) for _ in range(BAD_LOOKS + 12)]
    assert warned[: BAD_LOOKS - 1] == [0] * (BAD_LOOKS - 1), "a burst moves nobody"
    assert warned[BAD_LOOKS - 1] == 1
    assert sum(warned) == 2, "told again after a while: the message may have been lost"
    gateway, message = bench.sent[0]
    assert (gateway, [warning.lease_id for warning in message.warnings]) == ("gw", [lease_id])
    assert message.warnings[0].reason == "868.300MHz/125kHz has turned bad: busy 90% of the time"
    assert bench.states() == ["bad"]


def test_it_turns_good_only_after_a_longer_quiet(bench: Bench) -> None:
    for _ in range(BAD_LOOKS):
        bench.sense({BAD: 0.9, GOOD: 0.05})
    for _ in range(GOOD_LOOKS - 1):
        bench.sense({BAD: 0.1, GOOD: 0.05})
    assert bench.watch.bad == {BAD}
    bench.sense({BAD: 0.4, GOOD: 0.05})
    for _ in range(GOOD_LOOKS):
        assert bench.watch.bad == {BAD}
        bench.sense({BAD: 0.1, GOOD: 0.05})
    assert not bench.watch.bad
    assert bench.states() == ["bad", "good"]


def test_nobody_is_warned_without_a_better_subchannel_or_from_afar_or_for_a_packet(bench: Bench) -> None:
    bench.sense({BAD: 0.05, GOOD: 0.05})
    bench.lease("packet", "gw", BAD, seconds=5.0)
    bench.lease("far", "elsewhere", BAD)
    for _ in range(BAD_LOOKS):
        assert bench.sense({BAD: 0.9, GOOD: 0.05}) == 0
    bench.lease("d", "gw", BAD)
    for _ in range(30):
        bench.sense({BAD: 0.9, GOOD: 0.9})
    before = len(bench.sent)
    for _ in range(30):
        assert bench.sense({BAD: 0.9, GOOD: 0.9}) == 0, "all are bad: nothing is gained by moving"
    assert len(bench.sent) == before


def test_what_operators_have_pinned_is_left_to_its_holders(bench: Bench) -> None:
    bench.sense({BAD: 0.05, GOOD: 0.05})
    bench.lease("d", "gw", BAD)
    Operators(bench.database, "s", (BAD, GOOD)).set_rule("pin", records.subchannel_key(BAD), Actor("ann"), bench.now_s)
    bench.allocator.follow_operators()
    for _ in range(BAD_LOOKS + 20):
        assert bench.sense({BAD: 0.9, GOOD: 0.05}) == 0


def test_silent_sensors_change_nothing(bench: Bench) -> None:
    for _ in range(BAD_LOOKS - 1):
        bench.sense({BAD: 0.9, GOOD: 0.05})
    for _ in range(10):
        bench.now_s += 60.0
        bench.watch.look(bench.now_s)
    assert not bench.watch.bad


@given(st.lists(st.floats(0.0, 1.0), max_size=120))
def test_a_verdict_never_turns_faster_than_its_looks(shares: list[float]) -> None:
    verdict, since = Verdict(), 10**6
    for share in shares:
        former, verdict, since = verdict, verdict.after(share), since + 1
        if verdict.bad != former.bad:
            assert since >= (BAD_LOOKS if verdict.bad else GOOD_LOOKS)
            since = 0


def test_only_leases_whose_own_kind_has_something_better_are_worth_moving() -> None:
    lora, group = Subchannel(868.1e6, 125e3), Subchannel(868.13e6, 16e3)
    leases = [
        Lease(str(i), "d", "gw", cell, NOW, NOW + 100.0, 1, False, "granted") for i, cell in enumerate((lora, group))
    ]
    assert worth_moving(leases, {lora, group}, [(lora, Subchannel(868.3e6, 125e3)), (group,)], NOW) == leases[:1]
