"""Calibration: what is measured, what is kept, and what is never guessed."""

import numpy as np
import pytest

from sensing.calibration import Calibration, calibrated, calibration_text, measure_carrier, read_calibration
from sensing.source import Tuning
from sensing.stream import SensorConfig, sense
from sensing.synthetic import Carrier, Scene, SyntheticSource
from spectrum.errors import BadInput, Failed
from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS

TUNING = Tuning(868.0e6, 1e6, gain_db=25.4)


def carrier(frequency_hz, level_dbfs, seconds=0.2):
    scene = Scene(TUNING, noise_dbfs=-60.0, carriers=(Carrier(frequency_hz, level_dbfs + 60.0),), seed=2)
    return np.concatenate([scene.chunk(index) for index in range(round(seconds / 0.1))])


@pytest.mark.parametrize("offset_hz", [123_456.0, -300_010.0])
def test_a_carrier_is_read_to_a_tenth_of_a_decibel_and_a_few_hertz(offset_hz):
    reading = measure_carrier(carrier(868e6 + offset_hz, -25.0), TUNING)
    assert reading.frequency_hz == pytest.approx(868e6 + offset_hz, abs=3.0)
    assert reading.level_dbfs == pytest.approx(-25.0, abs=0.1)


def test_only_a_carrier_near_the_known_frequency_counts():
    iq = carrier(868.2e6, -20.0) + carrier(867.8e6, -35.0)
    assert measure_carrier(iq, TUNING, 867.8e6).frequency_hz == pytest.approx(867.8e6, abs=3.0)
    with pytest.raises(Failed, match="no carrier stands out"):
        measure_carrier(iq, TUNING, 868.4e6)
    with pytest.raises(BadInput, match="outside the captured band"):
        measure_carrier(iq, TUNING, 900e6)


def test_a_calibrated_dongle_finds_the_signal_where_it_is_and_in_dbm():
    """A dongle 30 ppm high shows a carrier 26 kHz too low; with the calibration it falls into its own subchannel."""
    true_hz, ppm = 868.17e6, 30.0
    shown_hz = true_hz - TUNING.center_hz * ppm * 1e-6
    iq = carrier(shown_hz, -25.0)
    reading = measure_carrier(iq, TUNING, true_hz)
    calibration = calibrated(Calibration("one"), reading, TUNING, level_dbm=-70.0, carrier_hz=true_hz)
    assert calibration.ppm == pytest.approx(ppm, abs=0.01)
    scene = Scene(TUNING, noise_dbfs=-60.0, carriers=(Carrier(shown_hz, 35.0),))

    def heard(calibration):
        config = SensorConfig(TUNING, subchannels=LORAWAN_DEFAULT_CHANNELS[:2], calibration=calibration)
        reports = list(sense(SyntheticSource(scene, 0.2, as_bytes=False), config))
        return [report for report in reports if report.time_s == 0.0]

    before, after = heard(None), heard(calibration)
    assert before[0].energy_dbm is None
    assert before[0].energy_dbfs - before[0].noise_dbfs > 30  # taken for 868.1 MHz
    assert after[0].energy_dbfs - after[0].noise_dbfs < 5  # it lies between 868.1 and 868.3 MHz
    band = SensorConfig(TUNING, calibration=calibration)
    strongest = max(sense(SyntheticSource(scene, 0.1, as_bytes=False), band), key=lambda report: report.energy_dbfs)
    assert strongest.subchannel.low_hz <= true_hz < strongest.subchannel.high_hz
    assert strongest.energy_dbm == pytest.approx(-70.0, abs=0.3)


def test_nothing_is_guessed_between_gains():
    calibration = Calibration("one").with_level(25.4, -31.0).with_level(40.2, -45.5).with_level(25.4, -32.0)
    assert calibration.offset_db(25.4) == -32.0
    assert calibration.offset_db(30.0) is None
    assert calibration.offset_db(None) is None
    assert Calibration().with_level(None, -10.0).offset_db(None) == -10.0


def test_a_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "dongle.toml"
    written = Calibration('odd "name"', 12.5, ((None, -20.0), (25.4, -31.25)))
    path.write_text(calibration_text(written))
    assert read_calibration(path) == written


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ppms = 1.0", "ppms"),
        ("ppm = 'one'", "ppm"),
        ("[[level]]\ngain_db = 1.0", "full_scale_dbm"),
        ("ppm = 2e6", "ppm is"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(tmp_path, text, says):
    path = tmp_path / "dongle.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=says):
        read_calibration(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_calibration(tmp_path / "none.toml")
