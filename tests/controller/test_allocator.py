"""The allocator over the in-memory database: Algorithm 1 as a whole, refusals, copies, silence, determinism."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_status import records
from channel_status.memory import MemoryDatabase
from channel_status.protocol import DatabaseAway, Grant, LeaseOrder
from controller.allocator import Allocator
from controller.requests import Answer, Ask
from controller.transmitters import regulated_by
from spectrum.report import ChannelReport
from spectrum.site_file import Site, parse_site
from spectrum.status import Lease

NOW = 1_800_000_000.0
SITE = parse_site('[site]\nname = "s"\n[controller]\nattempts = 5\nhorizon_s = 2.0', "test.toml")


def report(center_hz: float, *, busy: bool = False, time_s: float = NOW, bandwidth_hz: float = 125e3) -> ChannelReport:
    """A report on one subchannel."""
    energy_dbfs = -30.0 if busy else -41.0
    return ChannelReport(
        "x", time_s, 0.01, center_hz, bandwidth_hz, energy_dbfs, -41.0, -40.0, None, 0.2, 0.1, busy, 0.1, 0.19
    )


def sensed(database: MemoryDatabase, site: Site = SITE, busy_hz: tuple[float, ...] = (), time_s: float = NOW) -> None:
    """Publish a report for every subchannel of the site."""
    cells = (*site.spectrum.lora, *site.spectrum.sigfox)
    database.publish(
        site.name,
        [report(c.center_hz, busy=c.center_hz in busy_hz, time_s=time_s, bandwidth_hz=c.bandwidth_hz) for c in cells],
    )


def ask(number: int, **changes: object) -> Ask:
    """A LoRa ask of 100 ms."""
    return msgspec.structs.replace(Ask(f"r{number}", f"dev-{number}", "gw", "lora", 0.1), **changes)


def with_controller(**changes: object) -> Site:
    """SITE with other values in its controller table."""
    return msgspec.structs.replace(SITE, controller=msgspec.structs.replace(SITE.controller, **changes))


def leases_of(answers: tuple[Answer, ...]) -> list[Lease]:
    """All leases of all answers."""
    return [lease for answer in answers for lease in answer.leases]


def test_busy_subchannels_are_never_given_while_others_are_idle() -> None:
    database = MemoryDatabase()
    busy_hz = (867.1e6, 868.3e6, 868.5e6)
    sensed(database, busy_hz=busy_hz)
    leases = leases_of(Allocator(SITE, database).answer([ask(i, keeps_time=True) for i in range(60)], NOW))
    assert len(leases) == 60
    assert not {lease.subchannel.center_hz for lease in leases} & set(busy_hz)


def test_all_busy_forces_blindly() -> None:
    database = MemoryDatabase()
    sensed(database, busy_hz=tuple(c.center_hz for c in SITE.spectrum.lora))
    (answer,) = Allocator(SITE, database).answer([ask(1)], NOW)
    assert answer.leases[0].forced
    assert not records.decode(database.decision("s", "dev-1") or b"")["why"]["anything_idle"]


def test_a_lease_covers_airtime_and_guard_and_starts_at_once_without_time() -> None:
    database = MemoryDatabase()
    sensed(database)
    (plain, slotted) = Allocator(SITE, database).answer([ask(1), ask(2, keeps_time=True)], NOW)
    assert plain.leases[0].start_s == NOW
    assert plain.leases[0].end_s == pytest.approx(NOW + 0.1 + SITE.controller.guard_s)
    slot_s = 0.1 + SITE.controller.guard_s
    assert NOW <= slotted.leases[0].start_s < NOW + 2.0
    assert slotted.leases[0].end_s - slotted.leases[0].start_s == pytest.approx(slot_s, abs=1e-6)
    assert slotted.leases[0].start_s / slot_s == pytest.approx(round(slotted.leases[0].start_s / slot_s), abs=1e-4)


def test_sigfox_copies_follow_each_other_on_different_subchannels() -> None:
    database = MemoryDatabase()
    sensed(database)
    (answer,) = Allocator(SITE, database).answer([ask(1, technology="sigfox", airtime_s=1.76, copies=3)], NOW)
    first, second, third = answer.leases
    assert len({lease.subchannel for lease in answer.leases}) == 3
    assert first.end_s <= second.start_s
    assert second.end_s <= third.start_s


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"airtime_s": 0.0}, "above 0"),
        ({"airtime_s": float("nan")}, "above 0"),
        ({"airtime_s": 1e9}, "at most 3600"),
        ({"copies": 4}, "1 to 3 copies"),
        ({"device": ""}, "1 to 128 printable"),
    ],
)
def test_invalid_asks_are_refused_and_take_nobody_down(wrong: dict[str, object], message: str) -> None:
    database = MemoryDatabase()
    sensed(database)
    bad, good = Allocator(SITE, database).answer([ask(1, **wrong), ask(2)], NOW)
    assert bad.refusal is not None
    assert bad.refusal.reason == "invalid"
    assert message in bad.refusal.message
    assert good.leases


def test_the_duty_cycle_refuses_with_the_time_to_ask_again() -> None:
    database = MemoryDatabase()
    sensed(database)
    allocator = Allocator(with_controller(longest_lease_s=7200.0), database)
    # Sub-bands M and L allow 36 s an hour each.
    granted = [allocator.answer([ask(i, device="d", airtime_s=9.0)], NOW + 20 * i)[0] for i in range(9)]
    sensed(database, time_s=NOW + 200)
    refused = allocator.answer([ask(99, device="d", airtime_s=9.0)], NOW + 200)[0]
    assert sum(bool(answer.leases) for answer in granted) == 8
    assert refused.refusal is not None
    assert refused.refusal.reason == "duty_cycle"
    assert refused.refusal.retry_at_s is not None
    assert NOW + 3000 < refused.refusal.retry_at_s < NOW + 3700
    sensed(database, time_s=refused.refusal.retry_at_s)
    again = allocator.answer([ask(100, device="d", airtime_s=9.0)], refused.refusal.retry_at_s)[0]
    assert again.leases


def granted_airtime_s(answers: list[Answer], airtime_s: float) -> dict[str, float]:
    """Airtime of the granted leases by sub-band."""
    bands = Counter(regulated_by(lease.subchannel) for lease in leases_of(tuple(answers)))
    return {band.label: count * airtime_s for band, count in bands.items() if band is not None}


def test_a_device_that_asks_many_times_at_once_stays_within_its_duty_cycle() -> None:
    database = MemoryDatabase()
    sensed(database)
    answers = Allocator(SITE, database).answer([ask(i, device="d", airtime_s=9.0) for i in range(20)], NOW)
    # Sub-bands M and L allow 36 s an hour each: four of nine seconds.
    assert granted_airtime_s(list(answers), 9.0) == {"M": 36.0, "L": 36.0}
    assert {answer.refusal.reason for answer in answers if answer.refusal} == {"duty_cycle"}


def test_a_request_asked_again_has_its_leases_and_counts_once() -> None:
    database = MemoryDatabase()
    sensed(database)
    allocator = Allocator(SITE, database)
    asks = [ask(i, device="d", airtime_s=9.0) for i in range(8)]
    first = [allocator.answer([one], NOW)[0] for one in asks]
    assert granted_airtime_s(first, 9.0) == {"M": 36.0, "L": 36.0}
    assert [allocator.answer([one], NOW)[0] for one in asks] == first
    copies = ask(50, technology="sigfox", airtime_s=2.0, copies=3)
    assert allocator.answer([copies], NOW) == allocator.answer([copies], NOW)
    assert len(records.decode(database.get("s", "airtime")["dev-50"])["M"]) == 3


class Between(MemoryDatabase):
    """Another controller gets its turn right after the leases of this one are granted and before it counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.turn: Callable[[], None] | None = None

    def allocate(self, site: str, orders: Sequence[LeaseOrder], now_s: float) -> tuple[Grant, ...]:
        grants = super().allocate(site, orders, now_s)
        if self.turn is not None:
            turn, self.turn = self.turn, None
            turn()
        return grants


