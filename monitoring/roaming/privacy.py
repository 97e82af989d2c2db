"""Identifiers become keyed pseudonyms on the way in; the key stays with the site."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from spectrum.errors import BadInput, Failed

KEY_BYTES: Final = 32
# 64 bits: 40 million devices collide with probability n^2/2^65, below 5e-5.
PSEUDONYM_BYTES: Final = 8


@dataclass(frozen=True)
class SiteKey:
    """Secret of one site. Losing it makes old and new pseudonyms unlinkable, which is also how one forgets."""

    secret: bytes

    def __repr__(self) -> str:
        return "SiteKey(...)"

    def pseudonym(self, identifier: str) -> int:
        """Keyed BLAKE2b (RFC 7693) of the identifier, as a signed 64-bit number."""
        digest = blake2b(identifier.encode(), digest_size=PSEUDONYM_BYTES, key=self.secret).digest()
        return int.from_bytes(digest, "big", signed=True)

    def pseudonyms(self, identifiers: Iterable[str]) -> list[int]:
        return [self.pseudonym(identifier) for identifier in identifiers]


def as_text(pseudonym: int) -> str:
    """16 hexadecimal digits: how a pseudonym is written in results."""
    return f"{pseudonym & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def read_or_make_key(path: Path) -> SiteKey:
    """Read the key file (64 hexadecimal digits); make one, readable by its owner alone, when there is none."""
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return _make_key(path)
    except OSError as error:
        raise BadInput(f"site key {path}: not readable ({error.strerror}); name another with --site-key") from None
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise BadInput(
            f"site key {path}: expected {2 * KEY_BYTES} hexadecimal digits; remove the file to make a new one"
        )
    return SiteKey(secret)


def _make_key(path: Path) -> SiteKey:
    secret = secrets.token_bytes(KEY_BYTES)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_or_make_key(path)
    except OSError as error:
        raise Failed(
            f"site key {path}: cannot be made ({error.strerror}); name a writable file with --site-key"
        ) from None
    with os.fdopen(file, "w") as stream:
        stream.write(secret.hex() + "\n")
    return SiteKey(secret)
