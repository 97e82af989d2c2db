"""Our rtl_tcp server and client against each other, and the server against rtl_433 where that is installed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from airshed import airshed as airshed_group
from sensing.live import Health, Patience
from sensing.rtl_tcp import CommandReader, Greeting, Tuner, pack_greeting, unpack_greeting
from sensing.rtl_tcp_source import RtlTcpSettings, RtlTcpSource, split_address
from sensing.source import IqBlock, SourceContext, Tuning
from spectrum.errors import BadInput, Failed
from terminal.command import run
from testbed import rtl_tcp_server
from testbed.rtl_tcp_server import Limits, OpenedAir, Played, RtlTcpServer

SAMPLES = np.random.default_rng(3).integers(0, 256, 1 << 19, dtype=np.uint8)
FLAT = Limits(bytes_most=SAMPLES.size, real_time=False)
QUICK = Patience(stall_s=5.0, retry_s=0.05, give_up_s=5.0)
EAGER = {"settle_s": 0.0, "rate_hz": 1.2e6}


class Recording(SourceContext):
    """SAMPLES as a source at 1.2 MS/s, whatever a client asks for."""

    tuning = Tuning(868.3e6, 1.2e6)

    @property
    def name(self) -> str:
        return "recording"

    def blocks(self) -> Iterator[IqBlock]:
        for start in range(0, SAMPLES.size, 1 << 17):
            yield IqBlock(SAMPLES[start : start + (1 << 17)], start // 2, 0.0)


class Air:
    """Plays a Recording to everybody."""

    def __init__(self, kind: type[Recording] = Recording) -> None:
        self.kind = kind

    def follows(self, before: Tuning, after: Tuning) -> bool:
        return False

    def __call__(self, tuning: Tuning) -> Recording:
        return self.kind()


class Gaps(Recording):
    """The Recording, of whose source the second block is 1000 samples late and the third 500 more."""

    def blocks(self) -> Iterator[IqBlock]:
        for i, lost in enumerate((0, 1000, 1500)):
            yield IqBlock(SAMPLES[i << 17 : i + 1 << 17], (i << 16) + lost, 0.0, lost)


@contextmanager
def serving(
    limits: Limits | None = None, clients: int | None = 1, air: Air | None = None, **options
) -> Iterator[tuple[RtlTcpServer, list]]:
    """A server in a thread of its own, and the accounts of the connections it has ended."""
    server = RtlTcpServer(air or Air(), limits=limits, **options)
    played: list[Played] = []
    thread = threading.Thread(target=lambda: played.extend(server.serve(clients)))
    thread.start()
    try:
        yield server, played
    finally:
        server.close()
        thread.join(10.0)


def settings(server: RtlTcpServer, **changes) -> RtlTcpSettings:
    host, port = server.address
    return RtlTcpSettings(host, port, **{**EAGER, **changes})


def gather(source: RtlTcpSource, count_bytes: int) -> tuple[np.ndarray, list[IqBlock]]:
    """Blocks until they hold `count_bytes`."""
    blocks: list[IqBlock] = []
    for block in source.blocks():
        blocks.append(block)
        if sum(b.samples.size for b in blocks) >= count_bytes:
            break
    return np.concatenate([block.samples for block in blocks]), blocks


def test_what_is_played_arrives_whole_and_settings_go_the_other_way() -> None:
    told: list[str] = []
    with (
        serving(FLAT, loop=False, tell=told.append) as (server, played),
        RtlTcpSource(settings(server, center_hz=868.5e6, gain_db=25.0, ppm=-7), queue_s=5.0, patience=QUICK) as source,
    ):
        got, blocks = gather(source, SAMPLES.size)
        assert source.tuning == Tuning(868.5e6, 1.2e6, gain_db=25.4, agc=False)
    assert np.array_equal(got, SAMPLES)
    assert blocks[-1].lost_samples == 0
    assert blocks[-1].first_sample + blocks[-1].count == SAMPLES.size // 2
    commands = [line.split(" sets ")[1] for line in told if " sets " in line]
    assert set(commands) == {
        "RATE 1200000", f"PPM {2**32 - 7}", "CENTER 868500000", "GAIN_MODE 1", "GAIN 254", "AGC 0"
    }  # fmt: skip
    assert played[0].sent_bytes == SAMPLES.size


def test_what_a_source_has_lost_is_counted_as_dropped() -> None:
    with (
        serving(FLAT, loop=False, air=Air(Gaps)) as (server, played),
        RtlTcpSource(settings(server), queue_s=5.0, patience=QUICK) as source,
    ):
        got, _ = gather(source, 3 << 17)
    assert np.array_equal(got, SAMPLES[: 3 << 17])
    assert (played[0].sent_bytes, played[0].dropped_bytes) == (3 << 17, 3000)


def test_a_rate_the_dongle_rounds_is_published_as_rounded() -> None:
    with serving() as (server, _), RtlTcpSource(settings(server, rate_hz=1.7e6)) as source:
        assert source.tuning.asked_rate_hz == 1.7e6
        assert source.tuning.rate_hz != 1.7e6
        assert source.tuning.rate_hz == pytest.approx(1.7e6, abs=1.0)


def test_a_lost_connection_is_stale_then_taken_up_again_with_the_gap_counted() -> None:
    states: list[Health] = []
    half = SAMPLES.size // 2
    with (
        serving(Limits(bytes_most=half, real_time=False), clients=2, loop=False) as (server, _),
        RtlTcpSource(settings(server), queue_s=5.0, patience=QUICK, on_health=states.append) as source,
    ):
        got, blocks = gather(source, SAMPLES.size)
        assert source.health.restarts == 1
    assert np.array_equal(got, np.tile(SAMPLES[:half], 2))
    assert [health.state for health in states[:2]] == ["stale", "running"]
    assert "closed the connection" in states[0].reason
    assert blocks[-1].first_sample + blocks[-1].count - blocks[-1].lost_samples == SAMPLES.size // 2


def test_a_server_that_stays_away_is_given_up() -> None:
    with serving(FLAT, loop=False) as (server, _):
        source = RtlTcpSource(settings(server), queue_s=5.0, patience=Patience(give_up_s=0.0))
        server.close()
        with source, pytest.raises(Failed, match=r"closed the connection; no rtl_tcp server answers"):
            list(source.blocks())


def test_nobody_there_and_somebody_else_there_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(Failed, match=r"begin with RTL0, got b'SSH-2\.0-Open"):
            RtlTcpSource(RtlTcpSettings("127.0.0.1", port))
        thread.join(10.0)
    with pytest.raises(Failed, match="airshed testbed rtl-tcp"):
        RtlTcpSource(RtlTcpSettings("127.0.0.1", port))


def test_real_time_pace_is_that_of_the_recording() -> None:
    """A quarter of a second of samples: flat out all of it would come at once, in real time piece by piece."""
    with serving(loop=False) as (server, _), RtlTcpSource(settings(server), queue_s=5.0) as source:
        block = next(source.blocks())
        assert block.first_sample + block.count <= 1e5


def test_a_client_that_does_not_read_loses_samples_and_the_server_counts_them(monkeypatch) -> None:
    monkeypatch.setattr(rtl_tcp_server, "BEHIND_S", 0.05)
    with serving() as (server, played), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(server.address)
        client.recv(12)
        # Hold still until the buffers of both sides are full and time has passed, then read until it goes on.
        time.sleep(0.6)
        for _ in range(100):
            client.recv(1 << 14)
    assert played[0].dropped_bytes > 0


def test_nonsense_from_a_client_changes_nothing() -> None:
    with serving(loop=False) as (server, played), socket.create_connection(server.address) as client:
        for code, value in ((2, 0), (2, 1), (2, 2**32 - 1), (0x77, 5), (0, 0)):
            client.sendall(struct.pack(">BI", code, value))
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        received = 0
        while data := client.recv(1 << 16):
            received += len(data)
    assert received >= 12
    assert played[0].tuning.rate_hz == 2.048e6


def test_commands_are_read_however_they_are_cut() -> None:
    stream = struct.pack(">BI", 1, 868_300_000) + struct.pack(">BI", 4, 254) + struct.pack(">BI", 0x77, 1)
    for size in (1, 2, 5, 7, 15):
        reader = CommandReader()
        found = [pair for at in range(0, len(stream), size) for pair in reader.feed(stream[at : at + size])]
        assert found == [(1, 868_300_000), (4, 254), (0x77, 1)]


def test_greetings() -> None:
    data = pack_greeting(Greeting(Tuner.R820T, 29))
    assert data == b"RTL0\x00\x00\x00\x05\x00\x00\x00\x1d"
    assert unpack_greeting(data).gains_db[14] == 25.4
    assert unpack_greeting(b"RTL0" + bytes([0, 0, 0, 99, 0, 0, 0, 7])) == Greeting(Tuner.UNKNOWN, 7)
    with pytest.raises(BadInput, match="RTL0"):
        unpack_greeting(b"RTL0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtl_tcp://127.0.0.1:1235", ("127.0.0.1", 1235)),
        ("rtl_tcp://roof", ("roof", 1234)),
        ("rtl_tcp://[::1]:7", ("::1", 7)),
        ("rtl_tcp://[::1]", ("::1", 1234)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert split_address(text) == expected


@pytest.mark.parametrize("text", ["rtl_tcp://", "rtl_tcp://roof:", "rtl_tcp://roof:x", "rtl_tcp://roof:70000"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(BadInput, match="HOST:PORT"):
        split_address(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_the_server_stays_inside_loopback(host: str) -> None:
    with pytest.raises(BadInput, match=r"outside loopback.*--unprotected"):
        RtlTcpServer(Air(), host)


def test_flat_out_needs_a_limit() -> None:
    with pytest.raises(BadInput, match="--limit-bytes"):
        Limits(real_time=False)


def airshed(*arguments: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "airshed", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_the_command_plays_a_scene_that_follows_the_client() -> None:
    process = airshed(
        *[
            "testbed",
            "rtl-tcp",
            "--synthetic",
            "--listen",
            "127.0.0.1:0",
            "--clients",
            "1",
            "--pace",
            "flat",
            "--limit-bytes",
            "2000000",
            "--json",
        ]
    )
    assert process.stderr is not None
    port = int(process.stderr.readline().rsplit(":", 1)[1])
    with RtlTcpSource(RtlTcpSettings(port=port, center_hz=868.3e6, rate_hz=1.2e6, settle_s=0.0)) as source:
        block = next(source.blocks())
        assert 1.0 < np.std(block.samples.astype(float)) < 60.0
        source.close()
        out, _ = process.communicate(timeout=30)
    account = json.loads(out)
    assert account["tuning"]["center_hz"] == 868.3e6
    assert account["tuning"]["rate_hz"] == 1.2e6
    assert account["sent_bytes"] <= 2_000_000
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected one of FILE, --synthetic and --scene, got none of them"),
        (("--synthetic", "x.cu8"), "got FILE and --synthetic"),
        (("--synthetic", "--pace", "flat"), "--limit-bytes"),
        (("--scene", "x.toml", "--pace", "flat"), "a scene plays in real time"),
        (("--scene", "nowhere.toml"), "nowhere.toml"),
        (("--synthetic", "--listen", "localhost"), "HOST:PORT"),
        (("--synthetic", "--listen", "0.0.0.0:0"), "--unprotected"),
        (("nowhere_868M_1000k.cu8",), "nowhere"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...], message: str, capsys) -> None:
    assert run(airshed_group, ["testbed", "rtl-tcp", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert message in complaint


def test_rtl_433_decodes_what_the_server_plays(tmp_path) -> None:
    """Debian's rtl_433 as a client of ours: it reads the burst that the recording is known for, telegram and CRC."""
    program = shutil.which("rtl_433")
    if program is None:
        pytest.skip("rtl_433 is not installed (apt-get install rtl-433)")
    shared = Path(os.environ.get("AIRSHED_RECORDINGS", Path(__file__).parents[2].parent / "shared" / "recordings"))
    recording = shared / "wmbus_c_868.625M_2400k.cu8"
    if not recording.exists():
        pytest.skip(f"no recording {recording.name} in {shared} (set AIRSHED_RECORDINGS)")
    samples = np.fromfile(recording, np.uint8)
    quiet = samples[: 2 * int(0.008 * 2.4e6)]
    padded = tmp_path / recording.name
    np.concatenate([np.tile(quiet, 60), samples, np.tile(quiet, 10)]).tofile(padded)
    server = RtlTcpServer(OpenedAir(str(padded)), limits=Limits(seconds_most=20.0))
    thread = threading.Thread(target=lambda: list(server.serve(1)))
    thread.start()
    try:
        place = "rtl_tcp:{}:{}".format(*server.address)
        options = ["-f", "868.625M", "-s", "2400k", "-Y", "classic", "-F", "json", "-E", "quit", "-T", "15"]
        done = subprocess.run(
            [program, "-d", place, *options], capture_output=True, text=True, timeout=40, check=False, cwd=tmp_path
        )
    finally:
        server.close()
        thread.join(10.0)
    telegrams = [json.loads(line) for line in done.stdout.splitlines()]
    assert telegrams, done.stderr
    assert (telegrams[0]["model"], telegrams[0]["id"], telegrams[0]["mic"]) == ("Wireless-MBus", 60168569, "CRC")
