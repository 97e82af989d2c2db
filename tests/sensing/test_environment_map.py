"""The map against fields of known truth: errors are as large as it says, and smaller than without kriging."""

from __future__ import annotations

import json

import numpy as np
import pytest

from airshed import airshed
from sensing.environment_map import (
    Covariance,
    FieldModel,
    fit_field,
    geojson,
    grid_around,
    left_out_rms_db,
    map_power,
    seek_transmitter,
)
from sensing.map_reports import mean_powers
from spectrum.errors import BadInput
from spectrum.report import ChannelReport
from terminal.command import run

TRUTH = Covariance(shadowing_db=6.0, length_m=120.0, sensor_db=1.0)
TRANSMITTER = (420.0, 310.0)


def a_field(seed: int, sensors: int, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sensors and further points on a square kilometre: places and powers of both, sensors with their own error."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 1000, (sensors + points, 2))
    shadowing = np.linalg.cholesky(TRUTH.between(places, places) + 1e-9 * np.eye(len(places))) @ rng.standard_normal(
        len(places)
    )
    loss = 30.0 * np.log10(np.hypot(*(places - TRANSMITTER).T))
    power = -20.0 - loss + shadowing
    heard = power[:sensors] + TRUTH.sensor_db * rng.standard_normal(sensors)
    return places[:sensors], heard, places[sensors:], power[sensors:]


@pytest.mark.parametrize("transmitter", [TRANSMITTER, None])
def test_errors_are_as_large_as_the_map_says_and_smaller_than_the_trends(transmitter) -> None:
    standardised, kriged, trend_only = [], [], []
    for seed in range(6):
        places, heard, points, truth = a_field(seed, sensors=40, points=60)
        model = fit_field(places, heard, trend="path-loss", transmitter=transmitter)
        power, deviation = model.predict(points)
        standardised.append((power - truth) / deviation)
        kriged.append(power - truth)
        flat = FieldModel(places, heard, Covariance(1e-3, 1.0, 6.0), model.transmitter)
        trend_only.append(flat.predict(points)[0] - truth)
    rms = [float(np.sqrt(np.mean(np.square(values)))) for values in (standardised, kriged, trend_only)]
    assert 0.85 < rms[0] < 1.2
    assert rms[1] < 0.95 * rms[2]


def test_with_the_true_covariance_two_deviations_hold_95_percent() -> None:
    inside = []
    for seed in range(40):
        places, heard, points, truth = a_field(100 + seed, sensors=12, points=25)
        power, deviation = FieldModel(places, heard, TRUTH, TRANSMITTER).predict(points)
        inside.append(np.abs(power - truth) < 1.96 * deviation)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_without_a_trend_to_fit_it_is_the_gaussian_process_of_scikit_learn() -> None:
    """A trend whose level is all but known (a thousand sensors far away fix it) leaves simple kriging."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern

    rng = np.random.default_rng(3)
    near = rng.uniform(0, 300, (6, 2))
    far = 1e7 * (1 + np.arange(1000))[:, None] * np.array([[1.0, 1.0]])
    power = np.concatenate([rng.normal(0, 6, 6), np.zeros(1000)])
    points = rng.uniform(0, 300, (9, 2))
    covariance = Covariance(6.0, 120.0, 1.0)
    power_db, deviation = FieldModel(np.vstack([near, far]), power, covariance).predict(points)
    process = GaussianProcessRegressor(36.0 * Matern(120.0, nu=0.5), alpha=1.0, optimizer=None).fit(near, power[:6])
    expected, expected_deviation = process.predict(points, return_std=True)
    assert power_db == pytest.approx(expected, abs=0.2)
    assert deviation == pytest.approx(expected_deviation, abs=0.08)


def test_the_transmitter_is_found() -> None:
    places, heard, _, _ = a_field(5, sensors=60, points=1)
    found = seek_transmitter(places, heard)
    assert np.hypot(found[0] - TRANSMITTER[0], found[1] - TRANSMITTER[1]) < 120.0


def test_auto_takes_the_trend_that_predicts_left_out_sensors_better() -> None:
    places, heard, _, _ = a_field(1, sensors=25, points=1)
    chosen = fit_field(places, heard)
    models = [fit_field(places, heard, trend=trend) for trend in ("constant", "path-loss")]
    assert chosen.trend == "path-loss"
    assert left_out_rms_db(chosen) == min(map(left_out_rms_db, models))


def test_few_sensors_get_an_assumed_covariance_and_an_honest_uncertainty() -> None:
    places = np.array([[0.0, 0.0], [200.0, 0.0], [0.0, 150.0]])
    model = fit_field(places, np.array([-90.0, -95.0, -85.0]))
    assert model.covariance == Covariance()
    _, deviation = model.predict(np.array([[0.0, 0.0], [5000.0, 5000.0]]))
    assert deviation[0] < 1.0
    assert deviation[1] > 6.0  # far away: shadowing, and what is not known of the level


@pytest.mark.parametrize(
    ("places", "powers", "options", "message"),
    [
        ([[0, 0], [1, 1]], [1, 2], {}, "at least 3 sensors"),
        ([[0, 0], [1, 1], [1, 1]], [1, 2, 3], {}, "different places"),
        ([[0, 0], [1, 1], [2, 0]], [1, 2, np.nan], {}, "finite"),
        ([[0, 0], [1, 1], [2, 0]], [1, 2, 3], {"trend": "path-loss"}, "takes 8 sensors"),
    ],
)
def test_what_cannot_be_mapped_says_why(places, powers, options, message) -> None:
    with pytest.raises(BadInput, match=message):
        fit_field(np.array(places, dtype=float), np.array(powers, dtype=float), **options)


def test_the_grid_covers_the_sensors_and_its_squares_are_square() -> None:
    places = np.array([[0.0, 0.0], [400.0, 100.0], [100.0, 50.0]])
    east, north = grid_around(places, cells=60)
    step = east[1] - east[0]
    assert np.diff(east) == pytest.approx(step)
    assert np.diff(north) == pytest.approx(step)
    assert east[0] - step / 2 <= -100.0 + 1e-9
    assert north[-1] + step / 2 >= 200.0 - 1e-9
    assert east.size == 60


def test_geojson_is_in_degrees_with_closed_counter_clockwise_rings() -> None:
    places = np.array([[0.0, 0.0], [400.0, 100.0], [100.0, 300.0]])
    model = fit_field(places, np.array([-90.0, -95.0, -85.0]))
    power_map = map_power(model, *grid_around(places, 10), 868.1e6, "dBm", ["a", "b", "c"])
    document = geojson([power_map], origin=(48.2, 16.4))
    squares = [f for f in document["features"] if f["geometry"]["type"] == "Polygon"]
    points = [f for f in document["features"] if f["geometry"]["type"] == "Point"]
    assert len(squares) == power_map.power_db.size
    ring = np.array(squares[0]["geometry"]["coordinates"][0])
    assert np.array_equal(ring[0], ring[-1])
    assert np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]) > 0
    assert {"subchannel_hz", "power_db", "deviation_db", "unit"} == set(squares[0]["properties"])
    by_name = {f["properties"]["sensor"]: f["geometry"]["coordinates"] for f in points}
    assert by_name["a"] == [16.4, 48.2]
    # 400 m east at 48.2 degrees north, 100 m north
    assert by_name["b"] == pytest.approx(
        [16.4 + 400 / 111195 / np.cos(np.radians(48.2)), 48.2 + 100 / 111195], abs=1e-6
    )


def report(sensor: str, energy: float, subchannel_hz: float = 868.1e6, **changes) -> ChannelReport:
    return ChannelReport(
        sensor=sensor, time_s=0.0, interval_s=0.01, subchannel_hz=subchannel_hz, bandwidth_hz=125e3, energy_dbfs=energy,
        noise_dbfs=-40.0, threshold_dbfs=-39.0, snr_db=None, pf=0.2, pm=0.1, busy=True, occupancy=0.5, weight=0.15,
        **changes,
    )  # fmt: skip


def test_powers_are_averaged_as_powers_and_units_do_not_mix() -> None:
    unit, heard = mean_powers([report("a", -30.0), report("a", -20.0), report("b", -25.0)])
    assert unit == "dBFS"
    assert heard[868.1e6]["a"].power_db == pytest.approx(10 * np.log10((0.001 + 0.01) / 2))
    with pytest.raises(BadInput, match="some are not"):
        mean_powers([report("a", -30.0), report("b", -30.0, energy_dbm=-90.0)])


@pytest.fixture
def written(tmp_path):
    """Reports of three sensors on two subchannels, and their places."""
    lines = [report(name, -30.0 - 3 * number, hz) for number, name in enumerate("abc") for hz in (868.1e6, 868.3e6)]
    reports = tmp_path / "reports.jsonl"
    reports.write_text("".join(json.dumps(line.as_json()) + "\n" for line in lines))
    places = tmp_path / "places.csv"
    places.write_text("sensor,east_m,north_m\na,0,0\nb,300,50\nc,120,240\n")
    return reports, places


def test_the_command_writes_geojson_and_a_picture(written, tmp_path, capsys) -> None:
    reports, places = written
    options = ["--sensors", str(places), "--origin", "48.2", "16.4", "--cells", "12", "--json"]
    files = ["--geojson", str(tmp_path / "map.geojson"), "--png", str(tmp_path / "map.png")]
    assert run(airshed, ["map", str(reports), *options, *files]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["subchannel_hz"] for record in records] == [868.1e6, 868.3e6]
    assert records[0]["power_min_db"] < -33.0 < records[0]["power_max_db"]
    assert json.loads((tmp_path / "map.geojson").read_text())["type"] == "FeatureCollection"
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("edit", "options", "message"),
    [
        ("sensor,east_m,north_m\na,0,0\n", [], "no position is known of sensor b, c"),
        ("sensor,x,y\na,0,0\n", [], "columns sensor,east_m,north_m"),
        (None, ["--subchannel", "900e6"], "no report is on 9e+08 Hz"),
        (None, ["--geojson", "map.geojson"], "--origin LAT LON"),
    ],
)
def test_the_command_says_what_is_missing(written, edit, options, message, capsys) -> None:
    reports, places = written
    if edit:
        places.write_text(edit)
    assert run(airshed, ["map", str(reports), "--sensors", str(places), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_line_that_is_no_report_is_named(tmp_path, capsys) -> None:
    (tmp_path / "x.jsonl").write_text('\n{"sensor": "a"}\n')
    (tmp_path / "p.csv").write_text("sensor,east_m,north_m\na,0,0\n")
    assert run(airshed, ["map", str(tmp_path / "x.jsonl"), "--sensors", str(tmp_path / "p.csv")]) == 2
    assert "x.jsonl, line 2: expected a channel report" in capsys.readouterr().err
