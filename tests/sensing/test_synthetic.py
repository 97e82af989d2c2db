"""Synthetic scenes: their levels, their truth, and that they repeat."""

from itertools import pairwise

import numpy as np
import pytest

from sensing.bursts import BurstFinder
from sensing.raster import LORAWAN_CHANNELS, band_raster, captured
from sensing.source import Tuning
from sensing.stream import SensorConfig, sense
from sensing.synthetic import LoraTraffic, Scene, SigfoxFrame, SyntheticSource, lora_frame
from spectrum.errors import BadInput
from spectrum.lora import LoraModulation, airtime_s

TUNING = Tuning(868.0125e6, 2.4e6)
CHANNEL = LORAWAN_CHANNELS[2]


def test_noise_has_its_level():
    iq = Scene(TUNING, noise_dbfs=-30.0).chunk(0)
    density = np.mean(np.abs(iq) ** 2) * 125e3 / 2.4e6
    assert 10 * np.log10(density) == pytest.approx(-30.0, abs=0.05)


def test_a_lora_frame_fills_its_subchannel_for_its_airtime():
    modulation = LoraModulation(8)
    frame = lora_frame(modulation, 20, 2.4e6, 0.0, 1)
    assert frame.size == round(airtime_s(modulation, 20) * 2.4e6)
    assert np.abs(frame) == pytest.approx(np.ones(frame.size), abs=1e-6)
    power = np.abs(np.fft.fft(frame)) ** 2
    inside = np.abs(np.fft.fftfreq(frame.size, 1 / 2.4e6)) <= 62.5e3
    assert power[inside].sum() / power.sum() > 0.97


def test_traffic_keeps_its_duty_and_its_snr_and_the_truth_tells_when():
    scene = Scene(TUNING, lora=(LoraTraffic(CHANNEL, 0.3, snr_db=12.0),), seed=5)
    bursts = scene.truth(0.0, 200.0)
    assert sum(burst.end_s - burst.start_s for burst in bursts) / 200.0 == pytest.approx(0.3, abs=0.05)
    config = SensorConfig(TUNING, subchannels=(CHANNEL,), interval_s=0.002)
    reports = list(sense(SyntheticSource(scene, 2.0), config))
    within = [
        report
        for report in reports
        if any(burst.start_s <= report.time_s and report.time_s + 0.002 <= burst.end_s for burst in bursts)
    ]
    outside = [
        report
        for report in reports
        if not any(burst.start_s < report.time_s + 0.002 and report.time_s < burst.end_s for burst in bursts)
    ]
    assert len(within) > 100
    assert np.median([report.snr_db for report in within]) == pytest.approx(12.0, abs=0.5)
    assert np.mean([report.busy for report in outside]) == pytest.approx(0.2, abs=0.08)


def test_the_burst_finder_finds_the_truth():
    scene = Scene(TUNING, lora=(LoraTraffic(CHANNEL, 0.2, snr_db=15.0),), seed=6)
    config = SensorConfig(TUNING, interval_s=0.001)
    finder, found = BurstFinder(), []
    reports = list(sense(SyntheticSource(scene, 2.0), config))
    for start in range(0, len(reports), 19 * 100):
        found += finder.feed(reports[start : start + 19 * 100])
    found += finder.flush()
    merged = []
    for burst in scene.truth(0.0, 2.0):  # overlapping frames are one burst on the air
        if merged and burst.start_s <= merged[-1][1] + 0.002:
            merged[-1][1] = max(merged[-1][1], burst.end_s)
        else:
            merged.append([burst.start_s, burst.end_s])
    assert [burst.start_s for burst in found] == pytest.approx([start for start, _ in merged], abs=0.002)
    assert [burst.end_s for burst in found] == pytest.approx([min(end, 2.0) for _, end in merged], abs=0.002)
    assert all(burst.low_hz <= CHANNEL.center_hz <= burst.high_hz for burst in found)


def test_a_sigfox_frame_loses_31_db_in_125_khz():
    scene = Scene(TUNING, sigfox=(SigfoxFrame(868.13e6, 0.0, 1.0, snr_db=25.0),), seed=7)
    clean = Scene(TUNING, seed=7)
    difference = scene.chunk(2) - clean.chunk(2)
    in_100_hz = 10 * np.log10(np.mean(np.abs(difference) ** 2)) + 36.0 + 10 * np.log10(125e3 / 100)
    assert in_100_hz == pytest.approx(25.0, abs=0.2)
    assert 25.0 - in_100_hz + 10 * np.log10(125e3 / 100) == pytest.approx(31.0, abs=0.3)


def test_rolloff_and_drift_shape_the_noise():
    rolled = Scene(TUNING, rolloff_db=3.0).chunk(0)
    power = np.abs(np.fft.fftshift(np.fft.fft(rolled))) ** 2
    edge, middle = power[: power.size // 100].mean(), power[power.size * 4 // 10 : power.size * 6 // 10].mean()
    assert 10 * np.log10(edge / middle) == pytest.approx(-3.0, abs=0.2)
    drifting = Scene(TUNING, drift_db=0.5, drift_period_s=20.0)
    levels = [np.mean(np.abs(drifting.chunk(index)) ** 2) for index in (50, 150)]
    assert 10 * np.log10(levels[0] / levels[1]) == pytest.approx(1.0, abs=0.05)


def test_scenes_differ_by_seed_and_repeat_by_seed():
    assert np.array_equal(Scene(TUNING, seed=1).chunk(4), Scene(TUNING, seed=1).chunk(4))
    assert not np.array_equal(Scene(TUNING, seed=1).chunk(4), Scene(TUNING, seed=2).chunk(4))
    assert not np.array_equal(Scene(TUNING, seed=1).chunk(4), Scene(TUNING, seed=1).chunk(5))


def test_a_source_ends_after_its_seconds():
    blocks = list(SyntheticSource(Scene(TUNING), 0.25).blocks())
    assert [block.count for block in blocks] == [240_000, 240_000, 120_000]
    assert [block.first_sample for block in blocks] == [0, 240_000, 480_000]


def test_the_raster_of_the_band_is_symmetric_and_whole():
    raster = band_raster(868.625e6, 2.4e6)
    assert len(raster) == 19
    assert raster[9].center_hz == 868.625e6
    assert {round(high.low_hz - low.high_hz, 3) for low, high in pairwise(raster)} == {0.0}
    assert len(band_raster(868.3e6, 250e3)) == 2
    assert captured(LORAWAN_CHANNELS, 868.3e6, 650e3) == LORAWAN_CHANNELS[-3:]


def test_impossible_scenes_are_refused():
    with pytest.raises(BadInput, match="duty"):
        Scene(TUNING, lora=(LoraTraffic(CHANNEL, 1.0),))
    with pytest.raises(BadInput, match="more than 0 s"):
        SyntheticSource(Scene(TUNING), 0.0)
