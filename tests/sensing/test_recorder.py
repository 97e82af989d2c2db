"""--record: SigMF that the standard's own tool accepts, with annotations where the air was busy."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
import sigmf

from airshed import airshed
from sensing.recorder import Recorder
from sensing.source import IqBlock, Tuning
from spectrum.errors import BadInput, Failed
from spectrum.report import ChannelReport
from terminal.command import run

TUNING = Tuning(868.0125e6, 2.4e6, gain_db=25.4)
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EPOCH = NOW.timestamp()


def recorder(folder, limit_bytes: int = 1 << 20) -> Recorder:
    return Recorder(folder, limit_bytes, TUNING, source="rtlsdr:roof", name="roof", now=NOW)


def block(first: int, count: int, value: int = 128, lost: int = 0) -> IqBlock:
    return IqBlock(np.full(2 * count, value, np.uint8), first, EPOCH + first / TUNING.rate_hz, lost)


def report(start_s: float, snr_db: float | None = 20.0) -> ChannelReport:
    return ChannelReport(
        sensor="roof", time_s=EPOCH + start_s, interval_s=1e-3, subchannel_hz=868.1e6, bandwidth_hz=125e3,
        energy_dbfs=-20.0, noise_dbfs=-40.0, threshold_dbfs=-39.0, snr_db=snr_db, pf=0.2, pm=0.1,
        busy=snr_db is not None, occupancy=0.5, weight=0.15, samples=114.0,
    )  # fmt: skip


def validated(meta_path) -> dict:
    """The metadata, once sigmf_validate has accepted it with its checksum."""
    done = subprocess.run(
        [sys.executable, "-m", "sigmf.validate", str(meta_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(meta_path.read_text())


def test_gaps_begin_captures_and_busy_intervals_are_annotated_at_their_samples(tmp_path) -> None:
    with recorder(tmp_path / "new") as kept:
        kept.take(block(0, 24_000, 1))
        kept.annotate(report(ms * 1e-3, 20.0 if 4 <= ms < 7 else None) for ms in range(10))
        kept.take(block(48_000, 24_000, 2, lost=24_000))  # 10 ms are missing
        kept.annotate(report(0.02 + ms * 1e-3, 15.0 if 2 <= ms < 4 else None) for ms in range(10))
    metadata = validated(kept.meta_path)
    assert [(c["core:sample_start"], c["core:global_index"]) for c in metadata["captures"]] == [
        (0, 0),
        (24_000, 48_000),
    ]
    assert metadata["captures"][1]["core:datetime"] == "2026-03-01T12:00:00.020000Z"
    assert metadata["captures"][0]["core:frequency"] == 868.0125e6
    found = [(a["core:sample_start"], a["core:sample_count"]) for a in metadata["annotations"]]
    assert found == [(4 * 2400, 3 * 2400), (24_000 + 2 * 2400, 2 * 2400)]
    assert metadata["annotations"][0]["core:freq_lower_edge"] == 868.1e6 - 62.5e3
    data = kept.data_path.read_bytes()
    assert data == b"\x01" * 48_000 + b"\x02" * 48_000
    assert metadata["global"]["core:sha512"] == hashlib.sha512(data).hexdigest()
    assert "24000 samples were lost" in metadata["global"]["core:description"]
    assert "25.4 dB" in metadata["global"]["core:hw"]


def test_the_limit_holds_to_the_byte(tmp_path) -> None:
    with recorder(tmp_path, limit_bytes=50_001) as kept:
        assert kept.take(block(0, 24_000)).count == 24_000
        assert kept.take(block(24_000, 24_000)).count == 1000
        assert kept.full
        assert kept.take(block(48_000, 24_000)).count == 0
    assert kept.data_path.stat().st_size == 50_000


def test_other_samples_are_kept_as_floats(tmp_path) -> None:
    iq = np.random.default_rng(1).standard_normal(100).astype(np.float32).view(np.complex64)
    with recorder(tmp_path) as kept:
        kept.take(IqBlock(iq, 0, 0.0))
    metadata = validated(kept.meta_path)
    assert metadata["global"]["core:datatype"] == "cf32_le"
    assert "core:datetime" not in metadata["captures"][0]  # seconds since the first sample are no date
    assert np.array_equal(np.fromfile(kept.data_path, np.complex64), iq)


def test_nothing_is_written_over_and_nothing_is_left_of_an_empty_recording(tmp_path) -> None:
    with recorder(tmp_path) as kept:
        pass
    assert list(tmp_path.iterdir()) == []
    with recorder(tmp_path) as kept:
        kept.take(block(0, 10))
    with pytest.raises(Failed, match="already"):
        recorder(tmp_path)


def test_what_cannot_be_recorded_says_why(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="cannot record into"):
        recorder(tmp_path / "file")
    with pytest.raises(Failed, match=r"bytes free, fewer than the limit"):
        recorder(tmp_path, limit_bytes=1 << 60)
    with pytest.raises(BadInput, match="at least 2 bytes"):
        recorder(tmp_path, limit_bytes=1)


def test_the_command_records_what_it_senses_and_its_own_reader_agrees(tmp_path, capsys) -> None:
    options = ["--record", str(tmp_path), "--limit-bytes", "1000000", "--seconds", "60", "--json"]
    assert run(airshed, ["sense", "--synthetic", "busy", *options]) == 0
    live = capsys.readouterr().out.splitlines()
    (meta,) = tmp_path.glob("*.sigmf-meta")
    metadata = validated(meta)
    assert meta.with_suffix(".sigmf-data").stat().st_size == 1_000_000
    assert metadata["annotations"]  # the carrier of the busy scene never pauses
    assert run(airshed, ["sense", str(meta), "--interval", "10", "--json"]) == 0
    replayed = capsys.readouterr().out.splitlines()
    levels = [[json.loads(line)["energy_dbfs"] for line in lines] for lines in (live, replayed)]
    assert levels[0] == pytest.approx(levels[1], abs=1e-6)
    assert sigmf.fromfile(str(meta)).sample_count == 500_000


@pytest.mark.parametrize("options", [["--record", "x"], ["--limit-bytes", "100"]])
def test_a_recording_without_a_limit_is_refused(options, capsys) -> None:
    assert run(airshed, ["sense", "--synthetic", "noise", "--seconds", "1", *options]) == 2
    assert "--record DIR and --limit-bytes N go together" in capsys.readouterr().err
