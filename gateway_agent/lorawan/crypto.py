"""Keys, message integrity and encryption of LoRaWAN 1.0.x; AES and CMAC are the cryptography library's.

Section numbers are those of the LoRaWAN 1.0.4 link layer specification. All multi-byte fields are little-endian.
"""

from __future__ import annotations

import hmac
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


def data_mic(nwk_s_key: bytes, message: bytes, dev_addr: int, frame_counter: int, direction: int) -> bytes:
    """MIC of a data frame (4.4): CMAC over B0 and the message without its MIC. frame_counter: all 32 bits."""
    b0 = (
        b"\x49\0\0\0\0"
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


def session_keys(app_key: bytes, join_nonce: int, net_id: int, dev_nonce: int) -> tuple[bytes, bytes]:
    """(NwkSKey, AppSKey) of an accepted join (6.2.5)."""
    tail = join_nonce.to_bytes(3, "little") + net_id.to_bytes(3, "little") + dev_nonce.to_bytes(2, "little") + bytes(7)
    return _encrypt_blocks(app_key, b"\x01" + tail), _encrypt_blocks(app_key, b"\x02" + tail)


def seal_join_accept(app_key: bytes, plain: bytes) -> bytes:
    """MHDR and encrypted rest of a join accept; `plain` is MHDR and fields without the MIC.

    The server DEcrypts, so that a device needs AES encryption only (6.2.5).
    """
    return plain[:1] + _decrypt_blocks(app_key, plain[1:] + cmac4(app_key, plain))


def open_join_accept(app_key: bytes, frame: bytes) -> bytes | None:
    """MHDR and fields of a join accept without its MIC, or None when the MIC is wrong. The device's side."""
    if len(frame) not in (17, 33):
        return None
    plain = frame[:1] + _encrypt_blocks(app_key, frame[1:])
    fields, mic = plain[:-MIC_BYTES], plain[-MIC_BYTES:]
    return fields if same(cmac4(app_key, fields), mic) else None
