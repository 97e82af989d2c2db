"""Who may use the operators' API: names, roles and hashed tokens in one TOML file."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from controller.peers import Peer
from spectrum.errors import BadInput

# 256 random bits need no slow hash: nobody guesses them.
TOKEN_BYTES = 32


class _User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Literal["operator", "viewer"]
    token_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class _Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: tuple[_User, ...] = ()


def read_users(path: Path) -> tuple[_User, ...]:
    """The users in a file; none when it does not exist yet."""
    if not path.exists():
        return ()
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_Users).user
    except (msgspec.MsgspecError, OSError) as error:
        raise BadInput(f"{path}: no file of users as `airshed token` writes it: {error}") from None


def peer_with(token: str, users: tuple[_User, ...]) -> Peer | None:
    """Whose token it is; compared in constant time."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    for user in users:
        if hmac.compare_digest(user.token_sha256, digest):
            return Peer(user.role, user.name)
    return None


def add_user(path: Path, name: str, role: Literal["operator", "viewer"]) -> str:
    """Add a user (or give an old one a new token) and return the token, which is kept nowhere."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    user = _User(name, role, hashlib.sha256(token.encode()).hexdigest())
    users = (*(one for one in read_users(path) if one.name != name), user)
    lines = [f'[[user]]\nname = "{u.name}"\nrole = "{u.role}"\ntoken_sha256 = "{u.token_sha256}"\n' for u in users]
    if any(character in name for character in '"\\') or not name.isprintable():
        raise BadInput(f"a user's name has no quotes, backslashes or control characters, got {name!r}")
    unfinished = path.with_suffix(".new")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(lines))
    os.replace(unfinished, path)
    return token
