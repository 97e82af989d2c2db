"""One stream of a batch by whichever method the operator chose, as the state it would have been followed in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitoring.periodic.known import Named, split_known
from monitoring.periodic.kpi import SilenceRule
from monitoring.periodic.lattice import Floats, fit
from monitoring.periodic.learning import Change, Learned, Member, track_of
from monitoring.periodic.methods import METHODS
from monitoring.periodic.spc import Cluster
from monitoring.periodic.stream import StreamState, analyse
from monitoring.periodic.tracker import Track


def stream_of(
    times_s: Floats,
    label: str | None,
    *,
    method: str,
    known: Sequence[Named] | None,
    false_alarm: float,
    resolution_s: float,
    least_receptions: int,
) -> tuple[StreamState, list[Change]]:
    """State and changes of a stream (ascending seconds, labelled or not)."""
    labelled = label is not None
    if known is None and method == "lattice":
        stream, changes = analyse(times_s, labelled, false_alarm, resolution_s, least_receptions)
        for track in stream.tracks:
            track.application = label
        return stream, changes
    if known is not None:
        parts = split_known(times_s, label, known)
        tracks = [_counted(times, one.known.period_s, one.application, false_alarm) for one, times in parts]
    else:
        clusters = METHODS[method](times_s, max(least_receptions, 3)).clusters if times_s.size >= 3 else ()
        tracks = [_counted(one.times_s, one.period_s, label, false_alarm) for one in clusters if _has_gaps(one)]
    left = times_s.size - sum(track.received for track in tracks)
    learned = Learned(tuple(tracks), np.empty(0))
    stream = StreamState.of(learned, times_s, labelled, false_alarm)
    stream.strays = int(left)
    return stream, []


def _has_gaps(cluster: Cluster) -> bool:
    return cluster.times_s.size > 1


def _counted(times_s: Floats, period_s: float, application: str | None, false_alarm: float) -> Track:
    """An application whose period is given: slots are counted gap by gap."""
    orders = np.maximum(1, np.rint(np.diff(times_s) / period_s)).astype(np.int64)
    slots = np.concatenate([[0], np.cumsum(orders)])
    lattice = fit(times_s, slots) if times_s.size > 1 else None
    if lattice is None:
        single = float(times_s[0])
        return Track(
            period_s, single, 0.01 * period_s, single, single, 1, application=application, losses=SilenceRule()
        )
    track = track_of(Member(lattice, times_s, slots), false_alarm)
    track.application = application
    return track
