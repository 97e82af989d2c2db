"""LoRa frames on the air: chirps, duration, level, and an independent receiver that reads them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sensing.source import complex64_of, u8_of
from spectrum.errors import BadInput
from spectrum.lora import LoraModulation, airtime_s
from testbed.twin.emissions import placed
from testbed.twin.kernels import TABLE, add_pieces
from testbed.waveforms.lora import lora_waveform, sync_shifts

RATE_HZ = 2.4e6
PAYLOAD = bytes(range(20, 36))


def render(waveform, rate_hz=RATE_HZ, *, start_s=0.0, offset_hz=0.0, amplitude=1.0, seconds=None):
    """Samples of a waveform alone."""
    seconds = start_s + waveform.duration_s if seconds is None else seconds
    iq = np.zeros(round(seconds * rate_hz), dtype=np.complex64)
    add_pieces(iq, 0, *placed(waveform, start_s, offset_hz, amplitude, rate_hz).columns(), TABLE)
    return iq


def noisy(iq, snr_db, seed, bandwidth_hz=125e3):
    """As bytes of a dongle whose noise has two steps rms in I and in Q, at an SNR in the bandwidth."""
    deviation = 2.0 / 127.5
    amplitude = np.sqrt(2 * deviation**2 * bandwidth_hz / RATE_HZ * 10 ** (snr_db / 10))
    rng = np.random.default_rng(seed)
    noise = deviation * (rng.standard_normal(iq.size) + 1j * rng.standard_normal(iq.size))
    return u8_of((amplitude * iq + noise).astype(np.complex64))


def frequencies(iq, rate_hz=RATE_HZ):
    """Instantaneous frequency between neighbouring samples."""
    return np.angle(iq[1:] * np.conj(iq[:-1])) / (2 * np.pi) * rate_hz


@pytest.mark.parametrize("factor", range(7, 13))
def test_an_up_chirp_sweeps_the_bandwidth_within_a_symbol(factor):
    modulation = LoraModulation(factor)
    samples = int(modulation.symbol_s * RATE_HZ) - 1
    measured = frequencies(render(lora_waveform(modulation, PAYLOAD))[: samples + 1])
    slope, start = np.polyfit(np.arange(samples) / RATE_HZ, measured, 1)
    assert slope == pytest.approx(125e3**2 / 2**factor, rel=1e-3)  # BW / T = BW^2 / 2^SF
    assert start == pytest.approx(-62.5e3, abs=100)


def test_preamble_sync_word_and_delimiter_are_where_they_belong():
    modulation = LoraModulation(7)
    iq = render(lora_waveform(modulation, PAYLOAD))
    symbol = modulation.symbol_s * RATE_HZ
    middles = [frequencies(iq)[round((i + 0.1) * symbol)] for i in range(12)]
    start_hz = -62.5e3 + 0.1 * 125e3
    step_hz = 125e3 / 128
    expected = [start_hz] * 8 + [start_hz + 24 * step_hz, start_hz + 32 * step_hz] + [-start_hz] * 2
    np.testing.assert_allclose(middles, expected, atol=700)
    assert sync_shifts(0x12) == (8, 16)


def test_phase_is_continuous_from_end_to_end():
    iq = render(lora_waveform(LoraModulation(8), PAYLOAD))
    turned = np.abs(np.angle(iq[1:] * np.conj(iq[:-1])))
    assert turned.max() < 2 * np.pi * 63e3 / RATE_HZ  # never more than the highest frequency turns
    assert np.abs(np.abs(iq) - 1).max() < 1e-5


@pytest.mark.parametrize("factor", range(7, 13))
@pytest.mark.parametrize("bandwidth_hz", [125e3, 250e3])
def test_it_lasts_as_long_as_the_airtime_formula_says_to_the_sample(factor, bandwidth_hz):
    modulation = LoraModulation(factor, bandwidth_hz, coding_rate=factor % 4 + 1)
    expected = airtime_s(modulation, len(PAYLOAD)) * RATE_HZ
    iq = render(lora_waveform(modulation, PAYLOAD), seconds=airtime_s(modulation, len(PAYLOAD)) + 1e-3)
    on_air = np.flatnonzero(iq)
    assert on_air[0] == 0
    assert on_air.size == on_air[-1] + 1 == np.ceil(expected - 1e-6)


def test_its_level_is_the_one_that_was_asked_for():
    iq = render(lora_waveform(LoraModulation(9), PAYLOAD), amplitude=0.25)
    assert 10 * np.log10(np.mean(np.abs(iq) ** 2)) == pytest.approx(-12.041, abs=0.001)


def test_pieces_of_a_block_are_the_block():
    waveform = lora_waveform(LoraModulation(10), PAYLOAD)
    columns = placed(waveform, 0.0123, 37e3, 0.5, RATE_HZ).columns()
    whole = np.zeros(300_000, dtype=np.complex64)
    add_pieces(whole, 0, *columns, TABLE)
    cut = np.zeros_like(whole)
    for first, last in ((0, 1), (1, 40_000), (40_000, 40_007), (40_007, 299_999), (299_999, 300_000)):
        add_pieces(cut[first:last], first, *columns, TABLE)
    np.testing.assert_array_equal(cut, whole)


# SNR in 125 kHz, a few dB above where the demodulator ends (SX1276 datasheet, table 13: -7.5 dB at SF7 to -20 at SF12).
@pytest.mark.parametrize(("factor", "snr_db"), [(7, -3), (8, -5), (9, -8), (10, -10), (11, -13), (12, -15)])
def test_an_independent_receiver_reads_it_through_noise_and_offsets(lora_receiver, factor, snr_db):
    modulation = LoraModulation(factor, coding_rate=4)
    payload = np.random.default_rng(factor).bytes(8)
    start_s, offset_hz = 0.0031 + factor * 1.7e-4, (-1) ** factor * 4321.0
    waveform = lora_waveform(modulation, payload)
    seconds = start_s + waveform.duration_s + 4 * modulation.symbol_s
    iq = render(waveform, start_s=start_s, offset_hz=87.5e3 + offset_hz, seconds=seconds)
    heard = complex64_of(noisy(iq, snr_db, seed=factor))
    (frame,) = lora_receiver.Receiver(factor).receive(lora_receiver.to_channel(heard, RATE_HZ, 87.5e3, 125e3))
    assert (frame.payload, frame.crc_ok, frame.coding_rate, frame.sync_word) == (payload, True, 4, 0x34)
    assert frame.offset_hz == pytest.approx(offset_hz, abs=125e3 / 2**factor)
    assert frame.start_s == pytest.approx(start_s, abs=2 / 125e3)


@pytest.mark.parametrize(
    ("factor", "bandwidth_hz", "rate", "size"), [(7, 250e3, 1, 40), (8, 125e3, 2, 0), (11, 125e3, 3, 17)]
)
def test_an_independent_receiver_reads_other_rates_and_lengths(lora_receiver, factor, bandwidth_hz, rate, size):
    payload = np.random.default_rng(size).bytes(size)
    waveform = lora_waveform(LoraModulation(factor, bandwidth_hz, coding_rate=rate, crc=size > 0), payload)
    iq = render(waveform, start_s=0.002, seconds=waveform.duration_s + 0.08)
    heard = complex64_of(noisy(iq, 10.0, seed=1, bandwidth_hz=bandwidth_hz))
    channel = lora_receiver.to_channel(heard, RATE_HZ, 0.0, bandwidth_hz)
    (frame,) = lora_receiver.Receiver(factor, bandwidth_hz).receive(channel)
    assert (frame.payload, frame.coding_rate, frame.crc_ok) == (payload, rate, True if size else None)


def test_a_receiver_of_another_spreading_factor_hears_nothing(lora_receiver):
    iq = render(lora_waveform(LoraModulation(8), PAYLOAD), start_s=0.01, seconds=0.2)
    channel = lora_receiver.to_channel(complex64_of(noisy(iq, 10.0, seed=3)), RATE_HZ, 0.0, 125e3)
    assert lora_receiver.Receiver(7).receive(channel) == []


def test_a_downlink_is_the_mirror_image(lora_receiver):
    modulation = LoraModulation(9, crc=False)
    iq = render(lora_waveform(modulation, PAYLOAD, inverted=True), start_s=0.01, offset_hz=50e3, seconds=0.3)
    np.testing.assert_allclose(
        frequencies(iq)[30_000:30_010], 50e3 + 62.5e3 - np.arange(6e3, 6010) * 125e3 / 9830.4, atol=50
    )
    channel = lora_receiver.to_channel(complex64_of(noisy(iq, 10.0, seed=4)), RATE_HZ, 50e3, 125e3)
    assert lora_receiver.Receiver(9).receive(channel) == []
    (frame,) = lora_receiver.Receiver(9).receive(np.conj(channel))
    assert (frame.payload, frame.crc_ok) == (PAYLOAD, None)


def test_a_preamble_of_half_a_symbol_and_a_sync_word_of_nine_bits_are_refused():
    with pytest.raises(BadInput, match="whole symbols"):
        lora_waveform(LoraModulation(7, preamble_symbols=8.5), b"")
    with pytest.raises(BadInput, match="0 to 255, got 300"):
        sync_shifts(300)


def test_recordings_of_real_lora_are_read(lora_receiver):
    """The index of the shared recordings names what each holds; a LoRa frame there would prove the receiver."""
    folder = Path(os.environ.get("AIRSHED_RECORDINGS", Path(__file__).parents[4] / "shared" / "recordings"))
    index = folder / "index.csv"
    if not index.is_file():
        pytest.skip(f"no recordings in {folder}")
    lines = [line for line in index.read_text().splitlines()[1:] if "lora" in line.lower()]
    if not lines:
        pytest.skip("none of the recordings holds LoRa")
    for line in lines:
        from sensing.files import FileSource, find_recording

        with FileSource(find_recording(folder / line.split(",")[0])) as source:
            iq = np.concatenate([block.complex64() for block in source.blocks()])
            channel = lora_receiver.to_channel(iq, source.tuning.rate_hz, 0.0, 125e3)
        frames = [frame for factor in range(7, 13) for frame in lora_receiver.Receiver(factor).receive(channel)]
        assert any(frame.crc_ok for frame in frames), line
