"""`airshed sense` as its users call it."""

import json

import click
import numpy as np
import pytest

from airshed import airshed
from sensing.command import FLOORS, LAWS, RULES, SCENES
from terminal.command import run

KEYS = {
    "sensor", "time_s", "subchannel_hz", "bandwidth_hz", "energy_dbfs", "noise_dbfs", "threshold_dbfs", "snr_db",
    "pf", "pm", "busy", "occupancy", "weight",
}  # fmt: skip


def lines(capsys, *arguments, status=0):
    assert run(airshed, ["sense", *map(str, arguments)]) == status
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def recording(tmp_path):
    """A quarter of a second of noise with a carrier from 0.1 s on, 1 MS/s around 868.3 MHz."""
    rng = np.random.default_rng(1)
    iq = 0.05 * (rng.standard_normal(250_000) + 1j * rng.standard_normal(250_000))
    iq[100_000:] += 0.1 * np.exp(2j * np.pi * 0.2 * np.arange(150_000))
    path = tmp_path / "air_868.3M_1000k.cf32"
    path.write_bytes(iq.astype(np.complex64).tobytes())
    return path


def test_one_json_object_a_line_for_each_subchannel_and_interval(recording, capsys):
    reports = lines(capsys, recording, "--json")
    assert len(reports) == 250 * 8
    assert all(set(report) >= KEYS for report in reports)
    assert {report["interval_s"] for report in reports} == {0.001}
    carrier = [report for report in reports if abs(report["subchannel_hz"] - 868.5e6) < 62.5e3]
    busy_from = next(report["time_s"] for report in carrier if report["snr_db"] and report["snr_db"] > 6)
    assert busy_from == pytest.approx(0.1)
    assert all(report["busy"] for report in carrier if report["time_s"] >= 0.1)


def test_the_interval_is_10_ms_where_asked(recording, capsys):
    reports = lines(capsys, recording, "--json", "--interval", 10)
    assert len(reports) == 25 * 8
    assert [report["time_s"] for report in reports[::8]] == pytest.approx(np.arange(25) * 0.01)


def test_noise_is_busy_as_often_as_designed(capsys):
    reports = lines(capsys, "--synthetic", "noise", "--seconds", 6, "--pf", 0.1, "--json")
    busy = np.mean([report["busy"] for report in reports])
    assert len(reports) == 600 * 19
    assert abs(busy - 0.1) < 2.576 * np.sqrt(0.1 * 0.9 / len(reports))
    assert {report["pf"] for report in reports} == {0.1}


def test_seconds_end_a_loop_and_a_seed_repeats_a_scene(recording, capsys):
    assert len(lines(capsys, recording, "--loop", "--seconds", 0.4, "--interval", 10, "--json")) == 40 * 8
    first, second = (lines(capsys, "--synthetic", "busy", "--seconds", 1, "--seed", 4, "--json") for _ in range(2))
    assert first == second != lines(capsys, "--synthetic", "busy", "--seconds", 1, "--seed", 5, "--json")


def test_lorawan_channels_are_sensed_where_they_are_captured(capsys):
    found = lines(
        capsys, "--synthetic", "noise", "--lorawan", "--rate", 1e6, "--center", 868.3e6, "--seconds", 0.2, "--json"
    )
    assert {report["subchannel_hz"] for report in found} == {867.9e6, 868.1e6, 868.3e6, 868.5e6}


def test_single_subchannels_are_sensed(recording, capsys):
    found = lines(capsys, recording, "--subchannel", 868.1e6, "--subchannel", 868.5e6, "--json")
    assert {report["subchannel_hz"] for report in found} == {868.1e6, 868.5e6}


@pytest.mark.parametrize("option", [("--law", law) for law in LAWS] + [("--floor", floor) for floor in FLOORS])
def test_laws_and_floors_can_be_chosen(recording, capsys, option):
    assert lines(capsys, recording, "--json", "--seconds", 0.05, *option)


def test_sigfox_frames_are_seen_on_fine_bins(capsys):
    """2.08 s at 20 dB in 100 Hz: nothing for 125 kHz, plain in 1 kHz."""
    found = lines(capsys, "--synthetic", "sigfox", "--sigfox", "--seconds", 3, "--json")
    fine = [report for report in found if report["bandwidth_hz"] == 1e3]
    assert len(fine) == 30 * 192
    on_air = [report for report in fine if 0.7 <= report["time_s"] < 2.4]
    strongest = max(on_air, key=lambda report: report["energy_dbfs"])
    assert strongest["subchannel_hz"] == pytest.approx(868.034e6 + 4.8e3, abs=1e3)
    assert strongest["snr_db"] == pytest.approx(10.0, abs=3.0)
    coarse = [r for r in found if r["bandwidth_hz"] == 125e3 and 0.7 <= r["time_s"] < 2.4 and r["snr_db"] is not None]
    assert max(report["snr_db"] for report in coarse) < -5.0


def test_a_table_for_people_and_a_list_of_bursts(recording, capsys):
    assert run(airshed, ["sense", str(recording)]) == 0
    shown = capsys.readouterr().out
    assert "868.4875" in shown
    assert "1 bursts:" in shown
    bursts = lines(capsys, recording, "--bursts", "--json")
    assert len(bursts) == 1
    assert bursts[0]["start_s"] == pytest.approx(0.1)
    assert bursts[0]["low_hz"] <= 868.5e6 <= bursts[0]["high_hz"]


