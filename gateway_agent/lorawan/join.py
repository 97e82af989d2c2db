"""Over-the-air activation: join requests judged, join accepts made. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from gateway_agent.lorawan import crypto
from gateway_agent.lorawan.frames import JoinAccept, JoinRequest
from gateway_agent.lorawan.session import Join, Session

# NetID 0 is for experimental networks; its addresses have seven leading zero bits and 25 bits of their own.
NET_ID: Final = 0
ADDRESS_BITS: Final = 25

# Nonces kept of a device that draws them at random (1.0.3); all 65,536 of them would end its life.
KEPT_NONCES: Final = 65_536


def objection(request: JoinRequest, raw: bytes, join_key: bytes, session: Session, *, counts_nonces: bool) -> str:
    """Why a join is refused, or an empty string. join_key: AppKey, in 1.1 NwkKey.

    counts_nonces: a device of 1.0.4 or later, whose DevNonce only grows.
    """
    if not crypto.same(crypto.cmac4(join_key, raw[: -crypto.MIC_BYTES]), request.mic):
        return "bad-mic"
    if counts_nonces:
        return "replay" if session.dev_nonces and request.dev_nonce <= max(session.dev_nonces) else ""
    return "replay" if request.dev_nonce in session.dev_nonces else ""


def accept(
    request: JoinRequest,
    join_key: bytes,
    session: Session,
    channels_hz: tuple[int, ...],
    taken: Collection[int],
    *,
    counts_nonces: bool,
    is_1_1: bool = False,
) -> tuple[bytes, Session]:
    """The sealed join accept, and the session that waits for the device's first frame; the old one stands until then.

    taken: device addresses in use. channels_hz: at most five for the CFList. is_1_1: answer for a session of 1.1.
    """
    join_nonce = session.join_nonce + 1
    dev_addr = free_address(request.dev_eui + join_nonce, taken)
    plain = JoinAccept(join_nonce, NET_ID, dev_addr, channels_hz=channels_hz, opt_neg=is_1_1).plain()
    asked = (request.join_eui, request.dev_eui, request.dev_nonce)
    mic = crypto.join_accept_mic_1_1(join_key, plain, *asked) if is_1_1 else None
    join_eui = f"{request.join_eui:016x}" if is_1_1 else ""
    nonces = (request.dev_nonce,) if counts_nonces else (*session.dev_nonces, request.dev_nonce)[-KEPT_NONCES:]
    waiting = msgspec.structs.replace(
        session,
        pending=Join(dev_addr, request.dev_nonce, join_nonce, join_eui),
        pending_channels_hz=channels_hz,
        join_nonce=join_nonce,
        dev_nonces=nonces,
    )
    return crypto.seal_join_accept(join_key, plain, mic), waiting


def free_address(start: int, taken: Collection[int]) -> int:
    """An address of NetID 0 that nobody uses, looked for from a place that depends on `start`."""
    modulus = 1 << ADDRESS_BITS
    # an odd multiplier spreads neighbouring EUIs over all addresses (Knuth's multiplicative hashing)
    address = start * 2_654_435_761 % modulus
    while address in taken or address == 0:
        address = (address + 1) % modulus
    return address
