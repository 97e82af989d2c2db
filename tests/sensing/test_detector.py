"""The detector on noise-only IQ and on known traffic: what it publishes is what happens."""

import numpy as np
import pytest

from sensing.cell_scenes import CellScene, try_detector
from sensing.detector import Design, Detector, design_thresholds
from sensing.laws import LAWS
from sensing.occupancy import OccupancyMemory, rogan_gladen, wilson
from sensing.source import Tuning
from sensing.stream import SensorConfig, sense
from sensing.synthetic import Scene, SyntheticSource
from spectrum.errors import BadInput

TUNING = Tuning(868.625e6, 2.4e6)
CELLS = 24_000


@pytest.fixture(scope="module")
def noise_energies():
    """Energies over the estimated floor of at least 24,000 cells of synthetic noise, through bytes and FFT."""
    source = SyntheticSource(Scene(TUNING, seed=11), 12.8)
    reports = list(sense(source, SensorConfig(TUNING)))
    assert len(reports) >= CELLS
    return np.array([report.energy_dbfs - report.noise_dbfs for report in reports]), reports[0].samples


@pytest.mark.parametrize("pf", [0.2, 0.1, 0.01])
def test_noise_alone_gives_the_design_pf(noise_energies, pf):
    excess_db, samples = noise_energies
    threshold_db = 10 * np.log10(float(LAWS["exact"].ratio_for_pf(pf, samples)))
    busy = np.mean(excess_db >= threshold_db)
    assert abs(busy - pf) <= 2.576 * np.sqrt(pf * (1 - pf) / excess_db.size)  # 99 %, one seed


def test_counting_cells_as_samples_would_break_the_promise(noise_energies):
    """Frames x bins as M: a design of 0.2 gives about 0.28 (notes 1.2.3)."""
    excess_db, _ = noise_energies
    naive_db = 10 * np.log10(float(LAWS["exact"].ratio_for_pf(0.2, 24 * 100)))
    assert np.mean(excess_db >= naive_db) == pytest.approx(0.28, abs=0.02)


@pytest.mark.parametrize("snr_db", [-12.0, -10.0])
def test_a_signal_is_missed_as_often_as_published(snr_db):
    """A second of four weak signals, before the floor could take them for its own."""
    scene, rng = CellScene(), np.random.default_rng(5)
    design = Design(pf=0.1, snr_db=snr_db)
    expected = float(design_thresholds(design, np.array([scene.samples])).pm[0])
    energies, _ = scene.draw(2100, rng)
    g = 10 ** (snr_db / 10)
    heard = rng.noncentral_chisquare(2 * scene.samples, 2 * scene.samples * g, (100, 4)) / (2 * scene.samples)
    energies[2000:, 3:7] = heard
    detector = Detector(design, 0.01, np.full(19, scene.samples), np.full(19, 125e3), scene.offset)
    busy = np.concatenate([decisions.busy for decisions in detector.feed(energies)])
    missed = 1.0 - busy[2000:, 3:7].mean()
    assert missed == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / heard.size) + 0.02)


def test_decisions_do_not_depend_on_how_rows_arrive():
    energies, _ = CellScene(duty=0.3).draw(700, np.random.default_rng(6))
    whole, pieces = (
        Detector(Design(), 0.01, np.full(19, 1146.8), np.full(19, 125e3), CellScene().offset) for _ in range(2)
    )
    at_once = np.concatenate([decisions.threshold for decisions in whole.feed(energies)])
    threes = [energies[start : start + 3] for start in range(0, 700, 3)]
    in_pieces = [decisions.threshold for rows in threes for decisions in pieces.feed(rows)]
    assert np.array_equal(at_once, np.concatenate(in_pieces))


def test_occupancy_is_freed_of_false_alarms_and_carries_an_interval_that_holds():
    inside = 0
    for seed in range(8):
        energies, quiet = CellScene(duty=0.25, snr_db=(10.0, 20.0), columns=8).draw(3000, np.random.default_rng(seed))
        detector = Detector(
            Design(memory_s=20.0), 0.01, np.full(8, 1146.8), np.full(8, 125e3), CellScene(columns=8).offset
        )
        last = detector.feed(energies)[-1].occupancy
        weights = np.exp(-0.01 / 20.0 * np.arange(3000)[::-1])
        truth = weights @ ~quiet / weights.sum()
        assert last.value[-1] == pytest.approx(truth, abs=0.05)
        inside += np.count_nonzero((last.low[-1] <= truth) & (truth <= last.high[-1]))
    assert inside >= 0.9 * 8 * 8


def test_an_idle_channel_with_pf_of_a_fifth_is_not_a_fifth_occupied():
    energies, _ = CellScene().draw(3000, np.random.default_rng(8))
    detector = Detector(Design(pf=0.2), 0.01, np.full(19, 1146.8), np.full(19, 125e3), CellScene().offset)
    last = detector.feed(energies)[-1]
    assert last.busy.mean() == pytest.approx(0.2, abs=0.1)
    assert last.occupancy.value[-1].mean() < 0.02
    assert last.quiet_pf[-1] == pytest.approx(np.full(19, 0.2), abs=0.03)
    assert not last.nonstationary.any()


