"""Sensing held against the truth of a recording: true Pf and true Pm, per subchannel and SNR, beside what it claims.

A cell is one subchannel in one sensing interval. By the annotations it is

- quiet: nothing overlaps it, and what is on the air elsewhere leaves less in it than a tenth of the noise's spread,
- loud: every transmission that overlaps it fills all of the interval and lies (nearly) all inside the subchannel,
- beside: nothing overlaps it, but something strong enough leaks into it,
- partial: a transmission only touches it, in time or in frequency.

Pf is counted over quiet cells and Pm over loud ones; the others have no plain truth and are only counted.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensing.calibration import Calibration
from sensing.detector import Design
from sensing.laws import law_named
from sensing.occupancy import wilson
from sensing.opening import Wanted
from sensing.raster import LORAWAN_CHANNELS
from sensing.session import SenseOptions, Session
from sensing.sigmf_files import read_sigmf_header
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.units import db_from_linear, linear_from_db
from testbed.twin.recording import DATA_SUFFIX, META_SUFFIX
from testbed.twin.truth import REFERENCE_HZ, Heard, heard_of

Floats = NDArray[np.float64]

# Intervals of the shares: two-sided 99.9 %, because there are dozens of them in a table.
CONFIDENCE_Z: Final = 3.2905

# A transmission lies inside a subchannel when no more than this share of its band is outside.
OUTSIDE_SHARE: Final = 0.05

# What a transmission leaves in 125 kHz beside its own band, in dB below it: nearer than NEAR_HZ, and farther away.
# Measured on the waveforms themselves, through the sensing's Hann window (tests/testbed/twin/test_score.py).
NEAR_HZ: Final = 50e3
LEAK_DB: Final = {
    "lora": (-19.0, -38.0),
    "wmbus": (-12.0, -28.0),
    "recording": (-12.0, -28.0),
    "sigfox": (-38.0, -60.0),
    "carrier": (-38.0, -60.0),
    "burst": (-24.0, -38.0),  # it is switched, not faded in
}
LEAK_SIGMAS: Final = 0.1

SNR_STEP_DB: Final = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What sensing said of one subchannel in R intervals; arrays of shape (R,).

    first, end: samples of the recording. ratio: threshold over the estimated noise. pf, pm: design law. pf_measured:
    NaN until known. samples: effective ones.
    """

    subchannel: Subchannel
    first: Floats
    end: Floats
    busy: NDArray[np.bool_]
    ratio: Floats
    samples: Floats
    pf: Floats
    pm: Floats
    pf_measured: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What was really there: snr linear, NaN unless loud; quiet, beside, partial: bool, all of shape (R,)."""

    snr: Floats
    quiet: NDArray[np.bool_]
    beside: NDArray[np.bool_]
    partial: NDArray[np.bool_]


def cells_of(subchannel: Subchannel, reports: Iterable[ChannelReport], rate_hz: float) -> Cells:
    """The reports of one subchannel as columns."""
    rows = np.array(
        [
            (
                one.time_s * rate_hz,
                (one.time_s + one.interval_s) * rate_hz,
                one.busy,
                linear_from_db(one.threshold_dbfs - one.noise_dbfs),
                one.samples or math.nan,
                one.pf,
                one.pm,
                math.nan if one.pf_measured is None else one.pf_measured,
            )
            for one in reports
        ],
        dtype=np.float64,
    ).reshape(-1, 8)
    first, end, busy, *rest = rows.T
    return Cells(subchannel, np.round(first), np.round(end), busy > 0, *rest)


def truth_of(cells: Cells, heard: Iterable[Heard], noise_dbfs: float) -> Truth:
    """What the annotations say of one subchannel's cells. noise_dbfs: over REFERENCE_HZ."""
    subchannel, count = cells.subchannel, cells.first.size
    noise = linear_from_db(noise_dbfs) * subchannel.bandwidth_hz / REFERENCE_HZ
    snr, leak, touched = np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.bool_)
    for one in heard:
        in_touch = slice(
            int(np.searchsorted(cells.end, one.first, "right")), int(np.searchsorted(cells.first, one.end))
        )
        inside = np.zeros(count, dtype=np.bool_)
        inside[in_touch] = (one.first <= cells.first[in_touch]) & (cells.end[in_touch] <= one.end)
        level = linear_from_db(one.level_dbfs) / noise
        shared_hz = min(one.high_hz, subchannel.high_hz) - max(one.low_hz, subchannel.low_hz)
        if shared_hz <= 0.0:
            leak[in_touch] += level * linear_from_db(LEAK_DB[one.kind][0 if -shared_hz < NEAR_HZ else 1])
        elif shared_hz < (1.0 - OUTSIDE_SHARE) * (one.high_hz - one.low_hz):
            touched[in_touch] = True
        else:
            snr[inside] += level
            touched[in_touch] |= ~inside[in_touch]
    silent = (snr == 0.0) & ~touched
    leaks = leak > LEAK_SIGMAS / np.sqrt(cells.samples)
    return Truth(np.where((snr > 0.0) & ~touched, snr, math.nan), silent & ~leaks, silent & leaks, touched)


