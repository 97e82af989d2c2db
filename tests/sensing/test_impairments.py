"""Each impairment of a receiver raises its flag, and a clean receiver raises none."""

from dataclasses import replace

import numpy as np
import pytest

from sensing.impairments import FLAGS, image_ratio
from sensing.power import EnergyMeter, plan_columns, plan_frames
from sensing.raster import band_raster
from sensing.source import IqBlock, Tuning, u8_of
from sensing.stream import Sensor, SensorConfig, sense
from sensing.synthetic import Carrier, Scene, SyntheticSource

TUNING = Tuning(868.625e6, 2.4e6)
CLEAN = Scene(TUNING, seed=3)


def reports_of(scene, seconds=0.6, tuning=None):
    return list(sense(SyntheticSource(scene, seconds), SensorConfig(tuning or scene.tuning)))


def flags_of(scene, **options):
    return {flag for report in reports_of(scene, **options) for flag in report.flags}


def at(reports, frequency_hz):
    return [report for report in reports if abs(report.subchannel_hz - frequency_hz) <= report.bandwidth_hz / 2]


def test_a_clean_receiver_raises_no_flag():
    assert flags_of(CLEAN, seconds=2.0) == set()


def test_a_dc_spike_is_masked_and_flagged_where_it_is():
    reports = reports_of(replace(CLEAN, dc=0.05 + 0.02j))
    assert {report.subchannel_hz for report in reports if "dc" in report.flags} == {868.625e6}
    spiked, clean = (np.mean([report.energy_dbfs for report in at(found, 868.625e6)])
                     for found in (reports, reports_of(CLEAN)))  # fmt: skip
    assert spiked == pytest.approx(clean, abs=0.05)


def test_half_a_raster_off_the_dc_spike_lies_between_two_subchannels():
    tuning = Tuning(868.0125e6, 2.0e6)
    reports = reports_of(Scene(tuning, dc=0.05 + 0.0j))
    assert {report.subchannel_hz for report in reports if "dc" in report.flags} == {
        868.0125e6 - 62.5e3,
        868.0125e6 + 62.5e3,
    }
    assert np.mean([report.busy for report in reports]) == pytest.approx(0.2, abs=0.06)


def test_an_iq_imbalance_is_measured_and_its_image_flagged():
    scene = replace(CLEAN, carriers=(Carrier(869.125e6, 35.0),), image_db=-25.0)
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, TUNING, band_raster(868.625e6, 2.4e6))
    ratio = image_ratio(EnergyMeter(frames, columns).measure(u8_of(scene.chunk(0))))
    assert 10 * np.log10(ratio) == pytest.approx(np.full(10, -25.0), abs=1.0)
    reports = reports_of(scene)
    assert all("image" in report.flags for report in at(reports, 868.125e6))
    assert not any("image" in report.flags for report in at(reports, 869.125e6))
    assert not any("image" in report.flags for report in reports_of(replace(scene, image_db=None)))


def test_clipping_is_flagged():
    assert "clipping" in flags_of(replace(CLEAN, noise_dbfs=-10.0))
    assert "clipping" in flags_of(replace(CLEAN, carriers=(Carrier(868.3e6, 40.0),)))


def test_noise_under_one_step_of_the_converter_is_flagged():
    assert flags_of(replace(CLEAN, noise_dbfs=-55.0)) >= {"low_level"}
    assert "low_level" not in flags_of(replace(CLEAN, noise_dbfs=-48.0))


def test_a_gain_that_falls_under_a_strong_signal_is_flagged():
    """What an automatic gain control does: everything falls when something strong comes."""
    sensor = Sensor(SensorConfig(TUNING))
    quiet = [CLEAN.chunk(index) for index in range(8)]
    pressed = 0.5 * replace(CLEAN, carriers=(Carrier(868.3e6, 30.0),)).chunk(8)
    flags = []
    for index, iq in enumerate([*quiet, pressed]):
        for report in sensor.feed(IqBlock(u8_of(iq), index * iq.size, index * 0.1)):
            if report.time_s >= 0.8:
                flags.append("gain_step" in report.flags)
            else:
                assert "gain_step" not in report.flags
    assert flags
    assert all(flags[: 19 * 5])


def test_what_the_receiver_says_of_itself_is_flagged():
    tuning = replace(TUNING, agc=True, asked_rate_hz=2.4001e6, asked_center_hz=868.6e6)
    assert flags_of(CLEAN, tuning=tuning) == {"agc", "rate_rounded", "center_rounded"}
    assert flags_of(CLEAN, tuning=replace(TUNING, agc=False, asked_rate_hz=2.4e6, asked_center_hz=868.625e6)) == set()


def test_a_signal_of_50_db_leaks_no_further_than_its_neighbours_or_is_flagged():
    """A keyed carrier 50 dB above the noise, hard on and off in the middle of intervals."""
    noise = replace(CLEAN, noise_dbfs=-62.0)
    strong = replace(noise, carriers=(Carrier(868.3125e6, 50.0),))
    sensor = Sensor(SensorConfig(TUNING))
    reports = []
    for index in range(12):
        iq = noise.chunk(index)
        if index >= 6:
            on = np.arange(iq.size) % 36_000 < 12_345
            iq = np.where(on, strong.chunk(index), iq)
        reports += sensor.feed(IqBlock(iq, index * iq.size, index * 0.1))
    strange = [
        report
        for report in reports
        if report.time_s >= 0.6 and report.snr_db is not None and report.snr_db > 0.0
        and not abs(report.subchannel_hz - 868.3125e6) <= 62.5e3
    ]  # fmt: skip
    assert strange  # keying does splatter
    assert all("leakage" in report.flags for report in strange)
    # A steady carrier stays within its subchannel: Hann's side lobes have died out at the next one.
    steady = reports_of(strong)
    assert max(r.energy_dbfs - r.noise_dbfs for r in steady if abs(r.subchannel_hz - 868.3125e6) > 130e3) < 0.8


def test_lost_samples_are_flagged_on_the_interval_after():
    sensor = Sensor(SensorConfig(TUNING))
    reports, first = [], 0
    for index in range(8):
        iq = CLEAN.chunk(index)
        first += 777 if index == 6 else 0
        lost = 777 if index >= 6 else 0
        reports += sensor.feed(IqBlock(u8_of(iq), first, first / 2.4e6, lost))
        first += iq.size
    times = {report.time_s for report in reports if "samples_lost" in report.flags}
    assert times == {(6 * 240_000 + 777) / 2.4e6}


def test_every_flag_is_explained():
    raised = {"clipping", "dc", "image", "leakage", "low_level", "gain_step", "agc", "rate_rounded", "center_rounded",
              "samples_lost", "nonstationary", "always_on", "floor_held", "few_intervals", "infeasible"}  # fmt: skip
    assert set(FLAGS) == raised