def test_noise_that_swings_shows_in_the_measured_pf_and_raises_a_flag():
    energies, _ = CellScene().draw(2000, np.random.default_rng(9))
    energies *= np.random.default_rng(10).uniform(0.9, 1.1, (2000, 1))
    detector = Detector(Design(pf=0.2), 0.01, np.full(19, 1146.8), np.full(19, 125e3), CellScene().offset)
    last = detector.feed(energies)[-1]
    assert last.nonstationary.all()
    assert last.quiet_pf[-1].min() > 0.25


def test_pm_is_stated_for_what_is_heard():
    scene = CellScene(duty=0.5, burst_s=1.0, snr_db=(15.0, 15.0), columns=8)
    energies, _ = scene.draw(3000, np.random.default_rng(12))
    energies[:, 0] = CellScene().draw(3000, np.random.default_rng(13))[0][:, 0]
    detector = Detector(Design(), 0.01, np.full(8, 1146.8), np.full(8, 125e3), scene.offset)
    last = detector.feed(energies)[-1]
    assert last.pm[-1, 0] == pytest.approx(0.1)  # nothing heard: the weakest signal of the design
    assert last.pm[-1, 1:].max() < 1e-6
    assert 10 * np.log10(last.signal_snr[-1, 1:]) == pytest.approx(np.full(7, 15.0), abs=1.0)


def test_a_pair_that_cannot_be_kept_is_reported():
    thresholds = design_thresholds(Design(snr_db=-20.0), np.array([1146.8]))
    assert not thresholds.feasible
    assert thresholds.pm[0] > 0.1
    assert design_thresholds(Design(), np.array([1146.8])).feasible


@pytest.mark.parametrize("rule", ["constant-pf", "constant-pd", "midpoint"])
def test_the_published_errors_are_those_of_the_chosen_rule(rule):
    thresholds = design_thresholds(Design(rule=rule, snr_db=-6.0), np.array([1146.8]))
    pf, pm = float(thresholds.pf[0]), float(thresholds.pm[0])
    assert (pf == pytest.approx(0.2)) == (rule == "constant-pf")
    assert (pm == pytest.approx(0.1)) == (rule == "constant-pd")
    assert pf <= 0.2 + 1e-9
    assert pm <= 0.1 + 1e-9


def test_a_short_stream_is_judged_at_its_end():
    energies, _ = CellScene().draw(2, np.random.default_rng(14))
    detector = Detector(Design(), 0.01, np.full(19, 1146.8), np.full(19, 125e3), CellScene().offset)
    assert detector.feed(energies) == []
    assert len(detector.feed(energies[:0], last=True)[0].energy) == 2


def test_the_hybrid_default_keeps_its_promise_over_minutes():
    scene = CellScene(duty=0.3, drift_db=0.5, rolloff_db=3.0)
    trial = try_detector(scene, Design(pf=0.01), 60.0, np.random.default_rng(1))
    assert 0.005 <= trial.false_alarms <= 0.015


def test_rogan_gladen_undoes_the_errors():
    p1, pf, pm = 0.3, 0.2, 0.1
    assert rogan_gladen(p1 * (1 - pm) + (1 - p1) * pf, pf, pm) == pytest.approx(p1)
    assert rogan_gladen([0.05, 1.0], pf, pm).tolist() == [0.0, 1.0]


def test_wilson_meets_known_values():
    low, high = wilson(0.1, 100)  # Wilson score interval of 10 in 100
    assert (float(low), float(high)) == pytest.approx((0.0552, 0.1744), abs=2e-4)


def test_long_bursts_widen_the_interval():
    memory_of_bursts, memory_of_flicker = (OccupancyMemory(1, 0.999) for _ in range(2))
    bursts = np.repeat(np.arange(40) % 2 == 0, 50)[:, None]
    flicker = (np.arange(2000) % 2 == 0)[:, None]
    none = np.zeros((2000, 1))
    wide = memory_of_bursts.update(bursts, none, np.array([0.0]), np.array([0.0]))
    narrow = memory_of_flicker.update(flicker, none, np.array([0.0]), np.array([0.0]))
    assert (wide.high - wide.low)[-1] > 3 * (narrow.high - narrow.low)[-1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pf": 0.0}, "pf must lie"),
        ({"law": "guess"}, "unknown law"),
        ({"rule": "guess"}, "unknown threshold rule"),
        ({"floor": "guess"}, "unknown floor policy"),
        ({"memory_s": 0.0}, "memory"),
    ],
)
def test_a_wrong_design_is_refused(options, says):
    with pytest.raises(BadInput, match=says):
        Design(**options)
