"""An ASGI application on an address, served by uvicorn in a thread of its own: loopback, or TLS."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any, Final, Self

import uvicorn

from controller.grpc_door import is_loopback
from spectrum.errors import BadInput, Failed
from spectrum.site_file import TlsTable

STOP_TIMEOUT_S: Final = 3.0


class WebServer:
    """Serves while the `with` block lasts; `port` is open from the start.

    listen: `HOST:PORT`. named: what the address is called in the site file. serves: what for, in messages. BadInput for
    an address outside loopback without TLS; Failed when it is taken. at_stop: called before open connections are ended.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        listen: str,
        named: str,
        serves: str,
        tls: TlsTable | None,
        at_stop: Callable[[], None] | None = None,
    ) -> None:
        if tls is None and not is_loopback(listen):
            raise BadInput(f"{named} is {listen}: outside loopback a [tls] table is needed, or listen on 127.0.0.1")
        host, _, port = listen.rpartition(":")
        if not port.isdigit() or int(port) > 65535:
            raise BadInput(f"{named} is {listen!r}: expected HOST:PORT such as 127.0.0.1:8868")
        try:
            self._socket = socket.create_server((host.strip("[]"), int(port)))
        except OSError as error:
            raise Failed(f"cannot serve {serves} on {listen}: {error.strerror} (is the port taken?)") from None
        self.port: int = self._socket.getsockname()[1]
        self._at_stop = at_stop
        secrets: dict[str, Any] = {}
        if tls is not None:
            secrets = {"ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1, server_header=False, **secrets
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._at_stop is not None:
            self._at_stop()
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
        self._socket.close()
