"""Telegrams of a meter: chips read back from the frequency, the shape that EN 13757-4 gives them, and rtl_433."""

from __future__ import annotations

import json
import math
import shutil
import subprocess

import numpy as np
import pytest

from sensing.source import u8_of
from spectrum.errors import BadInput
from testbed.twin.emissions import placed
from testbed.twin.kernels import TABLE, add_pieces
from testbed.waveforms.wmbus import THREE_OUT_OF_SIX, block_crc, telegram, telegram_chips, wmbus_waveform

RATE_HZ = 1.6e6


def render(waveform, offset_hz=0.0, before_s=0.0, after_s=0.0):
    iq = np.zeros(round((before_s + waveform.duration_s + after_s) * RATE_HZ), dtype=np.complex64)
    add_pieces(iq, 0, *placed(waveform, before_s, offset_hz, 1.0, RATE_HZ).columns(), TABLE)
    return iq


def chips_of(waveform):
    """Chips by the sign of the frequency in the middle of each; 16 samples a chip."""
    iq = render(waveform)
    hz = np.angle(iq[1:] * np.conj(iq[:-1])) / (2 * np.pi) * RATE_HZ
    np.testing.assert_allclose(np.abs(hz), 50e3, atol=50)  # phase without jumps, +-50 kHz
    return (hz[8::16] > 0).astype(int).tolist()


def frames_in(chips):
    """Frames by their synchronisation: bytes as long as words of three ones follow."""
    text, frames, at = "".join(map(str, chips)), [], 0
    words = {f"{word:06b}": nibble for nibble, word in enumerate(THREE_OUT_OF_SIX)}
    while (at := text.find("01" * 19 + "0000111101", at)) >= 0:
        at += 48
        nibbles = []
        while text[at : at + 6] in words:
            nibbles.append(words[text[at : at + 6]])
            at += 6
        frames.append(bytes(high << 4 | low for high, low in zip(nibbles[::2], nibbles[1::2], strict=False)))
    return frames


def blocks_of(frame):
    """Blocks of format A with their CRCs, as the length field says."""
    sizes = [10] + [16] * ((frame[0] - 9) // 16) + [(frame[0] - 9) % 16] * ((frame[0] - 9) % 16 > 0)
    out, at = [], 0
    for size in sizes:
        out.append((frame[at : at + size], frame[at + size : at + size + 2]))
        at += size + 2
    return out


def remainder(message):
    """CRC by long division with 0x13D65."""
    number = int.from_bytes(message) << 16
    for bit in range(number.bit_length() - 1, 15, -1):
        if number >> bit & 1:
            number ^= 0x13D65 << bit - 16
    return number


def test_every_word_has_three_ones_and_they_differ():
    assert len(set(THREE_OUT_OF_SIX)) == 16
    assert {word.bit_count() for word in THREE_OUT_OF_SIX} == {3}


@pytest.mark.parametrize("duration_s", [0.003, 0.005, 0.02, 0.05])
def test_chips_hold_frames_whose_blocks_are_whole(duration_s):
    chips = chips_of(wmbus_waveform(duration_s, seed=3))
    assert len(chips) == round(duration_s * 1e5) or len(chips) + 1 == round(duration_s * 1e5)
    frames = frames_in(chips)
    assert len(frames) == math.ceil(duration_s / 0.0355)
    for frame in frames:
        assert frame[1:4] == bytes([0x44, 0x32, 0x05])
        for block, crc in blocks_of(frame):
            assert int.from_bytes(crc) == remainder(block) ^ 0xFFFF == block_crc(block)


def test_a_frame_by_hand():
    frame = telegram(12345678, bytes([0xA0, 1, 2]))
    assert frame[:10].hex() == "0c443205" + "78563412" + "0107"
    assert len(frame) == 10 + 2 + 3 + 2
    assert telegram_chips(b"\x0f")[48:60] == [0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0, 1]


def test_rtl_433_reads_it(tmp_path):
    """Debian's rtl_433, an independent decoder, finds the meter and its CRCs in noisy bytes."""
    program = shutil.which("rtl_433")
    if program is None:
        pytest.skip("rtl_433 is not installed (apt-get install rtl-433)")
    waveform = wmbus_waveform(0.01, seed=5)
    (frame,) = frames_in(chips_of(waveform))
    iq = render(waveform, offset_hz=4e3, before_s=0.05, after_s=0.05)
    noise = np.random.default_rng(1).standard_normal(2 * iq.size, dtype=np.float32).view(np.complex64)
    path = tmp_path / "meter_868.95M_1600k.cu8"
    path.write_bytes(u8_of(np.complex64(0.4) * iq + np.complex64(0.02) * noise).tobytes())
    done = subprocess.run(
        [program, "-r", str(path), "-s", "1600k", "-f", "868.95M", "-R", "104", "-F", "json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (told,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (told["M"], told["mode"], told["mic"]) == ("AIR", "T", "CRC")
    assert f"{told['id']:08d}" == frame[4:8][::-1].hex()


def test_what_cannot_be_sent_is_refused():
    with pytest.raises(BadInput, match="at least one chip"):
        wmbus_waveform(1e-6, 1)
    with pytest.raises(BadInput, match="at most 246 bytes, got 247"):
        telegram(1, bytes(247))