def test_a_calibration_is_measured_kept_and_used(tmp_path, capsys):
    path, recording = tmp_path / "dongle.toml", tmp_path / "carrier_868.3M_1000k.cf32"
    noise = 0.01 * np.random.default_rng(1).standard_normal((250_000, 2)).view(np.complex128)[:, 0]
    recording.write_bytes((noise + 0.1 * np.exp(0.4j * np.pi * np.arange(250_000))).astype(np.complex64).tobytes())
    known = ("--level-dbm", -60, "--carrier", 868.501e6, "--calibration", path, "--gain", 25.4)
    [found] = lines(capsys, recording, "--calibrate", *known, "--json")
    assert found["frequency_hz"] == pytest.approx(868.5e6, abs=20)
    assert found["level_dbfs"] == pytest.approx(-20.0, abs=0.3)
    assert found["ppm"] == pytest.approx(1000.0 / 868.3, abs=0.05)
    reports = lines(capsys, recording, "--calibration", path, "--gain", 25.4, "--json")
    heard = [report for report in reports if abs(report["subchannel_hz"] - 868.4875e6) < 1]
    assert np.mean([report["energy_dbm"] for report in heard]) == pytest.approx(-60.0, abs=0.5)
    other_gain = lines(capsys, recording, "--calibration", path, "--gain", 40, "--json")
    assert {report["energy_dbm"] for report in other_gain} == {None}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give one source"),
        (("a.cu8", "--synthetic", "noise"), "give one source"),
        (("/nowhere/a_868M_1000k.cu8",), "no recording"),
        (("--synthetic", "noise", "--seconds", "1", "--pf", "2"), "pf must lie between 0 and 1"),
        (("--synthetic", "noise", "--seconds", "1", "--center", "433e6", "--sigfox"), "868.034-868.226"),
        (("--synthetic", "noise", "--seconds", "1", "--center", "433e6", "--lorawan"), "none of the channels"),
        (("--synthetic", "noise", "--seconds", "1", "--subchannel", "433e6"), "lies outside"),
        (("--synthetic", "noise", "--level-dbm", "1"), "go with --calibrate"),
        (("--synthetic", "noise", "--calibrate"), "needs what is known"),
        (("--synthetic", "noise", "--calibrate", "--level-dbm", "-60", "--seconds", "0.2"), "no carrier stands out"),
        (("--site", "x.toml", "--synthetic", "noise"), "either a SOURCE or --site"),
        (("--synthetic", "noise", "--rate", "1000", "--seconds", "1"), "no subchannel"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(arguments, says, capsys):
    status = run(airshed, ["sense", *arguments])
    complaint = capsys.readouterr().err
    assert status == (1 if "stands out" in says else 2)
    assert says in complaint
    assert complaint.count("\n") == 1


def test_nan_in_floats_ends_with_status_2(tmp_path, capsys):
    iq = np.zeros(20_000, dtype=np.complex64)
    iq[5000] = np.nan
    path = tmp_path / "air_868.3M_1000k.cf32"
    path.write_bytes(iq.tobytes())
    assert run(airshed, ["sense", str(path), "--json"]) == 2
    assert "sample 5000 is nan" in capsys.readouterr().err


def test_a_recording_shorter_than_an_interval_is_called_too_short(tmp_path, capsys):
    path = tmp_path / "air_868.3M_1000k.cu8"
    path.write_bytes(b"\x80" * 1500)
    assert run(airshed, ["sense", str(path), "--json"]) == 2
    assert "less than one sensing interval" in capsys.readouterr().err


def test_hardly_any_intervals_are_judged_and_flagged(recording, capsys):
    for interval_ms, intervals in ((200, 1), (100, 2)):
        reports = lines(capsys, recording, "--json", "--interval", interval_ms)
        assert len(reports) == 8 * intervals
        assert all("few_intervals" in report["flags"] for report in reports)


def test_reports_carry_the_gain(recording, capsys):
    assert {report["gain_db"] for report in lines(capsys, recording, "--json", "--gain", 25.4)} == {25.4}
    assert {report["gain_db"] for report in lines(capsys, recording, "--json")} == {None}


def test_silence_is_no_signal(tmp_path, capsys):
    path = tmp_path / "air_868.3M_1000k.cf32"
    path.write_bytes(np.zeros(100_000, dtype=np.complex64).tobytes())
    assert not any(report["busy"] for report in lines(capsys, path, "--json"))


def test_the_names_on_the_command_line_are_those_of_the_tables():
    from sensing import floor, laws, scenes

    assert set(laws.LAWS) == set(LAWS)
    assert LAWS[0] == laws.DEFAULT_LAW
    assert set(laws.RULES) == set(RULES)
    assert RULES[0] == laws.DEFAULT_RULE
    assert set(floor.POLICIES) == set(FLOORS)
    assert FLOORS[0] == floor.DEFAULT_POLICY
    assert set(scenes.SCENES) == set(SCENES)


def test_the_help_is_light_and_teaches():
    command = airshed.get_command(click.Context(airshed), "sense")
    assert command is not None
    assert "airshed sense --synthetic noise" in command.get_help(click.Context(command, info_name="sense"))
