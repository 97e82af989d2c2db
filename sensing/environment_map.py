"""A radio environment map: from the power that a few sensors hear to power and its uncertainty everywhere between.

Universal kriging in dB, where shadowing is normal: a trend (a constant, or the loss over distance from a transmitter)
plus a residual whose correlation falls exponentially with distance (Gudmundson 1991). The covariance is fitted by
scikit-learn's Gaussian process regression where there are sensors enough, and assumed where there are not; the
uncertainty includes that of the trend's coefficients, but not that of the covariance. Pure, but for what it imports.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from spectrum.errors import BadInput

Floats = NDArray[np.float64]
Trend = Literal["constant", "path-loss"]

# Shadowing in suburban and urban air: 4 to 10 dB, correlated over some tens to hundreds of metres (Gudmundson 1991;
# Rappaport, Wireless Communications, 4.9). Taken as they stand below SENSORS_TO_FIT sensors, else where the fit starts.
SHADOWING_DB: Final = 6.0
CORRELATION_M: Final = 100.0
# What one sensor's own level may be off, calibration and antenna included.
SENSOR_DB: Final = 1.0
SENSORS_TO_FIT: Final = 8
LEAST_SENSORS: Final = 3
# A trend with an unknown place takes four numbers: two coordinates, a level and an exponent.
SENSORS_TO_PLACE: Final = 8
EXPONENTS: Final = (1.5, 6.0)
NEAREST_M: Final = 1.0


@dataclass(frozen=True, slots=True)
class Covariance:
    """Of the residual, in dB^2: shadowing_db^2 exp(-distance/length_m), and sensor_db^2 more at a sensor itself."""

    shadowing_db: float = SHADOWING_DB
    length_m: float = CORRELATION_M
    sensor_db: float = SENSOR_DB
    fitted: bool = False

    def between(self, a: Floats, b: Floats) -> Floats:
        """Covariance of the field at `a`, shape (A, 2), and `b`, shape (B, 2): shape (A, B)."""
        distance = np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])
        return np.asarray(self.shadowing_db**2 * np.exp(-distance / self.length_m))


@dataclass(frozen=True, slots=True, eq=False)
class FieldModel:
    """A fitted field. positions: (east, north) in m, shape (N, 2); power_db, shape (N,).

    transmitter: where the path loss starts, None for a constant trend. coefficients: level at 1 m (or the constant),
    then the exponent.
    """

    positions: Floats
    power_db: Floats
    covariance: Covariance
    transmitter: tuple[float, float] | None = None
    coefficients: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def trend(self) -> Trend:
        """The kind of trend."""
        return "constant" if self.transmitter is None else "path-loss"

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Power in dB and its standard deviation in dB at `points`, shape (P, 2): shape (P,) each.

        Of the field itself, without a sensor's own error. Universal kriging: Cressie, Statistics for Spatial Data,
        section 3.4, in its generalised-least-squares form.
        """
        covariance = self.covariance
        at_sensors = covariance.between(self.positions, self.positions)
        at_sensors += covariance.sensor_db**2 * np.eye(len(self.positions))
        across = covariance.between(self.positions, points)
        design, design_points = _design(self.positions, self.transmitter), _design(points, self.transmitter)
        weights = np.linalg.solve(at_sensors, np.column_stack([design, self.power_db]))
        information = design.T @ weights[:, :-1]
        beta = np.linalg.solve(information, design.T @ weights[:, -1])
        residual = np.linalg.solve(at_sensors, self.power_db - design @ beta)
        mean = design_points @ beta + across.T @ residual
        gap = design_points.T - weights[:, :-1].T @ across  # what the trend adds beyond the sensors' reach
        variance = (
            covariance.shadowing_db**2
            - np.sum(across * np.linalg.solve(at_sensors, across), axis=0)
            + np.sum(gap * np.linalg.solve(information, gap), axis=0)
        )
        return mean, np.sqrt(np.maximum(variance, 0.0))


def _design(points: Floats, transmitter: tuple[float, float] | None) -> Floats:
    ones = np.ones(len(points))
    if transmitter is None:
        return ones[:, None]
    distance = np.maximum(np.hypot(points[:, 0] - transmitter[0], points[:, 1] - transmitter[1]), NEAREST_M)
    return np.column_stack([ones, -10.0 * np.log10(distance)])


