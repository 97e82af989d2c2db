"""From the newest reports of several sensors to one status per subchannel.

The rule is OR: a subchannel is busy when any fresh sensor says so. Then Pf = 1 - prod(1 - Pf_i), Pm = prod(Pm_i) for
sensors that err independently. Stale reports say nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.status import ChannelStatus


def channel_statuses(
    reports: Iterable[ChannelReport], subchannels: Sequence[Subchannel], now_s: float, max_age_s: float
) -> tuple[ChannelStatus, ...]:
    """Status of every one of `subchannels` that a report younger than `max_age_s` covers."""
    heard = reports_covering(reports, subchannels, now_s, max_age_s)
    return tuple(fused(subchannel, found) for subchannel, found in heard.items())


def reports_covering(
    reports: Iterable[ChannelReport], subchannels: Sequence[Subchannel], now_s: float, max_age_s: float
) -> dict[Subchannel, list[ChannelReport]]:
    """For each subchannel, in order, the reports younger than `max_age_s` that speak for it, where there are any.

    A subchannel that no sensor reports by itself (a group of SigFox micro-channels inside a 125 kHz cell) takes the
    report of the sensed cell that overlaps it most.
    """
    fresh: dict[Subchannel, list[ChannelReport]] = defaultdict(list)
    for report in reports:
        if now_s - report.time_s - report.interval_s <= max_age_s:
            fresh[report.subchannel].append(report)
    found = {}
    for subchannel in subchannels:
        heard = fresh.get(subchannel) or fresh.get(_covering(subchannel, fresh))
        if heard:
            found[subchannel] = heard
    return found


def _covering(wanted: Subchannel, sensed: Iterable[Subchannel]) -> Subchannel:
    best = max(sensed, key=lambda cell: (cell.overlap_hz(wanted), -cell.bandwidth_hz), default=wanted)
    return best if best.overlap_hz(wanted) > 0.0 else wanted


def fused(subchannel: Subchannel, reports: Sequence[ChannelReport]) -> ChannelStatus:
    """One status from at least one report, by the OR rule; levels are those of the sensor that hears it loudest."""
    loudest = max(reports, key=lambda report: report.energy_dbfs - report.threshold_dbfs)
    return ChannelStatus(
        subchannel,
        max(report.time_s + report.interval_s for report in reports),
        loudest.energy_dbfs,
        loudest.noise_dbfs,
        loudest.threshold_dbfs,
        1.0 - math.prod(1.0 - report.pf for report in reports),
        math.prod(report.pm for report in reports),
        max(report.occupancy for report in reports),
        loudest.snr_db,
        tuple(sorted(report.sensor for report in reports)),
        tuple(sorted({flag for report in reports for flag in report.flags})),
    )
