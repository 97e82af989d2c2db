"""A sensor without waveforms errs as often as the detection law says."""

from __future__ import annotations

import numpy as np
import pytest

from sensing.laws import law_named
from sensing.occupancy import wilson
from spectrum.units import linear_from_db
from testbed.twin.air import Transmission, noise_dbm, path_loss_db
from testbed.twin.scene import Scene, Sensor
from testbed.twin.statistical_sensor import StatisticalSensor

SENSOR = Sensor(name="roof", x_m=0.0, y_m=0.0, interval_s=0.002, pf=0.2, pm=0.1)
SCENE = Scene(name="s", sensors=(SENSOR,))
DISTANCE_M = 100.0
ROWS = 3000
CERTAIN = 4.0  # standard errors


def burst(number: int, row: int, snr_db: float) -> Transmission:
    """A carrier on 868.3 MHz that fills one interval and arrives with that SNR in 125 kHz."""
    level_dbm = noise_dbm(125e3, SCENE.propagation.noise_figure_db) + snr_db
    return Transmission(
        transmission_id=number, kind="carrier", start_s=row * 0.002, airtime_s=0.002, center_hz=868.31e6,
        bandwidth_hz=100.0, eirp_dbm=level_dbm + path_loss_db(SCENE.propagation, DISTANCE_M), x_m=DISTANCE_M, y_m=0.0,
        source="c",
    )  # fmt: skip


def verdicts(*transmissions: Transmission) -> dict[float, np.ndarray]:
    """Whether each interval was called busy, for each LoRa channel, shape (ROWS,)."""
    sensor = StatisticalSensor(SCENE, SENSOR)
    reports = sensor.sense(transmissions, 0.0, ROWS)
    assert len(reports) == ROWS * len(sensor.subchannels)
    wide = [report for report in reports if report.bandwidth_hz == 125e3]
    return {
        hz: np.array([report.busy for report in wide if report.subchannel_hz == hz])
        for hz in {report.subchannel_hz for report in wide}
    }


def test_false_alarms_are_as_designed() -> None:
    for busy in verdicts().values():
        low, high = wilson(busy.mean(), ROWS, CERTAIN)
        assert low - 0.02 < SENSOR.pf < high + 0.02  # the floor itself is estimated


@pytest.mark.parametrize("snr_db", [-9.0, -7.0, -5.0])
def test_misses_are_those_of_the_law(snr_db: float) -> None:
    """In one interval of ten: a signal that never ends and is as weak would be taken for noise, as by a real sensor."""
    sensor = StatisticalSensor(SCENE, SENSOR)
    on = np.arange(0, ROWS, 10)
    found = verdicts(*(burst(number, row, snr_db) for number, row in enumerate(on.tolist(), start=1)))
    column = [cell.center_hz for cell in sensor.subchannels].index(868.3e6)
    samples, ratio = float(sensor.samples[column]), float(sensor.detector.thresholds.ratio[column])
    expected = float(law_named("exact").pm(ratio, samples, linear_from_db(snr_db)))
    low, high = wilson(1.0 - found[868.3e6][on].mean(), on.size, CERTAIN)
    assert low - 0.03 < expected < high + 0.03
    assert max(busy.mean() for hz, busy in found.items() if hz != 868.3e6) < SENSOR.pf + 0.05


def test_a_frame_fills_only_its_share_of_an_interval() -> None:
    sensor = StatisticalSensor(SCENE, SENSOR)
    half = Transmission(
        transmission_id=1, kind="carrier", start_s=0.001, airtime_s=0.001, center_hz=868.3e6, bandwidth_hz=100.0,
        eirp_dbm=0.0, x_m=DISTANCE_M, y_m=0.0, source="c",
    )  # fmt: skip
    power = sensor.signal_mw([half], np.array([0.0, 0.002]))
    column = [cell.center_hz for cell in sensor.subchannels].index(868.3e6)
    whole_mw = linear_from_db(-path_loss_db(SCENE.propagation, DISTANCE_M))
    assert power[0, column] == pytest.approx(whole_mw / 2.0)
    assert power[1].max() == 0.0