def fit_field(
    positions: Floats,
    power_db: Floats,
    *,
    trend: Trend | Literal["auto"] = "auto",
    transmitter: tuple[float, float] | None = None,
) -> FieldModel:
    """The field behind power_db, shape (N,), heard at positions (east, north) in m, shape (N, 2).

    trend `auto`: whichever of the possible ones predicts left-out sensors better. transmitter: where the signal comes
    from, if that is known; else it is sought, which takes eight sensors.
    """
    positions, power_db = np.asarray(positions, dtype=np.float64), np.asarray(power_db, dtype=np.float64)
    if len(power_db) < LEAST_SENSORS or len(np.unique(positions, axis=0)) < LEAST_SENSORS:
        raise BadInput(f"a map needs at least {LEAST_SENSORS} sensors at different places, got {len(power_db)}")
    if not np.all(np.isfinite(positions)) or not np.all(np.isfinite(power_db)):
        raise BadInput("positions and powers of a map must be finite numbers")
    placed = transmitter is not None or len(power_db) >= SENSORS_TO_PLACE
    if trend == "path-loss" and not placed:
        raise BadInput(
            f"seeking the transmitter takes {SENSORS_TO_PLACE} sensors, got {len(power_db)}: say where it is, "
            "or take a constant trend"
        )
    models = []
    if trend != "path-loss":
        models.append(_fitted(positions, power_db, None))
    if trend != "constant" and placed:
        models.append(_fitted(positions, power_db, transmitter or seek_transmitter(positions, power_db)))
    return min(models, key=left_out_rms_db)


def _fitted(positions: Floats, power_db: Floats, transmitter: tuple[float, float] | None) -> FieldModel:
    design = _design(positions, transmitter)
    coefficients: Floats = np.linalg.lstsq(design, power_db, rcond=None)[0].astype(np.float64)
    residual = power_db - design @ coefficients
    covariance = _fit_covariance(positions, residual) if len(power_db) >= SENSORS_TO_FIT else Covariance()
    return FieldModel(positions, power_db, covariance, transmitter, coefficients)


def _fit_covariance(positions: Floats, residual: Floats) -> Covariance:
    """Covariance of the greatest likelihood, within what radio makes plausible."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel: Any = ConstantKernel(SHADOWING_DB**2, (1.0, 15.0**2)) * Matern(CORRELATION_M, (10.0, 2000.0), nu=0.5)
    kernel += WhiteKernel(SENSOR_DB**2, (0.25, 9.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it says that a bound was reached, which is their purpose
        fitted = GaussianProcessRegressor(kernel).fit(positions, residual).kernel_
    return Covariance(
        math.sqrt(fitted.k1.k1.constant_value),
        float(fitted.k1.k2.length_scale),
        math.sqrt(fitted.k2.noise_level),
        fitted=True,
    )


def seek_transmitter(positions: Floats, power_db: Floats) -> tuple[float, float]:
    """Where a path loss with an exponent of 1.5 to 6 explains the powers best: least squares, begun on a grid."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    margin = 0.5 * np.max(high - low)

    def misfit(place: Floats) -> float:
        design = _design(positions, (float(place[0]), float(place[1])))
        _, exponent = np.linalg.lstsq(design, power_db, rcond=None)[0]
        exponent = min(max(exponent, EXPONENTS[0]), EXPONENTS[1])
        rest = power_db - exponent * design[:, 1]
        return float(np.sum((rest - rest.mean()) ** 2))

    grid = [
        np.array([east, north])
        for east in np.linspace(low[0] - margin, high[0] + margin, 25)
        for north in np.linspace(low[1] - margin, high[1] + margin, 25)
    ]
    best = minimize(misfit, min(grid, key=misfit), method="Nelder-Mead", options={"xatol": 0.1, "fatol": 1e-6}).x
    return float(best[0]), float(best[1])


