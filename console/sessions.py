"""Logins: who is behind a cookie, for how long, and how often one may try. In memory: a restart logs everybody out.

Cookies are kept as hashes only; time and randomness are arguments.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controller.peers import Peer

SECRET_BYTES: Final = 32
MOST_SESSIONS: Final = 10_000

# Five tries at once, then one every twelve seconds, for each address and for each name.
BURST: Final = 5
REFILL_S: Final = 12.0
MOST_TRACKED: Final = 10_000


@dataclass(slots=True)
class Session:
    """One login. Times in seconds of a clock that does not jump; expires_s is the latest end of it, used or not."""

    peer: Peer
    csrf: str
    expires_s: float
    used_s: float


class Sessions:
    """The logins of one console. idle_s, session_s: a login ends unused after so long, and in any case after that."""

    def __init__(self, idle_s: float, session_s: float, secret: Callable[[], str]) -> None:
        self._idle_s = idle_s
        self._session_s = session_s
        self._secret = secret
        self._kept: OrderedDict[str, Session] = OrderedDict()

    def open(self, peer: Peer, now_s: float) -> tuple[str, Session]:
        """Log in: the cookie's value, which is kept nowhere, and the session."""
        cookie = self._secret()
        session = self._kept[_name(cookie)] = Session(peer, self._secret(), now_s + self._session_s, now_s)
        while len(self._kept) > MOST_SESSIONS:
            self._kept.popitem(last=False)
        return cookie, session

    def of(self, cookie: str | None, now_s: float) -> Session | None:
        """The session behind a cookie, used now; None when there is none (any more)."""
        if not cookie:
            return None
        name = _name(cookie)
        session = self._kept.get(name)
        if session is None:
            return None
        if now_s >= session.expires_s or now_s - session.used_s > self._idle_s:
            del self._kept[name]
            return None
        session.used_s = now_s
        return session

    def close(self, cookie: str | None) -> None:
        """Log out."""
        if cookie:
            self._kept.pop(_name(cookie), None)

    def ends_s(self, session: Session) -> float:
        """When a session ends if it is not used again."""
        return min(session.expires_s, session.used_s + self._idle_s)

    def __len__(self) -> int:
        return len(self._kept)


def is_csrf(session: Session, given: str | None) -> bool:
    """Whether a request carries its session's own word, compared in constant time."""
    return given is not None and hmac.compare_digest(session.csrf.encode(), given.encode())


def _name(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


class Tries:
    """How often one may try to log in: BURST at once, then one every REFILL_S. Forgets the longest unseen."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, names: tuple[str, ...], now_s: float) -> float:
        """Count a try under each name: 0 when all allow it, else the seconds until they do, and nothing is counted."""
        left = {name: self._tokens(name, now_s) for name in names}
        poorest = min(left.values())
        if poorest < 1.0:
            return (1.0 - poorest) * REFILL_S
        for name, tokens in left.items():
            self._left[name] = (tokens - 1.0, now_s)
            self._left.move_to_end(name)
        while len(self._left) > MOST_TRACKED:
            self._left.popitem(last=False)
        return 0.0

    def forgive(self, names: tuple[str, ...]) -> None:
        """Somebody has logged in: what was tried before does not count."""
        for name in names:
            self._left.pop(name, None)

    def _tokens(self, name: str, now_s: float) -> float:
        tokens, seen_s = self._left.get(name, (float(BURST), now_s))
        return min(float(BURST), tokens + (now_s - seen_s) / REFILL_S)
