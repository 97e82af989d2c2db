"""Who may use the operators' API and the console: names, roles, hashed tokens and passwords in one TOML file."""

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

UserRole = Literal["operator", "viewer"]


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One user. token_sha256: of the token, None without one. password: its Argon2id hash, None without one."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    role: UserRole
    token_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None
    password: Annotated[str, Meta(pattern=r"^\$argon2id\$[A-Za-z0-9$=,+/]+$")] | None = None


class _Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: tuple[User, ...] = ()


def read_users(path: Path) -> tuple[User, ...]:
    """The users in a file; none when it does not exist yet."""
    if not path.exists():
        return ()
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_Users).user
    except (msgspec.MsgspecError, OSError) as error:
        raise BadInput(f"{path}: no file of users as `airshed token` writes it: {error}") from None


def peer_with(token: str, users: tuple[User, ...]) -> Peer | None:
    """Whose token it is; compared in constant time."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    for user in users:
        if user.token_sha256 is not None and hmac.compare_digest(user.token_sha256, digest):
            return Peer(user.role, user.name)
    return None


def add_user(path: Path, name: str, role: UserRole) -> str:
    """Add a user (or give an old one a new token) and return the token, which is kept nowhere. A password stays."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    _keep(path, name, role, token_sha256=hashlib.sha256(token.encode()).hexdigest())
    return token


def set_password(path: Path, name: str, role: UserRole, password_hash: str) -> None:
    """Add a user with a password (or give an old one another). A token stays."""
    _keep(path, name, role, password=password_hash)


def _keep(path: Path, name: str, role: UserRole, **changed: str) -> None:
    if any(character in name for character in '"\\') or not name.isprintable():
        raise BadInput(f"a user's name has no quotes, backslashes or control characters, got {name!r}")
    users = {user.name: user for user in read_users(path)}
    users[name] = msgspec.structs.replace(users.get(name, User(name, role)), role=role, **changed)
    tables = []
    for user in users.values():
        fields = {key: value for key, value in msgspec.structs.asdict(user).items() if value is not None}
        tables.append("[[user]]\n" + "".join(f'{key} = "{value}"\n' for key, value in fields.items()))
    unfinished = path.with_suffix(".new")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(tables))
    os.replace(unfinished, path)
