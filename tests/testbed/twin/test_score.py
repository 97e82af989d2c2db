"""Sensing against the truth of recordings: true Pf and Pm, per subchannel and SNR, against what sensing claims."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from airshed import airshed as airshed_group
from sensing.detector import Design
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from terminal.command import run
from testbed.twin import kernels
from testbed.twin.air import received_power_dbm
from testbed.twin.emissions import placed
from testbed.twin.recording import record
from testbed.twin.score import LEAK_DB, NEAR_HZ, Cells, cells_of, score, truth_of
from testbed.twin.truth import Heard
from testbed.waveforms.pieces import carrier
from testbed.waveforms.sigfox import sigfox_waveform
from testbed.waveforms.wmbus import wmbus_waveform

RATE_HZ = 2.4e6
CHANNELS_HZ = (867.1e6, 867.3e6, 867.5e6, 867.7e6, 867.9e6, 868.1e6, 868.3e6, 868.5e6)


# Weak signals lift the floor they lie in by their share of the time: 2 % of a signal of -5 dB are a fifteenth of the
# spread of a cell of 1 ms. Claims are held to their interval and to what that does to a share.
LIFTED = 0.02


def weak_air(twin, ear):
    """12 s: on each channel a frame of SF12 at 6 dB, and two short ones of SF9 at one SNR between -8 and -3 dB."""
    found = []
    for i, center_hz in enumerate(CHANNELS_HZ):
        weak_db = -8.0 + 5.0 * (i // 2) / 3.0
        for k, (snr_db, factor, start_s) in enumerate([(6.0, 12, 1.0), (weak_db, 9, 5.0), (weak_db, 9, 9.0)]):
            number, start_s = 10 * i + k + 1, start_s + 0.2513 * i
            at = {"center_hz": center_hz, "start_s": start_s, "x_m": 100.0, "factor": factor, "payload": bytes(8)}
            unscaled = twin.frame_of(number, eirp_dbm=0.0, **at)
            level_db = received_power_dbm(ear.scene, unscaled, ear.sensor) - ear.sensor.full_scale_dbm
            found.append(twin.frame_of(number, eirp_dbm=snr_db + ear.noise_dbfs(125e3) - level_db, **at))
    return found


@pytest.fixture(scope="module")
def weak(tmp_path_factory, twin_scenes):
    """A recording of weak_air, and its score at a design Pf of 0.1 and 1 ms."""
    ear = twin_scenes.ear_of()
    air = weak_air(twin_scenes, ear)
    base = tmp_path_factory.mktemp("weak") / "weak"
    made = record(ear.scene, ear.sensor, lambda a, b: [one for one in air if one.overlaps(a, b)], 12.0, base)
    return made, score(made.meta, Design(pf=0.1), 0.001)


def test_true_false_alarms_are_what_sensing_claims(weak):
    rows = weak[1]["subchannels"]
    assert [row["subchannel_hz"] for row in rows] == list(CHANNELS_HZ)
    for row in rows:
        assert row["quiet_cells"] > 9000
        assert row["pf_claimed"] == pytest.approx(0.1)
        assert row["pf_low"] <= row["pf_claimed"] <= row["pf_high"] + LIFTED, row
        assert row["pf_measured"] == pytest.approx(row["pf"], abs=0.03)
    quiet, alarms = (sum(row[key] for row in rows) for key in ("quiet_cells", "false_alarms"))
    assert alarms / quiet == pytest.approx(0.1, abs=0.01)


def test_true_misses_are_what_the_law_says_at_the_true_snr(weak):
    steps = [step for row in weak[1]["subchannels"] for step in row["by_snr"]]
    weak_ones = [step for step in steps if step["snr_db"] < 0]
    assert len(weak_ones) >= 8
    for step in steps:
        assert step["pm_low"] - LIFTED <= step["pm_claimed"] <= step["pm_high"] + LIFTED, step
    assert sum(0.1 < step["pm_claimed"] < 0.9 for step in weak_ones) >= 4  # where misses tell something
    cells = sum(step["cells"] for step in weak_ones)
    missed, claimed = (
        sum(step["missed"] for step in weak_ones),
        sum(step["pm_claimed"] * step["cells"] for step in weak_ones),
    )
    assert missed / cells == pytest.approx(claimed / cells, abs=0.03)


def test_misses_become_fewer_as_the_snr_rises(weak):
    by_snr = {}
    for row in weak[1]["subchannels"]:
        for step in row["by_snr"]:
            cells, missed = by_snr.get(step["snr_db"], (0, 0))
            by_snr[step["snr_db"]] = cells + step["cells"], missed + step["missed"]
    shares = [missed / cells for _, (cells, missed) in sorted(by_snr.items())]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.3
    assert shares[-1] == 0.0


def test_the_command_prints_the_same_as_json_and_as_a_table(weak, capsys):
    made, found = weak
    asked = ["testbed", "score", str(made.meta), "--pf", "0.1", "--interval", "1", "--subchannel", "868.1e6"]
    assert run(airshed_group, [*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (row,) = told["subchannels"]
    (same,) = [one for one in found["subchannels"] if one["subchannel_hz"] == 868.1e6]
    assert (row["quiet_cells"], row["loud_cells"]) == (same["quiet_cells"], same["loud_cells"])
    assert run(airshed_group, asked) == 0
    assert "868.1000" in capsys.readouterr().out


def cells(count=10):
    edges = np.arange(count + 1) * 100.0
    none, ones = np.full(count, math.nan), np.ones(count)
    return Cells(Subchannel(868.1e6, 125e3), edges[:-1], edges[1:], ones > 0, ones, 1000.0 * ones, none, none, none)


def heard(first, end, center_hz=868.1e6, bandwidth_hz=125e3, level_dbfs=-40.0, kind="lora"):
    return Heard(first, end, center_hz - bandwidth_hz / 2, center_hz + bandwidth_hz / 2, level_dbfs, kind, "x")


def test_cells_are_loud_when_filled_and_partial_when_touched():
    truth = truth_of(cells(), [heard(150, 500), heard(700, 701, level_dbfs=-90.0)], -50.0)
    assert np.flatnonzero(truth.partial).tolist() == [1, 7]
    assert np.flatnonzero(~np.isnan(truth.snr)).tolist() == [2, 3, 4]
    assert truth.snr[3] == pytest.approx(10.0)
    assert np.flatnonzero(truth.quiet).tolist() == [0, 5, 6, 8, 9]
    assert not truth.beside.any()


def test_two_at_once_add_up_and_half_a_band_is_partial():
    both = truth_of(cells(), [heard(0, 1000), heard(0, 1000, bandwidth_hz=100.0, kind="carrier")], -50.0)
    np.testing.assert_allclose(both.snr, 20.0)
    straddling = truth_of(cells(), [heard(0, 1000, center_hz=868.15e6)], -50.0)
    assert straddling.partial.all()


def test_what_leaks_makes_a_cell_neither_quiet_nor_loud():
    # A tenth of the spread of 1000 samples is -25 dB: 19 dB below 5 dB more is too much, 38 dB below is not.
    next_door = truth_of(cells(), [heard(300, 400, center_hz=868.225e6, level_dbfs=-45.0)], -50.0)
    assert np.flatnonzero(next_door.beside).tolist() == [3]
    apart = truth_of(cells(), [heard(300, 400, center_hz=868.3e6, level_dbfs=-45.0)], -50.0)
    assert apart.quiet.all()
    strong = truth_of(cells(), [heard(300, 400, center_hz=868.3e6, level_dbfs=-30.0)], -50.0)
    assert np.flatnonzero(strong.beside).tolist() == [3]


def leak_of(waveform, offset_hz):
    """Share of a waveform's power in 125 kHz at an offset, through half-overlapped Hann windows, in dB."""
    iq = np.zeros(min(round(waveform.duration_s * RATE_HZ), 240_000), dtype=np.complex64)
    kernels.add_pieces(iq, 0, *placed(waveform, 0.0, 0.0, 1.0, RATE_HZ).columns(), kernels.TABLE)
    frames = np.lib.stride_tricks.sliding_window_view(iq, 1920)[::960] * np.hanning(1921)[:-1]
    power = (np.abs(np.fft.fft(frames, axis=1)) ** 2).mean(axis=0)
    hz = np.fft.fftfreq(1920, 1 / RATE_HZ)
    return 10 * math.log10(power[np.abs(hz - offset_hz) < 62.5e3].sum() / power.sum() + 1e-12)


