"""A class A LoRaWAN device for EU868 as its radio side sees the world: it joins, hops, obeys or refuses, backs off.

Written from the specification for the device's side, with its own reading of every command: it shares the codec of
frames and keys with the network's side, and none of its decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from gateway_agent.lorawan import crypto, frames, mac_commands
from gateway_agent.lorawan.frames import BadFrame, DataFrame, JoinAccept, JoinRequest, MType
from gateway_agent.lorawan.mac_commands import (
    ALL_ON,
    KEEP,
    MASK_0_TO_15,
    Answer,
    DutyCycleAns,
    DutyCycleReq,
    LinkADRAns,
    LinkADRReq,
    NewChannelAns,
    NewChannelReq,
    RekeyConf,
    RekeyInd,
    Request,
)
from gateway_agent.lorawan.region_eu868 import (
    ADR_ACK_DELAY,
    ADR_ACK_LIMIT,
    DEFAULT_CHANNELS_HZ,
    HIGHEST_HZ,
    LOWEST_HZ,
    MOST_CHANNELS,
    MOST_TX_POWER,
    datr_of,
)

DEFAULT_MASK: Final = 0b111
MOST_DATA_RATE: Final = 5


def in_band(center_hz: int) -> bool:
    """A radio that tunes to all of EU868."""
    return LOWEST_HZ <= center_hz <= HIGHEST_HZ


@dataclass(frozen=True, slots=True)
class Sent:
    """One transmission of a device."""

    frame: bytes
    center_hz: int
    datr: str


@dataclass(slots=True)
class LorawanDevice:
    """One device. It draws channels and nonces from `rng`.

    app_key: root key (OTAA). nwk_key: the other root key of 1.1. version: `1.0.3`, `1.0.4` or `1.1`. tunes: frequencies
    the radio can do. lowest_power: the largest TXPower index it has. answers_on_port_0: it answers commands in a frame
    of their own on FPort 0 instead of in FOpts.
    """

    dev_eui: int
    app_key: bytes
    rng: Random
    join_eui: int = 0
    nwk_key: bytes = b""
    version: str = "1.0.3"
    tunes: Callable[[int], bool] = in_band
    most_data_rate: int = MOST_DATA_RATE
    lowest_power: int = MOST_TX_POWER
    data_rate: int = 5
    adr: bool = True
    dev_nonce: int = -1
    dev_addr: int | None = None
    network_key: bytes = b""
    application_key: bytes = b""
    serving_key: bytes = b""
    encryption_key: bytes = b""
    up: int = 0
    down: int | None = None
    channels: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    mask: int = DEFAULT_MASK
    tx_power: int = 0
    nb_trans: int = 1
    duty_cycle_exponent: int = 0
    unanswered: int = 0
    answers: list[Answer] = field(default_factory=list)
    acknowledge: bool = False
    acknowledged: bool = False
    refusals: int = 0
    answers_on_port_0: bool = False
    rekeyed: bool = True

    @classmethod
    def personalised(
        cls, dev_eui: int, dev_addr: int, network_key: bytes, application_key: bytes, rng: Random, **options: Any
    ) -> LorawanDevice:
        """A device with a session from the factory (ABP); options go to the class."""
        return cls(
            dev_eui, b"", rng, dev_addr=dev_addr, network_key=network_key, application_key=application_key, **options
        )

    def __post_init__(self) -> None:
        if not self.channels:
            self.channels = self._defaults()

    @staticmethod
    def _defaults() -> dict[int, tuple[int, int, int]]:
        return {i: (center_hz, 0, MOST_DATA_RATE) for i, center_hz in enumerate(DEFAULT_CHANNELS_HZ)}

    @property
    def enabled_hz(self) -> set[int]:
        """Centres the device hops over."""
        return {channel[0] for i, channel in self.channels.items() if self.mask >> i & 1}

    @property
    def joined(self) -> bool:
        """Whether it has a session."""
        return self.dev_addr is not None

    def join(self) -> Sent:
        """A join request on one of the default channels: joins cannot be steered."""
        self.dev_nonce = self.rng.randrange(0x10000) if self.version == "1.0.3" else self.dev_nonce + 1
        message = JoinRequest(self.join_eui, self.dev_eui, self.dev_nonce).message()
        frame = message + crypto.cmac4(self.nwk_key or self.app_key, message)
        return Sent(frame, self.rng.choice(DEFAULT_CHANNELS_HZ), datr_of(self.data_rate))

    def send(self, payload: bytes, *, port: int = 1, confirmed: bool = False) -> Sent:
        """The next uplink, with what is to be answered; answers on FPort 0 take the payload's place."""
        assert self.dev_addr is not None, "a device sends data after it has joined"
        self._back_off()
        f_opts = self._said(frames.MOST_FOPTS_BYTES)
        key, where = self.application_key, (self.dev_addr, self.up, crypto.UPLINK)
        if f_opts and self.answers_on_port_0:
            key, port, payload, f_opts = self.encryption_key or self.network_key, 0, f_opts, b""
        elif self.serving_key:
            f_opts = crypto.crypt_f_opts_1_1(self.encryption_key, f_opts, *where)
        frame = DataFrame(
            MType.CONFIRMED_UP if confirmed else MType.UNCONFIRMED_UP,
            self.dev_addr,
            self.up,
            adr=self.adr,
            adr_ack_req=self.adr and self.unanswered >= ADR_ACK_LIMIT,
            ack=self.acknowledge,
            f_opts=f_opts,
            f_port=port,
            payload=crypto.crypt_payload(key, payload, *where),
        )
        message, channel = frame.message(), self._hop()
        mic = self._mic(message, channel)
        self.up += 1
        self.unanswered += 1
        self.acknowledge = self.acknowledged = False
        return Sent(message + mic, self.channels[channel][0], datr_of(self.data_rate))

    def _said(self, room: int) -> bytes:
        """Answers that fit, and in 1.1 that the join's keys are in use, until the network has said the same."""
        said = b"" if self.rekeyed else RekeyInd(1).encode()
        for answer in self.answers:
            encoded = answer.encode()
            if len(said) + len(encoded) <= room:
                said += encoded
        self.answers.clear()
        return said

    def _mic(self, message: bytes, channel: int) -> bytes:
        assert self.dev_addr is not None
        if not self.serving_key:
            return crypto.data_mic(self.network_key, message, self.dev_addr, self.up, crypto.UPLINK)
        keys = (self.network_key, self.serving_key)
        return crypto.uplink_mic_1_1(*keys, message, self.dev_addr, self.up, self.data_rate, channel)

    def _hop(self) -> int:
        """The index of a channel that is enabled and knows the data rate."""
        usable = [
            i
            for i, channel in self.channels.items()
            if self.mask >> i & 1 and channel[1] <= self.data_rate <= channel[2]
        ]
        return self.rng.choice(usable)

    def _back_off(self) -> None:
        """ADR back-off (1.0.4, 4.3.1.1): after LIMIT + DELAY unheard uplinks and each DELAY more, one step: full power,
        then lower data rates, at the end all default channels again and one transmission of each frame."""
        over = self.unanswered - ADR_ACK_LIMIT
        if not self.adr or over < ADR_ACK_DELAY or over % ADR_ACK_DELAY:
            return
        if self.tx_power:
            self.tx_power = 0
        elif self.data_rate:
            self.data_rate -= 1
        else:
            self.mask |= DEFAULT_MASK
            self.nb_trans = 1

    def hear(self, frame: bytes) -> bool:
        """Take a downlink; False when it is not for this device, forged or old."""
        if frame[:1] == b"\x20":
            return self._hear_accept(frame)
        try:
            parsed = frames.decode(frame)
        except BadFrame:
            return False
        if not isinstance(parsed, DataFrame) or parsed.is_uplink or parsed.dev_addr != self.dev_addr:
            return False
        last = -1 if self.down is None else self.down
        counter = last + 1 + ((parsed.frame_counter - last - 1) & 0xFFFF)
        where = (parsed.dev_addr, counter, crypto.DOWNLINK)
        if self.serving_key:
            acknowledged = self.up - 1 if parsed.ack else 0
            expected = crypto.downlink_mic_1_1(self.serving_key, frame[:-4], parsed.dev_addr, counter, acknowledged)
        else:
            expected = crypto.data_mic(self.network_key, frame[:-4], *where)
        if not crypto.same(expected, parsed.mic):
            return False
        self.down, self.unanswered = counter, 0
        self.acknowledge, self.acknowledged = parsed.is_confirmed, parsed.ack
        if parsed.f_port == 0:
            said = crypto.crypt_payload(self.encryption_key or self.network_key, parsed.payload, *where)
        elif self.serving_key:
            said = crypto.crypt_f_opts_1_1(self.encryption_key, parsed.f_opts, *where)
        else:
            said = parsed.f_opts
        self._obey(mac_commands.decode_downlink(said))
        return True

    def _hear_accept(self, frame: bytes) -> bool:
        root = self.nwk_key or self.app_key
        asked = (self.join_eui, self.dev_eui, self.dev_nonce)

        def mic_of(plain: bytes) -> bytes:
            negotiated = JoinAccept.of(plain).opt_neg
            return crypto.join_accept_mic_1_1(root, plain, *asked) if negotiated else crypto.cmac4(root, plain)

        plain = crypto.open_join_accept(root, frame, mic_of)
        if plain is None or self.joined:
            return False
        accept = JoinAccept.of(plain)
        self.rekeyed = not accept.opt_neg
        if accept.opt_neg:
            self.network_key, self.serving_key, self.encryption_key, self.application_key = crypto.session_keys_1_1(
                self.app_key, root, accept.join_nonce, self.join_eui, self.dev_nonce
            )
        else:
            self.serving_key = self.encryption_key = b""
            self.network_key, self.application_key = crypto.session_keys(
                root, accept.join_nonce, accept.net_id, self.dev_nonce
            )
        self.dev_addr, self.up, self.down, self.unanswered = accept.dev_addr, 0, None, 0
        extras = {3 + i: (center_hz, 0, MOST_DATA_RATE) for i, center_hz in enumerate(accept.channels_hz)}
        self.channels = self._defaults() | {i: one for i, one in extras.items() if self.tunes(one[0])}
        self.mask = sum(1 << i for i in self.channels)
        return True

    def forget_session(self) -> None:
        """A reset: the device has to join again."""
        self.dev_addr, self.mask, self.channels = None, DEFAULT_MASK, self._defaults()
        self.answers.clear()

    def _obey(self, requests: Sequence[Request]) -> None:
        """Commands in their order; LinkADRReqs that follow each other are one block, obeyed whole or not at all."""
        i = 0
        while i < len(requests):
            request = requests[i]
            if isinstance(request, LinkADRReq):
                block = [request]
                while i + 1 < len(requests) and isinstance(following := requests[i + 1], LinkADRReq):
                    block.append(following)
                    i += 1
                self._link(block)
            elif isinstance(request, NewChannelReq):
                self._new_channel(request)
            elif isinstance(request, RekeyConf):
                self.rekeyed = True
            elif isinstance(request, DutyCycleReq):
                self.duty_cycle_exponent = request.exponent
                self.answers.append(DutyCycleAns())
            i += 1

    def _link(self, block: Sequence[LinkADRReq]) -> None:
        """Masks are applied in turn, data rate and power are the last one's; each request gets the same answer."""
        mask, mask_ok = self.mask, True
        for request in block:
            mask, possible = self._masked(mask, request)
            mask_ok = mask_ok and possible
        last = block[-1]
        keeps = self.version != "1.0.3"
        rate = self.data_rate if keeps and last.data_rate == KEEP else last.data_rate
        power = self.tx_power if keeps and last.tx_power == KEEP else last.tx_power
        mask_ok = mask_ok and mask != 0
        rate_ok = rate <= self.most_data_rate and (
            not mask_ok or any(low <= rate <= high for i, (_, low, high) in self.channels.items() if mask >> i & 1)
        )
        answer = LinkADRAns(mask_ok, rate_ok, power <= self.lowest_power)
        self.answers.extend([answer] * len(block))
        if not answer.accepted:
            self.refusals += 1
            return
        self.mask, self.data_rate, self.tx_power = mask, rate, power
        self.nb_trans = last.nb_trans or self.nb_trans

    def _masked(self, mask: int, request: LinkADRReq) -> tuple[int, bool]:
        if request.mask_control == ALL_ON:
            return sum(1 << i for i in self.channels), True
        if request.mask_control != MASK_0_TO_15:
            return mask, False
        defined = sum(1 << i for i in self.channels)
        return request.mask, not request.mask & ~defined

    def _new_channel(self, request: NewChannelReq) -> None:
        settable = len(DEFAULT_CHANNELS_HZ) <= request.index < MOST_CHANNELS
        frequency_ok = settable and (request.center_hz == 0 or self.tunes(request.center_hz))
        rate_ok = settable and request.min_data_rate <= request.max_data_rate <= self.most_data_rate
        self.answers.append(NewChannelAns(frequency_ok, rate_ok))
        if not (frequency_ok and rate_ok):
            self.refusals += 1
        elif request.center_hz == 0:
            self.channels.pop(request.index, None)
            self.mask &= ~(1 << request.index)
        else:
            self.channels[request.index] = (request.center_hz, request.min_data_rate, request.max_data_rate)
            self.mask |= 1 << request.index
