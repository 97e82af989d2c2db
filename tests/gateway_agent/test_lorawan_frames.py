"""Frames and keys of LoRaWAN, against bytes of an independent implementation, round trip, and broken."""

from __future__ import annotations

import contextlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from gateway_agent.lorawan import crypto, frames, session
from gateway_agent.lorawan.frames import BadFrame, DataFrame, JoinAccept, JoinRequest, MType
from gateway_agent.lorawan.session import Join, Session, SessionKeys

KEY = bytes(range(16))
APPLICATION_KEY = KEY[::-1]
EXTRAS_HZ = (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)

# Made once with the npm package lora-packet 0.9.3 from the same fields: NwkSKey and AppKey KEY, AppSKey its reverse.
PEER_UPLINK = "40efcdab01820201030707dd0d69ede9dff0b31e286d3c2764e75a036418f7f2"
PEER_JOIN = "007766554433221100ffeeddccbbaa99883412eda5cc85"
PEER_ACCEPT = "204bb89b7a59ed48fe828b15ee549b2c3595b82f815e7cedb90bc977760b066446"
PEER_NETWORK_KEY = "d44619c8aa7d87cd250cf01a15711414"
PEER_APPLICATION_KEY = "d2ab7e935c89e30eb824b639b0b8dfc6"

# The same with commands on FPort 0, encrypted with NwkSKey: LinkADRAns 07 up, NewChannelReq 3 at 867.1 MHz down.
PEER_PORT_0_UP = "40efcdab0180020100ab65f7d01582"
PEER_PORT_0_DOWN = "60efcdab0180050000d4b038e0ba725010d3b6"

# LoRaWAN 1.1 by the same package: AppKey KEY, NwkKey its reverse, JoinEUI 0011223344556677, JoinNonce 5, DevNonce 1234;
# an uplink with LinkADRAns 07 in its FOpts at DR5 on channel 1, a downlink with RekeyConf that acknowledges 0x0102.
PEER_KEYS_1_1 = (
    "a2b710f788228f462e07dcf2885c2709",
    "bc21325b37f7de14d35d27aa6b197e04",
    "de0e4358149ece4a3b844868d465f59c",
    "a806e724525048c801a8d76114168767",
)
PEER_UPLINK_1_1 = "40efcdab0182020172450757d1e4308dca3b84d98046294f3269ee9075c958c0"
PEER_DOWNLINK_1_1 = "60efcdab01a20500155f32241d41"


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


def test_commands_on_port_0_by_hand_and_as_the_peers() -> None:
    # the key stream's block (4.3.3): 01, four zeros, direction, DevAddr and FCnt little-endian, 00, block number 1
    def stream(block: str) -> bytes:
        return Cipher(algorithms.AES(KEY), modes.ECB()).encryptor().update(bytes.fromhex(block))

    up, down = stream("010000000000efcdab01020100000001"), stream("010000000001efcdab01050000000001")
    said_up, said_down = bytes.fromhex("0307"), bytes.fromhex("0703184f8450")
    assert bytes(a ^ b for a, b in zip(said_up, up, strict=False)).hex() == PEER_PORT_0_UP[18:22]
    assert bytes(a ^ b for a, b in zip(said_down, down, strict=False)).hex() == PEER_PORT_0_DOWN[18:30]

    keys, raw = SessionKeys(KEY, APPLICATION_KEY), bytes.fromhex(PEER_PORT_0_UP)
    parsed = frames.decode(raw)
    assert isinstance(parsed, DataFrame)
    assert (parsed.f_port, parsed.f_opts) == (0, b"")
    assert session.judge(parsed, raw, keys, None) == ("new", 0x0102)
    assert session.commands_and_payload(parsed, keys, 0x0102) == (said_up, b"")
    kept = Session("d", 0x01ABCDEF, down=5)
    frame, after = session.downlink(kept, keys, said_down, ack=False, on_port_0=True)
    assert frame.hex() == PEER_PORT_0_DOWN
    assert after.down == 6


@given(st.binary(min_size=1, max_size=frames.MOST_PORT_0_BYTES), st.integers(0, 2**32 - 1), st.booleans())
def test_commands_on_port_0_round_trip(said: bytes, counter: int, is_1_1: bool) -> None:
    keys = SessionKeys(KEY, APPLICATION_KEY, KEY, APPLICATION_KEY[1:] + b"x") if is_1_1 else SessionKeys(KEY, KEY[::-1])
    raw, _ = session.downlink(Session("d", 7, down=counter), keys, said, ack=False, on_port_0=True)
    parsed = frames.decode(raw)
    assert isinstance(parsed, DataFrame)
    assert (parsed.f_port, parsed.f_opts) == (0, b"")
    key = keys.encryption or keys.network
    assert crypto.crypt_payload(key, parsed.payload, 7, counter, crypto.DOWNLINK) == said


def test_a_session_of_1_1_is_the_peers_byte_for_byte() -> None:
    made = crypto.session_keys_1_1(KEY, APPLICATION_KEY, 5, 0x0011223344556677, 0x1234)
    assert [key.hex() for key in made] == list(PEER_KEYS_1_1)
    keys = session.join_keys(KEY, APPLICATION_KEY, Join(1, 0x1234, 5, "0011223344556677"), 0)
    assert keys is not None
    assert (keys.network, keys.serving, keys.encryption, keys.application) == made
    raw = bytes.fromhex(PEER_UPLINK_1_1)
    parsed = frames.decode(raw)
    assert isinstance(parsed, DataFrame)
    assert session.judge(parsed, raw, keys, None, {(5, 0), (5, 1)}) == ("new", 0x0102)
    for sent_as in ((), {(5, 0)}, {(4, 1)}):
        assert session.judge(parsed, raw, keys, None, sent_as)[0] == "bad-mic", "the MIC covers data rate and channel"
    assert session.judge(parsed, raw, SessionKeys(keys.network, KEY), None)[0] == "bad-mic", "1.0 takes no halves"
    assert session.commands_and_payload(parsed, keys, 0x0102) == (b"\x03\x07", b"airshed measures!")
    frame, _ = session.downlink(Session("d", 0x01ABCDEF, up=0x0102, down=5), keys, b"\x0b\x01", ack=True)
    assert frame.hex() == PEER_DOWNLINK_1_1
    assert session.join_keys(KEY, None, Join(1, 0x1234, 5, "0011223344556677"), 0) is None


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
    with pytest.raises(BadFrame, match="FPort 0"):
        DataFrame(MType.UNCONFIRMED_DOWN, 1, 0, f_opts=b"\x02", f_port=0).message()


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
