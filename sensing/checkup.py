"""Is this receiver fit to sense with? What was measured in a few seconds, judged in plain words. Pure: no device here.

`gather` takes a source apart into an Observation; `judge` turns that into findings, each with what to mend.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sensing.calibration import measure_carrier
from sensing.source import U8_CENTER, IqSource, Tuning, complex64_of
from spectrum.errors import AirshedError
from spectrum.eu868 import LORA_BANDWIDTH_HZ
from spectrum.units import db_from_linear

Verdict = Literal["ok", "warn", "fail", "skip"]

# Thermal noise of a resistor at 290 K: 10 log10(k T / 1 mW), in dBm per hertz.
THERMAL_DBM_PER_HZ: Final = -173.975

# The bounds below which nobody needs to act. A dongle delivers its rate within its crystal's error (100 ppm); what a
# clock on the wall adds in a few seconds is below 0.5 %. Levels: see docs/sources.md.
RATE_ERROR: Final = 0.005
CLIPPED_SHARE: Final = 1e-4
LEAST_STEPS: Final = 1.0
GAIN_RISE_DB: Final = 3.0
IMAGE_DB: Final = -40.0
PPM_MOST: Final = 20.0
NOISE_FIGURE_DB: Final = 10.0

# How much is kept for spectra, and how they are cut: bins of about 150 Hz at 2.4 MS/s.
KEPT_S: Final = 1.0
POINTS: Final = 1 << 14
# The middle part of the captured band, where the dongle's filters are flat.
FLAT_SHARE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. value in `unit`, None where it could not be measured; mend: what to do, empty when fine."""

    name: str
    verdict: Verdict
    value: float | None
    unit: str
    says: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class GainStep:
    """The mean power (dBFS over the whole band) at a gain that was set."""

    gain_db: float
    power_dbfs: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What was measured of a receiver.

    received, lost: samples. elapsed_s: between the first and the last delivery, of which received_between came.
    levels: how often each byte value came, int, shape (2, 256), I then Q; None for sources that are not bytes.
    kept: consecutive samples, complex64. test_bytes, test_lost_bytes: in the dongle's test mode, None without one.
    carrier_hz: where a carrier of known frequency is. offset_db: dBm of full scale, from a calibration.
    """

    source: str
    tuning: Tuning
    seconds: float
    received: int
    lost: int
    elapsed_s: float
    received_between: int
    levels: NDArray[np.int64] | None
    kept: NDArray[np.complex64]
    live: bool = True
    gains: tuple[GainStep, ...] = ()
    test_bytes: int | None = None
    test_lost_bytes: int | None = None
    carrier_hz: float | None = None
    terminated: bool = False
    offset_db: float | None = None


@dataclass(slots=True)
class _Gathered:
    received: int = 0
    lost: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    between: int = 0
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 256), np.int64))
    as_bytes: bool = True
    kept: list[NDArray[np.complex64]] = field(default_factory=list)
    kept_samples: int = 0


def gather(source: IqSource, seconds: float, *, now: Callable[[], float] = time.monotonic) -> Observation:
    """Listen to a source for `seconds` of its samples and take down what `judge` needs; Failed when it dies."""
    rate_hz = source.tuning.rate_hz
    seen = _Gathered()
    for block in source.blocks():
        arrived_s = now()
        if seen.received == 0:
            seen.first_s = arrived_s
        else:
            seen.between += block.count
        seen.last_s, seen.lost = arrived_s, block.lost_samples
        seen.received += block.count
        if block.samples.dtype == np.uint8:
            for row in (0, 1):
                seen.levels[row] += np.bincount(block.samples[row::2], minlength=256)
        else:
            seen.as_bytes = False
        if seen.kept_samples < KEPT_S * rate_hz:
            seen.kept.append(complex64_of(block.samples))
            seen.kept_samples += block.count
        if seen.received >= seconds * rate_hz:
            break
    return Observation(
        source.name,
        source.tuning,
        seconds,
        seen.received,
        seen.lost,
        seen.last_s - seen.first_s,
        seen.between,
        seen.levels if seen.as_bytes else None,
        np.concatenate(seen.kept) if seen.kept else np.empty(0, np.complex64),
    )


def mean_power_dbfs(samples: NDArray[np.complex64]) -> float:
    """Mean power without DC over the whole band, relative to a full-scale sinusoid."""
    return db_from_linear(float(np.var(samples))) if samples.size else -math.inf


def spectrum(samples: NDArray[np.complex64], rate_hz: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offsets from the tuned frequency in Hz, ascending, and the power per hertz there; Hann frames, averaged."""
    points = min(POINTS, 1 << int(math.log2(max(samples.size, 16))))
    frames = samples[: samples.size // points * points].reshape(-1, points)
    window = np.hanning(points + 1)[:-1].astype(np.float32)
    power = np.zeros(points)
    for frame in frames:
        power += np.abs(scipy.fft.fft(frame * window)) ** 2
    density = power / max(1, len(frames)) / (rate_hz * float(np.sum(window**2)))
    return np.fft.fftshift(np.fft.fftfreq(points, 1 / rate_hz)), np.fft.fftshift(density)


def noise_dbfs_per_hz(samples: NDArray[np.complex64], rate_hz: float) -> float:
    """Median power per hertz over the flat middle of the band, in dB of full scale: signals and DC hardly move it."""
    offsets_hz, density = spectrum(samples, rate_hz)
    flat = np.abs(offsets_hz) < FLAT_SHARE / 2 * rate_hz
    return db_from_linear(float(np.median(density[flat])))


def carrier_ppm(samples: NDArray[np.complex64], tuning: Tuning, carrier_hz: float) -> float:
    """How far the dongle's oscillator runs high, in ppm, from a carrier known to be at `carrier_hz`.

    Crystal and sample clock are one: what appears at c + o of the tuned c is really at (c + o)(1 + ppm 1e-6).
    BadInput or Failed as measure_carrier raises them.
    """
    return (carrier_hz / measure_carrier(samples, tuning, carrier_hz).frequency_hz - 1.0) * 1e6


def image_db(samples: NDArray[np.complex64]) -> float:
    """Level of the mirror image that an IQ imbalance leaves, below its signal: |E x^2| / (2 E|x|^2), DC taken out."""
    x = samples - np.mean(samples)
    power = float(np.mean(np.abs(x) ** 2))
    amplitude = abs(complex(np.mean(x * x))) / (2.0 * power) if power > 0.0 else 0.0
    return 2.0 * db_from_linear(amplitude)


# ---- judging ----


def judge(seen: Observation) -> tuple[Finding, ...]:
    """All findings, in the order in which troubles should be mended."""
    return tuple(finding for look in LOOKS for finding in look(seen))


def worst(findings: Sequence[Finding]) -> Verdict:
    """The gravest verdict among them."""
    order: tuple[Verdict, ...] = ("fail", "warn", "ok", "skip")
    return min((finding.verdict for finding in findings), key=order.index, default="skip")


def _rate(seen: Observation) -> list[Finding]:
    asked_hz = seen.tuning.asked_rate_hz or seen.tuning.rate_hz
    if not seen.live:
        return [Finding("rate", "skip", None, "Hz", "a recording has no pace of its own")]
    if seen.received_between == 0 or seen.elapsed_s <= 0:
        mend = "plug it into another port, directly, without a hub"
        return [Finding("rate", "fail", 0.0, "Hz", "it delivered nothing that could be timed", mend)]
    rate_hz = seen.received_between / seen.elapsed_s
    says = f"{rate_hz / 1e6:.4f} MS/s delivered, {seen.tuning.rate_hz / 1e6:.4f} set, {asked_hz / 1e6:.4f} asked for"
    if abs(rate_hz / seen.tuning.rate_hz - 1.0) <= RATE_ERROR:
        return [Finding("rate", "ok", rate_hz, "Hz", says)]
    mend = "samples are lost on the way: use a USB port of its own, a shorter cable, a lower rate, or a faster machine"
    return [Finding("rate", "fail", rate_hz, "Hz", says, mend)]


def _losses(seen: Observation) -> list[Finding]:
    found = []
    share = seen.lost / max(1, seen.lost + seen.received)
    says = f"{seen.lost} of {seen.lost + seen.received} samples lost while receiving"
    mend = "" if seen.lost == 0 else "see rate; if it was lost in bursts, other programs starve this one"
    found.append(Finding("samples_lost", "ok" if share < 1e-4 else "fail", float(seen.lost), "samples", says, mend))
    if seen.test_bytes is not None and seen.test_lost_bytes is not None:
        says = f"test mode: at least {seen.test_lost_bytes} bytes missing beside {seen.test_bytes} that came"
        mend = "" if seen.test_lost_bytes == 0 else "USB loses samples without telling: another port, cable or rate"
        verdict: Verdict = "ok" if seen.test_lost_bytes == 0 else "fail"
        found.append(Finding("test_mode_lost", verdict, float(seen.test_lost_bytes), "bytes", says, mend))
    return found


def _gain(seen: Observation) -> list[Finding]:
    if len(seen.gains) < 2:
        return [Finding("gain_steps", "skip", None, "dB", "this source has no gain to step through")]
    low, high = min(seen.gains, key=lambda g: g.gain_db), max(seen.gains, key=lambda g: g.gain_db)
    rise_db = high.power_dbfs - low.power_dbfs
    steps = ", ".join(f"{step.gain_db:g} dB: {step.power_dbfs:.1f} dBFS" for step in seen.gains)
    if rise_db >= GAIN_RISE_DB:
        return [Finding("gain_steps", "ok", rise_db, "dB", f"the level follows the gain ({steps})")]
    mend = "the gain does nothing: an automatic gain is on elsewhere, or tuner or antenna is broken"
    return [Finding("gain_steps", "fail", rise_db, "dB", f"the level hardly follows the gain ({steps})", mend)]


def _levels(seen: Observation) -> list[Finding]:
    if seen.levels is None:
        return [Finding("clipping", "skip", None, "", "not bytes: nothing to clip at")]
    counts = seen.levels.sum(axis=0)
    total = max(1, int(counts.sum()))
    clipped = float(counts[0] + counts[255]) / total
    middle = (seen.levels * (np.arange(256) - U8_CENTER)).sum(axis=1) / np.maximum(1, seen.levels.sum(axis=1))
    steps = math.sqrt(float((counts * (np.arange(256) - U8_CENTER) ** 2).sum()) / total - float(np.mean(middle**2)))
    clips, faint = clipped > CLIPPED_SHARE, steps < LEAST_STEPS
    return [
        Finding("clipping", "fail" if clips else "ok", clipped, "share",
                f"{100 * clipped:.3f} % of the bytes at the ends of the scale",
                "lower the gain, or put a filter or an attenuator before the dongle" if clips else ""),
        Finding("level", "fail" if faint else "ok", steps, "steps", f"{steps:.2f} steps of the converter rms",
                "raise the gain: the noise drowns in rounding" if faint else ""),
    ]  # fmt: skip


def _dc(seen: Observation) -> list[Finding]:
    if seen.kept.size == 0:
        return []
    dc_dbfs = db_from_linear(float(abs(complex(np.mean(seen.kept))) ** 2))
    noise = noise_dbfs_per_hz(seen.kept, seen.tuning.rate_hz) + db_from_linear(LORA_BANDWIDTH_HZ)
    says = f"DC {dc_dbfs:.1f} dBFS, noise in 125 kHz {noise:.1f} dBFS"
    if dc_dbfs < noise:
        return [Finding("dc", "ok", dc_dbfs, "dBFS", says)]
    mend = "tune half a raster off your channels (868.0125 MHz suits LoRaWAN), so that it falls between two"
    return [Finding("dc", "warn", dc_dbfs, "dBFS", says, mend)]


def _image(seen: Observation) -> list[Finding]:
    if seen.kept.size < POINTS:
        return []
    image = image_db(seen.kept)
    floor = -db_from_linear(4.0 * seen.kept.size)  # what chance leaves in circular noise
    says = f"mirror image {image:.1f} dB (this capture can tell down to {floor:.0f} dB)"
    if image < IMAGE_DB:
        return [Finding("image", "ok", image, "dB", says)]
    mend = "strong signals will show mirrored across the centre: keep them out with a filter, or replace the dongle"
    return [Finding("image", "warn", image, "dB", says, mend)]


def _ppm(seen: Observation) -> list[Finding]:
    if seen.carrier_hz is None:
        return [Finding("ppm", "skip", None, "ppm", "no known carrier: give --carrier HZ, see hardware/README.md")]
    try:
        ppm = carrier_ppm(seen.kept, seen.tuning, seen.carrier_hz)
    except AirshedError as error:
        mend = "tune within 1 MHz of the carrier, bring its source nearer, or raise the gain"
        return [Finding("ppm", "fail", None, "ppm", str(error), mend)]
    says = f"the oscillator is {ppm:+.2f} ppm off"
    if abs(ppm) <= PPM_MOST:
        return [Finding("ppm", "ok", ppm, "ppm", says)]
    return [Finding("ppm", "warn", ppm, "ppm", says, "write it into the calibration file: airshed sense --calibrate")]


def _noise_figure(seen: Observation) -> list[Finding]:
    if seen.kept.size == 0:
        return []
    noise_dbfs = noise_dbfs_per_hz(seen.kept, seen.tuning.rate_hz)
    if not seen.terminated or seen.offset_db is None:
        missing = "a calibration of this gain" if seen.offset_db is None else "a 50 ohm terminator and --terminated"
        says = f"noise {noise_dbfs + db_from_linear(LORA_BANDWIDTH_HZ):.1f} dBFS in 125 kHz; its figure needs {missing}"
        return [Finding("noise_figure", "skip", None, "dB", says)]
    figure_db = noise_dbfs + seen.offset_db - THERMAL_DBM_PER_HZ
    says = f"noise figure {figure_db:.1f} dB"
    if figure_db <= NOISE_FIGURE_DB:
        return [Finding("noise_figure", "ok", figure_db, "dB", says)]
    mend = "raise the gain, shield it from the computer's noise, or put a low-noise amplifier at the antenna"
    return [Finding("noise_figure", "warn", figure_db, "dB", says, mend)]


LOOKS: Final[tuple[Callable[[Observation], list[Finding]], ...]] = (
    _rate, _losses, _gain, _levels, _dc, _image, _ppm, _noise_figure,
)  # fmt: skip
