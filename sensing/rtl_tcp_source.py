"""A dongle behind rtl_tcp as a source of IQ: our own client, which reconnects and counts what it lost.

pyrtlsdr's RtlSdrTcpClient does not speak rtl_tcp. rtl_tcp neither acknowledges commands nor tells when it drops
samples; losses are found by the clock of samples, as with a dongle on USB.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import Final

from sensing.live import LiveSource, OnHealth, Patience, SampleQueue
from sensing.rtl2832 import DEFAULT_GAIN_DB, check_tuning, nearest_gain_db, real_rate_hz
from sensing.rtl_tcp import DEFAULT_PORT, HEADER, Code, Greeting, pack_command, unpack_greeting
from sensing.source import Tuning
from spectrum.errors import BadInput, Failed

# Deliveries are cut to this length, the latency of a socket that is not empty.
DELIVERY_S: Final = 0.005

# How often the receiving thread looks whether it should end.
LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class RtlTcpSettings:
    """Where a server listens and what its dongle is asked for.

    settle_s: what is thrown away after the commands, because the server's queue still holds samples of the settings
    before; they do not count as lost.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    center_hz: float = 868.0125e6
    rate_hz: float = 2.4e6
    gain_db: float = DEFAULT_GAIN_DB
    ppm: int = 0
    settle_s: float = 0.25
    connect_timeout_s: float = 5.0


def split_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT`, `[IPV6]:PORT` or any of them behind `rtl_tcp://`."""
    address = text.removeprefix("rtl_tcp://")
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(DEFAULT_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInput(f"expected rtl_tcp://HOST:PORT with a port of 1 to 65535, got {text!r}")
    return host, int(port)


class _Connection(threading.Thread):
    """A connected server whose samples a thread receives."""

    def __init__(self, settings: RtlTcpSettings) -> None:
        super().__init__(name="rtl_tcp", daemon=True)
        check_tuning(settings.center_hz, settings.rate_hz)
        self._settings = settings
        self._socket = _connect(settings)
        try:
            self.tuning = _configure(self._socket, settings)
        except BaseException:
            self._socket.close()
            raise
        self.ended = ""
        self._queue: SampleQueue | None = None
        self._stopping = threading.Event()
        self._left = False  # the server has closed its side

    def start(self, queue: SampleQueue | None = None) -> None:
        """Begin to push into `queue`."""
        self._queue = queue
        super().start()

    def run(self) -> None:
        assert self._queue is not None
        delivery = bytearray(max(512, 2 * int(DELIVERY_S * self.tuning.rate_hz)))
        settled_s = time.monotonic() + self._settings.settle_s
        self._socket.settimeout(LOOK_S)
        try:
            while not self._stopping.is_set():
                got = self._fill(memoryview(delivery))
                if time.monotonic() >= settled_s:
                    self._queue.push(bytes(delivery[: got & ~1]))
                else:
                    self._queue.last_arrival_s = time.monotonic()
                if self._left:
                    raise ConnectionError("the server closed the connection")
        except OSError as error:
            self.ended = str(error) or type(error).__name__
        finally:
            self._socket.close()

    def _fill(self, view: memoryview) -> int:
        """Receive until `view` is full, or until it holds whole samples and nothing more comes; the bytes received."""
        got = 0
        while got < len(view) and not self._stopping.is_set():
            try:
                count = self._socket.recv_into(view[got:])
            except TimeoutError:
                if got and got % 2 == 0:
                    break
                continue
            if count == 0:
                self._left = True
                break
            got += count
        return got

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Close the connection and wait; whether the thread has ended."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self.ident is None:
            self._socket.close()
        else:
            self.join(timeout_s)
        return not self.is_alive()


def _connect(settings: RtlTcpSettings) -> socket.socket:
    where = f"{settings.host}:{settings.port}"
    try:
        return socket.create_connection((settings.host, settings.port), settings.connect_timeout_s)
    except OSError as error:
        raise Failed(
            f"no rtl_tcp server answers at {where} ({error}): start one there with rtl_tcp -a HOST, "
            "or on this machine with airshed testbed rtl-tcp"
        ) from None


def _configure(connection: socket.socket, settings: RtlTcpSettings) -> Tuning:
    """Read the greeting and send every setting; rtl_tcp answers to none, so what they become is computed here."""
    where = f"{settings.host}:{settings.port}"
    try:
        greeting = unpack_greeting(_receive(connection, HEADER.size))
        gain_db, commands = _commands(greeting, settings)
        connection.sendall(b"".join(commands))
    except BadInput as error:
        raise Failed(f"{where}: {error}") from None
    except OSError as error:
        raise Failed(f"{where} does not speak rtl_tcp or went away: {error}") from None
    rate_hz = real_rate_hz(settings.rate_hz)
    return Tuning(
        center_hz=float(int(settings.center_hz)),
        rate_hz=rate_hz,
        gain_db=gain_db,
        agc=False,
        asked_center_hz=settings.center_hz if settings.center_hz != int(settings.center_hz) else None,
        asked_rate_hz=settings.rate_hz if settings.rate_hz != rate_hz else None,
    )


def _commands(greeting: Greeting, settings: RtlTcpSettings) -> tuple[float, list[bytes]]:
    gain_db = nearest_gain_db(settings.gain_db, greeting.gains_db or (settings.gain_db,))
    ppm = [pack_command(Code.PPM, settings.ppm)] if settings.ppm else []
    return gain_db, [
        pack_command(Code.RATE, int(settings.rate_hz)),
        *ppm,
        pack_command(Code.CENTER, int(settings.center_hz)),
        pack_command(Code.GAIN_MODE, 1),
        pack_command(Code.GAIN, round(10 * gain_db)),
        pack_command(Code.AGC, 0),
    ]


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            break
        data += part
    return data


class RtlTcpSource(LiveSource):
    """An rtl_tcp server's dongle. Opening raises BadInput (bad rate, centre) or Failed (nobody there, not rtl_tcp)."""

    def __init__(
        self,
        settings: RtlTcpSettings,
        *,
        queue_s: float = 1.0,
        patience: Patience | None = None,
        on_health: OnHealth | None = None,
    ) -> None:
        super().__init__(
            f"rtl_tcp://{settings.host}:{settings.port}",
            lambda: _Connection(settings),
            queue_s=queue_s,
            patience=patience,
            on_health=on_health,
        )