def test_two_controllers_that_serve_one_device_at_once_keep_its_duty_cycle() -> None:
    database = Between()
    site = parse_site('[site]\nname = "s"\n[spectrum]\nlora_center_hz = [868.1e6, 868.3e6, 868.5e6]', "test.toml")
    sensed(database, site)
    one, other = Allocator(site, database), Allocator(site, database)
    theirs: list[Answer] = []
    # Four fit. One is there already, then two at a time come: the second pair is one too many.
    ours = list(one.answer([ask(99, device="d", airtime_s=9.0)], NOW))
    for i in range(0, 8, 2):
        request = ask(i + 1, device="d", airtime_s=9.0)
        database.turn = lambda request=request: theirs.extend(other.answer([request], NOW))  # type: ignore[misc]
        ours.extend(one.answer([ask(i, device="d", airtime_s=9.0)], NOW))
    assert granted_airtime_s(ours + theirs, 9.0) == {"M": 36.0}
    # What was granted and then undone has gone from the air, with its reason.
    assert {lease.lease_id for lease in database.leases("s", NOW)} == {
        lease.lease_id for lease in leases_of((*ours, *theirs))
    }
    events = [records.decode(entry.value) for entry in database.read("s", "events")]
    undone = [event for event in events if event.get("reason") == "the duty cycle went to another request"]
    assert undone
    assert {answer.refusal.reason for answer in ours + theirs if answer.refusal} == {"duty_cycle"}


