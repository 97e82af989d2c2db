"""One report from the reports of several sensors on the same subchannel at the same time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from sensing.fusion import FusedErrors, SoftCombiner, k_of_n, needed_votes, snr_weights, soft_combiner
from sensing.laws import detection_error_weight
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.units import db_from_linear, linear_from_db

# SNRs are rounded to this for the weights, so that thresholds, which take a search, can be kept.
SNR_STEP_DB: Final = 0.5


def fuse(reports: Sequence[ChannelReport], rule: str, pf: float = 0.1) -> ChannelReport:
    """The verdict of several sensors: rule `or`, `and`, `majority`, a number K, or `soft`; pf is for `soft` alone."""
    return _fuse_soft(reports, pf) if rule == "soft" else _fuse_hard(reports, rule)


def _fuse_hard(reports: Sequence[ChannelReport], rule: str) -> ChannelReport:
    """K of N. The levels are those of the sensor on whom it hangs: the Kth by how far it is above its threshold, so
    that the fused energy passes the fused threshold exactly when K sensors say busy.
    """
    votes = needed_votes(rule, len(reports))
    by_margin = sorted(reports, key=lambda report: report.threshold_dbfs - report.energy_dbfs)
    decisive = by_margin[votes - 1]
    errors = k_of_n([report.pf for report in reports], [report.pm for report in reports], votes)
    busy = sum(report.busy for report in reports) >= votes
    levels = (decisive.energy_dbfs, decisive.noise_dbfs, decisive.threshold_dbfs)
    return _fused(reports, levels, errors.pf, errors.pm, busy=busy, snr_db=decisive.snr_db)


def _fuse_soft(reports: Sequence[ChannelReport], pf: float) -> ChannelReport:
    """Energies over each sensor's noise, weighted by the SNR of what it heard before; relative to that noise, in dB."""
    samples = [report.samples for report in reports if report.samples is not None]
    snr_db = [report.signal_snr_db for report in reports if report.signal_snr_db is not None]
    if len(samples) < len(reports) or len(snr_db) < len(reports):
        raise BadInput("soft combining needs samples and signal_snr_db in every report: take a hard rule instead")
    snr = tuple(linear_from_db(round(value / SNR_STEP_DB) * SNR_STEP_DB) for value in snr_db)
    combiner, errors = _combiner(snr, tuple(samples), pf)
    statistic = float(combiner.statistic([linear_from_db(r.energy_dbfs - r.noise_dbfs) for r in reports]))
    levels = (db_from_linear(statistic), 0.0, db_from_linear(combiner.threshold))
    above = db_from_linear(statistic - 1.0) if statistic > 1.0 else None
    return _fused(reports, levels, errors.pf, errors.pm, busy=statistic >= combiner.threshold, snr_db=above)


@lru_cache(maxsize=4096)
def _combiner(snr: tuple[float, ...], samples: tuple[float, ...], pf: float) -> tuple[SoftCombiner, FusedErrors]:
    combiner = soft_combiner(snr_weights(snr, samples), samples, pf)
    return combiner, combiner.errors(snr)


def _fused(
    reports: Sequence[ChannelReport],
    levels: tuple[float, float, float],
    pf: float,
    pm: float,
    *,
    busy: bool,
    snr_db: float | None,
) -> ChannelReport:
    start_s = min(report.time_s for report in reports)
    trust = np.array([1.0 / max(report.occupancy_high - report.occupancy_low, 1e-3) ** 2 for report in reports])
    trust /= trust.sum()
    share = float(trust @ [report.occupancy for report in reports])
    return ChannelReport(
        sensor="+".join(sorted(report.sensor for report in reports)),
        time_s=start_s,
        interval_s=max(report.time_s + report.interval_s for report in reports) - start_s,
        subchannel_hz=reports[0].subchannel_hz,
        bandwidth_hz=reports[0].bandwidth_hz,
        energy_dbfs=levels[0],
        noise_dbfs=levels[1],
        threshold_dbfs=levels[2],
        snr_db=snr_db,
        pf=pf,
        pm=pm,
        busy=busy,
        occupancy=share,
        weight=float(detection_error_weight(pf, pm, share)),
        occupancy_low=float(trust @ [report.occupancy_low for report in reports]),
        occupancy_high=float(trust @ [report.occupancy_high for report in reports]),
        flags=tuple(sorted({flag for report in reports for flag in report.flags})),
    )


def fuse_stream(
    reports: Iterable[ChannelReport], rule: str, *, pf: float = 0.1, window_s: float | None = None
) -> Iterator[ChannelReport]:
    """Fused reports of a stream that is sorted by time: those whose middles fall into one window belong together.

    window_s: None for the interval of the first report. A sensor that reports twice in a window counts with its last;
    one that is silent does not count.
    """
    gathered: dict[Subchannel, dict[str, ChannelReport]] = {}
    present = -math.inf
    for report in reports:
        window_s = window_s or report.interval_s
        window = math.floor((report.time_s + report.interval_s / 2) / window_s + 1e-6)
        if window > present:
            yield from _fused_window(gathered, rule, pf)
            gathered, present = {}, window
        gathered.setdefault(report.subchannel, {})[report.sensor] = report
    yield from _fused_window(gathered, rule, pf)


def _fused_window(
    gathered: dict[Subchannel, dict[str, ChannelReport]], rule: str, pf: float
) -> Iterator[ChannelReport]:
    for subchannel in sorted(gathered):
        yield fuse(list(gathered[subchannel].values()), rule, pf)
