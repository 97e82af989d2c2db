"""rtl_power's CSV and the SX1302's spectral scans as sensors, on lines made the way those programs make them."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from airshed import airshed
from channel_status.memory import MemoryDatabase
from sensing.daemon import Tally, run_sensor
from sensing.rtl_power import RtlPowerSensor, parse_line
from sensing.spectral_scan import FILTER_HZ, SpectralScanSensor, parse_scan
from sensing.sweeps import FLAGS
from spectrum.errors import BadInput
from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS, Subchannel
from spectrum.site_file import parse_site
from terminal.command import run

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CENTER_HZ, RATE_HZ, POINTS = 868_300_000, 2_400_000, 1024


def rtl_power_line(end: datetime, power: np.ndarray, ffts: int, center_hz: int = CENTER_HZ) -> str:
    """One line as csv_dbm of rtl_power.c writes it; power: summed over `ffts` spectra, lowest bin first."""
    half_hz = RATE_HZ // 2
    head = f"{end:%Y-%m-%d, %H:%M:%S}, {center_hz - half_hz}, {center_hz + half_hz}, {RATE_HZ / POINTS:.2f}, {ffts}, "
    values = [f"{10 * np.log10(value / RATE_HZ / ffts):.2f}" for value in power]
    return head + ", ".join([*values, values[-1]]) + "\n"


def sweep_lines(count: int, busy_hz: float, busy: range, seed: int = 1, ffts: int = 2000) -> list[str]:
    """Sweeps of one second of noise; a signal of 6 dB over the noise in 125 kHz at busy_hz during some of them."""
    rng = np.random.default_rng(seed)
    offset_hz = (np.arange(POINTS) - POINTS // 2) * RATE_HZ / POINTS
    lines = []
    for number in range(count):
        mean = np.full(POINTS, 50.0)
        if number in busy:
            mean[np.abs(offset_hz + CENTER_HZ - busy_hz) < 62.5e3] *= 1 + 10**0.6
        power = mean * rng.gamma(ffts, 1.0, POINTS)
        lines.append(rtl_power_line(START + timedelta(seconds=number), power, ffts))
    return lines


def test_a_line_is_read_as_rtl_power_writes_it() -> None:
    power = np.full(POINTS, 1e4)
    power[512 + 43] = 1e8  # 43 bins of 2343.75 Hz above the centre: 868.4008 MHz
    hop = parse_line(rtl_power_line(START, power, 100), "x", UTC)
    assert hop.end_s == START.timestamp()
    assert hop.power.size == POINTS  # not the last value's double
    peak_hz = hop.low_hz + hop.step_hz * np.argmax(hop.power)
    assert peak_hz == pytest.approx(CENTER_HZ + 43 * RATE_HZ / POINTS, abs=10)  # the step is written with two digits
    assert hop.ffts == 100
    assert 10 * np.log10(hop.power.max() / hop.power.min()) == pytest.approx(40.0, abs=0.02)


def test_times_are_local_unless_a_zone_is_given() -> None:
    line = rtl_power_line(START, np.ones(POINTS), 1)
    there = parse_line(line, "x", ZoneInfo("Europe/Vienna")).end_s
    assert there == START.timestamp() - 3600.0


def test_a_narrow_sweep_counts_its_downsampled_spectra_once() -> None:
    """Below 1 MHz rtl_power samples at a multiple and counts each spectrum that many times."""
    line = "2026-03-01, 12:00:00, 868000000, 868600000, 150000.00, 400, -1, -2, -3, -4, -4\n"
    assert parse_line(line, "x", UTC).ffts == 100


def test_sweeps_become_reports_of_the_subchannels_they_cover() -> None:
    lines = sweep_lines(60, busy_hz=868.3e6, busy=range(30, 40))
    channels = (*LORAWAN_DEFAULT_CHANNELS, Subchannel(870.5e6, 125e3))
    reports = list(RtlPowerSensor(channels, zone=UTC).reports(lines, "sweep.csv"))
    assert len(reports) == 60 * 3
    assert reports[0].time_s == START.timestamp() - 1.0
    assert {report.interval_s for report in reports} == {1.0}
    found = {(round((r.time_s - START.timestamp()) + 1), r.subchannel_hz) for r in reports if r.busy}
    assert found == {(number, 868.3e6) for number in range(30, 40)}
    assert set(reports[0].flags) <= set(FLAGS)
    assert {"relative_level", "averaged", "samples_assumed"} <= set(reports[0].flags)
    # 2000 spectra of 1/2343.75 Hz are 0.85 s of the interval: not hopped
    assert "partial_time" not in reports[0].flags
    assert reports[0].samples == pytest.approx(2000 * 125e3 / 2343.75, rel=0.01)
    assert reports[0].energy_dbm is None
    busy = next(report for report in reports if report.busy)
    assert busy.snr_db == pytest.approx(6.0, abs=0.3)


def test_hops_of_one_time_are_one_sweep_and_say_that_they_share_the_time() -> None:
    lines = []
    for number in range(12):
        for center_hz in (CENTER_HZ - RATE_HZ, CENTER_HZ):
            power = np.random.default_rng([number, center_hz]).gamma(300, 1.0, POINTS)
            lines.append(rtl_power_line(START + timedelta(seconds=10 * number), power, 300, center_hz))
    # 867.1 MHz is where the hops meet
    channels = (Subchannel(867.1e6, 125e3), *LORAWAN_DEFAULT_CHANNELS)
    reports = list(RtlPowerSensor(channels, zone=UTC).reports(lines, "sweep.csv"))
    assert len(reports) == 12 * 4
    assert all("partial_time" in report.flags for report in reports)
    assert {report.interval_s for report in reports} == {10.0}


def test_a_file_that_ends_in_the_middle_of_a_line_says_where() -> None:
    lines = sweep_lines(12, 868.3e6, range(0))
    lines[-1] = lines[-1][:2000]
    with pytest.raises(BadInput, match=r"sweep\.csv, line 12: expected a line of rtl_power"):
        list(RtlPowerSensor(LORAWAN_DEFAULT_CHANNELS, zone=UTC).reports(lines, "sweep.csv"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "holds no line"),
        (["time,power\n"], "line 1: expected a line of rtl_power"),
        (
            ["2026-03-01, 12:00:00, 100000000, 102000000, 500000.00, 9, -1, -1, -1, -1, -1\n"],
            "no subchannel lies whole",
        ),
        (["2026-03-01, 12:00:00, 868000000, 868600000, 0.00, 9, -1, -1\n"], "expected a line"),
    ],
)
def test_what_is_no_sweep_is_refused(lines, message) -> None:
    with pytest.raises(BadInput, match=message):
        list(RtlPowerSensor(LORAWAN_DEFAULT_CHANNELS, zone=UTC).reports(lines, "sweep.csv"))


# ---- SX1302 ----


def scan_line(center_hz: int, rng: np.random.Generator, busy_dbm: float | None = None, share: float = 0.0) -> str:
    """2000 readings with an offset of -11 dBm: noise at -113 dBm, and a signal during a share of them."""
    levels_dbm = -113.0 + 1.2 * rng.standard_normal(2000)
    if busy_dbm is not None:
        levels_dbm[: round(2000 * share)] = busy_dbm
    index = np.clip(np.ceil((-11.0 - levels_dbm) / 4.0), 0, 32).astype(int)
    counts = np.bincount(index, minlength=33)
    return f"SPECTRAL SCAN - {center_hz} Hz: " + "".join(f"{count} " for count in counts) + "\n"


def scan_lines(rounds: int, busy: range, seed: int = 2) -> list[str]:
    rng = np.random.default_rng(seed)
    lines = ["INFO: [main] concentrator started\n"]
    for number in range(rounds):
        for center_hz in range(867_100_000, 868_700_000, 200_000):
            on = number in busy and center_hz == 868_100_000
            lines.append(scan_line(center_hz, rng, -96.0 if on else None, share=0.4))
        lines.append("JSON up: {}\n")
    return lines


def test_a_scan_is_read_as_the_forwarder_writes_it() -> None:
    counts = [0] * 33
    counts[25], counts[26] = 10, 1990
    scan = parse_scan("SPECTRAL SCAN - 868100000 Hz: " + "".join(f"{c} " for c in counts) + "\n")
    assert scan is not None
    assert scan.center_hz == 868.1e6
    assert scan.duration_s == pytest.approx(0.0164)
    # level 26 is of readings above -104 dB and not above -100: -102 in the middle
    assert 10 * np.log10(scan.energy) == pytest.approx(-101.97, abs=0.02)
    assert parse_scan("INFO: end of uplink\n") is None
    stamped = parse_scan("2026-03-01T12:00:00+00:00 gw lora_pkt_fwd[7]: SPECTRAL SCAN - 1 Hz: " + "1 " * 33)
    assert stamped is not None
    assert stamped.time_s == START.timestamp()


def test_scans_become_reports_in_dbm_of_the_filters_width() -> None:
    reports = list(SpectralScanSensor(rssi_offset_dbm=-11.0).reports(scan_lines(40, range(20, 25)), "log"))
    assert len(reports) == 40 * 8
    assert {report.bandwidth_hz for report in reports} == {FILTER_HZ}
    busy = [report for report in reports if report.busy]
    assert {report.subchannel_hz for report in busy} == {868.1e6}
    assert len(busy) == 5
    # 40 % of the time at -96 dBm, give or take half a step
    assert busy[0].energy_dbm == pytest.approx(-96.0 + 10 * np.log10(0.4), abs=2.0)
    assert set(busy[0].flags) <= set(FLAGS)
    assert {"coarse_levels", "samples_assumed", "partial_time", "maker_level"} <= set(busy[0].flags)
    assert reports[8].time_s - reports[0].time_s == pytest.approx(8.0)


def test_without_the_boards_offset_levels_stay_relative() -> None:
    report = next(SpectralScanSensor().reports(scan_lines(12, range(0)), "log"))
    assert report.energy_dbm is None
    assert "relative_level" in report.flags
    assert report.energy_dbfs == pytest.approx(-102.0, abs=2.0)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["INFO: nothing\n"], "no SPECTRAL SCAN line"),
        (["SPECTRAL SCAN - 868100000 Hz: 1 2 3\n"], "log, line 1: expected 33 counts"),
        (["SPECTRAL SCAN - 868100000 Hz: " + "0 " * 33 + "\n"], "not all 0"),
    ],
)
def test_what_is_no_scan_is_refused(lines, message) -> None:
    with pytest.raises(BadInput, match=message):
        list(SpectralScanSensor().reports(lines, "log"))


def test_airshed_sense_takes_both_kinds(tmp_path, capsys) -> None:
    csv, log = tmp_path / "sweep.csv", tmp_path / "forwarder.log"
    csv.write_text("".join(sweep_lines(12, 868.3e6, range(0))))
    log.write_text("".join(scan_lines(12, range(0))))
    assert run(airshed, ["sense", f"rtl_power:{csv}", "--lorawan", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["sensor"], first["interval_s"]) == ("rtl_power", 1.0)
    assert run(airshed, ["sense", f"sx1302:{log}", "--rssi-offset", "-11", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["energy_dbm"] == pytest.approx(-113.0, abs=3.0)
    assert run(airshed, ["sense", f"rtl_power:{csv}"]) == 0
    assert "868.3" in capsys.readouterr().out
    assert run(airshed, ["sense", "sx1302:nowhere.log"]) == 2
    assert "nowhere.log cannot be read" in capsys.readouterr().err


def test_a_site_senses_from_the_lines_as_they_are_written(tmp_path) -> None:
    log = tmp_path / "forwarder.log"
    log.write_text("".join(scan_lines(3, range(0))))  # what was written before has no time and does not count
    site = parse_site(f'[site]\nname = "loft"\n[[sensor]]\nname = "gw"\nsource = "sx1302:{log}"\n', "loft.toml")
    database, stop = MemoryDatabase(), threading.Event()
    tallies: list[Tally] = []
    thread = threading.Thread(
        target=lambda: tallies.append(run_sensor(site, site.sensor[0], database, stop, time.time))
    )
    thread.start()
    deadline_s = time.monotonic() + 30.0
    while not tallies and time.monotonic() < deadline_s and not database.reports("loft"):
        with log.open("a") as lines:
            lines.write("".join(scan_lines(12, range(0))))
        time.sleep(0.3)
    stop.set()
    thread.join(10.0)
    assert tallies[0].state == "stopped"
    assert tallies[0].records > 0
    assert {report.sensor for report in database.reports("loft")} == {"gw"}
