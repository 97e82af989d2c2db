"""The agent between a gateway and the controller: leases, copies, TX_ACK errors, and a controller that is away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway_agent.gateway_door import Acknowledged, Uplinks
from gateway_agent.leased import MOST_REPLACED
from gateway_agent.lorawan_agent import LorawanAgent
from gateway_agent.semtech_udp import Received, Transmit
from gateway_agent.wire import controller_pb2 as wire
from spectrum.errors import BadInput
from spectrum.site_file import LorawanTable, parse_site

NEAR, FAR = bytes(7) + b"\1", bytes(7) + b"\2"


class Gateways:
    """A door whose events are put in by hand."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.events: list[Uplinks | Acknowledged] = []
        self.sent: list[tuple[bytes, Transmit]] = []

    def poll(self, timeout_s: float) -> list[Uplinks | Acknowledged]:
        """What was put in."""
        events, self.events = self.events, []
        return events

    def send(self, gateway: bytes, transmit: Transmit) -> int | None:
        """Remember."""
        self.sent.append((gateway, transmit))
        return len(self.sent)

    def last_heard_s(self) -> float | None:
        """Never asked here."""
        return None

    def close(self) -> None:
        """Nothing to close."""


class Controller:
    """Answers with leases on the named subchannels, or not at all when there are none."""

    def __init__(self) -> None:
        self.centers_hz: list[int] = []
        self.asked: list[wire.LeaseRequest] = []
        self.said: list[tuple[str, str]] = []
        self.reports: list[wire.Uplink] = []

    def request(
        self, request: wire.LeaseRequest, answered: Callable[[wire.LeaseAnswer], None], patience_s: float
    ) -> None:
        """Answer at once."""
        self.asked.append(request)
        leases = [
            wire.Lease(lease_id=f"{len(self.asked)}.{hz}", subchannel_hz=hz, bandwidth_hz=125_000)
            for hz in self.centers_hz
        ]
        answered(wire.LeaseAnswer(leases=leases, refusal=None if leases else wire.Refusal(message="away")))

    def confirm(self, lease_id: str) -> None:
        """Remember."""
        self.said.append(("confirm", lease_id))

    def renew(self, lease_id: str, end_s: float) -> None:
        """Remember."""
        self.said.append(("renew", lease_id))

    def release(self, lease_id: str, reason: str) -> None:
        """Remember."""
        self.said.append((reason, lease_id))

    def report(self, uplink: wire.Uplink) -> None:
        """Remember."""
        self.reports.append(uplink)

    def give_up_overdue(self) -> int:
        """Nobody waits."""
        return 0


class Bench:
    """An agent with one device that has joined, and a clock in our hand."""

    def __init__(self, loop: Any) -> None:
        self.loop, self.door, self.link, self.now_s = loop, Gateways(), Controller(), 1000.0
        self.told: list[tuple[str, str, str]] = []
        self.agent = LorawanAgent(
            self.door, loop.network, self.link, LorawanTable(), clock=lambda: self.now_s,
            tell=lambda *event: self.told.append(event),
        )  # fmt: skip

    def uplink(self, gateways: dict[bytes, float], *, confirmed: bool = False) -> list[tuple[bytes, Transmit]]:
        """One uplink that gateways hear with an SNR each; the downlinks that follow."""
        sent = self.loop.device.send(b"x", confirmed=confirmed)
        heard = Received(sent.frame, 5_000_000, sent.center_hz, sent.datr, -90.0, 0.0)
        self.door.events += [Uplinks(name, (replace(heard, snr_db=snr_db),)) for name, snr_db in gateways.items()]
        before = len(self.door.sent)
        self.turn(0.0)
        self.turn(0.25)
        for _, transmit in self.door.sent[before:]:
            self.loop.device.hear(transmit.frame)
        return self.door.sent[before:]

    def turn(self, seconds: float) -> None:
        """Let time pass and the agent work."""
        self.now_s += seconds
        self.agent.step(0.0)


@pytest.fixture
def bench(loop_with: Callable[..., Any]) -> Bench:
    """An agent and a device that has joined."""
    return Bench(loop_with())


