"""Real captures, where they are at hand: floors and bursts as an independent analysis (index.csv) has them."""

import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest

from sensing.detector import Design
from sensing.files import FileSource, find_recording
from sensing.stream import SensorConfig, sense

FOLDER = Path(os.environ.get("AIRSHED_RECORDINGS", Path(__file__).parents[3] / "shared" / "recordings"))
# The tests run with another working tree beside the recordings, too.
NAMES = (
    "quiet_868.950M_1600k.cu8",
    "wmbus_t1_868.950M_1600k.cu8",
    "wmbus_c_868.625M_2400k.cu8",
    "doorbell_onset_868.300M_250k.cu8",
    "ec3k_g001_868.300M_250k.cu8",
    "ec3k_g003_868.300M_250k.cu8",
    "ec3k_g005_868.300M_250k.cu8",
    "ec3k_g007_868.300M_250k.cu8",
    "homematic_868.300M_1000k.cs16",
    "xavax_868.350M_1000k_a.cf32",
    "hop_912.380M_2359k_a.cu8",
    "modes_1090.000M_2000k_a.cu8",
)
BURST = re.compile(r"\s*([\d.]+)-([\d.]+)s (-?[\d.]+)\.\.(-?[\d.]+)kHz snr(\d+)dB")


def index_row(name):
    if not (FOLDER / "index.csv").is_file():
        pytest.skip(f"no recordings in {FOLDER} (AIRSHED_RECORDINGS names another folder)")
    with (FOLDER / "index.csv").open() as file:
        return next(row for row in csv.DictReader(file) if row["file"] == name)


def grid(name, **options):
    """Reports of a recording as arrays over time and subchannel."""
    row = index_row(name)
    recording = find_recording(FOLDER / name, rate_hz=float(row["rate_hz"]))
    config = SensorConfig(recording.tuning, interval_s=0.001, **options)
    with FileSource(recording) as source:
        reports = list(sense(source, config))
    times = sorted({report.time_s for report in reports})
    table = np.array(reports, dtype=object).reshape(len(times), -1)
    return row, np.array(times), table


def touched(offset_hz, burst, reach_hz):
    """Subchannels within reach of a burst (start, end, low and high in kHz, SNR), bool, shape (C,)."""
    return (offset_hz - reach_hz < burst[3] * 1e3) & (offset_hz + reach_hz > burst[2] * 1e3)


def field(table, name):
    return np.array([[getattr(report, name) for report in line] for line in table])


@pytest.mark.parametrize("name", NAMES)
def test_floors_agree_with_the_index_or_a_flag_says_why_not(name):
    row, _, table = grid(name)
    medians = np.array([float(level) for level in row["median_dbfs_per_subchannel"].split()])
    floors = field(table, "noise_dbfs").mean(axis=0)
    flags = {flag for line in table for report in line for flag in report.flags}
    quiet = np.abs(medians - np.median(medians)) < 3.0  # elsewhere the index's median is that of a signal
    off_db = np.abs(floors - medians)[quiet]
    assert np.median(off_db) < 1.5 or flags & {"nonstationary", "leakage"}
    if "nonstationary" not in flags:
        assert off_db.max() < 1.5


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("quiet", "modes"))])
def test_bursts_begin_and_end_within_2_ms_of_the_index(name):
    # Where strong meters hop over the whole band their skirts lie over the noise: a threshold of about 2.5 dB.
    row, times, table = grid(name, design=Design(pf=1e-10 if name.startswith("hop") else 1e-3))
    busy = field(table, "busy").astype(bool)
    offset_hz = field(table[:1], "subchannel_hz")[0] - float(row["centre_hz"])
    found = [BURST.match(text) for text in row["bursts"].split(";")]
    bursts = [tuple(map(float, match.groups())) for match in found if match]
    columns = [touched(offset_hz, burst, 62.5e3) for burst in bursts]
    around = [touched(offset_hz, burst, 125e3) for burst in bursts]
    agree = []
    for number, (start_s, end_s, _, _, snr_db) in enumerate(bursts):
        near = [
            other
            for other, burst in enumerate(bursts)
            if burst[0] < end_s + 0.0025 and burst[1] > start_s - 0.0025 and (around[other] & columns[number]).any()
        ]
        if snr_db < 15 or not columns[number].any() or near != [number]:
            continue  # too weak for 125 kHz, outside of the raster, or run into by another on the same subchannel
        on = np.flatnonzero(busy[:, columns[number]].any(axis=1))
        runs = np.split(on, np.flatnonzero(np.diff(on) > 2) + 1)  # a pause of up to 2 ms stays inside
        middle = np.searchsorted(times, (start_s + end_s) / 2, side="right") - 1
        run = next(run for run in runs if run[0] <= middle <= run[-1])
        agree.append(abs(times[run[0]] - start_s) <= 0.002 and abs(times[run[-1]] + 0.001 - end_s) <= 0.002)
    assert len(agree) >= 1
    # Among the hopping meters are weaker ones that the index does not list, and one runs into a listed burst.
    assert agree.count(False) <= (1 if name.startswith("hop") else 0)


def test_the_wmbus_burst_is_busy_on_its_subchannels_by_default():
    _, times, table = grid("wmbus_c_868.625M_2400k.cu8")
    inside = (times >= 0.009) & (times < 0.016)
    strong = np.isin(field(table[:1], "subchannel_hz")[0], [868.75e6, 868.875e6, 869.0e6])
    assert field(table, "busy")[inside][:, strong].all()
    snr_db = field(table, "energy_dbfs") - field(table, "noise_dbfs")
    assert snr_db[inside][:, strong].min() > 10
    assert snr_db[~inside & ((times < 0.008) | (times > 0.018))].max() < 5


def test_noise_that_is_not_stationary_is_flagged():
    _, _, table = grid("quiet_868.950M_1600k.cu8")
    last = table[-1]
    assert all("nonstationary" in report.flags for report in last)
    assert min(report.pf_measured for report in last) > 0.23


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("interval_s", [0.0005, 0.010])
def test_every_recording_can_be_sensed_at_other_intervals(name, interval_s):
    row = index_row(name)
    recording = find_recording(FOLDER / name)
    with FileSource(recording) as source:
        reports = list(sense(source, SensorConfig(recording.tuning, interval_s=interval_s)))
    intervals = recording.samples // round(interval_s * recording.tuning.rate_hz)
    assert len(reports) == intervals * len(row["median_dbfs_per_subchannel"].split())
