"""LoRaWAN 1.0.x PHY payloads as values: what stands where, and nothing about keys beyond the MIC's place. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from gateway_agent.lorawan.region_eu868 import FREQUENCY_STEP_HZ

MOST_FOPTS_BYTES: Final = 15

# Commands that fit on FPort 0 at the slowest data rates of EU868 (RP002: N = 51 for DR0 to DR2), RX2's among them.
MOST_PORT_0_BYTES: Final = 51


class MType(IntEnum):
    """The upper three bits of MHDR."""

    JOIN_REQUEST = 0
    JOIN_ACCEPT = 1
    UNCONFIRMED_UP = 2
    UNCONFIRMED_DOWN = 3
    CONFIRMED_UP = 4
    CONFIRMED_DOWN = 5


class BadFrame(ValueError):
    """Bytes that are no LoRaWAN 1.0 frame; the text says what was wrong."""


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """MHDR, JoinEUI (8), DevEUI (8), DevNonce (2), MIC (4): 23 bytes. EUIs as people write them, big-endian."""

    join_eui: int
    dev_eui: int
    dev_nonce: int
    mic: bytes = b""

    def message(self) -> bytes:
        """The bytes the MIC covers."""
        return (
            b"\x00"
            + self.join_eui.to_bytes(8, "little")
            + self.dev_eui.to_bytes(8, "little")
            + self.dev_nonce.to_bytes(2, "little")
        )


@dataclass(frozen=True, slots=True)
class JoinAccept:
    """The fields of a join accept before it is sealed. channels_hz: up to five for CFList type 0, or none.

    opt_neg: the session is one of LoRaWAN 1.1 (DLSettings, bit 7).
    """

    join_nonce: int
    net_id: int
    dev_addr: int
    rx1_offset: int = 0
    rx2_data_rate: int = 0
    rx_delay: int = 1
    channels_hz: tuple[int, ...] = ()
    opt_neg: bool = False

    def plain(self) -> bytes:
        """MHDR and fields without the MIC."""
        fields = (
            b"\x20"
            + self.join_nonce.to_bytes(3, "little")
            + self.net_id.to_bytes(3, "little")
            + self.dev_addr.to_bytes(4, "little")
            + bytes((self.opt_neg << 7 | self.rx1_offset << 4 | self.rx2_data_rate, self.rx_delay))
        )
        return fields + cf_list(self.channels_hz) if self.channels_hz else fields

    @classmethod
    def of(cls, plain: bytes) -> JoinAccept:
        """The fields in MHDR and fields without the MIC."""
        if len(plain) not in (13, 29) or plain[0] != 0x20:
            raise BadFrame(f"a join accept has 13 or 29 bytes before its MIC, got {len(plain)}")
        return cls(
            int.from_bytes(plain[1:4], "little"),
            int.from_bytes(plain[4:7], "little"),
            int.from_bytes(plain[7:11], "little"),
            plain[11] >> 4 & 7,
            plain[11] & 0xF,
            plain[12] & 0xF,
            channels_of_cf_list(plain[13:]) if len(plain) == 29 else (),
            bool(plain[11] & 0x80),
        )


def frequency_bytes(center_hz: int) -> bytes:
    """A frequency as three bytes in 100 Hz, little-endian."""
    return (center_hz // FREQUENCY_STEP_HZ).to_bytes(3, "little")


def cf_list(channels_hz: Sequence[int]) -> bytes:
    """CFList type 0: five frequencies (0 for none) and the type byte."""
    if len(channels_hz) > 5:
        raise BadFrame(f"a CFList holds five channels, got {len(channels_hz)}")
    padded = [*channels_hz, *[0] * (5 - len(channels_hz))]
    return b"".join(map(frequency_bytes, padded)) + b"\x00"


def channels_of_cf_list(data: bytes) -> tuple[int, ...]:
    """Frequencies in Hz of a CFList type 0; none for other types, which EU868 does not know."""
    if len(data) != 16 or data[15] != 0:
        return ()
    values = [int.from_bytes(data[i : i + 3], "little") * FREQUENCY_STEP_HZ for i in range(0, 15, 3)]
    return tuple(value for value in values if value)


@dataclass(frozen=True, slots=True)
class DataFrame:
    """A data frame. frame_counter: 16 bits as received, all 32 where it is known. f_port: None without payload.

    payload: FRMPayload as it stands on the air, encrypted. flag_4: FPending downlink, Class B uplink.
    """

    m_type: MType
    dev_addr: int
    frame_counter: int
    adr: bool = False
    adr_ack_req: bool = False
    ack: bool = False
    flag_4: bool = False
    f_opts: bytes = b""
    f_port: int | None = None
    payload: bytes = b""
    mic: bytes = b""

    @property
    def is_uplink(self) -> bool:
        """From a device."""
        return self.m_type in (MType.UNCONFIRMED_UP, MType.CONFIRMED_UP)

    @property
    def is_confirmed(self) -> bool:
        """Wants an acknowledgement."""
        return self.m_type in (MType.CONFIRMED_UP, MType.CONFIRMED_DOWN)

    def message(self) -> bytes:
        """The bytes the MIC covers: MHDR and MACPayload."""
        if len(self.f_opts) > MOST_FOPTS_BYTES:
            raise BadFrame(f"FOpts hold {MOST_FOPTS_BYTES} bytes, got {len(self.f_opts)}")
        if self.f_opts and self.f_port == 0:
            raise BadFrame("FOpts and FPort 0 in one frame")
        control = self.adr << 7 | self.adr_ack_req << 6 | self.ack << 5 | self.flag_4 << 4 | len(self.f_opts)
        head = bytes((self.m_type << 5,)) + self.dev_addr.to_bytes(4, "little") + bytes((control,))
        counter = (self.frame_counter & 0xFFFF).to_bytes(2, "little")
        tail = b"" if self.f_port is None else bytes((self.f_port,)) + self.payload
        return head + counter + self.f_opts + tail

    def encode(self) -> bytes:
        """The whole frame with its MIC."""
        return self.message() + self.mic


def decode(frame: bytes) -> JoinRequest | DataFrame:
    """A join request or data frame; BadFrame for anything else. A join accept is opened with its key, not here."""
    if len(frame) < 12:
        raise BadFrame(f"the shortest frame has 12 bytes, got {len(frame)}")
    if frame[0] & 0x03:
        raise BadFrame(f"major version 0 (LoRaWAN R1) is spoken here, got {frame[0] & 3}")
    kind = frame[0] >> 5
    if kind == MType.JOIN_REQUEST:
        return _join_request(frame)
    if kind not in (2, 3, 4, 5):
        raise BadFrame(f"message type {kind} is neither a join request nor data")
    return _data_frame(MType(kind), frame)


def _join_request(frame: bytes) -> JoinRequest:
    if len(frame) != 23:
        raise BadFrame(f"a join request has 23 bytes, got {len(frame)}")
    return JoinRequest(
        int.from_bytes(frame[1:9], "little"),
        int.from_bytes(frame[9:17], "little"),
        int.from_bytes(frame[17:19], "little"),
        frame[19:],
    )


def _data_frame(m_type: MType, frame: bytes) -> DataFrame:
    control, body, mic = frame[5], frame[8:-4], frame[-4:]
    length = control & 0x0F
    if length > len(body):
        raise BadFrame(f"FOptsLen says {length} bytes, {len(body)} are there")
    f_opts, rest = body[:length], body[length:]
    if f_opts and rest[:1] == b"\x00":
        raise BadFrame("FOpts and FPort 0 in one frame")
    return DataFrame(
        m_type,
        int.from_bytes(frame[1:5], "little"),
        int.from_bytes(frame[6:8], "little"),
        bool(control & 0x80),
        bool(control & 0x40),
        bool(control & 0x20),
        bool(control & 0x10),
        f_opts,
        rest[0] if rest else None,
        rest[1:],
        mic,
    )
