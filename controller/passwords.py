"""Passwords: Argon2id hashes in the PHC string format, checked in the same time whether the user exists or not."""

from __future__ import annotations

import os
from functools import cache
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

# The second recommended choice of RFC 9106, section 4: 64 MiB, three passes, four lanes.
MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 3
LANES: Final = 4
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32

SHORTEST: Final = 10
LONGEST: Final = 256


def hash_password(password: str) -> str:
    """`$argon2id$v=19$m=65536,t=3,p=4$SALT$HASH` of a password with a salt of its own."""
    salt = os.urandom(SALT_BYTES)
    argon2 = Argon2id(salt=salt, length=HASH_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB)
    return argon2.derive_phc_encoded(password.encode())


def is_password(password: str, kept: str | None) -> bool:
    """Whether `kept` is the hash of `password`. None (no such user) takes as long, and is no."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), kept if kept is not None else _nobody())
    except InvalidKey:
        return False
    return kept is not None


@cache
def _nobody() -> str:
    return hash_password(os.urandom(SALT_BYTES).hex())
