"""The network side of LoRaWAN for the devices of one gateway: who spoke, what it said, what it should be told.

No input or output but the store of sessions; time is an argument. A frame that is broken, unknown, replayed or forged
is counted and dropped. Nothing that was acknowledged is lost: a session is stored before its downlink goes out.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from gateway_agent.lorawan import frames, join, mac_commands, session, steering
from gateway_agent.lorawan.devices import Device
from gateway_agent.lorawan.frames import BadFrame, DataFrame, JoinRequest
from gateway_agent.lorawan.region_eu868 import data_rate_of_datr
from gateway_agent.lorawan.session import Session, SessionKeys
from gateway_agent.lorawan.steering import Plan
from gateway_agent.semtech_udp import Received

log = logging.getLogger(__name__)

# GPS time began on 6 January 1980 and knows no leap seconds: 18 since then (IERS Bulletin C, none since 2017).
GPS_EPOCH_UNIX_S: Final = 315_964_800
LEAP_SECONDS: Final = 18

# SNR at which SF7 to SF12 are just demodulated (SX1276 datasheet, table 13).
DEMODULATION_FLOOR_DB: Final = {7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}


class Store(Protocol):
    """Where sessions are kept."""

    def load(self) -> Mapping[str, Session]:
        """All sessions by DevEUI."""

    def save(self, kept: Session) -> bool:
        """Keep one; False when the database is away."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame that stands: from which device, and what has to come of it.

    wants_plan: why a lease is needed or over (empty: it is not): `joined`, `first`, `adr-ack-req`, `masked-channel`.
    missed: frames of the device between its last one and this, by its counter.
    """

    device: Device
    received: Received
    at_s: float
    counter: int | None = None
    confirmed: bool = False
    must_answer: bool = False
    wants_plan: str = ""
    payload: bytes = b""
    join_accept: bytes = b""
    replies: tuple[mac_commands.Request, ...] = ()
    is_new: bool = True
    missed: int = 0


class LorawanNetwork:
    """Sessions of the devices of one gateway. `tell` hears of what happened to a device: name, event, detail.

    on_port_0: commands travel encrypted on FPort 0 instead of in FOpts.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        store: Store,
        *,
        cf_list_hz: tuple[int, ...] = (),
        on_port_0: bool = False,
        tell: Callable[[str, str, str], None] = lambda device, event, detail: None,
    ) -> None:
        self._devices = {device.dev_eui: device for device in devices}
        self._store = store
        self._cf_list_hz = cf_list_hz
        self._on_port_0 = on_port_0
        self._tell = tell
        self.counts: Counter[str] = Counter()
        kept = store.load()
        self._sessions = {eui: kept.get(eui) or _first(device) for eui, device in self._devices.items()}
        self._by_address: dict[int, set[str]] = {}
        self._addresses: dict[str, set[int]] = {}
        for eui in self._sessions:
            self._index(eui)

    def session_of(self, device: Device) -> Session:
        """The device's session as it stands."""
        return self._sessions[device.dev_eui]

    def hear(self, received: Received, now_s: float) -> Heard | None:
        """Judge one frame; None when it is not for us, broken, replayed or forged."""
        try:
            frame = frames.decode(received.frame)
        except BadFrame:
            self.counts["malformed_frames"] += 1
            return None
        if isinstance(frame, JoinRequest):
            return self._hear_join(frame, received, now_s)
        if not frame.is_uplink:
            self.counts["downlinks_of_others"] += 1
            return None
        return self._hear_data(frame, received, now_s)

    def _hear_join(self, request: JoinRequest, received: Received, now_s: float) -> Heard | None:
        device = self._devices.get(f"{request.dev_eui:016x}")
        join_key = None if device is None else device.join_key
        if device is None or join_key is None or not _right_join_server(device, request):
            self.counts["unknown_joins"] += 1
            return None
        kept = self._sessions[device.dev_eui]
        reason = join.objection(request, received.frame, join_key, kept, counts_nonces=device.counts_nonces)
        if reason:
            self.counts[f"joins_refused_{reason.replace('-', '_')}"] += 1
            self._tell(device.name, "join-refused", reason)
            return None
        sealed, waiting = join.accept(
            request, join_key, kept, self._cf_list_hz, self._by_address.keys(),
            counts_nonces=device.counts_nonces, is_1_1=device.is_1_1,
        )  # fmt: skip
        self._keep(waiting)
        self.counts["joins"] += 1
        return Heard(device, received, now_s, must_answer=True, join_accept=sealed)

    def _hear_data(self, frame: DataFrame, received: Received, now_s: float) -> Heard | None:
        verdicts = set()
        for eui in sorted(self._by_address.get(frame.dev_addr, ())):
            device = self._devices[eui]
            for kept, keys in _candidates(device, self._sessions[eui], frame.dev_addr):
                verdict, counter = session.judge(frame, received.frame, keys, kept.up, _sent_as(kept, received))
                if verdict == "new":
                    return self._take(device, kept, keys, frame, received, counter, now_s)
                if verdict == "repeat":
                    self.counts["repeated_frames"] += 1
                    return Heard(
                        device,
                        received,
                        now_s,
                        counter,
                        frame.is_confirmed,
                        must_answer=frame.is_confirmed,
                        is_new=False,
                    )
                verdicts.add(verdict)
        counted = "replayed_frames" if "replay" in verdicts else "bad_mics" if verdicts else "unknown_devices"
        self.counts[counted] += 1
        return None

    def _take(
        self,
        device: Device,
        kept: Session,
        keys: SessionKeys,
        frame: DataFrame,
        received: Received,
        counter: int,
        now_s: float,
    ) -> Heard:
        """A new frame: count it, read its commands, see what the device does with its channels."""
        why = self._begins(device, kept)
        said, payload = session.commands_and_payload(frame, keys, counter)
        answers, left_over = mac_commands.decode_uplink(said)
        self.counts["unread_command_bytes"] += left_over
        rate = data_rate_of_datr(received.datr)
        state, recorded = steering.after_uplink(kept.state, answers)
        for line in recorded:
            self._tell(device.name, "mac", line)
        state, masked = steering.heard_on(state, received.center_hz, rate or 0, kept.state.asked)
        if masked:
            why = why or "masked-channel"
        if frame.adr_ack_req:
            # a device repeats it until it hears us; its lease ends once
            why = why or ("adr-ack-req" if state.sure else "")
            state = steering.asked_whether_heard(state)
        if why:
            self._tell(device.name, "steer-again", why)
        self._keep(msgspec.structs.replace(kept, up=counter, state=state))
        missed = 0 if kept.up is None else counter - kept.up - 1
        self.counts["uplinks"] += 1
        self.counts["lost_uplinks"] += missed
        return Heard(
            device, received, now_s, counter, frame.is_confirmed, frame.is_confirmed or frame.adr_ack_req, why,
            payload, replies=_replies(answers, received, now_s), missed=missed,
        )  # fmt: skip

    def _begins(self, device: Device, kept: Session) -> str:
        """Why this frame begins something: the first of a join, or the first ever."""
        if kept.join != self._sessions[device.dev_eui].join:
            self._tell(device.name, "joined", f"address {kept.dev_addr:08x}")
            return "joined"
        return "first" if kept.up is None else ""

    def downlink(self, heard: Heard, plan: Plan | None) -> bytes | None:
        """The frame to answer with, stored before it is given out; None when there is nothing to say.

        When the store is away nothing is sent: a counter that might be used twice would give the key stream away.
        """
        if heard.join_accept:
            return heard.join_accept if self._keep(self.session_of(heard.device)) else None
        kept = self.session_of(heard.device)
        fixed = mac_commands.encode(heard.replies)
        room = (frames.MOST_PORT_0_BYTES if self._on_port_0 else frames.MOST_FOPTS_BYTES) - len(fixed)
        commands = steering.next_commands(kept.state, plan, room) if plan is not None and heard.is_new else ()
        if not (commands or fixed or heard.must_answer):
            return None
        keys = _keys(heard.device, kept)
        assert keys is not None, "a device that was heard has keys"
        said = fixed + mac_commands.encode(commands)
        frame, after = session.downlink(kept, keys, said, ack=heard.confirmed, on_port_0=self._on_port_0)
        if commands:
            after = msgspec.structs.replace(after, state=steering.told(after.state, commands))
        for command in commands:
            self.counts[f"commands_{type(command).__name__}"] += 1
        return frame if self._keep(after) else None

    def not_sent(self, device: Device) -> None:
        """A downlink went into no window: its commands were never heard, so no answer is missing."""
        kept = self.session_of(device)
        self._keep(msgspec.structs.replace(kept, state=msgspec.structs.replace(kept.state, asked=())))

    def _keep(self, kept: Session) -> bool:
        self._sessions[kept.dev_eui] = kept
        self._index(kept.dev_eui)
        saved = self._store.save(kept)
        if not saved:
            self.counts["sessions_not_stored"] += 1
        return saved

    def _index(self, eui: str) -> None:
        """Note under which addresses a device may be heard: the one that stands, and the one of a pending join."""
        kept = self._sessions[eui]
        pending = None if kept.pending is None else kept.pending.dev_addr
        addresses = {address for address in (kept.dev_addr, pending) if address is not None}
        known = self._addresses.get(eui, set())
        for address in known - addresses:
            self._by_address[address].discard(eui)
            if not self._by_address[address]:
                del self._by_address[address]
        for address in addresses - known:
            self._by_address.setdefault(address, set()).add(eui)
        self._addresses[eui] = addresses


