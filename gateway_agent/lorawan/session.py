"""Sessions of LoRaWAN devices: counters, replay protection, and what of them is kept in the database.

No session key is ever kept: those of an OTAA device are derived again from its root key and the join's nonces, those of
an ABP device are in the file of keys.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from gateway_agent.lorawan import crypto
from gateway_agent.lorawan.frames import DataFrame, MType
from gateway_agent.lorawan.steering import DeviceState

# The kind of record in the database; one record a device, named by its DevEUI.
KIND: Final = "lorawan-session"

COUNTER_END: Final = 2**32

Verdict = Literal["new", "repeat", "replay", "bad-mic"]


class Join(msgspec.Struct, frozen=True):
    """What the session keys of an accepted join are derived from. join_eui: 16 hex digits in 1.1, empty in 1.0."""

    dev_addr: int
    dev_nonce: int
    join_nonce: int
    join_eui: str = ""


class Session(msgspec.Struct, frozen=True):
    """One device. join: the accepted join, None for ABP and before. pending: accepted, but not used by the device yet.

    up: the last frame counter heard (32 bits), None before the first. down: the next to send. dev_nonces: those that
    have been used, which never come again.
    """

    dev_eui: str
    dev_addr: int | None = None
    join: Join | None = None
    pending: Join | None = None
    up: int | None = None
    down: int = 0
    join_nonce: int = 0
    dev_nonces: tuple[int, ...] = ()
    state: DeviceState = msgspec.field(default_factory=DeviceState)
    pending_channels_hz: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """network: NwkSKey, in 1.1 FNwkSIntKey; application: AppSKey. Its repr shows none.

    serving, encryption: SNwkSIntKey and NwkSEncKey of 1.1, empty in 1.0.
    """

    network: bytes
    application: bytes
    serving: bytes = b""
    encryption: bytes = b""

    @property
    def is_1_1(self) -> bool:
        """Whether the session is one of LoRaWAN 1.1."""
        return bool(self.serving)

    def __repr__(self) -> str:
        return "SessionKeys(...)"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Session)


def encode(session: Session) -> bytes:
    """A session as JSON."""
    return _encoder.encode(session)


def decode(data: bytes) -> Session:
    """The session of `encode`; msgspec.ValidationError when it is none."""
    return _decoder.decode(data)


def join_keys(app_key: bytes, nwk_key: bytes | None, join: Join, net_id: int) -> SessionKeys | None:
    """Session keys of a join; None for a 1.1 session of a device that has no NwkKey (any more)."""
    if not join.join_eui:
        return SessionKeys(*crypto.session_keys(app_key, join.join_nonce, net_id, join.dev_nonce))
    if nwk_key is None:
        return None
    forwarding, serving, encryption, application = crypto.session_keys_1_1(
        app_key, nwk_key, join.join_nonce, int(join.join_eui, 16), join.dev_nonce
    )
    return SessionKeys(forwarding, application, serving, encryption)


def full_counter(last: int | None, low_16: int) -> int:
    """All 32 bits of a frame counter: the first number above (or equal to) the last one with these lower bits."""
    return low_16 if last is None else last + ((low_16 - last) & 0xFFFF)


def judge(
    frame: DataFrame, raw: bytes, keys: SessionKeys, last: int | None, sent_as: Collection[tuple[int, int]] = ()
) -> tuple[Verdict, int]:
    """What an uplink is, and its 32-bit counter. Only `new` may change anything; `repeat` is the last frame again.

    sent_as: (data rate, channel index) that the frame can have been sent with, which 1.1's MIC covers.

    A frame heard before carries a MIC over its old counter, so it never passes as a new one; it is named `replay` when
    its counter lies in the present or the former round of 65,536.
    """
    message, counter = raw[: -crypto.MIC_BYTES], full_counter(last, frame.frame_counter)

    def valid(number: int) -> bool:
        if not keys.is_1_1:
            return crypto.same(crypto.data_mic(keys.network, message, frame.dev_addr, number, crypto.UPLINK), frame.mic)
        both = (keys.network, keys.serving, message, frame.dev_addr, number)
        return any(crypto.same(crypto.uplink_mic_1_1(*both, *sent), frame.mic) for sent in sent_as)

    if counter < COUNTER_END and valid(counter):
        return ("repeat" if counter == last else "new"), counter
    older = counter - 0x10000
    return ("replay" if older >= 0 and valid(older) else "bad-mic"), counter


def commands_and_payload(frame: DataFrame, keys: SessionKeys, counter: int) -> tuple[bytes, bytes]:
    """(MAC commands, application payload) of an uplink in the clear: commands are in FOpts, or on FPort 0."""
    f_opts = frame.f_opts
    if keys.is_1_1:
        f_opts = crypto.crypt_f_opts_1_1(keys.encryption, f_opts, frame.dev_addr, counter, crypto.UPLINK)
    if frame.f_port is None:
        return f_opts, b""
    key = keys.application if frame.f_port else keys.encryption or keys.network
    clear = crypto.crypt_payload(key, frame.payload, frame.dev_addr, counter, crypto.UPLINK)
    return (f_opts, clear) if frame.f_port else (clear, b"")


def downlink(
    session: Session, keys: SessionKeys, commands: bytes, *, ack: bool, on_port_0: bool = False
) -> tuple[bytes, Session]:
    """The next downlink frame of a session, and the session with its counter moved on.

    commands: MAC commands, in FOpts or (on_port_0) encrypted as the payload of FPort 0; never in both.
    """
    assert session.dev_addr is not None
    where = (session.dev_addr, session.down, crypto.DOWNLINK)
    head = DataFrame(MType.UNCONFIRMED_DOWN, session.dev_addr, session.down, adr=True, ack=ack)
    if on_port_0 and commands:
        payload = crypto.crypt_payload(keys.encryption or keys.network, commands, *where)
        frame = replace(head, f_port=0, payload=payload)
    else:
        f_opts = crypto.crypt_f_opts_1_1(keys.encryption, commands, *where) if keys.is_1_1 else commands
        frame = replace(head, f_opts=f_opts)
    message = frame.message()
    if keys.is_1_1:
        acknowledged = session.up or 0 if ack else 0
        mic = crypto.downlink_mic_1_1(keys.serving, message, session.dev_addr, session.down, acknowledged)
    else:
        mic = crypto.data_mic(keys.network, message, *where)
    return message + mic, msgspec.structs.replace(session, down=session.down + 1)
