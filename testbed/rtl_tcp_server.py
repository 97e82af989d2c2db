"""An rtl_tcp server without a dongle: plays a recording or a synthetic scene to any rtl_tcp client.

As the real one: one client at a time, a greeting of 12 bytes, then samples at the pace of their rate, while the client
may send commands at any time. What a client cannot keep up with is dropped and counted, as a dongle would.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from sensing.opening import Wanted, open_source
from sensing.rtl2832 import R820T_GAINS_DB, RATES_HZ, real_rate_hz
from sensing.rtl_tcp import START_CENTER_HZ, START_RATE_HZ, Code, CommandReader, Greeting, Tuner, pack_greeting
from sensing.source import IqSource, Tuning, u8_of
from spectrum.errors import BadInput, Failed

# How far a client may fall behind before samples are dropped: rtl_tcp's own queue holds some seconds.
BEHIND_S: Final = 1.0
PIECE_BYTES: Final = 1 << 14

# What the kernel may hold for a client: a larger buffer would only make the samples older.
SEND_BUFFER_BYTES: Final = 1 << 18

# How long a client may take to read the rest and leave after the last byte.
GOODBYE_S: Final = 5.0


class Air(Protocol):
    """What the server plays: opened anew for every client, and at every change of tuning that it `follows`."""

    def follows(self, before: Tuning, after: Tuning) -> bool:
        """Whether a source that was opened for `before` does not do for `after`."""
        ...

    def __call__(self, tuning: Tuning) -> IqSource:
        """A source for a client that asked for `tuning`; a recording has a rate and a centre of its own."""
        ...


@dataclass(frozen=True, slots=True)
class OpenedAir:
    """What `airshed sense` could open, played: a recording, or `synthetic` at whatever rate and centre is asked for."""

    place: str
    rate_hz: float | None = None
    center_hz: float | None = None
    seed: int = 1

    def follows(self, before: Tuning, after: Tuning) -> bool:
        """A synthetic scene obeys a client's rate and centre, a recording nothing."""
        retuned = (before.center_hz, before.rate_hz) != (after.center_hz, after.rate_hz)
        return retuned and self.place == "synthetic"

    def __call__(self, tuning: Tuning) -> IqSource:
        """Open it for a client that asked for `tuning`."""
        if self.place == "synthetic":
            return open_source(Wanted(self.place, tuning.center_hz, tuning.rate_hz, seed=self.seed))
        return open_source(Wanted(self.place, self.center_hz, self.rate_hz))

    def check(self) -> None:
        """BadInput now, rather than at the first client, when it cannot be opened."""
        self(Tuning(START_CENTER_HZ, START_RATE_HZ)).close()


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a connection ends: after so many bytes or seconds; None for no such limit. pace: `real` or `flat` out."""

    bytes_most: int | None = None
    seconds_most: float | None = None
    real_time: bool = True

    def __post_init__(self) -> None:
        if not self.real_time and self.bytes_most is None:
            raise BadInput("playing flat out needs a limit of bytes: give --limit-bytes")
        if self.bytes_most is not None and self.bytes_most < 2:
            raise BadInput(f"a limit of bytes must be 2 or more, got {self.bytes_most}")


@dataclass(frozen=True, slots=True)
class Played:
    """One connection's account."""

    client: str
    sent_bytes: int
    dropped_bytes: int
    tuning: Tuning


