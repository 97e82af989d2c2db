"""Recordings of the twin: SigMF that the library accepts, the truth in it, and what is refused."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import sigmf

from airshed import airshed as airshed_group
from sensing.source import complex64_of
from spectrum.errors import BadInput
from spectrum.lora import LoraModulation, airtime_s
from terminal.command import run
from testbed.twin.open_loop import open_air
from testbed.twin.recording import check_room, record, sensor_named
from testbed.twin.scene import parse_scene
from testbed.twin.truth import heard_of

SCENE = """
name = "small"
seed = 7
[[sensors]]
name = "roof"
x_m = 100.0
y_m = 100.0
[sensors.impairments]
ppm = 20.0
[[sensors]]
name = "cellar"
x_m = 900.0
y_m = 900.0
[[gateways]]
name = "gateway"
x_m = 0.0
y_m = 0.0
[[device_groups]]
name = "meter"
count = 3
period_s = 0.5
spreading_factor = 7
[[devices]]
name = "tag"
kind = "sigfox"
x_m = 400.0
y_m = 400.0
period_s = 0.5
controlled = false
[[interferers]]
name = "welder"
center_hz = 867.5e6
x_m = 300.0
y_m = 300.0
eirp_dbm = 5.0
[[interferers]]
name = "heating"
kind = "wmbus"
center_hz = 867.9e6
x_m = 300.0
y_m = 200.0
on_s = 0.02
off_s = 0.1
"""


@pytest.fixture
def scene():
    return parse_scene(SCENE, "small.toml")


def metadata_of(made):
    return json.loads(made.meta.read_text())


def test_the_samples_hold_what_the_annotations_say(scene, tmp_path):
    made = record(scene, scene.sensors[0], open_air(scene), 0.6, tmp_path / "air")
    metadata = metadata_of(made)
    data = np.fromfile(made.data, np.uint8)
    assert data.size == 2 * made.samples == 2 * 1_440_000
    assert hashlib.sha512(data.tobytes()).hexdigest() == metadata["global"]["core:sha512"] == made.sha512
    iq = complex64_of(data)
    lora = [one for one in metadata["annotations"] if one["airshed:kind"] == "lora"]
    assert lora
    for one in lora:
        first, count = one["core:sample_start"], one["core:sample_count"]
        spectrum = np.abs(np.fft.fft(iq[first : first + count])) ** 2 / count**2
        hz = np.fft.fftfreq(count, 1 / 2.4e6) + 868.0125e6
        inside = (hz > one["core:freq_lower_edge"]) & (hz < one["core:freq_upper_edge"])
        # Others may be on the air in the same band, too: at least its own level.
        assert 10 * np.log10(spectrum[inside].sum()) > one["airshed:level_dbfs"] - 0.5
        size = len(one["airshed:payload"]) // 2
        assert count == pytest.approx(airtime_s(LoraModulation(7), size) * 2.4e6 * (1 + 20e-6), abs=1)
        seen_hz = (one["core:freq_lower_edge"] + one["core:freq_upper_edge"]) / 2
        assert seen_hz == pytest.approx(one["airshed:subchannel_hz"] - 20e-6 * 868e6, abs=10)
        noise_dbfs = metadata["global"]["airshed:noise_dbfs"]
        assert one["airshed:snr_db"] == pytest.approx(one["airshed:level_dbfs"] - noise_dbfs)


def test_the_library_reads_it_and_every_kind_is_told(scene, tmp_path):
    made = record(scene, scene.sensors[0], open_air(scene), 0.8, tmp_path / "air")
    loaded = sigmf.fromfile(str(made.meta))
    loaded.validate()
    annotations = metadata_of(made)["annotations"]
    assert {one["airshed:kind"] for one in annotations} == {"lora", "sigfox", "carrier", "wmbus"}
    assert len(annotations) == made.transmissions
    starts = [one["core:sample_start"] for one in annotations]
    assert starts == sorted(starts)
    assert starts[0] >= 0
    assert all(one["core:sample_start"] + one["core:sample_count"] <= made.samples for one in annotations)
    (welder,) = [one for one in annotations if one["airshed:device"] == "welder"]
    assert (welder["core:sample_start"], welder["core:sample_count"]) == (0, made.samples)
    assert "airshed:airtime_s" not in welder
    copies = {one["airshed:copy"] for one in annotations if one["airshed:kind"] == "sigfox"}
    assert copies <= {0, 1, 2}
    assert metadata_of(made)["global"]["core:extensions"][0]["name"] == "airshed"
    assert len(heard_of(metadata_of(made), "air", calibrated=False)) == made.transmissions


def test_who_knows_the_ppm_finds_transmissions_where_they_were_sent(scene, tmp_path):
    metadata = metadata_of(record(scene, scene.sensors[0], open_air(scene), 0.2, tmp_path / "air"))
    known, unknown = (heard_of(metadata, "air", calibrated=calibrated) for calibrated in (True, False))
    (welder,) = [one for one in known if one.device == "welder"]
    assert (welder.low_hz, welder.high_hz) == (867.5e6 - 50, 867.5e6 + 50)
    (welder,) = [one for one in unknown if one.device == "welder"]
    assert welder.low_hz == pytest.approx(867.5e6 - 50 - 20e-6 * 868.0125e6, abs=20)


def test_a_frame_recorded_is_read_by_an_independent_receiver(scene, tmp_path, lora_receiver):
    made = record(scene, scene.sensors[0], open_air(scene), 0.7, tmp_path / "air")
    iq = complex64_of(np.fromfile(made.data, np.uint8))
    whole = [
        one
        for one in metadata_of(made)["annotations"]
        if one["airshed:kind"] == "lora" and one["core:sample_start"] + one["core:sample_count"] < made.samples - 9600
    ]
    read = set()
    for center_hz in {one["airshed:subchannel_hz"] for one in whole}:
        channel = lora_receiver.to_channel(iq, 2.4e6, center_hz - 868.0125e6, 125e3)
        read |= {frame.payload.hex() for frame in lora_receiver.Receiver(7).receive(channel) if frame.crc_ok}
    assert read
    assert read <= {one["airshed:payload"] for one in whole}


def test_seed_and_sensor_make_the_recording(scene, tmp_path):
    first, again, cellar = (
        record(scene, sensor, open_air(scene), 0.05, tmp_path / name).sha512
        for name, sensor in (("a", scene.sensors[0]), ("b", scene.sensors[0]), ("c", scene.sensors[1]))
    )
    assert first == again != cellar


def test_what_does_not_fit_is_refused_before_a_byte_is_written(scene, tmp_path):
    roof = sensor_named(scene, None)
    assert check_room(scene, roof, 1.0, 4_800_000, tmp_path / "a") == 4_800_000
    with pytest.raises(BadInput, match="take 4800000 bytes, more than the 4799999 allowed"):
        check_room(scene, roof, 1.0, 4_799_999, tmp_path / "a")
    (tmp_path / "a.sigmf-meta").touch()
    with pytest.raises(BadInput, match="exists already"):
        check_room(scene, roof, 1.0, 4_800_000, tmp_path / "a")
    with pytest.raises(BadInput, match="no folder to record into"):
        check_room(scene, roof, 1.0, 4_800_000, tmp_path / "none" / "a")
    with pytest.raises(BadInput, match="no sensor 'attic': expected one of roof, cellar"):
        sensor_named(scene, "attic")
    assert sensor_named(scene, "cellar").x_m == 900.0


def test_a_recording_that_is_broken_off_leaves_nothing(scene, tmp_path):
    def interrupt(samples):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(scene, scene.sensors[0], open_air(scene), 0.1, tmp_path / "air", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_the_command_records_and_refuses(tmp_path, capsys):
    path, out = tmp_path / "small.toml", tmp_path / "air"
    path.write_text(SCENE)
    asked = ["testbed", "record", str(path), "--seconds", "0.1", "--out", str(out), "--sensor", "cellar", "--json"]
    assert run(airshed_group, [*asked, "--max-bytes", "1000"]) == 2
    assert not list(tmp_path.glob("air*"))
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "more than the 1000 allowed" in complaint
    assert run(airshed_group, [*asked, "--seed", "3"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"] == 240_000
    metadata = json.loads((tmp_path / "air.sigmf-meta").read_text())
    assert (metadata["global"]["airshed:seed"], metadata["global"]["airshed:sensor"]["name"]) == (3, "cellar")
    assert run(airshed_group, ["sense", told["meta"], "--lorawan", "--json"]) == 0
