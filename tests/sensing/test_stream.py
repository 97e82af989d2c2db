"""The sensor as a value: blocks in, reports out."""

import numpy as np
import pytest

from sensing.source import IqBlock, Tuning, complex64_of, u8_of
from sensing.stream import SensorConfig, sense
from sensing.synthetic import Carrier, LoraTraffic, Scene, SyntheticSource
from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS

TUNING = Tuning(868.625e6, 2.4e6)


def test_bytes_survive_the_way_to_complex_and_back():
    samples = np.random.default_rng(1).integers(0, 256, 4096, dtype=np.uint8)
    assert np.array_equal(u8_of(complex64_of(samples)), samples)


def test_a_chunk_of_a_scene_does_not_depend_on_who_asks():
    traffic = (LoraTraffic(LORAWAN_DEFAULT_CHANNELS[0], 0.5),)
    first, second = (Scene(TUNING, lora=traffic, seed=5) for _ in range(2))
    second.chunk(0)
    assert np.array_equal(first.chunk(3), second.chunk(3))


def test_a_carrier_is_seen_at_its_level_on_its_subchannel_only():
    scene = Scene(TUNING, noise_dbfs=-40.0, carriers=(Carrier(868.5e6, 20.0),))
    config = SensorConfig(TUNING, subchannels=LORAWAN_DEFAULT_CHANNELS)
    reports = list(sense(SyntheticSource(scene, 0.2), config))
    levels = {sub: np.mean([r.energy_dbfs for r in reports if r.subchannel == sub]) for sub in LORAWAN_DEFAULT_CHANNELS}
    assert [round(level) for level in levels.values()] == [-40, -40, -20]


@pytest.mark.parametrize("sizes", [(24000,), (1000,), (7, 100_003, 31)])
def test_reports_do_not_depend_on_block_sizes(sizes):
    iq = u8_of(Scene(TUNING).chunk(0))
    config = SensorConfig(TUNING)

    class Cut:
        def blocks(self):
            start = turn = 0
            while start < iq.size // 2:
                stop = start + sizes[turn % len(sizes)]
                yield IqBlock(iq[2 * start : 2 * stop], start, start / TUNING.rate_hz)
                start, turn = stop, turn + 1

    whole = list(sense(SyntheticSource(Scene(TUNING), 0.1), config))
    assert [(r.energy_dbfs, r.subchannel_hz) for r in sense(Cut(), config)] == [
        (r.energy_dbfs, r.subchannel_hz) for r in whole
    ]
    assert len(whole) == 10 * 19
