"""Leases become the fewest MAC commands; refusals are remembered; a device that backs off is seen."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_agent.lorawan import steering
from gateway_agent.lorawan.mac_commands import LinkADRReq, NewChannelReq, encode
from gateway_agent.lorawan.steering import DeviceState, Plan
from testbed.lorawan_device import LorawanDevice

EXTRAS_HZ = (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)
ALL_HZ = (868_100_000, 868_300_000, 868_500_000, *EXTRAS_HZ)


def test_a_device_that_has_what_it_should_is_told_nothing() -> None:
    state = DeviceState(data_rate=5)
    assert steering.next_commands(state, Plan((868_100_000, 868_300_000, 868_500_000))) == ()


def test_known_channels_need_one_command_and_unknown_ones_come_first() -> None:
    state = DeviceState(data_rate=5)
    assert steering.next_commands(state, Plan((868_100_000, 868_500_000))) == (LinkADRReq(5, 0, 0b101),)
    # two NewChannelReq are 12 bytes, and a third does not fit into 15
    first = steering.next_commands(state, Plan(EXTRAS_HZ))
    assert first == (NewChannelReq(3, 867_100_000), NewChannelReq(4, 867_300_000))
    assert len(encode(first)) == 12


def test_1_0_4_keeps_rate_and_power_by_15_and_1_0_3_repeats_what_was_heard() -> None:
    new = DeviceState(keeps_with_15=True)
    assert steering.next_commands(new, Plan((868_100_000,))) == (LinkADRReq(15, 15, 0b001),)
    old = DeviceState()
    assert steering.next_commands(old, Plan((868_100_000,))) == ()  # never heard: nothing to repeat
    old, _ = steering.heard_on(old, 868_100_000, 3)
    assert steering.next_commands(old, Plan((868_100_000,))) == (LinkADRReq(3, 0, 0b001),)


def test_steered_devices_hop_only_where_they_should(loop_with: Callable[..., Any]) -> None:
    loop = loop_with(cf_list_hz=EXTRAS_HZ)
    loop.plan = Plan((867_500_000, 868_500_000), duty_cycle_exponent=7)
    for _ in range(4):
        loop.exchange()
    assert loop.device.enabled_hz == {867_500_000, 868_500_000}
    assert loop.device.duty_cycle_exponent == 7
    assert loop.session.state.enabled_hz == loop.device.enabled_hz
    before = loop.session.down
    for _ in range(20):
        loop.exchange()
    assert loop.session.down == before, "a device that has obeyed is left alone"
    assert any("LinkADRReq" in detail and detail.endswith("answered 07") for _, _, detail in loop.told)


def test_a_refused_frequency_is_not_asked_again_and_the_rest_of_the_plan_holds(loop_with: Callable[..., Any]) -> None:
    loop = loop_with(tunes=lambda center_hz: center_hz >= 868_000_000)
    loop.plan = Plan((867_500_000, 868_500_000))
    for _ in range(70):
        loop.exchange()
    assert loop.device.refusals == 1
    assert loop.session.state.refused == ("frequency:867500000",)
    assert loop.device.enabled_hz == {868_500_000}


@pytest.mark.parametrize(
    ("options", "plan", "refused"),
    [
        ({"lowest_power": 5}, Plan((868_100_000,), tx_power=7), "power:7"),
        ({"most_data_rate": 4, "data_rate": 3}, Plan((868_100_000,), data_rate=5), "data_rate:5"),
        ({"most_data_rate": 4, "data_rate": 3}, Plan((867_100_000, 868_100_000)), "range:867100000:0:5"),
    ],
)
def test_each_refusal_is_remembered_once(
    loop_with: Callable[..., Any], options: dict[str, Any], plan: Plan, refused: str
) -> None:
    loop = loop_with(**options)
    loop.plan = plan
    for _ in range(100):
        loop.exchange()
    assert loop.device.refusals == 1
    assert refused in loop.session.state.refused
    assert loop.device.enabled_hz == {868_100_000}, "what it can do of the plan, it does"


def test_a_mask_is_refused_when_the_device_has_lost_its_channels_and_they_are_defined_again(
    loop_with: Callable[..., Any],
) -> None:
    loop = loop_with(cf_list_hz=EXTRAS_HZ)
    loop.exchange()
    loop.device.channels = LorawanDevice._defaults()
    loop.device.mask = 0b111
    loop.plan = Plan((867_100_000, 867_500_000))
    for _ in range(12):
        loop.exchange()
    assert loop.device.enabled_hz == {867_100_000, 867_500_000}
    assert loop.device.refusals == 1


def test_a_silent_device_is_asked_less_and_less(loop_with: Callable[..., Any]) -> None:
    loop = loop_with()
    loop.plan = Plan((868_500_000,))
    for _ in range(256):
        loop.exchange(down_lost=True)
    asked = loop.network.counts["commands_LinkADRReq"]
    assert 5 <= asked <= 11
    for _ in range(128):
        loop.exchange()
    assert loop.device.enabled_hz == {868_500_000}


def test_back_off_is_seen_on_a_masked_channel_and_the_device_steered_again(loop_with: Callable[..., Any]) -> None:
    loop = loop_with(data_rate=0)
    loop.plan = Plan((868_500_000,))
    for _ in range(4):
        loop.exchange()
    assert loop.device.enabled_hz == {868_500_000}
    for _ in range(80):
        loop.exchange(up_lost=True)
    assert loop.device.enabled_hz == {868_500_000}
    for _ in range(40):
        loop.exchange(up_lost=True)
    assert loop.device.enabled_hz == {868_100_000, 868_300_000, 868_500_000}, "the device has backed off"
    whys = []
    for _ in range(12):
        heard = loop.exchange()
        whys.append(heard.wants_plan)
    assert {"adr-ack-req", "masked-channel"} & set(whys)
    assert loop.device.enabled_hz == {868_500_000}, "it was brought back"


def test_an_uplink_on_a_masked_default_channel_is_back_off() -> None:
    state = DeviceState(mask=0b100)
    after, masked = steering.heard_on(state, 868_100_000, 0)
    assert masked
    assert after.enabled_hz == {868_100_000, 868_300_000, 868_500_000}
    # unless a LinkADRReq has just allowed it and only the answer was lost
    asked = (LinkADRReq(0, 0, 0b001).encode().hex(),)
    after, masked = steering.heard_on(state, 868_100_000, 0, asked)
    assert not masked
    assert after.enabled_hz == {868_100_000, 868_500_000}


def test_adr_ack_req_is_answered_and_the_mask_told_again(loop_with: Callable[..., Any]) -> None:
    loop = loop_with()
    loop.plan = Plan((868_500_000,))
    for _ in range(4):
        loop.exchange()
    before = loop.network.counts["commands_LinkADRReq"]
    whys = [loop.exchange().wants_plan for _ in range(66)]
    assert whys.count("adr-ack-req") == 1
    assert loop.network.counts["commands_LinkADRReq"] == before + 1
    assert loop.device.unanswered <= 6


def test_an_unasked_answer_is_recorded_and_changes_nothing() -> None:
    from gateway_agent.lorawan.mac_commands import LinkADRAns

    state, recorded = steering.after_uplink(DeviceState(), [LinkADRAns(True, True, True)])
    assert recorded == ("unasked answer 0307",)
    assert state.mask == 0b111


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plans=st.lists(st.sets(st.sampled_from(ALL_HZ), min_size=1).map(lambda s: Plan(tuple(s))), min_size=1, max_size=4),
    seed=st.integers(0, 10_000),
    refuses=st.sets(st.sampled_from(EXTRAS_HZ)),
    version=st.sampled_from(["1.0.3", "1.0.4"]),
    loss=st.sampled_from([0.0, 0.3]),
)
def test_whatever_is_refused_or_lost_belief_and_device_meet(
    plans: list[Plan], seed: int, refuses: set[int], version: str, loss: float, loop_with: Callable[..., Any]
) -> None:
    loop = loop_with(tunes=lambda hz: hz not in refuses, seed=seed, version=version)
    rng = Random(seed)
    for plan in plans:
        loop.plan = plan
        for _ in range(12):
            loop.exchange(down_lost=rng.random() < loss, up_lost=rng.random() < loss)
        for _ in range(130):
            loop.exchange()
        possible = set(plan.centers_hz) - refuses
        if possible:
            assert loop.device.enabled_hz == possible
        assert loop.session.state.enabled_hz == loop.device.enabled_hz
    assert loop.device.refusals <= len(refuses) * 2
