"""Recordings: what is read, what is refused, and in which words."""

import json
import struct
import tarfile

import numpy as np
import pytest

from sensing.file_names import hints_of
from sensing.files import FileSource, find_recording
from sensing.formats import FORMATS
from sensing.source import complex64_of
from spectrum.errors import BadInput

IQ = (np.random.default_rng(1).uniform(-0.9, 0.9, (1000, 2)) @ np.array([1.0, 1.0j])).astype(np.complex64)


def encoded(name, iq=IQ):
    values = iq.view(np.float32)
    if name == "cu8":
        return np.round(values * 127.5 + 127.5).astype(np.uint8).tobytes()
    if name == "cs8":
        return np.round(values * 127.5 - 0.5).astype(np.int8).tobytes()
    stored = np.dtype(FORMATS[name].stored)
    full_scale = {"i": 2.0 ** (8 * stored.itemsize - 1), "f": 1.0}[stored.kind]
    return (values.astype(np.float64) * full_scale).astype(stored).tobytes()


def samples_of(recording, **options):
    with FileSource(recording, **options) as source:
        return np.concatenate([complex64_of(block.samples) for block in source.blocks()])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_back_its_samples(tmp_path, name):
    path = tmp_path / f"air_868.3M_1000k.{name}"
    path.write_bytes(encoded(name))
    recording = find_recording(path)
    assert (recording.tuning.center_hz, recording.tuning.rate_hz, recording.samples) == (868.3e6, 1e6, 1000)
    assert samples_of(recording) == pytest.approx(IQ, abs=0.006 if name in ("cu8", "cs8") else 5e-5)


@pytest.mark.parametrize(
    ("name", "center_hz", "rate_hz", "format_name"),
    [
        ("wmbus_c_868.625M_2400k.cu8", 868.625e6, 2.4e6, "cu8"),
        ("g001_433.92M_250k.cu8", 433.92e6, 250e3, "cu8"),
        ("x_868500000Hz_2.4Msps.cs16", 868.5e6, 2.4e6, "cs16"),
        ("SDRSharp_20240102_030405Z_868300000Hz_IQ.wav", 868.3e6, None, None),
        ("gqrx_20240102_030405_868500000_2400000_fc.raw", 868.5e6, 2.4e6, "cf32"),
        ("hop_912.380M_2359k_a.cu8", 912.38e6, 2.359e6, "cu8"),
        ("capture.complex16u", None, None, "cu8"),
        ("recording 2024.dat", None, None, None),
    ],
)
def test_names_tell_centre_rate_and_format(name, center_hz, rate_hz, format_name):
    hints = hints_of(name)
    assert (hints.center_hz, hints.rate_hz, hints.format_name) == (center_hz, rate_hz, format_name)


def test_options_come_before_the_name(tmp_path):
    path = tmp_path / "air_868.3M_1000k.cu8"
    path.write_bytes(encoded("cs16"))
    recording = find_recording(path, rate_hz=2e6, center_hz=433e6, format_name="cs16", gain_db=25.4)
    assert (recording.tuning.center_hz, recording.tuning.rate_hz, recording.tuning.gain_db) == (433e6, 2e6, 25.4)
    assert samples_of(recording) == pytest.approx(IQ, abs=5e-5)


def wav(body, *, tag=1, channels=2, bits=16, rate=1_000_000, length=None, extra=b""):
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + extra
    chunks += b"data" + struct.pack("<I", len(body) if length is None else length) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(("name", "tag", "bits"), [("cu8", 1, 8), ("cs16", 1, 16), ("cs32", 1, 32), ("cf32", 3, 32)])
def test_two_channel_wav_files_are_read(tmp_path, name, tag, bits):
    path = tmp_path / "iq_868.3M.wav"
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # a chunk of odd length and its padding
    path.write_bytes(wav(encoded(name), tag=tag, bits=bits, extra=odd) + b"LIST" + struct.pack("<I", 2) + b"zz")
    recording = find_recording(path)
    assert (recording.tuning.rate_hz, recording.samples) == (1e6, 1000)
    assert samples_of(recording) == pytest.approx(IQ, abs=0.006 if bits == 8 else 5e-5)


def test_a_wav_tells_its_centre_in_an_auxi_chunk(tmp_path):
    auxi = b"auxi" + struct.pack("<I", 36) + bytes(32) + struct.pack("<I", 868_300_000)
    path = tmp_path / "iq.wav"
    path.write_bytes(wav(encoded("cs16"), extra=auxi))
    assert find_recording(path).tuning.center_hz == 868.3e6


def test_a_wav_whose_recorder_never_came_back_goes_on_to_its_end(tmp_path):
    path = tmp_path / "iq_868.3M.wav"
    path.write_bytes(wav(encoded("cs16"), length=0))
    assert find_recording(path).samples == 1000


def sigmf(folder, name="air", datatype="cu8", body=None, **changes):
    meta = {
        "global": {"core:datatype": datatype, "core:version": "1.0.0", "core:sample_rate": 1e6},
        "captures": [{"core:sample_start": 0, "core:frequency": 868.3e6}],
        "annotations": [],
    }
    meta["global"].update(changes.pop("info", {}))
    meta.update(changes)
    (folder / f"{name}.sigmf-data").write_bytes(encoded("cu8") if body is None else body)
    path = folder / f"{name}.sigmf-meta"
    path.write_text(json.dumps(meta))
    return path


