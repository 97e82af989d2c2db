"""What an energy detector gets wrong: Pf and Pm, thresholds, and how many samples a promise takes (eq. 2-5).

Throughout, M independent complex samples are averaged, `ratio` is E_th / sigma2_w and `snr` is g of eq. (6); both are
linear. For real samples pass M/2. Eq. (5) as printed is the probability of DETECTION, so Pm is one minus it
(notes 1.1.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from spectrum.errors import BadInput
from spectrum.units import linear_from_db

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Law:
    """How energies are distributed; every function broadcasts over arrays.

    pf(ratio, samples); pm(ratio, samples, snr); ratio_for_pf(pf, samples): threshold with that Pf;
    ratio_for_pm(pm, samples, snr): threshold with that Pm.
    """

    summary: str
    pf: Callable[[ArrayLike, ArrayLike], Floats]
    pm: Callable[[ArrayLike, ArrayLike, ArrayLike], Floats]
    ratio_for_pf: Callable[[ArrayLike, ArrayLike], Floats]
    ratio_for_pm: Callable[[ArrayLike, ArrayLike, ArrayLike], Floats]


def q_function(x: ArrayLike) -> Floats:
    """Q(x): probability that a standard normal exceeds x."""
    return np.asarray(special.ndtr(-np.asarray(x, dtype=np.float64)))


def q_inverse(p: ArrayLike) -> Floats:
    """x with Q(x) = p."""
    return np.asarray(-special.ndtri(np.asarray(p, dtype=np.float64)))


def _gaussian_pf(ratio: ArrayLike, samples: ArrayLike) -> Floats:
    return q_function((np.asarray(ratio) - 1.0) * np.sqrt(samples))


def _gaussian_ratio_for_pf(pf: ArrayLike, samples: ArrayLike) -> Floats:
    return np.asarray(1.0 + q_inverse(pf) / np.sqrt(samples))


def _gaussian(summary: str, variance: Callable[[Floats], Floats]) -> Law:
    """Gaussian approximation in which the energy under H1 has mean 1 + g and variance variance(g)/M."""

    def pm(ratio: ArrayLike, samples: ArrayLike, snr: ArrayLike) -> Floats:
        g = np.asarray(snr, dtype=np.float64)
        return q_function((1.0 + g - np.asarray(ratio)) * np.sqrt(np.asarray(samples) / variance(g)))

    def ratio_for_pm(pm: ArrayLike, samples: ArrayLike, snr: ArrayLike) -> Floats:
        g = np.asarray(snr, dtype=np.float64)
        return np.asarray(1.0 + g - q_inverse(pm) * np.sqrt(variance(g) / np.asarray(samples)))

    return Law(summary, _gaussian_pf, pm, _gaussian_ratio_for_pf, ratio_for_pm)


def _exact_pf(ratio: ArrayLike, samples: ArrayLike) -> Floats:
    m = np.asarray(samples, dtype=np.float64)
    return np.asarray(special.gammaincc(m, m * np.maximum(ratio, 0.0)))


def _exact_ratio_for_pf(pf: ArrayLike, samples: ArrayLike) -> Floats:
    m = np.asarray(samples, dtype=np.float64)
    return np.asarray(special.gammainccinv(m, np.asarray(pf, dtype=np.float64)) / m)


def _deterministic_pm(ratio: ArrayLike, samples: ArrayLike, snr: ArrayLike) -> Floats:
    from scipy.stats import ncx2

    m, g = np.asarray(samples, dtype=np.float64), np.maximum(snr, 1e-12)
    return np.asarray(ncx2.cdf(2.0 * m * np.maximum(ratio, 0.0), 2.0 * m, 2.0 * m * g))


def _deterministic_ratio_for_pm(pm: ArrayLike, samples: ArrayLike, snr: ArrayLike) -> Floats:
    from scipy.stats import ncx2

    m, g = np.asarray(samples, dtype=np.float64), np.maximum(snr, 1e-12)
    return np.asarray(ncx2.ppf(np.asarray(pm, dtype=np.float64), 2.0 * m, 2.0 * m * g) / (2.0 * m))


def _noiselike_pm(ratio: ArrayLike, samples: ArrayLike, snr: ArrayLike) -> Floats:
    m, g = np.asarray(samples, dtype=np.float64), np.asarray(snr, dtype=np.float64)
    return np.asarray(special.gammainc(m, m * np.maximum(ratio, 0.0) / (1.0 + g)))


def _noiselike_ratio_for_pm(pm: ArrayLike, samples: ArrayLike, snr: ArrayLike) -> Floats:
    m, g = np.asarray(samples, dtype=np.float64), np.asarray(snr, dtype=np.float64)
    return np.asarray((1.0 + g) * special.gammaincinv(m, np.asarray(pm, dtype=np.float64)) / m)


# The policy table: one line adds a law.
LAWS: Final = {
    "gaussian": _gaussian(
        "eq. (4) and one minus eq. (5): deterministic signal, normal approximation", lambda g: 1.0 + 2.0 * g
    ),
    "gaussian-noiselike": _gaussian("the same for a Gaussian signal", lambda g: (1.0 + g) ** 2),
    "exact": Law(
        "chi-square, noncentral for a deterministic signal of any envelope",
        _exact_pf,
        _deterministic_pm,
        _exact_ratio_for_pf,
        _deterministic_ratio_for_pm,
    ),
    "exact-noiselike": Law(
        "chi-square, scaled central for a Gaussian signal",
        _exact_pf,
        _noiselike_pm,
        _exact_ratio_for_pf,
        _noiselike_ratio_for_pm,
    ),
}

DEFAULT_LAW: Final = "exact"

# Beyond this many samples the normal approximation differs from the chi-square laws by less than they can be computed.
NORMAL_BEYOND_SAMPLES: Final = 10_000_000
MOST_SAMPLES: Final = 10**15


class Infeasible(BadInput):
    """No detector can keep the promise asked for."""


def law_named(name: str) -> Law:
    """The law of that name, or BadInput with those there are."""
    try:
        return LAWS[name]
    except KeyError:
        raise BadInput(f"unknown law {name!r}: expected one of {', '.join(LAWS)}") from None


def snr_wall(uncertainty_db: float, *, one_sided: bool = False) -> float:
    """SNR (linear) below which no number of samples suffices: rho - 1/rho, rho = 10^(x/10) (notes 1.1.10).

    one_sided: the noise lies in [sigma2, rho sigma2] rather than [sigma2/rho, rho sigma2]; the wall is then rho - 1.
    """
    rho = _rho(uncertainty_db)
    return rho - (1.0 if one_sided else 1.0 / rho)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Thresholds over nominal noise that keep a pair of promises: any ratio in [low, high], none when low > high.

    low keeps Pf at the strongest noise that is possible, high keeps Pm at the weakest.
    """

    low: float
    high: float

    @property
    def feasible(self) -> bool:
        """Whether any threshold keeps both."""
        return self.low <= self.high


