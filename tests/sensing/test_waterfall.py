"""Rows of a waterfall and digests: held against the FFT bins and the reports they come from."""

from __future__ import annotations

import base64
import threading
import time

import numpy as np
import pytest

from channel_status import records
from channel_status.memory import MemoryDatabase
from channel_status.protocol import DatabaseAway
from sensing.daemon import run_sensor
from sensing.power import EnergyMeter, plan_columns, plan_frames
from sensing.source import Tuning
from sensing.waterfall import DIGEST, FLOOR_DBFS, STEP_DB, Air, Waterfall, levels_of, plan_bins
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.site_file import parse_site

TUNING = Tuning(868.0125e6, 2.4e6)
CELL = Subchannel(868.3e6, 125e3)


def decoded(row: bytes) -> tuple[dict, np.ndarray]:
    """A row, and its levels in dBFS."""
    found = records.decode(row)
    return found, FLOOR_DBFS + STEP_DB * np.frombuffer(base64.b64decode(found["levels"]), np.uint8)


def report(time_s: float, energy_dbfs: float, busy: bool, flags: tuple[str, ...] = ()) -> ChannelReport:
    """One interval of CELL."""
    return ChannelReport(
        "roof", time_s, 0.01, CELL.center_hz, CELL.bandwidth_hz, energy_dbfs, -41.0, -39.0, None, 0.2, 0.1, busy,
        0.25, 0.19, 0.2, 0.3, flags=flags,
    )  # fmt: skip


@pytest.mark.parametrize(("most", "count"), [(512, 480), (2048, 1920), (100, 96), (1, 1)])
def test_bins_cover_the_capture_and_hold_its_power(most: int, count: int) -> None:
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, TUNING, (CELL,))
    bins = plan_bins(frames, columns, most)
    assert bins.first.size == count
    noise = np.random.default_rng(1).normal(0.0, 0.05, (24_000 * 40, 2)).astype(np.float32)
    meter = EnergyMeter(frames, columns, "scipy", bins)
    measured = meter.measure(noise.ravel().view(np.complex64))
    assert meter.shown.shape == (40, count)
    # White noise: every bin has its share of the power, those with masked DC bins too.
    share = meter.shown.mean(axis=0) / (measured.power.mean() / count)
    assert abs(share.mean() - 1.0) < 0.01
    assert np.all(np.abs(share - 1.0) < 6.0 / np.sqrt(40 * 6 * 1920 / count))


def test_judged_energies_are_the_same_with_bins_and_without() -> None:
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, TUNING, (CELL, Subchannel(868.1e6, 125e3)))
    samples = np.random.default_rng(2).integers(0, 256, 2 * 24_000 * 3, dtype=np.uint8)
    plain = EnergyMeter(frames, columns, "scipy").measure(samples).energies
    shown = EnergyMeter(frames, columns, "scipy", plan_bins(frames, columns, 512)).measure(samples).energies
    assert np.array_equal(plain, shown)


def test_a_carrier_stands_in_its_bin_at_its_level() -> None:
    frames = plan_frames(2.4e6)
    columns = plan_columns(frames, TUNING, (CELL,))
    bins = plan_bins(frames, columns, 512)
    offset_hz = 300_000.0 + 2_500.0  # the middle of a 5 kHz bin
    n = np.arange(24_000 * 2)
    carrier = (0.1 * np.exp(2j * np.pi * offset_hz / 2.4e6 * n)).astype(np.complex64)
    meter = EnergyMeter(frames, columns, "scipy", bins)
    meter.measure(carrier)
    waterfall = Waterfall("roof", TUNING, 480)
    air = Air(np.array([10.0, 10.01]), meter.shown, np.array([0.0, 0.5]))
    assert waterfall.see(air) == []
    ((stream, row),) = waterfall.see(Air(np.array([10.1]), meter.shown[:1], np.zeros(1)))
    found, levels = decoded(row)
    assert stream == "spectrum-100ms"
    assert (found["time_s"], found["interval_s"], found["bins"]) == (10.0, 0.1, 480)
    low_hz = found["center_hz"] - found["span_hz"] / 2
    strongest_hz = low_hz + (int(levels.argmax()) + 0.5) * found["span_hz"] / found["bins"]
    assert strongest_hz == pytest.approx(TUNING.center_hz + offset_hz, abs=1.0)
    assert levels.max() == pytest.approx(-20.0, abs=STEP_DB)


