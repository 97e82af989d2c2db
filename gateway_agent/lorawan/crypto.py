"""Keys, message integrity and encryption of LoRaWAN 1.0.x and 1.1; AES and CMAC are the cryptography library's.

Section numbers are those of the LoRaWAN 1.0.4 link layer specification, or of 1.1 where a function's name ends so. All
multi-byte fields are little-endian.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

KEY_BYTES: Final = 16
MIC_BYTES: Final = 4
UPLINK: Final = 0
DOWNLINK: Final = 1


def _encrypt_blocks(key: bytes, data: bytes) -> bytes:
    # ECB because the specification builds its own counter mode from single blocks (4.3.3).
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _decrypt_blocks(key: bytes, data: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def cmac4(key: bytes, data: bytes) -> bytes:
    """The first four bytes of AES-CMAC (RFC 4493)."""
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()[:MIC_BYTES]


def same(one: bytes, other: bytes) -> bool:
    """Equality that takes the same time for any difference."""
    return hmac.compare_digest(one, other)


def data_mic(
    nwk_s_key: bytes, message: bytes, dev_addr: int, frame_counter: int, direction: int, context: bytes = bytes(4)
) -> bytes:
    """MIC of a data frame (4.4): CMAC over B0 and the message without its MIC. frame_counter: all 32 bits.

    context: bytes 1 to 4 of the block, zero in 1.0; in 1.1 the counter that is acknowledged, data rate and channel.
    """
    b0 = (
        b"\x49"
        + context
        + bytes((direction,))
        + dev_addr.to_bytes(4, "little")
        + frame_counter.to_bytes(4, "little")
        + b"\0"
        + bytes((len(message),))
    )
    return cmac4(nwk_s_key, b0 + message)


def crypt_payload(key: bytes, payload: bytes, dev_addr: int, frame_counter: int, direction: int) -> bytes:
    """Encrypt or decrypt an FRMPayload (4.3.3): both are the same exclusive or with the key stream."""
    blocks = -(-len(payload) // 16)
    if not blocks:
        return b""
    counters = b"".join(
        b"\x01\0\0\0\0"
        + bytes((direction,))
        + dev_addr.to_bytes(4, "little")
        + frame_counter.to_bytes(4, "little")
        + b"\0"
        + bytes((i,))
        for i in range(1, blocks + 1)
    )
    stream = _encrypt_blocks(key, counters)
    return bytes(a ^ b for a, b in zip(payload, stream, strict=False))


def uplink_mic_1_1(
    forwarding_key: bytes, serving_key: bytes, message: bytes, dev_addr: int, frame_counter: int,
    data_rate: int, channel: int,
) -> bytes:  # fmt: skip
    """MIC of an uplink (1.1, 4.4): two bytes under SNwkSIntKey, with data rate and channel, and two under FNwkSIntKey.

    channel: its index. The counter acknowledged is zero: we send no confirmed downlinks that could be acknowledged.
    """
    context = bytes((0, 0, data_rate, channel))
    serving = data_mic(serving_key, message, dev_addr, frame_counter, UPLINK, context)
    return serving[:2] + data_mic(forwarding_key, message, dev_addr, frame_counter, UPLINK)[:2]


def downlink_mic_1_1(serving_key: bytes, message: bytes, dev_addr: int, frame_counter: int, acknowledged: int) -> bytes:
    """MIC of a downlink (1.1, 4.4). acknowledged: counter of the confirmed uplink it acknowledges, 0 for none."""
    context = (acknowledged & 0xFFFF).to_bytes(2, "little") + bytes(2)
    return data_mic(serving_key, message, dev_addr, frame_counter, DOWNLINK, context)


def crypt_f_opts_1_1(key: bytes, f_opts: bytes, dev_addr: int, frame_counter: int, direction: int) -> bytes:
    """Encrypt or decrypt FOpts with NwkSEncKey (1.1, 4.3.1.6, as its erratum on FCntDwn has it).

    The block's fifth byte is 1: uplinks and downlinks without an application's payload, and we send no others.
    """
    block = (
        b"\x01\0\0\0\x01"
        + bytes((direction,))
        + dev_addr.to_bytes(4, "little")
        + frame_counter.to_bytes(4, "little")
        + b"\0\x01"
    )
    return bytes(a ^ b for a, b in zip(f_opts, _encrypt_blocks(key, block), strict=False))


def session_keys_1_1(
    app_key: bytes, nwk_key: bytes, join_nonce: int, join_eui: int, dev_nonce: int
) -> tuple[bytes, bytes, bytes, bytes]:
    """(FNwkSIntKey, SNwkSIntKey, NwkSEncKey, AppSKey) of an accepted join (1.1, 6.2.5)."""
    tail = (
        join_nonce.to_bytes(3, "little") + join_eui.to_bytes(8, "little") + dev_nonce.to_bytes(2, "little") + bytes(2)
    )
    network = [_encrypt_blocks(nwk_key, prefix + tail) for prefix in (b"\x01", b"\x03", b"\x04")]
    return network[0], network[1], network[2], _encrypt_blocks(app_key, b"\x02" + tail)


def join_accept_mic_1_1(nwk_key: bytes, plain: bytes, join_eui: int, dev_eui: int, dev_nonce: int) -> bytes:
    """MIC of the answer to a join request (1.1, 6.2.3): under JSIntKey, over what was asked and what is answered."""
    js_int_key = _encrypt_blocks(nwk_key, b"\x06" + dev_eui.to_bytes(8, "little") + bytes(7))
    asked = b"\xff" + join_eui.to_bytes(8, "little") + dev_nonce.to_bytes(2, "little")
    return cmac4(js_int_key, asked + plain)


def session_keys(app_key: bytes, join_nonce: int, net_id: int, dev_nonce: int) -> tuple[bytes, bytes]:
    """(NwkSKey, AppSKey) of an accepted join (6.2.5)."""
    tail = join_nonce.to_bytes(3, "little") + net_id.to_bytes(3, "little") + dev_nonce.to_bytes(2, "little") + bytes(7)
    return _encrypt_blocks(app_key, b"\x01" + tail), _encrypt_blocks(app_key, b"\x02" + tail)


def seal_join_accept(app_key: bytes, plain: bytes, mic: bytes | None = None) -> bytes:
    """MHDR and encrypted rest of a join accept; `plain` is MHDR and fields without the MIC, which is 1.0's by default.

    The server DEcrypts, so that a device needs AES encryption only (6.2.5). app_key: NwkKey in 1.1.
    """
    return plain[:1] + _decrypt_blocks(app_key, plain[1:] + (mic or cmac4(app_key, plain)))


def open_join_accept(
    app_key: bytes, frame: bytes, mic_of: Callable[[bytes], bytes] | None = None
) -> bytes | None:  # fmt: skip
    """MHDR and fields of a join accept without its MIC, or None when the MIC is wrong. The device's side.

    mic_of: the MIC of these fields, 1.0's by default.
    """
    if len(frame) not in (17, 33):
        return None
    plain = frame[:1] + _encrypt_blocks(app_key, frame[1:])
    fields, mic = plain[:-MIC_BYTES], plain[-MIC_BYTES:]
    expected = cmac4(app_key, fields) if mic_of is None else mic_of(fields)
    return fields if same(expected, mic) else None