def _right_join_server(device: Device, request: JoinRequest) -> bool:
    wanted = device.table.join_eui
    return wanted is None or int(wanted, 16) == request.join_eui


def _first(device: Device) -> Session:
    """The session of a device that was never heard."""
    address = device.table.dev_addr
    state = steering.DeviceState(keeps_with_15=device.counts_nonces)
    return Session(device.dev_eui, None if address is None else int(address, 16), state=state)


def _keys(device: Device, kept: Session) -> SessionKeys | None:
    if kept.join is None:
        assert device.keys.nwk_s_key is not None
        assert device.keys.app_s_key is not None
        return SessionKeys(bytes.fromhex(device.keys.nwk_s_key), bytes.fromhex(device.keys.app_s_key))
    if device.app_key is None:
        return None
    return session.join_keys(device.app_key, device.nwk_key, kept.join, join.NET_ID)


def _sent_as(kept: Session, received: Received) -> frozenset[tuple[int, int]]:
    """Data rate and channel indices that a frame can have been sent with, as far as we know the device's channels."""
    rate = data_rate_of_datr(received.datr)
    if rate is None:
        return frozenset()
    return frozenset((rate, index) for index in steering.indices_of(kept.state, received.center_hz))


def _candidates(device: Device, kept: Session, dev_addr: int) -> Iterable[tuple[Session, SessionKeys]]:
    """The sessions a frame may belong to: the one that stands, and the join that waits for its first frame."""
    for one in _sessions(device, kept, dev_addr):
        keys = _keys(device, one)
        if keys is not None:
            yield one, keys


