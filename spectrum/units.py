"""Decibels and powers. Powers add and average in milliwatts, never in decibels."""

from __future__ import annotations

import math

from spectrum.errors import BadInput

# A half-wave dipole has 2.15 dB over an isotropic radiator (ITU-R V.573).
DIPOLE_GAIN_DB = 2.15


def linear_from_db(ratio_db: float) -> float:
    """Power ratio of `ratio_db` decibels."""
    return float(10.0 ** (ratio_db / 10.0))


def db_from_linear(ratio: float) -> float:
    """Decibels of a power ratio; minus infinity for 0, BadInput below 0."""
    if ratio < 0.0:
        raise BadInput(f"a power ratio must be 0 or more, got {ratio}")
    return 10.0 * math.log10(ratio) if ratio > 0.0 else -math.inf


def mw_from_dbm(power_dbm: float) -> float:
    """Milliwatts of a level in dBm."""
    return linear_from_db(power_dbm)


def dbm_from_mw(power_mw: float) -> float:
    """Level in dBm of a power in milliwatts; minus infinity for 0."""
    return db_from_linear(power_mw)


def mean_dbm(*powers_dbm: float) -> float:
    """Level of the mean power: averaged in milliwatts, as powers must be."""
    if not powers_dbm:
        raise BadInput("a mean needs at least one power, got none")
    return dbm_from_mw(sum(map(mw_from_dbm, powers_dbm)) / len(powers_dbm))


def eirp_dbm_from_erp(erp_dbm: float) -> float:
    """EIRP = e.r.p. + 2.15 dB (NOTES 6.1)."""
    return erp_dbm + DIPOLE_GAIN_DB


def erp_dbm_from_eirp(eirp_dbm: float) -> float:
    """E.r.p. = EIRP - 2.15 dB."""
    return eirp_dbm - DIPOLE_GAIN_DB