def left_out_rms_db(model: FieldModel) -> float:
    """Root mean square error in dB at each sensor, predicted from the others with the same trend and covariance."""
    errors = []
    for index in range(len(model.power_db)):
        others = np.arange(len(model.power_db)) != index
        rest = FieldModel(model.positions[others], model.power_db[others], model.covariance, model.transmitter)
        errors.append(float(rest.predict(model.positions[index : index + 1])[0][0]) - model.power_db[index])
    return float(np.sqrt(np.mean(np.square(errors))))


@dataclass(frozen=True, slots=True, eq=False)
class PowerMap:
    """Power of one subchannel over a grid. east_m: shape (X,); north_m: shape (Y,), ascending; power_db and
    deviation_db (one standard deviation): shape (Y, X). unit: dBm or dBFS.
    """

    subchannel_hz: float
    unit: str
    east_m: Floats
    north_m: Floats
    power_db: Floats
    deviation_db: Floats
    model: FieldModel
    sensors: tuple[str, ...]


def grid_around(positions: Floats, cells: int, margin_m: float | None = None) -> tuple[Floats, Floats]:
    """Centres of square cells that cover the positions and a margin (a quarter of their extent unless given)."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent_m = max(float(np.max(high - low)), 1.0)
    margin_m = 0.25 * extent_m if margin_m is None else margin_m
    step_m = (extent_m + 2 * margin_m) / cells
    counts = np.ceil((high - low + 2 * margin_m) / step_m - 1e-9).astype(int)
    starts = (low + high) / 2 - (counts - 1) * step_m / 2
    return starts[0] + step_m * np.arange(counts[0]), starts[1] + step_m * np.arange(counts[1])


def map_power(
    model: FieldModel, east_m: Floats, north_m: Floats, subchannel_hz: float, unit: str, sensors: Sequence[str]
) -> PowerMap:
    """A fitted field over a grid."""
    points = np.array([(east, north) for north in north_m for east in east_m])
    power_db, deviation_db = model.predict(points)
    shape = (north_m.size, east_m.size)
    return PowerMap(
        subchannel_hz,
        unit,
        east_m,
        north_m,
        power_db.reshape(shape),
        deviation_db.reshape(shape),
        model,
        tuple(sensors),
    )


# Metres of a degree of latitude on the sphere of the mean radius (6371008.8 m).
METRES_PER_DEGREE: Final = 111_195.08


def to_degrees(origin: tuple[float, float]) -> Callable[[float, float], list[float]]:
    """From (east, north) in m of an origin (latitude, longitude) to [longitude, latitude], as GeoJSON has it.

    Equirectangular: right to a metre over ten kilometres.
    """
    latitude, longitude = origin
    per_longitude = METRES_PER_DEGREE * math.cos(math.radians(latitude))

    def convert(east_m: float, north_m: float) -> list[float]:
        return [round(longitude + east_m / per_longitude, 7), round(latitude + north_m / METRES_PER_DEGREE, 7)]

    return convert


def geojson(maps: Sequence[PowerMap], origin: tuple[float, float]) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946): a square for each cell and subchannel, and a point for each sensor."""
    convert = to_degrees(origin)
    features: list[dict[str, Any]] = []
    for power_map in maps:
        half_m = (power_map.east_m[1] - power_map.east_m[0]) / 2
        for row, north in enumerate(power_map.north_m):
            for column, east in enumerate(power_map.east_m):
                corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]  # counter-clockwise
                ring = [convert(float(east + x * half_m), float(north + y * half_m)) for x, y in corners]
                deviation_db = round(float(power_map.deviation_db[row, column]), 2)
                power_db = power_map.power_db[row, column]
                features.append(_feature("Polygon", [ring], power_map, power_db, deviation_db=deviation_db))
        model = power_map.model
        for name, place, power_db in zip(power_map.sensors, model.positions, model.power_db, strict=True):
            features.append(_feature("Point", convert(*map(float, place)), power_map, power_db, sensor=name))
    return {"type": "FeatureCollection", "features": features}


def _feature(kind: str, coordinates: list[Any], power_map: PowerMap, power_db: float, **more: Any) -> dict[str, Any]:
    properties = {
        "subchannel_hz": power_map.subchannel_hz, "power_db": round(float(power_db), 2), "unit": power_map.unit, **more
    }  # fmt: skip
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}