@pytest.mark.parametrize("kind", ["lora", "sigfox", "wmbus", "carrier"])
def test_the_waveforms_leak_no_more_than_is_allowed_for(kind):
    from spectrum.lora import LoraModulation
    from testbed.waveforms.lora import lora_waveform

    waveform, band_hz = {
        "lora": (lora_waveform(LoraModulation(7), bytes(range(30))), 125e3),
        "sigfox": (sigfox_waveform(bytes(12), 0, identity=1, counter=1, key=bytes(16)), 100.0),
        "wmbus": (wmbus_waveform(0.05, 1), 200e3),
        "carrier": (carrier(0.1), 100.0),
    }[kind]
    near_db, far_db = LEAK_DB[kind]
    assert leak_of(waveform, band_hz / 2 + 62.5e3 + 2e3) < near_db
    assert leak_of(waveform, band_hz / 2 + 62.5e3 + NEAR_HZ) < far_db


def test_a_burst_leaks_no_more_than_is_allowed_for_where_it_is_switched():
    whole, burst = (np.zeros(24_000, dtype=np.complex64) for _ in range(2))
    kernels.add_pieces(whole, 0, *placed(carrier(1.0), 0.0, 0.0, 1.0, RATE_HZ).columns(), kernels.TABLE)
    kernels.add_pieces(burst, 0, *placed(carrier(0.0043), 0.0031, 0.0, 1.0, RATE_HZ).columns(), kernels.TABLE)
    window, hz = np.hanning(1921)[:-1], np.fft.fftfreq(1920, 1 / RATE_HZ)
    total, leaked = (
        (np.abs(np.fft.fft(np.lib.stride_tricks.sliding_window_view(iq, 1920)[::960] * window, axis=1)) ** 2).sum(
            axis=0
        )
        for iq in (whole, burst)
    )
    for offset_hz, most_db in ((62.5e3 + 2e3, LEAK_DB["burst"][0]), (62.5e3 + NEAR_HZ, LEAK_DB["burst"][1])):
        assert 10 * math.log10(leaked[np.abs(hz - offset_hz) < 62.5e3].sum() / total.sum()) < most_db


def test_reports_become_columns():
    from spectrum.report import ChannelReport

    report = ChannelReport(
        "s", 0.02, 0.01, 868.1e6, 125e3, -40.0, -50.0, -49.5, 10.0, 0.1, 0.2, True, 0.0, 0.0, samples=99.0
    )
    columns = cells_of(report.subchannel, [report], RATE_HZ)
    assert (columns.first[0], columns.end[0]) == (48_000, 72_000)
    assert columns.ratio[0] == pytest.approx(10**0.05)
    assert math.isnan(columns.pf_measured[0])


def test_a_recording_without_truth_is_refused(tmp_path, weak):
    metadata = json.loads(weak[0].meta.read_text())
    for key in [key for key in metadata["global"] if key.startswith("airshed:")]:
        del metadata["global"][key]
    (tmp_path / "other.sigmf-meta").write_text(json.dumps(metadata))
    (tmp_path / "other.sigmf-data").write_bytes(bytes(2000))
    with pytest.raises(BadInput, match="holds no truth"):
        score(tmp_path / "other.sigmf-meta", Design())
    with pytest.raises(BadInput, match="of a recording made by"):
        score(tmp_path / "other.cu8", Design())
