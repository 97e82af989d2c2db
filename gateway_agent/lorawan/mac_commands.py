"""LoRaWAN MAC commands as values: those that move a device in full, the others by their length. Pure.

Layouts are those of the LoRaWAN 1.0.3 and 1.0.4 link layer specifications, section 5 (notes 6.3). A command is its
identifier (CID) and its body; requests go down to the device, answers come up, and a CID means one of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from gateway_agent.lorawan.frames import BadFrame, frequency_bytes
from gateway_agent.lorawan.region_eu868 import FREQUENCY_STEP_HZ

# Body lengths by CID, of what a device sends and of what it is sent.
UPLINK_BODY_BYTES: Final = {2: 0, 3: 1, 4: 0, 5: 1, 6: 2, 7: 1, 8: 0, 9: 0, 10: 1, 11: 1, 13: 0}
DOWNLINK_BODY_BYTES: Final = {2: 2, 3: 4, 4: 1, 5: 4, 6: 0, 7: 5, 8: 1, 9: 1, 10: 4, 11: 1, 13: 5}

# Data rate or power of a LinkADRReq that keeps the present one (LoRaWAN 1.0.4).
KEEP: Final = 0xF

# ChMaskCntl of EU868: 0 for the mask of channels 0 to 15, 6 for all defined channels on.
MASK_0_TO_15: Final = 0
ALL_ON: Final = 6


@dataclass(frozen=True, slots=True)
class LinkADRReq:
    """Data rate, power, channel mask (bit i: channel i), ChMaskCntl, NbTrans (0 keeps the present one)."""

    data_rate: int
    tx_power: int
    mask: int
    mask_control: int = MASK_0_TO_15
    nb_trans: int = 1
    cid: ClassVar[int] = 0x03

    def encode(self) -> bytes:
        """CID, DataRate and TXPower nibbles, mask little-endian, ChMaskCntl and NbTrans."""
        return bytes((self.cid, self.data_rate << 4 | self.tx_power)) + self.mask.to_bytes(2, "little") + bytes(
            (self.mask_control << 4 | self.nb_trans,)
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LinkADRAns:
    """Bits 0, 1, 2: mask, data rate, power accepted. Nothing was changed unless all three are."""

    mask_ok: bool
    data_rate_ok: bool
    power_ok: bool
    cid: ClassVar[int] = 0x03

    @property
    def accepted(self) -> bool:
        """Whether the device obeyed."""
        return self.mask_ok and self.data_rate_ok and self.power_ok

    def encode(self) -> bytes:
        """CID and status."""
        return bytes((self.cid, self.power_ok << 2 | self.data_rate_ok << 1 | self.mask_ok))


@dataclass(frozen=True, slots=True)
class DutyCycleReq:
    """Aggregated duty cycle of at most 1 / 2**exponent."""

    exponent: int
    cid: ClassVar[int] = 0x04

    def encode(self) -> bytes:
        """CID and MaxDutyCycle."""
        return bytes((self.cid, self.exponent))


@dataclass(frozen=True, slots=True)
class DutyCycleAns:
    """Always an acceptance."""

    cid: ClassVar[int] = 0x04

    def encode(self) -> bytes:
        """CID alone."""
        return bytes((self.cid,))


@dataclass(frozen=True, slots=True)
class NewChannelReq:
    """Channel `index` (3 to 15 in EU868) at a frequency, 0 to disable it, for a range of data rates."""

    index: int
    center_hz: int
    min_data_rate: int = 0
    max_data_rate: int = 5
    cid: ClassVar[int] = 0x07

    def encode(self) -> bytes:
        """CID, ChIndex, frequency in 100 Hz little-endian, MaxDR and MinDR nibbles."""
        return (
            bytes((self.cid, self.index))
            + frequency_bytes(self.center_hz)
            + bytes((self.max_data_rate << 4 | self.min_data_rate,))
        )


@dataclass(frozen=True, slots=True)
class NewChannelAns:
    """Bit 0: the frequency is possible, bit 1: the data rates are. Nothing was changed unless both."""

    frequency_ok: bool
    data_rate_ok: bool
    cid: ClassVar[int] = 0x07

    @property
    def accepted(self) -> bool:
        """Whether the device obeyed."""
        return self.frequency_ok and self.data_rate_ok

    def encode(self) -> bytes:
        """CID and status."""
        return bytes((self.cid, self.data_rate_ok << 1 | self.frequency_ok))


@dataclass(frozen=True, slots=True)
class LinkCheckReq:
    """A device asks how well it is heard."""

    cid: ClassVar[int] = 0x02

    def encode(self) -> bytes:
        """CID alone."""
        return bytes((self.cid,))


@dataclass(frozen=True, slots=True)
class LinkCheckAns:
    """Margin in dB over the demodulation floor, and how many gateways heard the request."""

    margin_db: int
    gateways: int
    cid: ClassVar[int] = 0x02

    def encode(self) -> bytes:
        """CID, margin, gateway count."""
        return bytes((self.cid, self.margin_db, self.gateways))


@dataclass(frozen=True, slots=True)
class DeviceTimeReq:
    """A device asks for the time."""

    cid: ClassVar[int] = 0x0D

    def encode(self) -> bytes:
        """CID alone."""
        return bytes((self.cid,))


@dataclass(frozen=True, slots=True)
class DeviceTimeAns:
    """GPS seconds, and the fraction in 1/256 s, at the end of the uplink."""

    gps_s: int
    fraction: int
    cid: ClassVar[int] = 0x0D

    def encode(self) -> bytes:
        """CID, 32-bit seconds little-endian, fraction."""
        return bytes((self.cid,)) + self.gps_s.to_bytes(4, "little") + bytes((self.fraction,))


@dataclass(frozen=True, slots=True)
class RekeyInd:
    """A device of 1.1 says that it uses the keys of its join, until it is answered. minor: its version's."""

    minor: int
    cid: ClassVar[int] = 0x0B

    def encode(self) -> bytes:
        """CID and version."""
        return bytes((self.cid, self.minor))


