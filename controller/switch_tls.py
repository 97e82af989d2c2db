"""Switches over mutual TLS, for both bases: neither's own server will do.

Ryu's spends its settings on the first switch and blocks every green thread while one shakes hands. os-ken's waits for
ever for a peer that never shakes hands, and lets two threads into one TLS connection at once. Both take an error in
the TLS stream for a time-out and try again for ever.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, Final

from spectrum.site_file import TlsTable

log = logging.getLogger(__name__)

# Who has not shaken hands by then is hung up on.
HANDSHAKE_S: Final = 5.0

# Waits until a socket is ready to be read (or written, where True) or so many seconds have passed (None: for ever);
# whether it is ready. A base's own, so that only the thread or greenlet that calls it waits.
Wait = Callable[[socket.socket, bool, float | None], bool]


def context_of(tls: TlsTable) -> ssl.SSLContext:
    """Takes switches with a certificate of the site's authority, and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # so that sending never has to wait for something to read
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tls.certificate, tls.key)
    context.load_verify_locations(tls.ca)
    return context


class TlsSocket:
    """A TLS connection as a base's Datapath uses a socket: one may receive while another sends.

    Nothing blocks inside of TLS: whoever has to wait does so outside of the lock. What goes wrong in TLS is a
    ConnectionError, after which there is nothing to be received.
    """

    def __init__(self, connection: ssl.SSLSocket, wait: Wait) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._wait = wait
        self._lock = Lock()
        self._timeout_s: float | None = None

    def shake_hands(self, most_s: float) -> None:
        """OSError when the peer has no certificate of the authority, or takes too long."""
        self._timeout_s = most_s
        self._do(self._connection.do_handshake)

    def settimeout(self, timeout_s: float | None) -> None:
        """How long one call may take in seconds, None for ever."""
        self._timeout_s = timeout_s

    def setsockopt(self, *option: Any) -> None:
        """An option of TCP."""
        self._connection.setsockopt(*option)

    def recv(self, most: int) -> bytes:
        """At most so many bytes, none when the peer has closed; TimeoutError or ConnectionError else."""
        received: bytes = self._do(partial(self._connection.recv, most))
        return received

    def sendall(self, data: bytes | bytearray) -> None:
        """All of `data`; TimeoutError or ConnectionError when it cannot be."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._do(partial(self._connection.send, rest)) :]

    def _do(self, call: Callable[[], Any]) -> Any:
        deadline = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        while True:
            try:
                with self._lock:
                    return call()
            except ssl.SSLWantReadError:
                write = False
            except ssl.SSLWantWriteError:
                write = True
            except ssl.SSLError as error:
                raise ConnectionError(f"TLS: {error.reason or error}") from None
            if self._connection.fileno() < 0:
                raise ConnectionError("it was closed meanwhile")
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._wait(self._connection, write, left_s):
                raise TimeoutError("the peer takes too long")

    def shutdown(self, how: int) -> None:
        """As TCP does it: TLS' own would make what comes next look like plain text."""
        socket.socket.shutdown(self._connection, how)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class TlsServer:
    """Takes connections at `address` and hands each that has shaken hands to `handle(socket, peer)`.

    spawn: runs a function in a thread (or greenlet) of its own.
    """

    def __init__(
        self,
        address: tuple[str, int],
        handle: Callable[[TlsSocket, Any], object],
        tls: TlsTable,
        wait: Wait,
        spawn: Callable[..., object],
    ) -> None:
        self._context = context_of(tls)
        self._listening = socket.create_server(address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self._listening.setblocking(False)
        self._handle, self._wait, self._spawn = handle, wait, spawn

    def serve_forever(self) -> None:
        """Called by the base."""
        while True:
            self._wait(self._listening, False, None)
            try:
                accepted, peer = self._listening.accept()
            except OSError:  # it has gone again, or there are too many: the next one may do
                continue
            self._spawn(self._serve, accepted, peer)

    def _serve(self, accepted: socket.socket, peer: Any) -> None:
        try:
            connection = TlsSocket(
                self._context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False), self._wait
            )
        except OSError:  # it has gone already
            accepted.close()
            return
        try:
            connection.shake_hands(HANDSHAKE_S)
        except OSError as error:
            log.warning("a peer at %s is not served as a switch: %s", peer[0], error)
            connection.close()
            return
        self._handle(connection, peer)
