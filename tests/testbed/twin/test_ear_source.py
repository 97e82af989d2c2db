"""The ear at the pace of a clock: what is late, dropped and counted, and the whole way into `airshed sense`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from sensing.source import Tuning
from testbed.rtl_tcp_server import RtlTcpServer
from testbed.twin.ear_source import Clock, EarSource, TwinAir
from testbed.virtual_dongle import build, compiler, environment, write_settings

CHUNK = 24_000


class FakeClock:
    """Time that passes only in waits, and by `slow` seconds a look when the machine is too slow."""

    def __init__(self, now=0.0, slow=0.0):
        self.time_s, self.slow, self.waited = now, slow, 0.0

    def now(self):
        self.time_s += self.slow
        return self.time_s

    def wait(self, seconds):
        self.time_s += seconds
        self.waited += seconds

    def clock(self, **rest):
        return Clock(self.now, self.wait, **rest)


def take(source, count):
    blocks = source.blocks()
    return [next(blocks) for _ in range(count)]


def test_blocks_come_when_their_last_sample_has_been_taken(twin):
    fake = FakeClock()
    source = EarSource(twin.ear_of(twin.carrier_of()), fake.clock())
    blocks = take(source, 5)
    assert fake.time_s == pytest.approx(0.05)
    assert [block.first_sample for block in blocks] == [CHUNK * i for i in range(5)]
    assert [block.time_s for block in blocks] == pytest.approx([0.01 * i for i in range(5)])
    assert (source.pace.chunks, source.pace.late, source.pace.dropped) == (5, 0, 0)
    whole = next(twin.ear_of(twin.carrier_of()).blocks(5 * CHUNK))
    np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks]), whole)


def test_a_machine_that_is_too_slow_drops_chunks_and_counts_them(twin):
    fake = FakeClock(slow=0.02)  # two looks at the clock a chunk: four times too slow
    source = EarSource(twin.ear_of(), fake.clock())
    blocks = take(source, 200)
    assert source.pace.chunks == 200
    assert source.pace.late > 150
    assert source.pace.dropped > 200
    lost = [block.lost_samples for block in blocks]
    assert lost == sorted(lost)
    assert lost[-1] == source.pace.dropped * CHUNK
    # first_sample goes on over the gap, as IqBlock asks.
    assert blocks[-1].first_sample == 199 * CHUNK + lost[-1]
    assert abs(blocks[-1].time_s - fake.time_s) < 0.6


def test_after_a_gap_the_air_is_that_of_the_present(twin):
    frame = twin.frame_of(start_s=2.0, eirp_dbm=14.0, x_m=50.0)
    fake = FakeClock()
    source = EarSource(twin.ear_of(frame), fake.clock())
    blocks = source.blocks()
    next(blocks)
    fake.time_s = 2.02
    block = next(blocks)
    assert block.time_s == pytest.approx(2.01, abs=0.011)
    assert block.samples.std() > 5 * twin.ear_of().chunk().std()


def test_a_clock_that_is_set_moves_the_ear_without_a_gap(twin):
    fake = FakeClock(now=-1e6)
    source = EarSource(twin.ear_of(from_s=-1e6), fake.clock())
    blocks = source.blocks()
    next(blocks)
    fake.time_s = -0.5
    block = next(blocks)
    assert (block.first_sample, block.lost_samples, source.pace.jumps) == (CHUNK, 0, 1)
    assert block.time_s == pytest.approx(-0.5)


def test_it_waits_until_the_air_is_known_and_ends_when_it_is_not(twin):
    asked = []

    def known(time_s):
        asked.append(time_s)
        return time_s < 0.035

    blocks = list(EarSource(twin.ear_of(), FakeClock().clock(known=known)).blocks())
    assert len(blocks) == 3
    assert asked == pytest.approx([0.01, 0.02, 0.03, 0.04])


def test_the_clock_s_wait_ends_it(twin):
    assert list(EarSource(twin.ear_of(), Clock(lambda: 0.0, lambda seconds: True)).blocks()) == []


def twin_air(twin, clock):
    """A strong carrier on 868.3 MHz and nothing else."""
    interferer = twin.carrier_of(center_hz=868.3e6, x_m=50.0)
    ear = twin.ear_of(interferer)
    return TwinAir(ear.scene, ear.sensor, lambda low, high: [interferer], clock)


def test_each_client_gets_an_ear_at_its_tuning_from_now(twin):
    air = twin_air(twin, FakeClock(now=7.5).clock())
    asked = Tuning(867.5e6, 1.2e6, 20.7, agc=False)
    source = air(asked)
    assert (source.tuning.center_hz, source.tuning.rate_hz, source.tuning.gain_db) == (867.5e6, 1.2e6, 20.7)
    assert source.ear.from_s == 7.5
    assert air(Tuning(867.5e6, 1.2e6)).tuning.gain_db == air.sensor.gain_db
    assert air.follows(asked, Tuning(867.5e6, 1.2e6, 25.4, agc=False))
    assert not air.follows(asked, asked)
    assert len(air.paces) == 2


def sensed(source, environ=None):
    """Reports of `airshed sense SOURCE` as a user would call it."""
    asked = ["sense", source, "--center", "868.0125e6", "--gain", "43.4", "--lorawan", "--seconds", "0.3", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "airshed", *asked], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, **(environ or {})},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def server(twin):
    """An rtl_tcp server of the twin in a thread."""
    start_s = time.monotonic()
    air = twin_air(twin, Clock(lambda: time.monotonic() - start_s, time.sleep))
    air.warm_up()
    with closing(RtlTcpServer(air)) as server:
        thread = threading.Thread(target=lambda: list(server.serve()), daemon=True)
        thread.start()
        yield server
    thread.join(10)


def check_carrier(reports):
    busy = {}
    for report in reports:
        busy.setdefault(report["subchannel_hz"], []).append(report)
    assert len(busy) == 8
    loud = busy[868.3e6][-1]
    assert loud["busy"]
    assert loud["energy_dbfs"] > loud["noise_dbfs"] + 20
    quiet = np.mean([report["busy"] for center_hz, one in busy.items() if center_hz < 868e6 for report in one])
    assert quiet < 0.5


def test_sense_hears_the_twin_over_rtl_tcp(server):
    check_carrier(sensed("rtl_tcp://{}:{}".format(*server.address)))


def test_sense_hears_the_twin_through_a_dongle(server, tmp_path):
    if compiler() is None:
        pytest.skip("no C compiler on this machine: the virtual dongle cannot be built")
    settings = write_settings(tmp_path / "dongle.conf", rtl_tcp="{}:{}".format(*server.address), log=tmp_path / "log")
    check_carrier(sensed("rtlsdr:0", environment(build(tmp_path), settings)))
    assert "gain 434" in (tmp_path / "log").read_text()


def test_the_command_plays_a_scene_and_says_how_it_kept_up(tmp_path):
    scene = tmp_path / "small.toml"
    scene.write_text('name = "small"\n[[sensors]]\nname = "roof"\nx_m = 1.0\ny_m = 1.0\n')
    asked = ["testbed", "rtl-tcp", "--scene", str(scene), "--listen", "127.0.0.1:0", "--clients", "1", "--json"]
    server = subprocess.Popen(
        [sys.executable, "-m", "airshed", *asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        host, _, port = server.stderr.readline().split()[-1].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as client:
            data = b""
            while len(data) < 12 + 100_000:
                data += client.recv(1 << 16)
        out, err = server.communicate(timeout=60)
    finally:
        server.kill()
        server.wait()
    assert data[:4] == b"RTL0"
    assert np.frombuffer(data[12:], np.uint8).mean() == pytest.approx(127.5, abs=0.5)
    assert json.loads(out)["sent_bytes"] >= 100_000
    assert "made" in err
    assert "0 dropped" in err


def test_a_dongle_without_its_server_cannot_be_opened(tmp_path):
    if compiler() is None:
        pytest.skip("no C compiler on this machine: the virtual dongle cannot be built")
    settings = write_settings(tmp_path / "dongle.conf", rtl_tcp="127.0.0.1:1")
    environ = {**os.environ, **environment(build(tmp_path), settings)}
    done = subprocess.run(
        [sys.executable, "-m", "airshed", "sense", "rtlsdr:0", "--seconds", "0.1"],
        capture_output=True, text=True, timeout=120, check=False, env=environ,
    )  # fmt: skip
    assert done.returncode == 1
    assert "does not answer" in done.stderr
