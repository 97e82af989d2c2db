"""SigFox frames: layout and codes undone by hand, DBPSK read back by a receiver of the tests' own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from spectrum.errors import BadInput
from spectrum.sigfox import airtime_s, frame_bits
from testbed.twin.emissions import placed
from testbed.twin.kernels import TABLE, add_pieces
from testbed.waveforms.sigfox import TRANSITION_S, authentication, convolved, crc16, frame_of, sigfox_waveform

ENDPOINT = {"identity": 0xFEDCBA98, "counter": 0x123, "key": bytes(range(16))}
RATE_HZ = 24e3


# The three frames of one message as renard has them (Jeija/renard-phy), whose codes were worked out from what bought
# endpoints send: endpoint 004D33DB with its identity in the order of sending, message 1A0, payload ABAD1DEA.
RENARD = {"identity": 0xDB334D00, "counter": 0x1A0, "key": bytes.fromhex("479e4480fd7596d45b0122fd282db3cf")}
RENARD_SENT = """
    aaaaa35f 01a0 db334d00 abad1dea dc32 758a
    aaaaa598 0118 806638c0 d490d465 0527 d22d
    aaaaa5a3 01c8 edff9e40 81465a90 6b3e e8e8
"""


def number(bits):
    return int("".join(map(str, bits)), 2)


def deconvolved(bits, copy):
    """The bits that a copy's code made these of: each is what comes out less what the two before add."""
    out = [0, 0]
    for bit in bits:
        before = {0: 0, 1: out[-1] + out[-2], 2: out[-2]}[copy]
        out.append((bit + before) % 2)
    return out[2:]


def dbpsk_bits(iq, offset_hz, count):
    """Sign changes between the middles of bits, 240 samples each; the first bit has nothing before it and is a 1."""
    straight = iq * np.exp(-2j * np.pi * offset_hz / RATE_HZ * np.arange(iq.size))
    bits = straight[: 240 * count].reshape(count, 240)[:, 30:210].sum(axis=1)
    return [1] + [int((b * np.conj(a)).real > 0) for a, b in pairwise(bits)]


@pytest.mark.parametrize("size", range(13))
@pytest.mark.parametrize("copy", [0, 1, 2])
def test_a_frame_has_the_fields_of_the_specification(size, copy):
    payload = bytes(range(100, 100 + size))
    bits = frame_of(payload, copy, **ENDPOINT)
    assert len(bits) == frame_bits(size) == round(airtime_s(size) * 100)
    assert number(bits[:20]) == 0xAAAAA  # the type's first bit is a 0
    content = deconvolved(bits[32:], copy)
    data = bytes(number(content[i : i + 8]) for i in range(0, len(content), 8))
    carried = (frame_bits(size) - 112) // 8
    length, counter, identity = content[:2], number(content[4:16]), number(content[16:48])
    assert (counter, identity) == (0x123, 0xFEDCBA98)
    assert number(length) == (carried - size if size else 3)
    assert content[2:4] == [0, 0]
    assert data[6 : 6 + size] == payload
    remainder = int.from_bytes(data[:-2]) << 16
    for bit in range(remainder.bit_length() - 1, 15, -1):
        if remainder >> bit & 1:
            remainder ^= 0x11021 << bit - 16
    assert int.from_bytes(data[-2:]) == remainder ^ 0xFFFF == crc16(data[:-2])


def test_frames_are_those_of_an_independent_encoder():
    for copy, line in enumerate(RENARD_SENT.strip().splitlines()):
        words = "".join(line.split())
        assert f"{number(frame_of(bytes.fromhex('abad1dea'), copy, **RENARD)):0{len(words)}x}" == words


def test_types_name_class_and_copy():
    types = {number(frame_of(bytes(size), copy, **ENDPOINT)[19:32]) for size in (0, 1, 4, 8, 12) for copy in range(3)}
    assert len(types) == 15
    assert number(frame_of(bytes(12), 0, **ENDPOINT)[19:32]) == 0x94C
    assert number(frame_of(bytes(5), 2, **ENDPOINT)[19:32]) == 0x72C


def test_codes_by_hand():
    assert convolved([1, 0, 0, 0, 1, 1], 0) == [1, 0, 0, 0, 1, 1]
    assert convolved([1, 0, 0, 0, 1, 1], 1) == [1, 1, 1, 0, 1, 0]  # 111 from the first; 1, 1+1 from the last two
    assert convolved([1, 0, 0, 0, 1, 1], 2) == [1, 0, 1, 0, 1, 1]


def test_authentication_is_a_cbc_mac_of_the_message_wrapped_around():
    key, message = bytes(range(16)), bytes(range(18))
    whole = message + message[:14]
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    first = encryptor.update(whole[:16])
    last = encryptor.update(bytes(a ^ b for a, b in zip(first, whole[16:], strict=True)))
    assert authentication(key, message, 5) == last[:5]
    assert authentication(key, message[:10], 2) == encryptor.update(message[:10] + message[:6])[:2]


@pytest.mark.parametrize("copy", [0, 1, 2])
def test_an_independent_receiver_reads_the_keyed_phase(copy):
    bits = frame_of(b"hello", copy, **ENDPOINT)
    waveform = sigfox_waveform(b"hello", copy, **ENDPOINT)
    assert waveform.duration_s == pytest.approx(airtime_s(5))
    iq = np.zeros(round(waveform.duration_s * RATE_HZ), dtype=np.complex64)
    add_pieces(iq, 0, *placed(waveform, 0.0, 1234.0, 1.0, RATE_HZ).columns(), TABLE)
    rng = np.random.default_rng(copy)
    noise_power = RATE_HZ / 100 / 10 ** (10 / 10)  # 10 dB in 100 Hz
    noise = np.sqrt(noise_power / 2) * (rng.standard_normal(iq.size) + 1j * rng.standard_normal(iq.size))
    assert dbpsk_bits(iq + noise, 1234.0, len(bits)) == bits


def test_its_spectrum_is_narrow_and_its_envelope_one():
    waveform = sigfox_waveform(bytes(12), 0, **ENDPOINT)
    iq = np.zeros(round(waveform.duration_s * RATE_HZ), dtype=np.complex64)
    add_pieces(iq, 0, *placed(waveform, 0.0, 0.0, 1.0, RATE_HZ).columns(), TABLE)
    held = np.abs(iq[round(0.5 * TRANSITION_S * RATE_HZ) + 1 : 200])
    np.testing.assert_allclose(held, 1.0, atol=1e-5)
    # What transitions and edges take is within a fifth of a decibel of the level that was asked for.
    assert 10 * np.log10(np.mean(np.abs(iq) ** 2)) == pytest.approx(0.0, abs=0.2)
    power = np.abs(np.fft.fft(iq)) ** 2
    offset_hz = np.abs(np.fft.fftfreq(iq.size, 1 / RATE_HZ))
    assert power[offset_hz < 100].sum() > 0.85 * power.sum()
    assert power[offset_hz > 2e3].sum() < 1e-4 * power.sum()


@pytest.mark.parametrize(("payload", "copy", "words"), [(bytes(13), 0, "12 bytes, got 13"), (b"", 3, "0 to 2, got 3")])
def test_impossible_messages_are_refused(payload, copy, words):
    with pytest.raises(BadInput, match=words):
        frame_of(payload, copy, **ENDPOINT)