def test_a_lease_that_comes_in_time_goes_out_in_the_same_window(bench: Bench) -> None:
    bench.link.centers_hz = [868_500_000]
    ((gateway, transmit),) = bench.uplink({NEAR: 5.0})
    assert gateway == NEAR
    assert transmit.tmst == 6_000_000, "RX1"
    bench.uplink({NEAR: 5.0})
    assert bench.loop.device.enabled_hz == {868_500_000}
    assert ("renew", "1.868500000") in bench.link.said
    assert ("confirm", "1.868500000") in bench.link.said


def test_copies_of_a_frame_count_once_and_the_best_gateway_answers(bench: Bench) -> None:
    ((gateway, _),) = bench.uplink({FAR: -5.0, NEAR: 7.0}, confirmed=True)
    assert gateway == NEAR
    assert len(bench.link.reports) == 1
    assert bench.agent.counts["copies"] == 1


@pytest.mark.parametrize("error", ["TOO_LATE", "COLLISION_PACKET", "TX_FREQ"])
def test_what_rx1_refuses_goes_to_rx2_and_then_waits(bench: Bench, error: str) -> None:
    bench.uplink({NEAR: 5.0}, confirmed=True)
    bench.door.events.append(Acknowledged(1, error))
    bench.turn(0.01)
    first, second = (transmit for _, transmit in bench.door.sent)
    assert (second.center_hz, second.datr, second.frame) == (869_525_000, "SF12BW125", first.frame)
    bench.door.events.append(Acknowledged(2, error))
    bench.turn(0.01)
    assert len(bench.door.sent) == 2, "there is no third window and no retry"
    assert bench.agent.counts["downlinks_without_window"] == 1
    bench.door.events.append(Acknowledged(1, "NONE"))
    bench.door.events.append(Acknowledged(99, "TOO_LATE"))
    bench.turn(0.01)
    assert len(bench.door.sent) == 2


def test_a_plan_holds_while_the_controller_is_away(bench: Bench) -> None:
    bench.link.centers_hz = [868_500_000]
    for _ in range(3):
        bench.uplink({NEAR: 5.0})
    bench.link.centers_hz = []
    bench.now_s += 2000.0
    for _ in range(3):
        assert bench.uplink({NEAR: 5.0}) == []
    assert ("its time is over", "1.868500000") in bench.link.said
    assert bench.loop.device.enabled_hz == {868_500_000}
    bench.link.centers_hz = [868_100_000]
    for _ in range(3):
        bench.uplink({NEAR: 5.0})
    assert bench.loop.device.enabled_hz == {868_100_000}


def test_a_device_that_refuses_every_plan_is_left_in_peace(loop_with: Callable[..., Any]) -> None:
    bench = Bench(loop_with(tunes=lambda hz: hz >= 868_000_000))
    bench.link.centers_hz = [867_100_000]
    for _ in range(60):
        bench.now_s += 10.0
        bench.uplink({NEAR: 5.0})
    assert bench.loop.device.refusals == 1
    assert len(bench.link.asked) <= 10


def steered(bench: Bench, centers_hz: list[int]) -> None:
    """Let the device get leases on these subchannels and obey."""
    bench.link.centers_hz = centers_hz
    for _ in range(3):
        bench.uplink({NEAR: 5.0})
    assert bench.loop.device.enabled_hz == set(centers_hz)


def test_a_warned_subchannel_is_left_and_replaced_in_the_middle_of_a_lease(bench: Bench) -> None:
    steered(bench, [868_100_000, 868_300_000, 868_500_000])
    bench.link.centers_hz = [867_100_000]
    bench.agent.hear_controller(wire.LeaseWarning(lease_id="1.868300000", reason="busy 90% of the time"))
    for _ in range(3):
        bench.uplink({NEAR: 5.0})
    assert bench.loop.device.enabled_hz == {868_100_000, 868_500_000, 867_100_000}
    assert ("busy 90% of the time", "1.868300000") in bench.link.said
    assert bench.link.asked[-1].copies == 1, "one subchannel in place of the bad one, the others stay"
    assert len(bench.link.asked) == 2
    assert {"lease-warned", "lease-given-up", "plan"} <= {event for _, event, _ in bench.told}


