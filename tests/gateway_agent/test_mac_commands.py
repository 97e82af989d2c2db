"""MAC commands held against bytes derived by hand from the layouts of the specification, section 5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_agent.lorawan import mac_commands
from gateway_agent.lorawan.frames import BadFrame
from gateway_agent.lorawan.mac_commands import (
    Answer,
    DeviceTimeAns,
    DutyCycleAns,
    DutyCycleReq,
    LinkADRAns,
    LinkADRReq,
    LinkCheckAns,
    LinkCheckReq,
    NewChannelAns,
    NewChannelReq,
    Request,
)

GOLDEN_REQUESTS = [
    # 07 | index 3 | 867.1 MHz = 8,671,000 x 100 Hz = 0x844F18 -> 18 4F 84 | max DR 5 << 4 | min DR 0 = 50
    (NewChannelReq(3, 867_100_000), "0703184f8450"),
    # 07 | index 15 | 868.8 MHz = 8,688,000 = 0x849180 -> 80 91 84 | max 3 << 4 | min 1 = 31
    (NewChannelReq(15, 868_800_000, 1, 3), "070f80918431"),
    # 07 | index 4 | 0 Hz disables -> 00 00 00 | 50
    (NewChannelReq(4, 0), "070400000050"),
    # 03 | DR 5 << 4 | power 1 = 51 | channels 0, 2, 3 = 0b1101 = 0x000D -> 0D 00 | ChMaskCntl 0 << 4 | NbTrans 1 = 01
    (LinkADRReq(5, 1, 0b1101), "03510d0001"),
    # 03 | keep, keep = FF | channel 15 alone = 0x8000 -> 00 80 | 0 << 4 | NbTrans 3 = 03
    (LinkADRReq(15, 15, 0x8000, nb_trans=3), "03ff008003"),
    # 03 | DR 0, power 7 = 07 | mask unused 00 00 | ChMaskCntl 6 << 4 | NbTrans 1 = 61
    (LinkADRReq(0, 7, 0, mask_control=6), "0307000061"),
    # 04 | 1/2^7 = 0.8 %: 07
    (DutyCycleReq(7), "0407"),
    # 02 | margin 20 dB = 14 | one gateway = 01
    (LinkCheckAns(20, 1), "021401"),
    # 0D | 1,400,000,000 s = 0x53724E00 -> 00 4E 72 53 | half a second = 128/256 = 80
    (DeviceTimeAns(1_400_000_000, 128), "0d004e725380"),
]

GOLDEN_ANSWERS = [
    # 03 | bit 0 mask, bit 1 data rate, bit 2 power: every combination, all but 07 a refusal
    (LinkADRAns(True, True, True), "0307"),
    (LinkADRAns(False, True, True), "0306"),
    (LinkADRAns(True, False, True), "0305"),
    (LinkADRAns(True, True, False), "0303"),
    (LinkADRAns(False, False, True), "0304"),
    (LinkADRAns(False, True, False), "0302"),
    (LinkADRAns(True, False, False), "0301"),
    (LinkADRAns(False, False, False), "0300"),
    # 07 | bit 0 frequency, bit 1 data rates
    (NewChannelAns(True, True), "0703"),
    (NewChannelAns(False, True), "0702"),
    (NewChannelAns(True, False), "0701"),
    (NewChannelAns(False, False), "0700"),
    (DutyCycleAns(), "04"),
    (LinkCheckReq(), "02"),
]


@pytest.mark.parametrize(("command", "golden"), GOLDEN_REQUESTS)
def test_requests_byte_by_byte(command: Request, golden: str) -> None:
    assert command.encode().hex() == golden
    assert mac_commands.decode_downlink(bytes.fromhex(golden)) == (command,)


@pytest.mark.parametrize(("answer", "golden"), GOLDEN_ANSWERS)
def test_answers_byte_by_byte(answer: Answer, golden: str) -> None:
    assert answer.encode().hex() == golden
    assert mac_commands.decode_uplink(bytes.fromhex(golden)) == ((answer,), 0)


@pytest.mark.parametrize(("answer", "golden"), GOLDEN_ANSWERS[:12])
def test_only_all_bits_are_an_acceptance(answer: LinkADRAns | NewChannelAns, golden: str) -> None:
    assert answer.accepted == (golden in ("0307", "0703"))


requests = st.one_of(
    st.builds(
        LinkADRReq,
        st.integers(0, 15),
        st.integers(0, 15),
        st.integers(0, 0xFFFF),
        st.integers(0, 7),
        st.integers(0, 15),
    ),
    st.builds(
        NewChannelReq, st.integers(0, 255), st.integers(0, 0xFFFFFF).map(lambda n: n * 100),
        st.integers(0, 15), st.integers(0, 15),
    ),
    st.builds(DutyCycleReq, st.integers(0, 15)),
    st.builds(LinkCheckAns, st.integers(0, 255), st.integers(0, 255)),
)  # fmt: skip


@given(st.lists(requests, max_size=6))
def test_requests_round_trip(commands: list[Request]) -> None:
    assert mac_commands.decode_downlink(mac_commands.encode(commands)) == tuple(commands)


@given(st.lists(st.sampled_from([answer for answer, _ in GOLDEN_ANSWERS]), max_size=8))
def test_answers_round_trip(answers: list[Answer]) -> None:
    assert mac_commands.decode_uplink(mac_commands.encode(answers)) == (tuple(answers), 0)


@given(st.binary(max_size=15))
def test_any_bytes_are_read_as_far_as_they_go(data: bytes) -> None:
    answers, left_over = mac_commands.decode_uplink(data)
    # bits that are reserved in an answer may not come back: lengths must
    assert len(mac_commands.encode(answers)) + left_over == len(data)


@pytest.mark.parametrize("data", ["ff", "03", "035007", "0703184f84"])
def test_a_device_refuses_unknown_and_cut_commands(data: str) -> None:
    with pytest.raises(BadFrame):
        mac_commands.decode_downlink(bytes.fromhex(data))
