"""Who is calling, by the certificate of mutual TLS, and what they may do.

A certificate names its holder in a URI: `airshed:gateway:NAME` or `airshed:operator:NAME`. A gateway speaks for itself
only; operators speak for everyone; without TLS (loopback) everyone on this machine is an operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["gateway", "operator", "viewer", "nobody"]

SCHEME: Final = "airshed"


@dataclass(frozen=True, slots=True)
class Peer:
    """A caller: what it is, and its name."""

    role: Role
    name: str

    def may_speak_for(self, gateway: str) -> bool:
        """Whether requests of that gateway are the caller's to make."""
        return self.role == "operator" or (self.role == "gateway" and self.name == gateway)

    @property
    def holder(self) -> str:
        """Whose leases the caller may change: a gateway its own, an operator (empty) all."""
        return "" if self.role == "operator" else self.name


LOCAL: Final = Peer("operator", "local")


def peer_of(auth_context: Mapping[str, Sequence[bytes]], *, tls: bool) -> Peer:
    """The caller behind gRPC's authentication context."""
    if not tls:
        return LOCAL
    for name in auth_context.get("x509_subject_alternative_name", ()):
        scheme, _, rest = name.decode(errors="replace").partition(":")
        role, _, holder = rest.partition(":")
        if scheme != SCHEME or not holder:
            continue
        if role == "gateway":
            return Peer("gateway", holder)
        if role == "operator":
            return Peer("operator", holder)
    return Peer("nobody", "")


def identity(role: Role, name: str) -> str:
    """The URI that a certificate carries."""
    return f"{SCHEME}:{role}:{name}"
