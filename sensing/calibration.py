"""From dBFS to dBm, per dongle: a gain table and a frequency error in a TOML file, and how they are measured.

dongle = "00000001"
ppm = 12.5

[[level]]
gain_db = 25.4
full_scale_dbm = -31.2
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensing.source import IqSource, Tuning
from spectrum.errors import BadInput, Failed
from spectrum.units import db_from_linear

# Two readings of one tuner step differ by rounding only.
SAME_GAIN_DB: Final = 0.05

# How far a known carrier may appear from where it should: cheap crystals are off by up to 100 ppm.
SEARCH_PPM: Final = 120.0
# Width of a bin while looking for a carrier, and the bins its Blackman-Harris lobe fills on each side.
CARRIER_BIN_HZ: Final = 100.0
LOBE_BINS: Final = 4
# A carrier must stand this far above the noise in its lobe, or its level is that of the noise too.
LEAST_CARRIER_SNR_DB: Final = 15.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """ppm: the dongle's oscillator runs high by this much, so that tuned to x it really hears x (1 + ppm 1e-6).

    levels: (gain_db, full_scale_dbm) by tuner gain: the dBm at the antenna socket of a sinusoid at full scale; a gain
    of None stands for a receiver whose gain nobody knows.
    """

    dongle: str = ""
    ppm: float = 0.0
    levels: tuple[tuple[float | None, float], ...] = ()

    def offset_db(self, gain_db: float | None) -> float | None:
        """What to add to dBFS for dBm; None for a gain that was never measured: nothing is guessed between them."""
        return next((offset_db for known_db, offset_db in self.levels if _same_gain(known_db, gain_db)), None)

    def with_level(self, gain_db: float | None, full_scale_dbm: float) -> Calibration:
        """The same with one gain measured anew."""
        others = [entry for entry in self.levels if not _same_gain(entry[0], gain_db)]
        entries = sorted(
            [*others, (gain_db, full_scale_dbm)], key=lambda entry: (entry[0] is not None, entry[0] or 0.0)
        )
        return replace(self, levels=tuple(entries))


def _same_gain(first_db: float | None, second_db: float | None) -> bool:
    if first_db is None or second_db is None:
        return first_db is second_db
    return abs(first_db - second_db) <= SAME_GAIN_DB


class _LevelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    full_scale_dbm: float
    gain_db: float | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dongle: str = ""
    ppm: float = 0.0
    level: tuple[_LevelTable, ...] = ()


def read_calibration(path: Path) -> Calibration:
    """The calibration in a file; an unknown key or a wrong type is a BadInput that names it."""
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise BadInput(f"the calibration {path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise BadInput(f"{path} is no calibration: {error}") from None
    if abs(found.ppm) > 1e4:
        raise BadInput(f"{path}: ppm is {found.ppm:g}, expected parts per million of a crystal, within +-10000")
    return Calibration(found.dongle, found.ppm, tuple((entry.gain_db, entry.full_scale_dbm) for entry in found.level))


def calibration_text(calibration: Calibration) -> str:
    """The calibration as the text of its file."""
    lines = [f"dongle = {_quoted(calibration.dongle)}", f"ppm = {calibration.ppm:.3f}"]
    for gain_db, full_scale_dbm in calibration.levels:
        lines += ["", "[[level]]"]
        lines += [] if gain_db is None else [f"gain_db = {gain_db:.1f}"]
        lines += [f"full_scale_dbm = {full_scale_dbm:.2f}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()  # a TOML basic string has JSON's escapes


@dataclass(frozen=True, slots=True)
class CarrierReading:
    """A carrier as the receiver shows it: frequency as tuned, level relative to full scale, SNR within its lobe."""

    frequency_hz: float
    level_dbfs: float
    snr_db: float


def measure_carrier(iq: NDArray[np.complex64], tuning: Tuning, near_hz: float | None = None) -> CarrierReading:
    """The strongest carrier, or the strongest within SEARCH_PPM of `near_hz`; iq: complex64, shape (N,).

    Failed where none stands out of the noise.
    """
    import scipy.fft

    points = max(64, round(tuning.rate_hz / CARRIER_BIN_HZ))
    if iq.size < points:
        raise BadInput(f"calibrating needs at least {points / tuning.rate_hz * 1e3:.0f} ms of samples, got {iq.size}")
    window = _blackman_harris(points)
    frames = iq[: iq.size // points * points].reshape(-1, points)
    power = np.zeros(points)
    for frame in frames:
        power += np.abs(scipy.fft.fftshift(scipy.fft.fft(frame * window))) ** 2
    power /= len(frames) * points * float(np.sum(window.astype(np.float64) ** 2))
    offsets_hz = (np.arange(points) - points // 2) * (tuning.rate_hz / points)
    allowed = np.abs(offsets_hz) > 2 * LOBE_BINS * CARRIER_BIN_HZ  # the receiver's own DC is no carrier
    if near_hz is not None:
        allowed &= np.abs(offsets_hz + tuning.center_hz - near_hz) <= SEARCH_PPM * 1e-6 * near_hz
    allowed[:LOBE_BINS] = allowed[-LOBE_BINS:] = False
    if not allowed.any():
        raise BadInput(f"{near_hz or 0:.0f} Hz lies outside the captured band or on its DC: tune elsewhere")
    peak = int(np.where(allowed, power, -1.0).argmax())
    lobe = slice(peak - LOBE_BINS, peak + LOBE_BINS + 1)
    noise = float(np.median(power[allowed])) * (2 * LOBE_BINS + 1)
    level = float(power[lobe].sum()) - noise
    snr_db = db_from_linear(max(level, 0.0) / max(noise, 1e-30))
    if snr_db < LEAST_CARRIER_SNR_DB:
        raise Failed(
            f"no carrier stands out: the strongest is {snr_db:.1f} dB above the noise, expected at least "
            f"{LEAST_CARRIER_SNR_DB:g} dB; check the generator, the cable and the frequency"
        )
    center_of_lobe = float(np.sum(offsets_hz[lobe] * power[lobe]) / np.sum(power[lobe]))
    return CarrierReading(tuning.center_hz + center_of_lobe, db_from_linear(level), snr_db)


def _blackman_harris(points: int) -> NDArray[np.float32]:
    """Four-term window of Harris (1978): side lobes below -92 dB."""
    angle = 2.0 * np.pi * np.arange(points) / points
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    window = np.zeros(points)
    for order, weight in enumerate(terms):
        window += weight * np.cos(order * angle)
    return window.astype(np.float32)


def calibrated(
    before: Calibration,
    reading: CarrierReading,
    tuning: Tuning,
    *,
    level_dbm: float | None = None,
    carrier_hz: float | None = None,
) -> Calibration:
    """`before` with what a reading of a known carrier adds: full scale from its level, ppm from its frequency."""
    after = before
    if carrier_hz is not None:
        after = replace(after, ppm=(carrier_hz - reading.frequency_hz) / tuning.center_hz * 1e6)
    if level_dbm is not None:
        after = after.with_level(tuning.gain_db, level_dbm - reading.level_dbfs)
    return after


def gather(source: IqSource, seconds: float) -> NDArray[np.complex64]:
    """The first seconds of a source as one array, complex64, shape (N,)."""
    wanted, blocks = round(seconds * source.tuning.rate_hz), []
    for block in source.blocks():
        blocks.append(block.complex64())
        wanted -= block.count
        if wanted <= 0:
            break
    if not blocks:
        raise BadInput(f"{source.name} delivers no samples")
    return np.concatenate(blocks)