@dataclass(frozen=True, slots=True)
class RekeyConf:
    """The answer: so do we. minor: the version in use."""

    minor: int
    cid: ClassVar[int] = 0x0B

    def encode(self) -> bytes:
        """CID and version."""
        return bytes((self.cid, self.minor))


@dataclass(frozen=True, slots=True)
class Other:
    """A command that is passed over: its CID and body."""

    cid: int
    body: bytes

    def encode(self) -> bytes:
        """As it came."""
        return bytes((self.cid,)) + self.body


Request = LinkADRReq | DutyCycleReq | NewChannelReq | LinkCheckAns | DeviceTimeAns | RekeyConf | Other
Answer = LinkADRAns | DutyCycleAns | NewChannelAns | LinkCheckReq | DeviceTimeReq | RekeyInd | Other


def encode(commands: Iterable[Request | Answer]) -> bytes:
    """Commands one after another, as FOpts or the payload of FPort 0 carry them."""
    return b"".join(command.encode() for command in commands)


def decode_uplink(data: bytes) -> tuple[tuple[Answer, ...], int]:
    """What a device says, and how many bytes were left over: after an unknown or cut command nothing can be read."""
    answers: list[Answer] = []
    rest = data
    while rest:
        length = UPLINK_BODY_BYTES.get(rest[0])
        if length is None or len(rest) < 1 + length:
            break
        answers.append(_answer(rest[0], rest[1 : 1 + length]))
        rest = rest[1 + length :]
    return tuple(answers), len(rest)


def _answer(cid: int, body: bytes) -> Answer:
    if cid == LinkADRAns.cid:
        return LinkADRAns(bool(body[0] & 1), bool(body[0] & 2), bool(body[0] & 4))
    if cid == NewChannelAns.cid:
        return NewChannelAns(bool(body[0] & 1), bool(body[0] & 2))
    if cid == RekeyInd.cid:
        return RekeyInd(body[0] & 0xF)
    plain: dict[int, Answer] = {one.cid: one for one in (DutyCycleAns(), LinkCheckReq(), DeviceTimeReq())}
    return plain.get(cid, Other(cid, body))


def decode_downlink(data: bytes) -> tuple[Request, ...]:
    """What a device is told; BadFrame for an unknown or cut command. The device's side."""
    requests: list[Request] = []
    rest = data
    while rest:
        length = DOWNLINK_BODY_BYTES.get(rest[0])
        if length is None or len(rest) < 1 + length:
            raise BadFrame(f"unknown or cut MAC command 0x{rest[0]:02x}")
        requests.append(_request(rest[0], rest[1 : 1 + length]))
        rest = rest[1 + length :]
    return tuple(requests)


def _request(cid: int, body: bytes) -> Request:
    if cid == LinkADRReq.cid:
        mask = int.from_bytes(body[1:3], "little")
        return LinkADRReq(body[0] >> 4, body[0] & 0xF, mask, body[3] >> 4 & 7, body[3] & 0xF)
    if cid == NewChannelReq.cid:
        center_hz = int.from_bytes(body[1:4], "little") * FREQUENCY_STEP_HZ
        return NewChannelReq(body[0], center_hz, body[4] & 0xF, body[4] >> 4)
    if cid == DutyCycleReq.cid:
        return DutyCycleReq(body[0] & 0xF)
    if cid == LinkCheckAns.cid:
        return LinkCheckAns(body[0], body[1])
    if cid == DeviceTimeAns.cid:
        return DeviceTimeAns(int.from_bytes(body[:4], "little"), body[4])
    if cid == RekeyConf.cid:
        return RekeyConf(body[0] & 0xF)
    return Other(cid, body)
