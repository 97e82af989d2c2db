"""Energies from IQ: the fast meter against the slow truth, and the samples they rest on against simulation."""

import numpy as np
import pytest

from sensing.freedom import effective_samples
from sensing.power import EnergyMeter, plain_energies, plan_columns, plan_frames
from sensing.raster import LORAWAN_CHANNELS, band_raster
from sensing.source import Tuning, complex64_of, u8_of
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel

TUNING = Tuning(868.625e6, 2.4e6)


def noise(count, rng, sigma=0.1):
    return (sigma * rng.standard_normal((count, 2), dtype=np.float32)).view(np.complex64)[:, 0]


def test_2_4_million_samples_a_second_make_1920_points_and_100_bins_a_subchannel():
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, TUNING, band_raster(868.625e6, 2.4e6))
    assert (frames.points, frames.bin_hz, frames.per_interval) == (1920, 1250.0, 24)
    assert set(columns.last - columns.first) == {100}
    assert frames.per_interval * frames.hop + frames.hop == frames.interval_samples  # not a sample is wasted


def test_lorawan_channels_lie_exactly_on_bins():
    center_hz = 868.0125e6
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, Tuning(center_hz, 2.4e6), LORAWAN_CHANNELS)
    edges_hz = center_hz + (columns.first - frames.points // 2) * frames.bin_hz
    assert edges_hz.tolist() == [channel.low_hz for channel in LORAWAN_CHANNELS]


@pytest.mark.parametrize("rate_hz", [250e3, 1.0e6, 1.6e6, 2359296.0, 2.4e6, 3.2e6])
@pytest.mark.parametrize("interval_s", [0.001, 0.010])
def test_the_fast_meter_gives_the_energies_of_the_slow_one(rate_hz, interval_s):
    tuning = Tuning(868.3e6, rate_hz)
    frames = plan_frames(rate_hz, interval_s)
    columns = plan_columns(frames, tuning, band_raster(868.3e6, rate_hz))
    iq = noise(3 * frames.interval_samples + 5, np.random.default_rng(1))
    for samples in (iq, u8_of(iq)):
        fast = EnergyMeter(frames, columns, "scipy").measure(samples).energies
        assert fast.shape == (3, int(rate_hz // 125e3))
        assert fast == pytest.approx(plain_energies(samples, frames, columns), rel=2e-5)


def test_both_ffts_agree():
    pytest.importorskip("pyfftw", reason="the extra `fast` is not installed")
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, TUNING, band_raster(868.625e6, 2.4e6))
    samples = u8_of(noise(24000 * 3, np.random.default_rng(2)))
    one, other = (EnergyMeter(frames, columns, fft).measure(samples).energies for fft in ("scipy", "fftw"))
    assert one == pytest.approx(other, rel=1e-5)


def test_energy_over_the_whole_band_is_the_power_of_the_samples():
    iq = noise(24000 * 20, np.random.default_rng(3))
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, TUNING, (Subchannel(868.625e6, 2.4e6),))
    measured = EnergyMeter(frames, columns).measure(iq)
    assert measured.energies.mean() == pytest.approx(np.mean(np.abs(iq) ** 2), rel=0.01)
    assert measured.power.mean() == pytest.approx(np.mean(np.abs(iq) ** 2), rel=1e-4)


@pytest.mark.parametrize("offset_hz", [-1.1e6, -3e3, 100e3, 400e3])
def test_a_full_scale_sinusoid_is_0_dbfs_in_its_subchannel(offset_hz):
    frames = plan_frames(2.4e6)
    subchannels = band_raster(868.625e6, 2.4e6)
    columns = plan_columns(frames, TUNING, subchannels)
    iq = np.exp(2j * np.pi * offset_hz / 2.4e6 * np.arange(24000)).astype(np.complex64)
    energies = EnergyMeter(frames, columns).measure(iq).energies[0]
    holds = [sub.low_hz <= 868.625e6 + offset_hz < sub.high_hz for sub in subchannels]
    assert energies[holds] == pytest.approx([1.0], rel=0.03)
    assert energies[np.logical_not(holds)].max() < 1e-3


def test_a_constant_is_masked_out():
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, TUNING, band_raster(868.625e6, 2.4e6))
    iq = noise(24000, np.random.default_rng(4), 0.01)
    meter = EnergyMeter(frames, columns)
    clean = meter.measure(iq).energies
    spiked = meter.measure(iq + np.complex64(0.3 - 0.2j))
    assert spiked.energies == pytest.approx(clean, rel=1e-3)
    assert spiked.mean[0] == pytest.approx(0.3 - 0.2j, abs=1e-3)


