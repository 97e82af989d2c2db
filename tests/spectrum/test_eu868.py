"""Sub-bands and overlaps against table and sentence 6 of the notes."""

from __future__ import annotations

import pytest

from spectrum import eu868
from spectrum.errors import BadInput


def test_every_lorawan_channel_is_in_a_one_percent_sub_band() -> None:
    for channel in eu868.LORAWAN_DEFAULT_CHANNELS:
        band = eu868.sub_band_at(channel.center_hz, channel.bandwidth_hz)
        assert band is not None
        assert (band.label, band.duty_cycle) == ("M", 0.01)
    assert {eu868.sub_band_at(c.center_hz, c.bandwidth_hz).label for c in eu868.LORAWAN_EXTRA_CHANNELS} == {"L"}  # type: ignore[union-attr]


def test_gaps_between_sub_bands_belong_to_nobody() -> None:
    assert eu868.sub_band_at(868.65e6, 25e3) is None
    assert eu868.sub_band_at(868.6e6, 125e3) is None


def test_q_and_r_are_told_apart_by_power() -> None:
    assert eu868.sub_band_at(869.85e6, 0.0, erp_dbm=5.0) == eu868.SUB_BANDS["Q"]
    assert eu868.sub_band_at(869.85e6, 0.0, erp_dbm=14.0) == eu868.SUB_BANDS["R"]


def test_sigfox_overlaps_868_1_only() -> None:
    shared_hz = [channel.overlap_hz(eu868.SIGFOX_UPLINK) for channel in eu868.LORAWAN_DEFAULT_CHANNELS]
    assert shared_hz == pytest.approx([125e3, 0.0, 0.0])
    assert eu868.Subchannel(868.3e6, 250e3).overlap_hz(eu868.SIGFOX_UPLINK) == pytest.approx(51e3)


def test_thesis_names() -> None:
    assert eu868.sub_band("G3") is eu868.SUB_BANDS["P"]
    with pytest.raises(BadInput, match="unknown sub-band 'G9'"):
        eu868.sub_band("G9")
