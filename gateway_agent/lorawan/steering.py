"""Steering: the smallest set of MAC commands between the channels a device has and those it should have. Pure.

We choose the set of channels that are enabled; the device hops in it as it likes. What a device has is a belief: it is
what it has answered, corrected by what it does. New channels come first, the mask only when the device has accepted
them, so that a refused channel never makes a good mask fail.

What a device has refused is kept in `refused` and not asked again until it joins anew: `frequency:HZ`,
`range:HZ:MIN:MAX`, `mask:MASK`, `data_rate:N`, `power:N`. A device that answers nothing is asked after 1, 2, 4 ...
LONGEST_SILENCE uplinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway_agent.lorawan.frames import MOST_FOPTS_BYTES
from gateway_agent.lorawan.mac_commands import (
    KEEP,
    Answer,
    DutyCycleAns,
    DutyCycleReq,
    LinkADRAns,
    LinkADRReq,
    NewChannelAns,
    NewChannelReq,
    decode_downlink,
)
from gateway_agent.lorawan.region_eu868 import DEFAULT_CHANNELS_HZ, HIGHEST_125KHZ_DATA_RATE, MOST_CHANNELS

Steer = LinkADRReq | NewChannelReq | DutyCycleReq

DEFAULT_MASK: Final = 0b111
# At most so many uplinks pass before a device that answers nothing is asked again.
LONGEST_SILENCE: Final = 64


class Channel(msgspec.Struct, frozen=True):
    """A channel as a device keeps it."""

    center_hz: int
    min_data_rate: int = 0
    max_data_rate: int = HIGHEST_125KHZ_DATA_RATE


DEFAULTS: Final[dict[int, Channel]] = {i: Channel(center_hz) for i, center_hz in enumerate(DEFAULT_CHANNELS_HZ)}


class Plan(msgspec.Struct, frozen=True):
    """What a device should have. None leaves a value to the device."""

    centers_hz: tuple[int, ...]
    data_rate: int | None = None
    tx_power: int | None = None
    nb_trans: int = 1
    duty_cycle_exponent: int | None = None


class DeviceState(msgspec.Struct, frozen=True):
    """What we believe a device has, and what it has refused. A restart reads it back as it was.

    sure: whether the mask is known (it is not after an ADRACKReq). asked: commands of the last downlink that wait for
    their answers. silences: downlinks in a row without any; quiet_uplinks: uplinks since the last of them.
    """

    channels: dict[int, Channel] = msgspec.field(default_factory=DEFAULTS.copy)
    mask: int = DEFAULT_MASK
    sure: bool = True
    data_rate: int | None = None
    tx_power: int = 0
    nb_trans: int = 1
    duty_cycle_exponent: int = 0
    keeps_with_15: bool = False
    refused: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    silences: int = 0
    quiet_uplinks: int = 0

    @property
    def enabled_hz(self) -> frozenset[int]:
        """Centres the device may send on."""
        return frozenset(channel.center_hz for i, channel in self.channels.items() if self.mask >> i & 1)


def joined(cf_list_hz: Sequence[int], *, keeps_with_15: bool) -> DeviceState:
    """A device that has just joined: defaults, and the CFList's channels from index 3 on, all enabled."""
    extras = {3 + i: Channel(center_hz) for i, center_hz in enumerate(cf_list_hz)}
    channels = DEFAULTS | extras
    return DeviceState(channels=channels, mask=sum(1 << i for i in channels), keeps_with_15=keeps_with_15)


def wanted_hz(state: DeviceState, plan: Plan) -> frozenset[int]:
    """The plan's channels without those the device has refused."""
    return frozenset(center_hz for center_hz in plan.centers_hz if not _impossible(state, center_hz))


def _impossible(state: DeviceState, center_hz: int) -> bool:
    return bool({f"frequency:{center_hz}", _range_key(center_hz)} & set(state.refused))


def _range_key(center_hz: int) -> str:
    return f"range:{center_hz}:0:{HIGHEST_125KHZ_DATA_RATE}"


def obeyed(state: DeviceState, plan: Plan) -> bool:
    """Whether the device has, as far as we know, all that it can have of the plan."""
    return not _difference(state, plan)


def next_commands(state: DeviceState, plan: Plan, room: int = MOST_FOPTS_BYTES) -> tuple[Steer, ...]:
    """What to tell the device in the next downlink, at most `room` bytes; nothing while it is given its silence."""
    if state.quiet_uplinks < min(LONGEST_SILENCE, 2**state.silences) - 1:
        return ()
    chosen: list[Steer] = []
    for command in _difference(state, plan):
        size = len(command.encode())
        if size > room:
            break
        chosen.append(command)
        room -= size
    return tuple(chosen)