def _share(hits: int, trials: int) -> tuple[float, float, float]:
    """A share with its interval; NaN and everything without trials."""
    if trials == 0:
        return math.nan, 0.0, 1.0
    low, high = wilson(hits / trials, trials, CONFIDENCE_Z)
    return hits / trials, float(low), float(high)


def score_of(cells: Cells, truth: Truth, law: str) -> dict[str, Any]:
    """One subchannel's account: see docs/testbed.md for the keys."""
    quiet, loud = truth.quiet, ~np.isnan(truth.snr)
    alarms = int(np.count_nonzero(cells.busy & quiet))
    pf, pf_low, pf_high = _share(alarms, int(quiet.sum()))
    claimed = float(cells.pf[quiet].mean()) if quiet.any() else math.nan
    measured = cells.pf_measured[quiet & ~np.isnan(cells.pf_measured)]
    return {
        "subchannel_hz": cells.subchannel.center_hz,
        "bandwidth_hz": cells.subchannel.bandwidth_hz,
        "quiet_cells": int(quiet.sum()),
        "false_alarms": alarms,
        "pf": pf,
        "pf_low": pf_low,
        "pf_high": pf_high,
        "pf_claimed": claimed,
        "pf_measured": float(measured.mean()) if measured.size else math.nan,
        "pf_agrees": pf_low <= claimed <= pf_high if quiet.any() else None,
        "loud_cells": int(loud.sum()),
        "beside_cells": int(truth.beside.sum()),
        "beside_busy": int((cells.busy & truth.beside).sum()),
        "partial_cells": int(truth.partial.sum()),
        "partial_busy": int((cells.busy & truth.partial).sum()),
        "by_snr": list(_by_snr(cells, truth, loud, law)),
    }


def _by_snr(cells: Cells, truth: Truth, loud: NDArray[np.bool_], law: str) -> Iterable[dict[str, Any]]:
    """Loud cells in steps of SNR_STEP_DB."""
    levels_db = np.full(loud.size, math.nan)
    levels_db[loud] = 10.0 * np.log10(truth.snr[loud])
    steps = np.round(levels_db / SNR_STEP_DB)
    for step in sorted(set(steps[loud].tolist())):
        chosen = loud & (steps == step)
        missed = int(np.count_nonzero(~cells.busy & chosen))
        pm, pm_low, pm_high = _share(missed, int(chosen.sum()))
        by_law = law_named(law).pm(cells.ratio[chosen], cells.samples[chosen], truth.snr[chosen])
        claimed = float(np.mean(by_law))
        yield {
            "snr_db": step * SNR_STEP_DB,
            "mean_snr_db": db_from_linear(float(truth.snr[chosen].mean())),
            "cells": int(chosen.sum()),
            "missed": missed,
            "pm": pm,
            "pm_low": pm_low,
            "pm_high": pm_high,
            "pm_claimed": claimed,
            "pm_reported": float(cells.pm[chosen].mean()),
            "pm_agrees": pm_low <= claimed <= pm_high,
        }


def check_name(path: Path) -> None:
    """BadInput unless a name is that of a recording of ours."""
    if path.suffix not in (META_SUFFIX, DATA_SUFFIX):
        raise BadInput(f"{path}: expected the {META_SUFFIX} of a recording made by `airshed testbed record`")


def score(
    path: Path,
    design: Design,
    interval_s: float | None = None,
    subchannels: tuple[Subchannel, ...] = LORAWAN_CHANNELS,
    *,
    calibrated: bool = True,
    advance: Callable[[float], object] = lambda seconds: None,
) -> dict[str, Any]:
    """Sense a recording of `airshed testbed record` and account for every cell. BadInput when it holds no truth.

    calibrated: the sensing knows the ppm of the sensor. advance: told of seconds of the recording as they are sensed.
    """
    check_name(path)
    read_sigmf_header(path)  # says what is wrong with it, if anything is
    metadata = json.loads(path.with_suffix(META_SUFFIX).read_text(encoding="utf-8"))
    heard = heard_of(metadata, str(path), calibrated=calibrated)
    ppm = float(metadata["global"]["airshed:sensor"]["impairments"]["ppm"])
    calibration = Calibration(ppm=ppm) if calibrated else None
    noise_dbfs = float(metadata["global"]["airshed:noise_dbfs"])
    options = SenseOptions(
        Wanted(str(path)), interval_s=interval_s, within=subchannels, design=design, calibration=calibration
    )
    found: dict[Subchannel, list[ChannelReport]] = {}
    with Session(options) as session:
        rate_hz, before_s = session.tuning.rate_hz, 0.0
        for seen_s, reports in session.reports(threading.Event()):
            for report in reports:
                found.setdefault(report.subchannel, []).append(report)
            advance(seen_s - before_s)
            before_s = seen_s
        taken_s = session.configs[0].interval_s
    rows = []
    for subchannel, reports in sorted(found.items()):
        cells = cells_of(subchannel, reports, rate_hz)
        rows.append(score_of(cells, truth_of(cells, heard, noise_dbfs), design.law))
    return {
        "recording": str(path),
        "seconds": before_s,
        "calibrated_ppm": ppm if calibrated else None,
        "interval_s": taken_s,
        "transmissions": len(heard),
        "noise_dbfs": noise_dbfs,
        "confidence": 0.999,
        "subchannels": rows,
    }
