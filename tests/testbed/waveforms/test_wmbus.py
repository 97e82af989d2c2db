"""Telegrams like a meter's: chips read back from the frequency, and the shape that EN 13757-4 gives them."""

from __future__ import annotations

import numpy as np
import pytest

from spectrum.errors import BadInput
from testbed.twin.emissions import placed
from testbed.twin.kernels import TABLE, add_pieces
from testbed.waveforms.wmbus import THREE_OUT_OF_SIX, telegram_chips, wmbus_waveform

RATE_HZ = 1.6e6


def test_every_word_has_three_ones_and_they_differ():
    assert len(set(THREE_OUT_OF_SIX)) == 16
    assert {word.bit_count() for word in THREE_OUT_OF_SIX} == {3}


def test_chips_come_back_from_the_frequency():
    waveform = wmbus_waveform(0.005, seed=3)
    iq = np.zeros(round(waveform.duration_s * RATE_HZ), dtype=np.complex64)
    add_pieces(iq, 0, *placed(waveform, 0.0, 0.0, 1.0, RATE_HZ).columns(), TABLE)
    hz = np.angle(iq[1:] * np.conj(iq[:-1])) / (2 * np.pi) * RATE_HZ
    np.testing.assert_allclose(np.abs(hz), 50e3, atol=50)  # phase without jumps, +-50 kHz
    chips = [int(hz[8 + 16 * i] > 0) for i in range(500)]
    payload = np.random.default_rng(3).bytes(42)
    assert chips == telegram_chips(payload)[:500]
    assert chips[:48] == [0, 1] * 19 + [0, 0, 0, 0, 1, 1, 1, 1, 0, 1]


def test_a_telegram_of_no_chip_is_refused():
    with pytest.raises(BadInput, match="at least one chip"):
        wmbus_waveform(1e-6, 1)