def _difference(state: DeviceState, plan: Plan) -> list[Steer]:
    wanted = wanted_hz(state, plan)
    new = _new_channels(state, wanted)
    if new:
        return list(new)
    commands: list[Steer] = []
    mask = sum(1 << i for i, channel in state.channels.items() if channel.center_hz in wanted)
    link = _link_command(state, plan, mask)
    if link is not None:
        commands.append(link)
    exponent = plan.duty_cycle_exponent
    if exponent is not None and exponent != state.duty_cycle_exponent:
        commands.append(DutyCycleReq(exponent))
    return commands


def _new_channels(state: DeviceState, wanted: frozenset[int]) -> list[NewChannelReq]:
    """Channels the device does not know yet: on free indices first, then in the place of unwanted ones."""
    known = {channel.center_hz for channel in state.channels.values()}
    extras = range(len(DEFAULT_CHANNELS_HZ), MOST_CHANNELS)
    free = [i for i in extras if i not in state.channels]
    unwanted = [i for i in extras if i in state.channels and state.channels[i].center_hz not in wanted]
    return [NewChannelReq(i, center_hz) for i, center_hz in zip(free + unwanted, sorted(wanted - known), strict=False)]


def _link_command(state: DeviceState, plan: Plan, mask: int) -> LinkADRReq | None:
    """The LinkADRReq that is needed, or None. A mask that is empty or was refused leaves the channels as they are."""
    if not mask or f"mask:{mask}" in state.refused:
        mask = state.mask
    rate = None if f"data_rate:{plan.data_rate}" in state.refused else plan.data_rate
    power = None if f"power:{plan.tx_power}" in state.refused else plan.tx_power
    same_rate = rate is None or rate == state.data_rate
    same_power = power is None or power == state.tx_power
    if mask == state.mask and state.sure and same_rate and same_power and plan.nb_trans == state.nb_trans:
        return None
    kept_rate = KEEP if state.keeps_with_15 else state.data_rate
    kept_power = KEEP if state.keeps_with_15 else state.tx_power
    rate = kept_rate if rate is None or same_rate else rate
    if rate is None or f"data_rate:{rate}" in state.refused:
        return None  # a 1.0.3 device that was never heard has no data rate to repeat
    power = kept_power if power is None or same_power else power
    command = LinkADRReq(rate, power, mask, nb_trans=plan.nb_trans)
    return None if _command_key(command) in state.refused else command


def _command_key(command: LinkADRReq) -> str:
    return f"link:{command.encode().hex()}"


def told(state: DeviceState, commands: Sequence[Steer]) -> DeviceState:
    """The state after a downlink with `commands` has been handed over for sending."""
    return _with(state, asked=tuple(command.encode().hex() for command in commands), quiet_uplinks=0)


def after_uplink(state: DeviceState, answers: Sequence[Answer]) -> tuple[DeviceState, tuple[str, ...]]:
    """The state after an uplink with `answers`, and what is to be recorded: every answer bit, every refusal.

    Answers come in the order of their requests. A downlink whose commands stay unanswered may not have arrived.
    """
    waiting = [_decoded(text) for text in state.asked]
    records: list[str] = []
    matched = 0
    for answer in answers:
        if not isinstance(answer, LinkADRAns | NewChannelAns | DutyCycleAns):
            continue
        request = next((one for one in waiting if one.cid == answer.cid), None)
        if request is None:
            records.append(f"unasked answer {answer.encode().hex()}")
            continue
        waiting.remove(request)
        matched += 1
        state = _apply(state, request, answer, records)
    if matched:
        return _with(state, asked=(), silences=0, quiet_uplinks=0), tuple(records)
    if state.asked:
        records.append("no answer")
        return _with(state, asked=(), silences=state.silences + 1, quiet_uplinks=0), tuple(records)
    return _with(state, quiet_uplinks=state.quiet_uplinks + 1), tuple(records)


def _decoded(text: str) -> Steer:
    (command,) = decode_downlink(bytes.fromhex(text))
    assert isinstance(command, LinkADRReq | NewChannelReq | DutyCycleReq)
    return command


