"""Airtimes against numbers worked out by hand from the datasheet formula and quoted in the notes."""

from __future__ import annotations

import pytest

from spectrum import lora, sigfox
from spectrum.errors import BadInput


def test_table_2_of_the_rrm_paper() -> None:
    # SF8, 6 B, no header, preamble 10: notes 1.3.2.
    with_crc = lora.LoraModulation(8, preamble_symbols=10, explicit_header=False)
    without = lora.LoraModulation(8, preamble_symbols=10, explicit_header=False, crc=False)
    assert lora.airtime_s(with_crc, 6) == pytest.approx(66.048e-3, abs=1e-9)
    assert lora.airtime_s(without, 6) == pytest.approx(55.808e-3, abs=1e-9)


def test_the_thesis_sf12_frame() -> None:
    # 63 B, CR 4, preamble 8 + 4.25: 124.25 symbols (notes, section 3).
    modulation = lora.LoraModulation(12, coding_rate=4)
    assert modulation.low_data_rate_used
    assert lora.airtime_s(modulation, 63) == pytest.approx(4.071424, abs=1e-9)


@pytest.mark.parametrize(
    ("payload_bytes", "expected_s"), [(0, 1.12), (1, 1.2), (4, 1.44), (6, 1.76), (8, 1.76), (12, 2.08)]
)
def test_sigfox_frames(payload_bytes: int, expected_s: float) -> None:
    assert sigfox.airtime_s(payload_bytes) == pytest.approx(expected_s)


def test_refusals_name_what_was_expected() -> None:
    with pytest.raises(BadInput, match="7 to 12, got 13"):
        lora.LoraModulation(13)
    with pytest.raises(BadInput, match="0 to 12 bytes, got 13"):
        sigfox.airtime_s(13)
