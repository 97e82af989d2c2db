"""The sensor check: every trouble that a receiver is given is found and named, and a sound one passes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from airshed import airshed
from sensing import sensor_check
from sensing.checkup import GainStep, Observation, carrier_ppm, gather, image_db, judge, noise_dbfs_per_hz, worst
from sensing.rtlsdr_source import CounterCheck
from sensing.source import Tuning, u8_of
from sensing.synthetic import Carrier, Scene, SyntheticSource
from terminal.command import run

TUNING = Tuning(868.0125e6, 2.4e6)
SOUND = Scene(TUNING, noise_dbfs=-36.0)


def observe(scene: Scene, **changes) -> Observation:
    """A recording of 0.3 s of a scene, as if it had come live and in time."""
    seen = gather(SyntheticSource(scene, 0.3), 0.3)
    elapsed_s = seen.received_between / scene.tuning.rate_hz
    steps = (GainStep(0.0, -40.0), GainStep(49.6, -20.0))
    return replace(seen, elapsed_s=elapsed_s, gains=steps, test_bytes=10**6, test_lost_bytes=0, **changes)


def verdicts(seen: Observation) -> dict[str, str]:
    return {finding.name: finding.verdict for finding in judge(seen)}


def test_a_sound_receiver_passes() -> None:
    found = verdicts(observe(SOUND))
    skipped = {"ppm", "noise_figure"}
    assert {name for name, verdict in found.items() if verdict == "skip"} == skipped
    assert {verdict for name, verdict in found.items() if name not in skipped} == {"ok"}


@pytest.mark.parametrize(
    ("scene", "changes", "name", "verdict"),
    [
        (SOUND, {"received_between": 400_000}, "rate", "fail"),
        (SOUND, {"received_between": 0}, "rate", "fail"),
        (SOUND, {"lost": 5000}, "samples_lost", "fail"),
        (SOUND, {"test_lost_bytes": 3}, "test_mode_lost", "fail"),
        (SOUND, {"gains": (GainStep(0.0, -30.0), GainStep(49.6, -29.0))}, "gain_steps", "fail"),
        (replace(SOUND, noise_dbfs=-14.0), {}, "clipping", "fail"),
        (replace(SOUND, noise_dbfs=-58.0), {}, "level", "fail"),
        (replace(SOUND, dc=0.05 + 0.02j), {}, "dc", "warn"),
        (replace(SOUND, image_db=-30.0), {}, "image", "warn"),
        (SOUND, {"carrier_hz": 868.3e6}, "ppm", "fail"),
        (SOUND, {"carrier_hz": 880e6}, "ppm", "fail"),
        (SOUND, {"terminated": True, "offset_db": -30.0}, "noise_figure", "warn"),
    ],
)
def test_each_trouble_is_found_under_its_name_with_what_to_do(scene, changes, name, verdict) -> None:
    seen = replace(observe(scene), **changes)
    finding = next(finding for finding in judge(seen) if finding.name == name)
    assert finding.verdict == verdict
    assert finding.mend
    assert worst(judge(seen)) == verdict


@pytest.mark.parametrize("ppm", [-43.0, 0.0, 1.7, 58.0])
def test_ppm_of_the_oscillator_from_a_known_carrier(ppm: float) -> None:
    """A dongle whose oscillator runs high by p hears what is at f as if it were at f / (1 + p)."""
    apparent_hz = 868.3e6 / (1 + ppm * 1e-6)
    seen = observe(Scene(TUNING, carriers=(Carrier(apparent_hz, 20.0),)))
    assert carrier_ppm(seen.kept, TUNING, 868.3e6) == pytest.approx(ppm, abs=0.02)


def test_the_noise_figure_is_what_the_noise_has_over_the_thermal_one() -> None:
    """-36 dBFS in 125 kHz, with full scale at -30 dBm, is -117 dBm/Hz; 174 - 117 is 57 dB."""
    seen = observe(SOUND, terminated=True, offset_db=-30.0)
    assert noise_dbfs_per_hz(seen.kept, 2.4e6) == pytest.approx(-36.0 - 50.97, abs=0.2)
    figure = next(finding for finding in judge(seen) if finding.name == "noise_figure")
    assert figure.value == pytest.approx(173.975 - 36.0 - 50.97 - 30.0, abs=0.2)


def test_the_image_is_measured_on_noise_alone() -> None:
    assert image_db(observe(replace(SOUND, image_db=-30.0)).kept) == pytest.approx(-30.0, abs=0.5)
    assert image_db(observe(SOUND).kept) < -50.0


def test_the_counter_of_the_test_mode_shows_what_is_missing() -> None:
    counter = np.arange(10_000) % 256
    whole = CounterCheck()
    for start in range(0, 10_000, 512):
        whole.feed(counter[start : start + 512].astype(np.uint8).tobytes())
    assert (whole.seen_bytes, whole.lost_bytes) == (10_000, 0)
    gapped = CounterCheck()
    gapped.feed(counter[:300].astype(np.uint8).tobytes())
    gapped.feed(np.delete(counter[310:], slice(100, 103)).astype(np.uint8).tobytes())
    assert gapped.lost_bytes == 13


@pytest.fixture
def checked(dongle, tmp_path, capsys):
    """A function that runs `check --sensor` on a dongle with these settings: its exit status and its JSON."""
    air = tmp_path / "scene.cu8"
    carrier = (Carrier(TUNING.center_hz + 300e3, 20.0),)  # whole turns in 0.2 s: the loop has no seam
    air.write_bytes(b"".join(u8_of(Scene(TUNING, carriers=carrier).chunk(i)).tobytes() for i in range(2)))

    def run_it(*options: str, **settings) -> tuple[int, dict]:
        dongle(**{"file": air, "gain_reference": 254, **settings})
        status = run(airshed, ["check", "--sensor", "--seconds", "0.5", "--json", *options])
        return status, json.loads(capsys.readouterr().out)

    return run_it


def test_the_virtual_dongle_is_fit(checked) -> None:
    """At its own pace but flat out, so that no second of this machine is trusted: only the rate may complain."""
    _, record = checked("--carrier", str(TUNING.center_hz + 300e3))
    found = {finding["name"]: finding for finding in record["findings"]}
    assert record["tuning"]["gain_db"] == 25.4
    assert found["gain_steps"]["verdict"] == "ok"
    assert found["test_mode_lost"] == {
        "name": "test_mode_lost", "verdict": "ok", "value": 0.0, "unit": "bytes", "mend": "",
        "says": found["test_mode_lost"]["says"],
    }  # fmt: skip
    assert found["ppm"]["value"] == pytest.approx(0.0, abs=0.02)
    assert {found[name]["verdict"] for name in ("clipping", "level", "dc", "image", "ppm")} == {"ok"}


def test_a_dongle_that_loses_and_ignores_its_gain_is_told_so(checked) -> None:
    status, record = checked(lose_every=3, gain_reference=-1)
    found = {finding["name"]: finding for finding in record["findings"]}
    assert status == 1
    assert record["verdict"] == "fail"
    assert found["test_mode_lost"]["value"] % (1000 % 256) == 0
    assert found["test_mode_lost"]["value"] > 0
    assert found["gain_steps"]["verdict"] == "fail"
    assert "USB" in found["test_mode_lost"]["mend"]


def test_site_and_sensor_are_two_checks(capsys) -> None:
    for arguments in ([], ["site.toml", "--sensor", "rtlsdr"]):
        assert run(airshed, ["check", *arguments]) == 2
        assert "either a site file or --sensor" in capsys.readouterr().err


def test_a_calibration_gives_the_noise_figure(checked, tmp_path) -> None:
    calibration = tmp_path / "roof.toml"
    calibration.write_text("[[level]]\ngain_db = 25.4\nfull_scale_dbm = -60.0\n")
    _, record = checked("--calibration", str(calibration), "--terminated")
    (figure,) = [finding for finding in record["findings"] if finding["name"] == "noise_figure"]
    assert figure["value"] == pytest.approx(173.975 - 36.0 - 50.97 - 60.0, abs=0.3)


def test_a_dongle_that_delivers_nothing_is_not_waited_for(checked, monkeypatch) -> None:
    monkeypatch.setattr(sensor_check, "GRACE_S", 0.3)
    status, record = checked(stall_after=0)
    (rate,) = [finding for finding in record["findings"] if finding["name"] == "rate"]
    assert (status, rate["verdict"], record["received"]) == (1, "fail", 0)
    assert "another port" in rate["mend"]