def _apply(state: DeviceState, request: Steer, answer: Answer, records: list[str]) -> DeviceState:
    bits = answer.encode()[1:].hex() or "-"
    records.append(f"{type(request).__name__} {request.encode().hex()} answered {bits}")
    if isinstance(request, DutyCycleReq):
        return _with(state, duty_cycle_exponent=request.exponent)
    if isinstance(request, NewChannelReq):
        assert isinstance(answer, NewChannelAns)
        return _after_new_channel(state, request, answer)
    assert isinstance(answer, LinkADRAns)
    return _after_link(state, request, answer)


def _after_new_channel(state: DeviceState, request: NewChannelReq, answer: NewChannelAns) -> DeviceState:
    """An accepted channel is enabled at once."""
    if answer.accepted:
        channel = Channel(request.center_hz, request.min_data_rate, request.max_data_rate)
        return _with(state, channels=state.channels | {request.index: channel}, mask=state.mask | 1 << request.index)
    refused = []
    if not answer.frequency_ok:
        refused.append(f"frequency:{request.center_hz}")
    if not answer.data_rate_ok:
        refused.append(f"range:{request.center_hz}:{request.min_data_rate}:{request.max_data_rate}")
    return _refuse(state, refused)


def _after_link(state: DeviceState, request: LinkADRReq, answer: LinkADRAns) -> DeviceState:
    if answer.accepted:
        return _with(
            state,
            mask=request.mask,
            sure=True,
            data_rate=state.data_rate if request.data_rate == KEEP else request.data_rate,
            tx_power=state.tx_power if request.tx_power == KEEP else request.tx_power,
            nb_trans=request.nb_trans or state.nb_trans,
        )
    refused = []
    if not answer.mask_ok:
        extras = {i for i in state.channels if i >= len(DEFAULT_CHANNELS_HZ) and request.mask >> i & 1}
        if extras and f"once:{request.mask}" not in state.refused:
            # a mask is refused for a channel the device does not know (any more): define the channels again, once
            channels = {i: channel for i, channel in state.channels.items() if i not in extras}
            kept = state.mask & sum(1 << i for i in channels)
            return _refuse(_with(state, channels=channels, mask=kept or DEFAULT_MASK), [f"once:{request.mask}"])
        refused.append(f"mask:{request.mask}")
    if not answer.data_rate_ok and request.data_rate != KEEP:
        refused.append(f"data_rate:{request.data_rate}")
    if not answer.power_ok and request.tx_power != KEEP:
        refused.append(f"power:{request.tx_power}")
    # the very same command is never sent again, whichever of its parts it was that displeased
    return _refuse(state, [*refused, _command_key(request)])


def _refuse(state: DeviceState, keys: Sequence[str]) -> DeviceState:
    return _with(state, refused=tuple(dict.fromkeys([*state.refused, *keys])))


def heard_on(state: DeviceState, center_hz: int, data_rate: int, asked: Sequence[str] = ()) -> tuple[DeviceState, bool]:
    """The state after an uplink on a channel, and whether that channel was masked: then the device has backed off.

    A device that uses one masked default channel has brought all three back (ADR back-off's last step). asked: the
    commands of the downlink before; a channel that they enable is no back-off, only an answer that was lost.
    """
    state = _with(state, data_rate=data_rate)
    if center_hz in state.enabled_hz:
        return state, False
    index = next((i for i, channel in state.channels.items() if channel.center_hz == center_hz), None)
    expected = any(_enables(_decoded(text), index, center_hz) for text in asked)
    if index is None:
        return state, not expected
    back = DEFAULT_MASK if index < len(DEFAULT_CHANNELS_HZ) and not expected else 1 << index
    return _with(state, mask=state.mask | back), not expected


def indices_of(state: DeviceState, center_hz: int) -> frozenset[int]:
    """Channel indices a device may have for a centre: the one we know, or any, when its answer to us was lost."""
    known = frozenset(i for i, channel in state.channels.items() if channel.center_hz == center_hz)
    return known or frozenset(range(len(DEFAULT_CHANNELS_HZ), MOST_CHANNELS))


def _enables(command: Steer, index: int | None, center_hz: int) -> bool:
    if isinstance(command, NewChannelReq):
        return command.center_hz == center_hz
    return isinstance(command, LinkADRReq) and index is not None and bool(command.mask >> index & 1)


def asked_whether_heard(state: DeviceState) -> DeviceState:
    """The state after an ADRACKReq: the device may already have begun to back off, so its mask is told anew."""
    return _with(state, sure=False)


def _with(state: DeviceState, **changes: object) -> DeviceState:
    return msgspec.structs.replace(state, **changes)