@pytest.mark.parametrize(("interval_s", "bins"), [(0.010, 100), (0.001, 50), (0.010, 13)])
def test_effective_samples_are_those_of_the_spread_of_simulated_noise(interval_s, bins):
    frames = plan_frames(2.4e6, interval_s)
    columns = plan_columns(frames, TUNING, tuple(_subchannel(frames, 1 + index * bins, bins) for index in range(6)))
    iq = noise(frames.interval_samples * 400, np.random.default_rng(5))
    energies = EnergyMeter(frames, columns).measure(iq).energies
    found = 1.0 / np.mean(energies.var(axis=0) / energies.mean(axis=0) ** 2)
    assert found == pytest.approx(columns.samples[0], rel=0.12)  # a variance of 2400 cells is known to about 3 %


def _subchannel(frames, first_bin, bins):
    low_hz = TUNING.center_hz + (first_bin - frames.points // 2) * frames.bin_hz
    return Subchannel(low_hz + bins * frames.bin_hz / 2, bins * frames.bin_hz)


def test_effective_samples_are_the_brute_force_sum_over_all_pairs():
    frames, points, hop, count = 5, 16, 8, np.array([2, 3, 5, 9])
    window = np.hanning(points + 1)[:points]
    n = np.arange(points)
    cells = []
    for frame in range(frames):
        for k in count:
            cell = np.zeros(points + hop * frames, dtype=complex)
            cell[frame * hop : frame * hop + points] = window * np.exp(2j * np.pi * k * (n + frame * hop) / points)
            cells.append(cell / np.linalg.norm(cell))
    gram = np.abs(np.conj(cells) @ np.transpose(cells)) ** 2
    used = np.isin(n, count)
    assert effective_samples(window, hop, frames, used) == pytest.approx(len(cells) ** 2 / gram.sum())


def test_about_ninety_two_percent_of_bandwidth_times_time_at_10_ms():
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, TUNING, band_raster(868.625e6, 2.4e6))
    assert 0.91 < columns.samples.max() / (125e3 * 0.010) < 0.92


def test_dropping_samples_without_a_filter_costs_what_it_folds_in():
    """One of twelve samples, as the paper has it: noise of the whole band falls into the subchannel."""
    rng = np.random.default_rng(6)
    iq = noise(24000 * 20, rng)
    frames = plan_frames(2.4e6)
    right = EnergyMeter(frames, plan_columns(frames, TUNING, (Subchannel(868.7e6, 125e3),))).measure(iq).energies.mean()
    wrong = np.mean(np.abs(iq[::12]) ** 2)  # the noise in a tuned-to, decimated "subchannel" of 200 kHz
    assert 10 * np.log10(wrong / right) == pytest.approx(10 * np.log10(2.4e6 / 125e3), abs=0.2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plan_frames(0.0), "above 0"),
        (lambda: plan_frames(250e3, 1e-5), "too short"),
        (lambda: plan_columns(plan_frames(1e6), Tuning(868e6, 1e6), (Subchannel(869e6, 125e3),)), "outside"),
        (lambda: plan_columns(plan_frames(1e6), Tuning(868e6, 1e6), (Subchannel(868e6, 1e3),)), "too narrow"),
        (lambda: EnergyMeter(*_any_plan(), fft="magic"), "unknown FFT"),
    ],
)
def test_what_cannot_be_planned_is_refused(call, says):
    with pytest.raises(BadInput, match=says):
        call()


def _any_plan():
    frames = plan_frames(2.4e6)
    return frames, plan_columns(frames, TUNING, band_raster(868.625e6, 2.4e6))


def test_bytes_are_offset_binary_around_127_5():
    assert complex64_of(np.array([0, 255, 127, 128], dtype=np.uint8)).tolist() == pytest.approx(
        [-1 + 1j, (-0.5 + 0.5j) / 127.5], abs=1e-7
    )