def _sessions(device: Device, kept: Session, dev_addr: int) -> Iterable[Session]:
    if kept.dev_addr == dev_addr and (kept.join is not None or device.table.activation == "abp"):
        yield kept
    if kept.pending is not None and kept.pending.dev_addr == dev_addr:
        state = steering.joined(kept.pending_channels_hz, keeps_with_15=device.counts_nonces)
        yield msgspec.structs.replace(
            kept,
            dev_addr=dev_addr,
            join=kept.pending,
            pending=None,
            up=None,
            down=0,
            state=state,
            pending_channels_hz=(),
        )


def _replies(
    answers: Sequence[mac_commands.Answer], received: Received, now_s: float
) -> tuple[mac_commands.Request, ...]:
    """Answers to what a device asks: how well it is heard, and the time at the end of its frame."""
    replies: list[mac_commands.Request] = []
    for answer in answers:
        if isinstance(answer, mac_commands.LinkCheckReq):
            floor_db = DEMODULATION_FLOOR_DB.get(received.spreading_factor, 0.0)
            replies.append(mac_commands.LinkCheckAns(min(254, max(0, round(received.snr_db - floor_db))), 1))
        elif isinstance(answer, mac_commands.DeviceTimeReq):
            gps_s = now_s - GPS_EPOCH_UNIX_S + LEAP_SECONDS
            replies.append(mac_commands.DeviceTimeAns(int(gps_s), int(gps_s % 1 * 256)))
        elif isinstance(answer, mac_commands.RekeyInd):
            replies.append(mac_commands.RekeyConf(min(1, answer.minor)))
    return tuple(dict.fromkeys(replies))
