"""Frames and keys of LoRaWAN, against bytes of an independent implementation, round trip, and broken."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_agent.lorawan import crypto, frames, session
from gateway_agent.lorawan.frames import BadFrame, DataFrame, JoinAccept, JoinRequest, MType
from gateway_agent.lorawan.session import SessionKeys

KEY = bytes(range(16))
APPLICATION_KEY = KEY[::-1]
EXTRAS_HZ = (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)

# Made once with the npm package lora-packet 0.9.3 from the same fields: NwkSKey and AppKey KEY, AppSKey its reverse.
PEER_UPLINK = "40efcdab01820201030707dd0d69ede9dff0b31e286d3c2764e75a036418f7f2"
PEER_JOIN = "007766554433221100ffeeddccbbaa99883412eda5cc85"
PEER_ACCEPT = "204bb89b7a59ed48fe828b15ee549b2c3595b82f815e7cedb90bc977760b066446"
PEER_NETWORK_KEY = "d44619c8aa7d87cd250cf01a15711414"
PEER_APPLICATION_KEY = "d2ab7e935c89e30eb824b639b0b8dfc6"


def test_an_uplink_is_the_peers_byte_for_byte() -> None:
    payload = crypto.crypt_payload(APPLICATION_KEY, b"airshed measures!", 0x01ABCDEF, 0x0102, crypto.UPLINK)
    frame = DataFrame(MType.UNCONFIRMED_UP, 0x01ABCDEF, 0x0102, adr=True, f_opts=b"\x03\x07", f_port=7, payload=payload)
    mic = crypto.data_mic(KEY, frame.message(), 0x01ABCDEF, 0x0102, crypto.UPLINK)
    assert (frame.message() + mic).hex() == PEER_UPLINK
    raw = bytes.fromhex(PEER_UPLINK)
    parsed = frames.decode(raw)
    assert isinstance(parsed, DataFrame)
    keys = SessionKeys(KEY, APPLICATION_KEY)
    assert session.judge(parsed, raw, keys, None) == ("new", 0x0102)
    assert session.commands_and_payload(parsed, keys, 0x0102) == (b"\x03\x07", b"airshed measures!")


def test_a_join_is_the_peers_byte_for_byte() -> None:
    request = JoinRequest(0x0011223344556677, 0x8899AABBCCDDEEFF, 0x1234)
    assert (request.message() + crypto.cmac4(KEY, request.message())).hex() == PEER_JOIN
    accept = JoinAccept(5, 0, 0x01ABCDEF, channels_hz=EXTRAS_HZ)
    assert crypto.seal_join_accept(KEY, accept.plain()).hex() == PEER_ACCEPT
    opened = crypto.open_join_accept(KEY, bytes.fromhex(PEER_ACCEPT))
    assert opened is not None
    assert JoinAccept.of(opened) == accept
    keys = crypto.session_keys(KEY, 5, 0, 0x1234)
    assert [key.hex() for key in keys] == [PEER_NETWORK_KEY, PEER_APPLICATION_KEY]


def test_cf_list_by_hand() -> None:
    # 867.1 = 8,671,000 = 0x844F18, .3 = 0x8456E8, .5 = 0x845EB8, .7 = 0x846688, .9 = 0x846E58; then type 0
    assert frames.cf_list(EXTRAS_HZ).hex() == "184f84e85684b85e84886684586e8400"
    assert frames.cf_list(EXTRAS_HZ[:1]).hex() == "184f84" + "00" * 13
    assert frames.channels_of_cf_list(bytes(15) + b"\x01") == ()


data_frames = st.builds(
    DataFrame,
    st.sampled_from([MType.UNCONFIRMED_UP, MType.CONFIRMED_UP, MType.UNCONFIRMED_DOWN, MType.CONFIRMED_DOWN]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 0xFFFF),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.binary(max_size=15),
    st.integers(1, 255),
    st.binary(max_size=100),
    st.binary(min_size=4, max_size=4),
)


@given(data_frames)
def test_data_frames_round_trip(frame: DataFrame) -> None:
    assert frames.decode(frame.encode()) == frame


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_bad(data: bytes) -> None:
    with contextlib.suppress(BadFrame):
        assert isinstance(frames.decode(data), JoinRequest | DataFrame)


@pytest.mark.parametrize("data", ["", "40" + "00" * 10, "e0" + "00" * 11, "41" + "00" * 20, "00" * 22])
def test_what_is_no_frame(data: str) -> None:
    with pytest.raises(BadFrame):
        frames.decode(bytes.fromhex(data))


def test_fopts_longer_than_the_frame_and_fopts_beside_port_0_are_bad() -> None:
    with pytest.raises(BadFrame, match="FOptsLen"):
        frames.decode(bytes.fromhex("40efcdab010f0100") + b"ab" + bytes(4))
    with pytest.raises(BadFrame, match="FPort 0"):
        frames.decode(bytes.fromhex("40efcdab010101000200") + b"ab" + bytes(4))


@given(st.integers(0, 2**32 - 70_000), st.integers(1, 0xFFFF))
def test_a_counter_is_found_again_from_its_lower_half(last: int, step: int) -> None:
    assert session.full_counter(last, (last + step) & 0xFFFF) == last + step


def uplink(counter: int) -> tuple[DataFrame, bytes]:
    """An uplink with a 32-bit counter."""
    message = DataFrame(MType.UNCONFIRMED_UP, 1, counter, f_port=1).message()
    raw = message + crypto.data_mic(KEY, message, 1, counter, crypto.UPLINK)
    frame = frames.decode(raw)
    assert isinstance(frame, DataFrame)
    return frame, raw


@pytest.mark.parametrize(
    ("counter", "last", "verdict"),
    [
        (0, None, "new"),
        (5, 4, "new"),
        (5, 5, "repeat"),
        (4, 5, "replay"),
        (0x10000, 0xFFFF, "new"),
        (0xFFFF, 0x10000, "replay"),
        (0x30005, 0x30004, "new"),
        (0x20005, 0x30004, "replay"),
        (5, 0x30004, "bad-mic"),
    ],
)
def test_counters_over_the_16_bit_edge(counter: int, last: int | None, verdict: str) -> None:
    frame, raw = uplink(counter)
    assert session.judge(frame, raw, SessionKeys(KEY, KEY), last)[0] == verdict


def test_a_changed_bit_is_a_bad_mic() -> None:
    _, raw = uplink(9)
    changed = raw[:8] + bytes([raw[8] ^ 1]) + raw[9:]
    parsed = frames.decode(changed)
    assert isinstance(parsed, DataFrame)
    assert session.judge(parsed, changed, SessionKeys(KEY, KEY), 8)[0] == "bad-mic"
    assert "00" not in repr(SessionKeys(KEY, KEY)), "no key in a repr"
