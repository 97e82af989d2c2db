"""Floor policies: what each promises, on scenes of cells whose truth is known."""

import numpy as np
import pytest

from sensing.cell_scenes import CellScene, try_detector
from sensing.detector import Design
from sensing.floor import POLICIES, History, fcme, policy_named, smooth_curve_db
from spectrum.errors import BadInput

SAMPLES = 1146.8
SECONDS = 20.0


def noise(rows, columns, seed=1, samples=SAMPLES):
    return np.random.default_rng(seed).gamma(samples, 1 / samples, (rows, columns))


def history(cells, recent=None):
    columns = cells.shape[1]
    offset = (np.arange(columns) - (columns - 1) / 2) * 2 / columns
    return History(
        cells,
        np.ones(len(cells)),
        recent or len(cells),
        np.full(columns, SAMPLES),
        np.full(columns, 125e3),
        offset,
    )


@pytest.mark.parametrize(("policy", "error_db"), [("hybrid", 0.02), ("fcme", 0.02), ("median", 0.03), ("minimum", 0.1)])
def test_every_policy_finds_the_floor_of_mere_noise(policy, error_db):
    level = 3e-4
    found = POLICIES[policy](history(level * noise(1000, 19)), None, 0).noise
    assert 10 * np.log10(found / level) == pytest.approx(np.zeros(19), abs=error_db)


@pytest.mark.parametrize(
    ("scene", "policies"),
    [
        (CellScene(duty=0.1), ("hybrid", "fcme", "minimum")),
        (CellScene(duty=0.3), ("hybrid", "fcme", "minimum")),
        (CellScene(duty=0.6), ("hybrid", "fcme", "minimum")),
        (CellScene(duty=0.8), ("hybrid", "fcme")),
        (CellScene(duty=0.8, burst_s=1.0), ("hybrid",)),
        (CellScene(rolloff_db=3.0), ("hybrid", "fcme", "median")),
        (CellScene(drift_db=0.5), ("hybrid",)),
        (CellScene(duty=0.8, drift_db=0.5, rolloff_db=3.0), ("hybrid",)),
        (CellScene(duty=0.3, always_on=(0, 7, 8)), ("hybrid",)),
    ],
)
@pytest.mark.parametrize("pf", [0.2, 0.1])
def test_where_the_floor_can_be_known_the_true_pf_is_near_the_design(scene, policies, pf):
    for policy in policies:
        trial = try_detector(scene, Design(pf=pf, floor=policy), SECONDS, np.random.default_rng(2))
        assert 0.5 * pf <= trial.false_alarms <= 1.5 * pf, policy


@pytest.mark.parametrize(
    "scene",
    [
        CellScene(duty=0.98, burst_s=2.0, snr_db=(10.0, 10.0)),
        CellScene(duty=0.6, snr_db=(-12.0, -8.0)),  # signals inside the spread of the noise
        CellScene(duty=0.95, burst_s=5.0, snr_db=(3.0, 3.0), columns=2),
    ],
)
def test_where_it_cannot_be_known_the_true_pf_is_never_above_the_design(scene):
    trial = try_detector(scene, Design(pf=0.2), 60.0, np.random.default_rng(3))
    assert trial.quiet_cells > 100
    assert trial.false_alarms <= 0.2 + 4 * np.sqrt(0.2 * 0.8 / trial.quiet_cells)


def test_a_continuous_carrier_is_seen_by_the_default_and_by_no_floor_of_its_own_subchannel():
    scene = CellScene(always_on=(7,), carrier_snr_db=3.0)
    missed = {
        policy: try_detector(scene, Design(floor=policy), 15.0, np.random.default_rng(4)).missed for policy in POLICIES
    }
    assert missed["hybrid"] == 0.0
    assert min(missed["median"], missed["fcme"], missed["minimum"]) > 0.7


def test_fcme_passes_over_a_dropout():
    cells = noise(500, 3)
    cells[100:115] *= 1e-3
    mean = fcme(cells, np.full(3, SAMPLES))
    assert mean == pytest.approx(np.ones(3), abs=0.01)


def test_fcme_gives_back_what_the_cut_takes():
    mean = fcme(noise(20_000, 5, samples=50.0), np.full(5, 50.0))
    assert mean == pytest.approx(np.ones(5), abs=4 / np.sqrt(50 * 20_000))


def test_a_gain_change_is_followed_and_a_signal_everywhere_is_not():
    policy = policy_named("hybrid")
    before = policy(history(noise(1000, 19)), None, 0)
    louder = np.concatenate([noise(950, 19), 4.0 * noise(50, 19, seed=2)])
    assert policy(history(louder, recent=50), before, 10).level == pytest.approx(4.0, rel=0.01)
    busy = louder.copy()
    busy[950:] *= np.random.default_rng(3).uniform(1.0, 30.0, (50, 19))
    kept = policy(history(busy, recent=50), before, 10)
    assert kept.held
    assert kept.level == before.level


def test_the_curve_through_the_band_ignores_what_stands_out():
    offset = np.linspace(-0.95, 0.95, 19)
    truth = -36.0 - 4.0 * offset**6 + offset
    bumped = truth.copy()
    bumped[[3, 4, 11]] += [8.0, 12.0, 2.5]
    assert smooth_curve_db(offset, bumped, np.full(19, 125e3)) == pytest.approx(truth, abs=0.6)


def test_many_narrow_subchannels_under_one_wide_signal_do_not_bend_the_curve():
    wide, narrow = np.linspace(-0.95, 0.95, 19), np.linspace(0.02, 0.17, 192)
    offset = np.concatenate([wide, narrow])
    density_db = np.full(211, -87.0)
    density_db[19 : 19 + 130] += 10.0
    density_db[[9, 10]] += 8.0
    widths_hz = np.concatenate([np.full(19, 125e3), np.full(192, 1e3)])
    assert smooth_curve_db(offset, density_db, widths_hz) == pytest.approx(np.full(211, -87.0), abs=0.5)


def test_an_unknown_policy_is_refused_with_those_there_are():
    with pytest.raises(BadInput, match="hybrid, fcme, median, minimum"):
        policy_named("oracle")
