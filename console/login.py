"""Who asks: cookies, tokens and passwords against the file of users, as often as the limits allow."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from console.sessions import SECRET_BYTES, Session, Sessions, Tries, is_csrf
from controller.operators import Actor
from controller.passwords import is_password
from controller.peers import Peer
from controller.users import User, peer_with, read_users
from spectrum.errors import Failed
from spectrum.site_file import Site

# A hash takes 64 MiB: no more than this many at once.
HASHES_AT_ONCE: Final = 2


class Refused(Failed):
    """Nobody with that name, password or token; it is not said which."""


class TooOften(Failed):
    """Too many tries. retry_s: whole seconds until the next is heard."""

    def __init__(self, retry_s: int) -> None:
        super().__init__(f"too many tries to log in: wait {retry_s} s")
        self.retry_s = retry_s


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. session: None for a token or for nobody."""

    actor: Actor | None
    may_read: bool
    session: Session | None = None

    @property
    def may_act(self) -> bool:
        """Whether the caller may change anything."""
        return self.actor is not None and self.actor.role == "operator"


class Login:
    """The logins of one console. monotonic: for lifetimes; wall: for times that are shown."""

    def __init__(
        self, site: Site, *, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        table = site.console
        users = table.users or (site.http.users if site.http is not None else None)
        self._users_file = None if users is None else Path(users)
        self._open = self._users_file is None or table.reading == "anyone"
        self._sessions = Sessions(table.idle_s, table.session_s, lambda: secrets.token_urlsafe(SECRET_BYTES))
        self._tries = Tries()
        self._monotonic, self._wall = monotonic, wall
        self._lock = threading.Lock()
        self._hashes = threading.BoundedSemaphore(HASHES_AT_ONCE)
        self._read: tuple[tuple[int, int], tuple[User, ...]] | None = None
        self.refused = 0

    def caller(self, cookie: str | None, token: str | None, address: str) -> Caller:
        """Who is behind a cookie or a token; Refused for a token that is nobody's."""
        if self._users_file is None:
            return Caller(None, may_read=True)
        if token is not None:
            return self._by_token(token, address)
        with self._lock:
            session = self._sessions.of(cookie, self._monotonic())
        user = None if session is None else self._user(session.peer.name)
        if session is None or user is None:
            return Caller(None, self._open)
        return Caller(Actor(user.name, user.role, address), may_read=True, session=session)

    def log_in(self, user: str | None, password: str | None, token: str | None, address: str) -> tuple[str, Caller]:
        """The cookie of a new session, and whose it is; Refused, or TooOften."""
        if self._users_file is None:
            raise Refused("this site has no users: make one with `airshed token`, and name the file in [console] users")
        self._count_try(address, user)
        known = self._users()
        peer = peer_with(token, known) if token is not None else self._with_password(user or "", password or "")
        if peer is None:
            self.refused += 1
            raise Refused("nobody has that name and password, or that token")
        with self._lock:
            if user is not None:
                self._tries.forgive((f"user {user}",))
            cookie, session = self._sessions.open(peer, self._monotonic())
        return cookie, Caller(Actor(peer.name, peer.role, address), may_read=True, session=session)

    def log_out(self, cookie: str | None) -> None:
        """Forget a session."""
        with self._lock:
            self._sessions.close(cookie)

    def is_own_page(self, caller: Caller, word: str | None) -> bool:
        """Whether a change comes from the caller's own page: a token shows it, a cookie needs the session's word."""
        return caller.session is None or is_csrf(caller.session, word)

    def view(self, caller: Caller) -> dict[str, Any]:
        """`GET /api/session`."""
        session, actor = caller.session, caller.actor
        expires_s = None
        if session is not None:
            expires_s = round(self._wall() + self._sessions.ends_s(session) - self._monotonic(), 3)
        return {
            "user": actor.name if actor else None, "role": actor.role if actor else None,
            "csrf": session.csrf if session else None, "expires_s": expires_s,
            "login": "unavailable" if self._users_file is None else "available",
            "may_read": caller.may_read, "may_act": caller.may_act,
        }  # fmt: skip

    @property
    def sessions(self) -> int:
        """How many are logged in."""
        return len(self._sessions)

    def _by_token(self, token: str, address: str) -> Caller:
        peer = peer_with(token, self._users())
        if peer is None:
            self._count_try(address, None)
            self.refused += 1
            raise Refused("that token is nobody's")
        return Caller(Actor(peer.name, peer.role, address), may_read=True)

    def _count_try(self, address: str, user: str | None) -> None:
        names = (f"address {address}", *((f"user {user}",) if user is not None else ()))
        with self._lock:
            wait_s = self._tries.wait_s(names, self._monotonic())
        if wait_s > 0.0:
            raise TooOften(math.ceil(wait_s))

    def _with_password(self, name: str, password: str) -> Peer | None:
        user = self._user(name)
        with self._hashes:
            right = is_password(password, None if user is None else user.password)
        return Peer(user.role, user.name) if user is not None and right else None

    def _user(self, name: str) -> User | None:
        return next((user for user in self._users() if user.name == name), None)

    def _users(self) -> tuple[User, ...]:
        """The users as the file has them now; read again only when it was written."""
        assert self._users_file is not None
        try:
            state = self._users_file.stat()
        except FileNotFoundError:
            return ()
        written = (state.st_mtime_ns, state.st_ino)
        if self._read is None or self._read[0] != written:
            self._read = (written, read_users(self._users_file))
        return self._read[1]
