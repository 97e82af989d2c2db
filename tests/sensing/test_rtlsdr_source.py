"""The dongle door through pyrtlsdr and ctypes, on the virtual dongle: settings, faults, restarts."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from sensing.live import Health, Patience
from sensing.rtlsdr_source import DongleSettings, RtlSdrSource, serials
from spectrum.errors import BadInput, Failed
from testbed.virtual_dongle import build, compiler

QUICK = Patience(stall_s=0.2, retry_s=0.01, give_up_s=30.0)
HASTY = replace(QUICK, give_up_s=0.0)
SETTINGS = DongleSettings(center_hz=868.3e6)


def take(source: RtlSdrSource, count: int) -> list:
    """The next `count` blocks."""
    blocks = source.blocks()
    return [next(blocks) for _ in range(count)]


def test_bytes_arrive_as_played_and_gaps_are_where_they_are_said_to_be(dongle, tmp_path) -> None:
    dongle(limit_bytes=8 << 20)
    air = np.frombuffer((tmp_path / "air.cu8").read_bytes(), np.uint8)
    with RtlSdrSource(SETTINGS, queue_s=2.0, patience=QUICK) as source:
        blocks = take(source, 60)
    for block in blocks:
        at = 2 * block.first_sample % air.size
        expected = np.resize(np.roll(air, -at), block.samples.size)
        assert np.array_equal(block.samples, expected)
    assert [b.first_sample for b in blocks] == sorted({b.first_sample for b in blocks})
    steps = [later.first_sample - b.first_sample - b.count for b, later in itertools.pairwise(blocks)]
    losses = [later.lost_samples - b.lost_samples for b, later in itertools.pairwise(blocks)]
    assert steps == losses


def test_what_is_published_is_what_the_dongle_is_set_to(dongle, tmp_path) -> None:
    dongle(log=tmp_path / "calls.log")
    with RtlSdrSource(DongleSettings(center_hz=868.3e6, rate_hz=1.7e6, gain_db=25.0, ppm=3)) as source:
        tuning = source.tuning
    assert tuning.gain_db == 25.4
    assert tuning.agc is False
    assert (tuning.center_hz, tuning.asked_center_hz) == (868.3e6, None)
    assert tuning.asked_rate_hz == 1.7e6
    assert tuning.rate_hz != 1.7e6
    assert tuning.rate_hz == pytest.approx(1.7e6, abs=1.0)
    calls = (tmp_path / "calls.log").read_text().splitlines()
    assert calls[-1] == "close 0"
    last = dict(call.split() for call in calls)
    assert (last["gain_mode"], last["gain"], last["agc"], last["ppm"]) == ("1", "254", "0", "3")


def test_the_present_ppm_is_not_set_again(dongle, tmp_path) -> None:
    dongle(log=tmp_path / "calls.log")
    RtlSdrSource(SETTINGS).close()
    assert "ppm" not in (tmp_path / "calls.log").read_text()


def test_a_dongle_is_found_by_its_serial(dongle, tmp_path) -> None:
    dongle(serials="roof,cellar,cellar", log=tmp_path / "calls.log")
    assert serials() == ["roof", "cellar", "cellar"]
    RtlSdrSource(replace(SETTINGS, device="roof")).close()
    assert "open 0\n" in (tmp_path / "calls.log").read_text()
    with pytest.raises(BadInput, match="2 dongles have serial 'cellar'"):
        RtlSdrSource(replace(SETTINGS, device="cellar"))
    with pytest.raises(BadInput, match=r"no dongle has serial 'attic'.*roof"):
        RtlSdrSource(replace(SETTINGS, device="attic"))


@pytest.mark.parametrize(
    ("fault", "changes", "message"),
    [
        ({"absent": 1}, {}, "no RTL-SDR dongle is plugged in"),
        ({"busy": 1}, {}, r"busy.*DVB driver.*-6"),
        ({"denied": 1}, {}, r"access is denied.*udev.*-3"),
        ({}, {"device": 3}, "no dongle has index 3"),
        ({}, {"rate_hz": 6e5}, "225001 to 300000 or 900001 to 3200000"),
        ({}, {"center_hz": 1e6}, "24 MHz to 1766 MHz"),
    ],
)
def test_what_cannot_be_opened_says_why_and_what_to_do(dongle, fault, changes, message) -> None:
    dongle(**fault)
    with pytest.raises((BadInput, Failed), match=message):
        RtlSdrSource(replace(SETTINGS, **changes))


@pytest.mark.parametrize("fault", [{"stall_after": 100_000}, {"unplug_after": 100_000, "unplug_status": 0}])
def test_a_dongle_that_falls_silent_is_stale_then_restarted(dongle, fault) -> None:
    states: list[Health] = []

    def listen(health: Health) -> None:
        states.append(health)
        if health.state == "stale":
            dongle()  # mended, or plugged in again

    dongle(**fault)
    with RtlSdrSource(SETTINGS, patience=QUICK, on_health=listen) as source:
        before = take(source, 4)  # transfers of 32 KiB until 100 kB are passed
        after = take(source, 1)[0]
        assert [health.state for health in states] == ["stale", "running"]
        assert states[0].reason
        assert states[1].lost_samples == after.lost_samples
        assert source.health.restarts == 1
    assert before[-1].lost_samples == 0
    assert after.lost_samples > 0
    assert after.first_sample == before[-1].first_sample + before[-1].count + after.lost_samples
    assert after.time_s > before[-1].time_s
    assert states[-1].state == "closed"


def test_an_unplugged_dongle_is_given_up_with_its_reason(dongle) -> None:
    states: list[Health] = []
    dongle(unplug_after=100_000)
    with (
        RtlSdrSource(SETTINGS, patience=HASTY, on_health=states.append) as source,
        pytest.raises(Failed, match=r"unplugged.*-4.*no RTL-SDR dongle is plugged in"),
    ):
        take(source, 100)
    assert [health.state for health in states] == ["stale", "failed", "closed"]


def test_a_slow_reader_loses_samples_and_they_are_counted(dongle) -> None:
    dongle(limit_bytes=2 << 20)
    with RtlSdrSource(SETTINGS, queue_s=0.02, patience=QUICK) as source:
        source._receiver.join(30.0)  # plays its two megabytes while nobody reads
        first = take(source, 1)[0]
        health = source.health
    assert first.lost_samples == 0
    assert health.overrun_samples + 2 * first.count == 1 << 20  # 96 kB of queue hold two transfers
    assert health.lost_samples == health.overrun_samples


def test_short_transfers_keep_i_and_q_apart(dongle) -> None:
    dongle(short_every=2, limit_bytes=8 << 20)
    with RtlSdrSource(SETTINGS, patience=QUICK) as source:
        blocks = take(source, 8)
    assert {block.count for block in blocks} == {16384, 8192}
    assert all(block.samples.size == 2 * block.count for block in blocks)


def test_closing_ends_the_iteration_in_another_thread(dongle) -> None:
    dongle()
    source = RtlSdrSource(SETTINGS, patience=QUICK)
    blocks = source.blocks()
    next(blocks)
    source.close()
    source.close()
    assert list(blocks) == []


def open_in_a_process(library: str, *, without_pyrtlsdrlib: bool = False) -> subprocess.CompletedProcess[str]:
    hide = "import sys; sys.modules['pyrtlsdrlib'] = None; " if without_pyrtlsdrlib else ""
    program = f"{hide}from sensing.rtlsdr_source import serials; print(serials())"
    environment = {**os.environ, "AIRSHED_LIBRTLSDR": library, "PYTHONPATH": os.getcwd()}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine: the virtual dongle cannot be built")
def test_a_library_as_old_as_debian_12s_is_refused_with_what_it_lacks(tmp_path) -> None:
    done = open_in_a_process(str(build(tmp_path, as_version_0_6=True)))
    assert done.returncode == 1
    assert "spectrum.errors.Failed: librtlsdr is too old for pyrtlsdr" in done.stderr
    assert "undefined symbol: rtlsdr_set_dithering" in done.stderr
    assert "Debian 12's 0.6 lacks" in done.stderr
    assert "pip install pyrtlsdrlib" in done.stderr


def test_a_library_that_is_not_there_is_said_to_be_missing(tmp_path) -> None:
    done = open_in_a_process(str(tmp_path / "nowhere.so"))
    assert "spectrum.errors.Failed: librtlsdr cannot be loaded" in done.stderr
