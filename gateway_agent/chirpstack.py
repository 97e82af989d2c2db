"""Messages between ChirpStack's gateway bridge and whoever serves its gateways, in either marshaler. Pure.

The types are ChirpStack's own, published as chirpstack-api; `protobuf` is the bridge's default, `json` is the same
messages in protobuf's JSON form. Which of them a payload is can be seen: `{` would begin field 15 of a protobuf, and no
message here has one. Messages of bridges before version 4 are not read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from chirpstack_api.gw import gw_pb2 as gw
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from gateway_agent.gateway_door import Acknowledged
from gateway_agent.semtech_udp import LONGEST_FRAME, Malformed, Received, Transmit

Marshaler = Literal["json", "protobuf"]

# Downlinks' acknowledgements that mean no error. IGNORED: another item of the same downlink was sent.
GOOD: Final = frozenset({gw.OK, gw.IGNORED})

_Any = TypeVar("_Any", bound=Message)


@dataclass(frozen=True, slots=True)
class Up:
    """One frame that a gateway heard. received: its tmst is 0. context: what a downlink has to carry back."""

    gateway: bytes
    received: Received
    context: bytes
    bad_crc: bool


def marshaler_of(payload: bytes) -> Marshaler:
    """How a payload is written."""
    return "json" if payload.lstrip()[:1] == b"{" else "protobuf"


def uplink_of(payload: bytes) -> Up:
    """An `up` event; Malformed when it is none of a LoRa frame."""
    frame = _read(payload, gw.UplinkFrame())
    tx, rx = frame.tx_info, frame.rx_info
    lora = tx.modulation.lora
    datr = f"SF{lora.spreading_factor}BW{lora.bandwidth // 1000}"
    right = 1 <= len(frame.phy_payload) <= LONGEST_FRAME and 7 <= lora.spreading_factor <= 12
    if not (right and lora.bandwidth in (125_000, 250_000, 500_000) and math.isfinite(rx.snr)):
        raise Malformed("an up event of a LoRa frame was expected")
    received = Received(frame.phy_payload, 0, tx.frequency, datr, float(rx.rssi), rx.snr)
    return Up(_eui(rx.gateway_id), received, rx.context, rx.crc_status == gw.BAD_CRC)


def acknowledgement_of(payload: bytes) -> Acknowledged:
    """An `ack` event; Malformed when it is none. One downlink here has one item."""
    ack = _read(payload, gw.DownlinkTxAck())
    if not ack.items:
        raise Malformed("an ack event has items")
    status = ack.items[0].status
    if status not in gw.TxAckStatus.values():
        raise Malformed(f"an ack event's status is one of TxAckStatus, got {status}")
    return Acknowledged(ack.downlink_id, "NONE" if status in GOOD else gw.TxAckStatus.Name(status))


def stats_of(payload: bytes) -> bytes:
    """The gateway of a `stats` event; Malformed when it is none."""
    return _eui(_read(payload, gw.GatewayStats()).gateway_id)


def connection_of(payload: bytes) -> tuple[bytes, bool]:
    """(gateway, online) of a `conn` state; Malformed when it is none."""
    state = _read(payload, gw.ConnState())
    return _eui(state.gateway_id), state.state == gw.ConnState.ONLINE


def down_command(
    gateway: bytes, number: int, transmit: Transmit, delay_s: int, context: bytes, marshaler: Marshaler
) -> bytes:
    """A `down` command with one item, at `delay_s` after the uplink that `context` stands for."""
    factor, bandwidth = transmit.datr[2:].split("BW")
    lora = gw.LoraModulationInfo(
        bandwidth=int(bandwidth) * 1000,
        spreading_factor=int(factor),
        code_rate=gw.CR_4_5,
        polarization_inversion=True,
    )
    delay = gw.DelayTimingInfo()
    delay.delay.FromSeconds(delay_s)
    tx = gw.DownlinkTxInfo(
        frequency=transmit.center_hz,
        power=transmit.power_dbm,
        modulation=gw.Modulation(lora=lora),
        timing=gw.Timing(delay=delay),
        context=context,
    )
    item = gw.DownlinkFrameItem(phy_payload=transmit.frame, tx_info=tx)
    frame = gw.DownlinkFrame(downlink_id=number, gateway_id=gateway.hex(), items=[item])
    return frame.SerializeToString() if marshaler == "protobuf" else json_format.MessageToJson(frame).encode()


def _read(payload: bytes, message: _Any) -> _Any:
    """Read `payload` into `message`; fields that are not known are passed over, since versions differ."""
    try:
        if marshaler_of(payload) == "protobuf":
            message.ParseFromString(payload)
        else:
            json_format.Parse(payload, message, ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a {type(message).__name__}: {str(error)[:200]}") from None
    return message


def _eui(text: str) -> bytes:
    try:
        eui = bytes.fromhex(text)
    except ValueError:
        eui = b""
    if len(eui) != 8:
        raise Malformed(f"a gateway has 16 hex digits, got {text[:32]!r}")
    return eui
