"""The sensor's ear: levels, noise, impairments, and that nothing depends on how it is cut."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sensing.source import complex64_of, u8_of
from spectrum.lora import LoraModulation, airtime_s
from testbed.twin import kernels
from testbed.twin.air import noise_dbm, received_power_dbm
from testbed.twin.ear import converter
from testbed.twin.emissions import fixed_turns, passband, placed
from testbed.twin.scene import Impairments
from testbed.waveforms.lora import lora_waveform

RATE_HZ = 2.4e6


def heard(ear, seconds):
    """Samples of the first seconds."""
    return complex64_of(next(ear.blocks(round(seconds * RATE_HZ))))


def db(ratio):
    return 10 * math.log10(ratio)


def test_the_same_bytes_whatever_the_blocks(twin):
    frames = [twin.frame_of(i, start_s=0.013 * i, x_m=100.0 * i, payload=bytes([i] * 20)) for i in range(1, 6)]
    frames.append(twin.carrier_of(9, center_hz=868.4e6))
    impairments = {"ppm": 12.0, "phase_noise_hz": 30.0}
    streams = []
    for samples in (240_000, 1000, 24_000, 99_991):
        blocks = twin.ear_of(*frames, impairments=impairments).blocks(samples)
        data = np.concatenate([next(blocks) for _ in range(math.ceil(240_000 / samples))])
        streams.append(data[:480_000])
    for stream in streams[1:]:
        np.testing.assert_array_equal(stream, streams[0])


def test_another_seed_is_other_noise_and_the_same_seed_the_same(twin):
    first, again, other = (next(twin.ear_of(seed=seed).blocks(24_000)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_noise_is_thermal_noise_and_the_noise_figure(twin):
    ear = twin.ear_of(noise_figure_db=4.5, gain_db=49.6)
    iq = heard(ear, 0.1)
    asked_dbfs = noise_dbm(125e3, 4.5) - ear.sensor.full_scale_dbm
    assert db(twin.power(iq, RATE_HZ, -300e3, -175e3)) == pytest.approx(asked_dbfs, abs=0.1)
    assert ear.noise_dbfs(125e3) == pytest.approx(asked_dbfs, abs=0.1)  # rounding adds little at this gain
    assert abs(iq.mean()) < 3e-4


def test_at_a_low_gain_rounding_is_part_of_the_noise(twin):
    ear = twin.ear_of(gain_db=38.0)
    measured = db(twin.power(heard(ear, 0.2), RATE_HZ, -300e3, -175e3))
    assert measured == pytest.approx(ear.noise_dbfs(125e3), abs=0.1)
    assert measured > noise_dbm(125e3, 6.0) - ear.sensor.full_scale_dbm + 0.3


@pytest.mark.parametrize("factor", [7, 9, 12])
@pytest.mark.parametrize("eirp_dbm", [-8.0, 2.0, 14.0])
def test_a_frame_has_the_snr_that_was_asked_for_within_a_fifth_of_a_decibel(twin, factor, eirp_dbm):
    frame = twin.frame_of(factor=factor, payload=bytes(8), eirp_dbm=eirp_dbm)
    ear, silent = twin.ear_of(frame), heard(twin.ear_of(), 0.4)
    count = math.floor(frame.airtime_s * RATE_HZ)
    alone = np.zeros(count, dtype=np.complex64)
    waveform = lora_waveform(LoraModulation(factor), bytes(8))
    kernels.add_pieces(alone, 0, *placed(waveform, 0.0, 87.5e3, 1.0, RATE_HZ).columns(), kernels.TABLE)
    # The noise is the same in both, so that their difference holds the frame and what rounding left.
    seconds = min(frame.airtime_s, 0.4)
    first = slice(0, math.floor(seconds * RATE_HZ))
    difference = heard(ear, 0.4)[first] - silent[first]
    signal = abs(np.vdot(alone[first], difference)) ** 2 / (first.stop - first.start) ** 2
    noise = twin.power(silent, RATE_HZ, 868.1e6 - 62.5e3 - 868.0125e6, 868.1e6 + 62.5e3 - 868.0125e6)
    asked_db = received_power_dbm(ear.scene, frame, ear.sensor) - noise_dbm(125e3, 6.0)
    assert db(signal / noise) == pytest.approx(ear.snr_db(frame), abs=0.1)
    assert ear.snr_db(frame) == pytest.approx(asked_db, abs=0.2)


def test_levels_follow_distance_and_gain(twin):
    frame = twin.frame_of(x_m=200.0)
    near, far = twin.ear_of(frame), twin.ear_of(frame, x_m=1000.0)
    assert near.level_dbfs(frame) - far.level_dbfs(frame) == pytest.approx(35 * math.log10(800 / 200))
    assert twin.ear_of(frame, gain_db=30.0).level_dbfs(frame) == pytest.approx(near.level_dbfs(frame) - 13.4)


def test_a_frame_is_where_and_when_it_should_be_and_no_longer(twin):
    frame = twin.frame_of(start_s=0.0234, eirp_dbm=14.0, x_m=40.0)
    ear = twin.ear_of(frame)
    envelope = np.abs(heard(ear, 0.1))
    on_air = np.flatnonzero(envelope > 0.5 * envelope.max())
    assert on_air[0] == ear.sample_at(0.0234) == 56_160
    assert on_air[-1] == ear.sample_at(0.0234 + airtime_s(LoraModulation(7), 7)) - 1


def test_a_later_start_hears_the_same_signals(twin):
    frame = twin.frame_of(start_s=0.05, eirp_dbm=14.0, x_m=30.0)
    whole = heard(twin.ear_of(frame), 0.15)[144_000:]
    late = heard(twin.ear_of(frame, from_s=0.06), 0.09)
    noise = math.sqrt(2 * twin.ear_of().noise_power + 4 / 12 / 127.5**2)
    assert np.sqrt(np.mean(np.abs(whole - late) ** 2)) == pytest.approx(noise, rel=0.03)


def test_a_crystal_that_runs_high_hears_carriers_low_and_samples_fast(twin):
    ear = twin.ear_of(twin.carrier_of(eirp_dbm=10.0), impairments={"ppm": 40.0})
    iq = heard(ear, 0.2)
    hz = np.fft.fftfreq(iq.size, 1 / RATE_HZ)[np.abs(np.fft.fft(iq)).argmax()]
    # At 868.1 MHz through 868.0125 MHz (1 + 40e-6), counted by a clock that is as fast.
    assert hz == pytest.approx((868.1e6 - 868.0125e6 * (1 + 40e-6)) / (1 + 40e-6), abs=5)
    frame = twin.frame_of(start_s=10.0)
    assert twin.ear_of(frame, impairments={"ppm": 40.0}).sample_at(10.0) == 24_000_960


def test_dc_and_mirror_image_have_the_levels_that_were_asked_for(twin):
    impairments = {"dc_offset_dbfs": -30.0, "iq_gain_db": 0.5, "iq_phase_deg": 2.0}
    ear = twin.ear_of(twin.carrier_of(center_hz=868.2125e6, x_m=40.0), impairments=impairments)
    iq = heard(ear, 0.1)
    assert db(abs(iq.mean()) ** 2) == pytest.approx(-30.0, abs=0.1)
    signal, image = (twin.power(iq, RATE_HZ, center - 50, center + 50) for center in (200e3, -200e3))
    assert db(signal) == pytest.approx(ear.level_dbfs(twin.carrier_of(center_hz=868.2125e6, x_m=40.0)), abs=0.05)
    # Q against I by g and p: image over signal is |1 - g e^jp|^2 / |1 + g e^-jp|^2.
    g, p = 10 ** (0.5 / 20), math.radians(2.0)
    ratio = (1 - 2 * g * math.cos(p) + g * g) / (1 + 2 * g * math.cos(p) + g * g)
    assert db(image / signal) == pytest.approx(db(ratio), abs=0.5)


def test_phase_noise_spreads_a_carrier_to_its_linewidth(twin):
    ear = twin.ear_of(twin.carrier_of(center_hz=868.0125e6, x_m=20.0), impairments={"phase_noise_hz": 500.0})
    iq = heard(ear, 1.0)
    # A Lorentzian holds half its power within its full width at half maximum.
    inside, all_of_it = twin.power(iq, RATE_HZ, -250, 250), twin.power(iq, RATE_HZ, -100e3, 100e3)
    assert inside / all_of_it == pytest.approx(0.5, abs=0.08)


def test_what_is_too_strong_is_clipped_and_counted(twin):
    carrier = twin.carrier_of(eirp_dbm=16.0, x_m=5.0)
    ear = twin.ear_of(carrier)
    assert ear.level_dbfs(carrier) > 3.0
    data = ear.chunk()
    assert data.min() == 0
    assert data.max() == 255
    assert ear.clipped > 0.3 * data.size
    gentle = twin.ear_of(carrier, impairments={"clip_dbfs": -6.0})
    limited = gentle.chunk().astype(int)
    assert abs(limited.max() - (127.5 + 127.5 * 10 ** (-6 / 20))) <= 1
    assert twin.ear_of().chunk().max() < 255


def test_bytes_are_rounded_as_a_dongle_does(twin):
    iq = (np.random.default_rng(1).standard_normal(20_000, dtype=np.float32) * np.float32(0.6)).view(np.complex64)
    made, out = converter(Impairments()), np.empty(2 * iq.size, dtype=np.uint8)
    clipped = kernels.digitise(iq, made.straight, made.mirrored, made.constant, made.limit, out)
    np.testing.assert_array_equal(out, u8_of(iq))
    assert clipped == np.count_nonzero(np.abs(iq.view(np.float32)) > 1)


def test_what_is_out_of_band_is_not_folded_in(twin):
    outside = twin.carrier_of(center_hz=868.0125e6 + 1.5e6, x_m=10.0)
    edge = twin.carrier_of(center_hz=868.0125e6 + 1.15e6, x_m=10.0)
    ear = twin.ear_of(outside)
    np.testing.assert_array_equal(ear.chunk(), twin.ear_of().chunk())
    assert ear.level_dbfs(outside) == -math.inf
    loss_db = twin.ear_of(edge).level_dbfs(edge) - twin.ear_of(edge, center_hz=868.1e6 + 1e6).level_dbfs(edge)
    assert -12 < loss_db < -3
    assert passband(1.0e6, 125e3, RATE_HZ) == 1.0


def test_a_recording_is_played_at_its_place_and_level(twin, tmp_path):
    rng = np.random.default_rng(2)
    tone = 0.5 * np.exp(2j * np.pi * 20e3 / 1.2e6 * np.arange(12_000)) + 0.001 * rng.standard_normal(12_000)
    path = tmp_path / "tone_868.300M_1200k.cf32"
    path.write_bytes(tone.astype(np.complex64).tobytes())
    played = twin.carrier_of(
        kind="recording",
        file=str(path),
        center_hz=867.9e6,
        bandwidth_hz=250e3,
        x_m=30.0,
        eirp_dbm=10.0,
        start_s=0.02,
        airtime_s=0.06,
    )
    ear = twin.ear_of(played)
    iq = heard(ear, 0.1)
    level = twin.power(iq[60_000:180_000], RATE_HZ, 867.92e6 - 868.0125e6 - 500, 867.92e6 - 868.0125e6 + 500)
    assert db(level) == pytest.approx(ear.level_dbfs(played) - 6.02, abs=0.1)  # full scale would be eirp_dbm
    assert np.abs(iq[:48_000]).max() < 0.2 < np.abs(iq[48_000:60_000]).max()
    assert np.abs(iq[192_001:]).max() < 0.2


def test_a_recorded_telegram_is_still_read_by_rtl_433_through_the_air(twin, tmp_path):
    folder = Path(os.environ.get("AIRSHED_RECORDINGS", Path(__file__).parents[4] / "shared" / "recordings"))
    recording, program = folder / "wmbus_c_868.625M_2400k.cu8", shutil.which("rtl_433")
    if program is None or not recording.is_file():
        pytest.skip("needs rtl_433 (apt-get install rtl-433) and the shared recordings")
    played = twin.carrier_of(
        kind="recording", file=str(recording), center_hz=868.625e6, bandwidth_hz=2.4e6, x_m=40.0, eirp_dbm=18.0
    )
    path = tmp_path / "twin_868.625M_2400k.cu8"
    path.write_bytes(next(twin.ear_of(played, center_hz=868.625e6).blocks(240_000)).tobytes())
    asked = [program, "-r", str(path), "-R", "104", "-F", "json"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    # The recording lasts 21.4 ms and is played again and again: four whole times in 100 ms. It fills the converter as
    # it did when it was made: rtl_433 takes what is 3 dB weaker for noise.
    assert len(told) >= 4
    assert {json.loads(line)["id"] for line in told} == {60168569}


def test_turns_become_whole_numbers_that_wrap():
    turns = np.array([0.0, 0.25, -0.25, 0.5, 1.75, -1e-12])
    expected = [0, 1 << 62, 3 << 62, 1 << 63, 3 << 62, (1 << 64) - round(1e-12 * 2**64)]
    assert all(
        min((a - b) % 2**64, (b - a) % 2**64) <= 1 << 10
        for a, b in zip(map(int, fixed_turns(turns)), expected, strict=True)
    )