def threshold_bounds(
    samples: float,
    snr: float,
    pf: float,
    pm: float,
    *,
    law: str = DEFAULT_LAW,
    uncertainty_db: float = 0.0,
    one_sided: bool = False,
) -> Bounds:
    """E_lo and E_hi over sigma2_w (notes 1.1.7), widened by the noise uncertainty.

    With noise of sigma2/rho a signal of SNR g against sigma2 has g rho, and E_hi is that of a quieter receiver.
    """
    _check_pair(pf, pm)
    _check_positive("the number of samples", samples)
    rho = _rho(uncertainty_db)
    weakest = 1.0 if one_sided else 1.0 / rho
    chosen = law_named(law)
    low = rho * float(chosen.ratio_for_pf(pf, samples))
    high = weakest * float(chosen.ratio_for_pm(pm, samples, snr / weakest))
    return Bounds(low, high)


def _constant_pf(bounds: Bounds) -> float:
    return bounds.low


def _constant_pd(bounds: Bounds) -> float:
    return bounds.high


def _midpoint(bounds: Bounds) -> float:
    return (bounds.low + bounds.high) / 2.0


# How a threshold is chosen from its bounds. A LOWER threshold means fewer missed signals and so fewer collisions, at
# the price of more false alarms (notes 1.1.8).
RULES: Final = {"constant-pf": _constant_pf, "constant-pd": _constant_pd, "midpoint": _midpoint}
DEFAULT_RULE: Final = "constant-pf"