def test_while_nothing_better_comes_the_device_keeps_to_what_is_left(bench: Bench) -> None:
    steered(bench, [868_300_000, 868_500_000])
    bench.link.centers_hz = []
    bench.agent.hear_controller(wire.LeaseWarning(lease_id="1.868300000", reason="bad"))
    for _ in range(3):
        bench.uplink({NEAR: 5.0})
    assert bench.loop.device.enabled_hz == {868_500_000}
    bench.agent.hear_controller(wire.LeaseWarning(lease_id="1.868500000", reason="bad"))
    for _ in range(3):
        bench.uplink({NEAR: 5.0})
    assert bench.loop.device.enabled_hz == {868_500_000}, "with nothing left the plan holds"
    bench.link.centers_hz = [867_300_000]
    for _ in range(3):
        bench.uplink({NEAR: 5.0})
    assert bench.loop.device.enabled_hz == {867_300_000}


def test_a_lease_on_what_was_just_left_is_given_back(bench: Bench) -> None:
    steered(bench, [868_300_000, 868_500_000])
    bench.link.centers_hz = [868_300_000]
    bench.agent.hear_controller(wire.LeaseWarning(lease_id="1.868300000", reason="bad"))
    for _ in range(3):
        bench.uplink({NEAR: 5.0})
    assert bench.loop.device.enabled_hz == {868_500_000}
    assert ("of no use: the device has this subchannel, or has just left it", "2.868300000") in bench.link.said
    assert len(bench.link.asked) == 2, "and not asked for again before the lease ends"


def test_a_refused_renewal_is_noticed_and_another_subchannel_asked_for(bench: Bench) -> None:
    steered(bench, [868_300_000, 868_500_000])
    bench.link.centers_hz = [867_500_000]
    bench.agent.hear_controller(wire.LeaseChange(lease_id="1.868300000"))
    for _ in range(3):
        bench.uplink({NEAR: 5.0})
    assert bench.loop.device.enabled_hz == {867_500_000, 868_500_000}
    assert not [said for said in bench.link.said if said[1] == "1.868300000" and said[0] not in ("renew", "confirm")]
    assert "lease-lost" in {event for _, event, _ in bench.told}


def test_replacing_ends_with_a_bound_and_begins_again_with_the_next_lease(bench: Bench) -> None:
    steered(bench, [868_300_000])
    for turn in range(40):
        bench.link.centers_hz = [868_100_000 if turn % 2 else 868_500_000]
        for lease_id in list(bench.agent.leases["meter"].subchannels_hz):
            bench.agent.hear_controller(wire.LeaseChange(lease_id=lease_id))
        bench.uplink({NEAR: 5.0})
    assert len(bench.link.asked) <= 1 + MOST_REPLACED + 1
    bench.now_s += 2000.0
    bench.uplink({NEAR: 5.0})
    bench.uplink({NEAR: 5.0})
    assert len(bench.link.asked) > 1 + MOST_REPLACED


def test_a_renewal_that_was_cut_short_ends_the_lease_earlier(bench: Bench) -> None:
    steered(bench, [868_500_000])
    lease = wire.Lease(lease_id="1.868500000", end_us=round((bench.now_s + 60) * 1e6))
    bench.agent.hear_controller(wire.LeaseChange(lease_id=lease.lease_id, lease=lease))
    bench.now_s += 61.0
    bench.uplink({NEAR: 5.0})
    assert ("its time is over", lease.lease_id) in bench.link.said


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ('name = "a"', "needs its dev_eui"),
        ('name = "a"\ndev_eui = "12"', "dev_eui"),
        ('name = "a"\ndev_eui = "1122334455667788"\nactivation = "abp"', "needs its dev_addr"),
        ('name = "a"\ndev_eui = "1122334455667788"\nactivation = "abp"\nlorawan = "1.1"', "abp and 1.1"),
        ('name = "a"\ndev_eui = "1122334455667788"\napp_key = "00"', "app_key"),
    ],
)
def test_a_wrong_device_in_the_site_file_is_one_line(device: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_site(f'[site]\nname = "s"\n[[device]]\n{device}', "site.toml")