def split_listen(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT or [IPV6]:PORT; port 0 is any free one."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise BadInput(f"expected --listen HOST:PORT with a port of 0 to 65535, got {text!r}")
    return host, int(port)


def check_listen(host: str, *, unprotected: bool) -> None:
    """BadInput for an address outside loopback, unless `unprotected`."""
    try:
        inside = all(
            ipaddress.ip_address(info[4][0]).is_loopback for info in socket.getaddrinfo(host, None, socket.AF_UNSPEC)
        )
    except OSError:
        raise BadInput(f"expected an address of this machine to listen on, got {host!r}") from None
    if not inside and not unprotected:
        raise BadInput(
            f"{host} is outside loopback, and rtl_tcp has neither authentication nor encryption: "
            "listen on 127.0.0.1 and tunnel it (ssh -L), or say --unprotected on a network you trust"
        )


class RtlTcpServer:
    """Listens from its constructor on (port 0: any free one); `serve` plays to clients one after another."""

    def __init__(
        self,
        air: Air,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        limits: Limits | None = None,
        loop: bool = True,
        unprotected: bool = False,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        check_listen(host, unprotected=unprotected)
        self._air, self._limits, self._loop, self._tell = air, limits or Limits(), loop, tell
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=1)
        except OSError as error:
            raise Failed(f"cannot listen on {host}:{port} ({error}): choose another port with --listen") from None
        self._listener.settimeout(0.2)
        self._closing = threading.Event()
        self._session: _Session | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def serve(self, clients: int | None = None) -> Iterator[Played]:
        """Play to `clients` connections (None: until closed), giving each one's account when it ends."""
        while not self._closing.is_set() and (clients is None or clients > 0):
            try:
                connection, peer = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:  # closed from another thread
                return
            clients = None if clients is None else clients - 1
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            with connection:
                self._session = _Session(connection, f"{peer[0]}:{peer[1]}", self._air, self._limits, self._tell)
                yield self._session.play(loop=self._loop, closing=self._closing)

    def close(self) -> None:
        """Stop listening and end the present connection."""
        self._closing.set()
        self._listener.close()
        if self._session is not None:
            self._session.end()


class _Session:
    """One client: a thread takes its commands, the caller's thread plays."""

    def __init__(
        self, connection: socket.socket, client: str, air: Air, limits: Limits, tell: Callable[[str], None]
    ) -> None:
        self._connection, self._client, self._air, self._limits, self._tell = connection, client, air, limits, tell
        self._wanted = Tuning(START_CENTER_HZ, START_RATE_HZ)
        self._gone = threading.Event()
        self._sent = self._dropped = 0

    def play(self, *, loop: bool, closing: threading.Event) -> Played:
        """Greet, then play until the client leaves, a limit is reached, the recording ends or `closing` is set."""
        self._tell(f"{self._client} connected")
        commands = threading.Thread(target=self._take_commands, name="rtl_tcp commands", daemon=True)
        with contextlib.suppress(OSError):
            self._connection.sendall(pack_greeting(Greeting(Tuner.R820T, len(R820T_GAINS_DB))))
            commands.start()
            self._play(loop, closing)
            # Only then has all arrived: closing with commands unread would throw away what is under way.
            self._connection.shutdown(socket.SHUT_WR)
            commands.join(GOODBYE_S)
        self.end()
        if commands.ident is not None:
            commands.join()
        self._tell(f"{self._client} left after {self._sent} bytes, {self._dropped} dropped")
        return Played(self._client, self._sent, self._dropped, self._wanted)

    def end(self) -> None:
        """Part from the client, from another thread."""
        self._gone.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _take_commands(self) -> None:
        reader = CommandReader()
        with contextlib.suppress(OSError):
            while data := self._connection.recv(1024):
                for code, value in reader.feed(data):
                    self._obey(code, value)
        self._gone.set()

    def _obey(self, code: int, value: int) -> None:
        """Take a command as the real server does: what it cannot do, it does not, and nobody is told."""
        if code == Code.CENTER:
            self._wanted = replace(self._wanted, center_hz=float(value))
        elif code == Code.RATE and any(low <= value <= high for low, high in RATES_HZ):
            self._wanted = replace(self._wanted, rate_hz=real_rate_hz(value))
        elif code == Code.GAIN:
            self._wanted = replace(self._wanted, gain_db=value / 10.0, agc=False)
        elif code == Code.GAIN_MODE:
            self._wanted = replace(self._wanted, agc=value == 0)
        name = Code(code).name if code in Code._value2member_map_ else f"unknown command {code:#04x}"
        self._tell(f"{self._client} sets {name} {value}")

    def _play(self, loop: bool, closing: threading.Event) -> None:
        start_s = time.monotonic()
        while not closing.is_set() and not self._gone.is_set():
            played = self._play_once(start_s, closing)
            if not loop or not played:
                return

    def _play_once(self, start_s: float, closing: threading.Event) -> bool:
        """Play the air from its beginning until it ends or the client retunes; whether there may be more to play."""
        wanted = self._wanted
        pace_s, paced_bytes = time.monotonic(), 0
        with self._air(wanted) as source:
            rate_hz = source.tuning.rate_hz
            if abs(rate_hz - wanted.rate_hz) > 1.0:
                self._tell(f"{self._client} asked for {wanted.rate_hz:g} S/s, but {source.name} plays at {rate_hz:g}")
            for lost_bytes, piece in _pieces(source):
                self._dropped += lost_bytes
                paced_bytes += lost_bytes
                if closing.is_set() or self._gone.is_set() or not self._within_limits(piece, start_s):
                    return False
                if self._air.follows(wanted, self._wanted):
                    return True
                paced_bytes += piece.size
                behind_s = time.monotonic() - pace_s - paced_bytes / 2 / rate_hz
                if not self._limits.real_time or behind_s <= BEHIND_S:
                    self._wait(-behind_s)
                    self._connection.sendall(piece.tobytes())
                    self._sent += piece.size
                else:
                    self._dropped += piece.size
        return paced_bytes > 0

    def _wait(self, seconds: float) -> None:
        if self._limits.real_time and seconds > 0:
            self._gone.wait(seconds)

    def _within_limits(self, piece: NDArray[np.uint8], start_s: float) -> bool:
        limits = self._limits
        if limits.bytes_most is not None and self._sent + piece.size > limits.bytes_most:
            return False
        return limits.seconds_most is None or time.monotonic() - start_s < limits.seconds_most


def _pieces(source: IqSource) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The source's samples as a dongle's bytes, in pieces of at most PIECE_BYTES; how many are missing before each."""
    lost_samples = 0
    for block in source.blocks():
        missing, lost_samples = 2 * (block.lost_samples - lost_samples), block.lost_samples
        data = u8_of(block.complex64()) if block.samples.dtype != np.uint8 else cast(NDArray[np.uint8], block.samples)
        for start in range(0, data.size, PIECE_BYTES):
            yield (missing if start == 0 else 0), data[start : start + PIECE_BYTES]