def required_samples(
    snr: float,
    pf: float,
    pm: float,
    *,
    law: str = DEFAULT_LAW,
    uncertainty_db: float = 0.0,
    one_sided: bool = False,
) -> int:
    """Fewest samples M for which one threshold keeps both Pf and Pm at this SNR (linear).

    Raises Infeasible at or below the SNR wall. The Gaussian law without uncertainty is the closed form
    ceil(((Qinv(Pf) + Qinv(Pm) sqrt(1 + 2g)) / g)^2) of notes 1.1.7; everything else is a search.
    """
    _check_pair(pf, pm)
    _check_positive("the SNR", snr)
    wall = snr_wall(uncertainty_db, one_sided=one_sided)
    if snr <= wall:
        raise Infeasible(
            f"an SNR of {snr:.4g} is at or below the SNR wall of {wall:.4g} that {uncertainty_db:g} dB of noise "
            "uncertainty raise: no number of samples suffices; know the noise better or expect stronger signals"
        )

    def enough(samples: int) -> bool:
        used = _law_for(law, samples)
        return threshold_bounds(
            samples, snr, pf, pm, law=used, uncertainty_db=uncertainty_db, one_sided=one_sided
        ).feasible

    return _first(enough, MOST_SAMPLES)


def minimum_snr(
    samples: float,
    pf: float,
    pm: float,
    *,
    law: str = DEFAULT_LAW,
    uncertainty_db: float = 0.0,
    one_sided: bool = False,
) -> float:
    """Weakest SNR (linear) at which `samples` keep both Pf and Pm; above the SNR wall by construction."""
    from scipy.optimize import brentq

    def margin(snr: float) -> float:
        bounds = threshold_bounds(samples, snr, pf, pm, law=law, uncertainty_db=uncertainty_db, one_sided=one_sided)
        return bounds.high - bounds.low

    weak = 1e-9
    if margin(weak) >= 0:
        return 0.0  # the pair is so loose that nothing need be heard: pf + pm >= 1
    strong = 1.0
    while margin(strong) < 0:
        strong *= 2.0
        if strong > 1e9:
            raise Infeasible(f"{samples:g} samples keep no pair of Pf {pf:g} and Pm {pm:g} at any SNR")
    return float(brentq(margin, weak, strong, xtol=1e-12, rtol=1e-12))


def posterior_busy(pf: ArrayLike, pm: ArrayLike, busy_prior: ArrayLike) -> Floats:
    """Pr(H1 | declared idle) = Pm p1 / (Pm p1 + (1 - Pf) p0): the chance that an idle-looking subchannel is in use."""
    p1 = np.asarray(busy_prior, dtype=np.float64)
    missed = np.asarray(pm) * p1
    return np.asarray(missed / np.maximum(missed + (1.0 - np.asarray(pf)) * (1.0 - p1), 1e-300))


def detection_error_weight(pf: ArrayLike, pm: ArrayLike, busy_prior: ArrayLike) -> Any:
    """Pm Pr(H1) + Pf Pr(H0), which the paper calls probability of interference (notes 1.1.9)."""
    p1 = np.asarray(busy_prior, dtype=np.float64)
    return np.asarray(pm) * p1 + np.asarray(pf) * (1.0 - p1)


def _first(enough: Callable[[int], bool], most: int) -> int:
    """Smallest whole number >= 1 for which the monotone `enough` holds."""
    high = 1
    while not enough(high):
        if high >= most:
            raise Infeasible(f"more than {most:.0e} samples would be needed")
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _law_for(law: str, samples: float) -> str:
    if samples <= NORMAL_BEYOND_SAMPLES:
        return law
    return {"exact": "gaussian", "exact-noiselike": "gaussian-noiselike"}.get(law, law)


def _rho(uncertainty_db: float) -> float:
    if not uncertainty_db >= 0:
        raise BadInput(f"the noise uncertainty must be 0 dB or more, got {uncertainty_db}")
    return linear_from_db(uncertainty_db)


def _check_pair(pf: float, pm: float) -> None:
    for name, value in (("Pf", pf), ("Pm", pm)):
        if not 0.0 < value < 1.0:
            raise BadInput(f"{name} must lie between 0 and 1, got {value}")


def _check_positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise BadInput(f"{name} must be above 0, got {value}")