@pytest.mark.parametrize(("datatype", "name"), [("cu8", "cu8"), ("ci16_le", "cs16"), ("cf32_be", "cf32be")])
def test_sigmf_tells_everything(tmp_path, datatype, name):
    meta = sigmf(tmp_path, datatype=datatype, body=encoded(name))
    for path in (meta, meta.with_suffix(".sigmf-data")):
        recording = find_recording(path)
        assert (recording.tuning.center_hz, recording.tuning.rate_hz) == (868.3e6, 1e6)
        assert samples_of(recording) == pytest.approx(IQ, abs=0.006)


def test_sigmf_archives_are_read_where_they_are(tmp_path):
    sigmf(tmp_path)
    path = tmp_path / "air.sigmf"
    with tarfile.open(path, "w") as archive:
        for ending in ("meta", "data"):
            archive.add(tmp_path / f"air.sigmf-{ending}", f"air/air.sigmf-{ending}")
    assert samples_of(find_recording(path)) == pytest.approx(IQ, abs=0.006)


def test_cu8_is_scaled_by_127_5_where_the_sigmf_library_takes_128(tmp_path):
    from sigmf import fromfile

    path = sigmf(tmp_path)
    ours, theirs = samples_of(find_recording(path)), fromfile(str(path)).read_samples()
    assert ours * 127.5 - (0.5 + 0.5j) == pytest.approx(theirs * 128.0, abs=1e-3)


def test_a_loop_goes_on_numbering(tmp_path):
    path = tmp_path / "air_868.3M_1000k.cs16"
    path.write_bytes(encoded("cs16"))
    with FileSource(find_recording(path), loop=True) as source:
        blocks = [block for block, _ in zip(source.blocks(), range(3), strict=False)]
    assert [block.first_sample for block in blocks] == [0, 1000, 2000]
    assert [block.time_s for block in blocks] == [0.0, 0.001, 0.002]
    assert np.array_equal(blocks[0].samples, blocks[2].samples)


def test_a_growing_file_is_followed_through_half_samples(tmp_path):
    path = tmp_path / "air_868.3M_1000k.cs16"
    body = encoded("cs16")
    path.write_bytes(b"")
    pieces = [body[:1001], body[1001:1002], body[1002:]]

    def sleep(seconds):
        if pieces:
            with path.open("ab") as file:
                file.write(pieces.pop(0))
        else:
            source.close()

    with FileSource(find_recording(path, growing=True), follow=True, sleep=sleep) as source:
        blocks = list(source.blocks())
    assert [block.first_sample for block in blocks] == [0, 250]
    assert np.concatenate([block.samples for block in blocks]) == pytest.approx(IQ, abs=5e-5)


def test_loop_and_follow_exclude_each_other(tmp_path):
    path = tmp_path / "air_868.3M_1000k.cs16"
    path.write_bytes(encoded("cs16"))
    with pytest.raises(BadInput, match="looped or followed"):
        FileSource(find_recording(path), loop=True, follow=True)


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("empty_868M_1000k.cu8", b"", "is empty"),
        ("odd_868M_1000k.cu8", b"\x80" * 1001, "no multiple of 2"),
        ("cut_868M_1000k.cf32", b"\0" * 1004, "no multiple of 8"),
        ("air_868M.cu8", b"\x80" * 1000, "rate of air_868M.cu8 is not known: give --rate"),
        ("air_1000k.cu8", b"\x80" * 1000, "centre of air_1000k.cu8 is not known: give --center"),
        ("air_868M_1000k.dat", b"\x80" * 1000, "format of air_868M_1000k.dat is not known: give --format"),
        ("iq_868M.wav", b"no wav at all", "is no WAV file"),
        ("iq_868M.wav", wav(b"\0" * 400, channels=1), "this WAV has 1"),
        ("iq_868M.wav", wav(b"\0" * 400, bits=24), "24 bits"),
        ("iq_868M.wav", wav(b"\0" * 400, length=4000), "is truncated"),
        ("iq_868M.wav", wav(b"\0" * 400)[:36], "ends before its data"),
        ("a.sigmf-meta", b"{}", "SigMF"),
        ("a.sigmf-meta", b"not json", "is no SigMF metadata"),
        ("a.sigmf-data", b"\0\0", "its metadata a.sigmf-meta is not beside it"),
        ("a.sigmf", b"not a tar", "is no SigMF archive"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path, name, body, says):
    path = tmp_path / name
    path.write_bytes(body)
    with pytest.raises(BadInput, match=says) as refused:
        find_recording(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"info": {"core:datatype": "rf32_le"}}, "core:datatype is 'rf32_le'"),
        ({"info": {"core:num_channels": 2}}, "2 channels"),
        ({"info": {"core:dataset": "elsewhere.bin"}}, "samples elsewhere.bin are not beside it"),
        (
            {
                "captures": [
                    {"core:sample_start": 0, "core:frequency": 1e9},
                    {"core:sample_start": 5, "core:frequency": 2e9},
                ]
            },
            "was retuned",
        ),
    ],
)
def test_sigmf_that_cannot_be_sensed_is_refused(tmp_path, changes, says):
    with pytest.raises(BadInput, match=says):
        find_recording(sigmf(tmp_path, **changes))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"no recording .*nothing\.cu8"):
        find_recording(tmp_path / "nothing.cu8")
    with pytest.raises(BadInput, match="found a folder"):
        find_recording(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_floats_that_are_no_samples_are_refused_with_their_place(tmp_path, value):
    iq = IQ.copy()
    iq[123] = value
    path = tmp_path / "air_868.3M_1000k.cf32"
    path.write_bytes(iq.tobytes())
    with pytest.raises(BadInput, match="sample 123 is"):
        samples_of(find_recording(path))
