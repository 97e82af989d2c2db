"""Reports of several sensors into one: verdict, levels and error probabilities agree with each other."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from airshed import airshed
from sensing.fuse_reports import fuse, fuse_stream
from sensing.fusion import k_of_n
from spectrum.errors import BadInput
from spectrum.report import ChannelReport
from terminal.command import run

SAMPLES = 1138.0


def report(sensor: str, over_db: float, *, time_s: float = 0.0, snr_db: float = -8.0, **changes) -> ChannelReport:
    """A report whose energy lies `over_db` above the noise of -40 dB, its threshold 0.1 dB above it."""
    made = ChannelReport(
        sensor=sensor, time_s=time_s, interval_s=0.01, subchannel_hz=868.1e6, bandwidth_hz=125e3,
        energy_dbfs=-40.0 + over_db, noise_dbfs=-40.0, threshold_dbfs=-39.9, snr_db=None, pf=0.2, pm=0.1,
        busy=over_db >= 0.1, occupancy=0.3, weight=0.17, occupancy_low=0.2, occupancy_high=0.4, samples=SAMPLES,
        signal_snr_db=snr_db,
    )  # fmt: skip
    return replace(made, **changes)


THREE = [report("a", 0.5), report("b", 0.0, pf=0.1, pm=0.3), report("c", 1.0, pf=0.05)]


@pytest.mark.parametrize(("rule", "votes"), [("or", 1), ("2", 2), ("majority", 2), ("and", 3)])
def test_levels_and_verdict_agree(rule: str, votes: int) -> None:
    fused = fuse(THREE, rule)
    assert fused.busy == (votes <= 2)
    assert fused.busy == (fused.energy_dbfs >= fused.threshold_dbfs)
    errors = k_of_n([0.2, 0.1, 0.05], [0.1, 0.3, 0.1], votes)
    assert (fused.pf, fused.pm) == (errors.pf, errors.pm)
    assert fused.sensor == "a+b+c"
    assert fused.weight == pytest.approx(fused.pm * 0.3 + fused.pf * 0.7)


@pytest.mark.parametrize("busy_air", [False, True])
def test_the_soft_verdict_keeps_its_errors_on_energies_of_unequal_sensors(busy_air: bool) -> None:
    rng = np.random.default_rng(4)
    snr = np.array([0.1, 0.06, 0.02])
    cells = 3000
    mean = 1 + snr * busy_air
    # Gaussian for 1138 samples: the deterministic law's variance is (1 + 2g)/M
    energy = mean + np.sqrt((1 + 2 * snr * busy_air) / SAMPLES) * rng.standard_normal((cells, 3))
    snr_db = 10 * np.log10(snr)
    count, fused = 0, None
    for row in energy:
        parts = [report(n, 10 * np.log10(e), snr_db=float(s)) for n, e, s in zip("abc", row, snr_db, strict=True)]
        fused = fuse(parts, "soft", pf=0.1)
        assert fused.busy == (fused.energy_dbfs >= fused.threshold_dbfs)
        count += fused.busy
    assert fused is not None
    assert fused.pf == pytest.approx(0.1, rel=1e-6)
    low, high = binom.ppf([1e-4, 1 - 1e-4], cells, 1 - fused.pm if busy_air else fused.pf)
    slack = 0.02 * cells * busy_air  # the SNRs are rounded to half a decibel for the weights and Pm
    assert low - slack <= count <= high + slack


def test_soft_without_samples_is_refused() -> None:
    with pytest.raises(BadInput, match="needs samples"):
        fuse([report("a", 0.0, samples=None)], "soft")


def test_a_window_holds_what_belongs_together_and_a_silent_sensor_does_not_count() -> None:
    stream = [report("a", 1.0), report("b", 0.0, time_s=0.001), report("a", 0.0, time_s=0.01)]
    stream.append(report("b", 0.0, time_s=0.0101, subchannel_hz=868.3e6))
    fused = list(fuse_stream(stream, "and"))
    assert [(f.sensor, f.subchannel_hz, f.busy) for f in fused] == [
        ("a+b", 868.1e6, False), ("a", 868.1e6, False), ("b", 868.3e6, False)
    ]  # fmt: skip
    assert fused[0].interval_s == pytest.approx(0.011)
    assert fused[1].pf == 0.2


SITE = """
[site]
name = "loft"
[[sensor]]
name = "a"
position_m = [0.0, 100.0]
[[sensor]]
name = "b"
position_m = [0.0, 2000.0]
[[gateway]]
name = "gw"
position_m = [0.0, 0.0]
"""


@pytest.fixture
def files(tmp_path):
    paths = []
    for name in "ab":
        path = tmp_path / f"{name}.jsonl"
        lines = [report(name, 1.0, time_s=0.01 * number).as_json() for number in range(3)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        paths.append(str(path))
    (tmp_path / "site.toml").write_text(SITE)
    return [*paths, str(tmp_path / "site.toml")]


def test_the_command_fuses_files_and_knows_the_neighbourhood(files, capsys) -> None:
    assert run(airshed, ["fuse", *files[:2], "--rule", "and", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["sensor"] for record in records] == ["a+b"] * 3
    assert records[0]["pf"] == pytest.approx(0.04)
    assert run(airshed, ["fuse", *files[:2], "--site", files[2], "--gateway", "gw", "--json"]) == 0
    assert {json.loads(line)["sensor"] for line in capsys.readouterr().out.splitlines()} == {"a"}
    assert run(airshed, ["fuse", *files[:2], "--rule", "soft"]) == 0
    assert "868.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rule", "most"], "or, and, majority, soft or a number K"),
        (["--gateway", "gw"], "go together"),
    ],
)
def test_the_command_says_what_is_wrong(files, options, message, capsys) -> None:
    assert run(airshed, ["fuse", files[0], *options]) == 2
    assert message in capsys.readouterr().err