def test_a_digest_holds_peak_mean_and_share_of_its_second() -> None:
    waterfall = Waterfall("roof", TUNING, 4)
    bins = np.array([[1e-4, 1e-5, 0.0, 1.0]])
    waterfall.see(Air(np.array([20.5]), bins, np.array([0.01])))
    first = [
        report(20.0 + 0.01 * k, -30.0 if k == 7 else -40.0, k == 7, ("clipping",) if k == 7 else ()) for k in range(100)
    ]
    assert waterfall.judge(first) == []
    told = waterfall.judge([report(21.0, -40.0, busy=False)])
    ((stream, row),) = told
    found, levels = decoded(row)
    assert stream == "spectrum-1s"
    assert levels.tolist() == [-40.0, -50.0, -120.0, 0.0]
    assert (found["time_s"], found["clipping"], found["flags"]) == (20.0, 0.01, ["clipping"])
    (cell,) = found["cells"]
    named = dict(zip(DIGEST, cell, strict=True))
    mean_dbfs = 10 * np.log10((99 * 1e-4 + 1e-3) / 100)
    assert named == {
        "key": "868300000/125000", "peak_dbfs": -30.0, "mean_dbfs": pytest.approx(mean_dbfs, abs=0.01),
        "noise_dbfs": -41.0, "threshold_dbfs": -39.0, "busy_share": 0.01, "occupancy": 0.25, "occupancy_low": 0.2,
        "occupancy_high": 0.3, "pf": 0.2, "pm": 0.1, "pf_measured": None,
    }  # fmt: skip


def test_rows_without_reports_do_not_pile_up() -> None:
    waterfall = Waterfall("roof", TUNING, 2)
    told = []
    for second in range(100):
        waterfall.see(Air(np.array([float(second)]), np.ones((1, 2)), np.zeros(1)))
        told += waterfall.judge([])
    assert len([row for stream, row in told if stream == "spectrum-1s"]) >= 90


def test_levels_stay_within_a_byte() -> None:
    assert list(levels_of(np.array([0.0, 1e-30, 1.0, 1e9]))) == [0, 0, 240, 255]


SITE = """[site]
name = "w"
[[sensor]]
name = "roof"
center_hz = 868.0125e6
rate_hz = 2.4e6
spectrum_bins = {bins}
"""


@pytest.mark.parametrize("bins", [512, 0])
def test_the_daemon_publishes_rows_beside_reports(bins: int) -> None:
    site = parse_site(SITE.format(bins=bins), "w.toml")
    stop = threading.Event()

    class Enough(MemoryDatabase):
        """Stops the sensor after some reports; every third row finds the database away."""

        rows = 0

        def append(self, name: str, stream: str, values) -> None:
            Enough.rows += 1
            if Enough.rows % 3 == 0:
                raise DatabaseAway("away")
            super().append(name, stream, values)

        def publish(self, name: str, reports) -> None:
            super().publish(name, reports)
            if len(self.read(name, "reports")) >= 15:
                stop.set()

    database = Enough()
    tally = run_sensor(site, site.sensor[0], database, stop, time.time)
    rows = [records.decode(entry.value) for entry in database.read("w", "spectrum-100ms:roof")]
    assert bool(rows) == bool(bins)
    assert tally.lost_rows == (Enough.rows // 3 if bins else 0)
    if bins:
        assert [row["time_s"] for row in rows] == sorted({row["time_s"] for row in rows})
        assert {row["bins"] for row in rows} == {480}
        assert records.decode(database.get("w", "sensor")["roof"])["clipping"] >= 0.0