def test_two_controllers_that_serve_one_device_at_once_both_count() -> None:
    database = Between()
    sensed(database)
    one, other = Allocator(SITE, database), Allocator(SITE, database)
    theirs: list[Answer] = []
    database.turn = lambda: theirs.extend(other.answer([ask(2, device="d")], NOW))
    one.answer([ask(1, device="d")], NOW)
    sent = records.decode(database.get("s", "airtime")["d"])
    assert sum(map(len, sent.values())) == 2


def test_more_than_an_hour_allows_is_refused_for_good() -> None:
    database = MemoryDatabase()
    sensed(database)
    refusal = Allocator(SITE, database).answer([ask(1, airtime_s=40.0)], NOW)[0].refusal
    assert refusal is not None
    assert (refusal.reason, refusal.retry_at_s) == ("duty_cycle", None)


def test_silence_holds_the_last_good_status_and_then_falls_back_to_random_access() -> None:
    database = MemoryDatabase()
    site = with_controller(status_max_age_s=5.0, hold_s=60.0)
    allocator = Allocator(site, database)
    sensed(database, busy_hz=(868.3e6,))
    told = {}
    for number, later_s in enumerate((0.0, 30.0, 90.0)):
        (answer,) = allocator.answer([ask(number)], NOW + later_s)
        decision = records.decode(database.decision("s", f"dev-{number}") or b"")
        inputs = decision["why"]["inputs"]
        told[later_s] = (inputs["sensing"], inputs["policy"], answer.leases[0].forced)
    assert told[0.0] == ("fresh", "algorithm1", False)
    assert told[30.0] == ("held", "algorithm1", False)
    assert told[90.0] == ("silent", "random", True)


def test_a_database_that_is_away_refuses_and_says_when_to_ask_again() -> None:
    class Away(MemoryDatabase):
        def reports(self, site: str) -> tuple[ChannelReport, ...]:
            raise DatabaseAway("Redis at nowhere does not answer")

    (answer,) = Allocator(SITE, Away()).answer([ask(1)], NOW)
    assert answer.refusal is not None
    assert answer.refusal.reason == "database_away"
    assert answer.refusal.retry_at_s == NOW + 1.0


def test_the_same_asks_over_the_same_database_are_decided_the_same() -> None:
    def decide() -> tuple[Answer, ...]:
        database = MemoryDatabase()
        sensed(database)
        return Allocator(SITE, database).answer([ask(i, keeps_time=i % 2 == 0) for i in range(40)], NOW)

    assert decide() == decide()


def test_a_request_asked_again_gets_its_lease_again() -> None:
    database = MemoryDatabase()
    sensed(database)
    allocator = Allocator(SITE, database)
    first = allocator.answer([ask(1)], NOW)[0]
    again = allocator.answer([ask(1)], NOW + 0.5)[0]
    assert again.leases == first.leases


def test_auto_attempts_grow_with_competition() -> None:
    database = MemoryDatabase()
    sensed(database)
    allocator = Allocator(with_controller(attempts="auto"), database)
    allocator.answer([ask(0, keeps_time=True)], NOW)
    few = records.decode(database.decision("s", "dev-0") or b"")["why"]["inputs"]["attempts"]
    allocator.answer([ask(i, keeps_time=True) for i in range(1, 101)], NOW)
    allocator.answer([ask(500, keeps_time=True)], NOW)
    many = records.decode(database.decision("s", "dev-500") or b"")["why"]["inputs"]["attempts"]
    assert few == 1
    assert many > 3


asks = st.lists(
    st.tuples(
        st.sampled_from(["lora", "sigfox"]),
        st.floats(0.02, 0.5),
        st.booleans(),
        st.floats(0.0, 3.0),
    ),
    min_size=1,
    max_size=60,
)


@given(asks)
@settings(max_examples=60, deadline=None)
def test_unforced_leases_never_share_time_and_spectrum(wanted: list[tuple[str, float, bool, float]]) -> None:
    database = MemoryDatabase()
    sensed(database, busy_hz=(868.5e6,))
    allocator = Allocator(with_controller(status_max_age_s=100.0), database)
    leases = []
    for number, (technology, airtime_s, keeps_time, later_s) in enumerate(wanted):
        copies = 3 if technology == "sigfox" else 1
        request = ask(number, technology=technology, airtime_s=airtime_s, keeps_time=keeps_time, copies=copies)
        leases += leases_of(allocator.answer([request], NOW + later_s))
    unforced = [lease for lease in leases if not lease.forced]
    for i, one in enumerate(unforced):
        for other in unforced[i + 1 :]:
            if one.subchannel.overlap_hz(other.subchannel) > 0.0:
                assert not one.overlaps(other.start_s, other.end_s)
